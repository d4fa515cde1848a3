"""Algebra of symmetric positive definite band matrices, compiled.

A matrix of half-bandwidth b is held as its upper band by rows in one flat array: entry (a, a + o) lies at
``a * stride + o`` with ``stride = b + 1 + PAD``. The padding is zero, which lets the factorisation and the
selected inverse run four rows at a time without edge cases. Indices are unsigned so that the compiler need
not think of Python's negative ones and can use vector registers (measured: 2.4 times faster).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FAST",
    "PAD",
    "Band",
    "Inverse",
    "backward_many",
    "blank_band",
    "blank_inverse",
    "factorise",
    "forward_many",
    "log_determinant",
    "mean_diagonal",
    "selected_inverse",
    "solve",
    "solve_many",
    "solve_upper",
]

PAD = 4
"""Zeros behind each row of a band array."""

FAST = {"reassoc", "contract", "nsz", "arcp"}
"""Sums may be reordered (that is what vector registers need); NaN and infinity keep their meaning."""

_U = np.uint64


class Band(NamedTuple):
    """A symmetric matrix of small half-bandwidth, or its factor U.

    Parameters
    ----------
    entries : ndarray, shape (>= size * (width + 1 + PAD),)
        Upper band by rows: entry (a, a + o) at ``a * (width + 1 + PAD) + o``; zero in the padding.
    size, width : int
        Number of rows and half-bandwidth.
    """

    entries: NDArray
    size: int
    width: int


class Inverse(NamedTuple):
    """The entries of an inverse inside the band of its matrix.

    Parameters
    ----------
    entries : ndarray, shape (>= size * (2 * width + 1),)
        Entry (a, a + o) at ``a * (2 * width + 1) + width + o``, -width <= o <= width.
    size, width : int
        Number of rows and half-bandwidth.
    """

    entries: NDArray
    size: int
    width: int


@kernel()
def blank_band(size: int, width: int) -> Band:  # pragma: no cover - compiled
    """Make room for a band matrix, with two rows more, in which running sums may end."""
    return Band(np.empty((size + 2) * (width + 1 + PAD)), size, width)


@kernel()
def blank_inverse(size: int, width: int) -> Inverse:  # pragma: no cover - compiled
    """Make room for the inverse of a band matrix, inside the band."""
    return Inverse(np.empty((size + 2) * (2 * width + 1)), size, width)


@kernel(fastmath=FAST, error_model="numpy")
def factorise(matrix: Band) -> bool:  # pragma: no cover - compiled
    """Factorise N = U'U in place (Cholesky), four rows at a time.

    Each target row is loaded and stored once per four eliminated rows, and the window of rows at work stays
    in the first cache level.

    Parameters
    ----------
    matrix : Band
        N; becomes U.

    Returns
    -------
    bool
        False if N is not positive definite.
    """
    band, size, width = matrix.entries, matrix.size, matrix.width
    stride = width + 1 + PAD
    for a in range(0, size, 4):
        group = min(4, size - a)
        for r in range(group):
            i = a + r
            at = _U(i * stride)
            if not band[at] > 0.0:
                return False
            pivot = np.sqrt(band[at])
            inverse = 1.0 / pivot
            for o in range(_U(width + 1)):
                band[at + o] *= inverse
            band[at] = pivot
            for t in range(i + 1, min(a + group, i + width + 1)):
                source = at + _U(t - i)
                target = _U(t * stride)
                c = band[source]
                for o in range(_U(width + 1 - (t - i))):
                    band[target + o] -= c * band[source + o]
        if group < 4:
            break
        for t in range(a + 4, min(size, a + 4 + width)):
            k = t - a
            s0 = _U(a * stride + k)
            s1 = _U((a + 1) * stride + k - 1)
            s2 = _U((a + 2) * stride + k - 2)
            s3 = _U((a + 3) * stride + k - 3)
            c0, c1, c2, c3 = band[s0], band[s1], band[s2], band[s3]
            target = _U(t * stride)
            for o in range(_U(width + 4 - k)):
                band[target + o] -= (
                    c0 * band[s0 + o] + c1 * band[s1 + o] + c2 * band[s2 + o] + c3 * band[s3 + o]
                )
    return True


@kernel(fastmath=FAST, error_model="numpy")
def solve(factor: Band, rhs: NDArray) -> None:  # pragma: no cover - compiled
    """Solve U'U x = rhs in place.

    Parameters
    ----------
    factor : Band
        U from `factorise`.
    rhs : ndarray, shape (c, >= size)
        Right-hand sides, each contiguous; become the solutions.
    """
    pairs = rhs.shape[0] // 2
    for c in range(pairs):
        _solve_two(factor, rhs[2 * c], rhs[2 * c + 1])
    if rhs.shape[0] > 2 * pairs:
        _solve_one(factor, rhs[2 * pairs])


@kernel(fastmath=FAST, error_model="numpy")
def _solve_one(factor: Band, x: NDArray) -> None:  # pragma: no cover - compiled
    band, size, width = factor.entries, factor.size, factor.width
    stride = width + 1 + PAD
    for i in range(size):
        n = _U(min(width, size - 1 - i))
        row = _U(i * stride)
        value = x[i] / band[row]
        x[i] = value
        after = _U(i + 1)
        row += _U(1)
        for o in range(n):
            x[after + o] -= value * band[row + o]
    solve_upper(factor, x)


@kernel(fastmath=FAST, error_model="numpy")
def solve_upper(factor: Band, x: NDArray) -> None:  # pragma: no cover - compiled
    """Solve U x = b in place for one right-hand side, shape (>= size,)."""
    band, size, width = factor.entries, factor.size, factor.width
    stride = width + 1 + PAD
    for i in range(size - 1, -1, -1):
        n = _U(min(width, size - 1 - i))
        row = _U(i * stride)
        pivot = band[row]
        after = _U(i + 1)
        row += _U(1)
        total = 0.0
        for o in range(n):
            total += band[row + o] * x[after + o]
        x[i] = (x[i] - total) / pivot


@kernel(fastmath=FAST, error_model="numpy")
def _solve_two(factor: Band, x: NDArray, y: NDArray) -> None:  # pragma: no cover - compiled
    """Solve for two right-hand sides; each row is read once for both (measured: 1.4 to 2.7 times faster)."""
    band, size, width = factor.entries, factor.size, factor.width
    stride = width + 1 + PAD
    for i in range(size):
        n = _U(min(width, size - 1 - i))
        row = _U(i * stride)
        pivot = band[row]
        u, v = x[i] / pivot, y[i] / pivot
        x[i], y[i] = u, v
        after = _U(i + 1)
        row += _U(1)
        for o in range(n):
            b = band[row + o]
            x[after + o] -= u * b
            y[after + o] -= v * b
    for i in range(size - 1, -1, -1):
        n = _U(min(width, size - 1 - i))
        row = _U(i * stride)
        pivot = band[row]
        after = _U(i + 1)
        row += _U(1)
        u, v = 0.0, 0.0
        for o in range(n):
            b = band[row + o]
            u += b * x[after + o]
            v += b * y[after + o]
        x[i], y[i] = (x[i] - u) / pivot, (y[i] - v) / pivot


@kernel(fastmath=FAST, error_model="numpy")
def solve_many(factor: Band, rhs: NDArray) -> None:  # pragma: no cover - compiled
    """Solve U'U X = B in place for many right-hand sides side by side.

    Parameters
    ----------
    factor : Band
        U from `factorise`.
    rhs : ndarray, shape (size, c)
        B, row by row; becomes X. Side by side as products with it are formed.
    """
    forward_many(factor, rhs)
    backward_many(factor, rhs)


@kernel(fastmath=FAST, error_model="numpy")
def forward_many(factor: Band, rhs: NDArray) -> None:  # pragma: no cover - compiled
    """Solve U'X = B in place, the first half of `solve_many`.

    Four rows are finished at a time, and then taken from each row below that they touch, which is loaded and
    stored once for them.
    """
    band, size, width = factor.entries, factor.size, factor.width
    stride, count = width + 1 + PAD, _U(rhs.shape[1])
    flat = rhs.reshape(-1)
    for a in range(0, size, 4):
        group = min(4, size - a)
        for r in range(group):
            row, own = _U((a + r) * stride), _U(a + r) * count
            reciprocal = 1.0 / band[row]
            for c in range(count):
                flat[own + c] *= reciprocal
            for q in range(1, min(group - r, width + 1)):
                b, other = band[row + _U(q)], own + _U(q) * count
                for c in range(count):
                    flat[other + c] -= b * flat[own + c]
        if group < 4:
            break
        r0 = _U(a) * count
        r1, r2, r3 = r0 + count, r0 + count + count, r0 + count + count + count
        for i in range(a + 4, min(size, a + 4 + width)):
            at = _U(a * stride + i - a)  # behind the band lies the padding, which is zero
            b0, b1 = band[at], band[at + _U(stride - 1)]
            b2, b3 = band[at + _U(2 * (stride - 1))], band[at + _U(3 * (stride - 1))]
            own = _U(i) * count
            for c in range(count):
                flat[own + c] -= b0 * flat[r0 + c] + b1 * flat[r1 + c] + b2 * flat[r2 + c] + b3 * flat[r3 + c]


@kernel(fastmath=FAST, error_model="numpy")
def backward_many(factor: Band, rhs: NDArray) -> None:  # pragma: no cover - compiled
    """Solve U X = B in place, the second half of `solve_many`."""
    band, size, width = factor.entries, factor.size, factor.width
    stride, count = width + 1 + PAD, _U(rhs.shape[1])
    flat = rhs.reshape(-1)
    for i in range(size - 1, -1, -1):
        row, own, near = _U(i * stride), _U(i) * count, min(width, size - 1 - i)
        for o in range(1, near - 2, 4):
            at = row + _U(o)
            b0, b1, b2, b3 = band[at], band[at + _U(1)], band[at + _U(2)], band[at + _U(3)]
            r0 = _U(i + o) * count
            r1, r2, r3 = r0 + count, r0 + count + count, r0 + count + count + count
            for c in range(count):
                flat[own + c] -= b0 * flat[r0 + c] + b1 * flat[r1 + c] + b2 * flat[r2 + c] + b3 * flat[r3 + c]
        for o in range(1 + near // 4 * 4, near + 1):
            b, other = band[row + _U(o)], _U(i + o) * count
            for c in range(count):
                flat[own + c] -= b * flat[other + c]
        reciprocal = 1.0 / band[row]
        for c in range(count):
            flat[own + c] *= reciprocal


@kernel(error_model="numpy")
def mean_diagonal(matrix: Band) -> float:  # pragma: no cover - compiled
    """Give the mean of the diagonal of a matrix."""
    total = 0.0
    for i in range(matrix.size):
        total += matrix.entries[i * (matrix.width + 1 + PAD)] / matrix.size
    return total


@kernel()
def log_determinant(factor: Band) -> float:  # pragma: no cover - compiled
    """Give log |U'U| from the pivots of `factorise`."""
    band, size, width = factor.entries, factor.size, factor.width
    stride = width + 1 + PAD
    total = 0.0
    for i in range(size):
        total += np.log(band[i * stride])
    return 2.0 * total


