"""One pixel of the learning solver, pass by pass; see `itslive_core.inversion.learning.solver`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import selected_inverse
from itslive_core.bands.penalty import Penalty, penalty_trace
from itslive_core.bands.span_variance import span_variances
from itslive_core.inversion.learning.mission_offsets import Offsets, offset_missions, solve_offsets
from itslive_core.inversion.learning.noise_model import (
    CORE_VARIANCE,
    give_credit,
    image_correlation,
    mission_noise,
)
from itslive_core.inversion.learning.roughness import Design
from itslive_core.inversion.learning.smoothness import CHOICE, FIRST_SHAPE, Smoothness
from itslive_core.inversion.pixel_fit import PixelSystem, reweight, weighted_square
from itslive_core.inversion.search import Problem, SmoothingRule
from itslive_core.inversion.solver import (
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    SOLVED,
    SolveOptions,
)
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["Estimate", "LearntHere", "ObservedPairs", "PixelLearner"]

_MOST_PULL = 0.75
_TAU_PAIRS = 2.0
"""Offsets' worth of trust in their expected size."""
_LEAST_TO_LEARN = 40
"""Pairs below which the noise is taken as the formal errors say and missions are taken to agree."""
_LEAST_FOR_SHAPE = 300, 60
"""Pairs and differences below which the penalty keeps its shape."""


class ObservedPairs(NamedTuple):
    """The observations of one pixel, and what their noise depends on.

    Parameters
    ----------
    spans : Spans
        n rows, cells counted from the pixel's first one.
    first_time, interval : float
        Start of that cell [days since 1970-01-01] and h [days].
    vx, vy : ndarray, shape (n,)
        [m/yr]
    formal : ndarray, shape (n,)
        Formal variance, up to a factor [m^2/yr^2].
    mission, first_image, second_image : ndarray of int64, shape (n,)
    images : int
        Images are numbered below it.
    """

    spans: Spans
    first_time: float
    interval: float
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    formal: NDArray[np.float64]
    mission: NDArray[np.int64]
    first_image: NDArray[np.int64]
    second_image: NDArray[np.int64]
    images: int


class LearntHere(NamedTuple):
    """What is learnt at one pixel, beside the series: parts of the arrays of `Learnt`, changed in place.

    Parameters
    ----------
    u, credit : ndarray, shape (n,)
        1 at the beginning.
    variance : ndarray, shape (n,)
        The formal variance at the beginning; becomes that of the noise [m^2/yr^2].
    scale, floor, jitter : ndarray, shape (missions,)
    offset, offset_std : ndarray, shape (2, missions)
        0 and NaN at the beginning.
    profile : ndarray, shape (M,)
    """

    u: NDArray[np.float64]
    credit: NDArray[np.float64]
    variance: NDArray[np.float64]
    scale: NDArray[np.float64]
    floor: NDArray[np.float64]
    jitter: NDArray[np.float64]
    offset: NDArray[np.float64]
    offset_std: NDArray[np.float64]
    profile: NDArray[np.float64]


class Estimate(NamedTuple):
    """The series of one pixel on its own M cells, and how it was found.

    Parameters
    ----------
    status : int
        `SOLVED` or `NO_FREEDOM`.
    series, std : ndarray, shape (2, M)
        vx and vy, and their standard deviations if asked for [m/yr].
    smoothing : float
        lambda.
    edf : float
        Effective degrees of freedom.
    passes : int
        Robust passes.
    correlation : float
        Of the noise of pairs that share an image.
    """

    status: int
    series: NDArray[np.float64]
    std: NDArray[np.float64] | None
    smoothing: float
    edf: float
    passes: int
    correlation: float


@dataclass(eq=False)
class _Noise:
    """What the residuals of the last pass say.

    Parameters
    ----------
    scatter : ndarray, shape (2,)
        Mean square of the weighted residuals of each component, per degree of freedom.
    edf : float
        Effective degrees of freedom.
    precision : float
        Mean of 1 / variance, to which the weights are relative.
    correlation : float
        Of pairs that share an image.
    """

    scatter: NDArray[np.float64]
    edf: float = 0.0
    precision: float = 1.0
    correlation: float = 0.0

    @property
    def mean_scatter(self) -> float:
        """Mean of both components; NaN as long as nothing is known."""
        return 0.5 * float(self.scatter.sum())


