"""One pixel that knows what its neighbours share: it takes that as a prior, and needs few passes.

The noise of its missions is that of the region, of a size that its own pairs may change; levels and shape of
its smoothness start where the region expects them, and one scoring step a pass moves them. Between such
passes the pairs are judged by the series alone. What hyperparameters that are not known exactly add to the
error bands is found to first order, which does where they have a prior.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.bands.assembly import predict
from itslive_core.inversion.learning.border import take_border
from itslive_core.inversion.learning.last_solve import Axes, LastEquations, LastSolution, lower_band
from itslive_core.inversion.learning.noise_model import give_credit, scale_noise, trust
from itslive_core.inversion.learning.pixel import MOST_PULL, PixelLearner, noise_energy, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.account import Account
    from itslive_core.inversion.learning.evidence import Evidence, Posterior, Prior
    from itslive_core.inversion.learning.observed import LearntHere, ObservedPairs
    from itslive_core.inversion.learning.region import Region
    from itslive_core.inversion.solver import SolveOptions

__all__ = ["NeighbourLearner"]

_FULL_PASSES, _LIGHT_PASSES, _STILL = 3, 3, 0.1
"""Most passes that learn, and that judge pairs only after each; and the change of a trust or a credit that
ends them."""
_LEAST_KNOWN = 2.5
"""Largest standard deviation of a hyperparameter, in logarithms."""


class NeighbourLearner(PixelLearner):
    """Estimates one pixel of a region.

    Parameters
    ----------
    pairs, size, options, account, learnt, reach
        As for `PixelLearner`.
    region : Region

    Attributes
    ----------
    moves : ndarray, shape (2, 3, M)
        After `run`: see `Evidence.moves`.
    variances : callable
        After `run`: gives the variances of means of cells along both axes, with the information of the pairs;
        see `Evidence.variances`.
    """

    turning = 0

    def __init__(
        self,
        pairs: ObservedPairs,
        size: int,
        options: SolveOptions,
        account: Account,
        learnt: LearntHere,
        reach: int,
        region: Region,
    ) -> None:
        super().__init__(pairs, size, options, account, learnt, reach)
        first = round(pairs.first_time / pairs.interval)
        borrowed = region.of_pixel(
            pairs, self.typical, first, self.evidence.rows.size, (self.expected_season, self.expected_offset)
        )
        self._borrowed = borrowed
        self.hyper.borrow(borrowed)
        self.expected_season = min(float(np.exp(borrowed.season.mean)), self.most_season)
        self.expected_offset = float(np.exp(borrowed.offset.mean))
        self.season_variance, self.offset_variance = self.expected_season, self.expected_offset
        self._season_worth, self._offset_worth = borrowed.season.worth, borrowed.offset.worth
        self.correlation = borrowed.correlation
        for own, expected in zip((learnt.scale, learnt.floor, learnt.jitter), borrowed.noise, strict=True):
            own[:] = expected
        scale, floor, jitter = (of[pairs.mission] for of in borrowed.noise)
        self._expected_variance = scale * (pairs.formal + floor + jitter / (pairs.end - pairs.start) ** 2)
        learnt.variance[:] = self._expected_variance
        give_credit(self._images, learnt.u, self.correlation, learnt.credit)
        if self.account.axes:
            flow = np.median(self._values, axis=1)
            if np.hypot(*flow) > 0.0:
                along = flow / np.hypot(*flow)
                self.axes = np.array([along, [-along[1], along[0]]])

    def known_within(self) -> NDArray[np.float64]:
        """Give the standard deviations of level, yearly level and log size of the seasons, shape (3,)."""
        hyper = self.hyper
        season = self._season_worth + self.season_told
        curvature = np.array([*hyper.curvature[[0, hyper.yearly_at]], season])
        return np.minimum(np.sqrt(2.0 / np.maximum(curvature, 1e-9)), _LEAST_KNOWN)

    def run(self) -> Posterior | None:
        """Make the few passes of a pixel that knows what its neighbours share, and solve."""
        return self.finish() if self.learn() else None

    def learn(self) -> bool:
        """Make the passes; False if the equations of one cannot be solved."""
        for turn in range(_FULL_PASSES):
            self.passes += 1
            self._enter()
            found = self._improve(1)
            if found is None:
                return False
            posterior, spread, moved = found
            change = self._judge(posterior, spread, turn, annealed=False)
            for _ in range(_LIGHT_PASSES):
                if change < _STILL:
                    break
                self.passes += 1
                change = self._judge_lightly()
            if turn > 0 and settled(change, moved, _STILL):
                break
        return self._follow_witnesses()

    def finish(self) -> Posterior | None:
        """Solve with what was learnt; None if that cannot be done."""
        self._enter()
        prior = self.prior()
        posterior = self.evidence.solve(prior, both=True, valued=False)
        if not np.isfinite(posterior.value):
            return None
        self.moves = np.stack([self.evidence.moves(posterior, prior, axis) for axis in range(2)])
        self.evidence.enter(self.information, self.turned())
        told = self.evidence.solve(self.prior(tails=self.gap_tails()), both=True, valued=False)
        self.variances: Callable[[NDArray[Any]], NDArray[np.float64]] = partial(self.evidence.variances, told)
        return replace(posterior, covariance=told.covariance)

    def last_equations(self) -> LastEquations:
        """Give the equations of `finish`, for others to solve: see `take`."""
        prior, told_prior = self.prior(), self.prior(tails=self.gap_tails())
        self._enter()
        known = _copied(self.evidence, prior)
        self.evidence.enter(self.information, self.turned())
        return LastEquations(self.evidence.rows, self._border, known, _copied(self.evidence, told_prior))

    def take(self, solution: LastSolution) -> Posterior:
        """Take the solution of the last equations."""
        self.moves, self.variances = solution.moves, solution.variances
        return solution.posterior

    def _judge_lightly(self) -> float:
        """Solve for the series alone and judge the pairs by it; returns the largest change."""
        learnt, pairs = self.learnt, self.pairs
        residual = self.turned()
        for axis in range(2):
            take_border(self._border, self._beside[axis], residual[axis])
        weights = self.weights
        series = self.evidence.series(self.prior(), weights, residual)
        if series is None:
            return 0.0
        mean = np.empty(len(weights))
        for axis in range(2):
            predict(pairs.spans, series[axis], mean)
            residual[axis] -= mean
        before = np.concatenate([learnt.u, learnt.credit])
        if self.account.robust:
            trust(learnt.variance, np.minimum(weights * self._leverage, MOST_PULL), residual, learnt.u)
        give_credit(self._images, learnt.u, self.correlation, learnt.credit)
        return float(np.abs(np.concatenate([learnt.u, learnt.credit]) - before).max())

    def _learn_noise(self, residual: NDArray, leverage: NDArray, alone: NDArray, turn: int) -> None:
        learnt, mission = self.learnt, self.pairs.mission
        energy = noise_energy(residual, leverage)
        worth = self._borrowed.noise_worth
        factor = scale_noise(self._expected_variance, worth, mission, energy, learnt.u)
        learnt.scale[:] = factor * self._borrowed.noise[0]
        learnt.variance[:] = self._expected_variance * factor[mission]


def _copied(evidence: Evidence, prior: Prior) -> Axes:
    known = evidence.known
    bands = np.stack([lower_band(evidence.matrix(prior, axis)) for axis in range(2)])
    return Axes(prior, known._replace(columns=known.columns.copy()), bands)
