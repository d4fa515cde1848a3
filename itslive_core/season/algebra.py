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
    "Normal",
    "assemble",
    "back_substitute",
    "criterion",
    "eliminate",
    "load",
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


@kernel(fastmath=FAST, error_model="numpy")
def assemble(
    first: NDArray, begin: NDArray, coefficient: NDArray, overtone: NDArray, pair: NDArray, low: int,
    weights: NDArray, vx: NDArray, vy: NDArray, normal: Normal,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Fill the normal equations.

    Parameters
    ----------
    first, begin, coefficient, overtone : ndarray
        Rows of the pairs: see `itslive_core.season.point.SeasonRows`.
    pair : ndarray, shape (n,)
        Pair of each observation.
    low : int
        Unknown of the rows at which this pixel begins.
    weights, vx, vy : ndarray, shape (n,)
    normal : Normal
    """
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
    normal: Normal, log_precision: NDArray, axis: NDArray, passive: int, rows: NDArray, corner: NDArray
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
    passive : int
        Number of passive columns.
    rows : ndarray, shape (>= size * (width + 1 + BORDER + passive),)
    corner : ndarray, shape (BORDER + passive, BORDER + passive)
    """
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
    more = _U(BORDER + passive)
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


@kernel(fastmath=FAST, error_model="numpy")
def eliminate(
    size: int, width: int, passive: int, rows: NDArray, corner: NDArray
) -> float:  # pragma: no cover
    """Eliminate band and border (Cholesky), carrying the passive columns along.

    Parameters
    ----------
    size, width, passive : int
    rows, corner : ndarray
        From `load`, with passive columns; changed in place. The passive part of ``corner`` (upper triangle)
        loses F'(joint matrix)^-1 F.

    Returns
    -------
    float
        log of the determinant; NaN if the matrix is not positive definite.
    """
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
def back_substitute(
    size: int,
    width: int,
    passive: int,
    rows: NDArray,
    corner: NDArray,
    column: int,
    theta: NDArray,
    shared: NDArray,
) -> None:  # pragma: no cover - compiled
    """Solve for all unknowns after `eliminate`, for one passive column of data.

    Parameters
    ----------
    size, width, passive : int
    rows, corner : ndarray
    column : int
        Which passive column.
    theta : ndarray, shape (size,)
        Receives the unknowns of the years.
    shared : ndarray, shape (BORDER,)
        Receives those of the border.
    """
    stride = width + 1 + BORDER + passive
    for r in range(BORDER - 1, -1, -1):
        value = corner[r, BORDER + column]
        for s in range(r + 1, BORDER):
            value -= corner[r, s] * shared[s]
        shared[r] = value / corner[r, r]
    for i in range(size - 1, -1, -1):
        at = i * stride
        edge = at + width + 1
        value = rows[edge + BORDER + column]
        for r in range(BORDER):
            value -= rows[edge + r] * shared[r]
        for k in range(1, min(width, size - 1 - i) + 1):
            value -= rows[at + k] * theta[i + k]
        theta[i] = value / rows[at]


@kernel()
def criterion(
    normal: Normal, along: NDArray, worth: float, log_precision: NDArray, axis: NDArray, direction: NDArray,
    rows: NDArray, corner: NDArray,
) -> tuple[float, float, float, float]:  # pragma: no cover - compiled  # fmt: skip
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
    rows, corner : ndarray
        Work space for two passive columns; corner of shape (BORDER + 2, BORDER + 2).

    Returns
    -------
    value : float
        Infinite if it cannot be computed.
    scatter : float
        Variance of a pair of weight 1 [m^2/yr^2].
    mean, variance : float
        Of the mean season in the direction [m/yr], [m^2/yr^2].
    """
    size, width, years = normal.size, normal.width, normal.years
    ax, ay = along[0], along[1]
    load(normal, log_precision, axis, 2, rows, corner)
    stride = width + 1 + BORDER + 2
    at = width + 1 + BORDER
    for i in range(size):
        rows[i * stride + at] = ax * normal.rhs[0, i] + ay * normal.rhs[1, i]
    for a in range(OVERTONES):
        corner[3 + a, BORDER] = ax * normal.corner[a, OVERTONES] + ay * normal.corner[a, OVERTONES + 1]
    squares = ax * ax * normal.square[0] + 2.0 * ax * ay * normal.square[1] + ay * ay * normal.square[2]
    corner[BORDER, BORDER] = squares
    corner[0, BORDER + 1], corner[1, BORDER + 1] = direction[0], direction[1]
    determinant = eliminate(size, width, 2, rows, corner)
    if np.isnan(determinant):
        return np.inf, np.nan, np.nan, np.nan
    free = worth - FLAT
    scatter = max(corner[BORDER, BORDER], _LEAST_SQUARES * squares, 1e-300) / free
    prior = years * (log_precision[0] + log_precision[1] + log_precision[2]) + OVERTONES * log_precision[3]
    value = free * np.log(scatter) + determinant - np.log(10.0) * prior
    return value, scatter, -corner[BORDER, BORDER + 1], -scatter * corner[BORDER + 1, BORDER + 1]
