"""One pixel of the learning solver: its series, the noise of its pairs and its hyperparameters, in turns.

A pass solves for the series, improves the hyperparameters by one step, and judges the pairs anew. The first
passes add a generous noise to all pairs, less in each: no pair with a tiny formal error rules before it is
judged. The levels of the hyperparameters are then chosen from a grid by the evidence, so that a local best is
not mistaken for the best; see `itslive_core.inversion.learning.starts`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.assembly import predict
from itslive_core.bands.span_variance import span_variances
from itslive_core.inversion.learning.border import add_border_variances, border_rows, take_border
from itslive_core.inversion.learning.cross_validation import CrossValidation
from itslive_core.inversion.learning.evidence import Evidence, Posterior, Prior, Spread
from itslive_core.inversion.learning.hyperparameters import Hyperparameters
from itslive_core.inversion.learning.noise_model import (
    INFORMATION,
    Images,
    give_credit,
    image_correlation,
    mission_noise,
    trust,
)
from itslive_core.inversion.learning.observed import LearntHere, ObservedPairs, Typical
from itslive_core.inversion.learning.region import Sample
from itslive_core.inversion.learning.second_look import find_witnesses
from itslive_core.inversion.learning.starts import Start, cross_season, grid_of_starts
from itslive_core.observations.missions import MISSIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.learning.account import Account
    from itslive_core.inversion.solver import SolveOptions

__all__ = ["MOST_PULL", "PixelLearner", "noise_energy", "settled"]

MOST_PULL = 0.75
_ANNEALED = (0.5, 0.15, 0.05)
"""Noise that is added in the first passes, as shares of the spread of the data."""
_STEPS_WHILE_ANNEALED = 2
_MOST_PASSES = 15
_CHOICES = (0, len(_ANNEALED))
"""Passes before which the levels are chosen anew."""
_CORRELATED = (len(_ANNEALED), len(_ANNEALED) + 3, len(_ANNEALED) + 6)
"""Passes after which the correlation of pairs that share an image is measured."""
_STILL, _SETTLED = 0.05, 0.2
"""The passes end when no trust or credit moves by more than the first, and no hyperparameter by more than
the second."""
_TAIL = 4.0
"""Degrees of freedom of a change: sudden ones cost a logarithm, not a square."""
_OWN_NUMBERS = 1.0
"""Weight of what is expected of the size of unknowns beside the series, in unknowns."""
_SEASON_SHARE = 0.3
"""Expected size of seasonal displacements, as a share of the noise of the best displacements."""
_SLOWEST_CHANGE, _FASTEST_CHANGE = 0.2, 5.0
_MORE_PASSES = 5
"""Passes after the second look."""
_WITNESS_SPAN = 64.0
"""Longest span of a pair that bears witness of some weeks [days]."""


class PixelLearner:
    """Estimates one pixel and learns on the way.

    Parameters
    ----------
    pairs : ObservedPairs
        n observations.
    size : int
        Number of cells, M.
    options : SolveOptions
    account : Account
        What is learnt, and what is given.
    learnt : LearntHere
        Receives what is learnt of the pairs.
    reach : int
        As far from the diagonal the posterior covariance is needed.

    Attributes
    ----------
    evidence : Evidence
    hyper : Hyperparameters
    axes : ndarray, shape (2, 2)
        Rows: the axis along which the series changes most, and the one across.
    tails : ndarray, shape (M - k,)
        Factor of the precision of each change; below 1 where it is sudden.
    offset_variance, season_variance : float
        Prior variance of offsets [m^2/yr^2] and of seasonal displacements [m^2].
    correlation : float
        Of the noise of pairs that share an image.
    freedom : float
        Effective degrees of freedom of the fit of one component.
    misfit : float
        Weighted sum of the squared residuals of both components.
    season_told : float
        Number of unknowns from which the size of seasonal displacements is told.
    """

    turning = _CHOICES[-1] + 4
    """Last pass after which the axes turn."""

    def __init__(
        self,
        pairs: ObservedPairs,
        size: int,
        options: SolveOptions,
        account: Account,
        learnt: LearntHere,
        reach: int,
    ) -> None:
        order = options.derivative
        self.pairs, self.account, self.learnt = pairs, account, learnt
        self.typical = Typical.of(pairs)
        self._border = border_rows(
            pairs.start, pairs.end, pairs.mission, offsets=account.offsets, season=account.season
        )
        self.evidence = Evidence(
            pairs.spans, self._border, size, pairs.interval, order, reach, yearly=account.yearly
        )
        rows = self.evidence.rows
        self.hyper = Hyperparameters.of(
            pairs.first_time,
            pairs.interval,
            order,
            rows.size,
            self.typical.speed,
            vary=account.vary,
            yearly=rows.reach > 0,
            axes=account.axes,
            level_free=account.level is None and not account.cross_validated,
        )
        self.axes, self.tails = np.eye(2), np.ones(rows.size)
        self.yearly_tails = np.ones(rows.size)
        self._sudden: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
        self.expected_offset = self.typical.position**2
        self.most_season = self.typical.position**2
        self.expected_season = _SEASON_SHARE**2 * self.most_season
        self.offset_variance, self.season_variance = self.expected_offset, 0.01 * self.most_season
        self._season_worth = self._offset_worth = _OWN_NUMBERS
        self.season_told = 0.0
        self.correlation, self.passes = 0.0, 0
        self._validation = CrossValidation(options, pairs.interval) if account.cross_validated else None
        self.freedom, self.misfit = np.nan, np.nan
        self._residual: NDArray[np.float64] | None = None
        self._images = Images.of(pairs.first_image, pairs.second_image, pairs.images)
        self._values = np.stack([pairs.vx, pairs.vy])
        self._beside = np.zeros((2, self._border.size))

    def sample(self, number: int) -> Sample:
        """Tell what the neighbours of this pixel may take from it; its number is that in the region."""
        theta, hyper, learnt, pairs = self.hyper.theta, self.hyper, self.learnt, self.pairs
        return Sample(
            number=number,
            speed=self.typical.speed,
            levels=hyper.relative,
            first_change=round(pairs.first_time / pairs.interval),
            profile=np.log(hyper.shape),
            months=theta[hyper.yearly_at + 1 : -1].copy(),
            season_variance=self.season_variance,
            offset_variance=self.offset_variance,
            correlation=self.correlation,
            noise=np.stack([learnt.scale, learnt.floor, learnt.jitter]),
            pairs=np.bincount(pairs.mission, minlength=len(MISSIONS)),
        )

    @property
    def weights(self) -> NDArray[np.float64]:
        """1 / variance times trust and credit, shape (n,)."""
        return self.learnt.u * self.learnt.credit / self.learnt.variance

    @property
    def information(self) -> NDArray[np.float64]:
        """What the pairs tell of the series, shape (n,): less than the weights if noise is Student's.

        The expected information of a t in two dimensions is (nu + 2) / (nu + 4) of that of normal noise of
        its scale (Lange, Little and Taylor, 1989), and the mean of u is 1.
        """
        return self.weights * (INFORMATION if self.account.robust else 1.0)

    def prior(
        self,
        theta: NDArray[np.float64] | None = None,
        season_variance: float | None = None,
        tails: NDArray[np.float64] | None = None,
    ) -> Prior:
        """Give the prior of some hyperparameters; by default of those found so far."""
        theta = self.hyper.theta if theta is None else theta
        own, yearly = self.hyper.precisions(theta)
        season = self.season_variance if season_variance is None else season_variance
        border = np.where(self._border.is_season, season, self.offset_variance)
        own *= self.tails if tails is None else tails
        return Prior(own, yearly * self.yearly_tails, float(np.exp(theta[-1])), border)

    def turned(self) -> NDArray[np.float64]:
        """Give the velocities along both axes, shape (2, n)."""
        return self.axes @ self._values

    def gap_tails(self) -> NDArray[np.float64]:
        """Give the factors of the precisions whose inverses are the mean inverses of the tails."""
        return self.tails * (_TAIL / (_TAIL + 2.0)) if self.account.tails else self.tails

    def value_of(self, start: Start) -> float:
        """Give -2 log posterior probability of hyperparameters, up to a constant."""
        posterior = self.evidence.solve(self.prior(start.theta, start.season_variance))
        return posterior.value + self.hyper.cost(start.theta)

    def run(self) -> Posterior | None:
        """Make the passes and enter the data for the last solution; None if that cannot be solved."""
        account, learnt = self.account, self.learnt
        annealed = _ANNEALED if account.noise and account.robust else ()
        extra = self.typical.spread
        formal = self.pairs.formal
        last = _MOST_PASSES if account.moves else 1
        for turn in range(last):
            self.passes = turn
            if turn < len(annealed):
                learnt.variance[:] = formal + (annealed[turn] * extra) ** 2
            self._enter()
            if self.hyper.level_free and turn in _CHOICES:
                self._choose(turn)
            found = self._improve(_STEPS_WHILE_ANNEALED if turn < len(annealed) else 1)
            if found is None:
                return None
            posterior, spread, moved = found
            change = self._judge(posterior, spread, turn, annealed=turn < len(annealed) - 1)
            if turn >= len(annealed) + 3 and settled(change, moved):
                break
        if not self._follow_witnesses():
            return None
        self._enter()
        posterior = self.evidence.solve(self.prior(), both=True)
        if not np.isfinite(posterior.value):
            return None
        told = self.solve_for_variances(self.prior())
        return replace(posterior, covariance=told.covariance)

    def _follow_witnesses(self) -> bool:
        """Look again at pairs that were not believed, and make some passes more; False if that fails."""
        if self.account.tails and self._look_again():
            for again in range(_MORE_PASSES):
                self.passes += 1
                self._enter()
                found = self._improve(1)
                if found is None:
                    return False
                self._judge(found[0], found[1], _MOST_PASSES + again, annealed=False)
        return True

    def solve_for_variances(self, prior: Prior) -> Posterior:
        """Solve with the information of the pairs: the variances of that are those of the estimate."""
        self.evidence.enter(self.information, self.turned())
        posterior = self.evidence.solve(prior, both=True, valued=False)
        self.evidence.enter(self.weights, self.turned())
        return posterior

    def _look_again(self) -> bool:
        """Believe pairs that agree with each other, and let the series change there; see `second_look`."""
        pairs, learnt, rows = self.pairs, self.learnt, self.evidence.rows
        if self._residual is None or rows.size == 0:
            return False
        own, yearly = self.hyper.precisions()
        centre = pairs.first_time + pairs.interval * (np.arange(rows.size) + 0.5 * (rows.order + 1))
        looked = False
        for group in find_witnesses(
            pairs.start, pairs.end, self._residual, learnt.variance, learnt.u, _WITNESS_SPAN
        ):
            looked = True
            margin = (rows.order + 1) * pairs.interval
            here = (centre > group.start - margin) & (centre < group.end + margin)
            # A change that is sudden is as far from the year before as the year after is from it.
            later = np.zeros_like(here)
            for shift in range(rows.lag - 3, rows.lag + 1) if rows.reach else ():
                later[shift:] |= here[: rows.size - shift]
            for tails, precision, where in (
                (self.tails, own, here),
                (self.yearly_tails, yearly, here | later),
            ):
                free = (_TAIL + 2.0) / (_TAIL + precision[where] * group.size**2)
                tails[where] = np.minimum(tails[where], free)
            self._sudden.append((here, here | later))
            learnt.u[group.pairs] = 1.0
        return looked

    def _enter(self) -> None:
        self.evidence.enter(self.weights, self.turned())
        # lambda is in the units of weights of mean 1.
        precision = float(np.mean(1.0 / self.learnt.variance))
        level = self.account.level
        if self._validation is not None:
            worth = float((self.learnt.u * self.learnt.credit).sum())
            known = self.evidence.known.without(self._beside)
            level = self._validation.level(known, self.hyper.shape, worth, precision)
        if level is not None:
            self.hyper.theta[0] = self.hyper.mean[0] = level + np.log(precision)

    def _choose(self, turn: int) -> None:
        """Choose levels, and the size of seasonal displacements, from a grid."""
        if turn > 0 and self._border.is_season.any():
            season, axes = cross_season(self)
            if axes is not None:
                self.axes = axes @ self.axes
                self.hyper.theta[-1] = 0.0
                self._enter()
        else:
            season = 0.01 * self.most_season
        best = min(grid_of_starts(self, season, first=turn == 0), key=self.value_of)
        self.hyper.theta, self.season_variance = best.theta, best.season_variance

    def _improve(self, steps: int) -> tuple[Posterior, Spread, float] | None:
        """Solve, and improve the hyperparameters, some times."""
        moved = 0.0
        for _ in range(steps):
            prior = self.prior()
            posterior = self.evidence.solve(prior, both=True)
            if not np.isfinite(posterior.value):
                return None
            spread = self.evidence.spread(prior, posterior)
            held = spread.own_variance.sum() + spread.yearly_variance.sum()
            self.freedom = self.evidence.size - 0.5 * float(held)
            moved = self.hyper.improve(spread)
            self._resize(posterior)
            self._beside = posterior.border
        return posterior, spread, moved

    def _resize(self, posterior: Posterior) -> None:
        """Learn the sizes of offsets and of seasonal displacements (MacKay's fixed point).

        The ice has its seasons along its flow; what satellites add is seen across it, where nothing else is.
        """
        season = self._border.is_season
        square = posterior.border**2
        variance = np.diagonal(posterior.covariance, axis1=1, axis2=2)
        if (~season).any():
            self.offset_variance = _resized(
                self.offset_variance,
                self.expected_offset,
                self._offset_worth,
                square[:, ~season],
                variance[:, ~season],
            )
        if season.any():
            across = slice(1, 2) if self.account.axes else slice(0, 2)
            self.season_told = float(
                np.maximum(1.0 - variance[across, season] / self.season_variance, 0.0).sum()
            )
            self.season_variance = min(
                _resized(
                    self.season_variance,
                    self.expected_season,
                    self._season_worth,
                    square[across, season],
                    variance[across, season],
                ),
                self.most_season,
            )

    def _judge(self, posterior: Posterior, spread: Spread, turn: int, *, annealed: bool) -> float:
        """Judge the pairs anew, and learn their noise; returns the largest change of trust or credit."""
        account, learnt, pairs = self.account, self.learnt, self.pairs
        if account.tails:
            square = (spread.own + spread.own_variance).sum(axis=0) / np.maximum(self.tails, 1e-300)
            self.tails = (_TAIL + 2.0) / (_TAIL + square)
            yearly = (spread.yearly + spread.yearly_variance).sum(axis=0)
            yearly /= np.maximum(self.yearly_tails, 1e-300)
            # The changes of weeks that witnesses saw share one factor.
            for here, later in self._sudden:
                self.tails[here] = (_TAIL + 2.0 * here.sum()) / (_TAIL + square[here].sum())
                self.yearly_tails[later] = (_TAIL + 2.0 * later.sum()) / (_TAIL + yearly[later].sum())
        weights, residual = self.weights, self.turned()
        leverage, mean = np.empty((2, len(weights))), np.empty(len(weights))
        cells = np.arange(self.evidence.size)
        for axis in range(2):
            predict(pairs.spans, posterior.series[axis], mean)
            residual[axis] -= mean
            take_border(self._border, posterior.border[axis], residual[axis])
            span_variances(self.evidence.inverses[axis], cells, pairs.spans, leverage[axis])
        self._residual = residual
        self.misfit = float((weights * residual**2).sum())
        alone = leverage.copy() if turn in _CORRELATED else leverage
        if self._border.size:
            for axis in range(2):
                root, columns = posterior.roots[axis], posterior.columns_of_roots[axis]
                add_border_variances(pairs.spans, self._border, root, columns, leverage[axis])
        self._leverage = leverage
        if not annealed:
            self._learn_noise(residual, leverage, alone, turn)
        before = np.concatenate([learnt.u, learnt.credit])
        if account.robust:
            trust(learnt.variance, np.minimum(weights * leverage, MOST_PULL), residual, learnt.u)
        if account.noise:
            give_credit(self._images, learnt.u, self.correlation, learnt.credit)
        if account.axes and turn <= self.turning:
            self._turn_axes(posterior)
        return float(np.abs(np.concatenate([learnt.u, learnt.credit]) - before).max())

    def _learn_noise(self, residual: NDArray, leverage: NDArray, alone: NDArray, turn: int) -> None:
        account, learnt, pairs = self.account, self.learnt, self.pairs
        energy = noise_energy(residual, leverage)
        if account.noise:
            span = pairs.end - pairs.start
            mission_noise(
                pairs.formal, span, pairs.mission, energy, learnt.u, learnt.scale, learnt.floor,
                learnt.jitter, learnt.variance,
            )  # fmt: skip
            if turn in _CORRELATED:
                self.correlation = image_correlation(
                    self._images,
                    pairs.spans,
                    self.evidence.inverses,
                    residual,
                    alone,
                    learnt.variance,
                    learnt.u,
                )
        else:
            common = float((learnt.u * energy / pairs.formal).sum() / len(energy))
            learnt.variance[:] = common * pairs.formal

    def _turn_axes(self, posterior: Posterior) -> None:
        """Turn the axes: the first is the one along which most changes, in the series and in the season."""
        own, _ = self.hyper.precisions()
        x = np.diff(posterior.series, n=self.evidence.rows.order, axis=1)
        season = posterior.border[:, self._border.is_season]
        moment = (own * x) @ x.T + season @ season.T / self.season_variance
        _, vectors = np.linalg.eigh(moment)
        self.axes = vectors[:, ::-1].T @ self.axes
        self._beside = vectors[:, ::-1].T @ self._beside


def settled(change: float, moved: float, still: float = _STILL) -> bool:
    """Tell whether trust and credit changed, and hyperparameters moved, by so little that passes may end."""
    return change < still and moved < _SETTLED


def noise_energy(residual: NDArray[np.float64], leverage: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mean square of what pairs are off, shape (n,), from both components of two arrays (2, n)."""
    energy: NDArray[np.float64] = 0.5 * (residual**2).sum(axis=0) + leverage.mean(axis=0)
    return energy


def _resized(now: float, expected: float, worth: float, square: NDArray, variance: NDArray) -> float:
    """Improve a prior variance: squares over the number of unknowns that the data tell.

    What is expected of it counts as much as ``worth`` unknowns.
    """
    told = float(np.maximum(1.0 - variance / now, 1e-3).sum())
    new = (worth * expected + float(square.sum())) / (worth + told)
    return now * min(max(new / now, _SLOWEST_CHANGE), _FASTEST_CHANGE)
