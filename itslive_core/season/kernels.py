"""The loops over pairs and years in the season's fit, and the tables that they read, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.season.algebra import OVERTONES, Joint, Normal, SeasonDesign, criterion
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import MONTHS_PER_YEAR
from itslive_core.support.student import LEAST_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CHANGES",
    "ImagesOfPairs",
    "MonthsOfPairs",
    "SeasonData",
    "extent_of",
    "inflation_of",
    "integrate_season",
    "season_residuals",
    "walk_to_evidence",
    "weigh_knots",
]

_LOW, _HIGH = -6.0, 6.0
_GAIN = 0.01
_USUAL_CHANGE = 0.5
"""Width of the prior of the season's change between years, as a share of the amplitude."""
CHANGES = np.linspace(-3.0, 2.0, 14)
"""Nodes of integration: log10 of a change between years over the standard deviation of a pair of weight 1."""


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
    mission : ndarray of int64, shape (T,)
        Positions in `itslive_core.observations.missions.MISSIONS`.
    """

    design: SeasonDesign
    months: MonthsOfPairs
    images: ImagesOfPairs
    n_images: int
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    span_id: NDArray[np.int32]
    mission: NDArray[np.int64]


@kernel(error_model="numpy")
def extent_of(
    data: SeasonData, pair: NDArray
) -> tuple[int, int, int, float, float]:  # pragma: no cover - compiled
    """Find which unknowns the pairs of a pixel touch, and when.

    Returns
    -------
    low, size, width : int
        First unknown, number of them, and half-bandwidth.
    begin, end : float
        First and last date [years].
    """
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
def walk_to_evidence(
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
def weigh_knots(
    months: MonthsOfPairs, pair: NDArray, u: NDArray, low: int, knots: NDArray
) -> None:  # pragma: no cover - compiled
    """Write mean and slope of the background over the covered months as weights of its knots, (2, size)."""
    n_months = MONTHS_PER_YEAR * (knots.shape[1] // 3)
    skip = MONTHS_PER_YEAR * (low // 3)
    count = np.zeros(n_months + 1, dtype=np.int64)
    for i in range(len(pair)):
        if u[i] >= LEAST_WEIGHT:
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
def season_residuals(
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
def inflation_of(
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
def integrate_season(
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
    n, amplitude = len(CHANGES), 0.0
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
            at[1 + k] = -2.0 * CHANGES[g]
            found = criterion(normal, along, worth, at, axis, direction, joint)
            mean[g], variance[g] = found.mean, found.variance
            if g == 0 and k == 0:
                amplitude = abs(mean[0]) + 1e-12 * unit
            ratio = unit * 10.0 ** CHANGES[g] / (_USUAL_CHANGE * amplitude)
            level[g] = -0.5 * found.value + np.log(10.0) * CHANGES[g] - np.log1p(ratio * ratio)
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
            tau += share * 100.0 ** CHANGES[g]
        shift /= total
        out[k, 0] = mean[0] + shift
        out[k, 1] = square / total - shift * shift
        out[k, 2] = unit * np.sqrt(tau / total)
