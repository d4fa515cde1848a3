"""Batches of simulated pixels, for tests of solvers."""

from __future__ import annotations

import numpy as np

from itslive_core.inversion.solver import PixelBatch
from itslive_core.observations.time_grid import TimeGrid
from tests.simulate import network

__all__ = ["make_batch"]


def make_batch(
    seed: int, interval: float, *, pixels: int = 5, n: int = 160, wild: float = 0.05
) -> PixelBatch:
    """Simulate pixels that see different years of the same pairs, with outliers; one has a gap."""
    rng = np.random.default_rng(seed)
    start, end = network(rng, n, length=900, longest=150)
    end[:5], start[:5] = end[5:10], start[5:10]
    start[10:14] = np.floor(start[10:14] / interval) * interval + 0.1 * interval
    end[10:14] = start[10:14] + 0.3 * interval  # inside a cell
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    mean = op.apply(200 + 80 * np.sin(op.grid.centres / 58))
    sigma = 300 / (end - start) + 2
    parts = [np.flatnonzero(rng.random(n) < 0.8) for _ in range(pixels)]
    parts[1] = parts[1][(end[parts[1]] < 17_350) | (start[parts[1]] > 17_500)]
    parts[2] = parts[2][(start[parts[2]] > 17_200) & (end[parts[2]] < 17_700)]
    parts[3] = parts[3][end[parts[3]] - start[parts[3]] < 60]
    pair = np.concatenate(parts).astype(np.int32)
    vx = mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    vy = 0.5 * mean[pair] + sigma[pair] * rng.normal(size=len(pair))
    bad = rng.random(len(pair)) < wild
    vx[bad] += rng.normal(0, 2000, bad.sum())
    weights = np.concatenate([1 / sigma[p] ** 2 / np.mean(1 / sigma[p] ** 2) for p in parts])
    span_id = np.unique(np.stack([start, end]), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(p) for p in parts])))
    return PixelBatch(op, span_id, offsets, pair, vx, vy, weights)
