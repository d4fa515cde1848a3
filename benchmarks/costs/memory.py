"""Work in a process of its own, and the most memory that it took."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Taken", "in_a_process"]

_STATUS = Path("/proc/self/status")

Taken = dict[str, Any]
"""What work took: ``cpu`` and ``wall`` [s], ``peak`` and ``before`` [MB], ``told``."""


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Taken:
    """Call a function of a module in a fresh process.

    Parameters
    ----------
    work : callable
        Prepares itself, and returns what is to be measured: a callable whose result is told.
    *arguments
        Of `work`.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, work, arguments).result()


def _measure(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Taken:
    run = work(*arguments)
    before = _peak()
    cpu, wall = time.process_time(), time.perf_counter()
    told = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "before": before, "peak": _peak(), "told": told}


def _peak() -> float:
    """Return the most memory that this process has held [MB].

    The kernel's count for the process, where it keeps one: what `resource` tells a child on Linux begins with
    the memory of its parent.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
