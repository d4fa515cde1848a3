"""The fit of background and season to the pairs of many pixels.

Robust weights start from Cauchy's, which never forget a pair for good, around a stiff model; then they are
Tukey's bisquare, as in the inversion. How much background and season change between years is learnt by
restricted maximum likelihood; the error of the mean season is integrated over what remains unknown of its
change. Pairs that share images are worth less than independent ones, by a factor taken from the residuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.inversion.pixel_fit import enough, reweight
from itslive_core.inversion.solver import FAILED, MAX_PASSES, SOLVED, TOO_FEW
from itslive_core.season.algebra import (
    BORDER,
    FLAT,
    OVERTONES,
    Joint,
    Normal,
    SeasonDesign,
    assemble_season,
    back_substitute,
    criterion,
    eliminate,
    load,
    load_velocity,
)
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import MONTHS_PER_YEAR, RAYLEIGH_MEDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.batches import Observations

__all__ = [
    "LEAST_PAIRS",
    "LEAST_YEARS",
    "TOO_SHORT",
    "ImagesOfPairs",
    "MonthsOfPairs",
    "SeasonData",
    "SeasonFacts",
    "fit_pixels",
]

TOO_SHORT = 4
"""Status of a pixel whose pairs cover less than `LEAST_YEARS`; the others are those of the inversion."""
LEAST_PAIRS = 20
"""Fewest used pairs with distinct (start, end)."""
LEAST_YEARS = 2.0
"""Shortest time from the first start to the last end [years]."""

_CAUCHY = 2.385
"""Width of Cauchy's weights, in scales: 95 % efficient for normal errors."""
_GENTLE_PASSES = 2
_SETTLED = 0.05
"""Passes end when no robust weight, and no logarithm of the inflation, moves by more than this."""
_STIFF = 1.0
_LOW, _HIGH = -6.0, 6.0
_COARSE, _MIDDLE, _FINE = 2.0, 0.5, 0.25
_GAIN = 0.01
_LEAST_WORTH = 8.0
_STRAY = 0.25
"""Share of the variance of the season between years that the background of a year errs by.

What no yearly model can follow reaches the background as it reaches the season, whose change in its quieter
direction tells how much: half of it (sine and cosine have a mean square of one half) if none of that change
were real; a quarter gave honest errors for sharp seasons, rough backgrounds and red noise in simulations."""
_USUAL_CHANGE = 0.5
"""Width of the prior of the season's change between years, as a share of the amplitude."""
_CHANGES = np.linspace(-3.0, 2.0, 14)
"""Nodes of integration: log10 of the season's change over the standard deviation of a pair of weight 1."""


class MonthsOfPairs(NamedTuple):
    """Which months T pairs touch: time is covered or not by parts of twelve a year.

    Parameters
    ----------
    begin, end : ndarray of int64, shape (T,)
        First month that a pair touches, and the first after its end.
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]


class ImagesOfPairs(NamedTuple):
    """Which images T pairs are made of.

    Parameters
    ----------
    first, second : ndarray of int64, shape (T,)
        Numbers of the images.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]


class SeasonData(NamedTuple):
    """What the fit knows of the T pairs that pixels refer to.

    Parameters
    ----------
    design : SeasonDesign
        What background and season contribute to each.
    months : MonthsOfPairs
    images : ImagesOfPairs
    n_images : int
        Number of images.
    start, end : ndarray of float64, shape (T,)
        Acquisition dates [years].
    span_id : ndarray of int32, shape (T,)
        Equal for pairs of the same images.
    """

    design: SeasonDesign
    months: MonthsOfPairs
    images: ImagesOfPairs
    n_images: int
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    span_id: NDArray[np.int32]


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
        extent = _Extent(*_extent(data, pair))
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
    inflation, settled, turn = 1.0 if given is None else given, False, 0
    gentle = _GENTLE_PASSES if robust else 0
    while True:
        last = settled or turn == MAX_PASSES + gentle
        total = float(u.sum())
        worth = max(total / inflation, FLAT + 1.0)
        w = weights * u / inflation
        assemble_season(data.design, pair, extent.low, w, dx, dy, normal)
        if turn > 0 or not robust:
            coarse = turn == int(robust)
            steps = _COARSE if coarse else _MIDDLE, _FINE if last else _MIDDLE
            start = criterion(normal, along, worth, x, axis, axis, small).value
            _search(normal, along, worth, x, steps, axis, small, start)
        _weigh_knots(data.months, pair, u, extent.low, knots)
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
        _residuals(data.design, pair, extent.low, (dx, dy), theta, shared, left)
        change = 0.0
        if given is None:
            old = inflation
            found = _inflation(data.images, pair, w, along, left, image)
            inflation = min(found, max(total / _LEAST_WORTH, 1.0))
            change = abs(np.log(inflation / old))
        if robust:
            before = u.copy()
            (_cauchy if turn < gentle else reweight)(weights, left[0], left[1], u)
            change = max(change, np.abs(u - before).max())
        settled = turn >= gentle and change < _SETTLED
        turn += 1


