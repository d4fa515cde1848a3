"""Normal equations of the span operator in band storage, and what goes with them, compiled.

Cells of `Spans` are counted from the pixel's own first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import FAST, PAD, Band
from itslive_core.support.arrays import sort_with
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["assemble", "cover", "predict", "project"]

_U = np.uint64


@kernel(fastmath=FAST, error_model="numpy")
def project(
    spans: Spans, weights: NDArray, vx: NDArray, vy: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Form A'W vx and A'W vy, cell by cell: running sums of signed numbers would leave noise in gaps.

    Parameters
    ----------
    spans : Spans
        n pairs.
    weights, vx, vy : ndarray, shape (n,)
        Weight and values of each pair.
    out : ndarray, shape (2, M)
        Receives both products.
    """
    first, last, head, tail, rate = spans
    out[:] = 0.0
    gx, gy = out[0], out[1]
    for j in range(len(first)):
        w = weights[j]
        if w == 0.0:
            continue
        p, q = first[j], last[j]
        if p == q:
            gx[p] += w * vx[j]
            gy[p] += w * vy[j]
            continue
        f, g = head[j], tail[j]
        ax, ay = w * rate[j] * vx[j], w * rate[j] * vy[j]
        gx[p] += f * ax
        gy[p] += f * ay
        start = _U(p + 1)
        for o in range(_U(q - p - 1)):
            gx[start + o] += ax
            gy[start + o] += ay
        gx[q] += g * ax
        gy[q] += g * ay


@kernel(fastmath=FAST, error_model="numpy")
def assemble(
    spans: Spans, weights: NDArray, vx: NDArray, vy: NDArray, normal: Band, rhs: NDArray
) -> None:  # pragma: no cover - compiled
    """Form A'WA in band storage and A'Wd for both components, in O(n + M b).

    The outer product of a row with itself is, up to its two ends, constant on a triangle of the band. Four
    non-negative numbers per pair mark the corners of nested triangles; one running sum along the rows and
    one along the columns spreads them. All terms are positive and no sum is longer than the band, so nothing
    cancels and no rounding is carried along the series.

    Parameters
    ----------
    spans : Spans
        n pairs.
    weights, vx, vy : ndarray, shape (n,)
        Weight and data of each pair.
    normal : Band
        M cells, half-bandwidth b; receives A'WA.
    rhs : ndarray, shape (2, >= M)
        Receives A'W vx and A'W vy.
    """
    first, last, head, tail, rate = spans
    band, size, width = normal.entries, normal.size, normal.width
    stride = width + 1 + PAD
    band[: size * stride] = 0.0
    project(spans, weights, vx, vy, rhs)
    diagonal = np.zeros(size)
    for j in range(len(first)):
        w = weights[j]
        if w == 0.0:
            continue
        p, q = first[j], last[j]
        if p == q:
            diagonal[p] += w
            continue
        f, g, s = head[j], tail[j], rate[j]
        c = w * s * s
        at = p * stride + q - p
        band[at] += c * f * g
        band[at - 1] += c * f * (1.0 - g)
        at = (p + 1) * stride + q - p - 1
        band[at] += c * (1.0 - f) * g
        if q - p >= 2:
            band[at - 1] += c * (1.0 - f) * (1.0 - g)
        diagonal[p] += c * f * (f - 1.0)
        diagonal[q] += c * g * (g - 1.0)
    for i in range(size):
        row = _U(i * stride)
        total = 0.0
        for o in range(width, -1, -1):
            total += band[row + _U(o)]
            band[row + _U(o)] = total
        # What lies left of the diagonal is the mirror image: only columns j >= i are summed downwards.
        if i > 0:
            above = _U((i - 1) * stride + 1)
            for o in range(_U(width)):
                band[row + o] += band[above + o]
    # The running sum needs the uncorrected diagonal until its end.
    for i in range(size):
        band[i * stride] += diagonal[i]


@kernel()
def predict(spans: Spans, v: NDArray, out: NDArray) -> None:  # pragma: no cover - compiled
    """Average a series over every span, A v, in O(n + M).

    Parameters
    ----------
    spans : Spans
        n pairs.
    v : ndarray, shape (M,)
        The series.
    out : ndarray, shape (n,)
        Receives A v.
    """
    first, last, head, tail, rate = spans
    total = np.empty(len(v) + 1)
    total[0] = 0.0
    for i in range(len(v)):
        total[i + 1] = total[i] + v[i]
    for j in range(len(first)):
        p, q = first[j], last[j]
        if p == q:
            out[j] = v[p]
        else:
            out[j] = rate[j] * (head[j] * v[p] + (total[q] - total[p + 1]) + tail[j] * v[q])


@kernel()
def cover(spans: Spans, count: NDArray, covered: NDArray) -> None:  # pragma: no cover - compiled
    """Count the pairs that overlap each cell, and give the fraction of it inside the union of their spans.

    Parameters
    ----------
    spans : Spans
        n pairs.
    count : ndarray of int32, shape (M,)
        Receives the number of pairs.
    covered : ndarray of float64, shape (M,)
        Receives the fraction.
    """
    first, last, head, tail, _ = spans
    size = len(count)
    change = np.zeros(size + 1, dtype=np.int32)
    whole = np.zeros(size + 1, dtype=np.int32)
    from_left = np.zeros(size)
    from_right = np.zeros(size)
    inside = 0
    for j in range(len(first)):
        p, q = first[j], last[j]
        change[p] += 1
        change[q + 1] -= 1
        if p == q:
            inside += 1
        else:
            whole[p + 1] += 1
            whole[q] -= 1
            from_right[p] = max(from_right[p], head[j])
            from_left[q] = max(from_left[q], tail[j])
    n = 0
    full = 0
    for i in range(size):
        n += change[i]
        full += whole[i]
        count[i] = n
        if full > 0:
            from_left[i] = 1.0
        covered[i] = min(1.0, from_left[i])  # still without the part from the right
    if inside > 0:
        begins = np.empty(inside)
        which = np.empty(inside, dtype=np.int64)
        k = 0
        for j in range(len(first)):
            if first[j] == last[j]:
                begins[k] = first[j] + (1.0 - head[j])
                which[k] = j
                k += 1
        sort_with(begins, which)
        for k in range(inside):
            j = which[k]
            p = first[j]
            begin = max(1.0 - head[j], from_left[p])
            end = min(tail[j], 1.0 - from_right[p])
            if end > begin:
                covered[p] += end - begin
                from_left[p] = end
    for i in range(size):
        covered[i] = min(1.0, covered[i] + max(0.0, 1.0 - max(1.0 - from_right[i], from_left[i])))
