"""How exact the band solver is: twenty real pixels against dense matrices.

    python benchmarks/exactness.py path/to/parlung.zarr [--pixels 20]

Prints, for derivatives 1 and 2 and intervals of 12 and 5 days at lambda = 10, the largest difference of the
series relative to its largest value, and the largest relative difference of the standard deviation.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import argparse

import numpy as np

import itslive_core as itslive
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.dense import DenseSolver
from itslive_core.inversion.solver import PixelBatch, SolveOptions
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid


def pixels_of(cube: itslive.Datacube, n: int) -> list[itslive.ImagePairs]:
    """Pick pixels from the emptiest to the busiest, evenly."""
    counts = np.zeros(cube.shape, dtype=int)
    for block in cube.blocks():
        counts[block.row0 : block.row1, block.col0 : block.col1] = np.diff(
            cube.read_block(block).offsets
        ).reshape(block.shape)
    order = np.argsort(counts, axis=None)
    order = order[counts.flat[order] > 100]
    chosen = order[np.linspace(0, len(order) - 1, n).round().astype(int)]
    rows, cols = np.unravel_index(chosen, cube.shape)
    return [cube.pairs_at(x=cube.x[c], y=cube.y[r]) for r, c in zip(rows, cols, strict=True)]


def batch_of(pairs: itslive.ImagePairs, interval: float) -> PixelBatch:
    """Put one pixel on its grid, unweighted."""
    n = len(pairs)
    grid = TimeGrid.covering(pairs.start, pairs.end, interval)
    shared = SharedPairs.make(pairs, np.ones(n, dtype=bool), grid)
    index = np.arange(n, dtype=np.int32)
    return PixelBatch(
        shared.operator, shared.span_id, np.array([0, n]), index, pairs.vx, pairs.vy, np.ones(n)
    )


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube")
    parser.add_argument("--pixels", type=int, default=20)
    options = parser.parse_args()
    pixels = pixels_of(itslive.open_cube(options.cube), options.pixels)
    print(
        f"{len(pixels)} pixels of {min(map(len, pixels)):,} to {max(map(len, pixels)):,} pairs, lambda = 10"
    )
    print("interval  derivative  series, relative  std, relative")
    for interval in (12.0, 5.0):
        for derivative in (1, 2):
            worst_v = worst_std = 0.0
            for pairs in pixels:
                batch = batch_of(pairs, interval)
                solve = SolveOptions(derivative, 10.0, robust=False, uncertainty=True)
                fast, slow = BandedSolver().solve(batch, solve), DenseSolver().solve(batch, solve)
                scale = np.nanmax(np.abs(slow.values))
                worst_v = max(worst_v, float(np.nanmax(np.abs(fast.values - slow.values)) / scale))
                worst_std = max(worst_std, float(np.nanmax(np.abs(fast.std / slow.std - 1))))
            print(f"{interval:6.0f} d  {derivative:10d}  {worst_v:16.1e}  {worst_std:13.1e}", flush=True)


if __name__ == "__main__":
    main()
