"""What is learnt beside the series, part by part, against full matrices and simulated noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from itslive_core.bands.span_variance import span_variances
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
from itslive_core.inversion.learning.noise_model import (
    Images,
    give_credit,
    image_correlation,
    mission_noise,
    trust,
)
from itslive_core.inversion.learning.starts import cross_season, grid_of_starts
from itslive_core.observations.missions import MISSIONS, TRUST
from itslive_core.observations.time_grid import SpanOperator, TimeGrid
from itslive_core.support.constants import DAYS_PER_YEAR as YEAR
from itslive_core.support.constants import MONTHS_PER_YEAR as MONTHS
from itslive_core.support.student import FREEDOM
from tests.bands.full_matrices import inverse_of
from tests.inversion.full_system import border_matrix
from tests.simulate import image_noise, network

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


# ----------------------------------------------------------------------------------------------------- noise


@dataclass(frozen=True, eq=False)
class Noise:
    """What is found of the noise from residuals that no fit has shortened; in standard deviations."""

    scale: np.ndarray
    floor: np.ndarray
    jitter: np.ndarray
    sigma: np.ndarray
    u: np.ndarray

    @classmethod
    def of(
        cls, formal: np.ndarray, mission: np.ndarray, residual: np.ndarray, *, span: np.ndarray | None = None,
        robust: bool = True,
    ) -> Noise:  # fmt: skip
        n = len(formal)
        scale, floor, jitter, variance = *np.empty((3, len(MISSIONS))), formal**2
        energy, u = (residual**2).mean(axis=0), np.ones(n)
        span = np.full(n, 40.0) if span is None else span
        for _ in range(20 if robust else 1):
            mission_noise(formal**2, span, mission, energy, u, scale, floor, jitter, variance)
            if robust:
                trust(variance, np.zeros((2, n)), residual, u)
        return cls(*np.sqrt([scale, floor, jitter]), np.sqrt(variance), u)


def student(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw vectors of Student's t of the scale 1."""
    chi: np.ndarray = rng.normal(size=(2, n)) / np.sqrt(rng.chisquare(FREEDOM, n) / FREEDOM)
    return chi


@pytest.mark.parametrize("seed", range(3))
def test_scale_and_floor_of_each_mission_are_found(seed: int) -> None:
    rng = np.random.default_rng([seed, 2])
    n = 4000
    mission = rng.choice([S1, S2, L8_9], n)
    formal = np.exp(rng.uniform(np.log(2.0), np.log(60.0), n))
    typical = np.median(formal)  # floors are looked for in factors of two from it
    scale, floor = np.full(len(MISSIONS), np.nan), np.zeros(len(MISSIONS))
    scale[[S1, S2, L8_9]], floor[[S1, L8_9]] = (2.0, 1.0, 1.4), (typical, 0.6 * typical)
    sigma = scale[mission] * np.hypot(formal, floor[mission])
    for robust, noise in ((True, student(rng, n)), (False, rng.normal(size=(2, n)))):
        found = Noise.of(formal, mission, sigma * noise, robust=robust)
        assert np.array_equal(np.isnan(found.scale), np.isnan(scale))
        assert np.array_equal(np.isnan(found.floor), np.isnan(scale))
        np.testing.assert_allclose(found.scale[[S1, S2]], [2.0, 1.0], rtol=0.07)
        np.testing.assert_allclose(found.floor[[S1, S2]], [typical, 0.0], rtol=1e-6)
        # A floor between two of the steps costs little.
        error = np.log(found.sigma / sigma)
        assert np.abs(error[mission != L8_9]).max() < 0.07
        assert np.abs(error[mission == L8_9]).max() < 0.15


def test_normal_noise_has_a_smaller_scale_and_as_much_spread() -> None:
    """A t of 8 degrees of freedom has a variance of 4/3 of its scale; normal noise lies between."""
    rng = np.random.default_rng(12)
    formal = np.full(20_000, 5.0)
    found = Noise.of(formal, np.full(20_000, S2), 5.0 * rng.normal(size=(2, 20_000)))
    assert np.sqrt(1 / (FREEDOM / (FREEDOM - 2))) < found.scale[S2] < 0.95
    assert found.u.max() < (FREEDOM + 2) / FREEDOM


