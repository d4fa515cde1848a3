"""Figures of docs/how-the-estimate-works.md, drawn from the embedded demo; needs matplotlib.

python benchmarks/explain.py [docs/figures]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import xarray as xr

import itslive_core as itslive
from itslive_core.demo import demo_path
from itslive_core.filters.rejections import explain_rejections
from itslive_core.observations.missions import MISSIONS

mpl.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(MISSIONS, ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#777777"), strict=True))
FORMAL = {"noise": "formal", "offsets": "none", "smoothing_in_time": "constant"}


def pairs_of(name: str) -> tuple[itslive.ImagePairs, xr.Dataset]:
    """Give the pairs and the truth of a point of the demo."""
    files = demo_path()
    truth = xr.open_dataset(files.truth)
    point = truth.sel(point=name)
    x, y = float(point["point_x"]), float(point["point_y"])
    for path in files.cubes:
        cube = itslive.open_cube(path)
        if cube.bounds[0] < x < cube.bounds[2]:
            return cube.pairs_at(x=x, y=y), truth.sel(x=x, y=y, method="nearest")
    raise SystemExit(f"no tile of the demo holds {name}")


def dates(days: np.ndarray) -> np.ndarray:
    """Turn days since 1970 into datetime64."""
    return (np.asarray(days) * 86400e9).astype("int64").astype("datetime64[ns]")


def speed(truth: xr.Dataset) -> xr.DataArray:
    """Give the true speed."""
    return np.hypot(truth["vx"], truth["vy"])


def canvas(height: float = 2.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a small figure."""
    figure, axes = plt.subplots(1, columns, figsize=(8, height), layout="constrained", squeeze=False)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def spans(folder: Path) -> None:
    """Show that a pair is an average over its span."""
    pairs, truth = pairs_of("trunk")
    near = (pairs.start > 18_100) & (pairs.end < 18_900)
    figure, (axis,) = canvas(3.0)
    for name in MISSIONS:
        some = pairs.take(near & (pairs.mission == name))
        axis.hlines(
            some.v, dates(some.start), dates(some.end), color=COLOURS[name], lw=0.7, alpha=0.5, label=name
        )
    axis.plot(truth["time"], speed(truth), color="black", lw=1.5, label="truth")
    axis.set_xlim(dates(np.array([18_100]))[0], dates(np.array([18_900]))[0])
    axis.set_ylim(0, 5000)
    axis.set_ylabel("speed [m/yr]")
    axis.legend(ncols=3, fontsize=7, frameon=False)
    figure.savefig(folder / "spans.png", dpi=90)


def locking(folder: Path) -> None:
    """Long pairs that lock, and what the filter leaves."""
    pairs, _ = pairs_of("trunk")
    gone = explain_rejections(pairs, itslive.InversionSettings()) != ""
    figure, (axis,) = canvas(2.6)
    axis.semilogx(pairs.span[~gone], pairs.v[~gone], ".", ms=3, color="#0072B2", label="kept")
    axis.semilogx(pairs.span[gone], pairs.v[gone], "x", ms=3, color="#D55E00", label="rejected: locked")
    axis.set_xlabel("span [days]")
    axis.set_ylabel("speed [m/yr]")
    axis.legend(fontsize=7, frameon=False)
    figure.savefig(folder / "locking.png", dpi=90)


def smoothing(folder: Path) -> None:
    """Two criteria for lambda."""
    pairs, _ = pairs_of("upstream")
    curve = itslive.smoothing_curve(pairs)
    figure, axes = canvas(2.4, 2)
    for axis, name in zip(axes, ("evidence", "gcv"), strict=True):
        axis.semilogx(curve["smoothing"], curve[name] - curve[name].min(), color="#0072B2")
        axis.axvline(curve.attrs["smoothing_used"], color="#D55E00", ls="--")
        axis.set_ylim(0, 600)
        axis.set_title({"evidence": "-2 log evidence", "gcv": "n log cross-validation"}[name], fontsize=9)
        axis.set_xlabel("lambda (dashed: used)")
    figure.savefig(folder / "smoothing.png", dpi=90)


