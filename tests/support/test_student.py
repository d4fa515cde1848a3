"""The one robust rule: its weights and its scale."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core.support.student import COMPONENTS, FREEDOM, reweight, student_scale, student_weight


def squares_of(seed: int, n: int = 400, wild: float = 0.0) -> np.ndarray:
    """Draw squared lengths of normal vectors, some a hundred times as long."""
    rng = np.random.default_rng(seed)
    m2 = (rng.normal(size=(2, n)) ** 2).sum(axis=0)
    m2[: round(wild * n)] *= 1e4
    return m2


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_scale_goes_with_the_data(unit: float) -> None:
    m2 = squares_of(1)
    assert student_scale(unit * m2) == pytest.approx(np.sqrt(unit) * student_scale(m2), rel=1e-12)


def test_the_scale_of_student_noise_is_found() -> None:
    rng = np.random.default_rng(2)
    n = 200_000
    m2 = 9.0 * squares_of(3, n) / (rng.chisquare(FREEDOM, n) / FREEDOM)
    assert student_scale(m2) == pytest.approx(3.0, rel=0.01)


def test_the_scale_holds_until_half_is_wild() -> None:
    calm = student_scale(squares_of(4))
    assert student_scale(squares_of(4, wild=0.3)) < 2.0 * calm
    assert student_scale(squares_of(4, wild=0.6)) > 10.0 * calm


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_without_residuals_all_pairs_count_alike(share: float) -> None:
    n = 50
    rx, u = np.zeros(n), np.zeros(n)
    rx[: round(share * n)] = 7.0
    assert reweight(np.ones(n), rx, np.zeros(n), u) == 0.0
    assert (u == 1.0).all()


def test_weights_are_those_of_the_vector() -> None:
    rng = np.random.default_rng(5)
    w, rx, ry, u = rng.uniform(0.1, 3.0, 80), rng.normal(size=80), rng.normal(size=80), np.empty(80)
    scale = reweight(w, rx, ry, u)
    m2 = w * (rx**2 + ry**2)
    assert scale == student_scale(m2)
    np.testing.assert_allclose(u, [student_weight(x) for x in m2 / scale**2], rtol=1e-14)
    assert student_weight(0.0) == (FREEDOM + COMPONENTS) / FREEDOM
