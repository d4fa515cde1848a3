"""Rejection of pairs by their values: the span-consistency filter.

Feature tracking over a long span can lock on something that does not move with the ice: the shadow of a
wall, a pattern of crevasses that stands still. Such pairs read a few hundred m/yr, with tiny formal errors,
where short pairs read thousands. No robust fit survives that: they are many and agree with each other.

The filter walks from short to long spans, mission by mission. What the pairs accepted so far say, as medians
in bins of a month, is averaged over the span of each longer pair; like is compared with like, so a season
that is sampled unevenly by short pairs does not count against long ones. A pair that reads less than half of
that along the flow, by much more than the noise, is rejected. Where most pairs of a span class are rejected,
the class goes as a whole, and so do all longer ones of that mission. Only too slow is suspicious: locking
never makes ice faster. Where short pairs are too sparse to be averaged in time, as in the first Landsat
decades, a class is judged by its median beside that of the mission's shorter pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.compiled import kernel
from itslive_core.missions import MISSIONS
from itslive_core.selection import FilterStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.pairs import ImagePairs

__all__ = ["SPAN_CLASSES", "SpanConsistency", "reject_outliers", "span_consistency", "span_consistent"]

SPAN_CLASSES = (0.0, 16.0, 32.0, 64.0, 128.0, 256.0, 400.0, np.inf)
"""Edges of the span classes [days]."""

_BIN = 365.25 / 12
_LEAST_REFERENCE = 20
_LEAST_CLASS = 5
_LEAST_SEEN = 2 / 3
_SHARE = 0.5
_FAR = 0.2
_SIGNIFICANT = 4.0
_FLOOR = 15.0
"""Bias that short pairs of a few images can have from their geolocation alone, a metre or two [m/yr]."""


@dataclass(frozen=True, eq=False)
class SpanConsistency:
    """What the span-consistency filter found at one pixel.

    Parameters
    ----------
    keep : ndarray of bool, shape (n,)
        Pairs to use.
    longest : dict
        For each mission of which whole span classes were rejected: the longest span accepted [days].
    """

    keep: NDArray[np.bool_]
    longest: dict[str, float]


@kernel()
def _bin_medians(
    along: NDArray, bins: NDArray, accepted: NDArray, n_bins: int, medians: NDArray, counts: NDArray
) -> float:  # pragma: no cover - compiled
    """Fill the median of the accepted values in each bin; return the robust spread about them."""
    counts[:] = 0
    for j in range(len(along)):
        if accepted[j]:
            counts[bins[j]] += 1
    place = np.zeros(n_bins + 1, dtype=np.int64)
    for b in range(n_bins):
        place[b + 1] = place[b] + counts[b]
    sorted_values = np.empty(place[n_bins])
    at = place[:-1].copy()
    for j in range(len(along)):
        if accepted[j]:
            sorted_values[at[bins[j]]] = along[j]
            at[bins[j]] += 1
    spread = np.empty(place[n_bins])
    for b in range(n_bins):
        if counts[b] > 0:
            medians[b] = np.median(sorted_values[place[b] : place[b + 1]])
            for i in range(place[b], place[b + 1]):
                spread[i] = abs(sorted_values[i] - medians[b])
    if place[n_bins] == 0:
        return 0.0
    return 1.4826 * np.median(spread)


@kernel()
def _class_is_slow(
    along: NDArray, classes: NDArray, mission: NDArray, accepted: NDArray, m: int, c: int, noise: float
) -> bool:  # pragma: no cover - compiled
    """Judge a span class of a mission as a whole, where shorter pairs are too sparse to be averaged in time.

    Its median is held against that of the mission's own shorter pairs, which are of the same years. Only
    where those are too few it is held against all shorter pairs, and then it must be slower by far: a glacier
    that surged is slow in other years.
    """
    here = along[(mission == m) & (classes == c)]
    if len(here) < _LEAST_CLASS:
        return False
    shorter = accepted & (classes < c)
    own = along[shorter & (mission == m)]
    share = _SHARE
    if len(own) < 2 * _LEAST_CLASS:
        own = along[shorter]
        share = 1.0 - _FAR
    if len(own) == 0:
        return False
    expected = np.median(own)
    spread = max(noise, 1.4826 * np.median(np.abs(own - expected)))
    short = expected - np.median(here)
    return (
        expected > 0.0
        and short > share * expected
        and short > _SIGNIFICANT * spread / np.sqrt(len(own)) + _FLOOR
    )


@kernel()
def _filter_pixel(
    start: NDArray, end: NDArray, vx: NDArray, vy: NDArray, mission: NDArray, edges: NDArray, n_missions: int,
    keep: NDArray, cut: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    n = len(start)
    n_classes = len(edges) - 1
    keep[:] = True
    cut[:] = n_classes
    if n < _LEAST_REFERENCE:
        return
    classes = np.empty(n, dtype=np.int64)
    sizes = np.zeros(n_classes, dtype=np.int64)
    for j in range(n):
        span = np.rint(end[j] - start[j])
        c = 0
        while c < n_classes - 1 and span >= edges[c + 1]:
            c += 1
        classes[j] = c
        sizes[c] += 1
    # The shortest classes that together hold enough pairs are the first reference.
    reference = 0
    total = 0
    for c in range(n_classes):
        total += sizes[c]
        reference = c
        if total >= _LEAST_REFERENCE and c >= 1:
            break
    if reference == n_classes - 1:
        return
    accepted = np.empty(n, dtype=np.bool_)
    for j in range(n):
        accepted[j] = classes[j] <= reference
    mx, my = np.median(vx[accepted]), np.median(vy[accepted])
    speed = np.hypot(mx, my)
    if speed == 0.0:
        return
    first = np.floor(start.min() / _BIN)
    n_bins = int(np.floor(end.max() / _BIN) - first) + 1
    along = np.empty(n)
    bins = np.empty(n, dtype=np.int64)
    for j in range(n):
        along[j] = (vx[j] * mx + vy[j] * my) / speed
        bins[j] = int(np.floor(0.5 * (start[j] + end[j]) / _BIN) - first)
    medians = np.zeros(n_bins)
    counts = np.zeros(n_bins, dtype=np.int64)
    sums = np.zeros(n_bins + 1)
    seen = np.zeros(n_bins + 1)
    members = np.zeros(n_bins + 1)
    tested = np.zeros((n_missions, n_classes), dtype=np.int64)
    slow = np.zeros((n_missions, n_classes), dtype=np.int64)
    for c in range(reference + 1, n_classes):
        if sizes[c] == 0:
            continue
        noise = _bin_medians(along, bins, accepted, n_bins, medians, counts)
        for b in range(n_bins):
            has = counts[b] > 0
            sums[b + 1] = sums[b] + (medians[b] if has else 0.0)
            seen[b + 1] = seen[b] + (1.0 if has else 0.0)
            members[b + 1] = members[b] + counts[b]
        for j in range(n):
            if classes[j] != c or c >= cut[mission[j]]:
                continue
            b0 = int(np.floor(start[j] / _BIN) - first)
            b1 = int(np.floor(end[j] / _BIN) - first) + 1
            have = seen[b1] - seen[b0]
            if have < _LEAST_SEEN * (b1 - b0):
                continue
            tested[mission[j], c] += 1
            expected = (sums[b1] - sums[b0]) / have
            error = noise / np.sqrt(members[b1] - members[b0])
            short = expected - along[j]
            if expected > 0.0 and short > _SHARE * expected and short > _SIGNIFICANT * error + _FLOOR:
                slow[mission[j], c] += 1
                keep[j] = False
        for m in range(n_missions):
            if tested[m, c] >= _LEAST_CLASS:
                if slow[m, c] > 0.5 * tested[m, c]:
                    cut[m] = min(cut[m], c)
            elif c < cut[m] and _class_is_slow(along, classes, mission, accepted, m, c, noise):
                cut[m] = c
        for j in range(n):
            if classes[j] == c:
                if c >= cut[mission[j]]:
                    keep[j] = False
                accepted[j] = keep[j]
    for j in range(n):
        if classes[j] >= cut[mission[j]]:
            keep[j] = False


@kernel()
def _filter_block(
    offsets: NDArray, pair: NDArray, start: NDArray, end: NDArray, vx: NDArray, vy: NDArray, mission: NDArray,
    edges: NDArray, n_missions: int, keep: NDArray, cut: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        if i1 > i0:
            rows = pair[i0:i1]
            _filter_pixel(
                start[rows],
                end[rows],
                vx[i0:i1],
                vy[i0:i1],
                mission[rows],
                edges,
                n_missions,
                keep[i0:i1],
                cut[p],
            )


def span_consistent(
    offsets: NDArray[np.int64],
    pair: NDArray[np.int32],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    mission: NDArray[np.integer],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
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
    keep : ndarray of bool, shape (n,)
    cut : ndarray of int, shape (P, missions)
        First span class that was rejected as a whole; the number of classes where none was.
    """
    keep = np.ones(len(pair), dtype=bool)
    cut = np.full((len(offsets) - 1, len(MISSIONS)), len(SPAN_CLASSES) - 1, dtype=np.int64)
    edges = np.array(SPAN_CLASSES)
    _filter_block(
        offsets,
        pair,
        start,
        end,
        vx,
        vy,
        np.asarray(mission, dtype=np.int64),
        edges,
        len(MISSIONS),
        keep,
        cut,
    )
    return keep, cut


