"""The CPU solver: band algebra in compiled code, pixel by pixel, without Python's global lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import (
    blank_band,
    blank_inverse,
    factorise,
    mean_diagonal,
    selected_inverse,
    solve,
)
from itslive_core.bands.assembly import assemble, cover
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_trace
from itslive_core.bands.spans import Spans, reach_of, spans_of
from itslive_core.inversion.pixel_fit import enough, refine, residuals, reweight
from itslive_core.inversion.search import EVIDENCE, FIXED, GCV, Problem, search
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
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BandedSolver"]

_STIFF, _STIFFEST = 1e3, 1e12
"""Penalty over data, as the ratio of their diagonals: above the first the solution is refined; above the
second only the polynomial that the penalty leaves free is left, and the ratio is held there."""

_SETTLED = 0.01
"""lambda is not chosen again once it moved by less than this between passes, twice [decades]."""


@kernel(error_model="numpy")
def _estimate(
    operator: Spans,
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
        spans, cell0, size = spans_of(operator, here)
        cover(spans, count[p, cell0 : cell0 + size], covered[p, cell0 : cell0 + size])
        if not enough(span_id, here, needed):
            continue
        width = reach_of(spans, order)
        vx, vy, weights = all_vx[i0:i1], all_vy[i0:i1], all_weights[i0:i1]
        u = robust_weights[i0:i1]
        n = len(u)
        normal, work = blank_band(size, width), blank_band(size, width)
        inverse = blank_inverse(size, width)
        rhs = np.empty((2, size))
        now = np.empty((2, size))
        before = np.empty((2, size))
        rx, ry, w = np.empty(n), np.empty(n), np.empty(n)
        squares = np.empty(2)
        shape = np.ones(size)
        choice = log_smoothing
        choosing = kind != FIXED
        calm = 0
        status[p] = SOLVED
        for turn in range(MAX_PASSES + 1):
            for j in range(n):
                w[j] = weights[j] * u[j]
            assemble(spans, w, vx, vy, normal, rhs)
            if choosing:
                squares[0] = (w * vx * vx).sum()
                squares[1] = (w * vy * vy).sum()
                old = choice
                problem = Problem(
                    kind, normal, work, inverse, rhs, now, squares, u.sum(), order, scale, shape
                )
                choice = search(problem, low, high, old)
                calm = calm + 1 if abs(choice - old) < _SETTLED else 0
                choosing = robust and calm < 2
            data_part = mean_diagonal(normal)
            alpha = min((10.0**choice / scale) ** 2, _STIFFEST * data_part)
            penalty = Penalty(order, alpha, shape)
            add_penalty(normal, penalty)
            if np.isnan(choice) or not factorise(normal):
                status[p] = FAILED
                break
            now[:] = rhs
            solve(normal, now)
            residuals(spans, vx, vy, now, rx, ry)
            if alpha > _STIFF * data_part:
                refine(spans, w, vx, vy, penalty, normal, now, rx, ry)
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
            reweight(weights, rx, ry, u)
        smoothing[p] = 10.0**choice
        if status[p] == FAILED:
            continue
        for i in range(size):
            if count[p, cell0 + i] > 0:
                values[p, 0, cell0 + i] = now[0, i]
                values[p, 1, cell0 + i] = now[1, i]
        if not uncertainty:
            continue
        selected_inverse(normal, inverse)
        freedom[p] = size - alpha * penalty_trace(inverse, order, shape)
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
                    std[p, c, cell0 + i] = scatter * np.sqrt(inverse.entries[i * (2 * width + 1) + width])


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
            Spans(*operator.columns), batch.span_id,
            batch.offsets, batch.pair, batch.vx, batch.vy, batch.weights,
            order, needed_pairs(order), interval**order, kind, log_smoothing, low, high,
            options.robust, options.uncertainty,
            result.values, result.std, result.count, result.covered, result.smoothing, result.freedom,
            result.passes, result.status, result.robust_weights,
        )  # fmt: skip
        if not isinstance(options.smoothing, str):
            result.smoothing[result.status != TOO_FEW] = options.smoothing  # not the power of its logarithm
        return result
