"""The interval of a speed: what it covers, and how exactly it is that of the Rice distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from itslive_core.series.rice import CLEAR_OF_NOISE, speed_interval

SIGMA = 7.0


def estimates(truth: float, n: int = 40_000) -> np.ndarray:
    """Speeds of vectors of a true speed, each component with an error of SIGMA."""
    errors = SIGMA * np.random.default_rng(11).normal(size=(2, n))
    return np.hypot(truth * SIGMA + errors[0], errors[1])


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0, 3.0, 10.0, 100.0])
def test_the_interval_covers_the_true_speed(truth: float):
    v = estimates(truth)
    lower, upper = speed_interval(v, np.full(len(v), SIGMA))
    assert np.all((lower >= 0) & (lower <= v) & (v <= upper))
    held = np.mean((lower <= truth * SIGMA) & (truth * SIGMA <= upper))
    standard_error = np.sqrt(0.05 * 0.95 / len(v))
    assert held > 0.95 - 3 * standard_error
    if truth >= 3:  # elsewhere it is wider than it need be, as little as can be said of noise alone
        assert held < 0.95 + 3 * standard_error


def test_the_limits_are_those_of_the_rice_distribution():
    ratio = np.concatenate([np.linspace(1.2, 40, 150), CLEAR_OF_NOISE + np.geomspace(1e-6, 0.1, 20)])
    lower, upper = speed_interval(ratio * SIGMA, np.full(len(ratio), SIGMA))
    off = 1e-3

    def not_above(truth: np.ndarray) -> np.ndarray:
        """Give the probability of an estimate that is not above each ratio."""
        return stats.ncx2.cdf(ratio**2, 2, np.maximum(truth, 1e-9) ** 2)

    assert np.all(not_above(upper / SIGMA - off) > 0.025)
    assert np.all(not_above(upper / SIGMA + off) < 0.025)
    above = lower > off * SIGMA
    assert np.all(not_above(lower / SIGMA + off) < 0.975)
    assert np.all(not_above(lower / SIGMA - off)[above] > 0.975)
    assert np.all(lower[ratio <= CLEAR_OF_NOISE] == 0)


def test_noise_alone_begins_at_zero_and_is_never_called_precise():
    lower, upper = speed_interval(np.array([0.0, 0.1, 1.0, 2.7]), np.ones(4))
    assert np.all(lower == 0)
    assert np.all(np.diff(upper) >= 0)
    assert upper[0] > 2.4  # what a flat prior leaves of an estimate of 0


def test_what_is_not_known_has_no_limits_and_what_is_certain_has_no_width():
    lower, upper = speed_interval(np.array([np.nan, 3.0, 5.0, 0.0]), np.array([1.0, np.nan, 0.0, 0.0]))
    np.testing.assert_array_equal(lower, [np.nan, np.nan, 5.0, 0.0])
    np.testing.assert_array_equal(upper, [np.nan, np.nan, 5.0, 0.0])


def test_shapes_and_units_follow():
    v = np.array([[1.0, 30.0], [400.0, 2.0]])
    lower, upper = speed_interval(v, np.full((2, 2), 3.0))
    assert lower.shape == upper.shape == (2, 2)
    for found, scaled in zip((lower, upper), speed_interval(10 * v, np.full((2, 2), 30.0)), strict=True):
        np.testing.assert_allclose(10 * found, scaled)
    none, _ = speed_interval(np.empty((0, 5)), np.empty((0, 5)))
    assert none.shape == (0, 5)
