"""The fit of background and season to the pairs of many pixels, compiled.

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
    Normal,
    assemble,
    back_substitute,
    criterion,
    eliminate,
    load,
)
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import RAYLEIGH_MEDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FACTS", "LEAST_PAIRS", "LEAST_YEARS", "MONTHS", "TOO_SHORT", "SeasonData", "fit_pixels"]

TOO_SHORT = 4
"""Status of a pixel whose pairs cover less than `LEAST_YEARS`; the others are those of the inversion."""
LEAST_PAIRS = 20
"""Fewest used pairs with distinct (start, end)."""
LEAST_YEARS = 2.0
"""Shortest time from the first start to the last end [years]."""
MONTHS = 12
"""Time is covered or not by parts of this number a year."""

FACTS = (
    "mean_vx", "mean_vy", "mean_variance", "trend", "trend_variance", "vx_sin", "vx_cos", "vy_sin", "vy_cos",
    "sine", "cosine", "amplitude_variance", "phase_variance", "scatter", "inflation", "amplitude_change",
    "phase_change", "along_x", "along_y", "axis_sine", "axis_cosine", "precision_background",
    "precision_amplitude", "precision_phase", "precision_overtones", "passes", "stray",
)  # fmt: skip
"""What is found at a pixel; see `fit_pixels`."""

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


class SeasonData(NamedTuple):
    """Rows of the T pairs that pixels refer to.

    Parameters
    ----------
    first : ndarray of int64, shape (T,)
        Unknown, 3 times the number of the year, at which a row begins.
    begin : ndarray of int64, shape (T + 1,)
        Row j holds coefficient[begin[j]:begin[j + 1]].
    coefficient : ndarray of float64
        Means over the span of the hats of the background, and of sine and cosine in each year.
    overtone : ndarray of float64, shape (T, OVERTONES)
        Means over the span of sine and cosine of the second and the third harmonic.
    month0, month1 : ndarray of int64, shape (T,)
        First month that a pair touches, and the first after its end.
    start, end : ndarray of float64, shape (T,)
        Acquisition dates [years].
    first_image, second_image, span_id : ndarray of int64, shape (T,)
        Numbers of the images, and of the two together.
    images : int
        Number of images.
    """

    first: NDArray
    begin: NDArray
    coefficient: NDArray
    overtone: NDArray
    month0: NDArray
    month1: NDArray
    start: NDArray
    end: NDArray
    first_image: NDArray
    second_image: NDArray
    span_id: NDArray
    images: int


@kernel(error_model="numpy")
def _search(
    normal: Normal, along: NDArray, worth: float, x: NDArray, step: float, least: float, axis: NDArray,
    rows: NDArray, corner: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Walk to the log precisions ``x`` of highest evidence, one after the other, with shrinking steps."""
    best = criterion(normal, along, worth, x, axis, axis, rows, corner)[0]
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
                    value = criterion(normal, along, worth, x, axis, axis, rows, corner)[0]
                    if value >= best - _GAIN:
                        x[k] = before
                        break
                    best = value
                    moved = went = True
                if went:
                    break
        if not moved:
            step *= 0.5