def span_consistency(pairs: ImagePairs) -> SpanConsistency:
    """Run the span-consistency filter at one pixel.

    Parameters
    ----------
    pairs : ImagePairs

    Returns
    -------
    SpanConsistency
    """
    from itslive_core.missions import mission_numbers

    n = len(pairs)
    keep, cut = span_consistent(
        np.array([0, n]), np.arange(n, dtype=np.int32), pairs.start, pairs.end, pairs.vx, pairs.vy,
        mission_numbers(pairs.mission),
    )  # fmt: skip
    longest = {
        name: SPAN_CLASSES[c] for name, c in zip(MISSIONS, cut[0], strict=True) if c < len(SPAN_CLASSES) - 1
    }
    return SpanConsistency(keep=keep, longest=longest)


def reject_outliers(pairs: ImagePairs, method: str) -> ImagePairs:
    """Apply the filter on values to the pairs of a pixel, and note what it took.

    Parameters
    ----------
    pairs : ImagePairs
    method : {"none", "auto"}
        ``"auto"`` is the span-consistency filter.
    """
    if method == "none":
        return pairs
    found = span_consistency(pairs)
    kept = int(found.keep.sum())
    note = "long pairs agree with short ones"
    if kept < len(pairs):
        note = "pairs that read less than half of what shorter ones say were rejected"
    if found.longest:
        note += "; from this span on altogether: " + ", ".join(
            f"{name} {days:g} d" for name, days in found.longest.items()
        )
    return pairs.take(found.keep, FilterStep("span_consistency", kept, len(pairs) - kept, note))
