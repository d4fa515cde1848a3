"""The CPU solver that learns while it solves: what pairs are worth, how rough the series is, and how sure.

One account of the pairs and of the ice, one criterion: the evidence, with weak priors of what it depends on.
Pairs have noise of Student's t by mission (`noise_model`), images in common, offsets and seasonal
displacements of their missions (`border`); the series changes by months and years, repeats itself from year
to year as far as the pairs show it, changes along one axis more than across, and now and then suddenly
(`hyperparameters`, `itslive_core.bands.changes`). Error bands count that all of this is learnt
(`error_bands`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.learning.account import Account
from itslive_core.inversion.learning.error_bands import axis_variances, component_variances
from itslive_core.inversion.learning.evidence import group_means
from itslive_core.inversion.learning.pixel import LearntHere, ObservedPairs, PixelLearner
from itslive_core.inversion.pixels import PixelRows, solvable_pixels
from itslive_core.inversion.solver import (
    FAILED,
    NO_FREEDOM,
    SOLVED,
    BatchResult,
    Learnt,
    NoiseInputs,
    PixelBatch,
    SolveOptions,
)
from itslive_core.inversion.windows import window_weights
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Posterior

__all__ = ["LearningSolver"]


class LearningSolver:
    """Solves each pixel by band Cholesky and learns what it depends on, on the way.

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
        learnt = Learnt.blank(batch)
        result = replace(BatchResult.blank(batch, uncertainty=options.uncertainty), learnt=learnt)
        for rows in solvable_pixels(batch, options.derivative, result):
            pixel = _Pixel(batch, noise, rows, options, result, learnt)
            if not pixel.solve():
                result.status[rows.number] = FAILED
                learnt.sigma[rows.observations] = np.nan
        return result


