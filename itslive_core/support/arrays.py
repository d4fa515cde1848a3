"""Small things done to arrays in compiled code.

numba's own median and sorting, and its assignment of one array to another, compile for seconds in every
kernel that uses them; these are compiled once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["copy_into", "median", "sort_with"]


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


@kernel()
def sort_with(keys: NDArray, items: NDArray[np.int64]) -> None:  # pragma: no cover - compiled
    """Sort numbers in place, shape (n,), and what belongs to each of them with it; by a heap."""
    n = len(keys)
    for turn in range(n // 2 + n - 1):
        # The first half of the turns builds the heap; each other one puts the largest of the rest behind it.
        top, end = n // 2 - 1 - turn, n
        if top < 0:
            end = n - 1 - (turn - n // 2)
            keys[0], keys[end] = keys[end], keys[0]
            items[0], items[end] = items[end], items[0]
            top = 0
        while True:
            child = 2 * top + 1
            if child >= end:
                break
            if child + 1 < end and keys[child + 1] > keys[child]:
                child += 1
            if keys[child] <= keys[top]:
                break
            keys[top], keys[child] = keys[child], keys[top]
            items[top], items[child] = items[child], items[top]
            top = child
