"""A robust monthly series of what some pairs of a pixel say, for filters to compare other pairs with.

The series v has cells of a month. A month differs from the one before it, and from the same month a year
before, by something random whose size q is in proportion to the speed there; with noise of known size this
gives the normal equations

    N = A'WA + P(q),   P(q) = sum over linked months k, l of (v_k - v_l)^2 / (q^2 s_k s_l),

and N^-1 is the uncertainty of the series: small where pairs look, large in gaps. The link over a year makes a
season that was seen in some years known in the others. q maximises the evidence of the pairs. The noise of a
pair is a length, learnt for each mission, over its span: matching errs by a length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import PAD, Band, blank_band, factorise, log_determinant, solve
from itslive_core.bands.assembly import assemble, predict
from itslive_core.bands.spans import Spans, reach_of, spans_of
from itslive_core.observations.missions import MISSIONS
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.arrays import copy_into, median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD, MONTHS_PER_YEAR, RAYLEIGH_MEDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CELL", "MonthlyPairs", "MonthlySeries", "fit_series", "monthly_pairs", "solve_linked"]

CELL = DAYS_PER_YEAR / MONTHS_PER_YEAR
"""Length of a cell [days]."""

_PASSES = 2
_CUT = 6.0
_LEAST_BIN = 4
_LEAST_MISSION = 8
_LEAST_NOISE = 10.0
"""Least noise of a pair [m/yr days]: three centimetres."""
_RELATIVE = 0.05
"""Noise of a pair as a share of the speed, whatever its span: offsets of missions, motion within a cell."""
_USUAL = 0.1
"""Change from month to month as a share of the speed, at the centre of its prior, which spans a factor e."""
_CHANGES = 0.03 * 2.0 ** (0.75 * np.arange(8))
"""Changes to choose from,"""
_START = 2
"""... and the position of the one to begin with."""
_STEADY = 0.2
"""Least local speed that changes are in proportion to, as a share of the mean over the series."""


class MonthlyPairs(NamedTuple):
    """Pairs on a monthly grid.

    Parameters
    ----------
    spans : Spans
        n pairs.
    span : ndarray, shape (n,)
        [days].
    mission : ndarray of int64, shape (n,)
        Positions in `itslive_core.observations.missions.MISSIONS`.
    """

    spans: Spans
    span: NDArray[np.float64]
    mission: NDArray[np.int64]

    def of_pixel(self, pair: NDArray[np.int32]) -> tuple[MonthlyPairs, int, int]:
        """Take the pairs of a pixel, on a grid that begins with their first cell.

        Parameters
        ----------
        pair : ndarray of int32, shape (n,)
            Those of the pixel, at least one.

        Returns
        -------
        pairs : MonthlyPairs
        base, size : int
            First cell on the old grid, and number of cells.
        """
        spans, base, size = spans_of(self.spans, pair)
        return MonthlyPairs(spans, self.span[pair], self.mission[pair]), base, size

    def part(self, rows: slice) -> MonthlyPairs:
        """Take pairs that stand one after the other, on the same grid."""
        spans = Spans(*(column[rows] for column in self.spans))
        return MonthlyPairs(spans, self.span[rows], self.mission[rows])


class MonthlySeries(NamedTuple):
    """What `fit_series` finds, with M cells and n pairs.

    Parameters
    ----------
    values : ndarray, shape (2, M)
        The series, along the flow and across it [m/yr].
    residual : ndarray, shape (2, n)
        Data minus series.
    weights : ndarray, shape (n,)
        1 / variance times the robust weight.
    noise : ndarray, shape (missions,)
        Standard deviation of a component times span, of each mission [m/yr days].
    change : float
        q, the typical change from month to month [m/yr].
    scale : ndarray, shape (M,)
        s, local speed relative to the typical one.
    """

    values: NDArray[np.float64]
    residual: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise: NDArray[np.float64]
    change: float
    scale: NDArray[np.float64]


def monthly_pairs(
    start: NDArray[np.float64], end: NDArray[np.float64], mission: NDArray[np.int64]
) -> tuple[MonthlyPairs, int]:
    """Put pairs on a monthly grid.

    Parameters
    ----------
    start, end : ndarray, shape (T,)
        Dates of the pairs [days since 1970-01-01].
    mission : ndarray of int64, shape (T,)
        Position of each pair's mission in `itslive_core.observations.missions.MISSIONS`.

    Returns
    -------
    pairs : MonthlyPairs
    first : int
        Number of the first cell since 1970-01-01; its remainder modulo 12 is the month.
    """
    grid = TimeGrid.covering(start, end, CELL)
    spans = Spans(*grid.operator(start, end).columns)
    return MonthlyPairs(spans, end - start, np.asarray(mission, dtype=np.int64)), grid.first


def fit_series(
    pairs: MonthlyPairs,
    along: NDArray[np.float64],
    across: NDArray[np.float64] | None,
    speed: float,
    size: int,
) -> MonthlySeries:
    """Fit a monthly series to the pairs of a pixel by reweighted least squares (Tukey's bisquare).

    Parameters
    ----------
    pairs : MonthlyPairs
        n pairs.
    along : ndarray, shape (n,)
        Values along the flow [m/yr].
    across : ndarray, shape (n,), optional
        Values across it. With them both components decide which pairs are outliers; without them the
        second row of series and residuals is empty.
    speed : float
        Typical speed, above 0 [m/yr].
    size : int
        Number of cells, M.
    """
    n = len(along)
    values = (along,) if across is None else (along, across)
    unit = 1.0 if across is not None else MAD_TO_STD
    normal, rhs = blank_band(size, reach_of(pairs.spans, MONTHS_PER_YEAR)), np.empty((2, size))
    cells = (pairs.spans.first + pairs.spans.last) // 2
    order = np.argsort(cells)
    residual, series = np.empty((len(values), n)), np.zeros((2, size))
    for component, out in zip(values, residual, strict=True):
        _residuals_of_bins(order, cells, component, out)
    weights, noise, scale, chosen = np.empty(n), np.empty(len(MISSIONS)), np.ones(size), _START
    for step in range(_PASSES + 1):
        if across is None:
            length = unit * np.abs(residual[0])
        else:
            length = np.hypot(residual[0], residual[1]) / RAYLEIGH_MEDIAN
        _weigh(pairs, length, unit, speed, noise, weights)
        if step == _PASSES:
            break
        assemble(pairs.spans, weights, along, values[-1], normal, rhs)
        if step > 0:
            _local_speed(series[0], speed, scale)
        chosen = _choose_change(normal, rhs, speed, scale, chosen, series)
        for component, line, out in zip(values, series, residual, strict=False):
            predict(pairs.spans, line, out)
            np.subtract(component, out, out=out)
    change = float(_CHANGES[chosen]) * speed
    return MonthlySeries(series[: len(values)], residual, weights, noise, change, scale)


@kernel(error_model="numpy")
def _add_links(matrix: Band, change: float, scale: NDArray) -> None:  # pragma: no cover - compiled
    """Add P(q) to a matrix.

    Parameters
    ----------
    matrix : Band
        Of a half-bandwidth of 12 or more.
    change : float
        q [m/yr].
    scale : ndarray, shape (M,)
        s, local speed relative to the typical one.
    """
    band, size, width = matrix
    stride = width + 1 + PAD
    for step in (1, MONTHS_PER_YEAR):
        for k in range(size - step):
            link = 1.0 / (change * change * scale[k] * scale[k + step])
            band[k * stride] += link
            band[(k + step) * stride] += link
            band[k * stride + step] -= link


@kernel(error_model="numpy")
def solve_linked(
    normal: Band, rhs: NDArray, change: float, speed: float, scale: NDArray, factor: Band, series: NDArray
) -> float:  # pragma: no cover - compiled
    """Solve for the series with a given change, and give the evidence of it along the flow.

    Parameters
    ----------
    normal : Band
        A'WA, of a half-bandwidth of 12 or more; it is left as it is.
    rhs : ndarray, shape (2, M)
        A'Wd of two components.
    change : float
        q [m/yr].
    speed : float
        Typical speed [m/yr].
    scale : ndarray, shape (M,)
        s, local speed relative to the typical one.
    factor : Band
        Receives the factor of the normal equations.
    series : ndarray, shape (2, M)
        Receives the solution.

    Returns
    -------
    float
        The logarithm of evidence times prior, up to a constant; minus infinity if there is no solution.
    """
    size = normal.size
    copy_into(factor.entries, normal.entries[: size * (normal.width + 1 + PAD)])
    _add_links(factor, change, scale)
    if not factorise(factor):
        return -np.inf
    for c in range(2):
        copy_into(series[c], rhs[c])
    solve(factor, series)
    fit = 0.0
    for k in range(size):
        fit += rhs[0, k] * series[0, k]
    value = 0.5 * fit - 0.5 * log_determinant(factor) - (size - 1) * np.log(change)
    return value - 0.5 * np.log(change / speed / _USUAL) ** 2


@kernel(error_model="numpy")
def _residuals_of_bins(
    order: NDArray, cells: NDArray, values: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Subtract from each value the median of those in its cell; of all, where a cell has few.

    ``order`` sorts the pairs by cell.
    """
    n = len(order)
    own = np.empty(n)
    typical = median(values)
    begin = 0
    while begin < n:
        end = begin
        while end < n and cells[order[end]] == cells[order[begin]]:
            own[end] = values[order[end]]
            end += 1
        middle = median(own[begin:end]) if end - begin >= _LEAST_BIN else typical
        for i in range(begin, end):
            out[order[i]] = values[order[i]] - middle
        begin = end


@kernel(error_model="numpy")
def _weigh(
    pairs: MonthlyPairs, length: NDArray, unit: float, speed: float, noise: NDArray, weights: NDArray
) -> None:  # pragma: no cover - compiled
    """Estimate the noise of each mission, of all where it has few pairs, and give robust weights.

    Parameters
    ----------
    length : ndarray, shape (n,)
        Absolute residuals, times what makes their median a standard deviation [m/yr].
    unit : float
        Length of a residual that is as large as one standard deviation of a component.
    noise : ndarray, shape (missions,)
        Receives the noise as a length, times the days of a year.
    weights : ndarray, shape (n,)
        Receives the weights.
    """
    n = len(length)
    displaced, own = np.empty(n), np.empty(n)
    for j in range(n):
        displaced[j] = length[j] * pairs.span[j]
    usual = median(displaced)
    least = max(1e-3 * usual, _LEAST_NOISE)
    for m in range(len(noise)):
        count = 0
        for j in range(n):
            if pairs.mission[j] == m:
                own[count] = displaced[j]
                count += 1
        noise[m] = max(median(own[:count]) if count >= _LEAST_MISSION else usual, least)
    for j in range(n):
        variance = (noise[pairs.mission[j]] / pairs.span[j]) ** 2 + (_RELATIVE * speed) ** 2
        z = length[j] / unit / (_CUT * np.sqrt(variance))
        weights[j] = (1.0 - z * z) ** 2 / variance if z < 1.0 else 0.0


@kernel(error_model="numpy")
def _choose_change(
    normal: Band, rhs: NDArray, speed: float, scale: NDArray, start: int, series: NDArray
) -> int:  # pragma: no cover - compiled
    """Climb to the change of highest evidence of the component along the flow, and solve for the series.

    Parameters
    ----------
    start : int
        Position in `_CHANGES` to begin at.

    Returns
    -------
    int
        Position in `_CHANGES`.
    """
    work, trial = blank_band(normal.size, normal.width), np.empty((2, normal.size))
    at = start
    best = solve_linked(normal, rhs, _CHANGES[at] * speed, speed, scale, work, series)
    for step in (1, -1):
        while 0 <= at + step < len(_CHANGES):
            value = solve_linked(normal, rhs, _CHANGES[at + step] * speed, speed, scale, work, trial)
            if not value > best:
                break
            best = value
            at += step
            for c in range(2):
                copy_into(series[c], trial[c])
        if at != start:
            break
    return at


@kernel(error_model="numpy")
def _local_speed(series: NDArray, speed: float, scale: NDArray) -> None:  # pragma: no cover - compiled
    """Average the speed over seven months, with a floor, relative to the typical speed."""
    size = len(series)
    total = 0.0
    for k in range(size):
        total += abs(series[k])
    least = max(_STEADY * (total / size), 1e-6 * speed)
    for k in range(size):
        begin, end, total = max(0, k - 3), min(size, k + 4), 0.0
        for i in range(begin, end):
            total += abs(series[i])
        scale[k] = max(total / (end - begin), least) / speed
