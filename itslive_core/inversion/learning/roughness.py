"""Smoothness that changes in time: how rough the series is, year by year and month by month, compiled.

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

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import factorise, selected_inverse, solve
from itslive_core.bands.penalty import Penalty, add_penalty, difference_energy, penalty_diagonal
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.search import Problem

__all__ = ["MONTHS", "NONZERO", "allow", "design", "fit_roughness", "n_columns"]

YEAR = 365.25
MONTHS = 12
NONZERO = 5
"""Columns that one difference belongs to: the level, two years, two months."""
_LARGEST_STEP = 1.0
_FORBIDDEN = 1e9
_ENOUGH = 6.0
"""Degrees of freedom that a year must hold to be free to differ from the others."""
_SETTLED = 0.02
_STEEPEST = 8.0
"""Largest departure of log alpha from its mean."""


@kernel()
def n_columns(differences: int, interval: float) -> int:  # pragma: no cover - compiled
    """Count the columns of the design for a series of some differences, h days apart."""
    return 1 + int(np.ceil(differences * interval / YEAR)) + 1 + MONTHS


@kernel()
def design(
    first_time: float, interval: float, order: int, columns: NDArray, values: NDArray
) -> None:  # pragma: no cover - compiled
    """Fill the rows of X.

    Parameters
    ----------
    first_time : float
        Start of the first cell [days since 1970-01-01].
    interval : float
        h [days].
    order : int
        k; difference i is centred (k + 1) / 2 cells after the start of cell i.
    columns : ndarray of int64, shape (M - k, 5)
    values : ndarray, shape (M - k, 5)
    """
    months = 1 + int(np.ceil(len(columns) * interval / YEAR)) + 1
    for r in range(len(columns)):
        since = r * interval
        columns[r, 0], values[r, 0] = 0, 1.0
        year = since / YEAR
        k = int(np.floor(year))
        columns[r, 1], values[r, 1] = 1 + k, 1.0 - (year - k)
        columns[r, 2], values[r, 2] = 2 + k, year - k
        phase = (first_time + since + 0.5 * (order + 1) * interval) / YEAR
        phase = (phase - np.floor(phase)) * MONTHS
        m = int(np.floor(phase))
        columns[r, 3], values[r, 3] = months + m % MONTHS, 1.0 - (phase - m)
        columns[r, 4], values[r, 4] = months + (m + 1) % MONTHS, phase - m


@kernel()
def allow(years: bool, months: bool, theta: NDArray, precision: NDArray) -> None:  # pragma: no cover
    """Set the prior's precision so that only some parts of theta may differ from 0, and the others to 0."""
    split = len(theta) - MONTHS
    precision[0] = 0.0
    precision[1:split] = 1.0 if years else _FORBIDDEN
    precision[split:] = 1.0 if months else _FORBIDDEN
    if not years:
        theta[1:split] = 0.0
    if not months:
        theta[split:] = 0.0


@kernel(error_model="numpy")
def _hold_back(
    columns: NDArray, values: NDArray, share: NDArray, precision: NDArray
) -> None:  # pragma: no cover - compiled
    """Tighten the prior of years that hold few degrees of freedom.

    Where pairs are sparse the evidence leans to the stiff side: roughness that nothing shows costs nothing
    there. Such years keep the level of the others.
    """
    held = np.zeros(len(precision))
    for r in range(len(columns)):
        for a in (1, 2):
            held[columns[r, a]] += values[r, a] * share[r]
    for c in range(1, len(precision) - MONTHS):
        if precision[c] < _FORBIDDEN:
            precision[c] = max(1.0, (_ENOUGH / max(held[c], 1e-3)) ** 2)


@kernel(error_model="numpy")
def _step(
    columns: NDArray, values: NDArray, gradient: NDArray, curvature: NDArray, precision: NDArray,
    theta: NDArray,
) -> NDArray:  # pragma: no cover - compiled  # fmt: skip
    """Give the scoring step of theta."""
    n = len(theta)
    hessian = np.zeros((n, n))
    g = np.zeros(n)
    for c in range(n):
        hessian[c, c] = 2.0 * precision[c] + 1e-9
        g[c] = 2.0 * precision[c] * theta[c]
    for r in range(len(columns)):
        for a in range(NONZERO):
            ca, va = columns[r, a], values[r, a]
            g[ca] += va * gradient[r]
            for b in range(NONZERO):
                hessian[ca, columns[r, b]] += va * values[r, b] * curvature[r]
    return -np.linalg.solve(hessian, g)


@kernel(error_model="numpy")
def fit_roughness(
    problem: Problem, columns: NDArray, values: NDArray, precision: NDArray, level: float, theta: NDArray,
    steps: int,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Maximise the evidence over theta; the shape of the problem receives the result.

    Parameters
    ----------
    problem : Problem
    columns, values : ndarray, shape (M - k, 5)
        Rows of the design.
    precision : ndarray
        Of the prior of theta; see `allow`.
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
    order, n = problem.order, problem.n
    size = problem.normal.size
    rows = size - order
    theta[0] = 2.0 * (level * np.log(10.0) - np.log(problem.scale))
    gradient, curvature = np.empty(rows), np.empty(rows)
    energy, spread, share = np.empty(rows), np.empty(rows), np.empty(rows)
    shape = problem.shape
    for turn in range(steps + 1):
        mean = 0.0
        for r in range(rows):
            total = 0.0
            for a in range(1, NONZERO):
                total += values[r, a] * theta[columns[r, a]]
            shape[r] = total
            mean += total / rows
        for r in range(rows):
            shape[r] = np.exp(min(max(shape[r] - mean, -_STEEPEST), _STEEPEST))
        alpha = np.exp(theta[0] + mean)
        if turn == steps:
            break
        add = problem.work
        used = len(problem.normal.entries)
        add.entries[:used] = problem.normal.entries[:used]
        add_penalty(add, Penalty(order, alpha, shape))
        if not factorise(add):
            return np.nan
        problem.solution[:] = problem.rhs
        solve(add, problem.solution)
        selected_inverse(add, problem.inverse)
        penalty_diagonal(problem.inverse, order, spread)
        gradient[:] = 0.0
        for c in range(2):
            q = problem.squares[c]
            for i in range(size):
                q -= problem.rhs[c, i] * problem.solution[c, i]
            variance = max(q, 1e-12 * problem.squares[c] + 1e-300) / max(n - order, 1.0)
            energy[:] = 0.0
            difference_energy(problem.solution[c], order, energy)
            for r in range(rows):
                gradient[r] += alpha * shape[r] * energy[r] / variance
        for r in range(rows):
            held = min(max(1.0 - alpha * shape[r] * spread[r], 1e-6), 1.0)
            share[r] = held
            curvature[r] = max(1.5 * held, 0.75 * gradient[r])
            gradient[r] -= 2.0 * held
        if turn == 0:
            _hold_back(columns, values, share, precision)
        step = _step(columns, values, gradient, curvature, precision, theta)
        largest = np.abs(step).max()
        if largest > _LARGEST_STEP:
            step *= _LARGEST_STEP / largest
        theta += step
        if largest < _SETTLED:
            steps = turn + 1
    return 0.5 * (theta[0] + mean) / np.log(10.0) + np.log10(problem.scale)