@kernel(fastmath=FAST, error_model="numpy")
def selected_inverse(factor: Band, inverse: Inverse) -> None:  # pragma: no cover - compiled
    """Compute the entries of Z = (U'U)^-1 inside the band (Takahashi's recursion), four rows at a time.

    With l = U[a, 1:] / U[a, 0]:  Z[a, .] = -Z_window l  and  Z[a, a] = 1 / U[a, 0]^2 - l . Z[a, .], from the
    last row to the first (Takahashi, Fagan and Chin, 1973; Erisman and Tinney, 1975,
    doi:10.1145/360680.360704). Both triangles of the band are kept, so that a window is read in rows, and
    four rows of it serve four vectors l per pass.

    Parameters
    ----------
    factor : Band
        U from `factorise`.
    inverse : Inverse
        Of the same size and width; receives Z.
    """
    band, size, width, z = factor.entries, factor.size, factor.width, inverse.entries
    stride = width + 1 + PAD
    full = 2 * width + 1
    padded = width + 4
    coef = np.zeros((4, padded))
    out = np.zeros((4, padded))
    for a in range(size - 1, -1, -4):
        group = min(4, a + 1)
        n = min(width, size - 1 - a)
        coef[:] = 0.0
        out[:] = 0.0
        for r in range(group):
            at = _U((a - r) * stride)
            reciprocal = 1.0 / band[at]
            for o in range(_U(n)):
                coef[r, o] = band[at + _U(1 + r) + o] * reciprocal
        first = (a + 1) * full + width
        for m in range(0, n, 4):
            c00, c01, c02, c03 = coef[0, m], coef[0, m + 1], coef[0, m + 2], coef[0, m + 3]
            c10, c11, c12, c13 = coef[1, m], coef[1, m + 1], coef[1, m + 2], coef[1, m + 3]
            c20, c21, c22, c23 = coef[2, m], coef[2, m + 1], coef[2, m + 2], coef[2, m + 3]
            c30, c31, c32, c33 = coef[3, m], coef[3, m + 1], coef[3, m + 2], coef[3, m + 3]
            # Rows past the window have zero coefficients; the last one is read there, not memory beyond.
            w0 = _U(first + m * full - m)
            w1 = _U(first + min(m + 1, n - 1) * full - min(m + 1, n - 1))
            w2 = _U(first + min(m + 2, n - 1) * full - min(m + 2, n - 1))
            w3 = _U(first + min(m + 3, n - 1) * full - min(m + 3, n - 1))
            for o in range(_U(n)):
                z0, z1, z2, z3 = z[w0 + o], z[w1 + o], z[w2 + o], z[w3 + o]
                out[0, o] += c00 * z0 + c01 * z1 + c02 * z2 + c03 * z3
                out[1, o] += c10 * z0 + c11 * z1 + c12 * z2 + c13 * z3
                out[2, o] += c20 * z0 + c21 * z1 + c22 * z2 + c23 * z3
                out[3, o] += c30 * z0 + c31 * z1 + c32 * z2 + c33 * z3
        for r in range(group):
            i = a - r
            reciprocal = 1.0 / band[_U(i * stride)]
            far = min(n, width - r)
            near = min(r, width)
            centre = _U(i * full + width)
            total = 0.0
            for q in range(r - near, r):  # rows of this group that are done: a - q
                c = band[_U(i * stride + r - q)] * reciprocal
                source = _U((a - q) * full + width + q + 1)
                for o in range(_U(far)):
                    out[r, o] += c * z[source + o]
            for q in range(r - near, r):
                value = 0.0
                source = _U((a - q) * full + width + q + 1)
                for o in range(_U(far)):
                    value += coef[r, o] * z[source + o]
                for p in range(r - near, r):
                    value += band[_U(i * stride + r - p)] * reciprocal * z[_U((a - q) * full + width + q - p)]
                z[centre + _U(r - q)] = -value
                z[_U((a - q) * full + width - (r - q))] = -value
                total += band[_U(i * stride + r - q)] * reciprocal * value
            for o in range(far):
                value = out[r, o]
                z[centre + _U(r + 1 + o)] = -value
                z[_U((a + 1 + o) * full + width - (r + 1 + o))] = -value
                total += coef[r, o] * value
            z[centre] = reciprocal * reciprocal + total
