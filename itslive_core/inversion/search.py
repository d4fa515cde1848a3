"""Choice of lambda at one pixel by evidence or generalised cross-validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import (
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    log_determinant,
    selected_inverse,
    solve,
)
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_trace
from itslive_core.inversion.solver import SolveOptions, smoothing_limits
from itslive_core.support.arrays import copy_into
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COARSE_STEP",
    "EVIDENCE",
    "FIXED",
    "FLAT",
    "GCV",
    "GRAIN",
    "TIE",
    "TOLERANCE",
    "Problem",
    "SmoothingRule",
    "criterion",
    "search",
]

FIXED, EVIDENCE, GCV = 0, 1, 2

COARSE_STEP = 0.5
TOLERANCE = 0.01
GRAIN = 1e3
"""Choices are rounded to 1 / GRAIN of a decade, so that the order of the pairs cannot matter."""
TIE = 1e-3
"""Values of the criterion (-2 log p) that differ by less say nothing about which lambda is better."""
FLAT = 1e-2
"""A bracket that is shallower than this is not refined: its minimum would be that of rounding errors."""


@dataclass(frozen=True)
class SmoothingRule:
    """How lambda is found.

    Parameters
    ----------
    kind : int
        `FIXED`, or what a choice minimises: `EVIDENCE` or `GCV`.
    fixed : float
        log10 lambda if it is fixed, else NaN.
    low, high : float
        Limits of log10 lambda.
    order : int
        k.
    scale : float
        h^k, so that alpha = (lambda / scale)^2.
    """

    kind: int
    fixed: float
    low: float
    high: float
    order: int
    scale: float

    @classmethod
    def of(cls, options: SolveOptions, interval: float) -> SmoothingRule:
        """Read options, for cells of some days."""
        order, smoothing = options.derivative, options.smoothing
        kind, fixed = GCV if smoothing == "gcv" else EVIDENCE, math.nan
        if not isinstance(smoothing, str):
            kind, fixed = FIXED, float(np.log10(smoothing))
        low, high = (float(np.log10(limit)) for limit in smoothing_limits(order, interval))
        return cls(kind, fixed, low, high, order, interval**order)


class Problem(NamedTuple):
    """The normal equations of one pixel without the penalty, and room to work in.

    Parameters
    ----------
    kind : int
        `EVIDENCE` or `GCV`.
    normal, work : Band
        A'WA, and room for the factor.
    inverse : Inverse
        Room for the selected inverse.
    rhs, solution : ndarray, shape (2, M)
        A'Wd, and room for the solution.
    squares : tuple of float
        d'Wd of both components.
    n : float
        Sum of the robust weights.
    order : int
        k.
    scale : float
        h^k, so that alpha = (lambda / scale)^2.
    shape : ndarray, shape (>= M - k,)
        Factor of the penalty at each difference, of geometric mean 1.
    """

    kind: int
    normal: Band
    work: Band
    inverse: Inverse
    rhs: NDArray
    solution: NDArray
    squares: tuple[float, float]
    n: float
    order: int
    scale: float
    shape: NDArray

    @classmethod
    def of(cls, rule: SmoothingRule, normal: Band, rhs: NDArray, shape: NDArray) -> Problem:
        """Make room to work in; the data are still to be told (``squares`` and ``n``)."""
        return cls(
            kind=rule.kind,
            normal=normal,
            work=blank_band(normal.size, normal.width),
            inverse=blank_inverse(normal.size, normal.width),
            rhs=rhs,
            solution=np.empty_like(rhs),
            squares=(math.nan, math.nan),
            n=math.nan,
            order=rule.order,
            scale=rule.scale,
            shape=shape,
        )

    def solve(self, alpha: float) -> Penalty | None:
        """Factorise and solve with a penalty of some height; None if the matrix cannot be factorised."""
        penalty = Penalty(self.order, alpha, self.shape)
        solved = _solve_penalised(self.normal, penalty, self.rhs, self.work, self.solution)
        return penalty if solved else None

    def unexplained(self, penalty: Penalty, *, misfit: bool) -> tuple[float, float]:
        """Give Q_c of the last solution, or the misfit in it; see `criterion`. Above what rounding leaves."""
        return _unexplained(self.squares, self.rhs, self.solution, penalty, misfit)


@kernel()
def _solve_penalised(
    normal: Band, penalty: Penalty, rhs: NDArray, work: Band, solution: NDArray
) -> bool:  # pragma: no cover - compiled
    """Solve with a penalty, in one call: a choice of lambda makes dozens of them."""
    copy_into(work.entries, normal.entries)
    add_penalty(work, penalty)
    if not factorise(work):
        return False
    for c in range(2):
        copy_into(solution[c], rhs[c])
    solve(work, solution)
    return True


@kernel()
def _unexplained(
    squares: tuple[float, float], rhs: NDArray, solution: NDArray, penalty: Penalty, misfit: bool
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Give Q_c = d'Wd - g'v; less the penalty, which is part of it, the weighted sum of squared residuals."""
    order, alpha, shape = penalty
    found = np.empty(2)
    for c in range(2):
        g, v, q = rhs[c], solution[c], squares[c]
        for i in range(len(v)):
            q -= g[i] * v[i]
        if misfit:
            for i in range(len(v) - order):
                d = v[i + 1] - v[i] if order == 1 else v[i] - 2.0 * v[i + 1] + v[i + 2]
                q -= alpha * shape[i] * d * d
        found[c] = max(q, 1e-12 * squares[c] + 1e-300)
    return found[0], found[1]


