"""Smoothness that changes in time: how rough the series is, year by year and month by month.

The penalty on difference i is alpha_i = exp(sum_c X_ic theta_c): one level for the whole series, a slow part
(linear between yearly knots) for surges and quiet years, and a seasonal part (linear between twelve knots of
the year, cyclic) for glaciers that rush in spring and rest in winter. theta has a normal prior of standard
deviation 1, except for the level, and maximises the evidence. With Z = N^-1, s_c^2 = Q_c / (n - k) and
g_i = 1 - alpha_i (D Z D')_ii, the gradient is

    d(-2 log p) / d log alpha_i = sum_c alpha_i (D v_c)_i^2 / s_c^2 - 2 g_i

(the effective number of parameters of MacKay, 1992, doi:10.1162/neco.1992.4.3.415). The expected curvature of
one block of differences is close to 2 (3/4) g_i, 3/4 being the ratio of sum (1 + x^4)^-2 to sum (1 + x^4)^-1,
the response of a smoothing spline; where the gradient is large the bound of the EM algorithm is used.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import selected_inverse
from itslive_core.bands.penalty import Penalty, penalty_diagonal
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.search import Problem

__all__ = ["NONZERO", "Design", "allow", "fit_roughness"]

NONZERO = 5
"""Columns that one difference belongs to: the level, two years, two months."""
_LARGEST_STEP = 1.0
_FORBIDDEN = 1e9
_ENOUGH = 6.0
"""Degrees of freedom that a year must hold to be free to differ from the others."""
_SETTLED = 0.02
_STEEPEST = 8.0
"""Largest departure of log alpha from its mean."""


class Design(NamedTuple):
    """Rows of X, one for each of M - k differences.

    Parameters
    ----------
    columns : ndarray of int64, shape (M - k, 5)
        Where the row is not 0: the level, two years, two months.
    values : ndarray, shape (M - k, 5)
        What it is there.
    size : int
        Number of columns: the length of theta.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    size: int

    @classmethod
    def of(cls, first_time: float, interval: float, order: int, differences: int) -> Design:
        """Place the differences in their years.

        Parameters
        ----------
        first_time : float
            Start of the first cell [days since 1970-01-01].
        interval : float
            h [days].
        order : int
            k; difference i is centred (k + 1) / 2 cells after the start of cell i.
        differences : int
            M - k.
        """
        months = 1 + math.ceil(differences * interval / DAYS_PER_YEAR) + 1
        since = np.arange(differences) * interval
        columns = np.zeros((differences, NONZERO), dtype=np.int64)
        values = np.ones((differences, NONZERO))
        year = since / DAYS_PER_YEAR
        begun = np.floor(year)
        columns[:, 1], values[:, 1] = 1 + begun, 1.0 - (year - begun)
        columns[:, 2], values[:, 2] = 2 + begun, year - begun
        phase = (first_time + since + 0.5 * (order + 1) * interval) / DAYS_PER_YEAR
        phase = (phase - np.floor(phase)) * MONTHS_PER_YEAR
        begun = np.floor(phase)
        columns[:, 3], values[:, 3] = months + begun % MONTHS_PER_YEAR, 1.0 - (phase - begun)
        columns[:, 4], values[:, 4] = months + (begun + 1) % MONTHS_PER_YEAR, phase - begun
        return cls(columns, values, months + MONTHS_PER_YEAR)


def allow(theta: NDArray[np.float64], *, years: bool, months: bool) -> NDArray[np.float64]:
    """Let only some parts of theta differ from 0, and set the others to 0; gives the prior's precision."""
    split = len(theta) - MONTHS_PER_YEAR
    precision = np.ones(len(theta))
    precision[0] = 0.0
    for free, part in ((years, slice(1, split)), (months, slice(split, None))):
        if not free:
            precision[part], theta[part] = _FORBIDDEN, 0.0
    return precision


@kernel(error_model="numpy")
def _hold_back(design: Design, held: NDArray, precision: NDArray) -> None:  # pragma: no cover - compiled
    """Tighten the prior of years that hold few degrees of freedom.

    Where pairs are sparse the evidence leans to the stiff side: roughness that nothing shows costs nothing
    there. Such years keep the level of the others.
    """
    columns, values, _ = design
    edf = np.zeros(len(precision))
    for r in range(len(columns)):
        for a in (1, 2):
            edf[columns[r, a]] += values[r, a] * held[r]
    for c in range(1, len(precision) - MONTHS_PER_YEAR):
        if precision[c] < _FORBIDDEN:
            precision[c] = max(1.0, (_ENOUGH / max(edf[c], 1e-3)) ** 2)