class _Pixel:
    """One pixel of a batch, on the cells of its solution, and what is written of it."""

    def __init__(
        self,
        batch: PixelBatch,
        noise: NoiseInputs,
        rows: PixelRows,
        options: SolveOptions,
        result: BatchResult,
        learnt: Learnt,
    ) -> None:
        self.rows, self.options, self.result, self.learnt = rows, options, result, learnt
        p, own, pair = rows.number, rows.observations, rows.pair
        fine = batch.operator if batch.fine is None else batch.fine
        self.grid, self.parts = fine.grid, batch.parts
        spans, first, self.size = spans_of(Spans(*fine.columns), pair)
        # Cells of the series that the cells of the solution lie in, counted from the pixel's first one.
        self.groups = (first + np.arange(self.size)) // self.parts - rows.first_cell
        self.first_time, self.windows = (self.grid.first + first) * self.grid.interval, batch.windows
        start = (self.grid.first + first + spans.first + 1.0 - spans.head) * self.grid.interval
        formal = noise.variance[own]
        learnt.sigma[own] = formal
        observed = ObservedPairs(
            spans=spans,
            first_time=self.first_time,
            interval=self.grid.interval,
            start=start,
            end=start + self.grid.interval / spans.rate,
            vx=batch.vx[own],
            vy=batch.vy[own],
            formal=formal,
            mission=noise.mission[pair],
            first_image=noise.first_image[pair].astype(np.int64),
            second_image=noise.second_image[pair].astype(np.int64),
            images=noise.images,
        )
        self.here = LearntHere(
            u=result.robust_weights[own],
            credit=learnt.credit[own],
            variance=learnt.sigma[own],
            scale=learnt.scale[p],
            floor=learnt.floor[p],
            jitter=learnt.jitter[p],
        )
        account = Account.of(options, self.grid.interval)
        self.learner = PixelLearner(observed, self.size, options, account, self.here, reach=self.parts - 1)

    def solve(self) -> bool:
        """Estimate the pixel and write what was found; False if its equations cannot be solved."""
        posterior = self.learner.run()
        if posterior is None:
            return False
        rows, result = self.rows, self.result
        p, axes = rows.number, self.learner.axes
        series = axes.T @ group_means(posterior.series, self.groups)
        std, status = None, SOLVED
        if self.options.uncertainty:
            variances = component_variances(axes, axis_variances(self.learner, posterior, self.groups))
            std = np.sqrt(variances)
            worth = float((self.here.u * self.here.credit).sum())
            if not (self.learner.misfit > 0.0 and worth > self.learner.freedom):
                # Nothing is left to tell the noise from.
                std[:], status = np.nan, NO_FREEDOM
        result.status[p], result.passes[p] = status, self.learner.passes
        result.write_series(p, rows.cells, series, std)
        if result.means is not None:
            self._write_means(posterior)
        self._write_learnt(posterior)
        return True

    def _write_means(self, posterior: Posterior) -> None:
        """Average the series over the windows of the batch."""
        means, edges, axes = self.result.means, self.windows, self.learner.axes
        assert means is not None
        assert edges is not None
        weights = window_weights(self.first_time, self.grid.interval, self.size, edges)
        inside = np.isfinite(weights[:, 0])
        if not inside.any():
            return
        means.values[self.rows.number][:, inside] = axes.T @ group_means(posterior.series, weights[inside])
        if self.options.uncertainty:
            along = axis_variances(self.learner, posterior, weights[inside])
            means.std[self.rows.number][:, inside] = np.sqrt(component_variances(axes, along))

    def _write_learnt(self, posterior: Posterior) -> None:
        """Write noise, offsets, displacements and smoothness, in the units of the user."""
        learner, here, learnt, p = self.learner, self.here, self.learnt, self.rows.number
        border, axes = learner.evidence.border, learner.axes
        learnt.correlation[p] = learner.correlation
        values = axes.T @ posterior.border
        spread = np.sqrt((axes**2).T @ np.diagonal(posterior.covariance, axis1=1, axis2=2))
        for mission, at in enumerate(border.offset_at):
            if at >= 0:
                learnt.offset[p, :, mission], learnt.offset_std[p, :, mission] = values[:, at], spread[:, at]
        for mission, at in enumerate(border.season_at):
            if at >= 0:
                learnt.season[p, :, mission] = values[:, at : at + learnt.season.shape[-1]]
        precision = float(np.mean(1.0 / here.variance))
        prior = learner.prior()
        self.result.edf[p] = learner.freedom
        level = np.exp(learner.hyper.theta[:1])
        own = self._lambda_of(prior.own if len(prior.own) else level, precision)
        self.result.smoothing[p] = float(np.exp(np.log(own).mean()))
        learnt.profile[p, self.rows.cells] = self._by_cell(own)
        learnt.yearly[p, self.rows.cells] = self._by_cell(self._lambda_of(prior.yearly, precision))
        learnt.stiffer[p], learnt.axis[p] = np.sqrt(prior.stiffer), np.arctan2(axes[0, 1], axes[0, 0])
        here.variance[:] = np.sqrt(here.variance)
        here.scale[:] = np.sqrt(here.scale)
        here.floor[:] = np.sqrt(here.floor)
        here.jitter[:] = np.sqrt(here.jitter) / DAYS_PER_YEAR

    def _lambda_of(self, own: NDArray[np.float64], precision: float) -> NDArray[np.float64]:
        """Give lambda of each change, in the units of weights of mean 1 and cells of the series."""
        # lambda goes with the root of the length of the cells where the smoothness stays.
        interval = self.grid.interval
        scale = interval**self.options.derivative * np.sqrt(self.parts)
        out: NDArray[np.float64] = np.sqrt(own / precision) * scale
        return out

    def _by_cell(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give what belongs to changes at each cell of the series."""
        if len(own) == 0:
            return np.full(int(self.groups[-1]) + 1, np.nan)
        # Change i is centred on cell i + 1 where k = 2, and the last cells take the nearest one.
        nearest = np.clip(np.arange(self.size) - 1, 0, len(own) - 1)
        return group_means(own[nearest], self.groups)
