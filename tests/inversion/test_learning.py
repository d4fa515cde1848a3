"""What is learnt beside the series, kernel by kernel, against full matrices and simulated noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from itslive_core.inversion.learning.mission_offsets import offset_missions, solve_offsets
from itslive_core.inversion.learning.roughness import Design, allow, fit_roughness
from scipy.optimize import minimize, minimize_scalar

from itslive_core.bands.algebra import (
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    selected_inverse,
)
from itslive_core.bands.assembly import assemble
from itslive_core.bands.penalty import Penalty, add_penalty
from itslive_core.bands.spans import Spans
from itslive_core.inversion.dense import difference_matrix
from itslive_core.inversion.learning.noise_model import (
    give_credit,
    image_correlation,
    mission_noise,
)
from itslive_core.inversion.pixel_fit import PixelSystem
from itslive_core.inversion.search import EVIDENCE, Problem
from itslive_core.observations.missions import MISSIONS, TRUST
from itslive_core.observations.time_grid import SpanOperator, TimeGrid
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR
from itslive_core.support.constants import MONTHS_PER_YEAR as MONTHS
from tests.inversion.full_system import Joint
from tests.simulate import image_noise, network

S1, S2, L7, L8_9 = (MISSIONS.index(name) for name in ("S1", "S2", "L7", "L8_9"))


def banded_inverse(op: SpanOperator, w: np.ndarray, order: int, alpha: float) -> tuple[Band, Inverse]:
    """Return the factor of A'WA + alpha D'D and its selected inverse."""
    size, width = op.grid.size, max(order, op.bandwidth)
    band, nothing = blank_band(size, width), np.zeros(len(op))
    assemble(Spans(*op.columns), w, nothing, nothing, band, np.empty((2, size)))
    add_penalty(band, Penalty(order, alpha, np.ones(size)))
    assert factorise(band)
    inverse = blank_inverse(size, width)
    selected_inverse(band, inverse)
    return band, inverse


# ---------------------------------------------------------------------------------------------------- noise


@dataclass(frozen=True)
class Noise:
    """What `mission_noise` finds; in standard deviations."""

    scale: np.ndarray
    floor: np.ndarray
    sigma: np.ndarray

    @classmethod
    def of(
        cls, formal: np.ndarray, mission: np.ndarray, residual: np.ndarray, span: np.ndarray | None = None
    ) -> Noise:
        n = len(formal)
        scale, floor, jitter, variance = *np.empty((3, len(MISSIONS))), np.empty(n)
        energy = (residual**2).mean(axis=0)
        span = np.full(n, 40.0) if span is None else span
        mission_noise(formal**2, span, mission, energy, np.ones(n), scale, floor, jitter, variance)
        return cls(np.sqrt(scale), np.sqrt(floor), np.sqrt(variance))


@pytest.mark.parametrize("seed", range(4))
def test_scale_and_floor_of_each_mission_are_found(seed: int) -> None:
    rng = np.random.default_rng([seed, 2])
    n = 4000
    mission = rng.choice([S1, S2, L8_9], n)
    formal = np.exp(rng.uniform(np.log(2.0), np.log(60.0), n))
    typical = np.median(formal)  # floors are looked for in factors of two from it
    scale, floor = np.full(len(MISSIONS), np.nan), np.zeros(len(MISSIONS))
    scale[[S1, S2, L8_9]], floor[[S1, L8_9]] = (2.0, 1.0, 1.4), (typical, 0.6 * typical)
    sigma = scale[mission] * np.hypot(formal, floor[mission])
    found = Noise.of(formal, mission, sigma * rng.normal(size=(2, n)))
    assert np.array_equal(np.isnan(found.scale), np.isnan(scale))
    assert np.array_equal(np.isnan(found.floor), np.isnan(scale))
    np.testing.assert_allclose(found.scale[[S1, S2]], [2.0, 1.0], rtol=0.06)
    np.testing.assert_allclose(found.floor[[S1, S2]], [typical, 0.0], rtol=1e-6)
    # A floor between two of the steps costs little.
    error = np.log(found.sigma / sigma)
    assert np.abs(error[mission != L8_9]).max() < 0.06
    assert np.abs(error[mission == L8_9]).max() < 0.13


def test_a_mission_with_few_pairs_is_held_near_the_common_scale() -> None:
    rng = np.random.default_rng(3)
    n, few = 403, 3
    mission = np.repeat([S2, L7], [n - few, few])
    formal = np.full(n, 5.0)
    sigma = np.where(mission == L7, 8.0, 2.0) * formal
    residual = sigma * rng.normal(size=(2, n))
    found = Noise.of(formal, mission, residual)
    square = (residual**2).mean(axis=0) / formal**2
    assert found.scale[S2] == pytest.approx(2.0, rel=0.05)
    # Three pairs weigh as much as they are, beside ten of the common scale.
    assert found.scale[L7] == pytest.approx(np.sqrt((10 * square.mean() + square[-few:].sum()) / (10 + few)))
    assert found.floor[L7] == 0
    many = Noise.of(
        np.full(2 * n, 5.0),
        np.repeat([S2, L7], n),
        5.0 * np.repeat([2.0, 8.0], n) * rng.normal(size=(2, 2 * n)),
    )
    assert many.scale[L7] == pytest.approx(8.0, rel=0.06)


def test_rejected_pairs_say_nothing_of_the_noise() -> None:
    rng = np.random.default_rng(4)
    n = 500
    formal, mission = rng.uniform(2, 20, n) ** 2, rng.choice([S1, S2], n)
    energy, u = formal * rng.exponential(size=n), rng.uniform(0.2, 1.0, n)
    wild = rng.random(n) < 0.1
    energy[wild] *= 1e6
    u[wild] = 0.0

    def learn(keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale, floor, jitter = np.empty((3, len(MISSIONS)))
        room, span = np.empty((2, int(keep.sum())))
        span[:] = 40.0
        # Floors come in factors of two of the median formal error, so that must stay.
        mission_noise(formal[keep], span, mission[keep], energy[keep], u[keep], scale, floor, jitter, room)
        return scale, floor

    formal[wild] = np.median(formal)
    for one, other in zip(learn(np.ones(n, dtype=bool)), learn(~wild), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02)


def images_of(rng: np.random.Generator, n: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw earlier and later images of n pairs; none is the earlier of one pair and the later of another."""
    half = images // 2
    return rng.integers(0, half, n), rng.integers(half, images, n)


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 0.0, 0.003), (0.05, 0.03, 0.05), (0.2, 0.17, 0.21)])
def test_correlation_of_shared_images_is_found(rho: float, low: float, high: float) -> None:
    """On average over seeds, less the standard error that is taken off on purpose."""
    n, images, found = 600, 90, []
    for seed in range(60):
        rng = np.random.default_rng([seed, 5])
        first, second = images_of(rng, n, images)
        sigma = rng.uniform(1, 10, n)
        u = rng.uniform(0.5, 1.0, n)
        rx, ry = sigma * image_noise(rng, rho, first, second, images)
        rx[u < 0.55], u[u < 0.55] = 1e5, 0.0  # rejected pairs are not looked at
        found.append(image_correlation(first, second, images, rx, ry, sigma**2, u))
    assert low <= np.mean(found) <= high
    assert np.min(found) >= 0
    assert np.max(found) <= 0.5
    assert np.std(found) <= 0.04


