"""The arrowhead solver against dense matrices, against the integrated kernel, and its gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import iv

from itslive_core.gaussian_process.arrowhead import Border, Posterior, WeighedPairs, solve_arrowhead
from itslive_core.gaussian_process.means import mean_variances
from itslive_core.gaussian_process.model import KernelShape
from itslive_core.observations.time_grid import SpanOperator, TimeGrid
from itslive_core.observations.windows import window_weights
from itslive_core.support.constants import DAYS_PER_YEAR
from tests.gaussian_process.hyperparameters import VALUES


@dataclass(frozen=True)
class Problem:
    grid: TimeGrid
    operator: SpanOperator
    y: np.ndarray
    weights: np.ndarray
    border: Border
    shape: KernelShape
    values: dict[str, float]

    def solve(self, values: dict[str, float] | None = None) -> Posterior:
        layout = self.shape.layout(self.grid, self.operator.bandwidth)
        latent = self.shape.latent(self.values if values is None else values)
        return solve_arrowhead(layout, latent, self.operator, self.y, self.weights, self.border)


def problem(
    *,
    h: float = 12.0,
    trend: bool = True,
    harmonics: int = 4,
    n: int = 200,
    longest: float = 500.0,
    length: float = 1700.0,
    seed: int = 0,
    **values: float,
) -> Problem:
    rng = np.random.default_rng(seed)
    start = 16_003.3 + rng.uniform(0, length - 6, n)
    end = np.minimum(start + np.exp(rng.uniform(np.log(5), np.log(longest), n)), 16_003.3 + length)
    grid = TimeGrid.covering(start, end, h)
    mission = rng.integers(0, 4, n)
    columns = np.stack([np.ones(n), *(1.0 * (mission == m) for m in range(1, 4))])
    shape = KernelShape(h, trend, harmonics)
    chosen = {name: (VALUES | values)[name] for name in shape.names}
    y = np.sin(start / 58) + rng.normal(size=n)
    border = Border(columns, np.array([100.0, 0.04, 0.04, 0.09]))
    return Problem(grid, grid.operator(start, end), y, rng.uniform(1, 30, n), border, shape, chosen)


def prior_covariance(case: Problem) -> np.ndarray:
    """Covariance of the cells, written down directly."""
    shape, v, grid = case.shape, case.values, case.grid
    h, cells = shape.interval / DAYS_PER_YEAR, grid.first + np.arange(grid.size)
    p, q = np.exp(-h / v["roughness_time"]), np.exp(-h / v["rounding_time"])
    lags = np.ones(grid.size)
    lags[1] = (p + q) / (1 + p * q)
    for k in range(2, grid.size):
        lags[k] = (p + q) * lags[k - 1] - p * q * lags[k - 2]
    k = v["roughness_scale"] ** 2 * lags[np.abs(cells[:, None] - cells)]
    knots = np.arange(cells[0] // shape.spacing, cells[-1] // shape.spacing + 2) * shape.spacing
    away = cells[:, None] - knots
    hat = np.clip(1 - np.where(away > 0, np.maximum(away - 1, 0), -away) / (shape.spacing - 1), 0, None)
    gap = np.abs(knots[:, None] - knots) * h
    if shape.trend:
        a = np.sqrt(3) * gap / v["trend_time"]
        k += v["trend_scale"] ** 2 * hat @ ((1 + a) * np.exp(-a)) @ hat.T
    t = grid.centres / DAYS_PER_YEAR
    for n in range(1, shape.harmonics + 1):
        z = v["season_shape"] ** -2
        variance = v["season_scale"] ** 2 * 2 * iv(n, z) * np.exp(-z) * np.sinc(n * h) ** 2
        slow = hat @ np.exp(-gap / v["season_memory"]) @ hat.T
        k += variance * slow * np.cos(2 * np.pi * n * (t[:, None] - t))
    return k


def log_density(y: np.ndarray, covariance: np.ndarray) -> float:
    lower = np.linalg.cholesky(covariance)
    white = np.linalg.solve(lower, y)
    return float(-0.5 * white @ white - np.log(np.diag(lower)).sum() - 0.5 * len(y) * np.log(2 * np.pi))


CASES = [
    {},
    {"trend": False},
    {"harmonics": 0},
    {"trend": False, "harmonics": 0},
    {"shared_noise": 1e-3},
    {"shared_noise": 3.0, "trend": False, "harmonics": 0},
    {"h": 5.0, "length": 1000.0},
    {"h": 40.0, "harmonics": 3},
    {"h": 365.0, "trend": False, "harmonics": 0, "length": 5000.0},
    {"n": 9},
    {"longest": 20.0},
    {"roughness_scale": 0.02, "roughness_time": 1.5, "trend_time": 40.0, "season_memory": 90.0},
    {"season_shape": 7.0, "season_scale": 0.02},
    {"roughness_scale": 20.0, "trend_scale": 40.0, "season_scale": 20.0, "rounding_time": 1e-3},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_evidence_mean_and_variances_equal_dense_algebra(changes: dict) -> None:
    case = problem(**changes)
    found = case.solve()
    k, a = prior_covariance(case), case.operator.to_dense()
    shared = case.values["shared_noise"] ** 2
    e, prior = case.border.columns, case.border.prior
    signal = a @ k @ a.T + shared * a @ a.T + e.T @ (prior[:, None] * e)
    total = signal + np.diag(1 / case.weights)
    assert found.log_evidence == pytest.approx(log_density(case.y, total), rel=1e-9)

    cross = k @ a.T + prior[0] * np.outer(np.ones(case.grid.size), e[0])
    gain = np.linalg.solve(total, cross.T).T
    mean, variance = gain @ case.y, np.diag(k) + prior[0] - np.sum(gain * cross, axis=1)
    np.testing.assert_allclose(found.mean.v + found.beta[0], mean, atol=1e-8 * np.abs(mean).max())
    touched = found.sensitivity.v - np.eye(4)[:, :1]
    own = np.einsum("rm,rs,sm->m", touched, found.beta_cov, touched)
    np.testing.assert_allclose(np.sqrt(found.known.rough[:, 0] + own), np.sqrt(variance), rtol=1e-8)
    fit = np.linalg.solve(total, signal).T
    np.testing.assert_allclose(found.residuals, case.y - fit @ case.y, atol=1e-8)
    np.testing.assert_allclose(found.fit_variance, np.diag(signal) - np.sum(fit * signal, axis=1), rtol=1e-8)
    offset_cov = np.diag(prior) - (prior[:, None] * e) @ np.linalg.solve(total, e.T * prior)
    np.testing.assert_allclose(found.beta_cov, offset_cov, atol=1e-8 * prior.max())


@pytest.mark.parametrize(
    "changes",
    [{}, {"trend": False, "harmonics": 0}, {"shared_noise": 1e-3}, {"shared_noise": 3.0}, {"longest": 20.0}],
    ids=str,
)
def test_errors_of_means_are_those_of_the_dense_covariance_and_of_a_simulation(changes: dict) -> None:
    case = problem(**changes)
    found, grid, prior = case.solve(), case.grid, case.border.prior
    weights = window_weights(
        grid.first * grid.interval,
        grid.interval,
        grid.size,
        np.array([grid.edges[0], grid.edges[0] + 31.0, *(grid.edges[0] + 400.0 * np.arange(1, 4))]),
    )
    pairs = WeighedPairs.of(found.layout, case.operator, case.weights, case.border.columns)
    touched = (found.sensitivity.v - np.eye(4)[:, :1]) @ weights.T
    variance = mean_variances(found, pairs, weights) + np.einsum(
        "rg,rs,sg->g", touched, found.beta_cov, touched
    )
    k, a, e = prior_covariance(case), case.operator.to_dense(), case.border.columns
    cells = k + prior[0]
    shared = case.values["shared_noise"] ** 2 * a @ a.T
    total = a @ k @ a.T + shared + e.T @ (prior[:, None] * e) + np.diag(1 / case.weights)
    cross = (k @ a.T + prior[0] * e[0]).T
    gain = np.linalg.solve(total, cross)
    posterior = cells - cross.T @ gain
    np.testing.assert_allclose(variance, np.einsum("gi,ij,gj->g", weights, posterior, weights), rtol=1e-6)
    assert (variance > 1.5 * (weights**2 @ np.diag(posterior))).any()  # cells do not err independently
    # Series of the prior, seen with noise: the spread of the errors of the means is what is told of it.
    rng, n = np.random.default_rng(11), 4000
    roots = [np.linalg.cholesky(of + 1e-10 * np.eye(len(of))) for of in (k, np.eye(grid.size))]
    truth, together = (root @ rng.standard_normal((grid.size, n)) for root in roots)
    beta = np.sqrt(prior)[:, None] * rng.standard_normal((4, n))
    noise = rng.standard_normal((len(a), n)) / np.sqrt(case.weights)[:, None]
    seen = a @ (truth + case.values["shared_noise"] * together) + e.T @ beta + noise
    errors = weights @ (gain.T @ seen - truth - beta[0])
    np.testing.assert_allclose(errors.std(axis=1), np.sqrt(variance), rtol=0.05)


@pytest.mark.parametrize("changes", [c for c in CASES if c.get("roughness_time") != 1.5], ids=str)
def test_gradients_equal_finite_differences(changes: dict) -> None:
    case = problem(**changes)
    found = case.shape.gradient(case.values, case.solve())
    step, expected = 2e-3, []  # the evidence has 12 digits: a shorter step meets their rounding
    for name in case.shape.names:
        f = [
            case.solve({**case.values, name: case.values[name] * np.exp(k * step)}).log_evidence
            for k in (-2, -1, 1, 2)
        ]
        expected.append(-(f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def integrated_evidence(
    start: np.ndarray, end: np.ndarray, y: np.ndarray, weights: np.ndarray, values: dict[str, float]
) -> float:
    """Evidence of a roughness in continuous time, averaged exactly over spans, and a level of variance 4."""
    slow, fast = values["roughness_time"], values["rounding_time"]

    def integral(lag: np.ndarray, time: float) -> np.ndarray:
        """Function of the lag whose second derivative is exp(-|lag| / time)."""
        return time * np.abs(lag) + time**2 * np.exp(-np.abs(lag) / time)

    a, b = start / DAYS_PER_YEAR, end / DAYS_PER_YEAR
    covariance = np.zeros((len(y), len(y)))
    for time, share in ((slow, slow / (slow - fast)), (fast, -fast / (slow - fast))):
        for left, right, sign in ((b, b, -1), (b, a, 1), (a, b, 1), (a, a, -1)):
            covariance += share * sign * integral(left[:, None] - right, time)
    covariance *= values["roughness_scale"] ** 2 / np.outer(b - a, b - a)
    return log_density(y, covariance + 4.0 + np.diag(1 / weights))


def test_evidence_tends_to_that_of_the_integrated_kernel_with_the_square_of_the_interval() -> None:
    values = {"roughness_scale": 0.6, "roughness_time": 0.3, "rounding_time": 0.12, "shared_noise": 1e-3}
    intervals = (16.0, 8.0, 4.0, 2.0)
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        start = 16_000 + rng.uniform(0, 900, 120)
        end = start + rng.uniform(20, 200, 120)
        y, weights = np.cos(start / 58) + 0.2 * rng.normal(size=120), np.full(120, 20.0)
        exact = integrated_evidence(start, end, y, weights, values)
        for h in intervals:
            grid = TimeGrid.covering(start, end, h)
            border, shape = (
                Border(np.ones((1, 120)), np.array([4.0])),
                KernelShape(h, trend=False, harmonics=0),
            )
            case = Problem(grid, grid.operator(start, end), y, weights, border, shape, values)
            errors.append(case.solve().log_evidence - exact)
    # One data set may cross zero on the way; the typical error may not.
    typical = np.sqrt(np.mean(np.reshape(errors, (6, 4)) ** 2, axis=0))
    assert np.all(typical[:-1] / typical[1:] > 2.5)
    assert typical[-1] < 0.01


def test_pairs_inside_one_cell_and_repeated_pairs_are_fine() -> None:
    case = problem(n=60)
    start = np.repeat(case.grid.edges[3:23] + 1.0, 3)
    operator = case.grid.operator(start, start + 4.0)
    found = replace(case, operator=operator).solve()
    assert np.isfinite(found.log_evidence)
    assert np.all(found.fit_variance > 0)


def test_a_border_of_one_column_and_no_variances() -> None:
    case = problem()
    alone = Border(case.border.columns[:1], case.border.prior[:1])
    layout, latent = case.shape.layout(case.grid, case.operator.bandwidth), case.shape.latent(case.values)
    arguments = layout, latent, case.operator, case.y, case.weights, alone
    full, quick = solve_arrowhead(*arguments), solve_arrowhead(*arguments, variances=False)
    assert quick.log_evidence == full.log_evidence
    np.testing.assert_array_equal(quick.mean.v, full.mean.v)
    assert quick.fit_variance.size == 0
    with pytest.raises(ValueError, match="without variances"):
        _ = quick.known