def criterion(problem: Problem, log_smoothing: float) -> float:
    """Evaluate what a choice of lambda minimises.

    Evidence: the data are normal with variance s_c^2 / w_j, the k-th differences normal with variance
    s_c^2 / alpha and the polynomial part free; s_c^2 is eliminated at its best value. Up to a constant

        -2 log p = sum_c (n - k) log Q_c + 2 (log |N| - (M - k) log alpha),   Q_c = d'Wd - g'N^-1 g.

    GCV (Golub, Heath and Wahba, 1979, doi:10.1080/00401706.1979.10489751), in logarithms over both, and
    times n to be on the same scale: n (sum_c log RSS_c - 4 log(n - trace(N^-1 A'WA))).

    Parameters
    ----------
    problem : Problem
    log_smoothing : float
        log10 lambda.

    Returns
    -------
    float
        Infinity where the matrix cannot be factorised.
    """
    order, n, size = problem.order, problem.n, problem.normal.size
    root = 10.0**log_smoothing / problem.scale
    penalty = problem.solve(root * root)
    if penalty is None:
        return math.inf
    if problem.kind == EVIDENCE:
        qx, qy = problem.unexplained(penalty, misfit=False)
        total = (n - order) * math.log(qx) + (n - order) * math.log(qy)
        return total + 2.0 * (log_determinant(problem.work) - (size - order) * math.log(penalty.alpha))
    selected_inverse(problem.work, problem.inverse)
    edf = size - penalty.alpha * penalty_trace(problem.inverse, order, problem.shape)
    qx, qy = problem.unexplained(penalty, misfit=True)
    return n * (math.log(qx) + math.log(qy) - 4.0 * math.log(max(n - edf, 1e-9)))


def search(problem: Problem, low: float, high: float, guess: float) -> float:
    """Find the log10 lambda that minimises the criterion.

    Without a guess the whole range is looked at in steps of a decade; from the best of them, or from the
    guess, it walks downhill until a minimum is bracketed, and then closes in with parabolas.

    Parameters
    ----------
    problem : Problem
    low, high : float
        Limits of log10 lambda.
    guess : float
        An earlier result, or NaN.

    Returns
    -------
    float
        log10 lambda; NaN if the criterion cannot be evaluated anywhere.
    """
    best_x, best_f = math.nan, math.inf
    if math.isnan(guess):
        steps = math.ceil((high - low) / (2.0 * COARSE_STEP))
        for i in range(steps + 1):
            x = low + (high - low) * i / steps
            f = criterion(problem, x)
            if f < best_f - TIE:
                best_x, best_f = x, f
    else:
        best_x = min(max(guess, low), high)
        best_f = criterion(problem, best_x)
    if not best_f < math.inf:
        return math.nan
    step = COARSE_STEP if math.isnan(guess) else 0.2
    left, right = best_x - step, best_x + step
    f_left = criterion(problem, left) if left >= low else math.inf
    f_right = criterion(problem, right) if right <= high else math.inf
    while f_left < best_f - TIE:
        right, f_right = best_x, best_f
        best_x, best_f = left, f_left
        left = best_x - step
        f_left = criterion(problem, left) if left >= low else math.inf
    while f_right < best_f - TIE:
        left, f_left = best_x, best_f
        best_x, best_f = right, f_right
        right = best_x + step
        f_right = criterion(problem, right) if right <= high else math.inf
    if not (f_left < math.inf and f_right < math.inf):
        return best_x  # at a limit
    if min(f_left, f_right) < best_f + FLAT:
        return best_x
    # Parabolas inside the bracket. One that returns to the best point says little about a wide side of the
    # bracket, so that side is probed close by; if it is higher there, the bracket is closed.
    for _ in range(16):
        a = (best_x - left) * (best_f - f_right)
        b = (best_x - right) * (best_f - f_left)
        x = best_x - 0.5 * ((best_x - left) * a - (best_x - right) * b) / (a - b) if a != b else best_x
        if not (left < x < right) or abs(x - best_x) < TOLERANCE:
            wide_right = right - best_x > best_x - left
            x = best_x + TOLERANCE if wide_right else best_x - TOLERANCE
            if (right - best_x if wide_right else best_x - left) < 2.0 * TOLERANCE:
                break
        f = criterion(problem, x)
        if f < best_f:
            if x < best_x:
                right, f_right = best_x, best_f
            else:
                left, f_left = best_x, best_f
            best_x, best_f = x, f
        elif x < best_x:
            left, f_left = x, f
        else:
            right, f_right = x, f
    return round(best_x * GRAIN) / GRAIN
