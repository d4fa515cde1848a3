"""Pixels that learn together: simulated glaciers of 12 x 12 pixels of which some have few pairs.

Dates, missions and formal errors are those of a real cube. Three kinds: a smooth glacier, a shear margin from
8 to 600 m/yr, and still rock beside fast ice that surges. Of the noise a part belongs to the images and is
common to all pixels, as geolocation errors are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.validation.page import Table
from itslive_core.inversion.prepare import filter_block, solve_pixels
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.settings import InversionSettings
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    import itslive_core as itslive

__all__ = ["KINDS", "SimulatedBlock", "blocks_table", "judge_block", "simulate_block"]

SIDE = 12
KINDS = ("smooth", "shear margin", "rock beside a surge", "tributary surges", "phase runs")
_POOR = 0.3
_COMMON = 0.7
"""Share of the variance of an image's error that all pixels have."""
_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class SimulatedBlock:
    """A block whose velocity is known.

    Parameters
    ----------
    pixels : PixelBlock
    truth : ndarray, shape (P, 2, M)
        Mean velocity of each cell [m/yr].
    poor : ndarray of bool, shape (P,)
        Pixels with 40 to 250 pairs; the others have 1,000 and more.
    """

    pixels: PixelBlock
    truth: NDArray[np.float64]
    poor: NDArray[np.bool_]


