"""The smoothing penalty alpha D_k' diag(shape) D_k in band storage, compiled.

``shape`` holds one factor for each difference: all 1 where the smoothing is the same at all times, and more
or less than 1 where the series may change less or more than usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from itslive_core.bands.algebra import PAD, Band, Inverse
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Penalty",
    "add_penalty",
    "penalty_gradient",
    "penalty_trace",
]


class Penalty(NamedTuple):
    """The penalty alpha D_k' diag(shape) D_k.

    Parameters
    ----------
    order : int
        k, 1 or 2.
    alpha : float
        (lambda / h^k)^2.
    shape : ndarray, shape (>= M - k,)
        Factor of each difference.
    """

    order: int
    alpha: float
    shape: NDArray


@kernel()
def add_penalty(matrix: Band, penalty: Penalty) -> None:  # pragma: no cover - compiled
    """Add a penalty to a band matrix, in place; its half-bandwidth is k or more."""
    band, size, width = matrix.entries, matrix.size, matrix.width
    order, alpha, shape = penalty
    stride = width + 1 + PAD
    for r in range(size - order):
        at = r * stride
        a = alpha * shape[r]
        if order == 1:
            band[at] += a
            band[at + 1] -= a
            band[at + stride] += a
        else:
            band[at] += a
            band[at + 1] -= 2.0 * a
            band[at + 2] += a
            band[at + stride] += 4.0 * a
            band[at + stride + 1] -= 2.0 * a
            band[at + 2 * stride] += a


@kernel()
def penalty_gradient(v: NDArray, penalty: Penalty, out: NDArray) -> None:  # pragma: no cover - compiled
    """Subtract alpha D_k' diag(shape) D_k v from out, shape (M,), by differences of differences."""
    order, alpha, shape = penalty
    for r in range(len(v) - order):
        if order == 1:
            d = alpha * shape[r] * (v[r + 1] - v[r])
            out[r] += d
            out[r + 1] -= d
        else:
            d = alpha * shape[r] * ((v[r + 2] - v[r + 1]) - (v[r + 1] - v[r]))
            out[r] -= d
            out[r + 1] += 2.0 * d
            out[r + 2] -= d


@kernel()
def penalty_trace(inverse: Inverse, order: int, shape: NDArray) -> float:  # pragma: no cover - compiled
    """Give trace(D_k' diag(shape) D_k Z) from the selected inverse Z."""
    z, size, width = inverse
    full = 2 * width + 1
    total = 0.0
    for r in range(size - order):
        a = r * full + width
        b = a + full
        if order == 1:
            total += shape[r] * (z[a] - 2.0 * z[a + 1] + z[b])
        else:
            d = z[a] + 4.0 * z[b] + z[b + full] - 4.0 * z[a + 1] + 2.0 * z[a + 2] - 4.0 * z[b + 1]
            total += shape[r] * d
    return total
