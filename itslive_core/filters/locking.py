"""Which pairs of a pixel locked on something that does not move: the span-consistency filter of a pixel.

See `itslive_core.filters.outliers` for the rule. The pairs of a pixel stand in the order of their span
classes, so that the shorter ones of a class are those before it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import Band, blank_band, blank_inverse, selected_inverse, solve
from itslive_core.bands.assembly import assemble, predict
from itslive_core.bands.span_variance import span_variances
from itslive_core.filters.monthly_series import fit_series, solve_linked
from itslive_core.filters.span_groups import LEAST_GROUP, LEAST_SD, add_mean_rows, judge_together
from itslive_core.filters.two_classes import (
    FLOOR,
    LEAST_WAY,
    SHARE,
    Judged,
    find_locked,
    note_ratio,
    nothing_learnt,
)
from itslive_core.observations.missions import MISSIONS
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans
    from itslive_core.filters.monthly_series import MonthlyPairs
    from itslive_core.filters.two_classes import Learnt
    from itslive_core.observations.batches import Observations

__all__ = ["without_locked"]

_LEAST_REFERENCE = 20
"""Fewest pairs that a reference is made of, whatever they read;"""
_LEAST_CLEAR, _CLEAR = 3, 8.0
"""... or fewest if the ice is faster than so many standard errors, and went further in them than
`LEAST_WAY`."""
_LIKELY, _SUSPECT = 0.6, 0.25
"""Pairs that locked with this probability are rejected. With the second one they are no standard for others,
and rejected where they rest on months that nobody ever saw: with their tiny errors they would rule them."""
_HELD = 1.0
"""A month is known where what pairs tell of it adds up to this, see `_slowest`."""
_BIAS = 0.2
"""What the pairs of a mission may have in common, as a share of the noise of one pair."""
_RELATIVE = 0.05
"""Noise that is in proportion to the speed."""
_DOUBTFUL = 2.0
"""Pairs that lack this many standard deviations are kept, but no standard for longer ones."""
_CUT = 6.0
"""Pairs that are off by more standard deviations are no part of the series."""


class _Reference(NamedTuple):
    """The pairs of a pixel, and which of them were accepted so far.

    Parameters
    ----------
    pairs : MonthlyPairs
        n pairs, from short to long.
    first : int
        Number of the first cell since 1970-01-01.
    founding : int
        Number of pairs that it is founded by, which come first.
    along : ndarray, shape (n,)
        Values along the flow [m/yr].
    noise : ndarray, shape (n,)
        Standard deviation of each pair [m/yr].
    weights : ndarray, shape (n,)
        Weight in the series; 0 for pairs that are no part of it.
    joined : ndarray of bool, shape (n,)
        Pairs that are part of it.
    speed : float
        Typical speed [m/yr].
    change : ndarray, shape (1,)
        Typical change of the series from month to month [m/yr].
    scale : ndarray, shape (M,)
        Local speed relative to the typical one.
    """

    pairs: MonthlyPairs
    first: int
    founding: int
    along: NDArray[np.float64]
    noise: NDArray[np.float64]
    weights: NDArray[np.float64]
    joined: NDArray[np.bool_]
    speed: float
    change: NDArray[np.float64]
    scale: NDArray[np.float64]


def without_locked(
    observations: Observations, pairs: MonthlyPairs, classes: NDArray[np.int8], first: int
) -> NDArray[np.bool_]:
    """Run the filter over pixels.

    Parameters
    ----------
    observations : Observations
        n observations.
    pairs : MonthlyPairs
        The table that they refer to.
    classes : ndarray of int8, shape (T,)
        Span class of each pair.
    first : int
        Number of the grid's first cell since 1970-01-01.

    Returns
    -------
    ndarray of bool, shape (n,)
        What is left.
    """
    keep = np.ones(len(observations.pair), dtype=np.bool_)
    for here in observations.pixels():
        own = observations.pair[here]
        if len(own) < _LEAST_CLEAR:
            continue
        order = np.argsort(classes[own], kind="stable")
        own = own[order]
        ends = np.cumsum(np.bincount(classes[own], minlength=2)).tolist()
        vx, vy = observations.vx[here][order], observations.vy[here][order]
        span = pairs.span[own]
        founding = (c for c, end in enumerate(ends) if c > 0 and _founds(vx[:end], vy[:end], span[:end]))
        shortest = next(founding, len(ends) - 1)
        if ends[shortest] == len(own):
            continue
        of_pixel, base, size = pairs.of_pixel(own)
        keep[here.start + order] = _filter_pixel(of_pixel, ends[shortest:], vx, vy, first + base, size)
    return keep


def _founds(vx: NDArray[np.float64], vy: NDArray[np.float64], span: NDArray[np.float64]) -> bool:
    """Tell whether pairs can found a reference: many, or a few that agree and are clear of noise."""
    n = len(vx)
    if n < _LEAST_CLEAR or n >= _LEAST_REFERENCE:
        return n >= _LEAST_REFERENCE
    mx, my = median(vx), median(vy)
    speed, apart = np.hypot(mx, my), np.hypot(vx - mx, vy - my).mean()
    way = speed * median(span) / DAYS_PER_YEAR
    return bool(speed > _CLEAR * apart / np.sqrt(n) and way > LEAST_WAY)


def _filter_pixel(
    pairs: MonthlyPairs,
    ends: list[int],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    first: int,
    size: int,
) -> NDArray[np.bool_]:
    """Tell which pairs of a pixel to keep: the first ``ends[0]`` are short ones, which all stay."""
    keep = np.ones(len(vx), dtype=np.bool_)
    short = slice(0, ends[0])
    mx, my = median(vx[short]), median(vy[short])
    speed = float(np.hypot(mx, my))
    if speed == 0.0:
        return keep
    along = (vx * mx + vy * my) / speed
    series = fit_series(pairs.part(short), along[short], None, speed, size)
    noise = series.noise[pairs.mission] / pairs.span
    weights, joined = np.zeros(len(vx)), np.zeros(len(vx), dtype=np.bool_)
    weights[short], joined[short] = series.weights, True
    reference = _Reference(
        pairs, first, ends[0], along, noise, weights, joined, speed, np.array([series.change]), series.scale
    )
    learnt = nothing_learnt(len(MISSIONS))
    _note_ratios(pairs.mission[short], along[short], along[short] - series.residual[0], noise[short], learnt)
    reach = np.maximum.accumulate(pairs.spans.last - pairs.spans.first)
    for begin, end in pairwise(ends):
        if begin < end:
            width = max(MONTHS_PER_YEAR, int(reach[end - 1]))
            _filter_class(reference, slice(begin, end), width, learnt, keep[begin:end])
    return keep


def _filter_class(
    reference: _Reference, rows: slice, width: int, learnt: Learnt, keep: NDArray[np.bool_]
) -> None:
    """Judge the pairs of a span class, mission by mission, and let those that are left join the reference."""
    judged, factor, common = _expect(reference, rows, width)
    offset, locked = np.empty(len(MISSIONS)), np.empty(len(keep))
    span = reference.pairs.span[rows]
    find_locked(judged, span, learnt, offset, locked)
    still = judged.value * span < LEAST_WAY * DAYS_PER_YEAR
    blind = judged.least < (1.0 - SHARE) * judged.value
    keep &= ~((locked > np.where(blind, _SUSPECT, _LIKELY)) & (judged.value - judged.along > FLOOR))
    count = np.bincount(judged.mission[keep], minlength=len(MISSIONS))
    if (count >= LEAST_GROUP).any():
        mean = np.zeros((len(MISSIONS), factor.size))
        add_mean_rows(reference.pairs.part(rows), count, keep, mean)
        solved = mean.copy()
        solve(factor, solved)
        variance = (mean * solved).sum(axis=1) + (mean @ common) ** 2
        movable = keep.copy()
        judge_together(judged, offset, variance, count, movable)
        keep &= movable | still
    _join(judged, offset, locked, keep, learnt, reference.weights[rows], reference.joined[rows])


def _expect(reference: _Reference, rows: slice, width: int) -> tuple[Judged, Band, NDArray[np.float64]]:
    """Fit the reference to the accepted pairs, all shorter than some others, and say what these should read.

    Returns
    -------
    judged : Judged
    factor : Band
        The factorised normal equations.
    common : ndarray, shape (M,)
        What a common error of the accepted pairs does to the series [m/yr].
    """
    size, shorter, judged = len(reference.scale), slice(0, rows.start), reference.pairs.part(rows)
    spans, mission = judged.spans, judged.mission
    accepted = reference.pairs.part(shorter).spans
    normal, inverse, rhs = blank_band(size, width), blank_inverse(size, width), np.empty((2, size))
    assemble(
        accepted,
        reference.weights[shorter],
        reference.along[shorter],
        _BIAS * reference.noise[shorter],
        normal,
        rhs,
    )
    factor, solved = _solve_anew(reference, rows.start, normal, rhs)
    selected_inverse(factor, inverse)
    slowest = np.empty(size)
    _slowest(accepted, reference.joined[shorter], solved[0], reference.first, slowest)
    value, least, doubt, variance = np.empty((4, len(mission)))
    for series, out in ((solved[0], value), (slowest, least), (solved[1], doubt)):
        predict(spans, series, out)
    span_variances(inverse, np.arange(size), spans, variance)
    noise = reference.noise[rows]
    doubt = np.sqrt(variance + doubt**2)
    sd = np.sqrt(doubt**2 + (noise**2 + (_RELATIVE * value) ** 2 + LEAST_SD**2))
    along = reference.along[rows]
    return Judged(mission, along, noise, value, np.minimum(least, value), doubt, sd), factor, solved[1]


def _solve_anew(
    reference: _Reference, shorter: int, normal: Band, rhs: NDArray[np.float64]
) -> tuple[Band, NDArray[np.float64]]:
    """Solve for the series, and let it change twice as much from now on if the pairs that joined say so.

    Parameters
    ----------
    reference : _Reference
    shorter : int
        Number of pairs in the equations.
    normal : Band
        A'WA.
    rhs : ndarray, shape (2, M)
        A'Wd, along the flow and of what pairs have in common.

    Returns
    -------
    factor : Band
        The factorised normal equations.
    solved : ndarray, shape (2, M)
    """

    def solve_with(change: float) -> tuple[float, Band, NDArray[np.float64]]:
        factor, solved = blank_band(normal.size, normal.width), np.empty_like(rhs)
        value = solve_linked(normal, rhs, change, reference.speed, reference.scale, factor, solved)
        return value, factor, solved

    change = float(reference.change[0])
    value, factor, solved = solve_with(change)
    if shorter == reference.founding:
        return factor, solved  # the change is chosen for these
    more, other_factor, other_solved = solve_with(2.0 * change)
    if more > value:
        reference.change[0] = 2.0 * change
        return other_factor, other_solved
    return factor, solved


@kernel(error_model="numpy")
def _note_ratios(
    mission: NDArray, along: NDArray, value: NDArray, noise: NDArray, learnt: Learnt
) -> None:  # pragma: no cover - compiled
    """Count the shares by which pairs differ from the series."""
    for j in range(len(mission)):
        note_ratio(learnt, mission[j], along[j], value[j], noise[j])


@kernel(error_model="numpy")
def _slowest(
    spans: Spans, joined: NDArray, series: NDArray, first: int, lower: NDArray
) -> None:  # pragma: no cover - compiled
    """Give the slowest that is plausible where no pair of the reference looks.

    A month that pairs look at is as it is. Another one is as slow, relative to its year, as the same month is
    in the years where pairs look at it; it stands still if they never do. What a pair tells of a month is the
    share of its span there, times the share of the month.
    """
    size = len(series)
    held = np.zeros(size)
    for j in range(len(joined)):
        if joined[j]:
            p, q, rate = spans.first[j], spans.last[j], spans.rate[j]
            if p == q:
                held[p] += 1.0 / rate
            else:
                held[p] += rate * spans.head[j] ** 2
                held[q] += rate * spans.tail[j] ** 2
                for k in range(p + 1, q):
                    held[k] += rate
    total = np.zeros(size + 1)
    for k in range(size):
        total[k + 1] = total[k] + series[k]
    shares = np.empty((MONTHS_PER_YEAR, size // MONTHS_PER_YEAR + 1))
    seen = np.zeros(MONTHS_PER_YEAR, dtype=np.int64)
    for k in range(size):
        if held[k] >= _HELD:
            begin = max(0, min(k - MONTHS_PER_YEAR // 2, size - MONTHS_PER_YEAR))
            end = min(size, begin + MONTHS_PER_YEAR)
            mean = (total[end] - total[begin]) / (end - begin)
            if mean > 0.0:
                month = (first + k) % MONTHS_PER_YEAR
                shares[month, seen[month]] = series[k] / mean
                seen[month] += 1
    usual = np.zeros(MONTHS_PER_YEAR)
    for month in range(MONTHS_PER_YEAR):
        if seen[month] > 0:
            usual[month] = min(1.0, max(0.0, median(shares[month, : seen[month]])))
    for k in range(size):
        lower[k] = series[k]
        if held[k] < _HELD:
            lower[k] = min(series[k], series[k] * usual[(first + k) % MONTHS_PER_YEAR])


@kernel(error_model="numpy")
def _join(
    judged: Judged,
    offset: NDArray,
    locked: NDArray,
    keep: NDArray,
    learnt: Learnt,
    weights: NDArray,
    joined: NDArray,
) -> None:  # pragma: no cover - compiled
    """Let accepted pairs be a standard for longer ones, unless they are doubtful."""
    mission, along, noise, value, expected_least, doubt, sd = judged
    for j in range(len(keep)):
        if not keep[j] or locked[j] > _SUSPECT:
            continue
        note_ratio(learnt, mission[j], along[j], value[j], np.hypot(doubt[j], noise[j]))
        least = (1.0 + offset[mission[j]]) * expected_least[j]
        z = (max(along[j] - value[j], 0.0) + min(along[j] - least, 0.0)) / (_CUT * sd[j])
        if least - along[j] <= max(SHARE * least, _DOUBTFUL * sd[j]) and abs(z) < 1.0:
            weights[j] = (1.0 - locked[j]) * (1.0 - z * z) ** 2 / (sd[j] ** 2 - doubt[j] ** 2)
            joined[j] = True
