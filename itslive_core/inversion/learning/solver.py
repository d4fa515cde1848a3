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

from itslive_core.inversion.learning.pixel import LearntHere, ObservedPairs, PixelLearner
from itslive_core.inversion.pixels import PixelRows, solvable_pixels
from itslive_core.inversion.search import SmoothingRule
from itslive_core.inversion.solver import (
    FAILED,
    BatchResult,
    Learnt,
    NoiseInputs,
    PixelBatch,
    SolveOptions,
)

if TYPE_CHECKING:
    from itslive_core.inversion.learning.pixel import Estimate

__all__ = ["LearningSolver"]


class LearningSolver:
    """Solves each pixel by band Cholesky and learns noise, offsets and changing smoothness on the way.

    Thread-safe; its compiled parts work without Python's global lock.
    """

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
        rule = SmoothingRule.of(options, batch.operator.grid.interval)
        learnt = Learnt.blank(batch)
        result = replace(BatchResult.blank(batch, uncertainty=options.uncertainty), learnt=learnt)
        for rows in solvable_pixels(batch, rule.order, result):
            pairs = _observed(batch, noise, rows)
            here = _learnt_at(result.robust_weights, learnt, rows)
            here.variance[:] = pairs.formal
            estimate = PixelLearner(pairs, rows.size, options, rule, here).run()
            here.variance[:] = np.sqrt(here.variance)
            if estimate is None:
                result.status[rows.number] = FAILED
            else:
                _write(estimate, rows, result, learnt)
        return result


def _observed(batch: PixelBatch, noise: NoiseInputs, rows: PixelRows) -> ObservedPairs:
    """Take the observations of a pixel from its batch."""
    grid, own = batch.operator.grid, rows.observations
    return ObservedPairs(
        spans=rows.spans,
        first_time=(grid.first + rows.first_cell) * grid.interval,
        interval=grid.interval,
        vx=batch.vx[own],
        vy=batch.vy[own],
        formal=noise.variance[own],
        mission=noise.mission[rows.pair],
        first_image=noise.first_image[rows.pair].astype(np.int64),
        second_image=noise.second_image[rows.pair].astype(np.int64),
        images=noise.images,
    )


def _learnt_at(u: np.ndarray, learnt: Learnt, rows: PixelRows) -> LearntHere:
    """Give the room for what is learnt at a pixel."""
    p, own = rows.number, rows.observations
    return LearntHere(
        u=u[own],
        credit=learnt.credit[own],
        variance=learnt.sigma[own],
        scale=learnt.scale[p],
        floor=learnt.floor[p],
        jitter=learnt.jitter[p],
        offset=learnt.offset[p],
        offset_std=learnt.offset_std[p],
        profile=learnt.profile[p, rows.cells],
    )


def _write(estimate: Estimate, rows: PixelRows, result: BatchResult, learnt: Learnt) -> None:
    """Put the estimate of a pixel into the results of its batch; cells that no pair overlaps stay empty."""
    p = rows.number
    result.status[p], result.passes[p] = estimate.status, estimate.passes
    result.smoothing[p], result.edf[p] = estimate.smoothing, estimate.edf
    learnt.correlation[p] = estimate.correlation
    result.write_series(p, rows.cells, estimate.series, estimate.std)
