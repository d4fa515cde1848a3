"""The mean of a glacier over a period, and its change against another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.band_level import BAND_REACH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dashboard.control.canvas import Canvas
    from dashboard.state.pictures import Period

__all__ = ["change_between", "mean_over"]

_SEEN = 0.5
"""Share of the cells of a period that a pixel must have: half a year is no mean of a year."""


def mean_over(canvas: Canvas, period: Period) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Average the velocity of every pixel over a period: first the components, then the speed.

    Errors of the cells of a period are taken as if they were all the same one, which no error of theirs
    exceeds: the estimate hands them on from cell to cell.

    Parameters
    ----------
    canvas : Canvas
    period : Period

    Returns
    -------
    speed, std : ndarray, shape (ny, nx)
        Of the mean [m/yr]; NaN where less than half of the period is seen. None where no series are
        kept, or no cell lies in the period.
    """
    flow, times = canvas.flow, canvas.times
    if flow is None or times is None:
        return None
    cells = np.flatnonzero((times >= period.begin) & (times <= period.end))
    if not len(cells):
        return None
    vx, vy, error = (np.asarray(flow[k, cells[0] : cells[-1] + 1], np.float32) for k in range(3))
    known = np.isfinite(vx) & np.isfinite(vy)
    count = known.sum(axis=0)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        total = np.where(known, values, 0.0).sum(axis=0)
        return np.divide(total, count, out=np.full(count.shape, np.nan, np.float32), where=count > 0)

    enough = count >= _SEEN * len(cells)
    speed, std = np.hypot(mean(vx), mean(vy)), mean(error)
    return np.where(enough, speed, np.nan), np.where(enough, std, np.nan)


def change_between(canvas: Canvas, first: Period, second: Period) -> NDArray[np.float32] | None:
    """Tell by how much the mean speed of the first period exceeds that of the second one.

    Parameters
    ----------
    canvas : Canvas
    first, second : Period

    Returns
    -------
    ndarray, shape (ny, nx)
        [m/yr]; NaN where it is within its 95 % interval, where one of both is not known, and where no error
        is. None as for `mean_over`.
    """
    one, other = mean_over(canvas, first), mean_over(canvas, second)
    if one is None or other is None:
        return None
    change = one[0] - other[0]
    with np.errstate(invalid="ignore"):
        clear = np.abs(change) > BAND_REACH * np.hypot(one[1], other[1])
    return np.where(clear, change, np.nan).astype(np.float32)
