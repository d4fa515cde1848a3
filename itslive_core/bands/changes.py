"""The prior of how a series changes, in band storage, compiled: what changes, and what does not repeat.

x = D_k v are the changes of a series of M cells, differences of order k. Two things are held small: each
change by itself, with the precision ``own_i``; and what it differs from the change a year before, with
``yearly_i``:

    Q = diag(own) + C' diag(yearly) C,      P = D_k' Q D_k,      (C x)_i = x_i - x(one year before i).

What repeats every year is free of the second part. A year is no whole number of cells: the change a year
before is taken between cells by Lagrange's cubic polynomial. In the first year there is nothing to compare
with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import PAD, Band, Inverse
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ChangeRows",
    "add_changes",
    "add_spread",
    "change_rows",
    "changes",
    "fill_changes",
    "own_diagonals",
    "pull_changes",
    "spread_of_changes",
]

_U = np.uint64  # unsigned positions spare a look for negative ones
_NODES = 4
"""Of the cubic polynomial."""


class ChangeRows(NamedTuple):
    """Where the rows of D_k and of C D_k are not 0.

    Parameters
    ----------
    own : ndarray, shape (k + 1,)
        The row of D_k at cells i .. i + k.
    before : ndarray, shape (4,)
        The row of C at changes i - lag .. i - lag + 3, and 1 at change i.
    lag : int
        Distance of the first of them; there are rows of C for changes i >= lag.
    size : int
        Number of changes, M - k.
    """

    own: NDArray
    before: NDArray
    lag: int
    size: int

    @property
    def reach(self) -> int:
        """Half-bandwidth of Q: ``lag`` if any change has one a year before, else 0."""
        return self.lag if self.size > self.lag else 0

    @property
    def order(self) -> int:
        """Order k of the difference."""
        return len(self.own) - 1


def change_rows(interval: float, order: int, cells: int) -> ChangeRows:
    """Make the rows for a series.

    Parameters
    ----------
    interval : float
        h [days].
    order : int
        k, 1 or 2.
    cells : int
        M.
    """
    year = DAYS_PER_YEAR / interval
    whole = int(np.floor(year))
    nodes = np.arange(_NODES) - 1.0
    at = 1.0 - (year - whole)  # between the nodes 0 and 1
    before = np.array(
        [-np.prod([(at - other) / (node - other) for other in nodes if other != node]) for node in nodes]
    )
    own = np.array([-1.0, 1.0]) if order == 1 else np.array([1.0, -2.0, 1.0])
    return ChangeRows(own, before, whole + 2, max(cells - order, 0))


def changes(rows: ChangeRows, v: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Form D_k v and C D_k v, 0 without a year before, both of the shape (..., M - k); v has (..., M)."""
    size = rows.size
    x = sum(c * v[..., i : i + size] for i, c in enumerate(rows.own))
    against = np.zeros_like(x)
    if rows.reach:
        against[..., rows.lag :] = x[..., rows.lag :]
        for i, c in enumerate(rows.before):
            against[..., rows.lag :] += c * x[..., i : size - rows.lag + i]
    return x, against