def test_an_error_of_the_displacement_is_found() -> None:
    rng = np.random.default_rng(13)
    n = 3000
    span = np.exp(rng.uniform(np.log(6), np.log(300), n))
    formal = np.full(n, 4.0)
    sigma = np.hypot(formal, 256.0 / span)  # 64 days of the formal error
    found = Noise.of(formal, np.full(n, S2), sigma * student(rng, n), span=span)
    np.testing.assert_allclose(found.sigma, sigma, rtol=0.1)
    assert found.jitter[S2] == pytest.approx(256.0, rel=0.01)


def test_a_mission_with_few_pairs_is_held_near_the_common_scale() -> None:
    rng = np.random.default_rng(3)
    n, few = 403, 3
    mission = np.repeat([S2, L7], [n - few, few])
    formal = np.full(n, 5.0)
    residual = np.where(mission == L7, 8.0, 2.0) * formal * rng.normal(size=(2, n))
    found = Noise.of(formal, mission, residual, robust=False)
    square = (residual**2).mean(axis=0) / formal**2
    assert found.scale[S2] == pytest.approx(2.0, rel=0.05)
    # Three pairs weigh as much as they are, beside ten of the common scale.
    assert found.scale[L7] == pytest.approx(np.sqrt((10 * square.mean() + square[-few:].sum()) / (10 + few)))
    assert found.floor[L7] == 0


def test_trust_is_that_of_student() -> None:
    """The weight is -2 d log t / d r^2, sigma^2 times; the pull of a pair on its own fit is undone."""
    rng = np.random.default_rng(14)
    variance, r = rng.uniform(1, 9, 50), rng.normal(0, 5, (2, 50))
    pull, u = rng.uniform(0, 0.7, (2, 50)), np.empty(50)
    trust(variance, pull, r, u)
    square = (r**2 / (1 - pull)).sum(axis=0) / variance

    def log_t(x: np.ndarray) -> np.ndarray:
        return -(FREEDOM + 2) / 2 * np.log1p(x / FREEDOM)

    np.testing.assert_allclose(u, -2 * (log_t(square + 1e-5) - log_t(square - 1e-5)) / 2e-5, rtol=1e-6)


def test_wild_pairs_say_little_of_the_noise() -> None:
    rng = np.random.default_rng(4)
    n = 2000
    formal, mission = rng.uniform(2, 20, n), rng.choice([S1, S2], n)
    residual = 1.5 * formal * student(rng, n)
    clean = Noise.of(formal, mission, residual)
    residual[:, :100] += 1e4
    spoilt = Noise.of(formal, mission, residual)
    np.testing.assert_allclose(spoilt.sigma / clean.sigma, 1.0, atol=0.25)
    assert spoilt.u[:100].max() < 1e-4


