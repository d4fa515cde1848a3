"""Speed and memory of a whole glacier, beside the dense algorithm and beside bare decoding.

    python benchmarks/glacier.py path/to/parlung.zarr path/to/parlung_outline.geojson [--rounds 5]

All contestants run in turn, round after round, in one process with one BLAS thread; ratios are of CPU
seconds and taken round by round. The dense algorithm is that of ITS_LIVE_TOOL: the pixel's rows of the
operator are stacked on the penalty, and the normal equations formed and solved for each component. "One
matrix" is the best of its kind: one product and one solve for both components. Both are run on a few pixels
and scaled to the glacier; their operator is built once and not counted, and their pixels are read beforehand.
"Whole command" is a fresh process of the command line, with imports, reading, inverting and writing.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numcodecs import get_codec

import itslive_core as itslive
from itslive_core.inversion.dense import difference_matrix
from itslive_core.jobs.plan import plan_area
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = itslive.InversionSettings(
    smoothing=10.0, weights="none", robust=False, outliers="none", uncertainty=False
)
CASES = {
    "read + invert": PLAIN,
    "read + invert + std": itslive.InversionSettings(
        smoothing=10.0, weights="none", robust=False, outliers="none"
    ),
    "robust (8 passes at most)": itslive.InversionSettings(
        smoothing=10.0, weights="none", outliers="none", uncertainty=False
    ),
    "robust, std": itslive.InversionSettings(smoothing=10.0, weights="none", outliers="none"),
    "lambda of highest evidence": itslive.InversionSettings(
        smoothing="evidence",
        weights="none",
        robust=False,
        outliers="none",
        uncertainty=False,
        noise="formal",
        offsets="none",
        smoothing_in_time="constant",
    ),
    "all defaults": itslive.InversionSettings(),
}


def cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a piece of work."""
    c, w = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - c, time.perf_counter() - w


def bare_decode(folder: Path) -> None:
    """Decompress every chunk of vx and vy, and do nothing with it."""
    for name in ("vx", "vy"):
        codec = get_codec(json.loads((folder / name / ".zarray").read_text())["compressor"])
        for chunk in sorted((folder / name).iterdir()):
            if not chunk.name.startswith("."):
                codec.decode(chunk.read_bytes())


class Dense:
    """The per-pixel dense algorithm on the glacier's own time axis."""

    def __init__(self, cube: itslive.Datacube) -> None:
        self.cube = cube
        table = cube.pair_table
        self.grid = TimeGrid.covering(table.start[table.usable], table.end[table.usable], 12.0)
        self.a = self.grid.operator(table.start, table.end).to_dense()
        self.d = 10.0 / 12.0**2 * difference_matrix(2, self.grid.size)

    def _observations(self, row: int, col: int) -> tuple[np.ndarray, np.ndarray]:
        block = self.cube.read_block(self.cube.block_of(row, col))
        where, _ = block.pixel(row, col)
        return self.a[block.pair[where]], np.stack([block.vx[where], block.vy[where]], axis=1).astype(float)

    def seed(self, row: int, col: int) -> list[np.ndarray]:
        """Do as ITS_LIVE_TOOL: stack operator and penalty, form and solve the normal equations, twice."""
        a, data = self._observations(row, col)
        solutions = []
        for component in data.T:
            stacked = np.vstack((a, self.d))
            padded = np.concatenate((component, np.zeros(len(self.d))))
            solutions.append(np.linalg.solve(stacked.T @ stacked, stacked.T @ padded))
        return solutions

    def shared(self, row: int, col: int) -> np.ndarray:
        """Do the same with one matrix for both components: the best of its kind."""
        a, data = self._observations(row, col)
        return np.linalg.solve(a.T @ a + self.d.T @ self.d, a.T @ data)


_LAUNCHER = """
import json, os, subprocess, sys, time
for line in sys.stdin:
    start = time.perf_counter()
    process = subprocess.Popen(json.loads(line))
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    print(json.dumps([status, usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024]), flush=True)
"""


