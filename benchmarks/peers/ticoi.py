"""TICOI beside our estimates: run it on one pixel, and bring both to the same 30-day windows.

TICOI (Charrier et al., 2025, The Cryosphere 19, 4555) solves for displacements between the acquisition dates
of the pixel, then interpolates to 30-day mean velocities every 5 days. It is GPL and lives in an environment
of its own (see the README of this folder); nothing of it is imported here. `ticoi_worker.py` runs there.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    import itslive_core as itslive

__all__ = [
    "COEFS",
    "SETTINGS",
    "Patch",
    "TicoiError",
    "TicoiSeries",
    "TicoiSettings",
    "best_coef",
    "run_ticoi",
    "run_ticoi_coefs",
    "window_means",
]

COEFS = (1.0, 3.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 3000.0)
"""Coefficients to search for the best one; TICOI's default is 100, its demos have 100 and 500."""

_WIDTH = 5
"""Side of the patch of neighbours [pixels]: TICOI averages its prior over 3 x 3 only where there are more."""


class TicoiError(RuntimeError):
    """TICOI's environment is not there, or does not work."""


@dataclass(frozen=True)
class TicoiSettings:
    """Keyword arguments of TICOI's functions; all others keep their defaults.

    Parameters
    ----------
    delete_outliers : str or dict or None
        Its filter before the inversion; ``{"median_angle": 45}`` takes away pairs that point more than 45
        degrees away from the median.
    smooth_method : str
        How its prior on acceleration is smoothed in time.
    regu : str
        Its regularisation; "1accelnotnull" is first differences beside the prior.
    solver : str
        "LSMR_ini" starts from the prior, "LSMR" from zero.
    apriori_weight, apriori_weight_in_second_iteration : bool
        Weights from the formal errors in the first, and in all, of its iterations.
    """

    delete_outliers: str | dict[str, float] | None = None
    smooth_method: str = "savgol"
    regu: str = "1accelnotnull"
    solver: str = "LSMR_ini"
    apriori_weight: bool = False
    apriori_weight_in_second_iteration: bool = False

    @property
    def preparation(self) -> dict[str, Any]:
        """Arguments of its filter."""
        names = ("delete_outliers", "smooth_method", "regu", "solver")
        return {name: getattr(self, name) for name in names}

    @property
    def inversion(self) -> dict[str, Any]:
        """Arguments of its inversion."""
        names = ("regu", "solver", "apriori_weight", "apriori_weight_in_second_iteration")
        # The number of pairs that contribute is what all of its demos ask for.
        return {**{name: getattr(self, name) for name in names}, "result_quality": ["X_contribution"]}


