"""A small area of a known, spatially coherent truth, with few pairs at first and many later, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from itslive_core import ImagePairs, InversionSettings
from itslive_core.jobs.coupling import CoupledBlocks
from itslive_core.jobs.tasks import BlockTask
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid

__all__ = ["SimulatedArea", "solve"]

YEAR = 365.25
FIRST, DENSE, LAST = 14_000.0, 14_000.0 + 5 * YEAR, 14_000.0 + 7 * YEAR
SIDE = 5


@dataclass
class SimulatedArea:
    """Stands in for a cube: rows x columns of pixels, in blocks of 5 x 5.

    Parameters
    ----------
    shape : (int, int)
    noise : float
        Factor of the noise, 40 m/yr plus 900 m/yr d over the span.
    slope : float
        Change of the speed from pixel to pixel [m/yr].
    present : float
        Share of the pixels that each pair sees.
    """

    shape: tuple[int, int]
    noise: float = 1.0
    slope: float = 2.0
    present: float = 0.6
    seed: int = 0
    reads: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        sparse, dense = 110, 250
        start = np.concatenate([rng.uniform(FIRST, DENSE, sparse), rng.uniform(DENSE, LAST - 7, dense)])
        end = np.minimum(start + np.exp(rng.uniform(np.log(6.0), np.log(200.0), len(start))), LAST)
        sigma = 40.0 + 900.0 / (end - start)
        zero = np.zeros(len(start))
        self.pairs = ImagePairs.from_arrays(start, end, zero, zero, vx_error=sigma, vy_error=sigma)
        start, end = self.pairs.start, self.pairs.end
        rows, cols = np.indices(self.shape)
        self.level = 200.0 + self.slope * (rows + 0.5 * cols)
        phase = 2 * np.pi / YEAR
        mean = 1.0 + 0.05 * (np.cos(phase * start) - np.cos(phase * end)) / (phase * (end - start))
        truth = self.level[..., None] * mean
        self.seen = rng.random(truth.shape) < self.present
        scatter = self.noise * self.pairs.vx_error
        self.vx = truth + scatter * rng.normal(size=truth.shape)
        self.vy = 0.5 * truth + scatter * rng.normal(size=truth.shape)

    def truth(self, grid: TimeGrid) -> np.ndarray:
        """True vx of each cell, shape (rows, columns, M)."""
        phase = 2 * np.pi / YEAR
        a, b = grid.edges[:-1], grid.edges[1:]
        mean = 1.0 + 0.05 * (np.cos(phase * a) - np.cos(phase * b)) / (phase * (b - a))
        return self.level[..., None] * mean

    def read_block(self, block: Block, *, cache: bool = True) -> PixelBlock:
        """Read as a cube does."""
        self.reads.append(block)
        rows, cols = slice(block.row0, block.row1), slice(block.col0, block.col1)
        seen = self.seen[rows, cols].reshape(-1, len(self.pairs))
        pixel, pair = np.nonzero(seen)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(pixel, minlength=len(seen)))))
        vx, vy = (v[rows, cols].reshape(seen.shape)[pixel, pair] for v in (self.vx, self.vy))
        none = np.zeros(len(seen), dtype=np.int32)
        return PixelBlock(
            block, offsets, pair.astype(np.int32), vx.astype(np.float32), vy.astype(np.float32), none
        )

    def prepare(self, settings: InversionSettings) -> tuple[CoupledBlocks, SharedPairs, np.ndarray]:
        """Lay out all blocks; returns them, the pairs, and the mask of pairs."""
        mask = np.ones(len(self.pairs), dtype=bool)
        grid = TimeGrid.covering(self.pairs.start, self.pairs.end, settings.interval)
        shared = SharedPairs.make(self.pairs, mask, grid)
        ny, nx = self.shape
        tasks = [
            BlockTask(0, b, np.ones(b.shape, dtype=bool), b.row0, b.col0)
            for r in range(0, ny, SIDE)
            for c in range(0, nx, SIDE)
            for b in [Block(r, min(r + SIDE, ny), c, min(c + SIDE, nx))]
        ]
        return CoupledBlocks(self, tasks, settings), shared, mask  # type: ignore[arg-type]


def solve(blocks: CoupledBlocks, tasks: list[BlockTask], shared: SharedPairs, mask: np.ndarray) -> list:
    """Solve neighbouring blocks: results of coupled pixels, and estimates of each pixel for itself."""
    return blocks.solve(tasks, shared, blocks.fit(blocks.reach(tasks), shared, mask))
