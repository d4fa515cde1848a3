"""CPU seconds of contestants that take turns, and how they grow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Costs", "cpu_seconds", "exponent", "grow", "take_turns"]

Costs = dict[str, dict[int, list[float]]]
"""CPU seconds of every round, by contestant and size."""

_LONG = 10.0
"""A run that takes longer is made once [CPU s]."""


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of all threads of this process for a piece of work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def take_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let contestants run in turn, round after round.

    Parameters
    ----------
    contestants : mapping of callable
        Each runs once and tells its own CPU seconds.
    rounds : int
        A contestant that takes more than ten seconds runs once.

    Returns
    -------
    dict of list of float
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            if not found[name] or found[name][0] <= _LONG:
                found[name].append(run())
    return found


def grow(
    contestants: Mapping[str, Callable[[int], Callable[[], float]]],
    sizes: Iterable[int],
    rounds: int,
    patience: float,
) -> Costs:
    """Let contestants take turns at one size after another.

    Parameters
    ----------
    contestants : mapping of callable
        Given a size, each returns what runs once and tells its CPU seconds.
    sizes : iterable of int
        Ascending.
    rounds : int
        At each size.
    patience : float
        A contestant whose run took t seconds is not tried at k times the size if k t is more than this [s].
    """
    costs: Costs = {name: {} for name in contestants}
    for size in sizes:
        able = {
            name: make(size)
            for name, make in contestants.items()
            if all(size / smaller * np.median(took) <= patience for smaller, took in costs[name].items())
        }
        for name, took in take_turns(able, rounds).items():
            costs[name][size] = took
            print(f"{size:9,d}  {name}: {1e3 * np.median(took):,.1f} ms", flush=True)
    return costs


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Fit seconds ~ size^p by least squares of logarithms; p, or NaN of fewer than two sizes."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
