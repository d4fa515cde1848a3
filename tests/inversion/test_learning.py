"""What is learnt beside the series, part by part, against full matrices and simulated noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from itslive_core.bands.spans import Spans
from itslive_core.inversion.learning.border import (
    WAVES,
    BorderRows,
    add_border_variances,
    border_moments,
    border_rows,
    project_border,
    take_border,
)
from itslive_core.inversion.learning.error_bands import component_variances
from itslive_core.inversion.learning.evidence import Evidence, Prior
from itslive_core.inversion.learning.hyperparameters import Hyperparameters, Scale
from itslive_core.inversion.learning.starts import cross_season, grid_of_starts
from itslive_core.observations.missions import MISSIONS, TRUST
from itslive_core.observations.time_grid import SpanOperator, TimeGrid
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR
from itslive_core.support.constants import MONTHS_PER_YEAR as MONTHS
from tests.inversion.full_system import border_matrix
from tests.simulate import network

S1, S2, L7, L8_9 = (MISSIONS.index(name) for name in ("S1", "S2", "L7", "L8_9"))


# -------------------------------------------------------------------------------------------------- missions


@dataclass(frozen=True, eq=False)
class Beside:
    """Pairs, and what stands beside their series, as rows and as a full matrix."""

    op: SpanOperator
    spans: Spans
    rows: BorderRows
    b: np.ndarray
    w: np.ndarray

    @classmethod
    def make(cls, interval: float, *, offsets: bool, season: bool) -> Beside:
        rng = np.random.default_rng(9)
        start, end = network(rng, 200, length=500, longest=150)
        op = TimeGrid.covering(start, end, interval).operator(start, end)
        mission = rng.choice([S1, S2, L7, L8_9], 200)
        rows = border_rows(start, end, mission, offsets=offsets, season=season)
        b = border_matrix(
            start, end, mission, [S1, L7, L8_9] if offsets else [], [S1, S2, L7, L8_9] if season else []
        )
        w = rng.uniform(0, 3, 200)
        w[::17] = 0.0
        return cls(op, Spans(*op.columns), rows, b, w)


of_all_kinds = pytest.mark.parametrize(
    ("interval", "offsets", "season"),
    [(6.0, True, True), (30.0, True, True), (200.0, True, True), (12.0, True, False), (12.0, False, True)],
)


@of_all_kinds
def test_columns_beside_the_series_are_those_of_the_full_matrix(
    interval: float, offsets: bool, season: bool
) -> None:
    case = Beside.make(interval, offsets=offsets, season=season)
    rng = np.random.default_rng(10)
    a, b, w = case.op.to_dense(), case.b, case.w
    count = b.shape[1]
    assert case.rows.size == count == 3 * offsets + 4 * WAVES * season
    assert case.rows.is_season.sum() == 4 * WAVES * season
    columns = np.full((a.shape[1], count), np.nan)
    project_border(case.spans, case.rows, w, columns)
    np.testing.assert_allclose(columns, a.T @ (w[:, None] * b), atol=1e-9)
    vx, vy = rng.normal(size=(2, len(w)))
    square, product = np.full((count, count), np.nan), np.full((2, count), np.nan)
    border_moments(case.rows, w, vx, vy, square, product)
    np.testing.assert_allclose(square, b.T @ (w[:, None] * b), atol=1e-9)
    np.testing.assert_allclose(product, np.stack([vx, vy]) @ (w[:, None] * b), atol=1e-9)
    value, residual = rng.normal(size=count), vx.copy()
    take_border(case.rows, value, residual)
    np.testing.assert_allclose(residual, vx - b @ value, atol=1e-9)


@of_all_kinds
def test_variance_of_what_a_pair_reads_counts_what_stands_beside(
    interval: float, offsets: bool, season: bool
) -> None:
    case = Beside.make(interval, offsets=offsets, season=season)
    rng = np.random.default_rng(11)
    a, b = case.op.to_dense(), case.b
    root = np.tril(rng.normal(size=(b.shape[1], b.shape[1])))
    columns = rng.normal(size=(a.shape[1], b.shape[1]))
    variance = np.ones(len(a))
    add_border_variances(case.spans, case.rows, root, columns, variance)
    expected = 1.0 + ((a @ columns - b @ root) ** 2).sum(axis=1)
    np.testing.assert_allclose(variance, expected, rtol=1e-9)


def test_pairs_of_whole_years_see_no_season() -> None:
    start = 17_000 + np.linspace(0, 300, 50)
    rows = border_rows(start, start + 2 * YEAR, np.full(50, S2), offsets=True, season=True)
    np.testing.assert_allclose(rows.waves, 0.0, atol=1e-9)
    assert rows.size == WAVES  # the reference has a season, and no offset


@pytest.mark.parametrize(
    ("counts", "reference", "active"),
    [
        ({S2: 50, S1: 50, L8_9: 50}, S2, {S1, L8_9}),
        ({S2: 5, S1: 50, L8_9: 50}, L8_9, {S1, S2}),  # S2 has less than a tenth
        ({S1: 50, L7: 4}, S1, set()),  # four pairs are too few for an offset
        ({L7: 30}, L7, set()),
    ],
)
def test_the_reference_is_the_first_trusted_mission_with_a_tenth_of_the_pairs(
    counts: dict[int, int], reference: int, active: set[int]
) -> None:
    mission = np.repeat(list(counts), list(counts.values())).astype(np.int64)
    start = 17_000.0 + np.arange(len(mission))
    rows = border_rows(start, start + 12, mission, offsets=True, season=True)
    assert set(np.flatnonzero(rows.offset_at >= 0)) == active
    assert reference not in active
    assert set(np.flatnonzero(rows.season_at >= 0)) == set(counts)
    assert sorted(TRUST) == sorted(MISSIONS)


# ------------------------------------------------------------------------------------------- hyperparameters


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("interval", "differences"), [(12.0, 200), (5.0, 73), (36.525, 40)])
def test_rows_of_the_design_are_hats_of_years_and_months(
    order: int, interval: float, differences: int
) -> None:
    first_time = 1500 * interval
    hyper = Hyperparameters.of(
        first_time, interval, order, differences, 100.0, vary=True, yearly=True, axes=True, level_free=True
    )
    rows, at = np.arange(differences)[:, None], hyper.yearly_at
    own, yearly = np.zeros((2, differences, len(hyper.theta)))
    np.add.at(own, (rows, hyper.own.columns), hyper.own.values)
    np.add.at(yearly, (rows, hyper.yearly.columns), hyper.yearly.values)
    slow, months = own[:, 1 : at - MONTHS], own[:, at - MONTHS : at]
    for design, level in ((own, 0), (yearly, at)):
        np.testing.assert_array_equal(design[:, level], 1.0)
        np.testing.assert_array_equal(design[:, -1], 0.0)
    np.testing.assert_array_equal(yearly[:, :at], 0.0)
    np.testing.assert_array_equal(own[:, at:], 0.0)
    np.testing.assert_array_equal(yearly[:, at + 1 : at + 1 + MONTHS], months)
    np.testing.assert_allclose(slow.sum(axis=1), 1.0)
    np.testing.assert_allclose(months.sum(axis=1), 1.0)
    # Hats reproduce what is linear: the year since the start, and the place in the year.
    np.testing.assert_allclose(
        slow @ np.arange(slow.shape[1]), np.arange(differences) * interval / YEAR, atol=1e-9
    )
    centre = first_time + (np.arange(differences) + 0.5 * (order + 1)) * interval
    apart = np.abs((centre[:, None] / YEAR - np.arange(MONTHS) / MONTHS + 0.5) % 1.0 - 0.5)  # cyclic
    np.testing.assert_allclose(months, np.maximum(0, 1 - MONTHS * apart), atol=1e-8)
    hyper.theta[:] = np.random.default_rng(1).normal(size=len(hyper.theta))
    for found, design in zip(hyper.precisions(), (own, yearly), strict=True):
        np.testing.assert_allclose(found, np.exp(design @ hyper.theta), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_level_is_that_of_a_season(order: int) -> None:
    """Its changes have the root mean square that the level says, whatever the cells."""
    t = np.arange(0, 4 * YEAR, 5.0)
    scale = Scale.of(80.0, 5.0, order)
    change = np.diff(0.3 * 80.0 * np.sin(2 * np.pi * t / YEAR), n=order)
    assert np.exp(-scale.level(0.3)) == pytest.approx(np.mean(change**2), rel=0.02)
    levels = scale.level(0.3) + np.linspace(-6, 10, 33)
    for level in levels:
        value, first, second = scale.prior(level)
        (above, *_), (below, *_) = scale.prior(level + 1e-3), scale.prior(level - 1e-3)
        assert first == pytest.approx((above - below) / 2e-3, abs=1e-4)
        assert second == pytest.approx((above - 2 * value + below) / 1e-6, abs=1e-2, rel=1e-2)
        assert second >= 0


def made(**changed: bool) -> Hyperparameters:
    """Make hyperparameters of which all may move, or less."""
    kinds = {"vary": True, "yearly": True, "axes": True, "level_free": True, **changed}
    return Hyperparameters.of(17_000.0, 12.0, 2, 100, 100.0, **kinds)


def test_only_what_may_move_is_free() -> None:
    whole = made()
    assert len(whole.free) == len(whole.theta)
    assert 0 not in made(level_free=False).free
    assert len(whole.theta) - 1 not in made(axes=False).free
    constant = made(vary=False)
    assert constant.free.tolist() == [0, constant.yearly_at, len(constant.theta) - 1]
    assert np.ptp(constant.precisions()[0]) == 0
    without = made(yearly=False)
    assert without.free.tolist() == [*range(without.yearly_at), len(without.theta) - 1]
    np.testing.assert_array_equal(without.precisions()[1], 0.0)
    assert made(vary=False, yearly=False, axes=False, level_free=False).free.size == 0
    moved = whole.moved(level=3.0, yearly=-2.0) - whole.mean
    assert (moved[0], moved[whole.yearly_at]) == (3.0, -2.0)
    assert whole.cost(whole.theta) == pytest.approx(whole.scale.prior(whole.theta[0])[0])


# -------------------------------------------------------------------------------------- starts, error bands


@dataclass(eq=False)
class Pixel:
    """As much of a pixel as the choice of its starts needs: still rock, seen by two missions."""

    evidence: Evidence
    hyper: Hyperparameters
    most_season: float = 400.0
    expected_season: float = 1.0

    @classmethod
    def make(cls, season: tuple[float, float], *, length: float = 1500.0) -> Pixel:
        rng = np.random.default_rng(15)
        start, end = network(rng, 600, length=length, longest=100)
        mission = rng.choice([S1, S2], 600)
        op = TimeGrid.covering(start, end, 12.0).operator(start, end)
        rows = border_rows(start, end, mission, offsets=True, season=True)
        evidence = Evidence(Spans(*op.columns), rows, op.grid.size, 12.0, 2, 0, yearly=True)
        noise = 10 + 300 / (end - start)
        values = np.outer(season, rows.waves[:, 0] * (mission == S1)) + noise * rng.normal(size=(2, 600))
        evidence.enter(1 / noise**2, values)
        hyper = Hyperparameters.of(
            op.grid.first * 12.0, 12.0, 2, op.grid.size - 2, 20.0,
            vary=True, yearly=evidence.rows.reach > 0, axes=True, level_free=True,
        )  # fmt: skip
        return cls(evidence, hyper)

    def prior(self, theta: np.ndarray, season_variance: float) -> Prior:
        border = np.where(self.evidence.border.is_season, season_variance, 100.0)
        return Prior(*self.hyper.precisions(theta), float(np.exp(theta[-1])), border)


def test_the_size_of_seasonal_displacements_is_measured_across() -> None:
    """It does not depend on how they lie; the axes turn to where they are largest."""
    found = []
    for angle in (0.0, 0.7, 1.5):
        variance, axes = cross_season(Pixel.make((40 * np.cos(angle), 40 * np.sin(angle))))
        first = np.eye(2)[0] if axes is None else axes[0]
        assert abs(first @ [np.cos(angle), np.sin(angle)]) > 0.97
        found.append(variance)
        assert 0.0 < variance < 10.0  # nothing is seen across
    both = cross_season(Pixel.make((20.0, 0.0)))[0]
    assert both == pytest.approx(found[0], rel=0.5)


def test_the_grid_of_starts() -> None:
    """What was found so far is tried too, but not at first; without a year before there are fewer."""
    pixel, short = Pixel.make((0.0, 0.0)), Pixel.make((0.0, 0.0), length=300.0)
    first, later = (list(grid_of_starts(pixel, 2.0, first=first)) for first in (True, False))
    assert len(later) == len(first) + 1
    np.testing.assert_array_equal(later[0].theta, pixel.hyper.theta)
    assert later[0].theta is not pixel.hyper.theta
    assert {start.season_variance for start in later} == {2.0}
    places = {(start.theta[0], start.theta[pixel.hyper.yearly_at]) for start in first}
    assert len(places) == len(first)
    few = list(grid_of_starts(short, 2.0, first=True))
    assert len({start.theta[0] for start in few}) == len(few) < len(first)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 2.0])
def test_variances_of_components_are_right_along_the_flow(angle: float) -> None:
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along, across = np.array([9.0, 5.0, 2.0]), np.array([1.0, 5.0, 3.0])
    vx, vy = component_variances(axes, np.stack([along, across]))
    # As users combine them; where more is unknown across, each component has its own.
    combined = axes[0, 0] ** 2 * vx + axes[0, 1] ** 2 * vy
    np.testing.assert_allclose(combined[:2], along[:2])
    own = (axes**2).T @ np.stack([along, across])
    np.testing.assert_allclose([vx[1:], vy[1:]], own[:, 1:])
    assert (np.stack([vx, vy]) >= own - 1e-12).all()