def in_time(folder: Path) -> None:
    """Compare a constant and a changing lambda at a surge."""
    pairs, truth = pairs_of("surge")
    figure, axes = canvas(2.8, 2)
    for axis, kind in zip(axes, ("constant", "varying"), strict=True):
        series = itslive.invert(pairs, itslive.InversionSettings(smoothing_in_time=kind))
        axis.fill_between(
            series["time"], series["v"] - 2 * series["v_std"], series["v"] + 2 * series["v_std"],
            color="#0072B2", alpha=0.3, lw=0,
        )  # fmt: skip
        axis.plot(series["time"], series["v"], color="#0072B2", lw=1, label="estimate, 95 % band")
        axis.plot(truth["time"], speed(truth), color="black", lw=0.7, label="truth")
        axis.set_title(f"lambda {kind}", fontsize=9)
        axis.set_ylim(0, None)
    axes[0].set_ylabel("speed [m/yr]")
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(folder / "in_time.png", dpi=90)


def noise(folder: Path) -> None:
    """Scatter over formal error by mission, and the scale that is learnt."""
    pairs, _ = pairs_of("trunk")
    found = itslive.diagnose(pairs)
    used = found.pairs[found.pairs["rejected_by"] == ""]
    scale = json.loads(found.series.attrs["noise_scale"])
    figure, (axis,) = canvas(2.6)
    names = [name for name in MISSIONS if name in scale]
    formal = np.sqrt((pairs.vx_error**2 + pairs.vy_error**2) / 2)[
        (found.pairs["rejected_by"] == "").to_numpy()
    ]
    ratio = (used["residual"] / formal).to_numpy()
    for place, name in enumerate(names):
        here = (used["mission"] == name).to_numpy() & np.isfinite(ratio)
        values = np.clip(ratio[here], -15, 15)
        axis.boxplot(
            values, positions=[place], widths=0.5, showfliers=False, medianprops={"color": COLOURS[name]}
        )
        axis.plot([place - 0.35, place + 0.35], [2 * scale[name]] * 2, color=COLOURS[name], lw=2)
        axis.plot([place - 0.35, place + 0.35], [-2 * scale[name]] * 2, color=COLOURS[name], lw=2)
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel("residual / formal error")
    axis.axhspan(-2, 2, color="grey", alpha=0.2, lw=0)
    figure.savefig(folder / "noise.png", dpi=90)


def bands(folder: Path) -> None:
    """Error bars from formal errors and from learnt noise."""
    pairs, truth = pairs_of("front")
    figure, axes = canvas(2.8, 2)
    for axis, (title, settings) in zip(
        axes,
        (("formal errors, one lambda", FORMAL), ("learnt", {})),
        strict=True,
    ):
        series = itslive.invert(pairs, replace(itslive.InversionSettings(), **settings))
        series = series.sel(time=slice("2019", "2021"))
        true = speed(truth.sel(time=series["time"], method="nearest"))
        inside = np.mean(np.abs(series["v"].values - true.values) < 1.96 * series["v_std"].values)
        axis.fill_between(
            series["time"], series["v"] - 2 * series["v_std"], series["v"] + 2 * series["v_std"],
            color="#0072B2", alpha=0.3, lw=0,
        )  # fmt: skip
        axis.plot(series["time"], series["v"], color="#0072B2", lw=1)
        axis.plot(series["time"], true, color="black", lw=0.8)
        axis.set_title(f"{title}: the band holds {100 * inside:.0f} % of 2019-2021", fontsize=9)
        axis.xaxis.set_major_locator(mdates.YearLocator())
        axis.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))
    axes[0].set_ylabel("speed [m/yr]")
    figure.savefig(folder / "bands.png", dpi=90)


def main() -> None:
    """Draw all figures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures")
    folder.mkdir(parents=True, exist_ok=True)
    for figure in (spans, locking, smoothing, in_time, noise, bands):
        figure(folder)
        print(folder / f"{figure.__name__}.png")


if __name__ == "__main__":
    main()
