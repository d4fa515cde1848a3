"""The fit of background and season to the pairs of many pixels: what is found of each, with its errors.

How much background and season change between years is learnt by restricted maximum likelihood; errors are
integrated over what remains unknown of it, and over the offsets of missions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.inversion.pixel_fit import enough
from itslive_core.inversion.solver import FAILED, SOLVED, TOO_FEW
from itslive_core.observations.missions import MISSIONS
from itslive_core.season.algebra import Joint, criterion
from itslive_core.season.background import integrate_background, student_factor
from itslive_core.season.kernels import SeasonData, extent_of, integrate_season
from itslive_core.season.settling import Extent, PixelPairs, SeasonOptions, Settled, settle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.batches import Observations

__all__ = [
    "LEAST_PAIRS",
    "LEAST_YEARS",
    "TOO_SHORT",
    "Fitted",
    "SeasonFacts",
    "fit_pixels",
]

TOO_SHORT = 4
"""Status of a pixel whose pairs cover less than `LEAST_YEARS`; the others are those of the inversion."""
LEAST_PAIRS = 20
"""Fewest used pairs with distinct (start, end)."""
LEAST_YEARS = 2.0
"""Shortest time from the first start to the last end [years]."""

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
    offset_precision : float
        Of the prior of the missions' offsets, in units of the weights.
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
    offset_precision: float


class Fitted(NamedTuple):
    """What is found at P pixels.

    Parameters
    ----------
    facts : ndarray, shape (P, number of facts)
        `SeasonFacts` of each pixel, NaN where there is no estimate.
    status : ndarray of int8, shape (P,)
        `SOLVED`, `TOO_FEW`, `TOO_SHORT` or `FAILED`.
    robust_weights : ndarray, shape (n,)
        u of each observation.
    weights : ndarray, shape (n,)
        Inverse variances, of mean 1 over each pixel, once the noise of the missions is learnt.
    offset : ndarray, shape (P, 2, missions)
        Of vx and vy by mission, 0 where there is none [m/yr].
    """

    facts: NDArray[np.float64]
    status: NDArray[np.int8]
    robust_weights: NDArray[np.float64]
    weights: NDArray[np.float64]
    offset: NDArray[np.float64]


def fit_pixels(
    data: SeasonData, observations: Observations, weights: NDArray[np.float64], options: SeasonOptions
) -> Fitted:
    """Fit every pixel of a batch.

    Parameters
    ----------
    data : SeasonData
    observations : Observations
        n observations of P pixels; their pairs are those of ``data``.
    weights : ndarray, shape (n,)
        Of mean 1 over each pixel.
    options : SeasonOptions
    """
    n_pixels = observations.n_pixels
    fitted = Fitted(
        np.full((n_pixels, len(SeasonFacts._fields)), np.nan),
        np.full(n_pixels, TOO_FEW, dtype=np.int8),
        np.ones(len(observations.pair)),
        weights.copy(),
        np.zeros((n_pixels, 2, len(MISSIONS))),
    )
    image = np.empty(data.n_images)
    for p, here in enumerate(observations.pixels()):
        pair = observations.pair[here]
        if not enough(data.span_id, pair, LEAST_PAIRS):
            continue
        extent = Extent(*extent_of(data, pair))
        if extent.end - extent.begin < LEAST_YEARS:
            fitted.status[p] = TOO_SHORT
            continue
        pairs = PixelPairs(
            pair,
            observations.vx[here],
            observations.vy[here],
            fitted.weights[here],
            fitted.robust_weights[here],
            data.mission[pair],
        )
        settled = settle(data, extent, pairs, image, options)
        found = None if settled is None else _facts(settled)
        fitted.status[p] = FAILED if found is None else SOLVED
        if settled is not None and found is not None:
            fitted.facts[p] = found
            fitted.offset[p] = settled.offset
    return fitted


def _facts(settled: Settled) -> SeasonFacts | None:
    """Say what is found at a pixel, once its weights have settled; None if that cannot be computed."""
    question, along, axis = settled.question, settled.along, settled.axis
    normal, x, worth = question.normal, settled.log_precision, settled.worth
    small = Joint.blank(normal, 2)
    value, scatter, *_ = criterion(normal, along, worth, x, axis, axis, small)
    background = integrate_background(question, along, worth, x, axis, math.hypot(*settled.mean))
    if not np.isfinite(value) or background is None:
        return None
    season = np.empty((2, 3))
    integrate_season(normal, along, worth, x, axis, scatter, small, season)
    (outward, sideways), variances, changes = season.T.tolist()
    turned = np.array([axis, [axis[1], -axis[0]]])
    of_offsets = scatter * np.einsum("ki,ij,kj->k", turned, settled.of_offsets, turned)
    variances = student_factor(worth) * (np.array(variances) + of_offsets)
    stray = _STRAY * min(changes) ** 2
    sine = outward * axis[0] + sideways * axis[1]
    cosine = outward * axis[1] - sideways * axis[0]
    across_sine, across_cosine = along[0] * settled.season[1] - along[1] * settled.season[0]
    square_mean, square_trend = (question.knots**2).sum(axis=1)
    return SeasonFacts(
        mean_vx=settled.typical[0] + background.mean[0],
        mean_vy=settled.typical[1] + background.mean[1],
        mean_variance=background.mean_variance + stray * square_mean,
        trend=background.trend,
        trend_variance=background.trend_variance + stray * square_trend,
        vx_sin=along[0] * sine - along[1] * across_sine,
        vx_cos=along[0] * cosine - along[1] * across_cosine,
        vy_sin=along[1] * sine + along[0] * across_sine,
        vy_cos=along[1] * cosine + along[0] * across_cosine,
        sine=sine,
        cosine=cosine,
        amplitude_variance=variances[0],
        phase_variance=variances[1],
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
        offset_precision=question.kappa,
    )
