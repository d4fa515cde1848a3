"""The span-consistency filter: rejection of long pairs that locked on something that does not move.

Feature tracking over a long span can lock on what stands still: the shadow of a wall, a pattern of crevasses,
the bed seen through the ice. Such pairs read a part of the speed, with tiny formal errors, where short pairs
read all of it. No robust fit survives that: they are many and agree with each other.

The rule. From short to long spans, each pair is held against a monthly series fitted to the shorter pairs
that were accepted, averaged over its own span and with an error that grows where none of them looked. What it
reads has a probability if it measured the ice, around the series, and another if it locked, between a tenth
backwards and four fifths of the speed. With the share of pairs that lock this gives the probability that it
did. The share grows with the displacement over the span, from next to nothing over some tens of metres to
four in five over kilometres, and is learnt for the pixel and the mission from the pairs that can be judged,
from one span class to the next: so they speak for pairs which no shorter one looks at. Pairs above 60 % are
rejected if they lack 10 m/yr, what images can be out of place for long. What is left of a span class of a
mission goes as a whole if its median lacks a fifth of the speed, four standard deviations and 10 m/yr.

Months that no accepted pair ever saw, in any year, may stand still, so a season that short pairs sample
unevenly does not count against long ones: what rests on such months is little evidence for the share. It is
kept where locking is unlikely, below 25 %, as on slow ice. On fast ice nothing speaks for a slow pair across
dark winters, and with its tiny formal error it would rule them.

What keeps good pairs else: a season is carried over from the years in which it was seen; the series may
change in proportion to its speed, by as much as the pairs so far show, so surges widen its error; a mission
may be offset by a tenth; what all pairs of a mission have in common, as a share of their noise, is part of
the error; and pairs that read too fast tell how many read too slow without having locked.

The reference is founded by the shortest pairs, up to 32 days: by as few as three if they agree and went 15 m,
else by twenty with longer ones among them, so that in thin records it is not made of what locked.

It is worked out in `itslive_core.filters.locking`, the probabilities in `itslive_core.filters.two_classes`,
the series in `itslive_core.filters.monthly_series`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.locking import without_locked
from itslive_core.filters.monthly_series import monthly_pairs
from itslive_core.observations.batches import Observations, PairFacts
from itslive_core.observations.missions import MISSIONS

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


def span_class(span: NDArray[np.float64]) -> NDArray[np.int8]:
    """Give the number of the span class of each pair, shape (n,); spans are rounded to whole days.

    Parameters
    ----------
    span : ndarray, shape (n,)
        [days].
    """
    return np.searchsorted(SPAN_CLASSES[1:-1], np.rint(span), side="right").astype(np.int8)


def span_consistent(observations: Observations, facts: PairFacts) -> NDArray[np.bool_]:
    """Run the span-consistency filter over many pixels.

    Parameters
    ----------
    observations : Observations
        n observations.
    facts : PairFacts
        Dates and missions of the pairs.

    Returns
    -------
    ndarray of bool, shape (n,)
        Pairs to use; all of a pixel with fewer than 20, unless its short ones agree.
    """
    pairs, first = monthly_pairs(facts.start, facts.end, facts.mission)
    return without_locked(observations, pairs, span_class(pairs.span), first)


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
    keep = span_consistent(Observations.at_point(pairs.vx, pairs.vy), PairFacts.of(pairs))
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
