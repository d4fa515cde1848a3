"""A simulated block of slow and fast ice, for tests of pixels that learn together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.pairs import ImagePairs
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.surroundings import Surroundings
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.memo import Memo

if TYPE_CHECKING:
    from itslive_core.inversion.settings import InversionSettings

SIDE = 4
SLOW, FAST = 20.0, 600.0
POOR = (1, 6)
"""Pixels with few pairs: a slow one, and a fast one beside the margin."""


class SimulatedBlock:
    """A block of 4 x 4 pixels, two columns of slow and two of fast ice, with one season."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        total = 1200
        start = np.sort(17_000.0 + rng.integers(0, 4 * 365, total) + 0.43)
        end = start + rng.choice([12.0, 16.0, 24.0, 48.0, 96.0], total)
        number = np.arange(total)
        self.pairs = ImagePairs.from_arrays(
            start,
            end,
            np.zeros(total),
            np.zeros(total),
            vx_error=np.full(total, 20.0),
            vy_error=np.full(total, 20.0),
            satellite_1=np.where(number % 3, "2A", "8"),
            satellite_2=np.where(number % 3, "2A", "8"),  # 2B flies since 2017 only
        )
        self.speed = np.where(np.arange(SIDE * SIDE) % SIDE < 2, SLOW, FAST)
        pair, vx, vy, counts = [], [], [], []
        for p, speed in enumerate(self.speed):
            n = 80 if p in POOR else 700
            rows = np.sort(rng.choice(total, n, replace=False))
            fine = (start[rows, None] + (np.arange(20) + 0.5) / 20 * (end - start)[rows, None]) / 365.25
            noise = rng.normal(0, 300.0 / (end - start)[rows], (2, n))
            pair.append(rows)
            vx.append(speed * self.season(fine).mean(axis=1) + noise[0])
            vy.append(noise[1])
            counts.append(n)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.block = PixelBlock(
            Block(0, SIDE, 0, SIDE),
            offsets,
            np.concatenate(pair).astype(np.int32),
            np.concatenate(vx).astype(np.float32),
            np.concatenate(vy).astype(np.float32),
            np.zeros(SIDE * SIDE, dtype=np.int32),
        )
        self.memo = Memo(8)

    @staticmethod
    def season(years: np.ndarray) -> np.ndarray:
        """Give the speed relative to its mean."""
        return 1.0 + 0.3 * np.sin(2.0 * np.pi * years)

    def shared(self, settings: InversionSettings) -> SharedPairs:
        grid = TimeGrid.covering(self.pairs.start, self.pairs.end, settings.interval)
        return SharedPairs.make(self.pairs, np.ones(len(self.pairs), dtype=bool), grid)

    def at(self, p: int) -> ImagePairs:
        """Give the pairs of a pixel, as a cube does."""
        own = slice(int(self.block.offsets[p]), int(self.block.offsets[p + 1]))
        rows = self.block.pair[own]
        usable = np.ones(len(self.pairs), dtype=bool)
        taken = self.pairs.take(rows)
        return ImagePairs(
            **{name: getattr(taken, name) for name in ("start", "end", "vx_error", "vy_error")},
            vx=self.block.vx[own].astype(np.float64),
            vy=self.block.vy[own].astype(np.float64),
            mission=taken.mission,
            satellite_1=taken.satellite_1,
            satellite_2=taken.satellite_2,
            around=Surroundings(self.pairs, usable, self.block, p, self.memo),
        )