def _direction(vector: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.hypot(vector[0], vector[1])
    return vector / length if length > 0.0 else otherwise


def _facts(settled: _Settled) -> SeasonFacts | None:
    """Say what is found at a pixel, once its weights have settled; None if that cannot be computed."""
    normal, along, axis, left = settled.normal, settled.along, settled.axis, settled.left
    small, x, worth = Joint.blank(normal, 2), settled.log_precision, settled.worth
    value, scatter, *_ = criterion(normal, along, worth, x, axis, axis, small)
    if not np.isfinite(value):
        return None
    season = np.empty((2, 3))
    _integrate(normal, along, worth, x, axis, scatter, small, season)
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


@kernel(error_model="numpy")
def _extent(
    data: SeasonData, pair: NDArray
) -> tuple[int, int, int, float, float]:  # pragma: no cover - compiled
    """Find the `_Extent` of a pixel."""
    first, offset = data.design.first, data.design.begin
    low, high, width, begin, end = first[pair[0]], 0, 3, np.inf, -np.inf
    for i in range(len(pair)):
        j = pair[i]
        length = offset[j + 1] - offset[j]
        low, high = min(low, first[j]), max(high, first[j] + length)
        width = max(width, length - 1)
        begin, end = min(begin, data.start[j]), max(end, data.end[j])
    return low, high - low, width, begin, end


@kernel(error_model="numpy")
def _search(
    normal: Normal,
    along: NDArray,
    worth: float,
    x: NDArray,
    steps: tuple[float, float],
    axis: NDArray,
    joint: Joint,
    best: float,
) -> None:  # pragma: no cover - compiled
    """Walk to the log precisions ``x`` of highest evidence, one after the other, with shrinking steps.

    ``steps`` are the first and the least one, ``best`` is the criterion where the walk begins.
    """
    step, least = steps
    while step >= least:
        moved = False
        for k in range(len(x)):
            for sign in (-1.0, 1.0):
                went = False
                while True:
                    before = x[k]
                    x[k] = min(_HIGH, max(_LOW, before + sign * step))
                    if x[k] == before:
                        break
                    value = criterion(normal, along, worth, x, axis, axis, joint).value
                    if value >= best - _GAIN:
                        x[k] = before
                        break
                    best = value
                    moved, went = True, True
                if went:
                    break
        if not moved:
            step *= 0.5


@kernel(error_model="numpy")
def _weigh_knots(
    months: MonthsOfPairs, pair: NDArray, u: NDArray, low: int, knots: NDArray
) -> None:  # pragma: no cover - compiled
    """Write mean and slope of the background over the covered months as weights of its knots, (2, size)."""
    n_months = MONTHS_PER_YEAR * (knots.shape[1] // 3)
    skip = MONTHS_PER_YEAR * (low // 3)
    count = np.zeros(n_months + 1, dtype=np.int64)
    for i in range(len(pair)):
        if u[i] > 0.0:
            count[months.begin[pair[i]] - skip] += 1
            count[months.end[pair[i]] - skip] -= 1
    knots[:] = 0.0
    running, total, centre = 0, 0.0, 0.0
    for k in range(n_months):
        running += count[k]
        count[k] = running
        if running > 0:
            total += 1.0
            centre += (k + 0.5) / MONTHS_PER_YEAR
    centre /= total
    spread = 0.0
    for k in range(n_months):
        if count[k] > 0:
            spread += ((k + 0.5) / MONTHS_PER_YEAR - centre) ** 2
    for k in range(n_months):
        if count[k] > 0:
            t = (k + 0.5) / MONTHS_PER_YEAR
            y = k // MONTHS_PER_YEAR
            late, slope = t - y, (t - centre) / spread
            knots[0, 3 * y] += (1.0 - late) / total
            knots[0, 3 * y + 3] += late / total
            knots[1, 3 * y] += (1.0 - late) * slope
            knots[1, 3 * y + 3] += late * slope


@kernel(error_model="numpy")
def _residuals(
    design: SeasonDesign,
    pair: NDArray,
    low: int,
    velocity: tuple[NDArray, NDArray],
    theta: NDArray,
    shared: NDArray,
    left: NDArray,
) -> None:  # pragma: no cover - compiled
    """Subtract the model, from `back_substitute`, from the observations: ``left`` (2, n) is what is left."""
    vx, vy = velocity
    for i in range(len(pair)):
        j = pair[i]
        at, row = design.begin[j], design.first[j] - low
        x, y = vx[i], vy[i]
        for r in range(design.begin[j + 1] - at):
            x -= design.coefficient[at + r] * theta[0, row + r]
            y -= design.coefficient[at + r] * theta[1, row + r]
        for h in range(OVERTONES):
            x -= design.overtone[j, h] * shared[0, 3 + h]
            y -= design.overtone[j, h] * shared[1, 3 + h]
        left[0, i], left[1, i] = x, y


@kernel(error_model="numpy")
def _inflation(
    images: ImagesOfPairs, pair: NDArray, w: NDArray, along: NDArray, left: NDArray, image: NDArray
) -> float:  # pragma: no cover - compiled
    """Compare the variance of the sum of weighted residuals with that of independent ones.

    Sums over the pairs of each image count every couple that shares one; each pair itself is counted by both
    of its images, hence the 1 (the variance of dyadic data: Aronow, Samii and Assenova, 2015,
    doi:10.1093/pan/mpv018). ``left`` are residuals, shape (2, n); ``image`` is room for one
    number for each image.
    """
    own, total = 0.0, 0.0
    for g in range(len(image)):
        image[g] = 0.0
    for i in range(len(pair)):
        q = w[i] * (along[0] * left[0, i] + along[1] * left[1, i])
        own += q * q
        image[images.first[pair[i]]] += q
        image[images.second[pair[i]]] += q
    if own == 0.0:
        return 1.0
    for g in range(len(image)):
        total += image[g] * image[g]
    return max(1.0, total / own - 1.0)


@kernel(error_model="numpy")
def _cauchy(weights: NDArray, rx: NDArray, ry: NDArray, u: NDArray) -> None:  # pragma: no cover - compiled
    """Give Cauchy's weights of vector residuals; all 1 if their scale is 0.

    No pair is forgotten for good, and none counts for more than a fixed number of standard deviations: a
    surge can convince the model, one outlier in an empty year cannot.
    """
    square = np.empty(len(u))
    for j in range(len(u)):
        square[j] = weights[j] * (rx[j] * rx[j] + ry[j] * ry[j])
    limit = median(square) * (_CAUCHY / RAYLEIGH_MEDIAN) ** 2
    for j in range(len(u)):
        u[j] = 1.0 / (1.0 + square[j] / limit) if limit > 0.0 else 1.0


@kernel(error_model="numpy")
def _integrate(
    normal: Normal,
    along: NDArray,
    worth: float,
    x: NDArray,
    axis: NDArray,
    scatter: float,
    joint: Joint,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """Integrate the mean season over what is not known of its change from year to year.

    Along its mean phase (the amplitude changes) and across it (the day of the maximum does), the standard
    deviation tau of the change has a prior flat for small tau and like 1 / tau^2 beyond the amplitude (half a
    Cauchy distribution: Gelman, 2006, doi:10.1214/06-BA117A).

    Parameters
    ----------
    out : ndarray, shape (2, 3)
        For both directions: mean [m/yr], variance, and root mean square of tau [m/yr].
    """
    n, amplitude = len(_CHANGES), 0.0
    level, mean, variance = np.empty(n), np.empty(n), np.empty(n)
    at, direction = np.empty(4), np.empty(2)
    direction[0], direction[1] = axis[0], axis[1]
    unit = np.sqrt(scatter)
    for k in range(2):
        if k == 1:
            direction[0], direction[1] = axis[1], -axis[0]
        for g in range(n):
            for i in range(4):
                at[i] = x[i]
            at[1 + k] = -2.0 * _CHANGES[g]
            found = criterion(normal, along, worth, at, axis, direction, joint)
            mean[g], variance[g] = found.mean, found.variance
            if g == 0 and k == 0:
                amplitude = abs(mean[0]) + 1e-12 * unit
            ratio = unit * 10.0 ** _CHANGES[g] / (_USUAL_CHANGE * amplitude)
            level[g] = -0.5 * found.value + np.log(10.0) * _CHANGES[g] - np.log1p(ratio * ratio)
        peak = level[0]
        for g in range(1, n):
            peak = max(peak, level[g])
        total, shift, square, tau = 0.0, 0.0, 0.0, 0.0
        for g in range(n):
            share = np.exp(level[g] - peak)
            apart = mean[g] - mean[0]
            total += share
            shift += share * apart
            square += share * (variance[g] + apart * apart)
            tau += share * 100.0 ** _CHANGES[g]
        shift /= total
        out[k, 0] = mean[0] + shift
        out[k, 1] = square / total - shift * shift
        out[k, 2] = unit * np.sqrt(tau / total)