@kernel(error_model="numpy")
def _functionals(
    data: SeasonData, pair: NDArray, u: NDArray, low: int, years: int, count: NDArray, f: NDArray
) -> None:  # pragma: no cover - compiled
    """Write mean and slope of the background over the covered months as weights of its knots, f (2, size)."""
    months = MONTHS * years
    skip = MONTHS * (low // 3)
    count[:] = 0
    for i in range(len(pair)):
        if u[i] > 0.0:
            count[data.month0[pair[i]] - skip] += 1
            count[data.month1[pair[i]] - skip] -= 1
    f[:] = 0.0
    running, total, centre = 0, 0.0, 0.0
    for k in range(months):
        running += count[k]
        count[k] = running
        if running > 0:
            total += 1.0
            centre += (k + 0.5) / MONTHS
    centre /= total
    spread = 0.0
    for k in range(months):
        if count[k] > 0:
            spread += ((k + 0.5) / MONTHS - centre) ** 2
    for k in range(months):
        if count[k] > 0:
            t = (k + 0.5) / MONTHS
            y = k // MONTHS
            late, slope = t - y, (t - centre) / spread
            f[0, 3 * y] += (1.0 - late) / total
            f[0, 3 * y + 3] += late / total
            f[1, 3 * y] += (1.0 - late) * slope
            f[1, 3 * y + 3] += late * slope


@kernel(error_model="numpy")
def _load_data(
    normal: Normal, at: int, stride: int, rows: NDArray, corner: NDArray
) -> None:  # pragma: no cover
    """Put both components into the first two passive columns."""
    for i in range(normal.size):
        rows[i * stride + at] = normal.rhs[0, i]
        rows[i * stride + at + 1] = normal.rhs[1, i]
    for a in range(OVERTONES):
        corner[3 + a, BORDER] = normal.corner[a, OVERTONES]
        corner[3 + a, BORDER + 1] = normal.corner[a, OVERTONES + 1]


@kernel(error_model="numpy")
def _residuals(
    data: SeasonData, pair: NDArray, low: int, vx: NDArray, vy: NDArray, theta: NDArray, shared: NDArray,
    rx: NDArray, ry: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Subtract the model from the observations."""
    for i in range(len(pair)):
        j = pair[i]
        at, row = data.begin[j], data.first[j] - low
        x, y = vx[i], vy[i]
        for r in range(data.begin[j + 1] - at):
            x -= data.coefficient[at + r] * theta[0, row + r]
            y -= data.coefficient[at + r] * theta[1, row + r]
        for h in range(OVERTONES):
            x -= data.overtone[j, h] * shared[0, 3 + h]
            y -= data.overtone[j, h] * shared[1, 3 + h]
        rx[i], ry[i] = x, y


@kernel(error_model="numpy")
def _inflation(
    data: SeasonData, pair: NDArray, w: NDArray, along: NDArray, rx: NDArray, ry: NDArray, image: NDArray
) -> float:  # pragma: no cover - compiled
    """Compare the variance of the sum of weighted residuals with that of independent ones.

    Sums over the pairs of each image count every couple that shares one; each pair itself is counted by both
    of its images, hence the 1 (the variance of dyadic data: Aronow, Samii and Assenova, 2015,
    doi:10.1093/pan/mpv018).
    """
    own, total = 0.0, 0.0
    for g in range(len(image)):
        image[g] = 0.0
    for i in range(len(pair)):
        q = w[i] * (along[0] * rx[i] + along[1] * ry[i])
        own += q * q
        image[data.first_image[pair[i]]] += q
        image[data.second_image[pair[i]]] += q
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
    limit = np.median(square) * (_CAUCHY / RAYLEIGH_MEDIAN) ** 2
    for j in range(len(u)):
        u[j] = 1.0 / (1.0 + square[j] / limit) if limit > 0.0 else 1.0


@kernel(error_model="numpy")
def _integrate(
    normal: Normal, along: NDArray, worth: float, x: NDArray, axis: NDArray, scatter: float, rows: NDArray,
    corner: NDArray, out: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Integrate the mean season over what is not known of its change from year to year.

    Along its mean phase (the amplitude changes) and across it (the day of the maximum does), the standard
    deviation tau of the change has a prior flat for small tau and like 1 / tau^2 beyond the amplitude (half a
    Cauchy distribution: Gelman, 2006, doi:10.1214/06-BA117A).

    Parameters
    ----------
    out : ndarray, shape (2, 3)
        For both directions: mean [m/yr], variance, and root mean square of tau [m/yr].
    """
    n = len(_CHANGES)
    level, mean, variance = np.empty(n), np.empty(n), np.empty(n)
    at = x.copy()
    direction = axis.copy()
    unit = np.sqrt(scatter)
    for k in range(2):
        if k == 1:
            direction[0], direction[1] = axis[1], -axis[0]
        for g in range(n):
            at[:] = x
            at[1 + k] = -2.0 * _CHANGES[g]
            value, _, mean[g], variance[g] = criterion(
                normal, along, worth, at, axis, direction, rows, corner
            )
            if g == 0 and k == 0:
                amplitude = abs(mean[0]) + 1e-12 * unit
            ratio = unit * 10.0 ** _CHANGES[g] / (_USUAL_CHANGE * amplitude)
            level[g] = -0.5 * value + np.log(10.0) * _CHANGES[g] - np.log1p(ratio * ratio)
        peak = level.max()
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


@kernel(error_model="numpy")
def _fit(
    data: SeasonData, pair: NDArray, vx: NDArray, vy: NDArray, weights: NDArray, robust: bool,
    given: float, image: NDArray, u: NDArray, facts: NDArray,
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """Fit one pixel; returns its status."""
    n = len(pair)
    if not enough(data.span_id, pair, LEAST_PAIRS):
        return TOO_FEW
    low, high, width = data.first[pair[0]], 0, 3
    begin, finish = np.inf, -np.inf
    for i in range(n):
        j = pair[i]
        length = data.begin[j + 1] - data.begin[j]
        low, high = min(low, data.first[j]), max(high, data.first[j] + length)
        width = max(width, length - 1)
        begin, finish = min(begin, data.start[j]), max(finish, data.end[j])
    if finish - begin < LEAST_YEARS:
        return TOO_SHORT
    size = high - low
    years = (size - 1) // 3
    normal = Normal(
        np.empty(size * (width + 1)), np.empty((2, size)), np.empty((size, OVERTONES)),
        np.empty((OVERTONES, OVERTONES + 2)), np.empty(3), size, width, years,
    )  # fmt: skip
    passive = 6
    stride = width + 1 + BORDER + passive
    rows, corner = np.empty(size * stride), np.empty((BORDER + passive, BORDER + passive))
    small = np.empty((BORDER + 2, BORDER + 2))
    theta, shared, f = np.empty((2, size)), np.empty((2, BORDER)), np.empty((2, size))
    count = np.empty(MONTHS * years + 1, dtype=np.int64)
    w, rx, ry, before = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    along, axis, x = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.full(4, _STIFF)
    # Taken off so that rounding is small beside the season, not beside the speed.
    typical_x, typical_y = np.median(vx), np.median(vy)
    dx, dy = vx - typical_x, vy - typical_y
    speed = np.hypot(typical_x, typical_y)
    if speed > 0.0:
        along[0], along[1] = typical_x / speed, typical_y / speed
    u[:] = 1.0
    inflation, settled, turn, mean_x, mean_y, worth = max(given, 1.0), False, 0, typical_x, typical_y, 0.0
    gentle = _GENTLE_PASSES if robust else 0
    while True:
        last = settled or turn == MAX_PASSES + gentle
        total = 0.0
        for i in range(n):
            total += u[i]
        worth = max(total / inflation, FLAT + 1.0)
        for i in range(n):
            w[i] = weights[i] * u[i] / inflation
        assemble(data.first, data.begin, data.coefficient, data.overtone, pair, low, w, dx, dy, normal)
        if turn > 0 or not robust:
            coarse = turn == (1 if robust else 0)
            _search(
                normal, along, worth, x, _COARSE if coarse else _MIDDLE, _FINE if last else _MIDDLE, axis,
                rows, small,
            )  # fmt: skip
        _functionals(data, pair, u, low, years, count, f)
        load(normal, x, axis, passive, rows, corner)
        at = width + 1 + BORDER
        _load_data(normal, at, stride, rows, corner)
        for i in range(size):
            rows[i * stride + at + 2], rows[i * stride + at + 3] = f[0, i], f[1, i]
        corner[0, BORDER + 4] = corner[1, BORDER + 5] = 1.0
        if np.isnan(eliminate(size, width, passive, rows, corner)):
            return FAILED
        mean_x, mean_y = typical_x - corner[BORDER, BORDER + 2], typical_y - corner[BORDER + 1, BORDER + 2]
        speed = np.hypot(mean_x, mean_y)
        if speed > 0.0:
            along[0], along[1] = mean_x / speed, mean_y / speed
        sine = -along[0] * corner[BORDER, BORDER + 4] - along[1] * corner[BORDER + 1, BORDER + 4]
        cosine = -along[0] * corner[BORDER, BORDER + 5] - along[1] * corner[BORDER + 1, BORDER + 5]
        amplitude = np.hypot(sine, cosine)
        if amplitude > 0.0:
            axis[0], axis[1] = sine / amplitude, cosine / amplitude
        if last:
            break
        for k in range(2):
            back_substitute(size, width, passive, rows, corner, k, theta[k], shared[k])
        _residuals(data, pair, low, dx, dy, theta, shared, rx, ry)
        change = 0.0
        if given < 1.0:
            old = inflation
            inflation = min(_inflation(data, pair, w, along, rx, ry, image), max(total / _LEAST_WORTH, 1.0))
            change = abs(np.log(inflation / old))
        if robust:
            for i in range(n):
                before[i] = u[i]
            if turn < gentle:
                _cauchy(weights, rx, ry, u)
            else:
                reweight(weights, rx, ry, u)
            for i in range(n):
                change = max(change, abs(u[i] - before[i]))
        settled = turn >= gentle and change < _SETTLED
        turn += 1
    across_sine = along[1] * corner[BORDER, BORDER + 4] - along[0] * corner[BORDER + 1, BORDER + 4]
    across_cosine = along[1] * corner[BORDER, BORDER + 5] - along[0] * corner[BORDER + 1, BORDER + 5]
    trend = -along[0] * corner[BORDER, BORDER + 3] - along[1] * corner[BORDER + 1, BORDER + 3]
    spread_mean, spread_trend = -corner[BORDER + 2, BORDER + 2], -corner[BORDER + 3, BORDER + 3]
    value, scatter, _, _ = criterion(normal, along, worth, x, axis, axis, rows, small)
    if not np.isfinite(value):
        return FAILED
    season = np.empty((2, 3))
    _integrate(normal, along, worth, x, axis, scatter, rows, small, season)
    stray = _STRAY * min(season[0, 2], season[1, 2]) ** 2
    sine = season[0, 0] * axis[0] + season[1, 0] * axis[1]
    cosine = season[0, 0] * axis[1] - season[1, 0] * axis[0]
    facts[0], facts[1] = mean_x, mean_y
    square_mean, square_trend = 0.0, 0.0
    for i in range(size):
        square_mean += f[0, i] * f[0, i]
        square_trend += f[1, i] * f[1, i]
    facts[2] = scatter * spread_mean + stray * square_mean
    facts[3], facts[4] = trend, scatter * spread_trend + stray * square_trend
    facts[5] = along[0] * sine - along[1] * across_sine
    facts[6] = along[0] * cosine - along[1] * across_cosine
    facts[7] = along[1] * sine + along[0] * across_sine
    facts[8] = along[1] * cosine + along[0] * across_cosine
    facts[9], facts[10], facts[11], facts[12] = sine, cosine, season[0, 1], season[1, 1]
    facts[13], facts[14], facts[15], facts[16] = scatter, inflation, season[0, 2], season[1, 2]
    facts[17], facts[18], facts[19], facts[20] = along[0], along[1], axis[0], axis[1]
    for k in range(4):
        facts[21 + k] = x[k]
    facts[25] = turn
    facts[26] = stray
    return SOLVED


@kernel(error_model="numpy")
def fit_pixels(
    data: SeasonData, offsets: NDArray, pair: NDArray, vx: NDArray, vy: NDArray, weights: NDArray,
    robust: bool, inflation: float, facts: NDArray, status: NDArray, u: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Fit every pixel of a batch.

    Parameters
    ----------
    data : SeasonData
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Row of ``data`` of each observation.
    vx, vy : ndarray of float64, shape (n,)
        Velocity [m/yr].
    weights : ndarray, shape (n,)
        Of mean 1 over each pixel.
    robust : bool
    inflation : float
        How many pairs are worth one independent one; below 1 it is taken from the residuals.
    facts : ndarray, shape (P, len(FACTS))
        Receives `FACTS`, NaN where there is no estimate: mean velocity [m/yr], the variance of its part along
        the flow; trend along the flow [m/yr^2]; sine and cosine of the mean season by component and along the
        flow [m/yr], and the variance of its amplitude, and of what changes its phase; variance of a pair of
        weight 1, inflation, standard deviation of the season between years along both [m/yr]; direction of
        the flow; direction of the season in the plane of sine and cosine; log precisions of the prior (see
        `itslive_core.season.algebra.load`); robust passes.
    status : ndarray of int8, shape (P,)
        `SOLVED`, `TOO_FEW`, `TOO_SHORT` or `FAILED`.
    u : ndarray, shape (n,)
        Receives the robust weights.
    """
    image = np.empty(data.images)
    for p in range(len(offsets) - 1):
        i, k = offsets[p], offsets[p + 1]
        facts[p] = np.nan
        status[p] = TOO_FEW
        if k > i:
            status[p] = _fit(
                data, pair[i:k], vx[i:k], vy[i:k], weights[i:k], robust, inflation, image, u[i:k], facts[p]
            )
