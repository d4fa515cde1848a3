"""What one pixel's fit is made of: residuals, its normal equations and their solution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import Band, blank_band, factorise, mean_diagonal, solve
from itslive_core.bands.assembly import assemble, predict, project
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_gradient
from itslive_core.bands.spans import Spans, reach_of
from itslive_core.inversion.solver import STIFF, STIFFEST
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PixelSystem", "enough", "residuals", "weighted_square"]

_REFINEMENTS, _REFINED = 5, 1e-12
"""Most steps of refinement, and the size of one, relative to the series, that ends it."""


@kernel()
def enough(span_id: NDArray, pair: NDArray, needed: int) -> bool:  # pragma: no cover - compiled
    """Tell whether there are at least `needed` pairs with distinct (start, end)."""
    seen = np.empty(needed, dtype=np.int64)
    n = 0
    for j in range(len(pair)):
        new = True
        for i in range(n):
            if seen[i] == span_id[pair[j]]:
                new = False
                break
        if new:
            seen[n] = span_id[pair[j]]
            n += 1
            if n == needed:
                return True
    return False


@kernel()
def residuals(
    spans: Spans, vx: NDArray, vy: NDArray, now: NDArray, rx: NDArray, ry: NDArray
) -> None:  # pragma: no cover - compiled
    """Form what the series ``now``, shape (2, M), leaves of the observations: rx = vx - A now_x, and ry."""
    predict(spans, now[0], rx)
    predict(spans, now[1], ry)
    for j in range(len(rx)):
        rx[j] = vx[j] - rx[j]
        ry[j] = vy[j] - ry[j]


@kernel()
def weighted_square(w: NDArray, values: NDArray) -> float:  # pragma: no cover - compiled
    """Sum w r^2, term by term."""
    total = 0.0
    for j in range(len(w)):
        total += w[j] * values[j] * values[j]
    return total


@dataclass(eq=False)
class PixelSystem:
    """The normal equations of one pixel: n pairs, M cells of its own range.

    Parameters
    ----------
    spans : Spans
        Rows of the pairs, cells counted from the pixel's first one.
    matrix : Band
        A'WA once data are entered; the factor of it and the penalty once it is solved.
    rhs : ndarray, shape (2, M)
        A'Wd of both components.
    series : ndarray, shape (2, M)
        The solution [m/yr].
    w, vx, vy : ndarray, shape (n,)
        Weights and observations that entered last.
    rx, ry : ndarray, shape (n,)
        What the series leaves of them; see `form_residuals`.
    """

    spans: Spans
    matrix: Band
    rhs: NDArray[np.float64]
    series: NDArray[np.float64]
    w: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    rx: NDArray[np.float64]
    ry: NDArray[np.float64]

    @classmethod
    def blank(cls, spans: Spans, size: int, order: int) -> PixelSystem:
        """Make room.

        Parameters
        ----------
        spans : Spans
        size : int
            M.
        order : int
            k of the penalty to come.
        """
        nothing, n = np.empty(0), len(spans.first)
        rhs, series = np.empty((2, size)), np.empty((2, size))
        matrix = blank_band(size, reach_of(spans, order))
        return cls(spans, matrix, rhs, series, nothing, nothing, nothing, np.empty(n), np.empty(n))

    def enter(self, w: NDArray[np.float64], vx: NDArray[np.float64], vy: NDArray[np.float64]) -> None:
        """Form A'WA and A'Wd; shapes (n,)."""
        self.w, self.vx, self.vy = w, vx, vy
        assemble(self.spans, w, vx, vy, self.matrix, self.rhs)

    def penalty(self, log_smoothing: float, order: int, scale: float, shape: NDArray) -> tuple[Penalty, bool]:
        """Give the penalty of a lambda, held where it leaves nothing of the data.

        Parameters
        ----------
        log_smoothing : float
            log10 lambda.
        order : int
            k.
        scale : float
            h^k.
        shape : ndarray, shape (>= M - k,)
            Factor of each difference.

        Returns
        -------
        penalty : Penalty
        stiff : bool
            The solution must be refined.
        """
        data = mean_diagonal(self.matrix)
        root = 10.0**log_smoothing / scale
        alpha = min(root * root, STIFFEST * data)
        return Penalty(order, alpha, shape), alpha > STIFF * data

    def solve(self, penalty: Penalty, *, stiff: bool) -> bool:
        """Solve for the series; False if the matrix cannot be factorised."""
        add_penalty(self.matrix, penalty)
        if not factorise(self.matrix):
            return False
        np.copyto(self.series, self.rhs)
        solve(self.matrix, self.series)
        if stiff:
            self._refine(penalty)
        return True

    def form_residuals(self) -> None:
        """Form what the series leaves of the observations."""
        residuals(self.spans, self.vx, self.vy, self.series, self.rx, self.ry)

    def _refine(self, penalty: Penalty) -> None:
        """Improve a solution under a stiff penalty by iterative refinement.

        Adding a large penalty to A'WA rounds the data away. The gradient of the objective, taken from
        residuals and differences of the solution, does not suffer from that.
        """
        step = np.empty_like(self.series)
        for _ in range(_REFINEMENTS):
            self.form_residuals()
            project(self.spans, self.w, self.rx, self.ry, step)
            for component, of_it in zip(self.series, step, strict=True):
                penalty_gradient(component, penalty, of_it)
            solve(self.matrix, step)
            self.series += step
            if np.abs(step).max() <= _REFINED * np.abs(self.series).max():
                break
