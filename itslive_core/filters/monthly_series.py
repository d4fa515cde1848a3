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
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CELL", "YEAR", "Rows", "add_links", "fit_series", "monthly_rows", "rows_of_pixel"]

CELL = 365.25 / 12
"""Length of a cell [days]."""
YEAR = 12
"""Cells of a year."""

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
"""Changes to choose from."""
_STEADY = 0.2
"""Least local speed that changes are in proportion to, as a share of the mean over the series."""


class Rows(NamedTuple):
    """Pairs on a monthly grid.

    Parameters
    ----------
    spans : Spans
        n pairs.
    span : ndarray, shape (n,)
        [days].
    mission : ndarray of int, shape (n,)
    """

    spans: Spans
    span: NDArray
    mission: NDArray


def monthly_rows(
    start: NDArray[np.float64], end: NDArray[np.float64], mission: NDArray[np.integer]
) -> tuple[Rows, int]:
    """Put pairs on a monthly grid.

    Parameters
    ----------
    start, end : ndarray, shape (T,)
        Dates of the pairs [days since 1970-01-01].
    mission : ndarray of int, shape (T,)
        Position of each pair's mission in `itslive_core.observations.missions.MISSIONS`.

    Returns
    -------
    rows : Rows
    first : int
        Number of the first cell since 1970-01-01; its remainder modulo `YEAR` is the month.
    """
    grid = TimeGrid.covering(start, end, CELL)
    operator = grid.operator(start, end)
    rows = Rows(Spans(*operator.columns), end - start, np.asarray(mission, dtype=np.int64))
    return rows, grid.first


@kernel()
def rows_of_pixel(rows: Rows, pair: NDArray) -> tuple[Rows, int, int]:  # pragma: no cover - compiled
    """Take the pairs of a pixel, on a grid that begins with their first cell.

    Parameters
    ----------
    rows : Rows
        T pairs.
    pair : ndarray of int, shape (n,)
        Those of the pixel, at least one.

    Returns
    -------
    rows : Rows
        n pairs.
    base, size : int
        First cell on the old grid, and number of cells.
    """
    spans, base, size = spans_of(rows.spans, pair)
    return Rows(spans, rows.span[pair], rows.mission[pair]), base, size


@kernel()
def add_links(matrix: Band, change: float, scale: NDArray) -> None:  # pragma: no cover - compiled
    """Add P(q) to a matrix.

    Parameters
    ----------
    matrix : Band
        Of a half-bandwidth of `YEAR` or more.
    change : float
        q [m/yr].
    scale : ndarray, shape (M,)
        s, local speed relative to the typical one.
    """
    band, size, width = matrix
    stride = width + 1 + PAD
    for step in (1, YEAR):
        for k in range(size - step):
            link = 1.0 / (change * change * scale[k] * scale[k + step])
            band[k * stride] += link
            band[(k + step) * stride] += link
            band[k * stride + step] -= link


