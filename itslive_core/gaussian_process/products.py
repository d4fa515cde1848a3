"""Weighted products of neighbouring cells of a series that is loaded on band rows, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["add_products"]


@kernel(error_model="numpy")
def add_products(
    rows: NDArray, loads: NDArray, weights: NDArray, left: int, right: int, wide: int, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Add the quadratic form sum_i w_i x_(i + left) x_(i + right), doubled unless both are the same cell.

    Parameters
    ----------
    rows : ndarray of int64, shape (M, k)
        Rows of s on which each x loads: x_i = sum(loads_i s_rows).
    loads : ndarray, shape (M, k)
    weights : ndarray, shape (m,)
        w, for i = 0 to m - 1.
    left, right : int
        Neither below 0, nor above M - m.
    wide : int
        Length of a row of the upper band that receives the form: half-bandwidth + 1.
    out : ndarray, shape (n * wide,)
        Entry (p, q >= p) of the symmetric matrix of the form is added at p * wide + q - p.
    """
    for i in range(len(weights)):
        a, b = i + left, i + right
        for k in range(rows.shape[1]):
            one = weights[i] * loads[a, k]
            if one == 0.0:
                continue
            p = rows[a, k]
            for m in range(rows.shape[1]):
                q = rows[b, m]
                value = one * loads[b, m]
                if left == right:
                    if q >= p:
                        out[p * wide + q - p] += value
                elif q == p:
                    out[p * wide] += 2.0 * value
                elif q > p:
                    out[p * wide + q - p] += value
                else:
                    out[q * wide + p - q] += value
