"""Pairs that were not believed, and agree with each other: a second look.

A fast rise that only two or three short pairs saw is, pair by pair, less likely than as many wild pairs:
most of the time nothing happens. But wild pairs do not agree with each other. Where distrusted pairs of the
same weeks read the same, and trusted pairs say less of these weeks than they do, the changes around them are
let free and the pairs are believed to begin with; the passes that follow keep them, or do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Witnesses", "find_witnesses"]

_DISTRUSTED, _TRUSTED = 0.5, 0.5
"""Weights u below and above which a pair is."""
_AGREE = 3.0
"""Pairs agree if they differ by less than so many standard deviations of their difference,"""
_ALIKE = 0.5
"""... or by less than this share of what they differ from the series, which may change between them."""
_APART = 0.25
"""Pairs look at the same weeks if the time between their middles is at most this share of a year."""


class Witnesses(NamedTuple):
    """Distrusted pairs that agree.

    Parameters
    ----------
    pairs : ndarray of int64
        Two or more.
    start, end : float
        The weeks that they look at [days since 1970-01-01].
    size : float
        By how much they differ from the series [m/yr].
    """

    pairs: NDArray[np.int64]
    start: float
    end: float
    size: float


def find_witnesses(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    residual: NDArray[np.float64],
    variance: NDArray[np.float64],
    u: NDArray[np.float64],
    longest: float,
) -> Iterator[Witnesses]:
    """Find groups of distrusted pairs that agree with each other.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Dates [days since 1970-01-01].
    residual : ndarray, shape (2, n)
        What the series leaves of the readings [m/yr].
    variance : ndarray, shape (n,)
        Of the noise [m^2/yr^2].
    u : ndarray, shape (n,)
        Weights of the pairs.
    longest : float
        Longer pairs are no witnesses of a few weeks [days].
    """
    span, middle = end - start, 0.5 * (start + end)
    candidates = np.flatnonzero((u < _DISTRUSTED) & (span <= longest))
    trusted = np.flatnonzero(u > _TRUSTED)
    candidates = candidates[np.argsort(middle[candidates], kind="stable")]
    trusted = trusted[np.argsort(start[trusted], kind="stable")]
    longest_trusted = float(span[trusted].max(initial=0.0))
    label, leaders = np.full((2, len(candidates)), -1, dtype=np.int64)
    look = _Look(start, end, middle, residual, variance)
    for number in range(_group(look, candidates, trusted, longest_trusted, label, leaders)):
        group = candidates[label == number]
        size = float(np.hypot(*residual[:, leaders[number]]))
        yield Witnesses(group, float(start[group].min()), float(end[group].max()), size)


class _Look(NamedTuple):
    """What is asked of each pair; parameters as those of `find_witnesses`."""

    start: NDArray
    end: NDArray
    middle: NDArray
    residual: NDArray
    variance: NDArray


@kernel(error_model="numpy")
def _group(
    look: _Look,
    candidates: NDArray,
    trusted: NDArray,
    longest: float,
    label: NDArray,
    leaders: NDArray,
) -> int:  # pragma: no cover - compiled
    """Find the groups and give their number.

    Candidates are sorted by their middles, trusted pairs by their start; none of these is longer than
    ``longest``.

    ``label`` receives the number of the group of each candidate, from 0; what belongs to none keeps -1.
    ``leaders`` receives the pair that the others of each group agree with.
    """
    start, end, middle, residual, variance = look
    found, count = 0, len(candidates)
    begins = start[trusted]
    group, size = np.empty(count, dtype=np.int64), 0
    low = 0
    for first in range(count):
        leader = candidates[first]
        while middle[candidates[low]] < middle[leader] - _APART * DAYS_PER_YEAR:
            low += 1
        if label[first] >= 0:
            continue
        reach = np.hypot(residual[0, leader], residual[1, leader])
        size, x, y, length, weight = 0, 0.0, 0.0, 0.0, 0.0
        begin, finish = np.inf, -np.inf
        for at in range(low, count):
            j = candidates[at]
            if middle[j] > middle[leader] + _APART * DAYS_PER_YEAR:
                break
            if label[at] >= 0:
                continue
            apart = np.hypot(residual[0, j] - residual[0, leader], residual[1, j] - residual[1, leader])
            if apart <= _AGREE * np.sqrt(variance[j] + variance[leader]) or apart <= _ALIKE * reach:
                group[size] = at
                size += 1
                x += residual[0, j]
                y += residual[1, j]
                length += np.hypot(residual[0, j], residual[1, j])
                weight += 1.0 / variance[j]
                begin, finish = min(begin, start[j]), max(finish, end[j])
        # They point to one side where their mean is as long as most of them.
        if size < 2 or not np.hypot(x, y) > 0.5 * length:
            continue
        # What trusted pairs would be off if the series moved by as much in these weeks, against what these
        # are.
        against = 0.0
        for i in range(np.searchsorted(begins, begin - longest), np.searchsorted(begins, finish)):
            j = trusted[i]
            share = max(min(end[j], finish) - max(start[j], begin), 0.0) / (end[j] - start[j])
            against += share * share / variance[j]
            if against >= weight:
                break
        if against >= weight:
            continue
        for i in range(size):
            label[group[i]] = found
        leaders[found] = leader
        found += 1
    return found
