"""What is left of a span class of a mission, judged as a whole: single pairs of slow ice are mostly noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.two_classes import FLOOR, SHARE
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import MAD_TO_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.filters.monthly_series import MonthlyPairs
    from itslive_core.filters.two_classes import Judged

__all__ = ["LEAST_GROUP", "LEAST_SD", "add_mean_rows", "judge_together"]

LEAST_GROUP = 10
"""Fewest pairs that are judged together."""
LEAST_SD = 1.0
"""Least noise [m/yr]."""
_SIGNIFICANT = 4.0
"""They are rejected if their median lacks more than this many standard deviations."""
_MEDIAN_VARIANCE = 1.57
"""Variance of the median of n normal numbers, times n."""


@kernel(error_model="numpy")
def add_mean_rows(
    pairs: MonthlyPairs, count: NDArray, keep: NDArray, mean: NDArray
) -> None:  # pragma: no cover - compiled
    """Average the rows of the span operator over the kept pairs of each mission, mean (missions, M)."""
    spans = pairs.spans
    for j in range(len(keep)):
        if keep[j]:
            m, p, q = pairs.mission[j], spans.first[j], spans.last[j]
            if p == q:
                mean[m, p] += 1.0 / count[m]
                continue
            rate = spans.rate[j] / count[m]
            mean[m, p] += spans.head[j] * rate
            mean[m, q] += spans.tail[j] * rate
            for k in range(p + 1, q):
                mean[m, k] += rate


@kernel(error_model="numpy")
def judge_together(
    judged: Judged, offset: NDArray, variance: NDArray, count: NDArray, keep: NDArray
) -> None:  # pragma: no cover - compiled
    """Reject what is left of a mission if the median of what its pairs lack is too much.

    Parameters
    ----------
    judged : Judged
        n pairs.
    offset, variance, count : ndarray, shape (missions,)
        Share by which a mission reads more than the reference, variance of what the reference says about the
        mean of its kept pairs [m^2/yr^2], and their number.
    keep : ndarray of bool, shape (n,)
        Loses pairs.
    """
    n = len(keep)
    least, lack, noise = np.empty(n), np.empty(n), np.empty(n)
    for m in range(len(offset)):
        if count[m] < LEAST_GROUP:
            continue
        i = 0
        for j in range(n):
            if keep[j] and judged.mission[j] == m:
                least[i] = (1.0 + offset[m]) * judged.least[j]
                lack[i] = least[i] - judged.along[j]
                noise[i] = judged.noise[j]
                i += 1
        typical, level, scatter = median(lack[:i]), median(least[:i]), median(noise[:i])
        for k in range(i):
            lack[k] = abs(lack[k] - typical)
        scatter = max(MAD_TO_STD * median(lack[:i]), scatter)
        sd = np.sqrt(variance[m] + _MEDIAN_VARIANCE * scatter**2 / i + LEAST_SD**2)
        if level > 0.0 and typical > max(SHARE * level, _SIGNIFICANT * sd, FLOOR):
            for j in range(n):
                if judged.mission[j] == m:
                    keep[j] = False