SETTINGS: dict[str, TicoiSettings] = {
    "defaults": TicoiSettings(),
    "pixel demo": TicoiSettings(apriori_weight=True, apriori_weight_in_second_iteration=True),
    "cube demo": TicoiSettings(delete_outliers="vvc_angle", smooth_method="gaussian", apriori_weight=True),
    "ITS_LIVE notebook": TicoiSettings(delete_outliers={"median_angle": 45}, solver="LSMR"),
    "recommended": TicoiSettings(delete_outliers={"median_angle": 45}),
}
"""What TICOI's signatures and its published demos set. "recommended" is the notebook for one ITS_LIVE pixel
with the solver of all other demos: the notebook's own does not converge at coefficients above 100."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A pixel and its neighbours, with the same n pairs.

    Parameters
    ----------
    pairs : ImagePairs
        The pixel's.
    vx, vy : ndarray, shape (n, rows, columns)
        Velocities [m/yr]; NaN where missing.
    x, y : ndarray, shape (columns,) and (rows,)
        Pixel centres [m].
    col, row : int
        Place of the pixel.
    """

    pairs: itslive.ImagePairs
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    col: int
    row: int

    @classmethod
    def alone(cls, pairs: itslive.ImagePairs) -> Patch:
        """Take the pixel without neighbours, as in a simulation.

        TICOI cannot open a cube of one column, so an empty one stands beside it. It averages nothing over
        space then, and its prior is that of the pixel itself.
        """
        empty = np.full(len(pairs), np.nan)
        vx, vy = (np.stack([v, empty], axis=1)[:, None, :] for v in (pairs.vx, pairs.vy))
        return cls(pairs, vx, vy, np.array([0.0, 120.0]), np.array([0.0]), 0, 0)

    @classmethod
    def around(cls, cube: itslive.Datacube, pairs: itslive.ImagePairs, width: int = _WIDTH) -> Patch:
        """Take the pixel and its real neighbours.

        Only layers of the cube that are among the pixel's pairs are taken: held-out images must not come
        back through the neighbours.

        Parameters
        ----------
        cube : Datacube
        pairs : ImagePairs
            All or some of the pairs that `Datacube.pairs_at` gave.
        width : int
            Side of the patch [pixels], odd.

        Raises
        ------
        ValueError
            If the pairs are not from this cube.
        """
        if pairs.x is None or pairs.y is None:
            raise ValueError("the pairs have no place: take them from Datacube.pairs_at")
        place = cube.locate(x=pairs.x, y=pairs.y)
        values = _layers_at(cube, place.row, place.col)
        known = {
            (start, end, vx, vy): layer
            for layer, (start, end, vx, vy) in enumerate(
                zip(cube.pair_table.start, cube.pair_table.end, *values.tolist(), strict=True)
            )
            if np.isfinite(vx)
        }
        keys = zip(pairs.start, pairs.end, pairs.vx, pairs.vy, strict=True)
        layers = np.array([known.get(key, -1) for key in keys])
        if np.any(layers < 0):
            raise ValueError(
                "some pairs are not from this pixel of the cube: take them from Datacube.pairs_at"
            )
        rows = _inside(place.row, width, cube.shape[0])
        cols = _inside(place.col, width, cube.shape[1])
        grid = np.stack([[_layers_at(cube, r, c)[:, layers] for c in cols] for r in rows])
        vx, vy = grid.transpose(2, 3, 0, 1)
        return cls(
            pairs,
            vx,
            vy,
            np.asarray(cube.x)[cols],
            np.asarray(cube.y)[rows],
            cols.index(place.col),
            rows.index(place.row),
        )

    def write(self, path: Path, *, whole_days: bool = False) -> None:
        """Write the layout of TICOI's generic loader; with dates rounded to whole days, if wanted."""
        p = self.pairs
        if whole_days:
            p = replace(p, start=np.rint(p.start), end=np.rint(p.end))
        order = np.argsort(p.mid, kind="stable")
        dims = ("mid_date", "y", "x")
        xr.Dataset(
            {
                "vx": (dims, self.vx[order]),
                "vy": (dims, self.vy[order]),
                "date1": ("mid_date", _dates(p.start[order])),
                "date2": ("mid_date", _dates(p.end[order])),
                "errorx": ("mid_date", _known(p.vx_error[order])),
                "errory": ("mid_date", _known(p.vy_error[order])),
            },
            coords={"mid_date": _dates(p.mid[order]), "x": self.x, "y": self.y},
            attrs={"proj4": f"EPSG:{p.epsg or 3413}", "source": "ITS_LIVE"},
        ).to_netcdf(path)