@kernel(error_model="numpy")
def _shape_of(design: Design, theta: NDArray, shape: NDArray) -> float:  # pragma: no cover - compiled
    """Write the factor of each difference, of geometric mean 1; return the mean logarithm taken from them."""
    columns, values, _ = design
    rows, mean = len(columns), 0.0
    for r in range(rows):
        total = 0.0
        for a in range(1, NONZERO):
            total += values[r, a] * theta[columns[r, a]]
        shape[r] = total
        mean += total / rows
    for r in range(rows):
        shape[r] = np.exp(min(max(shape[r] - mean, -_STEEPEST), _STEEPEST))
    return mean


@kernel(error_model="numpy")
def _slopes(
    solution: NDArray,
    variances: tuple[float, float],
    penalty: Penalty,
    spread: NDArray,
    held: NDArray,
    gradient: NDArray,
    curvature: NDArray,
) -> None:  # pragma: no cover - compiled
    """Write g_i, gradient and expected curvature of each difference; ``spread`` is the diagonal of D Z D'."""
    order, alpha, shape = penalty
    for r in range(len(gradient)):
        gradient[r] = 0.0
    for c in range(2):
        v = solution[c]
        for r in range(len(gradient)):
            d = v[r + 1] - v[r] if order == 1 else (v[r + 2] - v[r + 1]) - (v[r + 1] - v[r])
            gradient[r] += alpha * shape[r] * (d * d) / variances[c]
    for r in range(len(gradient)):
        held[r] = min(max(1.0 - alpha * shape[r] * spread[r], 1e-6), 1.0)
        curvature[r] = max(1.5 * held[r], 0.75 * gradient[r])
        gradient[r] -= 2.0 * held[r]


@kernel(error_model="numpy")
def _normal_of(
    design: Design,
    gradient: NDArray,
    curvature: NDArray,
    precision: NDArray,
    theta: NDArray,
    hessian: NDArray,
    slope: NDArray,
) -> None:  # pragma: no cover - compiled
    """Form slope and expected curvature of the objective in theta, with those of the prior."""
    columns, values, n = design
    for c in range(n):
        hessian[c, c] = 2.0 * precision[c] + 1e-9
        slope[c] = 2.0 * precision[c] * theta[c]
    for r in range(len(columns)):
        for a in range(NONZERO):
            ca, va = columns[r, a], values[r, a]
            slope[ca] += va * gradient[r]
            for b in range(NONZERO):
                hessian[ca, columns[r, b]] += va * values[r, b] * curvature[r]


def _step(
    design: Design, gradient: NDArray, curvature: NDArray, precision: NDArray, theta: NDArray
) -> NDArray[np.float64]:
    """Give the scoring step of theta."""
    hessian, slope = np.zeros((design.size, design.size)), np.zeros(design.size)
    _normal_of(design, gradient, curvature, precision, theta, hessian, slope)
    step = np.linalg.solve(hessian, slope)
    return np.negative(step, out=slope)


def fit_roughness(
    problem: Problem, design: Design, precision: NDArray, level: float, theta: NDArray, steps: int
) -> float:
    """Maximise the evidence over theta; the shape of the problem receives the result.

    Parameters
    ----------
    problem : Problem
    design : Design
    precision : ndarray
        Of the prior of theta, see `allow`; grows for years that hold little.
    level : float
        log10 lambda to start from.
    theta : ndarray
        Where to start without the level; receives the result.
    steps : int
        Most steps.

    Returns
    -------
    float
        log10 of the geometric mean of lambda; NaN if a matrix cannot be factorised.
    """
    order, n, rows = problem.order, problem.n, len(design.columns)
    theta[0] = 2.0 * (level * math.log(10.0) - math.log(problem.scale))
    spread, held, gradient, curvature = np.empty((4, rows))
    mean = _shape_of(design, theta, problem.shape)
    for turn in range(steps):
        penalty = problem.solve(math.exp(theta[0] + mean))
        if penalty is None:
            return math.nan
        selected_inverse(problem.work, problem.inverse)
        penalty_diagonal(problem.inverse, order, spread)
        qx, qy = problem.unexplained(penalty, misfit=False)
        free = max(n - order, 1.0)
        _slopes(problem.solution, (qx / free, qy / free), penalty, spread, held, gradient, curvature)
        if turn == 0:
            _hold_back(design, held, precision)
        step = _step(design, gradient, curvature, precision, theta)
        largest = np.abs(step).max()
        if largest > _LARGEST_STEP:
            step *= _LARGEST_STEP / largest
        theta += step
        mean = _shape_of(design, theta, problem.shape)
        if largest < _SETTLED:
            break
    return 0.5 * (float(theta[0]) + mean) / math.log(10.0) + math.log10(problem.scale)
