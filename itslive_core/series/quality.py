"""What each cell of a series rests on, as flags: few pairs, one mission, disagreement, reversed flow, noise.

All estimators judge their series here. An estimator knows what it did with its pairs, `PairEvidence`: from
that come the flags of pairs; those of the flow come from the series alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.observations.missions import MISSIONS
from itslive_core.series.rice import CLEAR_OF_NOISE
from itslive_core.support.arrays import median
from itslive_core.support.band_level import BAND_REACH
from itslive_core.support.compiled import kernel
from itslive_core.support.student import LEAST_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from itslive_core.observations.time_grid import SpanOperator

__all__ = [
    "BELOW_NOISE",
    "DIRECTION_REVERSED",
    "EXTRAPOLATED",
    "FEW_PAIRS",
    "FLAGS",
    "ONE_MISSION",
    "PAIRS_DISAGREE",
    "PairEvidence",
    "flags_of_flow",
    "flags_of_pairs",
    "normalised_squares",
    "quality_of",
]

FLAGS: tuple[str, ...] = (
    "rests_on_fewer_than_3_pairs",
    "one_mission_only",
    "pairs_disagree",
    "direction_reversed",
    "below_noise",
    "extrapolated",
)
"""Meanings of the bits, the lowest first."""

FEW_PAIRS, ONE_MISSION, PAIRS_DISAGREE, DIRECTION_REVERSED, BELOW_NOISE, EXTRAPOLATED = (
    1 << bit for bit in range(len(FLAGS))
)

_FEWEST_PAIRS = 3
"""Of two pairs that differ nobody can tell which one errs."""
_HEAVY_TAILS = 4.0
"""Degrees of freedom of the Student t distribution that the noise of a pair is granted."""
_LITTLE = 0.05
"""Independent pairs in doubt of which the distribution itself is asked."""
_LEVEL = 1e-3
"""Probability of flagging a cell whose pairs agree: less than one cell of a series of decades."""


class PairEvidence(NamedTuple):
    """What an estimator did with the used pairs of P pixels, one pixel after the other.

    Parameters
    ----------
    operator : SpanOperator
        Rows of T pairs on M cells.
    mission : ndarray of int, shape (T,)
        Number of the mission of each pair in `itslive_core.observations.missions.MISSIONS`.
    offsets : ndarray of int, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int, shape (n,)
        Row of the operator of each observation.
    weight : ndarray, shape (n,)
        Robust weight u, 0 to 1.25.
    square : ndarray, shape (n,)
        Squared length of the residual vector over the variance of the noise of a component: 2 on average
        where the noise is as assumed. NaN where it is not known. See `normalised_squares`.
    worth : ndarray, shape (n,)
        Share of an independent pair that an observation is worth, because of images it shares with others.
    """

    operator: SpanOperator
    mission: NDArray[np.integer]
    offsets: NDArray[np.integer]
    pair: NDArray[np.integer]
    weight: NDArray[np.float64]
    square: NDArray[np.float64]
    worth: NDArray[np.float64]


def normalised_squares(
    operator: SpanOperator,
    offsets: NDArray[np.integer],
    pair: NDArray[np.integer],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    variance: NDArray[np.float64],
    series: NDArray[np.float64],
    *,
    scaled: bool = True,
) -> NDArray[np.float64]:
    """Compare observations with the series of their pixels.

    Parameters
    ----------
    operator : SpanOperator
        Rows of T pairs on M cells.
    offsets : ndarray of int, shape (P + 1,)
    pair : ndarray of int, shape (n,)
    vx, vy : ndarray, shape (n,)
        Observations, less the offsets of their missions where these are known [m/yr].
    variance : ndarray, shape (n,)
        Variance of the noise of a component [m^2/yr^2].
    series : ndarray, shape (P, 2, M)
        vx and vy [m/yr].
    scaled : bool
        False where the variance is known up to a factor of the pixel only. The factor is then that with which
        half of the residuals are shorter than the median of the noise, sqrt(2 log 2) standard deviations.

    Returns
    -------
    ndarray, shape (n,)
        NaN where the series has no value in a cell that the pair overlaps.
    """
    out = np.empty(len(pair))
    # One kind of numbers, for which the kernels are compiled, whoever asks.
    pair = np.asarray(pair, dtype=np.int64)
    vx, vy, variance, series = (np.ascontiguousarray(of, np.float64) for of in (vx, vy, variance, series))
    for p, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        here = slice(begin, end)
        square = out[here]
        _squares(operator.columns, pair[here], vx[here], vy[here], variance[here], series[p], square)
        known = square[np.isfinite(square)]
        if not scaled and len(known):
            middle = median(known)
            square *= 2.0 * np.log(2.0) / middle if middle > 0.0 else np.nan
    return out


def flags_of_pairs(evidence: PairEvidence) -> NDArray[np.int16]:
    """Judge the pairs that overlap each cell.

    ``rests_on_fewer_than_3_pairs``: fewer than 3 pairs have a robust weight of 1 % or more.

    ``one_mission_only``: all of those are of one mission; pairs of ``other``, which are of unknown missions
    or of two, leave it open.

    ``pairs_disagree``: the residuals of the n pairs, those without weight too, are larger than their noise
    explains. The noise of a pair is granted heavy tails, those of Student's t with nu = 4 degrees of freedom
    in both components, so that one wild pair among many is no disagreement: a residual of the squared
    normalised length z_j is exceeded with the probability p_j = (1 + z_j / nu)^(-nu / 2). The probabilities
    are combined after Fisher (1932, Statistical Methods for Research Workers, section 21.1), each with the
    worth c_j of its pair:

        Q = -2 sum_j c_j log p_j = nu sum_j c_j log(1 + z_j / nu)

    If all is as assumed, Q is chi-square distributed with 2 sum_j c_j degrees of freedom; where fewer than
    one in 1,000 were so large, the pairs disagree. Of normal noise still fewer are.

    Parameters
    ----------
    evidence : PairEvidence

    Returns
    -------
    ndarray of int16, shape (P, M)
    """
    from scipy.special import chdtrc

    operator = evidence.operator
    shape = len(evidence.offsets) - 1, operator.grid.size
    n, known = np.zeros((2, *shape), dtype=np.int64)
    alone = np.zeros(shape, dtype=np.bool_)
    total, freedom = np.zeros((2, *shape))
    excess = _HEAVY_TAILS * np.log1p(evidence.square / _HEAVY_TAILS)
    mission, pair = (np.asarray(of, dtype=np.int64) for of in (evidence.mission, evidence.pair))
    worth = np.ascontiguousarray(evidence.worth, np.float64)
    columns = operator.columns[:2], mission, MISSIONS.index("other"), len(MISSIONS)
    for p, (begin, end) in enumerate(
        zip(evidence.offsets[:-1].tolist(), evidence.offsets[1:].tolist(), strict=True)
    ):
        here = slice(begin, end)
        own = pair[here], evidence.weight[here] >= LEAST_WEIGHT, excess[here], worth[here]
        _add_up(*columns, *own, (n[p], known[p], alone[p], total[p], freedom[p]))
    # Running sums leave some rounding where there is nothing: only whole numbers tell where that is.
    flags = np.where(n < _FEWEST_PAIRS, FEW_PAIRS, 0) | np.where(alone, ONE_MISSION, 0)
    # A sum below its mean is exceeded in one of nine cases or more, whatever its freedom above a tenth.
    doubtful = (known > 0) & ((total > 2.0 * freedom) | (freedom < _LITTLE))
    disagree = chdtrc(2.0 * freedom[doubtful], total[doubtful]) < _LEVEL
    flags[doubtful] |= np.where(disagree, PAIRS_DISAGREE, 0)
    return flags.astype(np.int16)


@kernel(error_model="numpy")
def _squares(
    columns: tuple[NDArray, ...],
    pair: NDArray,
    vx: NDArray,
    vy: NDArray,
    variance: NDArray,
    series: NDArray,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """Write the normalised squares of one pixel, before they are scaled."""
    first, last, head, tail, rate = columns
    cells = series.shape[1]
    total, unknown = np.zeros((2, cells + 1)), np.zeros(cells + 1, dtype=np.int64)
    for c in range(cells):
        known = not (np.isnan(series[0, c]) or np.isnan(series[1, c]))
        unknown[c + 1] = unknown[c] + (not known)
        for k in range(2):
            total[k, c + 1] = total[k, c] + (series[k, c] if known else 0.0)
    for j in range(len(pair)):
        row = pair[j]
        p, q = first[row], last[row]
        # A fit that leaves no residuals tells nothing of the noise.
        if not variance[j] > 0.0 or unknown[q + 1] > unknown[p]:
            out[j] = np.nan
            continue
        square = 0.0
        for k in range(2):
            mean = series[k, p]
            if p != q:
                inside = total[k, q] - total[k, p + 1]
                mean = rate[row] * (head[row] * mean + inside + tail[row] * series[k, q])
            square += ((vx[j] if k == 0 else vy[j]) - mean) ** 2
        out[j] = square / variance[j]


@kernel(error_model="numpy")
def _add_up(
    span: tuple[NDArray, NDArray],
    mission: NDArray,
    unknown: int,
    missions: int,
    pair: NDArray,
    used: NDArray,
    excess: NDArray,
    worth: NDArray,
    out: tuple[NDArray, ...],
) -> None:  # pragma: no cover - compiled
    """Add up over each cell of one pixel what the pairs that overlap it are, and by how much they are off.

    ``out`` are the numbers of used and of judged pairs, whether all used ones are of one mission, and the
    sums of excess and of worth of those that are judged, shape (M,) each.
    """
    first, last = span
    n, known, alone, total, freedom = out
    cells = len(n)
    count = np.zeros((missions, cells + 1), dtype=np.int64)
    judged, sums = np.zeros(cells + 1, dtype=np.int64), np.zeros((2, cells + 1))
    for j in range(len(pair)):
        begin, end = first[pair[j]], last[pair[j]] + 1
        if used[j]:
            count[mission[pair[j]], begin] += 1
            count[mission[pair[j]], end] -= 1
        if np.isfinite(excess[j]):
            judged[begin] += 1
            judged[end] -= 1
            amount = excess[j] * worth[j]
            sums[0, begin] += amount
            sums[0, end] -= amount
            sums[1, begin] += worth[j]
            sums[1, end] -= worth[j]
    for c in range(cells):
        largest, together = 0, 0
        for m in range(missions):
            if c > 0:
                count[m, c] += count[m, c - 1]
            together += count[m, c]
            largest = max(largest, count[m, c])
        if c > 0:
            judged[c] += judged[c - 1]
            sums[0, c] += sums[0, c - 1]
            sums[1, c] += sums[1, c - 1]
        n[c], known[c] = together, judged[c]
        alone[c] = together > 0 and largest == together and count[unknown, c] == 0
        total[c], freedom[c] = sums[0, c], sums[1, c]


def flags_of_flow(series: Mapping[str, NDArray], coverage: NDArray) -> NDArray[np.int16]:
    """Judge the flow of each cell.

    ``direction_reversed``: the cell flows against the median velocity of its series: the component along
    that is below 0 by more than 1.96 of its standard deviations. ``below_noise``: the interval of the speed
    begins at 0 (`itslive_core.series.rice`). ``extrapolated``: no used pair overlaps the cell. Without
    standard deviations the first two are not known and not set.

    Parameters
    ----------
    series : mapping of ndarray, shape (..., M)
        ``vx, vy, v`` and, where they are known, ``vx_std, vy_std, v_std`` [m/yr].
    coverage : ndarray, shape (..., M)
        Fraction of the cell inside the union of the spans.

    Returns
    -------
    ndarray of int16, shape (..., M)
    """
    vx, vy, v = series["vx"], series["vy"], series["v"]
    flags = np.where(coverage == 0.0, EXTRAPOLATED, 0).astype(np.int16)
    vx_std, vy_std, v_std = (series.get(f"{name}_std") for name in ("vx", "vy", "v"))
    if vx_std is None or vy_std is None or v_std is None or v.shape[-1] == 0:
        return flags
    mx, my = (_median(component) for component in (vx, vy))
    along = vx * mx + vy * my
    reversed_ = along < -BAND_REACH * np.hypot(vx_std * mx, vy_std * my)
    flags |= np.where(reversed_, DIRECTION_REVERSED, 0).astype(np.int16)
    flags |= np.where(v <= CLEAR_OF_NOISE * v_std, BELOW_NOISE, 0).astype(np.int16)
    return flags


def quality_of(
    flags: NDArray[np.int16], series: Mapping[str, NDArray], coverage: NDArray
) -> NDArray[np.int16]:
    """Give the variable ``quality``: the flags of pairs, and those of the flow.

    A cell without a value has no flag but ``extrapolated``, where no pair overlaps it: there is nothing to
    judge.

    Parameters
    ----------
    flags : ndarray of int16, shape (..., M)
        From `flags_of_pairs`.
    series, coverage
        As for `flags_of_flow`.

    Returns
    -------
    ndarray of int16, shape (..., M)
    """
    both = flags | flags_of_flow(series, coverage)
    return np.where(np.isnan(series["v"]), both & np.int16(EXTRAPOLATED), both).astype(np.int16)


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median of the known values of each series, shape (..., M) -> (..., 1); NaN without any."""
    rows = values.reshape(-1, values.shape[-1])
    out = np.full(len(rows), np.nan)
    known = np.isfinite(rows).any(axis=1)
    out[known] = np.nanmedian(rows[known], axis=1)
    return out.reshape(*values.shape[:-1], 1)
