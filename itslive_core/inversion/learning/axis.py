"""The equations of one axis of a pixel, compiled; formulas in `itslive_core.inversion.learning.evidence`.

One call does what would be a dozen on small arrays: threads that estimate side by side then wait less for
Python's global lock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.algebra import (
    PAD,
    Band,
    backward_many,
    blank_band,
    blank_inverse,
    factorise,
    forward_many,
    log_determinant,
    selected_inverse,
    solve_upper,
)
from itslive_core.bands.changes import ChangeRows, add_changes
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["close_border", "fill_matrix", "solve_axis"]


@kernel()
def fill_matrix(
    work: Band, normal: Band, rows: ChangeRows, factor: float, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Write N = A'WA + ``factor`` P; parameters as `itslive_core.bands.changes.add_changes`."""
    work.entries[:] = normal.entries
    add_changes(work, rows, factor, own, yearly)


@kernel(error_model="numpy")
def close_border(
    square: NDArray, rest: NDArray, variance: NDArray, border: NDArray, covariance: NDArray
) -> float:  # pragma: no cover - compiled
    """Find K unknowns beside a series from what is left when the series is eliminated.

    Parameters
    ----------
    square : ndarray, shape (K, K)
        S without the prior; the upper triangle counts.
    rest : ndarray, shape (K,)
        t.
    variance : ndarray, shape (K,)
        T, of the prior.
    border, covariance : ndarray, shape (K,) and (K, K)
        Receive S^-1 t and S^-1; NaN where S is not positive definite.

    Returns
    -------
    float
        log |S| + log |T| - t'S^-1 t; infinite where S is not positive definite.
    """
    count = len(variance)
    if count == 0:
        return 0.0
    # A full matrix is one whose band is as wide as it is.
    schur, width, value = blank_band(count, count - 1), count - 1, 0.0
    schur.entries[:] = 0.0
    for a in range(count):
        at = a * (width + 1 + PAD)
        value += np.log(variance[a])
        for b in range(a, count):
            schur.entries[at + b - a] = square[a, b]
        schur.entries[at] += 1.0 / variance[a]
    if not factorise(schur):
        border[:], covariance[:] = np.nan, np.nan
        return math.inf
    value += log_determinant(schur)
    inverse = blank_inverse(count, width)
    selected_inverse(schur, inverse)
    for a in range(count):
        at = a * (2 * width + 1) + width - a
        total = 0.0
        for b in range(count):
            covariance[a, b] = inverse.entries[at + b]
            total += inverse.entries[at + b] * rest[b]
        border[a] = total
        value -= total * rest[a]
    return value


# Without the liberties of FAST: loops over several arrays are compiled twice, for arrays that may overlap
# and for others, and which one runs hangs on where memory is found. With fused multiplications in one of
# them, the last bit of a result would change from call to call.
@kernel(error_model="numpy")
def solve_axis(
    factor: Band,
    right: NDArray,
    square: NDArray,
    product: NDArray,
    variance: NDArray,
    keep: bool,
    series: NDArray,
    border: NDArray,
    covariance: NDArray,
) -> float:  # pragma: no cover - compiled
    """Solve for the series along an axis and what stands beside it.

    Parameters
    ----------
    factor : Band
        U, N = U'U.
    right : ndarray, shape (M, 1 + K)
        g and A'WB side by side; becomes N^-1 of them if they are to be kept, else is lost.
    square, product : ndarray, shape (K, K) and (K,)
        B'WB and B'Wd.
    variance : ndarray, shape (K,)
        T, of the prior.
    keep : bool
    series, border, covariance : ndarray, shape (M,), (K,) and (K, K)
        Receive the posterior mean, that of b, and its covariance.

    Returns
    -------
    float
        What -2 log p has of this axis, without d'Wd and the prior of the changes.
    """
    size, wide = right.shape
    forward_many(factor, right)
    # U'U = N, and U'R = (g, A'WB): products of R are those with N^-1.
    inner = np.zeros((wide, wide))
    for i in range(size):
        for a in range(wide):
            value = right[i, a]
            for b in range(a, wide):
                inner[a, b] += value * right[i, b]
    left = square.copy()
    rest = np.empty(wide - 1)
    for a in range(wide - 1):
        rest[a] = product[a] - inner[0, 1 + a]
        for b in range(a, wide - 1):
            left[a, b] -= inner[1 + a, 1 + b]
    value = log_determinant(factor) - inner[0, 0] + close_border(left, rest, variance, border, covariance)
    if keep:
        backward_many(factor, right)
    for i in range(size):
        even, odd = right[i, 0], 0.0
        for a in range(0, wide - 2, 2):
            even -= right[i, 1 + a] * border[a]
            odd -= right[i, 2 + a] * border[a + 1]
        if wide % 2 == 0:
            even -= right[i, wide - 1] * border[wide - 2]
        series[i] = even + odd
    if not keep:
        solve_upper(factor, series)
    return value