@dataclass(frozen=True, eq=False)
class TicoiSeries:
    """What TICOI gives for one pixel.

    Parameters
    ----------
    time_start, time_end : ndarray, shape (m,)
        Windows, 30 days long and 5 days apart [days since 1970-01-01].
    vx, vy : ndarray, shape (m,)
        Mean velocity over each window [m/yr]; NaN outside the dates of the pixel.
    coef : float
        Its coefficient of regularisation.
    cpu_seconds : float
        Taking the pixel from the cube, inversion and interpolation; warm, one thread.
    prepare_cpu_seconds : float
        Filter and prior of all pixels of the patch.
    patch_pixels : int
        Number of pixels of the patch.
    n_pairs : int
        Pairs that its filter left.
    version : str
        Of TICOI.
    predicted : ndarray, shape (2, q), optional
        vx and vy over the spans asked for [m/yr]; NaN outside the dates of the pixel.
    """

    time_start: NDArray[np.float64]
    time_end: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    coef: float
    cpu_seconds: float
    prepare_cpu_seconds: float
    patch_pixels: int
    n_pairs: int
    version: str
    predicted: NDArray[np.float64] | None = field(default=None)

    @property
    def pixel_cpu_seconds(self) -> float:
        """CPU seconds of this pixel, with its share of the patch's preparation."""
        return self.cpu_seconds + self.prepare_cpu_seconds / self.patch_pixels


def run_ticoi(
    pairs: itslive.ImagePairs,
    *,
    coef: float = 100.0,
    settings: TicoiSettings = SETTINGS["recommended"],
    patch: Patch | None = None,
    predict: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    whole_days: bool = False,
    python: str | None = None,
) -> TicoiSeries:
    """Run TICOI on one pixel with one coefficient; see `run_ticoi_coefs`."""
    return run_ticoi_coefs(
        pairs,
        (coef,),
        settings=settings,
        patch=patch,
        predict=predict,
        whole_days=whole_days,
        python=python,
    )[0]


