"""Whole jobs over synthetic cubes: blocks of more pixels, two workers, a hundred thousand pixels."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import itslive_core as itslive
from costs.clock import Costs, cpu_seconds, grow
from costs.cubes import write_cube
from costs.memory import Taken, in_a_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from itslive_core.settings import Settings

__all__ = ["AREA_SETTINGS", "JOBS", "SPEED_UP_JOBS", "area", "pixels", "workers"]

_PLAIN = itslive.InversionSettings(smoothing=10.0, weights="none", robust=False, outliers="none")
_DEFAULTS = itslive.InversionSettings()

JOBS: dict[str, Settings] = {
    "inversion, λ given, with std": _PLAIN,
    "inversion, every default": _DEFAULTS,
    "inversion, every default, each pixel alone": replace(_DEFAULTS, learn="pixel"),
    "Gaussian process": itslive.GaussianProcessSettings(),
    "moving median": itslive.MovingMedianSettings(),
}
"""Settings of jobs, by name; cells of 12 days."""
SPEED_UP_JOBS = ("inversion, λ given, with std", "inversion, every default")

_LAYERS, _YEARS = 1000, 10.0
_BLOCKS = 16
"""Blocks of the cube for two workers; each of 8 x 8 pixels."""

AREA_SETTINGS: dict[str, Settings] = {
    "cheap": replace(_PLAIN, interval=48.0),
    "every default": itslive.InversionSettings(interval=48.0),
}
_AREA_LAYERS, _AREA_YEARS = 300, 6.0
_AREA_CUBES = 4


def _run(paths: Sequence[Path], settings: Settings, workers: int, store: Path | None = None) -> int:
    """Run a job over whole cubes, opened anew; returns the number of pixels that were solved."""
    cubes = [itslive.open_cube(path) for path in paths]
    blocks = itslive.run_glacier(cubes, None, settings, store, whole=True, workers=workers)
    return sum(block.n_solved for block in blocks)


def pixels(sides: Sequence[int], rounds: int, patience: float) -> Costs:
    """Measure jobs of one block of side x side pixels.

    Parameters
    ----------
    sides : sequence of int
        Ascending.
    rounds, patience
        As for `costs.clock.grow`.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = {side**2: Path(folder) / f"{side}.zarr" for side in sides}
        for side, path in zip(sides, paths.values(), strict=True):
            write_cube(path, (side, side), _LAYERS, years=_YEARS, chunk=(side, side))
        least = min(paths)

        def make(settings: Settings, size: int) -> Callable[[], float]:
            if size == least:
                _run([paths[size]], settings, 1)  # loads the kernels
            return lambda: cpu_seconds(lambda: _run([paths[size]], settings, 1))

        contestants = {name: partial(make, settings) for name, settings in JOBS.items()}
        return grow(contestants, paths, rounds, patience)


def workers(rounds: int) -> dict[str, dict[str, list[list[float]]]]:
    """Measure jobs with one worker and with two, in turn.

    Returns
    -------
    dict
        By name of the job and number of workers: wall and CPU seconds of each round.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.zarr"
        write_cube(path, (8, 8 * _BLOCKS), _LAYERS, years=_YEARS, chunk=(8, 8))
        found: dict[str, dict[str, list[list[float]]]] = {name: {"1": [], "2": []} for name in SPEED_UP_JOBS}
        for name, taken in found.items():
            _run([path], JOBS[name], 2)  # loads the kernels
            for _ in range(rounds):
                for count, rows in taken.items():
                    wall, cpu = time.perf_counter(), time.process_time()
                    _run([path], JOBS[name], int(count))
                    rows.append([time.perf_counter() - wall, time.process_time() - cpu])
            for count, rows in taken.items():
                print(
                    f"{name}, {count} workers: wall and CPU s {np.median(rows, axis=0).round(2)}", flush=True
                )
        return found


def _area(paths: Sequence[Path], settings: Settings, store: Path) -> Callable[[], dict[str, Any]]:
    itslive.warm_up("reading", "inversion")
    process = psutil.Process()

    def run() -> dict[str, Any]:
        cubes = [itslive.open_cube(path) for path in paths]
        solved, course = 0, []
        blocks = itslive.run_glacier(cubes, None, settings, store, whole=True)
        for block in blocks:
            if block.error is not None:
                raise RuntimeError(block.error)
            solved += block.n_solved
            course.append(process.memory_info().rss / 2**20)
        tenths = np.array_split(course, 10)
        return {"pixels": solved, "course": [float(np.mean(part)) for part in tenths if len(part)]}

    return run


def area(counts: Sequence[int], settings: str) -> dict[str, Taken]:
    """Run jobs of so many pixels over four cubes, each in a process of its own, into a store.

    Parameters
    ----------
    counts : sequence of int
        Pixels in all; each of the four cubes is as high and wide as holds a quarter of them in whole blocks
        of 10 x 10.
    settings : str
        One of `AREA_SETTINGS`.

    Returns
    -------
    dict of dict
        By number of pixels: what it took; told are the pixels that were solved, and the memory [MB] over
        tenths of the blocks.
    """
    found = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            blocks = max(round(count / _AREA_CUBES / 100), 1)
            high = max(d for d in range(1, int(np.sqrt(blocks)) + 1) if blocks % d == 0)
            rows, cols = 10 * high, 10 * (blocks // high)
            paths = [Path(folder) / f"{number}.zarr" for number in range(_AREA_CUBES)]
            for number, path in enumerate(paths):
                write_cube(
                    path, (rows, cols), _AREA_LAYERS, years=_AREA_YEARS, column=number * cols, seed=number
                )
            taken = in_a_process(_area, paths, AREA_SETTINGS[settings], Path(folder) / "out.zarr")
        found[str(taken["told"]["pixels"])] = taken
        print(
            f"{settings}, {taken['told']['pixels']:,} pixels: {taken['cpu']:.1f} CPU s, {taken['wall']:.1f} s"
            f" wall, peak {taken['peak']:.0f} MB ({taken['before']:.0f} MB before)",
            flush=True,
        )
    return found
