"""The CPU solver: band algebra in compiled code, pixel by pixel, without Python's global lock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import Inverse, blank_inverse, selected_inverse, solve_many
from itslive_core.bands.penalty import Penalty, penalty_trace
from itslive_core.inversion.pixel_fit import PixelSystem, weighted_square
from itslive_core.inversion.pixels import PixelRows, solvable_pixels
from itslive_core.inversion.search import FIXED, Problem, SmoothingRule, search
from itslive_core.inversion.solver import (
    FAILED,
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    SETTLED,
    SOLVED,
    TOO_FEW,
    BatchResult,
    PixelBatch,
    SolveOptions,
)
from itslive_core.observations.windows import window_weights
from itslive_core.support.arrays import median
from itslive_core.support.student import reweight

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BandedSolver"]


class BandedSolver:
    """Solves each pixel by band Cholesky; memory and time are linear in the length of the series.

    A'WA is banded because a pair touches a contiguous run of cells; its half-bandwidth is the longest span
    over the interval. Thread-safe; its compiled parts work without Python's global lock.
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
        rule = SmoothingRule.of(options, batch.operator.grid.interval)
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        for rows in solvable_pixels(batch, rule.order, result):
            pixel = _Pixel(batch, rows, rule, result.robust_weights[rows.observations])
            _estimate(pixel, rows, options, result, batch)
        if not isinstance(options.smoothing, str):
            result.smoothing[result.status != TOO_FEW] = options.smoothing  # not the power of its logarithm
        return result


class _Pixel:
    """One pixel and its robust weights, pass by pass.

    Parameters
    ----------
    batch : PixelBatch
    rows : PixelRows
        The pixel: n observations, M cells.
    rule : SmoothingRule
        How lambda is found.
    u : ndarray, shape (n,)
        Robust weights, 1 at the beginning.
    """

    def __init__(
        self, batch: PixelBatch, rows: PixelRows, rule: SmoothingRule, u: NDArray[np.float64]
    ) -> None:
        own = rows.observations
        self.vx, self.vy, self.weights = batch.vx[own], batch.vy[own], batch.weights[own]
        self.u, self.rule = u, rule
        self.system = PixelSystem.blank(rows.spans, rows.size, rule.order)
        self.shape = np.ones(rows.size)
        self.log_smoothing = rule.fixed
        self.penalty = Penalty(rule.order, 0.0, self.shape)
        self.passes = 0
        self._choosing, self._calm = rule.kind != FIXED, 0
        if self._choosing:
            self._problem = Problem.of(rule, self.system.matrix, self.system.rhs, self.shape)

    def solve(self, *, robust: bool) -> bool:
        """Make one pass with the robust weights as they are; False if the equations cannot be solved."""
        system, rule = self.system, self.rule
        system.enter(self.weights * self.u if robust else self.weights, self.vx, self.vy)
        if self._choosing:
            before, self.log_smoothing = self.log_smoothing, self._choice()
            self._calm = self._calm + 1 if abs(self.log_smoothing - before) < SETTLED else 0
            self._choosing = robust and self._calm < 2
        self.penalty, stiff = system.penalty(self.log_smoothing, rule.order, rule.scale, self.shape)
        return not math.isnan(self.log_smoothing) and system.solve(self.penalty, stiff=stiff)

    def _choice(self) -> float:
        system, rule = self.system, self.rule
        squares = weighted_square(system.w, system.vx), weighted_square(system.w, system.vy)
        problem = self._problem._replace(squares=squares, n=float(self.u.sum()))
        return search(problem, rule.low, rule.high, self.log_smoothing)

    def converge(self) -> bool:
        """Repeat with robust weights until the series rests; False if the equations cannot be solved."""
        before, rest = None, 0.0
        typical = median(1.0 / np.sqrt(self.weights))
        for turn in range(MAX_PASSES + 1):
            if not self.solve(robust=True):
                return False
            self.passes, series = turn, self.system.series
            self.system.form_residuals()
            if turn == MAX_PASSES or (before is not None and np.hypot(*(series - before)).max() <= rest):
                break
            before = series.copy()
            rest = MOVE_TOLERANCE * typical * reweight(self.weights, self.system.rx, self.system.ry, self.u)
        return True

    def means(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average the series by weights C, shape (g, M): means, shape (2, g), and diag(C N^-1 C'), (g,)."""
        right = np.ascontiguousarray(weights.T)
        solve_many(self.system.matrix, right)
        return self.system.series @ weights.T, (weights * right.T).sum(axis=1)

    def judge(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Give edf, the scatter s of both components, shape (2,), and standard deviations, shape (2, M).

        NaN where they are not known.
        """
        system, (order, alpha, shape) = self.system, self.penalty
        inverse: Inverse = blank_inverse(system.matrix.size, system.matrix.width)
        selected_inverse(system.matrix, inverse)
        z, size, width = inverse
        edf = size - alpha * penalty_trace(inverse, order, shape)
        left = float(self.u.sum()) - edf
        root = np.sqrt(z[: size * (2 * width + 1)].reshape(size, -1)[:, width])
        scatter = np.full(2, np.nan)
        if left > 0.0:
            system.form_residuals()
            for c, r in enumerate((system.rx, system.ry)):
                scatter[c] = math.sqrt(weighted_square(system.w, r) / left) or np.nan
        return edf, scatter, scatter[:, None] * root


def _estimate(
    pixel: _Pixel, rows: PixelRows, options: SolveOptions, result: BatchResult, batch: PixelBatch
) -> None:
    """Estimate one pixel, and write what is found."""
    grid, windows = batch.operator.grid, batch.windows
    begin, interval = (grid.first + rows.first_cell) * grid.interval, grid.interval
    p = rows.number
    solved = pixel.converge() if options.robust else pixel.solve(robust=False)
    result.passes[p], result.smoothing[p] = pixel.passes, 10.0**pixel.log_smoothing
    if not solved:
        result.status[p] = FAILED
        return
    result.status[p], std, scatter = SOLVED, None, np.full(2, np.nan)
    if options.uncertainty:
        result.edf[p], scatter, std = pixel.judge()
        if np.isnan(std).all(axis=1).any():
            result.status[p] = NO_FREEDOM
    result.write_series(p, rows.cells, pixel.system.series, std)
    if result.means is not None and windows is not None:
        weights = window_weights(begin, interval, rows.size, windows)
        inside = np.isfinite(weights[:, 0])
        if inside.any():
            means, variance = pixel.means(weights[inside])
            result.means.values[p][:, inside] = means
            if std is not None:
                result.means.std[p][:, inside] = scatter[:, None] * np.sqrt(variance)