def images_of(rng: np.random.Generator, n: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw earlier and later images of n pairs; none is the earlier of one pair and the later of another."""
    half = images // 2
    return rng.integers(0, half, n), rng.integers(half, images, n)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Pairs that share images and read a series of known roughness, fitted by the weights of their noise."""

    first: np.ndarray
    second: np.ndarray
    images: Images
    spans: Spans
    a: np.ndarray
    penalty: np.ndarray
    variance: np.ndarray
    data: np.ndarray

    @classmethod
    def make(cls, seed: int, rho: float, *, n: int = 500, count: int = 60, roughness: float = 1.0) -> Fitted:
        rng = np.random.default_rng([seed, 5])
        at = 17_000 + np.sort(rng.uniform(0, 600, count))
        first = rng.integers(0, count - 10, n)
        second = first + rng.integers(1, 10, n)
        op = TimeGrid.covering(at[first], at[second], 12.0).operator(at[first], at[second])
        variance, a = rng.uniform(1, 100, n), op.to_dense()
        d = np.diff(np.eye(a.shape[1]), 2, axis=0)
        truth = np.cumsum(np.cumsum(roughness * rng.normal(size=(2, a.shape[1])), axis=1), axis=1)
        data = truth @ a.T + np.sqrt(variance) * image_noise(rng, rho, first, count + second, 2 * count)
        images = Images.of(first, count + second, 2 * count)
        spans, penalty = Spans(*op.columns), d.T @ d / roughness**2
        return cls(first, second, images, spans, a, penalty, variance, data)

    def fit(self, credit: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Give the covariance of the series, and residuals."""
        w = credit / self.variance
        z = np.linalg.inv(self.a.T @ (w[:, None] * self.a) + self.penalty)
        return z, self.data - (w * self.data) @ self.a @ z @ self.a.T

    def correlation(self, z: np.ndarray, r: np.ndarray, u: np.ndarray) -> float:
        inverse, cells = inverse_of(z, len(z) - 1), np.arange(len(z))
        leverage = np.empty((2, len(u)))
        for out in leverage:
            span_variances(inverse, cells, self.spans, out)
        return image_correlation(
            self.images, self.spans, (inverse, inverse), r, leverage, self.variance, u
        )  # fmt: skip


def test_correlation_is_the_mean_product_over_couples() -> None:
    case = Fitted.make(0, 0.3, n=80, count=30)
    n, rng = 80, np.random.default_rng(6)
    u = rng.uniform(0.1, 1.2, n)
    z, r = case.fit()
    covariance = case.a @ z @ case.a.T
    products = couples = squares = weight = 0.0
    for image in (case.first, case.second):
        shared = np.flatnonzero(np.bincount(image)[image] > 1)
        for i in shared:
            squares += u[i] * (r[:, i] @ r[:, i] + 2 * covariance[i, i]) / case.variance[i]
            weight += u[i]
            for j in shared:
                if i != j and image[i] == image[j]:
                    product = r[:, i] @ r[:, j] + 2 * covariance[i, j]
                    products += u[i] * u[j] * product / np.sqrt(case.variance[i] * case.variance[j])
                    couples += u[i] * u[j]
    expected = products / couples / (squares / weight) - 1 / np.sqrt(couples)
    assert 0.05 < expected < 0.5
    assert case.correlation(z, r, u) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("roughness", [0.01, 1.0, 5.0])
@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 0.0, 0.012), (0.1, 0.06, 0.11), (0.2, 0.14, 0.21)])
def test_correlation_is_found_also_where_the_fit_follows_shared_errors(
    rho: float, low: float, high: float, roughness: float
) -> None:
    """On average over seeds, less the standard error that is taken off on purpose; in turns with the fit."""
    found = []
    for seed in range(20):
        case = Fitted.make(seed, rho, roughness=roughness)
        credit, u = np.ones(500), np.ones(500)
        for _ in range(3):
            correlation = case.correlation(*case.fit(credit), u)
            give_credit(case.images, u, correlation, credit)
        found.append(correlation)
    assert low <= np.mean(found) <= high


def test_without_shared_images_there_is_no_correlation() -> None:
    case, n = Fitted.make(1, 0.2), 500
    image = np.arange(n)
    images = Images.of(image, n + image, 2 * n)
    z, r = case.fit()
    inverse, ones = inverse_of(z, len(z) - 1), np.ones(n)
    assert image_correlation(images, case.spans, (inverse, inverse), r, 0 * r, ones, ones) == 0
    credit = np.empty(n)
    give_credit(images, ones, 0.2, credit)
    np.testing.assert_array_equal(credit, 1.0)


def test_credit_counts_the_pairs_with_which_images_are_shared() -> None:
    rng = np.random.default_rng(7)
    n, images, rho = 60, 14, 0.15
    first, second = images_of(rng, n, images)
    u = rng.uniform(0, 1.25, n)
    credit = np.empty(n)
    give_credit(Images.of(first, second, images), u, rho, credit)
    others = [
        sum(u[j] * (int(first[i] == first[j]) + int(second[i] == second[j])) for j in range(n) if j != i)
        for i in range(n)
    ]
    np.testing.assert_allclose(credit, 1 / (1 + rho * np.array(others)), rtol=1e-12)


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
