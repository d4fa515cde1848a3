"""The fit of background and season to the pairs of many pixels.

Robust weights start from Cauchy's, which never forget a pair for good, around a stiff model; then they are
Tukey's bisquare, as in the inversion. How much background and season change between years is learnt by
restricted maximum likelihood; the error of the mean season is integrated over what remains unknown of its
change. Pairs that share images are worth less than independent ones, by a factor taken from the residuals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.inversion.pixel_fit import enough, reweight
from itslive_core.inversion.solver import FAILED, MAX_PASSES, SOLVED, TOO_FEW
from itslive_core.season.algebra import (
    BORDER,
    FLAT,
    Joint,
    Normal,
    assemble_season,
    back_substitute,
    criterion,
    eliminate,
    load,
    load_velocity,
)
from itslive_core.season.kernels import (
    SeasonData,
    cauchy,
    extent_of,
    inflation_of,
    integrate_season,
    season_residuals,
    walk_to_evidence,
    weigh_knots,
)
from itslive_core.support.arrays import median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.batches import Observations

__all__ = [
    "LEAST_PAIRS",
    "LEAST_YEARS",
    "TOO_SHORT",
    "SeasonFacts",
    "fit_pixels",
]

TOO_SHORT = 4
"""Status of a pixel whose pairs cover less than `LEAST_YEARS`; the others are those of the inversion."""
LEAST_PAIRS = 20
"""Fewest used pairs with distinct (start, end)."""
LEAST_YEARS = 2.0
"""Shortest time from the first start to the last end [years]."""

_GENTLE_PASSES = 2
_SETTLED = 0.05
"""Passes end when no robust weight, and no logarithm of the inflation, moves by more than this."""
_STIFF = 1.0
_COARSE, _MIDDLE, _FINE = 2.0, 0.5, 0.25
_LEAST_WORTH = 8.0
_STRAY = 0.25
"""Share of the variance of the season between years that the background of a year errs by.

