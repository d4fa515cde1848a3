"""Algebra of the season's fit: a thin band of yearly unknowns with a border, compiled.

The unknowns of year y are b_y, S_y and C_y (background at its beginning, and its sine and cosine), one after
the other, and the background at the end of the last year. The border holds what all years share: mean sine
and cosine, drift of the background, and the overtones of the mean season. After them come passive columns:
data and linear functionals f, which are only carried along. One elimination (Cholesky) of

    [ N + P   B    F ]
    [         G    F']          with zeros, or the squared data, at the end
    [              0 ]

leaves -F'(joint matrix)^-1 F there: estimates, variances and the residual sum of squares without a solve.
Rows are stored one after the other: the upper band, width + 1 numbers, then border and passive columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BORDER",
    "FLAT",
    "OVERTONES",
    "Evidence",
    "Joint",
    "Normal",
    "SeasonDesign",
    "assemble_season",
    "back_substitute",
    "criterion",
    "eliminate",
    "load",
    "load_velocity",
]

OVERTONES = 4
"""Sine and cosine of the second and the third harmonic."""
BORDER = 3 + OVERTONES
"""Mean sine, mean cosine, drift, overtones."""
FLAT = 4
"""Unknowns without a prior: level and drift of the background, mean sine and cosine."""
_LEAST_SQUARES = 1e-14
"""Residuals below this share of the data are rounding."""

_U = np.uint64


class SeasonDesign(NamedTuple):
    """What the unknowns contribute to each of T pairs: the rows of A and H.

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
    """

    first: NDArray[np.int64]
    begin: NDArray[np.int64]
    coefficient: NDArray[np.float64]
    overtone: NDArray[np.float64]


class Normal(NamedTuple):
    """Normal equations of the pairs of one pixel, without any prior.

    Parameters
    ----------
    band : ndarray, shape (size * (width + 1),)
        A'WA by rows.
    rhs : ndarray, shape (2, size)
        A'W vx and A'W vy.
    cross : ndarray, shape (size, OVERTONES)
        A'WH.
    corner : ndarray, shape (OVERTONES, OVERTONES + 2)
        H'WH, upper triangle, and H'W vx, H'W vy.
    square : ndarray, shape (3,)
        vx'W vx, vx'W vy, vy'W vy.
    size, width, years : int
        3 years + 1 unknowns, half-bandwidth.
    """

    band: NDArray
    rhs: NDArray
    cross: NDArray
    corner: NDArray
    square: NDArray
    size: int
    width: int
    years: int

    @classmethod
    def blank(cls, size: int, width: int) -> Normal:
        """Make room for the equations of so many unknowns of years."""
        return cls(
            band=np.empty(size * (width + 1)),
            rhs=np.empty((2, size)),
            cross=np.empty((size, OVERTONES)),
            corner=np.empty((OVERTONES, OVERTONES + 2)),
            square=np.empty(3),
            size=size,
            width=width,
            years=(size - 1) // 3,
        )


class Joint(NamedTuple):
    """Where `eliminate` works: band, border and passive columns.

    Parameters
    ----------
    rows : ndarray, shape (size * (width + 1 + BORDER + passive),)
        Upper band of each row, then its border and passive columns.
    corner : ndarray, shape (BORDER + passive, BORDER + passive)
    size, width, passive : int
        Number of unknowns of years, half-bandwidth, and number of passive columns.
    """

    rows: NDArray
    corner: NDArray
    size: int
    width: int
    passive: int

    @classmethod
    def blank(cls, normal: Normal, passive: int) -> Joint:
        """Make room for normal equations with so many passive columns."""
        more = BORDER + passive
        rows = np.empty(normal.size * (normal.width + 1 + more))
        return cls(rows, np.empty((more, more)), normal.size, normal.width, passive)

    @property
    def columns(self) -> NDArray[np.float64]:
        """The passive columns of the rows, shape (size, passive): a view."""
        whole: NDArray[np.float64] = self.rows.reshape(self.size, -1)
        return whole[:, self.width + 1 + BORDER :]


class Evidence(NamedTuple):
    """What `criterion` finds.

    Parameters
    ----------
    value : float
        -2 log restricted evidence, up to a constant; infinite if it cannot be computed.
    scatter : float
        Variance of a pair of weight 1 [m^2/yr^2].
    mean, variance : float
        Of the mean season in a direction [m/yr], [m^2/yr^2].
    """

    value: float
    scatter: float
    mean: float
    variance: float


@kernel(fastmath=FAST, error_model="numpy")
def assemble_season(
    design: SeasonDesign, pair: NDArray, low: int, weights: NDArray, vx: NDArray, vy: NDArray, normal: Normal
) -> None:  # pragma: no cover - compiled
    """Fill the normal equations.

    Parameters
    ----------
    design : SeasonDesign
    pair : ndarray of int32, shape (n,)
        Pair of each observation.
    low : int
        Unknown of the rows at which this pixel begins.
    weights, vx, vy : ndarray, shape (n,)
    normal : Normal
    """
    first, begin, coefficient, overtone = design
    band, rhs, cross, corner, square = normal.band, normal.rhs, normal.cross, normal.corner, normal.square
    band[:] = 0.0
    rhs[:] = 0.0
    cross[:] = 0.0
    corner[:] = 0.0
    square[:] = 0.0
    stride = _U(normal.width + 1)
    for i in range(len(pair)):
        w = weights[i]
        if w == 0.0:
            continue
        j = pair[i]
        x, y = vx[i], vy[i]
        at, length = _U(begin[j]), _U(begin[j + 1] - begin[j])
        row = _U(first[j] - low)
        h0, h1, h2, h3 = overtone[j, 0], overtone[j, 1], overtone[j, 2], overtone[j, 3]
        for r in range(length):
            c = w * coefficient[at + r]
            to = (row + r) * stride
            for s in range(length - r):
                band[to + s] += c * coefficient[at + r + s]
            rhs[0, row + r] += c * x
            rhs[1, row + r] += c * y
            cross[row + r, 0] += c * h0
            cross[row + r, 1] += c * h1
            cross[row + r, 2] += c * h2
            cross[row + r, 3] += c * h3
        for a in range(OVERTONES):
            c = w * overtone[j, a]
            for b in range(a, OVERTONES):
                corner[a, b] += c * overtone[j, b]
            corner[a, OVERTONES] += c * x
            corner[a, OVERTONES + 1] += c * y
        square[0] += w * x * x
        square[1] += w * x * y
        square[2] += w * y * y


@kernel(fastmath=FAST, error_model="numpy")
def load(
    normal: Normal, log_precision: NDArray, axis: NDArray, joint: Joint
) -> None:  # pragma: no cover - compiled
    """Write data and prior where `eliminate` works, passive columns empty.

    With precisions p = 10^log_precision (background, season along its mean phase, across it, overtones),
    relative to that of a pair of weight 1, the prior is

        p_0 sum_y (b_y+1 - b_y - drift)^2 + sum_y (a_y - mean)' T (a_y - mean) + p_3 |overtones|^2,

    a_y = (S_y, C_y), T = p_1 q q' + p_2 q* q*' with q = ``axis``, q* perpendicular to it.

    Parameters
    ----------
    normal : Normal
    log_precision : ndarray, shape (4,)
    axis : ndarray, shape (2,)
        Direction of the mean season in the plane of sine and cosine, of length 1.
    joint : Joint
    """
    rows, corner = joint.rows, joint.corner
    p0, p1, p2, p3 = (
        10.0 ** log_precision[0],
        10.0 ** log_precision[1],
        10.0 ** log_precision[2],
        10.0 ** log_precision[3],
    )
    sine, cosine = axis[0], axis[1]
    tss = p1 * sine * sine + p2 * cosine * cosine
    tcc = p1 * cosine * cosine + p2 * sine * sine
    tsc = (p1 - p2) * sine * cosine
    band_width = _U(normal.width + 1)
    more = _U(BORDER + joint.passive)
    stride = band_width + more
    for i in range(_U(normal.size)):
        at, source = i * stride, i * band_width
        for k in range(band_width):
            rows[at + k] = normal.band[source + k]
        for k in range(more):
            rows[at + band_width + k] = 0.0
        for k in range(_U(OVERTONES)):
            rows[at + band_width + _U(3) + k] = normal.cross[i, k]
    for y in range(normal.years):
        level = _U(3 * y) * stride
        sine_row, cosine_row, after = level + stride, level + _U(2) * stride, level + _U(3) * stride
        rows[level] += p0
        rows[level + _U(3)] -= p0
        rows[after] += p0
        rows[sine_row] += tss
        rows[sine_row + _U(1)] += tsc
        rows[cosine_row] += tcc
        rows[sine_row + band_width] = -tss
        rows[sine_row + band_width + _U(1)] = -tsc
        rows[cosine_row + band_width] = -tsc
        rows[cosine_row + band_width + _U(1)] = -tcc
    # The drift meets the background at its two ends only.
    rows[band_width + _U(2)] += p0
    rows[_U(normal.size - 1) * stride + band_width + _U(2)] -= p0
    corner[:] = 0.0
    corner[0, 0] = normal.years * tss
    corner[0, 1] = normal.years * tsc
    corner[1, 1] = normal.years * tcc
    corner[2, 2] = normal.years * p0
    for a in range(OVERTONES):
        for b in range(a, OVERTONES):
            corner[3 + a, 3 + b] = normal.corner[a, b]
        corner[3 + a, 3 + a] += p3


def load_velocity(normal: Normal, joint: Joint) -> None:
    """Put both components into the first two passive columns."""
    joint.columns[:, :2] = normal.rhs.T
    joint.corner[3:BORDER, BORDER : BORDER + 2] = normal.corner[:, OVERTONES:]


@kernel(fastmath=FAST, error_model="numpy")
def eliminate(joint: Joint) -> float:  # pragma: no cover - compiled
    """Eliminate band and border (Cholesky), carrying the passive columns along.

    Parameters
    ----------
    joint : Joint
        From `load`, with passive columns; changed in place. The passive part of its corner (upper triangle)
        loses F'(joint matrix)^-1 F.

    Returns
    -------
    float
        log of the determinant; NaN if the matrix is not positive definite.
    """
    rows, corner, size, width, passive = joint
    more = BORDER + passive
    band_width = _U(width + 1)
    stride = band_width + _U(more)
    total = 0.0
    for i in range(_U(size)):
        at = i * stride
        if not rows[at] > 0.0:
            return np.nan
        pivot = np.sqrt(rows[at])
        inverse = 1.0 / pivot
        total += np.log(pivot)
        for k in range(stride):
            rows[at + k] *= inverse
        rows[at] = pivot
        edge = at + band_width
        for t in range(_U(1), _U(min(width, size - 1 - int(i)) + 1)):
            c = rows[at + t]
            if c == 0.0:
                continue
            to, source = at + t * stride, at + t
            for o in range(band_width - t):
                rows[to + o] -= c * rows[source + o]
            beyond = to + band_width
            for k in range(_U(more)):
                rows[beyond + k] -= c * rows[edge + k]
        for k in range(_U(more)):
            c = rows[edge + k]
            if c != 0.0:
                for m in range(k, _U(more)):
                    corner[k, m] -= c * rows[edge + m]
    total *= 2.0
    for r in range(BORDER):
        if not corner[r, r] > 0.0:
            return np.nan
        total += np.log(corner[r, r])
        inverse = 1.0 / corner[r, r]
        for k in range(r + 1, more):
            c = corner[r, k] * inverse
            for m in range(k, more):
                corner[k, m] -= c * corner[r, m]
    return total


@kernel(fastmath=FAST, error_model="numpy")
def back_substitute(joint: Joint, theta: NDArray, shared: NDArray) -> None:  # pragma: no cover - compiled
    """Solve for all unknowns after `eliminate`, for the first two passive columns.

    Parameters
    ----------
    joint : Joint
    theta : ndarray, shape (2, size)
        Receives the unknowns of the years.
    shared : ndarray, shape (2, BORDER)
        Receives those of the border.
    """
    rows, corner, size, width, passive = joint
    stride = width + 1 + BORDER + passive
    for c in range(2):
        for r in range(BORDER - 1, -1, -1):
            value = corner[r, BORDER + c]
            for s in range(r + 1, BORDER):
                value -= corner[r, s] * shared[c, s]
            shared[c, r] = value / corner[r, r]
        for i in range(size - 1, -1, -1):
            at = i * stride
            edge = at + width + 1
            value = rows[edge + BORDER + c]
            for r in range(BORDER):
                value -= rows[edge + r] * shared[c, r]
            for k in range(1, min(width, size - 1 - i) + 1):
                value -= rows[at + k] * theta[c, i + k]
            theta[c, i] = value / rows[at]


@kernel(error_model="numpy")
def criterion(
    normal: Normal,
    along: NDArray,
    worth: float,
    log_precision: NDArray,
    axis: NDArray,
    direction: NDArray,
    joint: Joint,
) -> Evidence:  # pragma: no cover - compiled
    """Give -2 log restricted evidence of the data along the flow, up to a constant.

    Parameters
    ----------
    normal : Normal
    along : ndarray, shape (2,)
        Direction of the flow.
    worth : float
        Independent pairs that the data are worth.
    log_precision, axis : ndarray
        See `load`.
    direction : ndarray, shape (2,)
        A direction in the plane of sine and cosine: what the mean season is in it is given too.
    joint : Joint
        Work space, of two passive columns.
    """
    size, width, years = normal.size, normal.width, normal.years
    rows, corner = joint.rows, joint.corner
    # With their number written out the compiler unrolls the loops over border and passive columns: a third
    # of the time is saved.
    joint = Joint(rows, corner, size, width, 2)
    ax, ay = along[0], along[1]
    load(normal, log_precision, axis, joint)
    stride = width + 1 + BORDER + 2
    at = width + 1 + BORDER
    for i in range(size):
        rows[i * stride + at] = ax * normal.rhs[0, i] + ay * normal.rhs[1, i]
    for a in range(OVERTONES):
        corner[3 + a, BORDER] = ax * normal.corner[a, OVERTONES] + ay * normal.corner[a, OVERTONES + 1]
    squares = ax * ax * normal.square[0] + 2.0 * ax * ay * normal.square[1] + ay * ay * normal.square[2]
    corner[BORDER, BORDER] = squares
    corner[0, BORDER + 1], corner[1, BORDER + 1] = direction[0], direction[1]
    determinant = eliminate(joint)
    if np.isnan(determinant):
        return Evidence(np.inf, np.nan, np.nan, np.nan)
    free = worth - FLAT
    scatter = max(corner[BORDER, BORDER], _LEAST_SQUARES * squares, 1e-300) / free
    prior = years * (log_precision[0] + log_precision[1] + log_precision[2]) + OVERTONES * log_precision[3]
    value = free * np.log(scatter) + determinant - np.log(10.0) * prior
    return Evidence(value, scatter, -corner[BORDER, BORDER + 1], -scatter * corner[BORDER + 1, BORDER + 1])