def test_correlation_is_the_mean_product_over_couples() -> None:
    rng = np.random.default_rng(6)
    n, images = 80, 12
    first, second = images_of(rng, n, images)
    variance, u = rng.uniform(1, 100, n), rng.uniform(0, 1, n)
    r = image_noise(rng, 0.3, first, second, images) * np.sqrt(variance)
    products = couples = 0.0
    for i in range(n):
        for j in range(n):
            shared = len({first[i], second[i]} & {first[j], second[j]})
            if i != j and shared:
                products += shared * u[i] * u[j] * (r[:, i] @ r[:, j]) / np.sqrt(variance[i] * variance[j])
                couples += shared * u[i] * u[j]
    square = (u * (r**2).sum(axis=0) / variance).sum() / u.sum()
    expected = products / couples / square - 1 / np.sqrt(couples)
    assert expected > 0.05
    assert image_correlation(first, second, images, *r, variance, u) == pytest.approx(expected, rel=1e-9)


def test_without_shared_images_there_is_no_correlation() -> None:
    n = 50
    image = np.arange(n)
    assert image_correlation(image, image + n, 2 * n, np.ones(n), np.ones(n), np.ones(n), np.ones(n)) == 0
    credit = np.empty(n)
    give_credit(image, image + n, 2 * n, np.ones(n), 0.2, credit)
    np.testing.assert_array_equal(credit, 1.0)


