"""Regular time cells, and the operator that averages them over the span of a pair.

Cell edges lie on whole multiples of the interval since 1970-01-01T00:00 UTC, so every pixel, cube and job
is in phase. The span operator A holds, for pair j and cell k, the share of the pair's span that lies in the
cell: A_jk = |[start_j, end_j) n cell_k| / (end_j - start_j).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SpanOperator", "TimeGrid"]


@dataclass(frozen=True)
class TimeGrid:
    """A run of equal time cells.

    Parameters
    ----------
    interval : float
        Length of a cell, h [days].
    first : int
        Number of the first cell; cell i covers [i h, (i + 1) h) days since 1970-01-01.
    size : int
        Number of cells, M.
    """

    interval: float
    first: int
    size: int

    @classmethod
    def covering(cls, start: NDArray[np.float64], end: NDArray[np.float64], interval: float) -> TimeGrid:
        """Make the grid from the first to the last cell that any of the spans touches.

        Parameters
        ----------
        start, end : ndarray, shape (n,)
            Spans [start, end) [days since 1970-01-01]; none gives a grid without cells.
        interval : float
            Length of a cell [days].
        """
        if len(start) == 0:
            return cls(interval=float(interval), first=0, size=0)
        first = int(np.floor(np.min(start) / interval))
        last = int(np.ceil(np.max(end) / interval)) - 1
        return cls(interval=float(interval), first=first, size=max(last, first) - first + 1)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Cell edges [days since 1970-01-01], shape (M + 1,)."""
        return np.arange(self.first, self.first + self.size + 1, dtype=np.float64) * self.interval

    @property
    def centres(self) -> NDArray[np.float64]:
        """Cell centres [days since 1970-01-01], shape (M,)."""
        return (np.arange(self.first, self.first + self.size, dtype=np.float64) + 0.5) * self.interval

    def operator(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> SpanOperator:
        """Build the span operator of pairs on this grid; see `SpanOperator.build`."""
        return SpanOperator.build(self, start, end)

    def coverage(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the fraction of each cell inside the union of the spans.

        Parameters
        ----------
        start, end : ndarray, shape (n,)
            Spans [start, end) [days since 1970-01-01].

        Returns
        -------
        ndarray, shape (M,)
            Between 0 and 1.
        """
        covered = np.zeros(self.size)
        if self.size == 0 or len(start) == 0:
            return covered
        order = np.argsort(start, kind="stable")
        s, e = start[order], np.maximum.accumulate(end[order])
        # A new run of overlapping spans begins where a span starts after all earlier ones have ended.
        begins = np.concatenate(([True], s[1:] > e[:-1]))
        run_start = s[begins]
        run_end = e[np.concatenate((np.flatnonzero(begins)[1:] - 1, [len(s) - 1]))]
        edges = self.edges
        # Length of the union below t, at every edge: whole runs that ended, and the part of an open one.
        length = np.concatenate(([0.0], np.cumsum(run_end - run_start)))
        index = np.searchsorted(run_start, edges, side="right")
        open_part = np.where(
            index > 0, np.maximum(0.0, run_end[index - 1] - np.maximum(edges, run_start[index - 1])), 0.0
        )
        below = length[index] - open_part
        covered = np.diff(below) / self.interval
        return np.clip(covered, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class SpanOperator:
    """The matrix A in the compact form of one row per pair.

    A row is ``rate * head`` at cell ``first``, ``rate`` strictly between, ``rate * tail`` at cell ``last``;
    a pair inside one cell (first = last) has the single entry 1. ``rate`` is formed from head and tail, so
    that every row sums to 1 to rounding whatever the dates are.

    Parameters
    ----------
    grid : TimeGrid
        The cells, M of them.
    first, last : ndarray of int64, shape (n,)
        First and last cell that the span touches.
    head, tail : ndarray of float64, shape (n,)
        Fractions of the first cell after the start, and of the last cell before the end.
    rate : ndarray of float64, shape (n,)
        Cell length over span, h / (end - start).
    """

    grid: TimeGrid
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    head: NDArray[np.float64]
    tail: NDArray[np.float64]
    rate: NDArray[np.float64]

    @classmethod
    def build(cls, grid: TimeGrid, start: NDArray[np.float64], end: NDArray[np.float64]) -> SpanOperator:
        """Build the operator for spans that lie inside the grid.

        Parameters
        ----------
        grid : TimeGrid
            Cells that hold every span.
        start, end : ndarray, shape (n,)
            Spans [days since 1970-01-01], start < end.

        Raises
        ------
        ValueError
            If a span is empty or reaches outside the grid.
        """
        start = np.asarray(start, dtype=np.float64)
        end = np.asarray(end, dtype=np.float64)
        if np.any(~(end > start)):
            raise ValueError("every span must end after it starts")
        a = start / grid.interval - grid.first
        c = end / grid.interval - grid.first
        first = np.floor(a).astype(np.int64)
        last = (np.ceil(c) - 1).astype(np.int64)
        np.maximum(last, first, out=last)
        if len(start) and (first.min() < 0 or last.max() >= grid.size):
            raise ValueError("a span reaches outside the time grid")
        head = first + 1 - a
        tail = c - last
        rate = 1.0 / (head + tail + (last - first - 1))
        return cls(grid=grid, first=first, last=last, head=head, tail=tail, rate=rate)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)

    @property
    def shape(self) -> tuple[int, int]:
        """(number of pairs, number of cells)."""
        return len(self.first), self.grid.size

    @property
    def columns(self) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        """first, last, head, tail, rate."""
        return self.first, self.last, self.head, self.tail, self.rate

    @property
    def bandwidth(self) -> int:
        """Largest distance of two cells that one pair touches: the half-bandwidth of A'WA."""
        return int(np.max(self.last - self.first, initial=0))

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> SpanOperator:
        """Keep some of the rows."""
        return SpanOperator(
            self.grid,
            self.first[index],
            self.last[index],
            self.head[index],
            self.tail[index],
            self.rate[index],
        )

    def to_dense(self) -> NDArray[np.float64]:
        """Return A as a dense array, shape (n, M)."""
        n, m = self.shape
        k = np.arange(m)
        between = (k > self.first[:, None]) & (k < self.last[:, None])
        a = np.where(between, self.rate[:, None], 0.0)
        rows = np.arange(n)
        a[rows, self.last] = self.rate * self.tail
        a[rows, self.first] = np.where(self.first == self.last, 1.0, self.rate * self.head)
        return a

    def apply(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average a series over every span: A v.

        Parameters
        ----------
        v : ndarray, shape (M,)

        Returns
        -------
        ndarray, shape (n,)
        """
        total = np.concatenate(([0.0], np.cumsum(v)))
        between = total[self.last] - total[np.minimum(self.first + 1, self.last)]
        spread = self.rate * (self.head * v[self.first] + between + self.tail * v[self.last])
        return np.where(self.first == self.last, v[self.first], spread)

    def overlaps(self) -> NDArray[np.int64]:
        """Count the pairs that touch each cell, shape (M,)."""
        m = self.grid.size
        change = np.bincount(self.first, minlength=m + 1) - np.bincount(self.last + 1, minlength=m + 1)
        return np.cumsum(change)[:m]
