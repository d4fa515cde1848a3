"""The CPU solver: band algebra in compiled code, pixel by pixel, without Python's global lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.compiled import kernel
from itslive_core.solvers.band_algebra import PAD, factorise, selected_inverse, solve
from itslive_core.solvers.band_assembly import (
    add_penalty,
    assemble,
    cover,
    penalty_gradient,
    penalty_trace,
    predict,
    project,
)
from itslive_core.solvers.base import (
    FAILED,
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    RAYLEIGH_MEDIAN,
    SOLVED,
    TOO_FEW,
    TUKEY_WIDTH,
    BatchResult,
    PixelBatch,
    SolveOptions,
    needed_pairs,
    smoothing_limits,
)
from itslive_core.solvers.smoothing_search import EVIDENCE, FIXED, GCV, Problem, search

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BandedSolver"]

_STIFF, _STIFFEST = 1e3, 1e12
"""Penalty over data, as the ratio of their diagonals: above the first the solution is refined; above the
second only the polynomial that the penalty leaves free is left, and the ratio is held there."""

_SETTLED = 0.01
"""lambda is not chosen again once it moved by less than this between passes, twice [decades]."""


@kernel()
def _enough(span_id: NDArray, pair: NDArray, needed: int) -> bool:  # pragma: no cover - compiled
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
def _reweight(weights: NDArray, rx: NDArray, ry: NDArray, u: NDArray) -> None:  # pragma: no cover - compiled
    """Give Tukey's bisquare weights of vector residuals; all 1 if their scale is 0."""
    m = np.empty(len(u))
    for j in range(len(u)):
        m[j] = np.sqrt(weights[j] * (rx[j] * rx[j] + ry[j] * ry[j]))
    limit = TUKEY_WIDTH * np.median(m) / RAYLEIGH_MEDIAN
    for j in range(len(u)):
        if limit == 0.0:
            u[j] = 1.0
        elif m[j] < limit:
            t = m[j] / limit
            u[j] = (1.0 - t * t) ** 2
        else:
            u[j] = 0.0