def test_credit_counts_the_pairs_with_which_images_are_shared() -> None:
    rng = np.random.default_rng(7)
    n, images, rho = 60, 14, 0.15
    first, second = images_of(rng, n, images)
    u = rng.uniform(0, 1, n)
    u[:5] = 0.0
    credit = np.empty(n)
    give_credit(first, second, images, u, rho, credit)
    others = [
        sum(u[j] * (int(first[i] == first[j]) + int(second[i] == second[j])) for j in range(n) if j != i)
        for i in range(n)
    ]
    np.testing.assert_allclose(credit, 1 / (1 + rho * np.array(others)), rtol=1e-12)


# -------------------------------------------------------------------------------------------------- offsets


@pytest.mark.parametrize("kappa", [1e-3, 5.0, 1e4])
@pytest.mark.parametrize("interval", [6.0, 30.0])
def test_offsets_solve_the_full_system(kappa: float, interval: float) -> None:
    rng = np.random.default_rng(9)
    start, end = network(rng, 200, length=500, longest=150)
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    size, n = op.grid.size, len(op)
    mission = rng.choice([S1, S2, L7, L8_9], n)
    w = rng.uniform(0, 3, n)
    w[::17] = 0.0
    column = np.full(len(MISSIONS), -1)
    active = np.array([m for m in range(len(MISSIONS)) if m in (S1, L7, L8_9)])
    column[active] = np.arange(3)
    data = rng.normal(300, 40, (n, 2)) + np.array([0, 25.0, -40.0, 60.0])[column[mission] + 1][:, None]
    before = np.zeros((2, len(MISSIONS)))
    before[:, active] = rng.normal(0, 20, (2, 3))
    left = np.ascontiguousarray(data.T - before[:, mission])

    system = PixelSystem.blank(Spans(*op.columns), size, 2)
    system.enter(w, *left)
    assert system.solve(Penalty(2, 0.4, np.ones(size)), stiff=False)
    a, d = op.to_dense(), difference_matrix(2, size)
    normal = a.T @ (w[:, None] * a) + 0.4 * d.T @ d
    b, inverse, extra = solve_offsets(system, mission, active, kappa, before[:, active])

    expected = Joint.solve(a, normal, w, data, column[mission], 3, kappa)
    np.testing.assert_allclose(system.series, expected.v, rtol=1e-8)
    np.testing.assert_allclose(b + before[:, active], expected.b, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(inverse, expected.inverse[size:, size:], rtol=1e-8, atol=1e-14)
    plain = np.diag(np.linalg.inv(normal))
    np.testing.assert_allclose(extra, np.diag(expected.inverse)[:size] - plain, rtol=1e-6, atol=1e-12)
    assert (extra >= 0).all()


@pytest.mark.parametrize(
    ("counts", "reference", "active"),
    [
        ({S2: 50, S1: 50, L8_9: 50}, S2, {S1, L8_9}),
        ({S2: 5, S1: 50, L8_9: 50}, L8_9, {S1, S2}),  # S2 has less than a tenth
        ({S1: 50, L7: 4}, S1, set()),  # four pairs are too few for an offset
        ({L7: 30}, L7, set()),
        ({}, None, set()),
    ],
)
def test_the_reference_is_the_first_trusted_mission_with_a_tenth_of_the_pairs(
    counts: dict[int, int], reference: int | None, active: set[int]
) -> None:
    mission = np.repeat(list(counts), list(counts.values())).astype(np.int64)
    assert offset_missions(mission, np.ones(len(mission))).tolist() == sorted(active)
    assert reference not in active
    assert sorted(TRUST) == sorted(MISSIONS)


# ----------------------------------------------------------------------------------------- smoothing in time


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("interval", "differences"), [(12.0, 200), (5.0, 73), (36.525, 40), (365.25, 70)])
def test_rows_of_the_design_are_hats_of_years_and_months(
    order: int, interval: float, differences: int
) -> None:
    first_time = 1500 * interval
    columns, values, total = Design.of(first_time, interval, order, differences)
    x = np.zeros((differences, total))
    np.add.at(x, (np.arange(differences)[:, None], columns), values)
    assert columns.min() >= 0
    assert columns.max() < total
    slow, months = x[:, 1:-MONTHS], x[:, -MONTHS:]
    np.testing.assert_array_equal(x[:, 0], 1.0)
    np.testing.assert_allclose(slow.sum(axis=1), 1.0)
    np.testing.assert_allclose(months.sum(axis=1), 1.0)
    # Hats reproduce what is linear: the year since the start, and the place in the year.
    np.testing.assert_allclose(
        slow @ np.arange(slow.shape[1]), np.arange(differences) * interval / YEAR, atol=1e-9
    )
    centre = first_time + (np.arange(differences) + 0.5 * (order + 1)) * interval
    knots = np.arange(MONTHS) / MONTHS
    apart = np.abs((centre[:, None] / YEAR - knots + 0.5) % 1.0 - 0.5)  # cyclic
    np.testing.assert_allclose(months, np.maximum(0, 1 - MONTHS * apart), atol=1e-8)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of a changing penalty with full matrices: -2 log p, and the prior of its parts."""

    op: SpanOperator
    w: np.ndarray
    data: np.ndarray
    n: float
    order: int
    x: np.ndarray
    precision: np.ndarray

    def alpha(self, theta: np.ndarray) -> np.ndarray:
        return np.exp(self.x @ theta)

    def __call__(self, theta: np.ndarray) -> float:
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        a, d, alpha = self.op.to_dense(), difference_matrix(self.order, self.op.grid.size), self.alpha(theta)
        normal = a.T @ (self.w[:, None] * a) + d.T @ (alpha[:, None] * d)
        right = a.T @ (self.w[:, None] * self.data)
        inverse = np.linalg.inv(normal)
        v = inverse @ right
        q = (self.w[:, None] * self.data**2).sum(axis=0) - (right * v).sum(axis=0)
        free = self.n - self.order
        value = free * np.log(q).sum() + 2 * (np.linalg.slogdet(normal)[1] - np.log(alpha).sum())
        energy = ((d @ v) ** 2 * free / q).sum(axis=1)
        by_difference = alpha * energy - 2 * self.held(theta)
        prior = self.precision * theta
        return float(value + theta @ prior), self.x.T @ by_difference + 2 * prior

    def held(self, theta: np.ndarray) -> np.ndarray:
        """Give the degrees of freedom that each difference holds."""
        a, d, alpha = self.op.to_dense(), difference_matrix(self.order, self.op.grid.size), self.alpha(theta)
        normal = a.T @ (self.w[:, None] * a) + d.T @ (alpha[:, None] * d)
        return 1 - alpha * np.diag(d @ np.linalg.solve(normal, d.T))


def bursts(order: int, interval: float = 12.0) -> tuple[Evidence, Problem, Design]:
    """Observe a series that is restless in one of its years and in every spring."""
    rng = np.random.default_rng(10)
    start, end = network(rng, 400, length=1100, longest=80)
    op = TimeGrid.covering(start, end, interval).operator(start, end)
    t = op.grid.centres
    truth = (
        200 + 300 * np.exp(-(((t - 17_450) / 25) ** 2)) + 60 * np.exp(-((((t / YEAR) % 1 - 0.4) / 0.04) ** 2))
    )
    data = np.stack([op.apply(truth), op.apply(0.5 * truth)], axis=1) + rng.normal(0, 6, (len(start), 2))
    w = rng.uniform(0.5, 1.5, len(start))
    size, width = op.grid.size, max(order, op.bandwidth)
    normal, rhs = blank_band(size, width), np.empty((2, size))
    assemble(Spans(*op.columns), w, *data.T.copy(), normal, rhs)
    squares = tuple((w[:, None] * data**2).sum(axis=0).tolist())
    problem = Problem(
        EVIDENCE, normal, blank_band(size, width), blank_inverse(size, width), rhs, np.empty((2, size)),
        squares, 380.5, order, interval**order, np.ones(size),
    )  # fmt: skip
    rows = size - order
    design = Design.of(op.grid.first * interval, interval, order, rows)
    x = np.zeros((rows, design.size))
    np.add.at(x, (np.arange(rows)[:, None], design.columns), design.values)
    precision = np.ones(x.shape[1])
    precision[0] = 0.0
    return Evidence(op, w, data, 380.5, order, x, precision), problem, design


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_the_evidence_is_its_slope(order: int) -> None:
    """The formula that the fit rests on, against differences of the evidence itself."""
    evidence, *_ = bursts(order)
    rng = np.random.default_rng(11)
    theta = rng.normal(0, 0.5, evidence.x.shape[1])
    gradient = evidence.value_and_gradient(theta)[1]
    step = 1e-4 * np.eye(len(theta))
    slope = [(evidence(theta + e) - evidence(theta - e)) / 2e-4 for e in step]
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-4)


def best_constant(evidence: Evidence) -> tuple[float, float]:
    """Find the constant log alpha of highest evidence, and that evidence."""
    rest = np.zeros(evidence.x.shape[1] - 1)
    found = minimize_scalar(lambda x: evidence(np.concatenate([[x], rest])), (0.0, 5.0))
    return found.x, found.fun


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("years", "months"), [(True, True), (True, False), (False, True)])
def test_roughness_is_where_the_evidence_is_highest(order: int, years: bool, months: bool) -> None:
    evidence, problem, design = bursts(order)
    start, constant = best_constant(evidence)
    level = 0.5 * start / np.log(10) + np.log10(12.0**order)
    for steps, near in ((100, 0.05), (8, 1.0)):  # to the end, and as far as the solver goes
        theta = np.zeros(evidence.x.shape[1])
        precision = allow(theta, years=years, months=months)
        found = fit_roughness(problem, design, precision, level, theta, steps)
        alpha = evidence.alpha(theta)
        np.testing.assert_allclose(
            problem.shape[: len(design.columns)], alpha / np.exp(np.log(alpha).mean()), rtol=1e-9
        )
        assert (10**found / 12.0**order) ** 2 == pytest.approx(np.exp(np.log(alpha).mean()), rel=1e-9)
        free = np.ones(len(theta), dtype=bool)
        free[1:-MONTHS], free[-MONTHS:] = years, months
        np.testing.assert_allclose(theta[~free], 0.0, atol=1e-6)
        fitted = replace(evidence, precision=precision)

        def partial(
            part: np.ndarray, fitted: Evidence = fitted, free: np.ndarray = free
        ) -> tuple[float, np.ndarray]:
            whole = np.zeros(len(free))
            whole[free] = part
            value, gradient = fitted.value_and_gradient(whole)
            return value, gradient[free]

        reached = fitted(theta)
        assert reached <= minimize(partial, theta[free], jac=True, method="BFGS").fun + near
        assert reached < constant - 20


@pytest.mark.parametrize("order", [1, 2])
def test_years_that_hold_little_are_held_back(order: int) -> None:
    """The prior of a year tightens where it holds fewer than six degrees of freedom."""
    evidence, problem, design = bursts(order)
    start, _ = best_constant(evidence)
    level = 0.5 * start / np.log(10) + np.log10(12.0**order)
    theta = np.zeros(evidence.x.shape[1])
    precision = allow(theta, years=True, months=True)
    fit_roughness(problem, design, precision, level + 1.0, theta, 1)
    theta[:] = 0.0
    theta[0] = 2 * (level + 1.0 - np.log10(12.0**order)) * np.log(10)
    freedom = evidence.x[:, 1:-MONTHS].T @ evidence.held(theta)
    assert freedom.min() < 6 < freedom.max()  # guards the test
    np.testing.assert_allclose(precision[1:-MONTHS], np.maximum(1, (6 / freedom) ** 2), rtol=1e-6)
    assert precision[0] == 0
    np.testing.assert_array_equal(precision[-MONTHS:], 1.0)
