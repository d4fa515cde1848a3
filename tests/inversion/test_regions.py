"""Pixels that learn together: one answer for a click and a job, and nothing lent across a shear margin."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.inversion.point import invert, solve_point
from itslive_core.inversion.prepare import filter_block, solve_pixels
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.settings import InversionSettings
from itslive_core.observations.pairs import ImagePairs
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.surroundings import FEW
from itslive_core.observations.windows import calendar_edges, window_weights
from itslive_core.support.memo import Memo
from tests.inversion.simulated_block import FAST, POOR, SIDE, SimulatedBlock


@pytest.fixture(scope="module")
def simulated() -> SimulatedBlock:
    return SimulatedBlock()


def test_a_click_gets_what_a_job_gets(simulated: SimulatedBlock) -> None:
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


def test_the_order_of_clicks_does_not_matter(simulated: SimulatedBlock) -> None:
    found = {}
    for order in ((0, 6), (6, 0)):
        simulated.memo = Memo(8)
        for p in order:
            found.setdefault(p, []).append(invert(simulated.at(p))["vx"].values)
    for first, second in found.values():
        np.testing.assert_array_equal(first, second)


def test_nothing_is_lent_across_the_margin(simulated: SimulatedBlock) -> None:
    settings = InversionSettings()
    shared = simulated.shared(settings)
    used = filter_block(simulated.block, shared, settings)
    assert np.diff(used.offsets)[list(POOR)].max() < FEW
    together = solve_together(shared, simulated.block, used, settings)
    for p, speed in enumerate(simulated.speed):
        mean, std = np.nanmean(together.values[p, 0]), np.nanmean(together.std[p, 0])
        assert abs(mean - speed) < std + 0.05 * speed


def test_a_pixel_with_few_pairs_follows_its_neighbours(simulated: SimulatedBlock) -> None:
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


def test_learning_alone_is_there_and_pairs_from_a_table_do_that(simulated: SimulatedBlock) -> None:
    pairs = simulated.at(0)
    alone = invert(pairs, InversionSettings(learn="pixel"))
    table = ImagePairs.from_dataframe(pairs.to_dataframe())
    np.testing.assert_allclose(invert(table)["vx"].values, alone["vx"].values, rtol=1e-6, atol=1e-6)
    assert not np.allclose(invert(pairs)["vx"].values, alone["vx"].values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [0, POOR[1]])
def test_means_over_windows_know_the_neighbours(simulated: SimulatedBlock, p: int) -> None:
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


def test_what_is_learnt_knows_the_selection(simulated: SimulatedBlock) -> None:
    selection = PairSelection(max_span=30)
    ways = invert(simulated.at(0).select(selection)), invert(simulated.at(0), selection=selection)
    np.testing.assert_array_equal(ways[0]["vx"].values, ways[1]["vx"].values)
    regions = [key[1] for key in simulated.memo._kept]
    assert (selection,) in regions