def run_ticoi_coefs(
    pairs: itslive.ImagePairs,
    coefs: Sequence[float] = COEFS,
    *,
    settings: TicoiSettings = SETTINGS["recommended"],
    patch: Patch | None = None,
    predict: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    whole_days: bool = False,
    python: str | None = None,
) -> list[TicoiSeries]:
    """Run TICOI on one pixel with several coefficients, in one process.

    Parameters
    ----------
    pairs : ImagePairs
        Observations of the pixel.
    coefs : sequence of float
        Coefficients of regularisation [days].
    settings : TicoiSettings
    patch : Patch, optional
        The pixel with its neighbours; without, the pixel stands alone.
    predict : tuple of ndarray, shape (q,), optional
        Start and end of spans to average the estimate over [days since 1970-01-01].
    whole_days : bool
        Round dates to whole days first. TICOI cuts both dates and spans to whole days, each for itself, so
        that half of the real pairs lose a day of their span; rounding helps it over that.
    python : str, optional
        Interpreter of TICOI's environment; default: the environment variable TICOI_PYTHON.

    Returns
    -------
    list of TicoiSeries
        One for each coefficient.

    Raises
    ------
    TicoiError
        If the environment is not there, or TICOI fails in it.
    """
    interpreter = _interpreter(python)
    patch = Patch.alone(pairs) if patch is None else patch
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        patch.write(folder / "cube.nc", whole_days=whole_days)
        job = {
            "x": float(patch.x[patch.col]),
            "y": float(patch.y[patch.row]),
            "coefs": [float(c) for c in coefs],
            "preparation": settings.preparation,
            "inversion": settings.inversion,
        }
        (folder / "job.json").write_text(json.dumps(job))
        if predict is not None:
            spans = [np.rint(days) if whole_days else days for days in predict]
            np.savez(folder / "predict.npz", start=spans[0], end=spans[1])
        worker = Path(__file__).with_name("ticoi_worker.py")
        done = subprocess.run(
            [interpreter, "-I", str(worker), name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise TicoiError(f"TICOI failed with {interpreter}: {last}; see the README beside this file")
        with np.load(folder / "result.npz") as stored:
            result = dict(stored)
    return [
        TicoiSeries(
            **{name: result[f"{name}_{k}"] for name in ("time_start", "time_end", "vx", "vy")},
            coef=float(coef),
            cpu_seconds=float(result[f"cpu_seconds_{k}"]),
            prepare_cpu_seconds=float(result["prepare_cpu_seconds"]),
            patch_pixels=int(np.isfinite(patch.vx).any(axis=0).sum()),
            n_pairs=int(result["n_pairs"]),
            version=str(result["version"]),
            predicted=result.get(f"predicted_{k}"),
        )
        for k, coef in enumerate(coefs)
    ]


def best_coef(
    pairs: itslive.ImagePairs,
    score: Callable[[TicoiSeries], float],
    coefs: Sequence[float] = COEFS,
    **options: Any,
) -> tuple[TicoiSeries, list[float]]:
    """Find TICOI's best coefficient by a score that knows the truth.

    Parameters
    ----------
    pairs : ImagePairs
    score : callable
        Gives, say, the RMSE of a series; the least is best.
    coefs : sequence of float
    **options
        Of `run_ticoi_coefs`.

    Returns
    -------
    series : TicoiSeries
        The best.
    scores : list of float
        Of each coefficient.
    """
    found = run_ticoi_coefs(pairs, coefs, **options)
    scores = [float(score(series)) for series in found]
    return found[int(np.nanargmin(scores))], scores


def window_means(
    edges: NDArray[np.float64],
    values: NDArray[np.float64],
    starts: NDArray[np.float64],
    length: float = 30.0,
) -> NDArray[np.float64]:
    """Average a series of cell means over windows, weighting cells by their overlap: exact, any phase.

    Parameters
    ----------
    edges : ndarray, shape (M + 1,)
        Cell edges, ascending [days since 1970-01-01].
    values : ndarray, shape (M,) or (c, M)
        Cell means; NaN where unknown.
    starts : ndarray, shape (m,)
        Starts of the windows [days since 1970-01-01].
    length : float
        Length of the windows [days].

    Returns
    -------
    ndarray, shape (m,) or (c, m)
        NaN where a window touches an unknown cell or reaches outside the cells.
    """
    width = np.diff(edges)
    known = np.isfinite(values)
    ends = np.asarray(starts) + length

    def integral(cells: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate(([0.0], np.cumsum(cells * width)))
        return np.interp(ends, edges, total) - np.interp(starts, edges, total)

    seen = np.apply_along_axis(integral, -1, known.astype(float))
    means = np.apply_along_axis(integral, -1, np.where(known, values, 0.0)) / length
    return np.where(seen > length - 1e-6, means, np.nan)


def _interpreter(python: str | None) -> str:
    chosen = python or os.environ.get("TICOI_PYTHON")
    if chosen is None:
        raise TicoiError(
            "no environment with TICOI is known: make one as the README beside this file says, and set "
            "TICOI_PYTHON to its interpreter"
        )
    if not Path(chosen).exists():
        raise TicoiError(f"{chosen} is not there: set TICOI_PYTHON to the interpreter of TICOI's environment")
    return chosen


def _layers_at(cube: itslive.Datacube, row: int, col: int) -> NDArray[np.float64]:
    """Give vx and vy of every layer of the cube at a pixel; NaN where missing, shape (2, layers)."""
    block = cube.read_block(cube.block_of(row, col))
    where, _ = block.pixel(row, col)
    out = np.full((2, cube.n_pairs), np.nan)
    out[:, block.pair[where]] = block.vx[where], block.vy[where]
    return out


def _inside(centre: int, width: int, size: int) -> list[int]:
    """Give the rows or columns of a patch: as many as wanted, moved inward at the cube's border."""
    first = min(max(centre - width // 2, 0), max(size - width, 0))
    return list(range(first, min(first + width, size)))


def _dates(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return np.rint(days * 86_400e3).astype("int64").astype("datetime64[ms]").astype("datetime64[ns]")


def _known(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give missing formal errors the median of all, or 1: TICOI would drop the pairs without a word."""
    there = np.isfinite(errors)
    return np.where(there, errors, np.median(errors[there]) if there.any() else 1.0)