class WholeCommand:
    """Runs the command line from a small process: a child's peak memory counts that of its parent too."""

    def __init__(self, cube: str, outline: str) -> None:
        self.arguments = [
            cube,
            "--outline",
            outline,
            "--preset",
            "itslive-tool",
            "--no-uncertainty",
            "--quiet",
        ]
        self.launcher = subprocess.Popen(
            [sys.executable, "-S", "-c", _LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self) -> tuple[float, float, float]:
        """Run it once; returns CPU seconds, wall seconds and the peak memory [MB]."""
        assert self.launcher.stdin is not None
        assert self.launcher.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "itslive_core.cli",
                "invert",
                *self.arguments,
                "-o",
                f"{folder}/out.zarr",
            ]
            self.launcher.stdin.write(json.dumps(command) + "\n")
            self.launcher.stdin.flush()
            status, cpu_seconds, wall, peak = json.loads(self.launcher.stdout.readline())
        if status:
            raise SystemExit(f"the command failed with {status}")
        return cpu_seconds, wall, peak


def main() -> None:
    """Run all contestants in turn and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube")
    parser.add_argument("outline")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dense-pixels", type=int, default=4)
    options = parser.parse_args()
    cube = itslive.open_cube(options.cube)
    plan = plan_area(cube, options.outline)
    rows, cols = np.nonzero(np.isin(cube.y, plan.y)[:, None] & np.isin(cube.x, plan.x))
    inside = plan.mask[
        np.searchsorted(-plan.y, -cube.y[rows]), np.searchsorted(plan.x, cube.x[cols])
    ]  # y descends
    rows, cols = rows[inside], cols[inside]
    n = len(rows)
    command = WholeCommand(options.cube, options.outline)
    print(f"{n} pixels, {cube.n_pairs:,} pairs, {len(os.sched_getaffinity(0))} cores")
    dense = Dense(cube)
    rng = np.random.default_rng(0)

    def engine(settings: itslive.InversionSettings) -> None:
        solved = sum(
            r.n_solved for r in itslive.run_glacier(cube_for_engine, options.outline, settings, workers=1)
        )
        assert solved == n

    cube_for_engine = itslive.open_cube(options.cube, cache_bytes=0)
    engine(itslive.InversionSettings())  # compile or load the kernels
    dense.seed(rows[0], cols[0])
    decode: list[float] = []
    slow: list[float] = []
    better: list[float] = []
    fast: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    commands: list[tuple[float, float, float]] = []
    command.run()
    for _ in range(options.rounds):
        chosen = rng.integers(0, n, options.dense_pixels)
        for i in chosen:
            cube.read_block(
                cube.block_of(rows[i], cols[i])
            )  # the dense algorithm gets its pixels for nothing
        work = [(dense.seed, slow), (dense.shared, better)]
        for solve, times in work:
            c, _ = cpu(lambda solve=solve, chosen=chosen: [solve(rows[i], cols[i]) for i in chosen])  # type: ignore[misc]
            times.append(c / options.dense_pixels * n)
        decode.append(cpu(lambda: bare_decode(Path(options.cube)))[0])
        for name, settings in CASES.items():
            fast[name].append(cpu(lambda settings=settings: engine(settings)))  # type: ignore[misc]
        commands.append(command.run())
    print(f"dense, as ITS_LIVE_TOOL: median {np.median(slow):.0f} CPU s ({options.dense_pixels} px a round)")
    print(f"dense, one matrix:       median {np.median(better):.0f} CPU s")
    print(f"bare decoding of vx and vy: median {np.median(decode):.2f} CPU s")
    print("                        CPU s   wall s   dense / this (min - max)   one matrix / this   / decode")
    for name, measured in (*fast.items(), ("whole command", commands)):
        c = np.array([t[0] for t in measured])
        ratio = np.array(slow) / c
        print(
            f"{name:20s} {np.median(c):8.2f} {np.median([t[1] for t in measured]):8.2f}"
            f" {np.median(ratio):10.0f} ({ratio.min():.0f} - {ratio.max():.0f})"
            f" {np.median(np.array(better) / c):15.0f}"
            f" {np.median(c / np.array(decode)):19.2f}"
        )
    print(f"peak memory of the whole command: {max(t[2] for t in commands):.0f} MB")
    print(f"peak memory of this process, dense matrices included: {_peak():.0f} MB")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