@kernel(error_model="numpy")
def _weigh(
    u: NDArray, credit: NDArray, variance: NDArray, w: NDArray
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Write weights of mean 1 times u times credit; return the sum of both, and the mean of 1 / variance."""
    n, worth, precision = len(w), 0.0, 0.0
    for j in range(n):
        precision += 1.0 / variance[j]
    precision /= n
    norm = 1.0 / precision
    for j in range(n):
        trust = u[j] * credit[j]
        worth += trust
        w[j] = trust * norm / variance[j]
    return worth, precision


class PixelLearner:
    """Estimates one pixel and learns on the way.

    Parameters
    ----------
    pairs : ObservedPairs
        n observations.
    size : int
        Number of cells, M.
    options : SolveOptions
    rule : SmoothingRule
        How lambda is found.
    learnt : LearntHere
        Receives what is learnt beside the series.
    """

    def __init__(
        self,
        pairs: ObservedPairs,
        size: int,
        options: SolveOptions,
        rule: SmoothingRule,
        learnt: LearntHere,
    ) -> None:
        n, order = len(pairs.vx), rule.order
        self._pairs, self._rule, self._learnt, self._robust = pairs, rule, learnt, options.robust
        self._with_std = options.uncertainty
        self._noisy = options.learn_noise and n >= _LEAST_TO_LEARN
        self._offsetting = options.offsets and n >= _LEAST_TO_LEARN
        self._system = PixelSystem.blank(pairs.spans, size, order)
        vary = options.vary and n >= _LEAST_FOR_SHAPE[0] and size - order >= _LEAST_FOR_SHAPE[1]
        design = Design.of(pairs.first_time, pairs.interval, order, size - order) if vary else None
        self._problem = Problem.of(rule, self._system.matrix, self._system.rhs, np.ones(size))
        self._smoothness = Smoothness(rule, self._problem, design, blind=options.robust)
        self._noise = _Noise(np.full(2, np.nan))
        self._active = np.empty(0, dtype=np.int64)
        self._offsets: Offsets | None = None
        # What offsets are expected to be before any is seen: 2 m/yr and 2 % of the speed.
        speed = float(np.hypot(np.median(pairs.vx), np.median(pairs.vy)))
        self._expected_offset2 = self._offset2 = (2.0 + 0.02 * speed) ** 2

    def run(self) -> Estimate | None:
        """Make the passes; None if the normal equations cannot be solved."""
        moving = self._robust or self._noisy or self._offsetting
        # After the choice the noise is learnt again; offsets start in the second pass settle in the third.
        least = CHOICE + 2 if self._noisy else (2 if self._offsetting else 0)
        # Where nothing moves from pass to pass, only the passes that choose are made.
        turn = 0 if moving else (FIRST_SHAPE if self._smoothness.design is not None else CHOICE)
        before = None
        while True:
            if not self._solve(turn):
                return None
            series = self._system.series
            moved = np.inf if before is None else np.abs(series - before).max()
            before = series.copy()
            done = not self._smoothness.open and turn >= least
            if turn >= MAX_PASSES + 2 or (done and (moved <= MOVE_TOLERANCE or not self._robust)):
                return self._estimate(turn if moving else 0)
            if moving:
                self._judge_pairs(turn)
            turn += 1

    def _solve(self, turn: int) -> bool:
        """Solve for the series, and for offsets beside it; False if the matrix cannot be factorised."""
        system, learnt, noise, smoothness = self._system, self._learnt, self._noise, self._smoothness
        rule = self._rule
        self._active = self._active[:0]
        # The prior of the offsets is in units of the noise, so they start after the first pass.
        if self._offsetting and turn > 0 and noise.mean_scatter > 0.0:
            self._active = offset_missions(self._pairs.mission, learnt.u)
            lost = np.ones(learnt.offset.shape[1], dtype=bool)
            lost[self._active] = False
            learnt.offset[:, lost] = 0.0
        self._offsets = None
        w = np.empty(len(learnt.u))
        worth, noise.precision = _weigh(learnt.u, learnt.credit, learnt.variance, w)
        system.enter(w, *self._less_offsets())
        if smoothness.open:
            squares = weighted_square(w, system.vx), weighted_square(w, system.vy)
            smoothness.update(turn, squares, worth)
        penalty, stiff = system.penalty(smoothness.value, rule.order, rule.scale, smoothness.shape)
        if np.isnan(smoothness.value) or not system.solve(penalty, stiff=stiff):
            return False
        if len(self._active) > 0:
            self._correct_offsets()
        system.form_residuals()
        self._measure(penalty, worth)
        if len(self._active) > 0 and noise.mean_scatter > 0.0:
            self._expect_offsets()
        return True

    def _less_offsets(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the data less the offsets found so far."""
        vx, vy = self._pairs.vx, self._pairs.vy
        if not self._offsetting:
            return vx, vy
        x, y = self._learnt.offset
        return vx - x[self._pairs.mission], vy - y[self._pairs.mission]

    def _correct_offsets(self) -> None:
        """Solve for offsets beside the series: corrections of those that were taken from the data before."""
        offset, active, system = self._learnt.offset, self._active, self._system
        kappa = self._noise.mean_scatter / self._offset2
        self._offsets = solve_offsets(system, self._pairs.mission, active, kappa, offset[:, active])
        offset[:, active] += self._offsets.value
        system.vx, system.vy = self._less_offsets()

    def _offset_variances(self, offsets: Offsets) -> NDArray[np.float64]:
        """Give the variance of each offset, shape (2, a) [m^2/yr^2]."""
        return self._noise.scatter[:, None] * np.diag(offsets.inverse)

    def _expect_offsets(self) -> None:
        """Set the variance of the offsets' prior: the mean square of what was found and what was expected."""
        assert self._offsets is not None
        found = self._learnt.offset[:, self._active] ** 2 + self._offset_variances(self._offsets)
        total = _TAU_PAIRS * self._expected_offset2 + float(found.sum())
        self._offset2 = total / (_TAU_PAIRS + found.size)

    def _measure(self, penalty: Penalty, worth: float) -> None:
        """Form the selected inverse, the effective degrees of freedom and the scatter of both components."""
        system, noise, inverse = self._system, self._noise, self._problem.inverse
        selected_inverse(system.matrix, inverse)
        fixed = penalty.alpha * penalty_trace(inverse, penalty.order, penalty.shape)
        noise.edf = inverse.size - fixed + len(self._active)
        left = worth - noise.edf
        for k, r in enumerate((system.rx, system.ry)):
            noise.scatter[k] = weighted_square(system.w, r) / left if left > 0.0 else np.nan

    def _judge_pairs(self, turn: int) -> None:
        """Learn the noise, and reweight the pairs."""
        pairs, learnt, system, noise = self._pairs, self._learnt, self._system, self._noise
        rx, ry = system.rx, system.ry
        inverse, leverage = self._problem.inverse, np.empty(len(rx))
        span_variances(inverse, np.arange(inverse.size), pairs.spans, leverage)
        pull = np.minimum(system.w * leverage, _MOST_PULL)
        images = pairs.first_image, pairs.second_image, pairs.images
        if self._noisy and turn > 0 and noise.mean_scatter > 0.0:
            energy = 0.5 * (rx**2 + ry**2) + noise.mean_scatter * leverage
            mission_noise(
                pairs.formal, pairs.interval / pairs.spans.rate, pairs.mission, energy,
                learnt.u, learnt.scale, learnt.floor, learnt.jitter, learnt.variance,
            )  # fmt: skip
            if turn in (CHOICE - 1, CHOICE + 1):
                noise.correlation = image_correlation(*images, rx, ry, learnt.variance, learnt.u)
        if self._robust:
            # A pair that pulls the series to itself leaves a short residual: studentised, it is seen.
            reweight(1.0 / (learnt.variance * (1.0 - pull)), rx, ry, learnt.u)
        if noise.correlation > 0.0:
            give_credit(*images, learnt.u, noise.correlation, learnt.credit)

    def _estimate(self, passes: int) -> Estimate:
        """Write what was learnt in the units of the user, and give the series."""
        learnt, noise, order = self._learnt, self._noise, self._rule.order
        size, smoothing = self._system.series.shape[1], 10.0**self._smoothness.value
        learnt.profile[:] = smoothing
        if size > order:
            nearest = np.clip(np.arange(size) - 1, 0, size - order - 1)
            learnt.profile[:] *= np.sqrt(self._smoothness.shape[nearest])
        if self._offsets is not None:
            learnt.offset_std[:, self._active] = np.sqrt(self._offset_variances(self._offsets))
        if self._noisy:
            core = CORE_VARIANCE if self._robust else 1.0
            learnt.variance[:] /= core
            learnt.scale[:] = np.sqrt(learnt.scale / core)
            learnt.floor[:] = np.sqrt(learnt.floor)
            learnt.jitter[:] = np.sqrt(learnt.jitter) / DAYS_PER_YEAR
        else:
            learnt.variance[:] *= noise.mean_scatter * noise.precision
        status, std = self._standard_deviations()
        return Estimate(status, self._system.series, std, smoothing, noise.edf, passes, noise.correlation)

    def _standard_deviations(self) -> tuple[int, NDArray[np.float64] | None]:
        """Give the status, and standard deviations if asked for, NaN where nothing is left to judge by."""
        if not self._with_std:
            return SOLVED, None
        z, size, width = self._problem.inverse
        variance = z[: size * (2 * width + 1)].reshape(size, -1)[:, width].copy()
        if self._offsets is not None:
            variance += self._offsets.extra
        scatter = np.where(self._noise.scatter > 0.0, self._noise.scatter, np.nan)
        return NO_FREEDOM if np.isnan(scatter).any() else SOLVED, np.sqrt(scatter[:, None] * variance)
