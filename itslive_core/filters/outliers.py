"""The span-consistency filter: rejection of long pairs that locked on something that does not move.

Feature tracking over a long span can lock on what stands still: the shadow of a wall, a pattern of crevasses,
the bed seen through the ice. Such pairs read a part of the speed, with tiny formal errors, where short pairs
read all of it. No robust fit survives that: they are many and agree with each other.

The rule. From short to long spans, each pair is held against a monthly series fitted to the shorter pairs
that were accepted, averaged over its own span and with an error that grows where none of them looked. A pair
is rejected if it reads less than four fifths of that along the flow, by more than four standard deviations
and 10 m/yr, unless the mission's pairs that read as much too fast are a quarter as many: noise errs to both
sides, locking only to one. What is left of a span class of a mission goes as a whole if its median is too
slow in the same sense.

What keeps good pairs: a season is carried over from the years in which it was seen, and a month that no
accepted pair ever saw counts as standing still, so a season that short pairs sample unevenly does not count
against long ones; the series may change in proportion to its speed, by as much as the short pairs show, so
surges widen its error; a mission may be offset by a tenth; and what all pairs of a mission have in common, as
a share of their noise, is part of the error. The kernels are in `itslive_core.filters.locking`, the series in
`itslive_core.filters.monthly_series`. That false rejections are to be counted by their mirror image is the
idea of Barber and Candes (2015, doi:10.1214/15-AOS1337).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.locking import filter_block
from itslive_core.filters.monthly_series import monthly_rows
from itslive_core.observations.missions import MISSIONS, mission_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs

__all__ = ["SPAN_CLASSES", "SpanConsistency", "span_class", "span_consistency", "span_consistent"]

SPAN_CLASSES = (0.0, 16.0, 32.0, 64.0, 128.0, 256.0, 400.0, np.inf)
"""Edges of the span classes [days]."""

_WHOLE = 0.9
"""A class of which this share is gone counts as rejected as a whole."""


@dataclass(frozen=True, eq=False)
class SpanConsistency:
    """What the span-consistency filter found at one pixel.

    Parameters
    ----------
    keep : ndarray of bool, shape (n,)
        Pairs to use.
    longest : dict
        For each mission that lost all its span classes from some span on, nine pairs in ten of each: that
        span [days].
    """

    keep: NDArray[np.bool_]
    longest: dict[str, float]


def span_class(span: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the number of the span class of each pair, shape (n,); spans are rounded to whole days.

    Parameters
    ----------
    span : ndarray, shape (n,)
        [days].
    """
    return np.searchsorted(SPAN_CLASSES[1:-1], np.rint(span), side="right").astype(np.int64)


def span_consistent(
    offsets: NDArray[np.int64],
    pair: NDArray[np.int32],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    mission: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Run the span-consistency filter over many pixels.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Pair of each observation.
    start, end : ndarray, shape (T,)
        Dates of the pairs [days since 1970-01-01].
    vx, vy : ndarray of float64, shape (n,)
        Observations [m/yr].
    mission : ndarray of int, shape (T,)
        Position of each pair's mission in `MISSIONS`.

    Returns
    -------
    ndarray of bool, shape (n,)
        Pairs to use; all of a pixel with fewer than 20.
    """
    keep = np.ones(len(pair), dtype=bool)
    rows, first = monthly_rows(start, end, mission)
    filter_block(
        np.asarray(offsets, dtype=np.int64), np.asarray(pair, dtype=np.int32), rows, span_class(end - start),
        len(SPAN_CLASSES) - 1, first, vx, vy, len(MISSIONS), keep,
    )  # fmt: skip
    return keep


def span_consistency(pairs: ImagePairs) -> SpanConsistency:
    """Run the span-consistency filter at one pixel.

    Parameters
    ----------
    pairs : ImagePairs
        n pairs.

    Returns
    -------
    SpanConsistency
    """
    n = len(pairs)
    keep = span_consistent(
        np.array([0, n]), np.arange(n, dtype=np.int32), pairs.start, pairs.end, pairs.vx, pairs.vy,
        mission_numbers(pairs.mission),
    )  # fmt: skip
    return SpanConsistency(keep=keep, longest=longest_spans(pairs, keep))


def longest_spans(pairs: ImagePairs, keep: NDArray[np.bool_]) -> dict[str, float]:
    """Find the span from which on a mission lost all its pairs, or nine in ten of each span class [days].

    Parameters
    ----------
    pairs : ImagePairs
        n pairs.
    keep : ndarray of bool, shape (n,)
        What the filter left.
    """
    classes = span_class(pairs.span)
    longest: dict[str, float] = {}
    for name in MISSIONS:
        own = pairs.mission == name
        for c in reversed(range(len(SPAN_CLASSES) - 1)):
            here = own & (classes == c)
            if here.any():
                if keep[here].mean() > 1.0 - _WHOLE:
                    break
                longest[name] = SPAN_CLASSES[c]
    return longest
