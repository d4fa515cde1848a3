"""Which pairs of a pixel locked on something that does not move: kernels of the span-consistency filter.

See `itslive_core.filters.outliers` for the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import (
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    selected_inverse,
    solve,
)
from itslive_core.bands.assembly import assemble, predict
from itslive_core.filters.monthly_series import YEAR, Rows, add_links, fit_series, rows_of_pixel
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["filter_block"]

_LEAST_REFERENCE = 20
"""Fewest pairs that a reference is made of."""
_SHARE = 0.2
"""Locked pairs read less than what shorter ones say by more than this share."""
_SIGNIFICANT = 4.0
"""... and by more than this many standard deviations,"""
_FLOOR = 10.0
"""... and by more than what images can be out of place for long [m/yr]."""
_MIRROR = 0.25
"""Single pairs are rejected where those that read as much too fast are at most this share of them."""
_LEAST_GROUP = 10
"""Fewest pairs that are judged together."""
_OFFSET, _OWN_OFFSET, _LEAST_OWN = 0.1, 0.05, 10
"""A mission may read this share more or less than the reference; by how much, its shorter pairs tell to
within the second share, where at least so many do."""
_CLOSE = 0.3
"""Pairs that are off by a larger share say nothing about an offset."""
_HELD = 1.0
"""A month is known where what pairs tell of it adds up to this, see `_hold`."""
_BIAS = 0.2
"""What the pairs of a mission may have in common, as a share of the noise of one pair."""
_RELATIVE, _LEAST_SD = 0.05, 1.0
"""Noise that is in proportion to the speed, and least noise [m/yr]."""
_DOUBTFUL = 2.0
"""Pairs that lack this many standard deviations are kept, but no standard for longer ones."""
_CUT = 6.0


class _Reference(NamedTuple):
    """The pairs accepted so far.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Weight in the series; 0 for pairs that are no part of it.
    joined : ndarray, shape (n,)
        1 for pairs that are part of it.
    along : ndarray, shape (n,)
        Values along the flow [m/yr].
    noise : ndarray, shape (n,)
        Standard deviation of each pair [m/yr].
    change : float
        Typical change of the series from month to month [m/yr].
    scale : ndarray, shape (M,)
        Local speed relative to the typical one.
    excess, close : ndarray, shape (missions,)
        Sum of the shares by which the pairs of a mission differ from the series, and their number.
    """

    weights: NDArray
    joined: NDArray
    along: NDArray
    noise: NDArray
    change: float
    scale: NDArray
    excess: NDArray
    close: NDArray


class _Expected(NamedTuple):
    """What the reference says about each pair, shape (n,) [m/yr].

    Parameters
    ----------
    value, least : ndarray
        What it should read, and the least that is plausible.
    doubt : ndarray
        Standard deviation of the value.
    sd : ndarray
        The same with the noise of the pair.
    """

    value: NDArray
    least: NDArray
    doubt: NDArray
    sd: NDArray


class _Factor(NamedTuple):
    """The factorised normal equations of the reference.

    Parameters
    ----------
    band : Band
    common : ndarray, shape (M,)
        What a common error of the pairs does to the series [m/yr].
    """

    band: Band
    common: NDArray


@kernel()
def _hold(spans: Spans, j: int, held: NDArray) -> None:  # pragma: no cover - compiled
    """Add what a pair tells of each month: the share of its span there, times the share of the month."""
    p, q = spans.first[j], spans.last[j]
    if p == q:
        held[p] += 1.0 / spans.rate[j]
        return
    held[p] += spans.rate[j] * spans.head[j] ** 2
    held[q] += spans.rate[j] * spans.tail[j] ** 2
    for k in range(p + 1, q):
        held[k] += spans.rate[j]


@kernel()
def _standing_still(
    series: NDArray, held: NDArray, first: int, lower: NDArray
) -> None:  # pragma: no cover - compiled
    """Give the slowest that is plausible where no pair of the reference looks.

    A month that pairs look at is as it is. Another one is as slow, relative to its year, as the same month is
    in the years where pairs look at it; it stands still if they never do.
    """
    size = len(series)
    total = np.zeros(size + 1)
    for k in range(size):
        total[k + 1] = total[k] + series[k]
    shares = np.empty((YEAR, size // YEAR + 1))
    seen = np.zeros(YEAR, dtype=np.int64)
    for k in range(size):
        if held[k] >= _HELD:
            begin = max(0, min(k - YEAR // 2, size - YEAR))
            end = min(size, begin + YEAR)
            mean = (total[end] - total[begin]) / (end - begin)
            if mean > 0.0:
                month = (first + k) % YEAR
                shares[month, seen[month]] = series[k] / mean
                seen[month] += 1
    usual = np.zeros(YEAR)
    for month in range(YEAR):
        if seen[month] > 0:
            usual[month] = min(1.0, max(0.0, np.median(shares[month, : seen[month]])))
    for k in range(size):
        lower[k] = series[k]
        if held[k] < _HELD:
            lower[k] = min(series[k], series[k] * usual[(first + k) % YEAR])


@kernel()
def _variances(
    spans: Spans, rows: NDArray, inverse: Inverse, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Variance of the mean of the series over each span, a' N^-1 a, from the band of N^-1."""
    entries, size, width = inverse
    full = 2 * width + 1
    sums = np.empty((size, width + 1))  # of N^-1[k, k + 1 : k + 1 + o]
    for k in range(size):
        total = 0.0
        sums[k, 0] = 0.0
        for o in range(1, width + 1):
            if k + o < size:
                total += entries[k * full + width + o]
            sums[k, o] = total
    for j in rows:
        p, q = spans.first[j], spans.last[j]
        if p == q:
            out[j] = entries[p * full + width]
            continue
        total = 0.0
        for k in range(p, q + 1):
            a = spans.head[j] if k == p else (spans.tail[j] if k == q else 1.0)
            row = 0.5 * a * entries[k * full + width]
            if k < q:
                row += sums[k, q - k - 1] + spans.tail[j] * entries[k * full + width + q - k]
            total += 2.0 * a * row
        out[j] = spans.rate[j] ** 2 * total


