"""The CPU solver that learns while it solves: noise, mission offsets, and smoothness that changes in time.

The posterior is that of the band solver with weights u_j c_j / sigma_j^2. From its residuals come, pass by
pass, the robust weights u (Tukey's bisquare), the noise sigma of each mission and the credit c of pairs that
share images (`noise_model`), the offsets of missions (`mission_offsets`) and the penalty of each difference
(`roughness`).

An automatic lambda is that of least generalised cross-validation, given the shape of the penalty, but not
below a third of that of highest evidence. The evidence errs to the rough side where the truth is smoother
than a random walk; cross-validation errs there where noise is correlated, and may then ask for no smoothing
at all. Where a weak season comes in short bursts, the evidence may take it for noise, and ask for nearly a
straight line: there cross-validation decides alone, if it is sure. Of four shapes of the penalty (constant,
by months, by years, by both) the one of least cross-validation score is taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.assembly import cover
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.learning.pixel import Found, Rows, Task, learn_pixel
from itslive_core.inversion.pixel_fit import enough
from itslive_core.inversion.search import EVIDENCE, FIXED, GCV
from itslive_core.inversion.solver import (
    FAILED,
    TOO_FEW,
    BatchResult,
    Learnt,
    PixelBatch,
    SolveOptions,
    needed_pairs,
    smoothing_limits,
)
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LearningSolver"]


@kernel(error_model="numpy")
def _learn_all(
    operator: Spans,
    span_id: NDArray, offsets: NDArray, pair: NDArray, vx: NDArray, vy: NDArray, formal: NDArray,
    mission: NDArray, first_image: NDArray, second_image: NDArray, task: Task, values: NDArray,
    std: NDArray, count: NDArray, covered: NDArray, smoothing: NDArray, freedom: NDArray, passes: NDArray,
    status: NDArray, u: NDArray, credit: NDArray, sigma: NDArray, scale: NDArray,
    floor: NDArray, jitter: NDArray,
    offset: NDArray, offset_std: NDArray, correlation: NDArray, profile: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    facts = np.empty(4)
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        here = pair[i0:i1]
        status[p] = TOO_FEW
        if i1 == i0:
            continue
        spans, cell0, size = spans_of(operator, here)
        rows = Rows(
            spans, vx[i0:i1], vy[i0:i1], formal[i0:i1], mission[here], first_image[here], second_image[here],
        )  # fmt: skip
        cover(spans, count[p, cell0 : cell0 + size], covered[p, cell0 : cell0 + size])
        if not enough(span_id, here, task.needed):
            continue
        now, bars = np.empty((2, size)), np.empty((2, size if task.uncertainty else 0))
        offset[p, :, :] = 0.0
        variance = sigma[i0:i1]
        variance[:] = rows.formal
        found = Found(
            u[i0:i1], credit[i0:i1], variance, scale[p], floor[p], jitter[p], offset[p], offset_std[p],
            profile[p, cell0 : cell0 + size],
        )  # fmt: skip
        mine = Task(
            task.order, task.needed, task.interval, task.first_time + cell0 * task.interval, task.kind,
            task.guard, task.log_smoothing, task.low, task.high, task.robust, task.uncertainty, task.noise,
            task.offsets, task.vary, task.images,
        )  # fmt: skip
        status[p] = learn_pixel(rows, mine, found, now, bars, facts)
        variance[:] = np.sqrt(variance)
        if status[p] == FAILED:
            continue
        smoothing[p], freedom[p], passes[p], correlation[p] = facts[0], facts[1], facts[2], facts[3]
        for i in range(size):
            if count[p, cell0 + i] > 0:
                for k in range(2):
                    values[p, k, cell0 + i] = now[k, i]
                    if task.uncertainty:
                        std[p, k, cell0 + i] = bars[k, i]


class LearningSolver:
    """Solves each pixel by band Cholesky and learns noise, offsets and changing smoothness on the way."""

    def solve(self, batch: PixelBatch, options: SolveOptions) -> BatchResult:
        """Estimate every pixel of a batch.

        Parameters
        ----------
        batch : PixelBatch
            With `PixelBatch.noise`.
        options : SolveOptions

        Returns
        -------
        BatchResult
            With `BatchResult.learnt`.

        Raises
        ------
        ValueError
            If the batch does not say what the noise depends on.
        """
        noise = batch.noise
        if noise is None:
            raise ValueError("the batch holds no noise inputs: give PixelBatch.noise")
        operator, grid = batch.operator, batch.operator.grid
        order = options.derivative
        if isinstance(options.smoothing, str):
            kind, log_smoothing = (GCV if options.smoothing == "gcv" else EVIDENCE), np.nan
        else:
            kind, log_smoothing = FIXED, float(np.log10(options.smoothing))
        low, high = np.log10(smoothing_limits(order, grid.interval))
        task = Task(
            order, needed_pairs(order), grid.interval, grid.first * grid.interval, kind,
            options.smoothing == "auto",
            log_smoothing, low, high, options.robust, options.uncertainty, options.learn_noise,
            options.offsets, options.vary, noise.images,
        )  # fmt: skip
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        learnt = Learnt.blank(batch)
        _learn_all(
            Spans(*operator.columns), batch.span_id,
            batch.offsets, batch.pair, batch.vx, batch.vy, noise.variance, noise.mission, noise.first_image,
            noise.second_image, task, result.values, result.std, result.count, result.covered,
            result.smoothing, result.freedom, result.passes, result.status, result.robust_weights,
            learnt.credit, learnt.sigma, learnt.scale, learnt.floor, learnt.jitter,
            learnt.offset, learnt.offset_std,
            learnt.correlation, learnt.profile,
        )  # fmt: skip
        return replace(result, learnt=learnt)
