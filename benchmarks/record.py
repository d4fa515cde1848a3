"""A record of what the project computes, to prove that moving and renaming code changes no bit of any result.

    python benchmarks/record.py path/to/parlung.zarr path/to/parlung_outline.geojson -o before.npz
    python benchmarks/record.py path/to/parlung.zarr path/to/parlung_outline.geojson -o after.npz
    python benchmarks/record.py --compare before.npz after.npz [--tolerance 1e-12]

Only public names are used, so that the script itself survives every move. `--only season` takes just the
cases whose name holds "season", when recording as well as when comparing.

Comparing prints a line for each case and ends with exit code 1 if any bit differs; NaN equals NaN, 0 is not
-0. Where compiled kernels are restructured, machine code may round otherwise although the algorithm is the
same: `--tolerance R` allows differences of R times the largest absolute value of each array, and says where
they are. Records are comparable where they come from one machine and one set of libraries.

Everything runs on one BLAS thread, and areas with a fixed number of workers. Left out are attributes that
tell paths, versions or times of creation, and what needs the network or a GPU.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import xarray as xr
import zarr
from record_arrays import flatten
from record_compare import compare

import itslive_core as itslive
from itslive_core import demo, export

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FORMAL = {"noise": "formal", "offsets": "none", "smoothing_in_time": "constant"}
"""Nothing is learnt but lambda."""
TIERS: dict[str, dict[str, Any]] = {
    "lambda 30": {"smoothing": 30.0},
    "lambda 30, not robust": {"smoothing": 30.0, "robust": False},
    "lambda 30, not robust, none": {"smoothing": 30.0, "robust": False, "weights": "none"},
    "lambda 30, weights error, k 1, 5 d": {
        "smoothing": 30.0, "robust": False, "weights": "error", "derivative": 1, "interval": 5.0,
    },
    "lambda 30, weights span, k 1, 5 d": {
        "smoothing": 30.0, "robust": False, "weights": "span", "derivative": 1, "interval": 5.0,
    },
    "lambda 30, no std": {"smoothing": 30.0, "uncertainty": False},
    "lambda 30, outliers none": {"smoothing": 30.0, "outliers": "none"},
    "lambda 30, noise": {"smoothing": 30.0, "noise": "learnt"},
    "lambda 30, offsets": {"smoothing": 30.0, "offsets": "mission"},
    "lambda 30, offsets, not robust": {"smoothing": 30.0, "offsets": "mission", "robust": False},
    "lambda 30, varying": {"smoothing": 30.0, "smoothing_in_time": "varying"},
    "lambda 30, varying, k 1": {"smoothing": 30.0, "smoothing_in_time": "varying", "derivative": 1},
    "lambda 30, all learnt": {
        "smoothing": 30.0, "noise": "learnt", "offsets": "mission", "smoothing_in_time": "varying",
    },
    "evidence, formal": {"smoothing": "evidence", **FORMAL},
    "gcv, formal": {"smoothing": "gcv", **FORMAL},
    "auto, formal": {"smoothing": "auto", **FORMAL},
    "auto, formal, not robust": {"smoothing": "auto", "robust": False, **FORMAL},
    "evidence": {"smoothing": "evidence"},
    "gcv": {"smoothing": "gcv"},
    "auto": {},
    "auto, not robust": {"robust": False},
    "auto, no std": {"uncertainty": False},
    "auto, weights none": {"weights": "none"},
    "auto, weights span": {"weights": "span"},
    "auto, no noise": {"noise": "formal"},
    "auto, no offsets": {"offsets": "none"},
    "auto, constant": {"smoothing_in_time": "constant"},
    "auto, outliers none": {"outliers": "none"},
    "max error": {"smoothing": 30.0, "max_error": 30.0},
    "max angle": {"smoothing": 30.0, "max_angle": 45.0},
    "max deviation": {"smoothing": 30.0, "max_deviation": 3.5},
    "all limits, auto": {"max_error": 50.0, "max_angle": 60.0, "max_deviation": 5.0},
}  # fmt: skip
FEW_PIXELS: dict[str, dict[str, Any]] = {
    "lambda 10, 1 d": {"smoothing": 10.0, "interval": 1.0, "robust": False},
    "auto, 5 d, k 1": {"interval": 5.0, "derivative": 1},
    "auto, 60 d": {"interval": 60.0},
}
"""Tiers that take long, or add little: at three pixels."""
PRESETS = ("recommended", "slow glacier", "ice sheet", "itslive-tool")
SELECTIONS: dict[str, dict[str, Any]] = {
    "dates": {"start": "2015", "end": "2019-06"},
    "mission": {"mission": ("S1", "S2")},
    "satellite": {"satellite": ("8",)},
    "spans": {"min_span": 10.0, "max_span": 100.0},
    "everything": {"start": "2014-03-05", "end": "2021", "mission": ("L8_9",), "max_span": 400.0},
    "nothing left": {"start": "2100"},
}
GAUSSIAN: dict[str, tuple[int, dict[str, Any]]] = {
    "defaults": (4, {}),
    "no season": (4, {"season": False}),
    "no trend, no offsets": (2, {"trend": False, "offsets": False}),
    "24 d, 2 harmonics, limits": (2, {"interval": 24.0, "harmonics": 2, "max_deviation": 5.0}),
}
"""Number of pixels, and settings."""
WORKERS = 2


@dataclass
class Subject:
    """What is recorded: a cube, an outline, and pixels of the cube."""

    cube_path: str
    outline_path: str

    @cached_property
    def cube(self) -> itslive.Datacube:
        """The cube."""
        return itslive.open_cube(self.cube_path)

    @cached_property
    def glacier(self) -> itslive.Glacier:
        """The glacier of the outline."""
        return itslive.Glacier.from_file(self.outline_path)

    @cached_property
    def pixels(self) -> dict[str, itslive.ImagePairs]:
        """Twenty pixels by name: 13 of all speeds on ice, 4 beside it, one with most pairs, two with fewest.

        The first six are the fastest, one of rock, one of middling speed, those with fewest and most pairs,
        and the slowest.
        """
        box = pyproj.Transformer.from_crs(self.cube.crs, 4326, always_xy=True).transform_bounds(
            *self.cube.bounds
        )
        found = [
            np.stack(np.broadcast_arrays(b.y[:, None], b.x, b.v, b.n_pairs), axis=-1).reshape(-1, 4)
            for b in itslive.read_glacier(self.cube, bbox=box)
        ]
        y, x, speed, count = np.concatenate(found).T
        group = zarr.open_group(self.cube_path, mode="r")
        rows, columns = (
            {float(centre): i for i, centre in enumerate(np.asarray(group[axis][:]))} for axis in ("y", "x")
        )
        row, column = np.array([rows[one] for one in y]), np.array([columns[one] for one in x])
        ice = np.asarray(group["landice"][:])[row, column] == 1
        many = count > 300
        chosen: list[int] = []

        def pick(where: NDArray[np.bool_], key: NDArray[np.float64], number: int) -> list[int]:
            candidates = np.flatnonzero(where & ~np.isin(np.arange(len(x)), chosen))
            order = candidates[np.lexsort((column[candidates], row[candidates], -key[candidates]))]
            picked = order[np.linspace(0, len(order) - 1, number).round().astype(int)].tolist()
            chosen.extend(picked)
            return picked

        least = pick(many, -count, 1)
        most, _ = pick(many, count, 2)
        rock = pick(many & ~ice, speed, 4)
        speeds = pick(many & ice, speed, 13)
        first = [speeds[0], rock[0], speeds[6], least[0], most, speeds[12]]
        order = [*first, *(each for each in chosen if each not in first)]
        return {
            f"row {row[i]} column {column[i]}": self.cube.pairs_at(x=float(x[i]), y=float(y[i]))
            for i in order
        }

    def some(self, number: int) -> list[tuple[str, itslive.ImagePairs]]:
        """Give the first pixels."""
        return list(self.pixels.items())[:number]

    def box(self, half: float) -> tuple[float, float, float, float]:
        """Give a box in WGS 84 around the fastest pixel, half a width in metres."""
        middle = next(iter(self.pixels.values()))
        assert middle.lon is not None
        assert middle.lat is not None
        high = half / 111e3
        wide = high / np.cos(np.radians(middle.lat))
        return middle.lon - wide, middle.lat - high, middle.lon + wide, middle.lat + high


def inversions(subject: Subject, settings: itslive.InversionSettings, number: int) -> dict[str, Any]:
    return {name: itslive.invert(pairs, settings) for name, pairs in subject.some(number)}


def selections(subject: Subject, selection: itslive.PairSelection) -> dict[str, Any]:
    settings = itslive.InversionSettings(smoothing=30.0)
    return {
        name: {
            "pairs": pairs.select(selection),
            "series": itslive.invert(pairs, settings, selection=selection),
            "season": itslive.fit_season(pairs, selection=selection),
        }
        for name, pairs in subject.some(3)
    }


def pairs_and_tables(subject: Subject) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, pairs in subject.some(20):
        out[name] = {
            "start": pairs.start, "end": pairs.end, "mid": pairs.mid, "table": pairs.to_dataframe(),
            "exported": export.pairs_table(pairs), "history": pairs.history,
            "place": [pairs.x, pairs.y, pairs.lon, pairs.lat, pairs.epsg, pairs.n_read],
        }  # fmt: skip
    name, pairs = subject.some(1)[0]
    again = itslive.ImagePairs.from_dataframe(pairs.to_dataframe(), x=pairs.x, y=pairs.y, epsg=pairs.epsg)
    out["again"] = {"table": again.to_dataframe(), "history": again.history}
    return out


def files(subject: Subject) -> dict[str, Any]:
    """Record what is written for a point, as text."""
    _, pairs = subject.some(1)[0]
    series, season = itslive.invert(pairs), itslive.fit_season(pairs)
    gaussian = itslive.fit_gaussian_process(pairs)
    out: dict[str, Any] = {"series": export.series_table(series), "season": export.season_table(season)}
    with tempfile.TemporaryDirectory() as folder:
        for write, result, suffixes in (
            (export.write_series, series, (".csv", ".nc")),
            (export.write_series, gaussian, (".csv", ".nc")),
            (export.write_season, season, (".csv",)),
            (export.write_pairs, pairs, (".csv",)),
        ):
            for suffix in suffixes:
                path = Path(folder) / f"{len(out)}{suffix}"
                write(result, path)
                if suffix == ".csv":
                    out[path.name] = path.read_text(encoding="utf-8").splitlines()
                else:
                    with xr.open_dataset(path) as ds:
                        out[path.name] = ds.load()
    return out


def odd_pairs() -> dict[str, Any]:
    """Record what comes of hardly any pairs, of swapped dates and of missing values."""
    start = np.array([18000.0, 18012.0, 18036.0, 18024.0, np.nan, 18100.0, 18110.0])
    end = np.array([18012.0, 18024.0, 18012.0, 18048.0, 18100.0, 18100.0, 18150.0])
    vx, vy = np.array([100.0, 110.0, 90.0, 120.0, 100.0, 100.0, np.nan]), np.linspace(-40.0, 40.0, 7)
    out: dict[str, Any] = {}
    for n in (0, 1, 3, 4, 7):
        pairs = itslive.ImagePairs.from_arrays(
            start[:n], end[:n], vx[:n], vy[:n], satellite_1=["1A", "2B", "8", "9", "7", "5", "4"][:n],
            satellite_2=["1A", "2A", "8", "8", "7", "5", "5"][:n],
        )  # fmt: skip
        out[f"{n} pairs"] = {
            "pairs": pairs,
            "fixed": itslive.invert(pairs, itslive.InversionSettings(smoothing=30.0, derivative=1)),
            "auto": itslive.invert(pairs),
            "gaussian": itslive.fit_gaussian_process(pairs),
            "season": itslive.fit_season(pairs),
            "diagnosis": itslive.diagnose(pairs),
        }
    return out


def gaussian_processes(
    subject: Subject, settings: itslive.GaussianProcessSettings, number: int
) -> dict[str, Any]:
    return {
        name: dict(enumerate(itslive.fit_gaussian_process_steps(pairs, settings)))
        for name, pairs in subject.some(number)
    }


def reference_process(subject: Subject) -> dict[str, Any]:
    """Record scikit-learn's process, whose cost is cubic, with a few pairs of one pixel."""
    settings = itslive.GaussianProcessSettings(method="sklearn", interval=24.0)
    name, pairs = next(iter(subject.pixels.items()))
    few = pairs.take(np.arange(0, len(pairs), len(pairs) // 120))
    return {name: itslive.fit_gaussian_process(few, settings)}


def seasons(subject: Subject) -> dict[str, Any]:
    plain_fit = itslive.InversionSettings(weights="none", robust=False, outliers="none")
    by_span = itslive.InversionSettings(weights="span", max_deviation=5.0)
    out: dict[str, Any] = {}
    for name, pairs in subject.some(6):
        out[name] = {
            "defaults": itslive.fit_season(pairs),
            "plain": itslive.fit_season(pairs, plain_fit),
            "span": itslive.fit_season(pairs, by_span),
            "sigma": itslive.fit_season(pairs, sigma=5.0 + 100.0 / pairs.span, inflation=3.0),
        }
    return out


def diagnoses(subject: Subject) -> dict[str, Any]:
    fixed = itslive.InversionSettings(smoothing=30.0, weights="span")
    return {
        name: {"defaults": itslive.diagnose(pairs), "fixed": itslive.diagnose(pairs, fixed)}
        for name, pairs in subject.some(3)
    }


def smoothing_curves(subject: Subject) -> dict[str, Any]:
    fixed = itslive.InversionSettings(smoothing=30.0, derivative=1)
    return {
        name: {
            "defaults": itslive.smoothing_curve(pairs),
            "fixed": itslive.smoothing_curve(pairs, fixed, smoothing=[1.0, 10.0, 100.0]),
        }
        for name, pairs in subject.some(2)
    }


def overview(subject: Subject, **options: Any) -> dict[str, Any]:
    blocks = itslive.read_glacier(subject.cube, subject.glacier, workers=WORKERS, **options)
    named = {f"y {block.y[0]:.0f} x {block.x[0]:.0f}": block for block in blocks}
    kept = ("x", "y", "vx", "vy", "v", "n_pairs", "season", "total")
    return {name: {key: getattr(named[name], key) for key in kept} for name in sorted(named)}


def area(cubes: Any, outline: Any, settings: Any, **options: Any) -> dict[str, Any]:
    """Record an area's blocks as they are given, and the store that they were written to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "area.zarr"
        blocks = list(itslive.run_glacier(cubes, outline, settings, path, workers=WORKERS, **options))
        with xr.open_zarr(path, consolidated=True) as ds:
            store = ds.load()
    out: dict[str, Any] = {"store": store}
    for block in sorted(blocks, key=lambda each: each.name):
        out[block.name] = {
            "facts": [block.n_pixels, block.n_solved, block.total],
            "error": block.error or "",
            "before": block.before,
            "dataset": {} if block.dataset is None else block.dataset,
        }
    return out


def area_in_box(subject: Subject, half: float, settings: Any, **options: Any) -> dict[str, Any]:
    return area(subject.cube, None, settings, bbox=subject.box(half), **options)


def glacier_facts(subject: Subject) -> dict[str, Any]:
    glacier, cube = subject.glacier, subject.cube
    west, south, east, north = glacier.outline.bounds
    places = [(lon, lat) for lon in np.linspace(west, east, 9) for lat in np.linspace(south, north, 9)]
    return {
        "glacier": [glacier.area_km2, *glacier.centre, west, south, east, north],
        "words": [str(glacier.rgi_id), str(glacier.name), glacier.label],
        "covers": [glacier.covers(lon, lat) for lon, lat in places],
        "cube": [*cube.bounds, *cube.shape, cube.n_pairs, cube.crs.to_epsg()],
        "pixels": list(subject.pixels),
    }


def of_demo() -> dict[str, Any]:
    """Record the synthetic cubes: their truth, two points of each, and an area that both hold part of."""
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = demo.make_demo(folder)
        with xr.open_dataset(made.truth) as truth:
            out["truth"] = truth.load()
        cubes = [itslive.open_cube(path) for path in made.cubes]
        for number, cube in enumerate(cubes):
            xmin, ymin, xmax, ymax = cube.bounds
            for share in (0.35, 0.5):
                pairs = cube.pairs_at(x=xmin + share * (xmax - xmin), y=ymin + share * (ymax - ymin))
                out[f"cube {number} at {share}"] = {
                    "pairs": pairs.to_dataframe(),
                    "series": itslive.invert(pairs),
                    "season": itslive.fit_season(pairs),
                }
        glaciers = itslive.Glacier.list_from_file(made.outlines)
        out["outlines"] = [[each.area_km2, *each.centre] for each in glaciers]
        quick = itslive.InversionSettings.preset("itslive-tool")
        out["area"] = area(cubes, glaciers[0], quick, selection=itslive.PairSelection(start="2019"))
    return out


def cases(subject: Subject) -> dict[str, Callable[[], Any]]:
    """Name everything that is recorded."""
    inversion, gaussian = itslive.InversionSettings, itslive.GaussianProcessSettings
    out: dict[str, Callable[[], Any]] = {
        "glacier and cube": partial(glacier_facts, subject),
        "pairs": partial(pairs_and_tables, subject),
        "overview": partial(overview, subject),
        "overview, season": partial(overview, subject, season=True),
        "overview, selection": partial(overview, subject, selection=itslive.PairSelection(mission=("S2",))),
    }
    for name in PRESETS:
        out[f"preset {name}"] = partial(inversions, subject, inversion.preset(name), 20)
    for name, values in TIERS.items():
        out[f"invert, {name}"] = partial(inversions, subject, inversion(**values), 20)
    for name, values in FEW_PIXELS.items():
        out[f"invert, {name}"] = partial(inversions, subject, inversion(**values), 3)
    for name, values in SELECTIONS.items():
        out[f"selection, {name}"] = partial(selections, subject, itslive.PairSelection(**values))
    for name, (number, values) in GAUSSIAN.items():
        out[f"gp, {name}"] = partial(gaussian_processes, subject, gaussian(**values), number)
    quick = inversion.preset("itslive-tool")
    return out | {
        "gp, sklearn": partial(reference_process, subject),
        "season": partial(seasons, subject),
        "diagnose": partial(diagnoses, subject),
        "smoothing curve": partial(smoothing_curves, subject),
        "odd pairs": odd_pairs,
        "files": partial(files, subject),
        "area, itslive-tool, outline": lambda: area(subject.cube, subject.glacier, quick),
        "area, defaults": partial(area_in_box, subject, 500.0, inversion()),
        "area, ice sheet": partial(area_in_box, subject, 500.0, inversion.preset("ice sheet"), season=False),
        "area, coupled": partial(area_in_box, subject, 500.0, inversion(spatial_smoothing=0.3)),
        "area, coupled, lambda 30": partial(
            area_in_box, subject, 500.0, inversion(smoothing=30.0, spatial_smoothing=0.3)
        ),
        "area, coupled, auto": partial(area_in_box, subject, 500.0, inversion(spatial_smoothing="auto")),
        "area, gp": partial(area_in_box, subject, 150.0, gaussian(interval=24.0)),
        "demo": of_demo,
    }


def record(subject: Subject, only: str, path: Path) -> None:
    """Compute all cases and write them, each in a process of its own.

    The last bits of a case depend on what its process did before: the preset "itslive-tool" at one pixel
    differs by up to 5e-13 after an inversion with the defaults, though the kernel was compiled for the same
    types. Perhaps compiled kernels share the copy of an inner function that was loaded first.
    """
    for name in itslive.__all__:
        getattr(itslive, name)  # is imported once for all
    arrays: dict[str, NDArray[Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, compute) in enumerate(cases(subject).items()):
            if only not in name:
                continue
            part = Path(folder) / f"{number}.npz"
            process = get_context("fork").Process(target=record_case, args=(name, compute, part))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{name}: failed")
            with np.load(part) as found:
                arrays |= found
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def record_case(name: str, compute: Callable[[], Any], path: Path) -> None:
    """Compute one case and write it."""
    start = time.process_time()
    warnings.simplefilter("ignore")
    found = dict(flatten(compute(), name))
    print(f"{name:40} {len(found):6} arrays {time.process_time() - start:7.1f} CPU s", flush=True)
    np.savez(path, **found)  # type: ignore[arg-type]


def main() -> int:
    """Record, or compare two records."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube", nargs="?")
    parser.add_argument("outline", nargs="?")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="R")
    parser.add_argument("--only", default="", metavar="TEXT")
    options = parser.parse_args()
    if options.compare:
        return int(compare(*options.compare, options.only, options.tolerance))
    if options.outline is None or options.output is None:
        parser.error("give CUBE OUTLINE -o FILE, or --compare BEFORE AFTER")
    record(Subject(options.cube, options.outline), options.only, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
