"""Filters of the field on the values of pairs, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.monthly_series import CELL, MonthlyPairs, fit_series
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import MAD_TO_STD, RAYLEIGH_MEDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.batches import Observations

__all__ = ["SIGNIFICANT", "flow_and_scatter", "turned_away", "vector_deviations"]

SIGNIFICANT = 3.0
"""Where the median flow is slower than this times the scatter across it, directions of pairs are noise."""

_LEAST_PAIRS = 20
_LEAST_GROUP = 10
_RELATIVE = 0.03
"""Scatter of pairs that is in proportion to the speed."""
_WITHIN = 0.1
"""Scatter of short pairs within a month, as a share of the change of the series over two months."""
_LEAST_SCATTER = 1.0
"""Values are stored in whole m/yr: scatter below that is not known."""


def flow_and_scatter(vx: NDArray[np.float64], vy: NDArray[np.float64]) -> tuple[float, float, float]:
    """Give the median flow of a pixel, and the robust scatter of its pairs across it.

    Across, because the flow along it changes with the season and in surges.

    Parameters
    ----------
    vx, vy : ndarray, shape (n,)

    Returns
    -------
    vx, vy : float
        Median [m/yr].
    scatter : float
        Standard deviation of the component across it [m/yr]; all are 0 without observations.
    """
    if len(vx) == 0:
        return 0.0, 0.0, 0.0
    x, y = median(vx), median(vy)
    speed = float(np.hypot(x, y))
    ex, ey = (x / speed, y / speed) if speed > 0.0 else (1.0, 0.0)
    return x, y, MAD_TO_STD * median(np.abs(vy * ex - vx * ey))


def turned_away(observations: Observations, angle: float) -> NDArray[np.bool_]:
    """Find the pairs whose direction differs from the median flow by more than an angle.

    Pixels whose median flow is not clear of the scatter are left alone.

    Parameters
    ----------
    observations : Observations
        n observations.
    angle : float
        [degrees].

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    turned = np.zeros(len(observations.pair), dtype=np.bool_)
    cosine = np.cos(np.radians(angle))
    for here in observations.pixels():
        vx, vy = observations.vx[here], observations.vy[here]
        x, y, scatter = flow_and_scatter(vx, vy)
        speed = np.hypot(x, y)
        if speed > SIGNIFICANT * scatter:
            turned[here] = vx * x + vy * y < cosine * speed * np.hypot(vx, vy)
    return turned


def vector_deviations(
    observations: Observations, pairs: MonthlyPairs, classes: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Give for every pair how far it is from what the others say over its own span, as a modified z-score.

    The others are a robust monthly series through all pairs. The length of the deviation vector is held
    against what is usual: the noise of the mission over the span, a share of the speed, and for short pairs
    the change within a month; times the median of that ratio over the pairs of the same mission and span
    class (of the class, or of all, where they are fewer than ten). A score of 1 is one standard deviation of
    a component where the noise is normal.

    Parameters
    ----------
    observations : Observations
        n observations.
    pairs : MonthlyPairs
        The table that they refer to.
    classes : ndarray of int8, shape (T,)
        Span class of each pair.

    Returns
    -------
    ndarray, shape (n,)
        0 for pixels with fewer than 20 pairs.
    """
    score = np.zeros(len(observations.pair))
    for here in observations.pixels():
        if here.stop - here.start < _LEAST_PAIRS:
            continue
        own, x, y = observations.pair[here], observations.vx[here], observations.vy[here]
        of_pixel, _, size = pairs.of_pixel(own)
        mx, my = median(x), median(y)
        speed = float(np.hypot(mx, my))
        if speed == 0.0:
            mx, speed = 1.0, 1.0
        along = (x * mx + y * my) / speed
        across = (y * mx - x * my) / speed
        series = fit_series(of_pixel, along, across, speed, size)
        length = np.hypot(series.residual[0], series.residual[1])
        pace = np.hypot(along - series.residual[0], across - series.residual[1])
        usual = np.empty(len(own))
        _usual_deviations(of_pixel, series.values, series.noise, pace, usual)
        _score(length, usual, classes[own], of_pixel.mission, score[here])
    return score


@kernel(error_model="numpy")
def _usual_deviations(
    pairs: MonthlyPairs, series: NDArray, noise: NDArray, pace: NDArray, usual: NDArray
) -> None:  # pragma: no cover - compiled
    """Say how far a pair may be off: by noise of its mission, a share of the speed, change within a month.

    ``pace`` is the speed of the series over each pair's span, shape (n,).
    """
    size = series.shape[1]
    for j in range(len(pace)):
        middle = (pairs.spans.first[j] + pairs.spans.last[j]) // 2
        before, after = max(middle - 1, 0), min(middle + 1, size - 1)
        slope = np.hypot(series[0, after] - series[0, before], series[1, after] - series[1, before])
        within = _WITHIN * slope * min(1.0, CELL / pairs.span[j])
        of_noise, of_speed = noise[pairs.mission[j]] / pairs.span[j], _RELATIVE * pace[j]
        usual[j] = np.sqrt(of_noise**2 + of_speed**2 + within**2)


@kernel(error_model="numpy")
def _score(
    length: NDArray, usual: NDArray, classes: NDArray, mission: NDArray, score: NDArray
) -> None:  # pragma: no cover - compiled
    """Hold deviations against what is usual, and against those of the same mission and span class."""
    n = len(length)
    ratio, own, highest_class, highest_mission = np.empty(n), np.empty(n), 0, 0
    for j in range(n):
        ratio[j] = length[j] / usual[j]
        highest_class = max(highest_class, classes[j])
        highest_mission = max(highest_mission, mission[j])
    of_all = median(ratio)
    for c in range(highest_class + 1):
        count = 0
        for j in range(n):
            if classes[j] == c:
                own[count] = ratio[j]
                count += 1
        of_class = median(own[:count]) if count >= _LEAST_GROUP else of_all
        for m in range(highest_mission + 1):
            count = 0
            for j in range(n):
                if classes[j] == c and mission[j] == m:
                    own[count] = ratio[j]
                    count += 1
            typical = median(own[:count]) if count >= _LEAST_GROUP else of_class
            for j in range(n):
                if classes[j] == c and mission[j] == m:
                    score[j] = length[j] / max(usual[j] * typical / RAYLEIGH_MEDIAN, _LEAST_SCATTER)