def pull_changes(
    rows: ChangeRows, own: NDArray[np.float64], yearly: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Form D_k' own and (C D_k)' yearly, the transposes of `changes`: (M - k,) to (M,)."""
    size, again = rows.size, np.zeros_like(yearly)
    if rows.reach:
        again[rows.lag :] = yearly[rows.lag :]
        for i, c in enumerate(rows.before):
            again[i : size - rows.lag + i] += c * yearly[rows.lag :]
    out = np.zeros((2, size + rows.order))
    for i, c in enumerate(rows.own):
        out[0, i : i + size] += c * own
        out[1, i : i + size] += c * again
    return out[0], out[1]


@kernel()
def _row(rows: ChangeRows, at: NDArray, values: NDArray) -> int:  # pragma: no cover - compiled
    """Write a row of C D_k: cells relative to the change it belongs to, and values; give their number."""
    own, before, lag, _ = rows
    k, n = len(own), len(before)
    for i in range(n + k - 1):
        at[i] = i - lag
        values[i] = 0.0
    for i in range(n):
        for j in range(k):
            values[i + j] += before[i] * own[j]
    for j in range(k):
        at[n + k - 1 + j] = j
        values[n + k - 1 + j] = own[j]
    return n + 2 * k - 1


@kernel()
def add_changes(
    matrix: Band, rows: ChangeRows, factor: float, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Add ``factor`` P to a band matrix of M rows, in place.

    Its half-bandwidth is k or more, and lag + k or more where a change has one a year before.

    Parameters
    ----------
    matrix : Band
    rows : ChangeRows
    factor : float
    own, yearly : ndarray, shape (M - k,)
        Precisions; see the module.
    """
    band, stride = matrix.entries, matrix.width + 1 + PAD
    d, lag, size = rows.own, rows.lag, rows.size
    for i in range(size):
        for p in range(len(d)):
            for q in range(p, len(d)):
                band[(i + p) * stride + q - p] += factor * own[i] * d[p] * d[q]
    at, values = np.empty(16, dtype=np.int64), np.empty(16)
    n = _row(rows, at, values)
    where, product, count = np.empty(256, dtype=np.int64), np.empty(256), 0
    for p in range(n):
        for q in range(n):
            if at[q] >= at[p]:
                where[count], product[count] = at[p] * stride + at[q] - at[p], values[p] * values[q]
                count += 1
    for i in range(lag, size):
        weight, row = factor * yearly[i], i * stride
        for e in range(count):
            band[_U(row + where[e])] += weight * product[e]


@kernel()
def fill_changes(
    matrix: Band, rows: ChangeRows, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Write Q to a band matrix of M - k rows and half-bandwidth ``reach`` or more."""
    band, stride = matrix.entries, matrix.width + 1 + PAD
    before, lag, size = rows.before, rows.lag, rows.size
    band[:] = 0.0
    for i in range(size):
        band[i * stride] += own[i]
    for i in range(lag, size):
        weight, first = yearly[i], i - lag
        for p in range(len(before)):
            row = (first + p) * stride
            for q in range(p, len(before)):
                band[row + q - p] += weight * before[p] * before[q]
            band[row + lag - p] += weight * before[p]
        band[i * stride] += weight


@kernel()
def spread_of_changes(
    inverse: Inverse, rows: ChangeRows, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Write the diagonals of D_k Z D_k' and of C D_k Z (C D_k)', 0 without a year before.

    Parameters
    ----------
    inverse : Inverse
        Z, of M rows.
    rows : ChangeRows
    own, yearly : ndarray, shape (M - k,)
        Receive the diagonals.
    """
    z, width = inverse.entries, inverse.width
    full = 2 * width + 1
    d, lag, size = rows.own, rows.lag, rows.size
    for i in range(size):
        total = 0.0
        for p in range(len(d)):
            for q in range(len(d)):
                total += d[p] * d[q] * z[(i + p) * full + width + q - p]
        own[i] = total
        yearly[i] = 0.0
    at, values = np.empty(16, dtype=np.int64), np.empty(16)
    n = _row(rows, at, values)
    where, product, count = np.empty(256, dtype=np.int64), np.empty(256), 0
    for p in range(n):
        for q in range(n):
            if at[q] >= at[p]:
                where[count] = at[p] * full + width + at[q] - at[p]
                product[count] = values[p] * values[q] * (1.0 if p == q else 2.0)
                count += 1
    for i in range(lag, size):
        total, row = 0.0, i * full
        for e in range(count):
            total += product[e] * z[_U(row + where[e])]
        yearly[i] = total


@kernel(error_model="numpy")
def add_spread(
    rows: ChangeRows, columns: NDArray, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Add the squares of D_k R and of C D_k R, summed over the columns of R, shape (M, c)."""
    d, before, lag, size = rows.own, rows.before, rows.lag, rows.size
    count = columns.shape[1]
    x = np.empty((size, count))
    for i in range(size):
        total = 0.0
        for k in range(count):
            value = 0.0
            for p in range(len(d)):
                value += d[p] * columns[i + p, k]
            x[i, k] = value
            total += value * value
        own[i] += total
    for i in range(lag, size):
        total = 0.0
        for k in range(count):
            value = x[i, k]
            for p in range(len(before)):
                value += before[p] * x[i - lag + p, k]
            total += value * value
        yearly[i] += total


@kernel()
def own_diagonals(
    inverse: Inverse, rows: ChangeRows, own: NDArray, yearly: NDArray
) -> None:  # pragma: no cover - compiled
    """Write the diagonals of Z and of C Z C', for Z the inverse of Q; parameters as `spread_of_changes`."""
    z, width = inverse.entries, inverse.width
    full = 2 * width + 1
    before, lag, size = rows.before, rows.lag, rows.size
    for i in range(size):
        own[i] = z[i * full + width]
        yearly[i] = 0.0
    for i in range(lag, size):
        total = z[i * full + width]
        for p in range(len(before)):
            row = (i - lag + p) * full + width
            total += 2.0 * before[p] * z[row + lag - p]
            for q in range(len(before)):
                total += before[p] * before[q] * z[row + q - p]
        yearly[i] = total
