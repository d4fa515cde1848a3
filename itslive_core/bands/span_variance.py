"""Variance of the mean of a series over spans, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.spans import reach_of
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.algebra import Inverse
    from itslive_core.bands.spans import Spans

__all__ = ["span_variances"]


@kernel(error_model="numpy")
def span_variances(
    inverse: Inverse, cells: NDArray[np.int64], spans: Spans, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Form a_j' Z a_j for every row a_j of the span operator, in O(n + M b).

    The sum of Z over the square of cells i..i+o is that over i+1..i+o plus twice a row: all squares are
    summed once. The entries of a row are 1 but at its two ends, whose products with the cells between are
    differences of neighbouring squares.

    Parameters
    ----------
    inverse : Inverse
        Z, as far from its diagonal as any span reaches.
    cells : ndarray of int64, shape (M,)
        Row of Z of each cell, increasing; ``np.arange(M)`` where the unknowns are the cells themselves.
    spans : Spans
        n rows, cells counted as in ``cells``.
    out : ndarray, shape (n,)
        Receives the variances, in the units of Z.
    """
    z, full = inverse.entries, 2 * inverse.width + 1
    first, last, head, tail, rate = spans
    size, reach = len(cells), reach_of(spans, 0)
    square = np.empty((size, reach + 1))  # [i, o]: sum over rows and columns i .. i + o
    for i in range(size - 1, -1, -1):
        at = cells[i] * full + inverse.width - cells[i]
        own, row = z[at + cells[i]], 0.0
        square[i, 0] = own
        for o in range(1, min(reach, size - 1 - i) + 1):
            row += z[at + cells[i + o]]
            square[i, o] = square[i + 1, o - 1] + own + 2.0 * row
    for j in range(len(first)):
        p, q = first[j], last[j]
        zp, zq, o = square[p, 0], square[q, 0], q - p
        if o == 0:
            out[j] = zp
            continue
        f, g = head[j], tail[j]
        inner = square[p + 1, o - 2] if o >= 2 else 0.0
        across = z[cells[p] * full + inverse.width + cells[q] - cells[p]]
        total = f * f * zp + g * g * zq + 2.0 * f * g * across + inner
        total += f * (square[p, o - 1] - inner - zp) + g * (square[p + 1, o - 1] - inner - zq)
        out[j] = max(rate[j] * rate[j] * total, 0.0)