def _speeds(kind: str, rng: np.random.Generator, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the speed of each pixel at times [years since 1970], shape (P, len(t))."""
    row, col = (a.ravel()[:, None] / (SIDE - 1.0) for a in np.mgrid[0:SIDE, 0:SIDE])
    phase, amplitude = rng.uniform(0, 1), rng.uniform(0.15, 0.35)
    season = np.sin(2 * np.pi * (t - phase)) + 0.4 * np.sin(4 * np.pi * (t - phase) + rng.uniform(0, 6))
    slow = 0.15 * np.sin(2 * np.pi * (t - 1985.0 + 1970.0 - rng.uniform(0, 20)) / rng.uniform(15, 30))
    own = 1.0 + 0.3 * (row - 0.5) * rng.uniform(-1, 1)
    if kind == "smooth":
        return 150.0 * (1.0 + 0.3 * col) * (1.0 + slow + amplitude * own * season)
    if kind == "shear margin":
        base = 8.0 + 592.0 / (1.0 + np.exp(-(col - 0.5) / 0.06))
        return base * (1.0 + slow + amplitude * own * season)
    onset = rng.uniform(46, 50)
    surge = 1.0 / (1.0 + np.exp(-(t - onset) / 0.1)) - 1.0 / (1.0 + np.exp(-(t - onset - 1.5) / 0.3))
    if kind == "rock beside a surge":
        return np.where(col > 0.5, 300.0 * (1.0 + 0.5 * amplitude * season + 2.0 * surge), 0.0)
    if kind == "tributary surges":
        extra = np.where(col > 0.7, 2.0 * surge, 0.0)
        return 200.0 * (1.0 + slow + amplitude * own * season + extra)
    moved = np.sin(2 * np.pi * (t - phase - 0.4 * col))
    return 200.0 * (1.0 + slow + amplitude * moved)


def simulate_block(shared: SharedPairs, kind: str, seed: int) -> SimulatedBlock:
    """Draw a block.

    Parameters
    ----------
    shared : SharedPairs
        Gives dates, missions and errors of T pairs, and the cells.
    kind : str
        One of `KINDS`.
    seed : int
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    grid, pixels, total = shared.grid, SIDE * SIDE, len(shared.start)
    fine = (grid.edges[0] + (np.arange(grid.size * 4) + 0.5) * grid.interval / 4.0) / _YEAR
    speed = _speeds(kind, rng, fine)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    cells = speed.reshape(pixels, grid.size, 4).mean(axis=2)
    edges = np.concatenate([np.zeros((pixels, 1)), np.cumsum(speed, axis=1)], axis=1)
    at = (np.stack([shared.start, shared.end]) - grid.edges[0]) / (grid.interval / 4.0)
    whole = np.clip(np.floor(at).astype(int), 0, edges.shape[1] - 2)
    part = at - whole
    years = (shared.end - shared.start) / _YEAR
    error = np.nan_to_num(np.sqrt(0.5 * (shared.vx_error**2 + shared.vy_error**2)), nan=50.0)
    dates = shared.images // 2
    first, second = shared.first_image, shared.second_image - dates
    image = rng.normal(0, 2.5, (2, dates))  # displacement [m]
    poor = rng.random(pixels) < _POOR
    pair, vx, vy, counts = [], [], [], []
    for p in range(pixels):
        n = int(rng.uniform(40, 250) if poor[p] else rng.uniform(1000, 2500))
        rows = np.sort(rng.choice(total, n, replace=False))
        moved = [edges[p, whole[k, rows]] + part[k, rows] * speed[p, whole[k, rows]] for k in range(2)]
        mean = (moved[1] - moved[0]) / (at[1, rows] - at[0, rows])
        own = rng.normal(0, 2.5, (2, dates))
        place = np.sqrt(_COMMON) * image + np.sqrt(1.0 - _COMMON) * own
        shift = place[:, second[rows]] - place[:, first[rows]]
        white = rng.standard_t(6, (2, n)) * error[rows]
        noise = white + shift / years[rows]
        pair.append(rows)
        vx.append(direction[0] * mean + noise[0])
        vy.append(direction[1] * mean + noise[1])
        counts.append(n)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    block = PixelBlock(
        Block(0, SIDE, 0, SIDE),
        offsets,
        np.concatenate(pair).astype(np.int32),
        np.concatenate(vx).astype(np.float32),
        np.concatenate(vy).astype(np.float32),
        np.zeros(pixels, dtype=np.int32),
    )
    return SimulatedBlock(block, direction[None, :, None] * cells[:, None, :], poor)


class BlockScore(NamedTuple):
    """Root mean square errors [m/yr] and shares of 95 % bands along the flow that hold, of some pixels."""

    rmse: NDArray[np.float64]
    held: NDArray[np.float64]


def judge_block(
    shared: SharedPairs, simulated: SimulatedBlock, settings: InversionSettings, pixels: NDArray[np.int64]
) -> BlockScore:
    """Estimate some pixels of a block and hold them against the truth, in cells that pairs cover."""
    block = simulated.pixels
    mask = np.zeros(SIDE * SIDE, dtype=bool)
    mask[pixels] = True
    some = replace(block.keep_observations(np.repeat(mask, np.diff(block.offsets))), around=block)
    used = filter_block(some, shared, settings)
    together = settings.learns_together
    result = (
        solve_together(shared, some, used, settings) if together else solve_pixels(shared, used, settings)
    )
    rmse, held = [], []
    for p in pixels.tolist():
        seen = (result.covered[p] > 0.99) & np.isfinite(result.values[p, 0])
        truth, found = simulated.truth[p][:, seen], result.values[p][:, seen]
        flow = truth.mean(axis=1)
        along = flow / np.hypot(*flow) if np.hypot(*flow) > 0 else np.array([1.0, 0.0])
        error = found - truth
        std = np.sqrt((along**2) @ result.std[p][:, seen] ** 2)
        rmse.append(np.sqrt((error**2).sum(axis=0).mean()))
        held.append(np.mean(np.abs(along @ error) <= 1.96 * std))
    return BlockScore(np.array(rmse), np.array(held))


def blocks_table(cube: itslive.Datacube, truths: int = 3) -> Table:
    """Hold pixels that learn together against the same pixels alone.

    Parameters
    ----------
    cube : Datacube
        Gives dates, missions and formal errors.
    truths : int
        Blocks of each kind.
    """
    pairs = cube.pair_table
    mask, _ = pairs.select(PairSelection())
    grid = TimeGrid.covering(pairs.start[mask], pairs.end[mask], InversionSettings().interval)
    shared = SharedPairs.make(pairs, mask, grid)
    rows = []
    for kind in KINDS:
        ratios, held = [], []
        for seed in range(truths):
            simulated = simulate_block(shared, kind, seed)
            groups = np.flatnonzero(simulated.poor)[::3], np.flatnonzero(~simulated.poor)[::12]
            pixels = np.sort(np.concatenate(groups))
            alone, block = (
                judge_block(shared, simulated, InversionSettings(learn=learn), pixels)
                for learn in ("pixel", "block")
            )
            which = [np.isin(pixels, group) for group in groups]
            ratios.append([np.log(block.rmse[own] / alone.rmse[own]).mean() for own in which])
            held.append([(alone.held[own].mean(), block.held[own].mean()) for own in which])
        ratio, share = np.exp(np.mean(ratios, axis=0)), np.mean(held, axis=0)
        rows.append(
            [kind]
            + [
                text
                for g in range(2)
                for text in (f"{ratio[g]:.2f}", f"{share[g, 0]:.2f}", f"{share[g, 1]:.2f}")
            ]
        )
    header = ["block", "few pairs: RMSE over alone", "alone holds", "holds", "many pairs: RMSE over alone"]
    return Table([*header, "alone holds", "holds"], rows, f"{truths} blocks of each kind.")
