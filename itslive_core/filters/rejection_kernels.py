"""Filters of the field on the values of pairs, pixel by pixel, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.monthly_series import CELL, Rows, fit_series, rows_of_pixel
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["flow_and_scatter", "turned_away", "vector_deviations"]

_LEAST_PAIRS = 20
_LEAST_GROUP = 10
_RELATIVE = 0.03
"""Scatter of pairs that is in proportion to the speed."""
_WITHIN = 0.1
"""Scatter of short pairs within a month, as a share of the change of the series over two months."""
_RAYLEIGH_MEDIAN = 1.1774
"""Median length of a vector whose components are normal with standard deviation 1: sqrt(2 ln 2)."""


@kernel()
def flow_and_scatter(offsets: NDArray, vx: NDArray, vy: NDArray) -> NDArray:  # pragma: no cover - compiled
    """Give the median flow of every pixel, and the robust scatter of its pairs across it.

    Across, because the flow along it changes with the season and in surges.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    vx, vy : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (P, 3)
        Median vx and vy, and standard deviation of the component across them [m/yr]; zero without
        observations.
    """
    out = np.zeros((len(offsets) - 1, 3))
    for p in range(len(offsets) - 1):
        x, y = vx[offsets[p] : offsets[p + 1]], vy[offsets[p] : offsets[p + 1]]
        if len(x) > 0:
            out[p, 0] = np.median(x)
            out[p, 1] = np.median(y)
            speed = np.hypot(out[p, 0], out[p, 1])
            ex, ey = (out[p, 0] / speed, out[p, 1] / speed) if speed > 0.0 else (1.0, 0.0)
            out[p, 2] = 1.4826 * np.median(np.abs(y * ex - x * ey))
    return out


@kernel()
def turned_away(
    offsets: NDArray, vx: NDArray, vy: NDArray, flow: NDArray, cosine: float, significant: float
) -> NDArray:  # pragma: no cover - compiled
    """Find the pairs whose direction differs from the median flow by more than an angle.

    Parameters
    ----------
    offsets, vx, vy
        As in `flow_and_scatter`.
    flow : ndarray, shape (P, 3)
        From `flow_and_scatter`.
    cosine : float
        Of the largest angle.
    significant : float
        Pixels whose median flow is slower than this times the scatter are left alone.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    turned = np.zeros(len(vx), dtype=np.bool_)
    for p in range(len(offsets) - 1):
        x, y, scatter = flow[p]
        speed = np.hypot(x, y)
        if speed > significant * scatter:
            for i in range(offsets[p], offsets[p + 1]):
                turned[i] = vx[i] * x + vy[i] * y < cosine * speed * np.hypot(vx[i], vy[i])
    return turned


@kernel()
def vector_deviations(
    offsets: NDArray, pair: NDArray, rows: Rows, classes: NDArray, n_classes: int, n_missions: int,
    vx: NDArray, vy: NDArray, least: float,
) -> NDArray:  # pragma: no cover - compiled  # fmt: skip
    """Give for every pair how far it is from what the others say over its own span, as a modified z-score.

    The others are a robust monthly series through all pairs. The length of the deviation vector is held
    against what is usual: the noise of the mission over the span, a share of the speed, and for short pairs
    the change within a month; times the median of that ratio over the pairs of the same mission and span
    class (of the class, or of all, where they are fewer than ten). A score of 1 is one standard deviation of
    a component where the noise is normal.

    Parameters
    ----------
    offsets, vx, vy
        As in `flow_and_scatter`.
    pair : ndarray of int, shape (n,)
        Row of each observation.
    rows : Rows
        T pairs on a monthly grid.
    classes : ndarray of int, shape (T,)
        Span class of each pair.
    n_classes, n_missions : int
    least : float
        Least standard deviation [m/yr].

    Returns
    -------
    ndarray, shape (n,)
        0 for pixels with fewer than 20 pairs.
    """
    score = np.zeros(len(vx))
    noise = np.empty(n_missions)
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        n = i1 - i0
        if n < _LEAST_PAIRS:
            continue
        own = pair[i0:i1]
        pairs, _, size = rows_of_pixel(rows, own)
        mission = pairs.mission
        x, y = vx[i0:i1], vy[i0:i1]
        mx, my = np.median(x), np.median(y)
        speed = np.hypot(mx, my)
        if speed == 0.0:
            mx, speed = 1.0, 1.0
        along = (x * mx + y * my) / speed
        across = (y * mx - x * my) / speed
        weights, residual, scale = np.empty(n), np.empty((2, n)), np.empty(size)
        series = np.empty((2, size))
        fit_series(
            pairs, np.arange(n), along, across, speed, size, True, noise, weights, scale, series, residual
        )
        length = np.hypot(residual[0], residual[1])
        usual = np.empty(n)
        for j in range(n):
            pace = np.hypot(along[j] - residual[0, j], across[j] - residual[1, j])
            middle = (pairs.spans.first[j] + pairs.spans.last[j]) // 2
            before, after = max(middle - 1, 0), min(middle + 1, size - 1)
            slope = np.hypot(series[0, after] - series[0, before], series[1, after] - series[1, before])
            within = _WITHIN * slope * min(1.0, CELL / pairs.span[j])
            usual[j] = np.sqrt((noise[mission[j]] / pairs.span[j]) ** 2 + (_RELATIVE * pace) ** 2 + within**2)
        ratio = length / usual
        kind = classes[own]
        for c in range(n_classes):
            alike = np.flatnonzero(kind == c)
            if len(alike) == 0:
                continue
            of_class = np.median(ratio[alike]) if len(alike) >= _LEAST_GROUP else np.median(ratio)
            for m in range(n_missions):
                group = alike[mission[alike] == m]
                typical = np.median(ratio[group]) if len(group) >= _LEAST_GROUP else of_class
                for j in group:
                    score[i0 + j] = length[j] / max(usual[j] * typical / _RAYLEIGH_MEDIAN, least)
    return score
