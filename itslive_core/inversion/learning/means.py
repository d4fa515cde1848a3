"""Means of neighbouring cells, and their variances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.algebra import Inverse

__all__ = ["group_means", "mean_variances", "n_means", "variance_beside"]


def variance_beside(columns: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Give what unknowns beside the series add to variances of means, from H L, shape (M, K)."""
    added: NDArray[np.float64] = (group_means(columns.T, groups) ** 2).sum(axis=0)
    return added


def n_means(groups: NDArray[Any]) -> int:
    """Give the number of means, g; see `Evidence.variances`."""
    return len(groups) if groups.ndim == 2 else int(groups[-1]) + 1


def group_means(values: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Average neighbouring cells, shape (..., M), to means, shape (..., g); see `Evidence.variances`."""
    if groups.ndim == 2:
        weighted: NDArray[np.float64] = values @ groups.T
        return weighted
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    counts = np.diff(begins, append=len(groups))
    means: NDArray[np.float64] = np.add.reduceat(values, begins, axis=-1) / counts
    return means


@kernel(error_model="numpy")
def mean_variances(inverse: Inverse, groups: NDArray, out: NDArray) -> None:  # pragma: no cover - compiled
    """Write the variance of the mean of each group of neighbouring cells; the band of Z holds every group."""
    z, size, width = inverse.entries, inverse.size, inverse.width
    full = 2 * width + 1
    begin = 0
    while begin < size:
        end = begin
        while end < size and groups[end] == groups[begin]:
            end += 1
        total = 0.0
        for i in range(begin, end):
            row = i * full + width - i
            for j in range(begin, end):
                total += z[row + j]
        out[groups[begin]] = total / (end - begin) ** 2
        begin = end
