"""The one robust rule of all estimators: noise of Student's t in both components at once.

With m_j^2 the squared length of a residual vector in units in which all pairs are alike, the noise has the
density (1 + m^2 / (nu s^2))^(-(nu + 2) / 2), and by the EM algorithm for it (Lange, Little and Taylor, 1989,
doi:10.1080/01621459.1989.10478852) a pair has the weight

    u_j = (nu + 2) / (nu + m_j^2 / s^2),

and the scale, where nobody else knows it, is the fixed point of s^2 = sum_j u_j m_j^2 / (2 n). There the
weights have mean 1. No pair is ever thrown away, and none pulls more than one at sqrt(nu) scales does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COMPONENTS",
    "FREEDOM",
    "LEAST_WEIGHT",
    "ROOT_STEP",
    "reweight",
    "student_scale",
    "student_weight",
]

FREEDOM = 6.0
"""nu of the noise."""

COMPONENTS = 2.0
"""Numbers of a velocity."""

LEAST_WEIGHT = 0.01
"""Pairs of less weight, some thirty scales off, do not count where it is told what an estimate rests on."""

ROOT_STEP = 1e-8
"""A relative step of Newton's method this small leaves an error of its square: rounding."""


@kernel(error_model="numpy")
def student_weight(square: float) -> float:  # pragma: no cover - compiled
    """Give the weight of a pair.

    Parameters
    ----------
    square : float
        |r|^2 / sigma^2, of both components together.

    Returns
    -------
    float
        Between 0 and (nu + 2) / nu.
    """
    return (FREEDOM + COMPONENTS) / (FREEDOM + square)


@kernel(error_model="numpy")
def student_scale(squares: NDArray) -> float:  # pragma: no cover - compiled
    """Give s, the fixed point of s^2 = sum_j u_j m_j^2 / (2 n).

    With x = 1 / s^2 that is sum_j m_j^2 x / (nu + m_j^2 x) = 2 n / (nu + 2), whose left side rises and is
    concave: from x = 0 Newton's method never oversteps. Each term is at most 1, so there is no x, and s is 0,
    where no more than a share of 2 / (nu + 2) of the pairs has any residual. For the same reason s is that of
    the wild pairs where these are more than that share.

    Parameters
    ----------
    squares : ndarray, shape (n,)
        m_j^2.
    """
    n, count = len(squares), 0
    for j in range(n):
        if squares[j] > 0.0:
            count += 1
    wanted = COMPONENTS * n / (FREEDOM + COMPONENTS)
    if count <= wanted:
        return 0.0
    x, step = 0.0, np.inf
    while step > ROOT_STEP * x:
        total, slope = 0.0, 0.0
        for j in range(n):
            share = 1.0 / (FREEDOM + squares[j] * x)
            total += squares[j] * share
            slope += squares[j] * share * share
        step = (wanted - x * total) / (FREEDOM * slope)
        x += step
    return 1.0 / np.sqrt(x)


@kernel(error_model="numpy")
def reweight(weights: NDArray, rx: NDArray, ry: NDArray, u: NDArray) -> float:  # pragma: no cover - compiled
    """Write the robust weights of residuals whose scale is not known; all 1 if it is 0.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        w: m_j^2 = w_j |r_j|^2.
    rx, ry : ndarray, shape (n,)
        Residuals [m/yr].
    u : ndarray, shape (n,)
        Receives the weights.

    Returns
    -------
    float
        s: the noise of pair j has the scale s / sqrt(w_j) in each component [m/yr].
    """
    for j in range(len(u)):
        u[j] = weights[j] * (rx[j] * rx[j] + ry[j] * ry[j])
    scale = student_scale(u)
    for j in range(len(u)):
        u[j] = student_weight(u[j] / (scale * scale)) if scale > 0.0 else 1.0
    return scale
