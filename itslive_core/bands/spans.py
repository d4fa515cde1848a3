"""Rows of the span operator as compiled code sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Spans", "reach_of", "spans_of"]


class Spans(NamedTuple):
    """Rows of the matrix A that averages cells over spans, one for each pair.

    A row is ``rate * head`` at cell ``first``, ``rate`` strictly between, ``rate * tail`` at cell ``last``; a
    pair inside one cell has the single entry 1.

    Parameters
    ----------
    first, last : ndarray of int64, shape (n,)
        First and last cell that a span touches.
    head, tail : ndarray, shape (n,)
        Fractions of the first cell after the start, and of the last cell before the end.
    rate : ndarray, shape (n,)
        Cell length over span.
    """

    first: NDArray
    last: NDArray
    head: NDArray
    tail: NDArray
    rate: NDArray


@kernel()
def spans_of(spans: Spans, pair: NDArray) -> tuple[Spans, int, int]:  # pragma: no cover - compiled
    """Take the rows of a pixel, with cells counted from the first one that its pairs touch.

    Cells outside the pixel's own pairs change nothing inside, so that a pixel is solved on its own range.

    Parameters
    ----------
    spans : Spans
        T pairs.
    pair : ndarray of int, shape (n,)
        Those of the pixel, at least one.

    Returns
    -------
    spans : Spans
        n pairs.
    cell0, size : int
        The first cell on the old grid, and number of cells.
    """
    n = len(pair)
    first, last = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    head, tail, rate = np.empty(n), np.empty(n), np.empty(n)
    cell0, end = spans.first[pair[0]], spans.last[pair[0]]
    for i in range(n):
        cell0, end = min(cell0, spans.first[pair[i]]), max(end, spans.last[pair[i]])
    for i in range(n):
        j = pair[i]
        first[i], last[i] = spans.first[j] - cell0, spans.last[j] - cell0
        head[i], tail[i], rate[i] = spans.head[j], spans.tail[j], spans.rate[j]
    return Spans(first, last, head, tail, rate), cell0, end - cell0 + 1


@kernel()
def reach_of(spans: Spans, least: int) -> int:  # pragma: no cover - compiled
    """Give the half-bandwidth of A'WA, at least so much: the largest distance of two cells of one pair."""
    width = least
    for j in range(len(spans.first)):
        width = max(width, spans.last[j] - spans.first[j])
    return width