@kernel()
def _expect(
    pairs: Rows, rows: NDArray, reference: _Reference, first: int, size: int, width: int, out: _Expected
) -> _Factor:  # pragma: no cover - compiled
    """Fit the reference, and say what some pairs should read."""
    band, inverse = blank_band(size, width), blank_inverse(size, width)
    rhs = np.empty((2, size))
    assemble(pairs.spans, reference.weights, reference.along, _BIAS * reference.noise, band, rhs)
    add_links(band, reference.change, reference.scale)
    factorise(band)
    solve(band, rhs)
    selected_inverse(band, inverse)
    held = np.zeros(size)
    for j in np.flatnonzero(reference.joined):
        _hold(pairs.spans, j, held)
    lower = np.empty(size)
    _standing_still(rhs[0], held, first, lower)
    for series, values in ((rhs[0], out.value), (lower, out.least), (rhs[1], out.doubt)):
        predict(pairs.spans, series, values)
    variance = np.empty(len(pairs.span))
    _variances(pairs.spans, rows, inverse, variance)
    for j in rows:
        out.least[j] = min(out.least[j], out.value[j])
        out.doubt[j] = np.sqrt(variance[j] + out.doubt[j] ** 2)
        own = reference.noise[j] ** 2 + (_RELATIVE * out.value[j]) ** 2 + _LEAST_SD**2
        out.sd[j] = np.sqrt(out.doubt[j] ** 2 + own)
    return _Factor(band, rhs[1])


