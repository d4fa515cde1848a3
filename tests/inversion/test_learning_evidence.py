"""The evidence, and the posterior of a series and of what stands beside it, against full matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from itslive_core.bands.spans import Spans
from itslive_core.inversion.dense import difference_matrix
from itslive_core.inversion.learning.border import border_rows
from itslive_core.inversion.learning.evidence import Evidence, Posterior, Prior
from itslive_core.inversion.learning.hyperparameters import Hyperparameters
from itslive_core.inversion.learning.means import group_means
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from tests.bands.full_matrices import difference_from_last_year
from tests.inversion.full_system import FullSystem, border_matrix
from tests.simulate import network

S1, S2, L8_9 = (MISSIONS.index(name) for name in ("S1", "S2", "L8_9"))


@dataclass(frozen=True, eq=False)
class Case:
    """A pixel, its prior, and both as full matrices, one for each axis."""

    evidence: Evidence
    prior: Prior
    posterior: Posterior
    full: tuple[FullSystem, FullSystem]
    hyper: Hyperparameters
    offset_variance: float = 90.0
    season_variance: float = 4.0

    @classmethod
    def make(
        cls, *, order: int = 2, interval: float = 12.0, length: float = 900.0, border: str = "both",
        yearly: bool = True, stiffer: float = 1.8, reach: int = 0,
    ) -> Case:  # fmt: skip
        rng = np.random.default_rng([order, int(interval)])
        start, end = network(rng, 150, length=length, longest=120)
        grid = TimeGrid.covering(start, end, interval)
        op, n = grid.operator(start, end), len(start)
        mission = rng.choice([S1, S2, L8_9], n)
        values = np.array([200.0, 100.0])[:, None] * np.ones(n) + rng.normal(0, 20, (2, n))
        weights = rng.uniform(0.2, 2.0, n) / 400
        rows = border_rows(start, end, mission, offsets=border != "none", season=border == "both")
        evidence = Evidence(Spans(*op.columns), rows, grid.size, interval, order, reach, yearly=yearly)
        hyper = Hyperparameters.of(
            grid.first * interval, interval, order, grid.size - order, 200.0,
            vary=True, yearly=evidence.rows.reach > 0, axes=True, level_free=True,
        )  # fmt: skip
        hyper.theta[hyper.free] += rng.normal(0, 0.4, len(hyper.free))
        hyper.theta[-1] = stiffer
        case = cls(evidence, None, None, None, hyper)  # type: ignore[arg-type]
        prior = case.prior_at(hyper.theta)
        evidence.enter(weights, values)
        seasons = [S1, S2, L8_9] if border == "both" else []
        b = border_matrix(start, end, mission, [S1, L8_9] if border != "none" else [], seasons)
        full = tuple(
            FullSystem.of(
                op.to_dense(), b, weights, values[axis], factor * prior.own, factor * prior.yearly,
                prior.border, interval=interval, order=order,
            )
            for axis, factor in enumerate((1.0, prior.stiffer))
        )  # fmt: skip
        return cls(evidence, prior, evidence.solve(prior, both=True), full, hyper)  # type: ignore[arg-type]

    def prior_at(self, theta: np.ndarray) -> Prior:
        own, yearly = self.hyper.precisions(theta)
        border = np.where(self.evidence.border.is_season, self.season_variance, self.offset_variance)
        return Prior(own, yearly, float(np.exp(theta[-1])), border)


CASES = {
    "all": {},
    "order 1": {"order": 1},
    "cells of a week": {"interval": 7.0, "length": 700.0},
    "less than a year": {"length": 250.0},
    "no year": {"yearly": False},
    "offsets": {"border": "offsets"},
    "series alone": {"border": "none", "order": 1},
    "equal axes": {"stiffer": 0.0},
}
of_all_cases = pytest.mark.parametrize("name", CASES)


@of_all_cases
def test_evidence_is_that_of_the_full_system(name: str) -> None:
    case = Case.make(**CASES[name])
    expected = sum(full.value for full in case.full)
    assert case.posterior.value == pytest.approx(expected, rel=1e-9)
    # Also if one factor serves both axes.
    assert case.evidence.solve(case.prior).value == pytest.approx(expected, rel=1e-9)
    assert (case.evidence.rows.reach > 0) == (name not in ("no year", "less than a year"))


@of_all_cases
def test_posterior_is_that_of_the_full_system(name: str) -> None:
    case = Case.make(**CASES[name])
    size, posterior = case.evidence.size, case.posterior
    for axis, full in enumerate(case.full):
        np.testing.assert_allclose(posterior.series[axis], full.mean[:size], rtol=1e-8)
        np.testing.assert_allclose(posterior.border[axis], full.mean[size:], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            posterior.covariance[axis], full.covariance[size:, size:], rtol=1e-7, atol=1e-10
        )
        root = posterior.roots[axis]
        np.testing.assert_allclose(root @ root.T, posterior.covariance[axis], rtol=1e-9, atol=1e-12)


@of_all_cases
def test_spread_of_the_changes(name: str) -> None:
    case = Case.make(**CASES[name])
    spread, k, size = (
        case.evidence.spread(case.prior, case.posterior),
        case.evidence.rows.order,
        case.evidence.size,
    )
    d = difference_matrix(k, size)
    c = difference_from_last_year(12.0 if name != "cells of a week" else 7.0, size - k)
    c = c if case.evidence.rows.reach else np.zeros_like(c)
    for axis, full in enumerate(case.full):
        factor = (1.0, case.prior.stiffer)[axis]
        mean, covariance = full.mean[:size], full.covariance[:size, :size]
        for kind, rows, precision in (
            ("own", np.eye(size - k), case.prior.own),
            ("yearly", c, case.prior.yearly),
        ):
            square = factor * precision * (rows @ d @ mean) ** 2
            told = factor * precision * np.diag(rows @ d @ covariance @ d.T @ rows.T)
            before = np.diag(rows @ np.linalg.solve(full.q, rows.T))
            held = factor * precision * before - told
            np.testing.assert_allclose(getattr(spread, kind)[axis], square, rtol=1e-6, atol=1e-12)
            np.testing.assert_allclose(getattr(spread, f"{kind}_variance")[axis], told, rtol=1e-6, atol=1e-12)
            np.testing.assert_allclose(getattr(spread, f"{kind}_held")[axis], np.maximum(held, 0), atol=1e-5)


@of_all_cases
def test_gradient_is_the_slope_of_the_evidence(name: str) -> None:
    """What hyperparameters are improved by, against differences of -2 log of the probability."""
    case = Case.make(**CASES[name])
    hyper, spread = case.hyper, case.evidence.spread(case.prior, case.posterior)
    slope = np.zeros(len(hyper.theta))
    for design, square, held in (
        (hyper.own, spread.own, spread.own_held),
        (hyper.yearly, spread.yearly, spread.yearly_held),
    ):
        np.add.at(slope, design.columns, design.values * (square - held).sum(axis=0)[:, None])
        slope[-1] += (square - held)[1].sum()
    free = hyper.free
    slope[free] += 2 * hyper.precision[free] * (hyper.theta - hyper.mean)[free]
    slope[0] += hyper.scale.prior(float(hyper.theta[0]))[1]

    def value(theta: np.ndarray) -> float:
        return case.evidence.solve(case.prior_at(theta)).value + hyper.cost(theta)

    step = 1e-4
    for i in free:
        move = step * (np.arange(len(hyper.theta)) == i)
        expected = (value(hyper.theta + move) - value(hyper.theta - move)) / (2 * step)
        assert slope[i] == pytest.approx(expected, rel=1e-3, abs=2e-3), i


@of_all_cases
@pytest.mark.parametrize("parts", [1, 3])
def test_variances_of_means_of_cells(name: str, parts: int) -> None:
    case = Case.make(**CASES[name], reach=parts - 1)
    size = case.evidence.size
    groups = (np.arange(size) + 1) // parts - 1 // parts
    mean = (groups == np.arange(groups[-1] + 1)[:, None]) / np.bincount(groups)[:, None]
    found = case.evidence.variances(case.posterior, groups)
    for axis, full in enumerate(case.full):
        expected = np.diag(mean @ full.covariance[:size, :size] @ mean.T)
        np.testing.assert_allclose(found[axis], expected, rtol=1e-6)
    v = np.random.default_rng(1).normal(size=(2, size))
    np.testing.assert_allclose(group_means(v, groups), v @ mean.T, atol=1e-12)


@of_all_cases
def test_data_without_what_stands_beside(name: str) -> None:
    case = Case.make(**CASES[name])
    beside = np.random.default_rng(2).normal(0, 5, case.posterior.border.shape)
    found = case.evidence.known.without(beside)
    for axis, full in enumerate(case.full):
        left = full.d - full.b @ beside[axis]
        np.testing.assert_allclose(found.rhs[axis], full.a.T @ (full.w * left), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.product[axis], full.b.T @ (full.w * left), rtol=1e-8, atol=1e-8)
        assert found.square[axis] == pytest.approx(full.w @ left**2)


def test_a_matrix_that_is_not_positive_definite_has_no_evidence() -> None:
    case = Case.make()
    assert case.evidence.solve(case.prior._replace(own=-case.prior.own)).value == np.inf


@pytest.mark.parametrize("name", ["all", "order 1", "no year", "equal axes"])
def test_improving_leads_to_where_the_probability_is_highest(name: str) -> None:
    case = Case.make(**CASES[name])
    hyper, evidence = case.hyper, case.evidence
    values = []
    for _ in range(40):
        prior = case.prior_at(hyper.theta)
        posterior = evidence.solve(prior, both=True)
        values.append(posterior.value + hyper.cost(hyper.theta))
        moved = hyper.improve(evidence.spread(prior, posterior))
    assert moved < 0.02
    assert values[-1] == pytest.approx(min(values), abs=0.01)
    inside = hyper.free[hyper.theta[hyper.free] != 0.0]
    for i in inside:
        for move in (-0.3, 0.3):
            theta = hyper.theta + move * (np.arange(len(hyper.theta)) == i)
            assert evidence.solve(case.prior_at(theta)).value + hyper.cost(theta) > values[-1] - 0.02
