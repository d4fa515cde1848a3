"""Pixels that learn together: one answer for a click and a job, and nothing lent across a shear margin."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.inversion.calendar import calendar_edges
from itslive_core.inversion.point import invert, solve_point
from itslive_core.inversion.prepare import filter_block, solve_pixels
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.windows import window_weights
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.pairs import ImagePairs
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.surroundings import FEW, Surroundings
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.memo import Memo

SIDE = 4
SLOW, FAST = 20.0, 600.0
POOR = (1, 6)
"""Pixels with few pairs: a slow one, and a fast one beside the margin."""


class Simulated:
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


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return Simulated()


def test_a_click_gets_what_a_job_gets(simulated: Simulated) -> None:
    settings = InversionSettings()
    shared = simulated.shared(settings)
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside.ravel()[[0, 6, 7]] = True  # a rich pixel of either side, and a poor one
    masked = simulated.block.keep(np.ones(len(simulated.pairs), dtype=bool), inside)
    job = solve_together(shared, masked, filter_block(masked, shared, settings), settings)
    for p in (7, 6, 0):
        click = invert(simulated.at(p), settings)
        begin = round((click["time_bnds"].values[0, 0] - np.datetime64(0, "D")) / np.timedelta64(12, "D"))
        cells = slice(begin - shared.grid.first, begin - shared.grid.first + click.sizes["time"])
        for c, name in enumerate(("vx", "vy")):
            std = click[f"{name}_std"].values
            assert np.nanmax(np.abs(click[name].values - job.values[p, c, cells]) / std) < 1e-3
            np.testing.assert_allclose(std, job.std[p, c, cells], rtol=1e-3)


def test_the_order_of_clicks_does_not_matter(simulated: Simulated) -> None:
    found = {}
    for order in ((0, 6), (6, 0)):
        simulated.memo = Memo(8)
        for p in order:
            found.setdefault(p, []).append(invert(simulated.at(p))["vx"].values)
    for first, second in found.values():
        np.testing.assert_array_equal(first, second)


def test_nothing_is_lent_across_the_margin(simulated: Simulated) -> None:
    settings = InversionSettings()
    shared = simulated.shared(settings)
    used = filter_block(simulated.block, shared, settings)
    assert np.diff(used.offsets)[list(POOR)].max() < FEW
    together = solve_together(shared, simulated.block, used, settings)
    for p, speed in enumerate(simulated.speed):
        mean, std = np.nanmean(together.values[p, 0]), np.nanmean(together.std[p, 0])
        assert abs(mean - speed) < std + 0.05 * speed


def test_a_pixel_with_few_pairs_follows_its_neighbours(simulated: Simulated) -> None:
    settings = InversionSettings()
    shared = simulated.shared(settings)
    used = filter_block(simulated.block, shared, settings)
    together = solve_together(shared, simulated.block, used, settings)
    alone = solve_pixels(shared, used, InversionSettings(learn="pixel"))
    truth = FAST * simulated.season(shared.grid.centres / 365.25)
    p = POOR[1]
    seen = together.covered[p] > 0.99
    errors = [np.sqrt(np.mean((found.values[p, 0, seen] - truth[seen]) ** 2)) for found in (together, alone)]
    assert errors[0] < 0.8 * errors[1]
    held = np.abs(together.values[p, 0, seen] - truth[seen]) < 1.96 * together.std[p, 0, seen]
    assert held.mean() > 0.85


def test_learning_alone_is_there_and_pairs_from_a_table_do_that(simulated: Simulated) -> None:
    pairs = simulated.at(0)
    alone = invert(pairs, InversionSettings(learn="pixel"))
    table = ImagePairs.from_dataframe(pairs.to_dataframe())
    np.testing.assert_allclose(invert(table)["vx"].values, alone["vx"].values, rtol=1e-6, atol=1e-6)
    assert not np.allclose(invert(pairs)["vx"].values, alone["vx"].values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [0, POOR[1]])
def test_means_over_windows_know_the_neighbours(simulated: Simulated, p: int) -> None:
    pairs, settings = simulated.at(p), InversionSettings()
    grid = solve_point(pairs, settings).shared.grid
    solution = solve_point(pairs, settings, windows=grid.edges)
    series, means = solution.result, solution.result.means
    assert means is not None
    assert series.part(slice(0, 1), slice(0, len(solution.pairs))).means is not None
    seen = series.count[0] > 0
    np.testing.assert_allclose(means.values[0][:, seen], series.values[0][:, seen], rtol=1e-9)
    np.testing.assert_allclose(means.std[0][:, seen], series.std[0][:, seen], rtol=1e-6)
    years = calendar_edges(pairs.start.min(), pairs.end.max(), "year")
    yearly = solve_point(pairs, settings, windows=years).result.means
    assert yearly is not None
    weights = window_weights(grid.first * grid.interval, grid.interval, grid.size, years)
    whole = seen.all() & np.isfinite(weights[:, 0])
    np.testing.assert_allclose(yearly.values[0][:, whole], series.values[0] @ weights[whole].T, rtol=1e-9)
    assert (yearly.std[0][:, whole] < np.nanmax(series.std[0])).all()


def test_what_is_learnt_knows_the_selection(simulated: Simulated) -> None:
    selection = PairSelection(max_span=30)
    ways = invert(simulated.at(0).select(selection)), invert(simulated.at(0), selection=selection)
    np.testing.assert_array_equal(ways[0]["vx"].values, ways[1]["vx"].values)
    regions = [key[1] for key in simulated.memo._kept]
    assert (selection,) in regions
