"""Heavy tails of the roughness against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.gaussian_process.arrowhead import solve_arrowhead
from itslive_core.gaussian_process.jumps import jump_squares
from itslive_core.support.constants import DAYS_PER_YEAR
from tests.gaussian_process.test_arrowhead import log_density, prior_covariance, problem


def autoregression(size: int, p: float, q: float) -> np.ndarray:
    """T of e = T x, shape (M - 2, M)."""
    rows = np.arange(size - 2)
    t = np.zeros((size - 2, size))
    t[rows, rows + 2], t[rows, rows + 1], t[rows, rows] = 1.0, -(p + q), p * q
    return t


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shared_noise": 1e-3, "harmonics": 2},
        {"trend": False, "harmonics": 0},
        {"h": 40.0, "harmonics": 1},
    ],
)
def test_evidence_mean_and_squares_of_jumps_equal_dense_algebra(changes: dict) -> None:
    case = problem(n=120, **changes)
    h, v, size = case.shape.interval / DAYS_PER_YEAR, case.values, case.grid.size
    p, q = np.exp(-h / v["roughness_time"]), np.exp(-h / v["rounding_time"])
    calm = np.random.default_rng(3).uniform(0.05, 2.0, size - 2)
    layout = case.shape.layout(case.grid, case.operator.bandwidth).with_calm(calm)
    latent = case.shape.latent(v)
    found = solve_arrowhead(layout, latent, case.operator, case.y, case.weights, case.border)
    # The first two cells are as without jumps; what enters after has a variance of its own in every cell.
    unit = latent.roughness**2 * latent.variance_ratio
    slow = problem(n=120, **changes, roughness_scale=1e-6)
    rough = prior_covariance(case) - prior_covariance(slow)
    t = autoregression(size, p, q)
    whole = np.vstack([np.eye(2, size), t])
    entering = np.zeros((size, size))
    entering[:2, :2] = rough[:2, :2]
    entering[2:, 2:] = np.diag(unit / calm)
    back = np.linalg.inv(whole)
    rough = back @ entering @ back.T
    of_cells = rough + prior_covariance(slow)
    shared = v["shared_noise"] ** 2 * np.eye(size)
    a = case.operator.to_dense()
    columns = case.border.columns
    of_data = (
        a @ (of_cells + shared) @ a.T + columns.T * case.border.prior @ columns + np.diag(1 / case.weights)
    )
    assert found.log_evidence == pytest.approx(log_density(case.y, of_data), rel=1e-8)
    gain = of_cells @ a.T @ np.linalg.inv(of_data)
    np.testing.assert_allclose(found.mean.v, gain @ case.y, rtol=0, atol=1e-7)
    gain = rough @ a.T @ np.linalg.inv(of_data)
    mean, covariance = gain @ case.y, rough - gain @ a @ rough
    dense = ((t @ mean) ** 2 + np.diag(t @ covariance @ t.T)) / unit
    away = np.abs(np.subtract.outer(np.arange(size - 2), np.arange(size - 2)))
    # A large value stands for its neighbours.
    near = np.where(away <= 10, np.exp(-away / 1.5), 0.0)
    np.testing.assert_allclose(jump_squares(found), (near * dense).max(axis=1), rtol=1e-4)
    plain = (near * ((t @ mean) ** 2 / unit)).max(axis=1)
    np.testing.assert_allclose(jump_squares(found, blind=False), plain, rtol=1e-4, atol=1e-6)


def test_a_posterior_that_is_calm_throughout_is_the_one_without_jumps() -> None:
    case = problem(n=60)
    layout, latent = case.shape.layout(case.grid, case.operator.bandwidth), case.shape.latent(case.values)
    plain, calm = (
        solve_arrowhead(one, latent, case.operator, case.y, case.weights, case.border)
        for one in (layout, layout.with_calm(np.ones(case.grid.size - 2)))
    )
    assert calm.log_evidence == plain.log_evidence
    np.testing.assert_array_equal(calm.moments.forms, plain.moments.forms)