@kernel()
def _offset(
    rows: NDArray, mission: int, reference: _Reference, expected: _Expected
) -> float:  # pragma: no cover - compiled
    """Estimate by which share a mission reads more than the reference: from shorter pairs and from these."""
    ratios = np.empty(len(rows))
    n = 0
    for j in rows:
        if expected.value[j] > _SIGNIFICANT * expected.doubt[j]:
            ratio = reference.along[j] / expected.value[j] - 1.0
            if abs(ratio) < _CLOSE:
                ratios[n] = ratio
                n += 1
    middle, reach = 0.0, _OFFSET
    count = reference.close[mission]
    if count >= _LEAST_OWN:
        middle, reach = min(max(reference.excess[mission] / count, -_OFFSET), _OFFSET), _OWN_OFFSET
    if n < _LEAST_OWN // 2:
        return middle
    return min(max(np.median(ratios[:n]), middle - reach), middle + reach)


@kernel()
def _reject_singly(
    rows: NDArray, along: NDArray, expected: _Expected, offset: float, so_far: NDArray, keep: NDArray
) -> None:  # pragma: no cover - compiled
    """Reject pairs that read too slow, unless too many others read too fast by the same measure.

    Counted in the span class, or in it and the shorter ones: ``so_far`` holds the slow and the fast ones of
    the mission.
    """
    slow = np.zeros(len(rows), dtype=np.bool_)
    n_fast = 0
    for i in range(len(rows)):
        j = rows[i]
        least = (1.0 + offset) * expected.least[j]
        most = (1.0 + offset) * expected.value[j]
        sure = max(_SIGNIFICANT * expected.sd[j], _FLOOR)
        slow[i] = least > 0.0 and least - along[j] > max(_SHARE * least, sure)
        n_fast += most > 0.0 and along[j] - most > max(_SHARE * most, sure)
    n_slow = slow.sum()
    so_far[0] += n_slow
    so_far[1] += n_fast
    if 1 + n_fast <= _MIRROR * n_slow or 1 + so_far[1] <= _MIRROR * so_far[0]:
        for i in range(len(rows)):
            if slow[i]:
                keep[rows[i]] = False


@kernel()
def _are_slow(
    pairs: Rows, rows: NDArray, reference: _Reference, expected: _Expected, offset: float, factor: _Factor
) -> bool:  # pragma: no cover - compiled
    """Judge pairs together, by the median of what they lack."""
    n = len(rows)
    least = (1.0 + offset) * expected.least[rows]
    lack = least - reference.along[rows]
    spans, mean = pairs.spans, np.zeros((1, factor.band.size))
    for j in rows:
        p, q = spans.first[j], spans.last[j]
        if p == q:
            mean[0, p] += 1.0 / n
        else:
            rate = spans.rate[j] / n
            mean[0, p] += spans.head[j] * rate
            mean[0, q] += spans.tail[j] * rate
            for k in range(p + 1, q):
                mean[0, k] += rate
    spread = mean[0].copy()
    solve(factor.band, mean)
    variance = np.dot(spread, mean[0]) + np.dot(spread, factor.common) ** 2
    typical = np.median(lack)
    scatter = max(1.4826 * np.median(np.abs(lack - typical)), np.median(reference.noise[rows]))
    # 1.57 / n: variance of the median of normal numbers.
    sd = np.sqrt(variance + 1.57 * scatter**2 / n + _LEAST_SD**2)
    level = np.median(least)
    return level > 0.0 and typical > max(_SHARE * level, _SIGNIFICANT * sd, _FLOOR)


@kernel()
def _note_offset(ratio: float, mission: int, reference: _Reference) -> None:  # pragma: no cover - compiled
    if abs(ratio) < _CLOSE:
        reference.excess[mission] += ratio
        reference.close[mission] += 1.0


