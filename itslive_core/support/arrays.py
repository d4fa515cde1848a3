"""Small things done to arrays in compiled code.

numba's own median, and its assignment of one array to another, compile for seconds in every kernel that uses
them; these are compiled once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["copy_into", "median"]


@kernel()
def copy_into(target: NDArray, source: NDArray) -> None:  # pragma: no cover - compiled
    """Copy the numbers of a flat array to the beginning of another one."""
    for i in range(len(source)):
        target[i] = source[i]


@kernel()
def median(values: NDArray) -> float:  # pragma: no cover - compiled
    """Give the median of some numbers, shape (n,), none of them NaN; NaN if there are none.

    By Hoare's selection, which halves the part that holds the middle again and again.
    """
    n = len(values)
    if n == 0:
        return np.nan
    work = np.empty(n)
    copy_into(work, values)
    middle, low, high = n // 2, 0, n - 1
    while low < high:
        a, b, c = work[low], work[(low + high) // 2], work[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while work[i] < pivot:
                i += 1
            while work[j] > pivot:
                j -= 1
            if i <= j:
                work[i], work[j] = work[j], work[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break
    upper = work[middle]
    if n % 2 == 1:
        return upper
    lower = work[0]
    for i in range(1, middle):
        lower = max(lower, work[i])
    return 0.5 * (lower + upper)
