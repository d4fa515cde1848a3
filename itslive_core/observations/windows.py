"""Means of a series over windows that its cells do not fit into: months, seasons, years, or those of dates.

A mean is a weighted sum of cells, with the share of the window that each cell fills. Its variance is that of
the sum: neighbouring cells of a smooth series err together, so that it is larger than that of independent
ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import TimeGrid

__all__ = [
    "PERIODS",
    "Windows",
    "calendar_edges",
    "seen_share",
    "window_edges",
    "window_weights",
]

PERIODS = {"month": 1, "season": 3, "year": 12}
"""Calendar periods, and how many months each has; seasons are DJF, MAM, JJA and SON."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows in place of a regular grid of cells.

    Parameters
    ----------
    edges : ndarray, shape (g + 1,)
        [days since 1970-01-01]
    """

    edges: NDArray[np.float64]

    @classmethod
    def of(cls, period: str, grid: TimeGrid) -> Windows:
        """Give the windows of a period, see `window_edges`, that the cells of a grid touch."""
        edges = grid.edges
        return cls(window_edges(period, edges[0], edges[-1]) if grid.size else np.empty(0))

    @property
    def centres(self) -> NDArray[np.float64]:
        """Their middles [days since 1970-01-01]."""
        middle: NDArray[np.float64] = 0.5 * (self.edges[:-1] + self.edges[1:])
        return middle

    @property
    def size(self) -> int:
        """Their number."""
        return max(len(self.edges) - 1, 0)

    def touched(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> slice:
        """Tell which of them, from the first to the last, any of the spans touches [days]."""
        if len(start) == 0:
            return slice(0, 0)
        first = np.searchsorted(self.edges, start.min(), side="right") - 1
        return slice(max(int(first), 0), min(int(np.searchsorted(self.edges, end.max())), self.size))

    def overlaps(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.int32]:
        """Count the spans that touch each window, shape (g,)."""
        begun = np.searchsorted(np.sort(start), self.edges[1:])
        ended = np.searchsorted(np.sort(end), self.edges[:-1], side="right")
        return (begun - ended).astype(np.int32)


def calendar_edges(first: float, last: float, period: str) -> NDArray[np.float64]:
    """Give the edges of the calendar periods that hold a span of time, UTC.

    Parameters
    ----------
    first, last : float
        [days since 1970-01-01]
    period : {"month", "season", "year"}

    Returns
    -------
    ndarray, shape (g + 1,)
        [days since 1970-01-01]
    """
    step = PERIODS[period]
    shift = 1 if period == "season" else 0  # December opens the winter
    days = np.floor([first, last]).astype("M8[D]")
    begin, end = days.astype("M8[M]").astype(np.int64)
    months = np.arange((begin + shift) // step, (end + shift) // step + 2) * step - shift
    return months.astype("M8[M]").astype("M8[D]").astype(np.float64)


def window_edges(period: str, first: float, last: float) -> NDArray[np.float64]:
    """Give the edges of the windows over which means are wanted.

    Parameters
    ----------
    period : str
        ``"month"``, ``"season"`` or ``"year"``: those that hold a span of time; or dates, UTC, with commas
        between them: from each to the next.
    first, last : float
        The span of time [days since 1970-01-01].

    Returns
    -------
    ndarray, shape (g + 1,)
        [days since 1970-01-01]

    Raises
    ------
    SettingsError
        If it is neither.
    """
    if period in PERIODS:
        return calendar_edges(first, last, period)
    dates = [one.strip() for one in str(period).split(",")]
    try:
        if len(dates) < 2 or not all(map(_DATE.fullmatch, dates)):
            raise ValueError
        edges = np.array(dates, dtype="M8[D]").astype(np.float64)
    except ValueError:
        raise SettingsError(
            f"means {period!r} are not known: choose from {', '.join(PERIODS)}, or give two dates or more,"
            " such as 2015-01-01,2016-01-01"
        ) from None
    if not (np.diff(edges) > 0.0).all():
        raise SettingsError(f"the dates of means {period!r} are not in order: give each after the one before")
    return edges


def _shares(first: float, interval: float, size: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how long each window is in each cell [days], shape (g, M)."""
    begins = first + interval * np.arange(size)
    low = np.maximum(begins[None, :], edges[:-1, None])
    high = np.minimum(begins[None, :] + interval, edges[1:, None])
    shares: NDArray[np.float64] = np.maximum(high - low, 0.0)
    return shares


def window_weights(
    first: float, interval: float, size: int, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the matrix that averages cells over windows.

    Parameters
    ----------
    first, interval : float
        Begin of the first cell [days since 1970-01-01], and length of a cell [days].
    size : int
        Number of cells, M.
    edges : ndarray, shape (g + 1,)
        Of the windows, in order [days since 1970-01-01].

    Returns
    -------
    ndarray, shape (g, M)
        Rows sum to 1; over the part of a window where cells are. NaN where there are none.
    """
    shares = _shares(first, interval, size, edges)
    total = shares.sum(axis=1, keepdims=True)
    return shares / np.where(total > 0.0, total, np.nan)


def seen_share(
    first: float, interval: float, seen: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give what share of each window, shape (..., g), lies in cells that are seen, (..., M) of 0 to 1."""
    shares = _shares(first, interval, seen.shape[-1], edges)
    share: NDArray[np.float64] = seen @ shares.T / np.diff(edges)
    return share