@kernel()
def _join(
    rows: NDArray, mission: int, reference: _Reference, expected: _Expected, offset: float
) -> None:  # pragma: no cover - compiled
    """Let accepted pairs be a standard for longer ones, unless they are doubtful."""
    for j in rows:
        value, doubt, own = expected.value[j], expected.doubt[j], reference.noise[j]
        if value > _SIGNIFICANT * np.hypot(doubt, own):
            _note_offset(reference.along[j] / value - 1.0, mission, reference)
        least = (1.0 + offset) * expected.least[j]
        if least - reference.along[j] > max(_SHARE * least, _DOUBTFUL * expected.sd[j]):
            continue
        z = (reference.along[j] - value) / (_CUT * expected.sd[j])
        if abs(z) < 1.0:
            reference.weights[j] = (1.0 - z * z) ** 2 / (expected.sd[j] ** 2 - doubt**2)
            reference.joined[j] = 1.0


@kernel()
def _filter_pixel(
    pairs: Rows, classes: NDArray, n_classes: int, vx: NDArray, vy: NDArray, first: int, size: int,
    n_missions: int, keep: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    n = len(vx)
    sizes = np.bincount(classes, minlength=n_classes)
    shortest = 1
    while sizes[: shortest + 1].sum() < _LEAST_REFERENCE:
        shortest += 1
    if sizes[shortest + 1 :].sum() == 0:
        return
    used = np.flatnonzero(classes <= shortest)
    mx, my = np.median(vx[used]), np.median(vy[used])
    speed = np.hypot(mx, my)
    if speed == 0.0:
        return
    along = (vx * mx + vy * my) / speed
    length = np.empty(n_missions)
    weights, residual, scale = np.empty(n), np.empty((2, n)), np.empty(size)
    series = np.empty((2, size))
    change = fit_series(
        pairs, used, along, along, speed, size, False, length, weights, scale, series, residual
    )
    reference = _Reference(
        weights, np.zeros(n), along, length[pairs.mission] / pairs.span, change, scale,
        np.zeros(n_missions), np.zeros(n_missions),
    )  # fmt: skip
    width = YEAR
    for j in used:
        reference.joined[j] = 1.0
        width = max(width, pairs.spans.last[j] - pairs.spans.first[j])
        value = along[j] - residual[0, j]
        if value > _SIGNIFICANT * reference.noise[j]:
            _note_offset(along[j] / value - 1.0, pairs.mission[j], reference)
    so_far = np.zeros((n_missions, 2))
    expected = _Expected(np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    for c in range(shortest + 1, n_classes):
        rows = np.flatnonzero(classes == c)
        if len(rows) == 0:
            continue
        for j in rows:
            width = max(width, pairs.spans.last[j] - pairs.spans.first[j])
        factor = _expect(pairs, rows, reference, first, size, width, expected)
        for m in range(n_missions):
            own = rows[pairs.mission[rows] == m]
            if len(own) == 0:
                continue
            offset = _offset(own, m, reference, expected)
            _reject_singly(own, along, expected, offset, so_far[m], keep)
            left = own[keep[own]]
            if len(left) >= _LEAST_GROUP and _are_slow(pairs, left, reference, expected, offset, factor):
                keep[left] = False
            _join(own[keep[own]], m, reference, expected, offset)


@kernel()
def filter_block(
    offsets: NDArray, pair: NDArray, rows: Rows, classes: NDArray, n_classes: int, begin: int,
    vx: NDArray, vy: NDArray, n_missions: int, keep: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Run the filter over the pixels of a block.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int, shape (n,)
        Row of each observation.
    rows : Rows
        T pairs on a monthly grid.
    classes : ndarray of int, shape (T,)
        Span class of each pair.
    n_classes, begin, n_missions : int
        Number of span classes, number of the grid's first cell since 1970, number of missions.
    vx, vy : ndarray, shape (n,)
        Observations [m/yr].
    keep : ndarray of bool, shape (n,)
        Receives what is left.
    """
    keep[:] = True
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        if i1 - i0 < _LEAST_REFERENCE:
            continue
        own = pair[i0:i1]
        pairs, base, size = rows_of_pixel(rows, own)
        _filter_pixel(
            pairs, classes[own], n_classes, vx[i0:i1], vy[i0:i1], begin + base, size, n_missions, keep[i0:i1]
        )