@kernel()
def _residuals(
    first: NDArray, last: NDArray, head: NDArray, tail: NDArray, rate: NDArray, vx: NDArray, vy: NDArray,
    now: NDArray, rx: NDArray, ry: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    predict(first, last, head, tail, rate, now[0], rx)
    predict(first, last, head, tail, rate, now[1], ry)
    for j in range(len(rx)):
        rx[j] = vx[j] - rx[j]
        ry[j] = vy[j] - ry[j]


@kernel()
def _refine(
    first: NDArray, last: NDArray, head: NDArray, tail: NDArray, rate: NDArray, w: NDArray, vx: NDArray,
    vy: NDArray, order: int, alpha: float, factor: NDArray, width: int, now: NDArray, rx: NDArray,
    ry: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Improve a solution under a stiff penalty by iterative refinement.

    Adding a large penalty to A'WA rounds the data away. The gradient of the objective, taken from residuals
    and differences of the solution, does not suffer from that.
    """
    size = now.shape[1]
    step = np.empty((2, size))
    for _ in range(5):
        project(first, last, head, tail, rate, w, rx, ry, step)
        penalty_gradient(now[0], order, alpha, step[0])
        penalty_gradient(now[1], order, alpha, step[1])
        solve(factor, size, width, step)
        now += step
        _residuals(first, last, head, tail, rate, vx, vy, now, rx, ry)
        if np.abs(step).max() <= 1e-12 * np.abs(now).max():
            break


@kernel(error_model="numpy")
def _estimate(
    op_first: NDArray,
    op_last: NDArray,
    op_head: NDArray,
    op_tail: NDArray,
    op_rate: NDArray,
    span_id: NDArray,
    offsets: NDArray,
    pair: NDArray,
    all_vx: NDArray,
    all_vy: NDArray,
    all_weights: NDArray,
    order: int,
    needed: int,
    scale: float,
    kind: int,
    log_smoothing: float,
    low: float,
    high: float,
    robust: bool,
    uncertainty: bool,
    values: NDArray,
    std: NDArray,
    count: NDArray,
    covered: NDArray,
    smoothing: NDArray,
    freedom: NDArray,
    passes: NDArray,
    status: NDArray,
    robust_weights: NDArray,
) -> None:  # pragma: no cover - compiled
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        here = pair[i0:i1]
        status[p] = TOO_FEW
        if i1 == i0:
            continue
        first, last = op_first[here], op_last[here]
        head, tail, rate = op_head[here], op_tail[here], op_rate[here]
        # Cells outside the pixel's own pairs change nothing inside, so the pixel is solved on its own range.
        cell0 = first.min()
        size = last.max() - cell0 + 1
        first -= cell0
        last -= cell0
        cover(first, last, head, tail, size, count[p, cell0:], covered[p, cell0:])
        if not _enough(span_id, here, needed):
            continue
        width = max(order, (last - first).max())
        vx, vy, weights = all_vx[i0:i1], all_vy[i0:i1], all_weights[i0:i1]
        u = robust_weights[i0:i1]
        n = len(u)
        room = size + 2
        normal = np.empty(room * (width + 1 + PAD))
        work = np.empty(room * (width + 1 + PAD))
        z = np.empty(room * (2 * width + 1) if uncertainty or kind == GCV else 1)
        rhs = np.empty((2, size))
        now = np.empty((2, size))
        before = np.empty((2, size))
        rx, ry, w = np.empty(n), np.empty(n), np.empty(n)
        squares = np.empty(2)
        choice = log_smoothing
        choosing = kind != FIXED
        calm = 0
        status[p] = SOLVED
        for turn in range(MAX_PASSES + 1):
            for j in range(n):
                w[j] = weights[j] * u[j]
            assemble(first, last, head, tail, rate, w, vx, vy, size, width, normal, rhs)
            if choosing:
                squares[0] = (w * vx * vx).sum()
                squares[1] = (w * vy * vy).sum()
                old = choice
                problem = Problem(
                    kind, normal, work, z, rhs, now, squares, u.sum(), size, width, order, scale
                )
                choice = search(problem, low, high, old)
                calm = calm + 1 if abs(choice - old) < _SETTLED else 0
                choosing = robust and calm < 2
            data_part = 0.0
            for i in range(size):
                data_part += normal[i * (width + 1 + PAD)] / size
            alpha = min((10.0**choice / scale) ** 2, _STIFFEST * data_part)
            add_penalty(normal, size, width, order, alpha)
            if np.isnan(choice) or not factorise(normal, size, width):
                status[p] = FAILED
                break
            now[:] = rhs
            solve(normal, size, width, now)
            _residuals(first, last, head, tail, rate, vx, vy, now, rx, ry)
            if alpha > _STIFF * data_part:
                _refine(first, last, head, tail, rate, w, vx, vy, order, alpha, normal, width, now, rx, ry)
            if not robust:
                break
            if turn > 0:
                passes[p] = turn
                moved = 0.0
                for c in range(2):
                    for i in range(size):
                        moved = max(moved, abs(now[c, i] - before[c, i]))
                if moved <= MOVE_TOLERANCE or turn == MAX_PASSES:
                    break
            before[:] = now
            _reweight(weights, rx, ry, u)
        smoothing[p] = 10.0**choice
        if status[p] == FAILED:
            continue
        for i in range(size):
            if count[p, cell0 + i] > 0:
                values[p, 0, cell0 + i] = now[0, i]
                values[p, 1, cell0 + i] = now[1, i]
        if not uncertainty:
            continue
        selected_inverse(normal, size, width, z)
        freedom[p] = size - alpha * penalty_trace(z, size, width, order)
        left = u.sum() - freedom[p]
        if not left > 0.0:
            status[p] = NO_FREEDOM
            continue
        for c in range(2):
            residual = rx if c == 0 else ry
            scatter = np.sqrt((w * residual * residual).sum() / left)
            if not scatter > 0.0:
                status[p] = NO_FREEDOM
                continue
            for i in range(size):
                if count[p, cell0 + i] > 0:
                    std[p, c, cell0 + i] = scatter * np.sqrt(z[i * (2 * width + 1) + width])


class BandedSolver:
    """Solves each pixel by band Cholesky; memory and time are linear in the length of the series.

    A'WA is banded because a pair touches a contiguous run of cells; its half-bandwidth is the longest span
    over the interval. Thread-safe, and releases Python's global lock while it works.
    """

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
        operator = batch.operator
        interval = operator.grid.interval
        order = options.derivative
        kinds = {"evidence": EVIDENCE, "gcv": GCV}
        if isinstance(options.smoothing, str):
            kind, log_smoothing = kinds[options.smoothing], np.nan
        else:
            kind, log_smoothing = FIXED, float(np.log10(options.smoothing))
        low, high = np.log10(smoothing_limits(order, interval))
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        _estimate(
            operator.first, operator.last, operator.head, operator.tail, operator.rate, batch.span_id,
            batch.offsets, batch.pair, batch.vx, batch.vy, batch.weights,
            order, needed_pairs(order), interval**order, kind, log_smoothing, low, high,
            options.robust, options.uncertainty,
            result.values, result.std, result.count, result.covered, result.smoothing, result.freedom,
            result.passes, result.status, result.robust_weights,
        )  # fmt: skip
        if not isinstance(options.smoothing, str):
            result.smoothing[result.status != TOO_FEW] = options.smoothing  # not the power of its logarithm
        return result
