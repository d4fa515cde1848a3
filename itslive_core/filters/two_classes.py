"""Whether a pair measured the ice or locked on something that stands still: two classes and their odds.

A pair of a span class and a mission belongs to one of two classes. With v what the shorter pairs say that it
should read, s the standard deviation of that and of the pair's noise, and y what it reads along the flow,

    measured:  (1 - w) [(1 - h) N(y; v, s^2) + h U(y; least, v)] + w T(y)
    locked:    1/2 U(y; -.1 v, .2 v) + 1/2 U(y; -.1 v, .8 v),   blurred by the pair's noise.

U is uniform. ``least`` is what the pair would read if the months stood still that nobody ever saw; h is 0
if there are none. T is wide and symmetric around v: noise that is not normal, a change of the ice that the
series missed. Its weight w is learnt from the pairs that read too fast, since locking errs to one side only
(that false rejections are to be counted by their mirror image is the idea of Barber and Candes, 2015,
doi:10.1214/15-AOS1337).

The share of locked pairs is learnt by empirical Bayes, so that pairs which can be judged speak for those of
their class which cannot:

    share / (1 - share) = exp(shift) 4 x / (5 + x),   x = (displacement / 1.2 km)^1.5:

features get lost with the way that the ice goes, at most four in five where nothing else is known, and this
pixel's get lost sooner or later than usual. The
shift is a random walk from one span class to the next longer one, common to all missions, and another one for
what each has of its own; both are learnt by expectation-maximisation (Dempster, Laird and Rubin, 1977,
doi:10.1111/j.2517-6161.1977.tb01600.x).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FLOOR", "LEAST_WAY", "SHARE", "Judged", "Learnt", "find_locked", "note_ratio", "nothing_learnt"]

SHARE = 0.2
"""Locked pairs read less than what shorter ones say by more than this share."""
FLOOR = 10.0
"""... and by more than what images can be out of place for long [m/yr]."""

_OFFSET, _OWN_OFFSET, _LEAST_OWN = 0.1, 0.05, 10
"""A mission may read this share more or less than the reference; by how much, its shorter pairs tell to
within the second share, where at least so many do."""
_CLOSE = 0.3
"""Pairs that are off by a larger share say nothing about an offset."""
_SIGNIFICANT = 4.0
"""... nor do those where the speed is not so many standard deviations."""

_BACK, _STUCK, _SLOW = -0.1, 0.5, 0.8
"""Limits of what locked pairs read, as shares of the speed: the half of them, and all."""
_STILL = 0.3
"""Probability that the months which nobody ever saw are much slower, h."""
_WILD, _WILD_PAIRS = 0.05, 20.0
"""Share of pairs that are far off, before any is seen, and the number of pairs that this is worth."""
_MOST_WILD, _FAR = 0.8, 3.0
"""Largest share; pairs this many standard deviations too fast count."""
_WAY = 1200.0
"""Displacement at which features get lost [m]."""
LEAST_WAY = 15.0
"""A pair cannot lock where the ice went less over its span [m]: within a pixel of the images what moved and
what stood still are one and the same match, and what shadows and snow do to short pairs looks like
motion."""
_STEP = 1.5
"""Standard deviation of the steps of the shifts."""
_LIMIT = 9.0
"""Largest shift."""
_ROUNDS = 12
_BEYOND = 5.0
"""Pairs this many standard deviations faster than any locked one are not locked."""


class Judged(NamedTuple):
    """The pairs of a span class, and what the reference says that they should read, shape (n,) [m/yr].

    Parameters
    ----------
    mission : ndarray of int64
    along, noise : ndarray
        What they read, and standard deviation of that.
    value, least : ndarray
        What they should read, and the least that is possible.
    doubt : ndarray
        Standard deviation of the value.
    sd : ndarray
        The same with the noise of the pair.
    """

    mission: NDArray[np.int64]
    along: NDArray[np.float64]
    noise: NDArray[np.float64]
    value: NDArray[np.float64]
    least: NDArray[np.float64]
    doubt: NDArray[np.float64]
    sd: NDArray[np.float64]


class Learnt(NamedTuple):
    """What is learnt from short spans to long ones.

    Parameters
    ----------
    excess, close : ndarray, shape (missions,)
        Sum of the shares by which the pairs of a mission differ from the series, and their number.
    wild : ndarray, shape (missions,)
        w.
    shift : ndarray, shape (missions + 1,)
        Shifts of the missions beside that of all, and that of all: logarithms of odds.
    """

    excess: NDArray[np.float64]
    close: NDArray[np.float64]
    wild: NDArray[np.float64]
    shift: NDArray[np.float64]


def nothing_learnt(missions: int) -> Learnt:
    """Begin with what is usual."""
    return Learnt(np.zeros(missions), np.zeros(missions), np.full(missions, _WILD), np.zeros(missions + 1))


@kernel(error_model="numpy")
def note_ratio(
    learnt: Learnt, mission: int, along: float, value: float, sd: float
) -> None:  # pragma: no cover - compiled
    """Count the share by which a pair differs from the series, where that is clear of noise."""
    if value > _SIGNIFICANT * sd:
        ratio = along / value - 1.0
        if abs(ratio) < _CLOSE:
            learnt.excess[mission] += ratio
            learnt.close[mission] += 1.0


@kernel(error_model="numpy")
def find_locked(
    judged: Judged, span: NDArray, learnt: Learnt, offset: NDArray, locked: NDArray
) -> None:  # pragma: no cover - compiled
    """Give the probability that a pair locked, for those of a span class.

    Parameters
    ----------
    judged : Judged
        n pairs.
    span : ndarray, shape (n,)
        [days].
    learnt : Learnt
        From shorter spans; it goes on to learn.
    offset : ndarray, shape (missions,)
        Receives the share by which each mission reads more than the reference.
    locked : ndarray, shape (n,)
        Receives the probabilities.
    """
    n, missions = len(locked), len(offset)
    odds, usual, counts = np.empty(n), np.empty(n), np.empty(n)
    _find_offsets(judged, learnt, offset)
    _find_wild(judged, offset, learnt.wild)
    _count(judged, missions, counts)
    for j in range(n):
        odds[j] = _odds(judged, j, offset[judged.mission[j]], learnt.wild[judged.mission[j]])
        way = max(judged.value[j], 0.0) * span[j] / DAYS_PER_YEAR
        x = (way / _WAY) ** 1.5 if way >= LEAST_WAY else 0.0
        usual[j] = 4.0 * x / (5.0 + x)
    shift = _learn_shift(odds, usual, counts, judged.mission, -1, learnt.shift[missions])
    learnt.shift[missions] = shift
    for m in range(missions):
        own = _learn_shift(odds, usual, counts, judged.mission, m, shift + learnt.shift[m])
        learnt.shift[m] = own - shift
        factor = np.exp(own)
        for j in range(n):
            if judged.mission[j] == m:
                ratio = factor * usual[j] * odds[j]
                locked[j] = ratio / (1.0 + ratio)


@kernel(error_model="numpy")
def _find_offsets(judged: Judged, learnt: Learnt, offset: NDArray) -> None:  # pragma: no cover - compiled
    """Estimate by which share a mission reads more than the reference, from shorter pairs and from these."""
    n = len(judged.along)
    ratios = np.empty(n)
    for m in range(len(offset)):
        count = 0
        for j in range(n):
            if judged.mission[j] == m and judged.value[j] > _SIGNIFICANT * judged.doubt[j]:
                ratio = judged.along[j] / judged.value[j] - 1.0
                if abs(ratio) < _CLOSE:
                    ratios[count] = ratio
                    count += 1
        middle, reach = 0.0, _OFFSET
        if learnt.close[m] >= _LEAST_OWN:
            middle, reach = min(max(learnt.excess[m] / learnt.close[m], -_OFFSET), _OFFSET), _OWN_OFFSET
        offset[m] = middle
        if count >= _LEAST_OWN // 2:
            offset[m] = min(max(median(ratios[:count]), middle - reach), middle + reach)


@kernel(error_model="numpy")
def _find_wild(judged: Judged, offset: NDArray, wild: NDArray) -> None:  # pragma: no cover - compiled
    """Learn w of each mission: twice the share of those that are too fast, among all but the slow ones."""
    for m in range(len(offset)):
        fast, near = 0.0, 0.0
        for j in range(len(judged.along)):
            if judged.mission[j] == m and judged.value[j] > 0.0:
                value = (1.0 + offset[m]) * judged.value[j]
                far = max(SHARE * value, _FAR * judged.sd[j], FLOOR)
                if judged.along[j] - value > far:
                    fast += 1.0
                elif judged.along[j] - value > -far:
                    near += 1.0
        total = near + 2.0 * fast + _WILD_PAIRS
        wild[m] = min((2.0 * fast + _WILD_PAIRS * wild[m]) / total, _MOST_WILD)


@kernel(error_model="numpy")
def _count(judged: Judged, missions: int, counts: NDArray) -> None:  # pragma: no cover - compiled
    """Say what each pair is worth where shares are learnt.

    Pairs share what is not known of their standard: how the ice moved in months that nobody ever saw, or,
    where it is slow, whether it moves at all. Those of a mission that rest on this are worth one together.
    """
    for m in range(missions):
        doubtful = 0.0
        for j in range(len(counts)):
            if judged.mission[j] == m:
                value = judged.value[j]
                seen = judged.least[j] > (1.0 - SHARE) * value
                moves = value > np.hypot(_SIGNIFICANT * judged.doubt[j], _FAR * FLOOR)
                counts[j] = 1.0 if seen and moves else 0.0
                doubtful += 1.0 - counts[j]
        for j in range(len(counts)):
            if judged.mission[j] == m and counts[j] == 0.0:
                counts[j] = 1.0 / doubtful


@kernel(error_model="numpy")
def _odds(judged: Judged, j: int, offset: float, wild: float) -> float:  # pragma: no cover - compiled
    """Give the probability of what a pair reads if it locked, over that if it measured the ice."""
    value, least, y = (1.0 + offset) * judged.value[j], (1.0 + offset) * judged.least[j], judged.along[j]
    sd, noise = judged.sd[j], max(judged.noise[j], 1.0)
    if not value > 0.0 or y > min(value, _SLOW * value + _BEYOND * noise):
        return 0.0
    width = max(value, _FAR * sd)
    broad = 0.5 / width * min(1.0, (width / max(value - y, 1e-9)) ** 2)
    z = (y - value) / sd
    measured = np.exp(-0.5 * z * z) / (sd * np.sqrt(2.0 * np.pi))
    if least < (1.0 - 1e-3) * value:
        unseen = (_below(value - y, sd) - _below(least - y, sd)) / (value - least)
        measured += _STILL * (unseen - measured)
    back, stuck, slow = _BACK * value - y, _STUCK * value - y, _SLOW * value - y
    low = _below(back, noise)
    locked = 0.5 * (_below(stuck, noise) - low) / (stuck - back) + 0.5 * (_below(slow, noise) - low) / (
        slow - back
    )
    return (locked + _WILD * (broad - locked)) / (measured + wild * (broad - measured))


@kernel(error_model="numpy")
def _below(limit: float, sd: float) -> float:  # pragma: no cover - compiled
    """Give the probability that a normal number lies below a limit."""
    return 0.5 + 0.5 * math.erf(np.sqrt(0.5) * limit / sd)


@kernel(fastmath=FAST, error_model="numpy")
def _learn_shift(
    odds: NDArray, usual: NDArray, counts: NDArray, mission: NDArray, m: int, prior: float
) -> float:  # pragma: no cover - compiled
    """Learn how much more than usual the pairs of a mission lock, or all (-1), by expectation-maximisation.

    Parameters
    ----------
    odds : ndarray, shape (n,)
        Probability of what a pair reads if it locked, over that if not.
    usual : ndarray, shape (n,)
        Odds that a pair locks, before it is read.
    counts : ndarray, shape (n,)
        How many pairs each is worth.
    mission : ndarray of int64, shape (n,)
    m : int
    prior : float
        Mean of the shift, with a standard deviation of `_STEP`.

    Returns
    -------
    float
        The shift, a logarithm of odds.
    """
    n, count = len(odds), 0
    own, before, worth = np.empty(n), np.empty(n), np.empty(n)
    for j in range(n):
        if m < 0 or mission[j] == m:
            own[count], before[count], worth[count] = odds[j], usual[j], counts[j]
            count += 1
    if count == 0:
        return prior
    shift, precision = prior, 1.0 / _STEP**2
    for _ in range(_ROUNDS):
        factor, slope, bend = np.exp(shift), precision * (prior - shift), precision
        for j in range(count):
            ratio = factor * before[j]
            p = ratio / (1.0 + ratio)
            ratio *= own[j]
            slope += worth[j] * (ratio / (1.0 + ratio) - p)
            bend += worth[j] * p * (1.0 - p)
        step = min(max(slope / bend, -2.0), 2.0)
        shift = min(max(shift + step, -_LIMIT), _LIMIT)
        if abs(step) < 0.05:
            break
    return shift
