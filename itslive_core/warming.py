"""Loading or compiling the kernels before somebody waits for them."""

from __future__ import annotations

from itslive_core.gaussian_process.point import fit_gaussian_process
from itslive_core.inversion.point import invert
from itslive_core.inversion.settings import InversionSettings
from itslive_core.observations.pairs import ImagePairs
from itslive_core.season.point import fit_season

__all__ = ["warm_up"]


def warm_up() -> None:
    """Run every compiled kernel once on a toy problem.

    The first run on a machine compiles them (35 seconds were measured) and caches the result on disk; later
    processes load it in about a second.
    """
    import numpy as np

    from itslive_core.observations.blocks import (
        Block,
        PixelBlock,
        gather_chunk,
        median_velocity,
        merge_chunks,
    )

    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0.0, 900.0, 60))
    end = start + rng.uniform(4.0, 90.0, 60)
    pairs = ImagePairs.from_arrays(start, end, rng.normal(100, 5, 60), rng.normal(50, 5, 60))
    plain = InversionSettings(
        smoothing=10.0, weights="none", robust=False, max_angle=180.0, max_deviation=1000.0
    )
    for settings in (InversionSettings(), plain):
        invert(pairs, settings)
    _couple(pairs)
    fit_season(pairs)
    fit_gaussian_process(pairs)
    marker = np.array([-32767, -32767], dtype=np.int16)
    chunk = np.full((4, 4), 7, dtype=np.int16)
    # Chunks arrive both as fresh arrays and as read-only views of a buffer, which are types of their own.
    counts, layers, vx, vy, partial = gather_chunk(chunk, chunk, 0, marker, marker)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    for column in (layers, vx):
        merge_chunks(counts[None, :], offsets, column, np.empty_like(column), 0)
    pixels = PixelBlock(Block(0, 2, 0, 2), offsets, layers, vx, vy, partial)
    median_velocity(pixels.keep(np.ones(4, dtype=bool)))


def _couple(pairs: ImagePairs) -> None:
    """Run the kernels of spatial smoothing, on two pixels with the same pairs."""
    import numpy as np

    from itslive_core.inversion.prepare import SharedPairs
    from itslive_core.neighbours.coupled import CoupledPixels
    from itslive_core.observations.time_grid import TimeGrid

    n = len(pairs)
    grid = TimeGrid.covering(pairs.start, pairs.end, 48.0)
    shared = SharedPairs.make(pairs, np.ones(n, dtype=bool), grid)
    pair = np.tile(np.arange(n, dtype=np.int32), 2)
    vx, vy, weights = (np.tile(values, 2) for values in (pairs.vx, pairs.vy, np.ones(n)))
    beside = np.array([[1, -1, -1, -1], [0, -1, -1, -1]])
    two = CoupledPixels.make(
        shared.operator, np.array([0, n, 2 * n]), pair, vx, vy, weights, derivative=2,
        smoothing=np.full(2, 100.0), profile=None, values=np.zeros((2, 2, grid.size)), neighbours=beside,
        red=np.array([True, False]),
    )  # fmt: skip
    held = np.arange(n) % 5 == 0
    two.score(two.without(held).solve(0.1).flat, held)
    two.variance_ratio(0.1, np.arange(2))
    two.residual_products()
