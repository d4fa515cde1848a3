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
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from itslive_core.bands.assembly import predict
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.learning.account import Account
from itslive_core.inversion.learning.error_bands import axis_variances, component_variances
from itslive_core.inversion.learning.means import group_means
from itslive_core.inversion.learning.motion import ExpectedCourse, expect_course
from itslive_core.inversion.learning.neighbour import NeighbourLearner
from itslive_core.inversion.learning.observed import LearntHere, ObservedPairs
from itslive_core.inversion.learning.pixel import PixelLearner
from itslive_core.inversion.learning.region import Region
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
from itslive_core.observations.windows import window_weights
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Posterior
    from itslive_core.inversion.learning.last_solve import Finisher

__all__ = ["LearningSolver", "learn_region"]

_AT_ONCE = 256
"""Most pixels whose last equations wait to be solved together, some MB each."""


class LearningSolver:
    """Solves each pixel by band Cholesky and learns what it depends on, on the way.

    Thread-safe; its compiled parts work without Python's global lock.

    Parameters
    ----------
    finisher : Finisher, optional
        Solves the last equations of pixels of a region, many at once; by default each pixel solves its own.
    """

    def __init__(self, finisher: Finisher | None = None) -> None:
        self._finisher = finisher

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
        waiting: list[_Pixel] = []
        for rows in solvable_pixels(batch, options.derivative, result):
            pixel = _Pixel(batch, noise, rows, options, result, learnt)
            if self._finisher is None or not isinstance(pixel.learner, NeighbourLearner):
                pixel.write(pixel.learner.run())
            elif pixel.learner.learn():
                waiting.append(pixel)
                if len(waiting) == _AT_ONCE:
                    _finish(self._finisher, waiting)
                    waiting = []
            else:
                pixel.write(None)
        if waiting:
            assert self._finisher is not None
            _finish(self._finisher, waiting)
        return result


def _finish(finisher: Finisher, pixels: Sequence[_Pixel]) -> None:
    """Solve the last equations of some pixels, and write what was found."""
    learners = [cast("NeighbourLearner", pixel.learner) for pixel in pixels]
    solutions = finisher.finish([one.last_equations() for one in learners], pixels[0].parts - 1)
    for pixel, learner, solution in zip(pixels, learners, solutions, strict=True):
        pixel.write(None if solution is None else learner.take(solution))


def learn_region(batch: PixelBatch, options: SolveOptions) -> Region | None:
    """Learn what the pixels of a region share from its samples.

    Parameters
    ----------
    batch : PixelBatch
        With `PixelBatch.noise`; pixels without pairs are no samples.
    options : SolveOptions

    Returns
    -------
    Region or None
        None where no pixel can be solved.
    """
    noise = batch.noise
    assert noise is not None
    learnt = Learnt.blank(batch)
    result = replace(BatchResult.blank(batch, uncertainty=False), learnt=learnt)
    samples = []
    for rows in solvable_pixels(batch, options.derivative, result):
        pixel = _Pixel(batch, noise, rows, options, result, learnt)
        if pixel.learner.run() is not None:
            samples.append(pixel.learner.sample(batch.number + rows.number))
    return Region(samples) if samples else None


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
        vx, vy = batch.vx[own], batch.vy[own]
        self.course = None if batch.courses is None else batch.courses.get(p)
        self.expected: ExpectedCourse | None = None
        if self.course is not None:
            cells = self.grid.first // self.parts + rows.first_cell + self.groups
            self.mean = self.course.motion.at(cells)
            seen = np.empty(len(pair))
            predict(spans, self.mean[0], seen)
            self.expected = expect_course(vx, vy, seen, self.course.weights)
            if self.expected is not None:
                along, size = self.expected.along, self.expected.size
                vx, vy = vx - along[0] * size * seen, vy - along[1] * size * seen
        observed = ObservedPairs(
            spans=spans,
            first_time=self.first_time,
            interval=self.grid.interval,
            start=start,
            end=start + self.grid.interval / spans.rate,
            vx=vx,
            vy=vy,
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
        region = None if batch.region is None else batch.region.without(batch.number + p)
        given = observed, self.size, options, account, self.here, self.parts - 1
        self.learner = PixelLearner(*given) if region is None else NeighbourLearner(*given, region)

    def write(self, posterior: Posterior | None) -> None:
        """Write what was found; None if the equations cannot be solved."""
        rows, result = self.rows, self.result
        if posterior is None:
            result.status[rows.number] = FAILED
            self.learnt.sigma[rows.observations] = np.nan
            return
        p = rows.number
        series, std = self._averaged(posterior, self.groups)
        status = SOLVED
        if std is not None:
            worth = float((self.here.u * self.here.credit).sum())
            if not (self.learner.misfit > 0.0 and worth > self.learner.freedom):
                # Nothing is left to tell the noise from.
                std[:], status = np.nan, NO_FREEDOM
        result.status[p], result.passes[p] = status, self.learner.passes
        result.write_series(p, rows.cells, series, std)
        if result.means is not None:
            self._write_means(posterior)
        self._write_learnt(posterior)

    def _write_means(self, posterior: Posterior) -> None:
        """Average the series over the windows of the batch."""
        means, edges = self.result.means, self.windows
        assert means is not None
        assert edges is not None
        weights = window_weights(self.first_time, self.grid.interval, self.size, edges)
        inside = np.isfinite(weights[:, 0])
        if not inside.any():
            return
        p = self.rows.number
        means.values[p][:, inside], std = self._averaged(posterior, weights[inside])
        if std is not None:
            means.std[p][:, inside] = std

    def _averaged(
        self, posterior: Posterior, groups: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Average the series over groups of cells, or by weights: means, and std if asked for, (2, g)."""
        axes, expected = self.learner.axes, self.expected
        series = axes.T @ group_means(posterior.series, groups)
        if expected is not None:
            course, unsure = (group_means(of, groups) for of in self.mean)
            series += expected.along[:, None] * expected.size * course
        if not self.options.uncertainty:
            return series, None
        variances = component_variances(axes, axis_variances(self.learner, posterior, groups))
        if expected is not None:
            # The mean of companions is taken to be off by one amount over the whole of a group.
            extra = expected.variance * course**2 + expected.size**2 * unsure
            along = expected.along
            across = np.array([along, [-along[1], along[0]]])
            variances += component_variances(across, np.stack([extra, np.zeros_like(extra)]))
        return series, np.sqrt(variances)

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
