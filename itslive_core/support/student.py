"""The one robust rule of all estimators: noise of Student's t in both components at once.

With m_j^2 the squared length of a residual vector in units in which all pairs are alike, the noise has the
density (1 + m^2 / (nu s^2))^(-(nu + 2) / 2), and by the EM algorithm for it (Lange, Little and Taylor, 1989,
doi:10.1080/01621459.1989.10478852) a pair has the weight

    u_j = (nu + 2) / (nu + m_j^2 / s^2),

and the scale, where nobody else knows it, is that of which m^2 has the median that is found: the median of
m^2 / s^2 is nu (2^(2 / nu) - 1). No pair is ever thrown away, and none pulls more than one at sqrt(nu) scales
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COMPONENTS",
    "FREEDOM",
    "LEAST_WEIGHT",
    "MEDIAN_SQUARE",
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

MEDIAN_SQUARE = FREEDOM * (2.0 ** (2.0 / FREEDOM) - 1.0)
"""Median of |r|^2 / sigma^2: half of them are below x where (1 + x / nu)^(-nu / 2) = 1 / 2."""


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
    """Give s from the median of m_j^2, which half of the pairs cannot spoil; 0 if that is 0.

    Parameters
    ----------
    squares : ndarray, shape (n,)
        m_j^2.
    """
    return np.sqrt(median(squares) / MEDIAN_SQUARE)


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
