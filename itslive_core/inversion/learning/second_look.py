"""Pairs that were not believed, and agree with each other: a second look.

A fast rise that only two or three short pairs saw is, pair by pair, less likely than as many wild pairs:
most of the time nothing happens. But wild pairs do not agree with each other. Where distrusted pairs of the
same weeks read the same, and trusted pairs say less of these weeks than they do, the changes around them are
let free and the pairs are believed to begin with; the passes that follow keep them, or do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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
    free = np.ones(len(candidates), dtype=bool)
    for first, leader in enumerate(candidates):
        if not free[first]:
            continue
        near = (np.abs(middle[candidates] - middle[leader]) <= _APART * DAYS_PER_YEAR) & free
        group = candidates[near]
        apart = np.hypot(*(residual[:, group] - residual[:, [leader]]))
        size = float(np.hypot(*residual[:, leader]))
        agree = (apart <= _AGREE * np.sqrt(variance[group] + variance[leader])) | (apart <= _ALIKE * size)
        group = group[agree]
        if len(group) < 2 or not _same_way(residual[:, group]):
            continue
        low, high = float(start[group].min()), float(end[group].max())
        inside = np.minimum(end[trusted], high) - np.maximum(start[trusted], low)
        share = np.maximum(inside, 0.0) / span[trusted]
        # What trusted pairs would be off if the series moved by as much in these weeks, against what these
        # are.
        if (share**2 / variance[trusted]).sum() >= (1.0 / variance[group]).sum():
            continue
        free[np.isin(candidates, group)] = False
        yield Witnesses(group, low, high, size)


def _same_way(residual: NDArray[np.float64]) -> bool:
    """Tell whether vectors point to one side: their mean is as long as most of them."""
    length = np.hypot(*residual)
    return bool(np.hypot(*residual.mean(axis=1)) > 0.5 * length.mean())
