"""The dense oracle: the textbook formulas with full matrices, to hold the fast solvers against.

It is slow on purpose: every matrix is written out, and nothing is shared with the compiled code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.inversion.solver import (
    FAILED,
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    SOLVED,
    TOO_FEW,
    BatchResult,
    PixelBatch,
    SolveOptions,
    needed_pairs,
    smoothing_limits,
)
from itslive_core.support.student import FREEDOM

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DenseSolver", "dense_criterion", "difference_matrix"]


def difference_matrix(order: int, size: int) -> NDArray[np.float64]:
    """Return D_k, shape (M - k, M): v_{i+1} - v_i, or v_i - 2 v_{i+1} + v_{i+2}."""
    return np.diff(np.eye(size), n=order, axis=0)


def dense_criterion(
    kind: str,
    a: NDArray[np.float64],
    w: NDArray[np.float64],
    data: NDArray[np.float64],
    n: float,
    order: int,
    alpha: float,
) -> float:
    """Evaluate the evidence or GCV with full matrices; see `smoothing_search.criterion` for the formulas.

    Parameters
    ----------
    kind : {"evidence", "gcv"}
    a : ndarray, shape (n, M)
        Span operator.
    w : ndarray, shape (n,)
        Weights, robust ones included.
    data : ndarray, shape (n, 2)
        vx and vy.
    n : float
        Sum of the robust weights.
    order : int
        k.
    alpha : float
        (lambda / h^k)^2.
    """
    size = a.shape[1]
    d = difference_matrix(order, size)
    gram = a.T @ (w[:, None] * a)
    normal = gram + alpha * d.T @ d
    v = np.linalg.solve(normal, a.T @ (w[:, None] * data))
    rss = (w[:, None] * (data - a @ v) ** 2).sum(axis=0)
    if kind == "gcv":
        edf = np.trace(np.linalg.solve(normal, gram))
        return float(n * (np.log(rss).sum() - 4 * np.log(n - edf)))
    q = rss + alpha * ((d @ v) ** 2).sum(axis=0)
    log_det = np.linalg.slogdet(normal)[1]
    return float(((n - order) * np.log(q)).sum() + 2 * (log_det - (size - order) * np.log(alpha)))


class DenseSolver:
    """Solves each pixel with dense matrices over the whole grid; for tests and benchmarks."""

    def solve(self, batch: PixelBatch, options: SolveOptions) -> BatchResult:
        """Estimate every pixel of a batch.

        Parameters
        ----------
        batch : PixelBatch
        options : SolveOptions

        Returns
        -------
        BatchResult
        """
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        for p in range(batch.n_pixels):
            where = slice(int(batch.offsets[p]), int(batch.offsets[p + 1]))
            self._pixel(batch, options, p, where, result)
        return result

    def _pixel(
        self, batch: PixelBatch, options: SolveOptions, p: int, where: slice, result: BatchResult
    ) -> None:
        order, grid = options.derivative, batch.operator.grid
        rows = batch.pair[where]
        operator = batch.operator.take(rows)
        result.count[p] = operator.overlaps()
        edges = grid.edges
        start = edges[operator.first] + (1 - operator.head) * grid.interval
        end = edges[operator.last] + operator.tail * grid.interval
        result.covered[p] = grid.coverage(start, end)
        if len(np.unique(batch.span_id[rows])) < needed_pairs(order):
            result.status[p] = TOO_FEW
            return
        a = operator.to_dense()
        d = difference_matrix(order, grid.size)
        data = np.stack([batch.vx[where], batch.vy[where]], axis=1)
        weights = batch.weights[where]
        u = np.ones(len(rows))
        previous, scale = None, 0.0
        lam = np.nan
        for turn in range(MAX_PASSES + 1):
            w = weights * u
            lam = _choose(options, a, w, data, float(u.sum()), grid.interval, lam)
            alpha = (lam / grid.interval**order) ** 2
            normal = a.T @ (w[:, None] * a) + alpha * d.T @ d
            try:
                v = np.linalg.solve(normal, a.T @ (w[:, None] * data))
            except np.linalg.LinAlgError:
                result.status[p] = FAILED
                return
            residual = data - a @ v
            if not options.robust:
                break
            result.passes[p] = turn
            rest = MOVE_TOLERANCE * scale * np.median(weights**-0.5)
            if turn == MAX_PASSES or (previous is not None and np.hypot(*(v - previous).T).max() <= rest):
                break
            previous = v
            u, scale = _robust_weights(weights * (residual**2).sum(axis=1))
        result.status[p] = SOLVED
        result.robust_weights[where] = u
        result.smoothing[p] = lam
        seen = result.count[p] > 0
        result.values[p][:, seen] = v.T[:, seen]
        if not options.uncertainty:
            return
        inverse = np.linalg.inv(normal)
        result.edf[p] = np.trace(inverse @ (a.T @ (w[:, None] * a)))
        left = u.sum() - result.edf[p]
        if left <= 0:
            result.status[p] = NO_FREEDOM
            return
        variance = (w[:, None] * residual**2).sum(axis=0) / left
        if not (variance > 0).all():
            result.status[p] = NO_FREEDOM
        variance[variance <= 0] = np.nan
        result.std[p][:, seen] = np.sqrt(variance[:, None] * np.diag(inverse)[None, seen])


def _robust_weights(square: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return u and s of Student's t, s from the median."""
    variance = float(np.median(square)) / (FREEDOM * (2 ** (2 / FREEDOM) - 1))
    if variance == 0.0:
        return np.ones(len(square)), 0.0
    return (FREEDOM + 2) / (FREEDOM + square / variance), float(np.sqrt(variance))


def _choose(
    options: SolveOptions,
    a: NDArray[np.float64],
    w: NDArray[np.float64],
    data: NDArray[np.float64],
    n: float,
    interval: float,
    earlier: float,
) -> float:
    """Return lambda: the given one, or the best of a fine grid over the whole range."""
    if not isinstance(options.smoothing, str):
        return float(options.smoothing)
    del earlier  # the oracle searches the whole range in every pass
    low, high = np.log10(smoothing_limits(options.derivative, interval))
    candidates = np.arange(low, high, 0.02)
    values = [
        dense_criterion(
            options.smoothing, a, w, data, n, options.derivative, (10**x / interval**options.derivative) ** 2
        )
        for x in candidates
    ]
    return float(10 ** candidates[int(np.argmin(values))])