What no yearly model can follow reaches the background as it reaches the season, whose change in its quieter
direction tells how much: half of it (sine and cosine have a mean square of one half) if none of that change
were real; a quarter gave honest errors for sharp seasons, rough backgrounds and red noise in simulations."""


class SeasonFacts(NamedTuple):
    """What is found at a pixel.

    Parameters
    ----------
    mean_vx, mean_vy : float
        Mean velocity over the covered months, without the season [m/yr].
    mean_variance : float
        Of its part along the flow [m^2/yr^2].
    trend, trend_variance : float
        Slope along the flow [m/yr^2], and its variance.
    vx_sin, vx_cos, vy_sin, vy_cos : float
        Mean season, by component [m/yr].
    sine, cosine : float
        Mean season along the flow [m/yr].
    amplitude_variance, phase_variance : float
        Of the mean season along its phase, and across it, where its day changes [m^2/yr^2].
    scatter : float
        Variance of a pair of weight 1 [m^2/yr^2].
    inflation : float
        How many pairs are worth an independent one.
    amplitude_change, phase_change : float
        Standard deviation of the season between years along its phase and across it [m/yr].
    along_x, along_y : float
        Direction of the flow.
    axis_sine, axis_cosine : float
        Direction of the mean season in the plane of sine and cosine.
    precision_background, precision_amplitude, precision_phase, precision_overtones : float
        Log precisions of the prior; see `itslive_core.season.algebra.load`.
    passes : float
        Robust passes.
    stray : float
        Variance by which the background of a year errs for what no yearly model can follow [m^2/yr^2].
    """

    mean_vx: float
    mean_vy: float
    mean_variance: float
    trend: float
    trend_variance: float
    vx_sin: float
    vx_cos: float
    vy_sin: float
    vy_cos: float
    sine: float
    cosine: float
    amplitude_variance: float
    phase_variance: float
    scatter: float
    inflation: float
    amplitude_change: float
    phase_change: float
    along_x: float
    along_y: float
    axis_sine: float
    axis_cosine: float
    precision_background: float
    precision_amplitude: float
    precision_phase: float
    precision_overtones: float
    passes: float
    stray: float


class _Extent(NamedTuple):
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


class _Settled(NamedTuple):
    """Where the passes of a pixel end.

    Parameters
    ----------
    normal : Normal
        Of the deviations from the typical velocity, with the last weights.
    mean : ndarray, shape (2,)
        Mean velocity over the covered months [m/yr].
    along, axis : ndarray, shape (2,)
        Directions of the flow, and of the mean season in the plane of sine and cosine.
    log_precision : ndarray, shape (4,)
        Of the prior.
    worth, inflation : float
        Independent pairs that the data are worth, and how many pairs are worth one.
    passes : int
    left : ndarray, shape (6, 6)
        F'(joint matrix)^-1 F: both components, mean and slope of the background, mean sine and cosine.
    knots : ndarray, shape (2, size)
        Mean and slope of the background as weights of its knots.
    """

    normal: Normal
    mean: NDArray[np.float64]
    along: NDArray[np.float64]
    axis: NDArray[np.float64]
    log_precision: NDArray[np.float64]
    worth: float
    inflation: float
    passes: int
    left: NDArray[np.float64]
    knots: NDArray[np.float64]


def fit_pixels(
    data: SeasonData,
    observations: Observations,
    weights: NDArray[np.float64],
    *,
    robust: bool,
    inflation: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.float64]]:
    """Fit every pixel of a batch.

    Parameters
    ----------
    data : SeasonData
    observations : Observations
        n observations of P pixels; their pairs are those of ``data``.
    weights : ndarray, shape (n,)
        Of mean 1 over each pixel.
    robust : bool
    inflation : float, optional
        How many pairs are worth one independent one; by default as the residuals say.

    Returns
    -------
    facts : ndarray, shape (P, number of facts)
        `SeasonFacts` of each pixel, NaN where there is no estimate.
    status : ndarray of int8, shape (P,)
        `SOLVED`, `TOO_FEW`, `TOO_SHORT` or `FAILED`.
    u : ndarray, shape (n,)
        Robust weights.
    """
    facts = np.full((observations.n_pixels, len(SeasonFacts._fields)), np.nan)
    status = np.full(observations.n_pixels, TOO_FEW, dtype=np.int8)
    u, image = np.ones(len(observations.pair)), np.empty(data.n_images)
    for p, here in enumerate(observations.pixels()):
        pair = observations.pair[here]
        if not enough(data.span_id, pair, LEAST_PAIRS):
            continue
        extent = _Extent(*extent_of(data, pair))
        if extent.end - extent.begin < LEAST_YEARS:
            status[p] = TOO_SHORT
            continue
        velocity = observations.vx[here], observations.vy[here]
        settled = _reweighted(
            data, extent, pair, velocity, weights[here], u[here], image, robust=robust, given=inflation
        )
        found = None if settled is None else _facts(settled)
        status[p] = FAILED if found is None else SOLVED
        if found is not None:
            facts[p] = found
    return facts, status, u


def _reweighted(
    data: SeasonData,
    extent: _Extent,
    pair: NDArray[np.int32],
    velocity: tuple[NDArray[np.float64], NDArray[np.float64]],
    weights: NDArray[np.float64],
    u: NDArray[np.float64],
    image: NDArray[np.float64],
    *,
    robust: bool,
    given: float | None,
) -> _Settled | None:
    """Fit one pixel, and weight its pairs by what is left of them, until the weights ``u`` settle.

    None if the equations cannot be solved.
    """
    # Taken off so that rounding is small beside the season, not beside the speed.
    typical = np.array([median(component) for component in velocity])
    dx, dy = (component - usual for component, usual in zip(velocity, typical, strict=True))
    normal = Normal.blank(extent.size, extent.width)
    joint, small = Joint.blank(normal, 6), Joint.blank(normal, 2)
    along, axis, x = _direction(typical, np.array([1.0, 0.0])), np.array([0.0, 1.0]), np.full(4, _STIFF)
    left, knots = np.empty((2, len(pair))), np.empty((2, extent.size))
    theta, shared = np.empty((2, extent.size)), np.empty((2, BORDER))
    w, before = np.empty((2, len(pair)))
    inflation, settled, turn = 1.0 if given is None else given, False, 0
    gentle = _GENTLE_PASSES if robust else 0
    while True:
        last = settled or turn == MAX_PASSES + gentle
        total = float(u.sum())
        worth = max(total / inflation, FLAT + 1.0)
        np.multiply(weights, u, out=w)
        np.divide(w, inflation, out=w)
        assemble_season(data.design, pair, extent.low, w, dx, dy, normal)
        if turn > 0 or not robust:
            coarse = turn == int(robust)
            steps = _COARSE if coarse else _MIDDLE, _FINE if last else _MIDDLE
            start = criterion(normal, along, worth, x, axis, axis, small).value
            walk_to_evidence(normal, along, worth, x, steps, axis, small, start)
        weigh_knots(data.months, pair, u, extent.low, knots)
        load(normal, x, axis, joint)
        load_velocity(normal, joint)
        joint.columns[:, 2:4] = knots.T
        joint.corner[0, BORDER + 4] = joint.corner[1, BORDER + 5] = 1.0
        if np.isnan(eliminate(joint)):
            return None
        passive = -joint.corner[BORDER:, BORDER:]
        mean = typical + passive[:2, 2]
        along = _direction(mean, along)
        axis = _direction(along[0] * passive[0, 4:] + along[1] * passive[1, 4:], axis)
        if last:
            return _Settled(normal, mean, along, axis, x, worth, inflation, turn, passive, knots)
        back_substitute(joint, theta, shared)
        season_residuals(data.design, pair, extent.low, (dx, dy), theta, shared, left)
        change = 0.0
        if given is None:
            old = inflation
            found = inflation_of(data.images, pair, w, along, left, image)
            inflation = min(found, max(total / _LEAST_WORTH, 1.0))
            change = abs(np.log(inflation / old))
        if robust:
            before[:] = u
            (cauchy if turn < gentle else reweight)(weights, left[0], left[1], u)
            np.subtract(u, before, out=before)
            change = max(change, before.max(), -before.min())
        settled = turn >= gentle and change < _SETTLED
        turn += 1


def _direction(vector: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    length = math.hypot(*vector)
    return vector / length if length > 0.0 else otherwise


def _facts(settled: _Settled) -> SeasonFacts | None:
    """Say what is found at a pixel, once its weights have settled; None if that cannot be computed."""
    normal, along, axis, left = settled.normal, settled.along, settled.axis, settled.left
    small, x, worth = Joint.blank(normal, 2), settled.log_precision, settled.worth
    value, scatter, *_ = criterion(normal, along, worth, x, axis, axis, small)
    if not np.isfinite(value):
        return None
    season = np.empty((2, 3))
    integrate_season(normal, along, worth, x, axis, scatter, small, season)
    (outward, sideways), (amplitude_variance, phase_variance), changes = season.T.tolist()
    stray = _STRAY * min(changes) ** 2
    sine = outward * axis[0] + sideways * axis[1]
    cosine = outward * axis[1] - sideways * axis[0]
    across_sine, across_cosine = along[0] * left[1, 4:] - along[1] * left[0, 4:]
    square_mean, square_trend = (settled.knots**2).sum(axis=1)
    return SeasonFacts(
        mean_vx=settled.mean[0],
        mean_vy=settled.mean[1],
        mean_variance=scatter * left[2, 2] + stray * square_mean,
        trend=along[0] * left[0, 3] + along[1] * left[1, 3],
        trend_variance=scatter * left[3, 3] + stray * square_trend,
        vx_sin=along[0] * sine - along[1] * across_sine,
        vx_cos=along[0] * cosine - along[1] * across_cosine,
        vy_sin=along[1] * sine + along[0] * across_sine,
        vy_cos=along[1] * cosine + along[0] * across_cosine,
        sine=sine,
        cosine=cosine,
        amplitude_variance=amplitude_variance,
        phase_variance=phase_variance,
        scatter=scatter,
        inflation=settled.inflation,
        amplitude_change=changes[0],
        phase_change=changes[1],
        along_x=along[0],
        along_y=along[1],
        axis_sine=axis[0],
        axis_cosine=axis[1],
        precision_background=x[0],
        precision_amplitude=x[1],
        precision_phase=x[2],
        precision_overtones=x[3],
        passes=settled.passes,
        stray=stray,
    )
