"""Weighted medians of the pairs in a window around every cell, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import TimeGrid

__all__ = ["Windows", "medians", "windows_of"]

_ROUNDING = 1.0 / 12.0
"""Variance of values that are stored in whole m/yr [m^2/yr^2]."""


class Windows(NamedTuple):
    """The windows of M cells.

    Parameters
    ----------
    first, last : ndarray of int64, shape (n,)
        First and last cell in whose window the whole span of each pair lies; last < first where in none.
    held : ndarray of int64, shape (M,)
        Pairs in each window.
    """

    first: NDArray
    last: NDArray
    held: NDArray


def windows_of(
    grid: TimeGrid, start: NDArray[np.float64], end: NDArray[np.float64], window: float
) -> Windows:
    """Find the windows in which pairs lie.

    Parameters
    ----------
    grid : TimeGrid
        M cells; the window of each is centred on it.
    start, end : ndarray, shape (n,)
        Dates of the pairs [days since 1970-01-01].
    window : float
        Length [days].
    """
    # Centre i is at (grid.first + i + 0.5) h; it must lie within half a window of both dates.
    centre = 0.5 + grid.first
    first = np.ceil((end - 0.5 * window) / grid.interval - centre).astype(np.int64)
    last = np.floor((start + 0.5 * window) / grid.interval - centre).astype(np.int64)
    first, last = np.maximum(first, 0), np.minimum(last, grid.size - 1)
    inside = last >= first
    change = np.bincount(first[inside], minlength=grid.size + 1).astype(np.int64)
    change[: grid.size + 1] -= np.bincount(last[inside] + 1, minlength=grid.size + 1)
    return Windows(first, last, np.cumsum(change)[: grid.size])


def medians(
    windows: Windows, values: NDArray[np.float64], weights: NDArray[np.float64], least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the weighted median of each window and its standard error.

    The error is half the distance of the weighted quantiles at 1/2 -+ 1 / (2 sqrt(m)), between which the
    median of the population lies in 68 % of all samples, whatever its distribution (Woodruff, 1952,
    doi:10.1080/01621459.1952.10483443); m = (sum w)^2 / sum w^2 is the effective number of pairs, and the
    rounding of the values to whole m/yr is added.

    Parameters
    ----------
    windows : Windows
    values, weights : ndarray, shape (n,)
        One component of the velocity of each pair [m/yr], and what the pair counts.
    least : int
        Fewest pairs for which there is a median.

    Returns
    -------
    median, std : ndarray, shape (M,)
        [m/yr]; NaN in windows with too few pairs; std also where the pairs are too few to tell.
    """
    cells = len(windows.held)
    order = np.argsort(values, kind="stable")
    median, std = np.full(cells, np.nan), np.full(cells, np.nan)
    _medians(windows, order, values, weights, least, median, std)
    return median, std


@kernel()
def _medians(
    windows: Windows,
    order: NDArray,
    values: NDArray,
    weights: NDArray,
    least: int,
    median: NDArray,
    std: NDArray,
) -> None:  # pragma: no cover - compiled
    """Walk through the pairs from the least value on; each adds to the windows in which it lies."""
    cells = len(median)
    total, squares, sofar = np.zeros(cells), np.zeros(cells), np.zeros(cells)
    low, high = np.full(cells, np.nan), np.full(cells, np.nan)
    halved = np.zeros(cells, dtype=np.bool_)
    for j in range(len(values)):
        for k in range(windows.first[j], windows.last[j] + 1):
            total[k] += weights[j]
            squares[k] += weights[j] * weights[j]
    for i in range(len(values)):
        j = order[i]
        for k in range(windows.first[j], windows.last[j] + 1):
            if windows.held[k] < least:
                continue
            if halved[k]:  # the weight was halved exactly between two values: their mean
                median[k] = 0.5 * (median[k] + values[j])
                halved[k] = False
            sofar[k] += weights[j]
            share = sofar[k] / total[k]
            reach = 0.5 * np.sqrt(squares[k]) / total[k]
            if np.isnan(low[k]) and share >= 0.5 - reach:
                low[k] = values[j]
            if np.isnan(median[k]) and share >= 0.5 - 1e-12:
                median[k] = values[j]
                halved[k] = share <= 0.5 + 1e-12
            if np.isnan(high[k]) and share >= 0.5 + reach:
                high[k] = values[j]
    for k in range(cells):
        if windows.held[k] >= max(least, 2):
            effective = total[k] * total[k] / squares[k]
            std[k] = np.sqrt(0.25 * (high[k] - low[k]) ** 2 + _ROUNDING / effective)
