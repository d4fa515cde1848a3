"""The passes of one pixel: weights, noise, offsets and change between years, in turns until they settle.

Robust weights are those of the inversion (`itslive_core.support.student`), first around a stiff model. They
and the noise of missions are learnt in turns: a noisy mission is none of outliers. Pairs that share images
are worth less than independent ones, by a factor taken from the residuals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.inversion.learning.noise_model import mission_noise
from itslive_core.inversion.solver import MAX_PASSES
from itslive_core.observations.missions import MISSIONS
from itslive_core.season.algebra import (
    BORDER,
    FLAT,
    Joint,
    Normal,
    assemble_season,
    back_substitute,
    criterion,
)
from itslive_core.season.functionals import ASKED, Question, left_of, season_share_of_offsets, solve_for
from itslive_core.season.kernels import (
    SeasonData,
    inflation_of,
    season_residuals,
    walk_to_evidence,
    weigh_knots,
)
from itslive_core.season.offsets import MissionSums, OffsetPrior, correct_offsets
from itslive_core.support.arrays import median
from itslive_core.support.constants import DAYS_PER_YEAR
from itslive_core.support.student import reweight

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Extent", "PixelPairs", "SeasonOptions", "Settled", "settle"]

_SETTLED = 0.05
"""Passes end when no robust weight, and no logarithm of the inflation, moves by more than this."""
_STIFF = 1.0
_COARSE, _MIDDLE, _FINE = 2.0, 0.5, 0.25
_LEAST_WORTH = 8.0


class SeasonOptions(NamedTuple):
    """How a pixel is fitted.

    Parameters
    ----------
    robust : bool
        Reweight pairs by what is left of them.
    inflation : float, optional
        How many pairs are worth one independent one; by default as the residuals say.
    learn_noise : bool
        The size of the noise of each mission is learnt; else the weights say it all.
    """

    robust: bool = True
    inflation: float | None = None
    learn_noise: bool = True


class Extent(NamedTuple):
    """Which unknowns the pairs of a pixel touch, and when.

    Parameters
    ----------
    low, size, width : int
        First unknown, number of them, and half-bandwidth.
    begin, end : float
        First and last date [years].
    """

    low: int
    size: int
    width: int
    begin: float
    end: float


class PixelPairs(NamedTuple):
    """The n pairs of a pixel.

    Parameters
    ----------
    pair : ndarray of int32, shape (n,)
        Rows of the table.
    vx, vy : ndarray, shape (n,)
        [m/yr]
    weights, u : ndarray, shape (n,)
        Inverse variances of mean 1, and robust weights; both are changed in place.
    mission : ndarray of int64, shape (n,)
    """

    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    weights: NDArray[np.float64]
    u: NDArray[np.float64]
    mission: NDArray[np.int64]


class Settled(NamedTuple):
    """Where the passes of a pixel end.

    Parameters
    ----------
    question : Question
        The equations of deviations from the typical velocity and the offsets, with the last weights.
    typical, mean : ndarray, shape (2,)
        Typical velocity, and mean velocity over the covered months [m/yr].
    along, axis : ndarray, shape (2,)
        Directions of the flow, and of the mean season in the plane of sine and cosine.
    log_precision : ndarray, shape (4,)
        Of the prior.
    worth, inflation : float
        Independent pairs that the data are worth, and how many pairs are worth one.
    passes : int
    season : ndarray, shape (2, 2)
        Mean sine and cosine of both components [m/yr].
    of_offsets : ndarray, shape (2, 2)
        What offsets add to the variance of mean sine and cosine along the flow, in units of the noise.
    offset : ndarray, shape (2, missions)
        [m/yr]
    """

    question: Question
    typical: NDArray[np.float64]
    mean: NDArray[np.float64]
    along: NDArray[np.float64]
    axis: NDArray[np.float64]
    log_precision: NDArray[np.float64]
    worth: float
    inflation: float
    passes: int
    season: NDArray[np.float64]
    of_offsets: NDArray[np.float64]
    offset: NDArray[np.float64]


def settle(
    data: SeasonData, extent: Extent, pairs: PixelPairs, image: NDArray[np.float64], options: SeasonOptions
) -> Settled | None:
    """Fit one pixel, and weight its pairs by what is left of them, until the weights settle.

    Parameters
    ----------
    data : SeasonData
    extent : Extent
    pairs : PixelPairs
    image : ndarray
        Room for one number for each image.
    options : SeasonOptions

    Returns
    -------
    Settled
        None if the equations cannot be solved.
    """
    pair, weights, u, robust, given = pairs.pair, pairs.weights, pairs.u, options.robust, options.inflation
    # Taken off so that rounding is small beside the season, not beside the speed.
    typical = np.array([median(component) for component in (pairs.vx, pairs.vy)])
    velocity = np.stack([pairs.vx, pairs.vy]) - typical[:, None]
    normal, prior = Normal.blank(extent.size, extent.width), OffsetPrior(pairs.mission, math.hypot(*typical))
    # The prior of the offsets is in units of the noise: they wait until that is known.
    sums = MissionSums.blank(prior.active[:0], extent.size)
    along, axis, x = _direction(typical, np.array([1.0, 0.0])), np.array([0.0, 1.0]), np.full(4, _STIFF)
    knots, theta, shared = np.empty((2, extent.size)), np.empty((2, extent.size)), np.empty((2, BORDER))
    (dx, dy), (w, before) = velocity, np.empty((2, len(pair)))
    left = np.empty_like(velocity)
    inflation, settled, turn, scatter, kappa = 1.0 if given is None else given, False, 0, 0.0, 1.0
    formal, begin = 1.0 / weights, int(robust)
    small, joint = Joint.blank(normal, 2), Joint.blank(normal, ASKED)
    while True:
        last = settled or turn == MAX_PASSES + begin
        total = float(u.sum())
        worth = max(total / inflation, FLAT + 1.0)
        np.multiply(weights, u, out=w)
        np.divide(w, inflation, out=w)
        if scatter > 0.0:
            kappa = prior.precision(scatter)
            if len(sums.mission) < len(prior.active):
                sums = MissionSums.blank(prior.active, extent.size)
                joint = Joint.blank(normal, ASKED + len(prior.active))
        assemble_season(data.design, pair, extent.low, w, dx, dy, normal)
        sums.fill(data.design, pair, extent.low, pairs.mission, w, (dx, dy))
        if turn >= begin:
            steps = _COARSE if turn == begin else _MIDDLE, _FINE if last else _MIDDLE
            start = criterion(normal, along, worth, x, axis, axis, small).value
            walk_to_evidence(normal, along, worth, x, steps, axis, small, start)
        if turn == 0 or last:  # between them only the direction of the flow hangs on these
            weigh_knots(data.months, pair, u, extent.low, knots)
        question = Question(normal, sums, knots, kappa, prior.value[:, sums.mission])
        if np.isnan(solve_for(question, x, axis, joint)):
            return None
        found = left_of(joint)
        mean = typical - found[:2, 2]
        along = _direction(mean, along)
        axis = _direction(-along @ found[:2, 4:], axis)
        scatter = max(float(along @ found[:2, :2] @ along), 0.0) / (worth - FLAT)
        a = len(sums.mission)
        correction, covariance = np.empty((2, a)), np.empty((a, a))
        correct_offsets(joint, correction, covariance)
        if a:
            prior.follow(correction, covariance, along, scatter)
        if last:
            sums.take_off(normal, correction)
            question = question._replace(offset=prior.value[:, sums.mission])
            season, share = -found[:2, 4:], season_share_of_offsets(joint, a)
            return Settled(
                question, typical, mean, along, axis, x, worth, inflation, turn, season, share, prior.value
            )
        back_substitute(joint, theta, shared)
        dx, dy = prior.less(velocity)
        season_residuals(data.design, pair, extent.low, (dx, dy), theta, shared, left)
        if options.learn_noise and (robust or turn == 0):
            _learn(data, pairs, formal, left)
        change = 0.0
        if given is None:
            old = inflation
            new = inflation_of(data.images, pair, w, along, left, image)
            inflation = min(new, max(total / _LEAST_WORTH, 1.0))
            change = abs(np.log(inflation / old))
        if robust:
            before[:] = u
            reweight(weights, left[0], left[1], u)
            np.subtract(u, before, out=before)
            change = max(change, before.max(), -before.min())
        settled = turn > begin and change < _SETTLED
        turn += 1


def _learn(
    data: SeasonData, pairs: PixelPairs, formal: NDArray[np.float64], left: NDArray[np.float64]
) -> None:
    """Weight pairs of ``formal`` variance by the noise of their missions, as the residuals (2, n) show it."""
    span = DAYS_PER_YEAR * (data.end[pairs.pair] - data.start[pairs.pair])
    energy = 0.5 * (left**2).sum(axis=0)
    variance = formal.copy()
    parts = np.empty((3, len(MISSIONS)))
    mission_noise(formal, span, pairs.mission, energy, pairs.u, *parts, variance)
    if np.all(variance > 0.0):
        weights = 1.0 / variance
        pairs.weights[:] = weights / weights.mean()


def _direction(vector: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    length = math.hypot(*vector)
    return vector / length if length > 0.0 else otherwise
