"""Batches that fit into a device's memory, one at a time, and smaller ones where they do not."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["device_lock", "in_batches", "memory_for", "runs", "to_device", "with_less_memory"]

_SHARE = 0.7
"""Part of the free memory that one batch may take; the estimates of what it takes are rough."""
_CPU_MEMORY = 2**29
"""Memory of a batch on the CPU [bytes], where large batches gain nothing."""

_T = TypeVar("_T")


@lru_cache(maxsize=8)
def device_lock(device: str) -> Lock:  # noqa: ARG001 - one lock is cached for each device
    """Give the lock of a device: threads that read and filter go on while one of them computes on it."""
    return Lock()


def memory_for(device: str) -> int:
    """Give the memory that a batch may take [bytes]."""
    if not device.startswith("cuda"):
        return _CPU_MEMORY
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(_SHARE * (free + unused))


def to_device(array: NDArray, device: str) -> Tensor:
    """Copy a fresh array to a device; to a GPU from pinned memory, so that nobody waits for the copy.

    Parameters
    ----------
    array : ndarray
        Not to be changed afterwards.
    device : str
    """
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def in_batches(
    needs: NDArray[np.int64], memory: int, work: Callable[[int, int, int], None], device: str
) -> None:
    """Work on runs of pixels that fit into memory together, and on half of them where they did not.

    Parameters
    ----------
    needs : ndarray of int, shape (P,)
        Estimate of what each pixel takes in the company of others like it [bytes].
    memory : int
        What a batch may take [bytes].
    work : callable
        Works on pixels i:j, given i, j and how many like them fit at once; done again from its start if the
        device's memory is exhausted.
    device : str
        For the message.

    Raises
    ------
    SettingsError
        If not even one pixel fits.
    """
    import torch

    i = 0
    while i < len(needs):
        j = _end_of_run(needs, i, memory)
        need = int(needs[i:j].max())
        room = max(1, memory // need)
        try:
            work(i, j, room)
            i = j
            continue
        except torch.cuda.OutOfMemoryError:
            pass  # what the failed work held is freed only outside of this clause
        if room == 1:
            raise _too_large(need, device)
        memory = need * max(1, (j - i) // 2)
        _give_back(device)


def runs(needs: NDArray[np.int64], memory: int) -> Iterator[tuple[int, int]]:
    """Cut pixels into runs that fit into memory together, of at least one.

    Parameters
    ----------
    needs, memory
        As for `in_batches`.

    Yields
    ------
    i, j : int
        A run of pixels i:j.
    """
    i = 0
    while i < len(needs):
        j = _end_of_run(needs, i, memory)
        yield i, j
        i = j


def with_less_memory(work: Callable[[int], _T], memory: int, least: int, device: str) -> _T:
    """Work, and once more with half of the memory where the device's was exhausted.

    Parameters
    ----------
    work : callable
        Given the memory that it may take [bytes]; done again from its start.
    memory : int
        To begin with [bytes].
    least : int
        What it needs at least [bytes].
    device : str
        For the message.

    Raises
    ------
    SettingsError
        If what it needs at least is not there.
    """
    import torch

    while True:
        try:
            return work(memory)
        except torch.cuda.OutOfMemoryError:
            pass  # as above
        if memory <= least:
            raise _too_large(least, device)
        memory //= 2
        _give_back(device)


def _end_of_run(needs: NDArray[np.int64], i: int, memory: int) -> int:
    company = np.maximum.accumulate(needs[i:]) * np.arange(1, len(needs) - i + 1)
    return i + max(1, int(np.searchsorted(company, memory, side="right")))


def _too_large(need: int, device: str) -> SettingsError:
    return SettingsError(
        f"one pixel needs about {need / 2**30:.1f} GB, more than is free on device {device!r}:"
        " choose a longer interval, a maximum span, or device 'cpu'"
    )


def _give_back(device: str) -> None:
    """Return memory that torch keeps for later to the device."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