@kernel()
def _residuals_of_bins(
    rows: NDArray, cells: NDArray, values: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Subtract from each value the median of those in its cell; of all, where a cell has few."""
    order = np.argsort(cells[rows])
    typical = np.median(values[rows])
    begin = 0
    while begin < len(rows):
        cell = cells[rows[order[begin]]]
        end = begin
        while end < len(rows) and cells[rows[order[end]]] == cell:
            end += 1
        middle = np.median(values[rows[order[begin:end]]]) if end - begin >= _LEAST_BIN else typical
        for i in range(begin, end):
            j = rows[order[i]]
            out[j] = values[j] - middle
        begin = end


@kernel()
def _learn_noise(
    pairs: Rows, used: NDArray, size: NDArray, noise: NDArray
) -> None:  # pragma: no cover - compiled
    """Estimate the noise of each mission as a length, from absolute residuals; of all, where it has few."""
    lengths = size[used] * pairs.span[used]
    missions = pairs.mission[used]
    noise[:] = np.median(lengths)
    for m in range(len(noise)):
        own = lengths[missions == m]
        if len(own) >= _LEAST_MISSION:
            noise[m] = np.median(own)
    least = max(1e-3 * np.median(lengths), _LEAST_NOISE)
    for m in range(len(noise)):
        noise[m] = max(noise[m], least)


@kernel()
def fit_series(
    pairs: Rows, used: NDArray, along: NDArray, across: NDArray, speed: float, size: int, vector: bool,
    noise: NDArray, weights: NDArray, scale: NDArray, series: NDArray, residual: NDArray,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Fit a monthly series to some pairs by reweighted least squares (Tukey's bisquare).

    Parameters
    ----------
    pairs : Rows
        n pairs.
    used : ndarray of int, shape (u,)
        Those that the series is fitted to.
    along, across : ndarray, shape (n,)
        Values along the flow and across it [m/yr].
    speed : float
        Typical speed, above 0 [m/yr].
    size : int
        Number of cells, M.
    vector : bool
        Let both components decide which pairs are outliers; else only the one along the flow.
    noise : ndarray, shape (missions,)
        Receives the noise of each mission: standard deviation of a component times span [m/yr days].
    weights : ndarray, shape (n,)
        Receives 1 / variance times the robust weight; 0 for pairs that are not used.
    scale : ndarray, shape (M,)
        Receives the local speed relative to the typical one.
    series : ndarray, shape (2, M)
        Receives the series, along and across [m/yr].
    residual : ndarray, shape (2, n)
        Receives data minus series, of all pairs.

    Returns
    -------
    float
        q, the typical change from month to month [m/yr].
    """
    width = YEAR
    for j in used:
        width = max(width, pairs.spans.last[j] - pairs.spans.first[j])
    normal, work = blank_band(size, width), blank_band(size, width)
    rhs = np.empty((2, size))
    cells = (pairs.spans.first + pairs.spans.last) // 2
    _residuals_of_bins(used, cells, along, residual[0])
    if vector:
        _residuals_of_bins(used, cells, across, residual[1])
    magnitude = np.empty(len(along))
    change = 0.0
    scale[:] = 1.0
    weights[:] = 0.0
    for step in range(_PASSES + 1):
        for j in used:
            if vector:
                magnitude[j] = np.hypot(residual[0, j], residual[1, j]) / 1.1774
            else:
                magnitude[j] = 1.4826 * abs(residual[0, j])
        _learn_noise(pairs, used, magnitude, noise)
        for j in used:
            variance = (noise[pairs.mission[j]] / pairs.span[j]) ** 2 + (_RELATIVE * speed) ** 2
            size_j = magnitude[j] if vector else magnitude[j] / 1.4826
            z = size_j / (_CUT * np.sqrt(variance))
            weights[j] = (1.0 - z * z) ** 2 / variance if z < 1.0 else 0.0
        if step == _PASSES:
            break
        assemble(pairs.spans, weights, along, across, normal, rhs)
        if step > 0:
            _local_speed(series[0], speed, scale)
        best = -np.inf
        for share in _CHANGES:
            q = share * speed
            value = _evidence(normal, work, rhs, series, q, scale)
            value -= 0.5 * np.log(share / _USUAL) ** 2
            if value > best:
                best, change = value, q
        _evidence(normal, work, rhs, series, change, scale)
        for c, values in enumerate((along, across)):
            predict(pairs.spans, series[c], residual[c])
            residual[c] = values - residual[c]
    return change


@kernel()
def _evidence(
    normal: Band, work: Band, rhs: NDArray, series: NDArray, change: float, scale: NDArray
) -> float:  # pragma: no cover - compiled
    """Solve for the series; returns the log evidence of the component along the flow, up to a constant."""
    size = normal.size
    used = size * (normal.width + 1 + PAD)
    work.entries[:used] = normal.entries[:used]
    add_links(work, change, scale)
    if not factorise(work):
        return -np.inf
    series[:] = rhs
    solve(work, series)
    fit = 0.0
    for k in range(size):
        fit += rhs[0, k] * series[0, k]
    return 0.5 * fit - 0.5 * log_determinant(work) - (size - 1) * np.log(change)


@kernel()
def _local_speed(series: NDArray, speed: float, scale: NDArray) -> None:  # pragma: no cover - compiled
    """Average the speed over seven months, with a floor, relative to the typical speed."""
    least = max(_STEADY * np.mean(np.abs(series)), 1e-6 * speed)
    for k in range(len(series)):
        scale[k] = max(np.mean(np.abs(series[max(0, k - 3) : k + 4])), least) / speed
