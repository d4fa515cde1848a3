"""What residuals say of the noise: its size in each mission, and what pairs of shared images are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from itslive_core.bands.span_variance import span_variances
from itslive_core.bands.spans import Spans
from itslive_core.inversion.learning.noise_model import (
    FREEDOM,
    Images,
    give_credit,
    image_correlation,
    mission_noise,
    trust,
)
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from tests.bands.full_matrices import inverse_of
from tests.simulate import image_noise

S1, S2, L7, L8_9 = (MISSIONS.index(name) for name in ("S1", "S2", "L7", "L8_9"))


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
        assert np.abs(error[mission != L8_9]).max() < 0.15
        assert np.abs(error[mission == L8_9]).max() < 0.15


def test_normal_noise_has_a_smaller_scale_and_as_much_spread() -> None:
    """A t of 6 degrees of freedom has a variance of 3/2 of its scale; normal noise lies between."""
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
