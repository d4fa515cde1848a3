"""What the arrowhead solver adds to the band algebra, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.algebra import Inverse
    from itslive_core.bands.spans import Spans

__all__ = ["span_variances"]


@kernel()
def span_variances(
    inverse: Inverse,
    cells: NDArray,
    reach: int,
    spans: Spans,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """Give the variance of the mean over every span, a' Z a, in O(M b + n).

    The sum of Z over the square of cells i..i+o is that over i+1..i+o plus a row, so all squares are summed
    once; the two partly covered cells of a pair are corrected by differences of neighbouring squares.

    Parameters
    ----------
    inverse : Inverse
        Z.
    cells : ndarray of int64, shape (M,)
        Row of each cell in it.
    reach : int
        Largest distance of two cells of one pair, b.
    spans : Spans
        Rows a.
    out : ndarray, shape (n,)
        Receives the variances.
    """
    z, width = inverse.entries, inverse.width
    first, last, head, tail, rate = spans
    size = len(cells)
    full = 2 * width + 1
    square = np.zeros((size, reach + 1))
    for i in range(size - 1, -1, -1):
        at = cells[i] * full + width - cells[i]
        own = z[at + cells[i]]
        square[i, 0] = own
        row = 0.0
        for o in range(1, min(reach, size - 1 - i) + 1):
            row += z[at + cells[i + o]]
            square[i, o] = square[i + 1, o - 1] + own + 2.0 * row
    for j in range(len(first)):
        p, q = first[j], last[j]
        if p == q:
            out[j] = square[p, 0]
            continue
        o = q - p
        f, g = 1.0 - head[j], 1.0 - tail[j]
        whole = square[p, o]
        # Row sums over p..q from squares: whole = (without p) + 2 row_p - Z_pp, and the same at q.
        row_p = 0.5 * (whole - square[p + 1, o - 1] + square[p, 0])
        row_q = 0.5 * (whole - square[p, o - 1] + square[q, 0])
        across = z[cells[p] * full + width + cells[q] - cells[p]]
        value = whole - 2.0 * f * row_p - 2.0 * g * row_q
        value += f * f * square[p, 0] + g * g * square[q, 0] + 2.0 * f * g * across
        out[j] = rate[j] * rate[j] * value
