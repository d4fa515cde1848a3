"""The observations of one pixel, what is learnt of them, and what they look like before anything is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import FAST
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel
from itslive_core.support.constants import DAYS_PER_YEAR, RAYLEIGH_MEDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.bands.spans import Spans

__all__ = ["LearntHere", "ObservedPairs", "Typical"]

_BEST = 0.1
"""Share of the pairs that measure displacements best."""


class ObservedPairs(NamedTuple):
    """The observations of one pixel, and what their noise depends on.

    Parameters
    ----------
    spans : Spans
        n rows, cells counted from the pixel's first one.
    first_time, interval : float
        Start of that cell [days since 1970-01-01] and h [days].
    start, end : ndarray, shape (n,)
        Dates [days since 1970-01-01].
    vx, vy : ndarray, shape (n,)
        [m/yr]
    formal : ndarray, shape (n,)
        Formal variance [m^2/yr^2].
    mission, first_image, second_image : ndarray of int64, shape (n,)
    images : int
        Images are numbered below it.
    """

    spans: Spans
    first_time: float
    interval: float
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    formal: NDArray[np.float64]
    mission: NDArray[np.int64]
    first_image: NDArray[np.int64]
    second_image: NDArray[np.int64]
    images: int


class LearntHere(NamedTuple):
    """What is learnt at one pixel, beside the series: parts of the arrays of `Learnt`, changed in place.

    Parameters
    ----------
    u, credit : ndarray, shape (n,)
        1 at the beginning.
    variance : ndarray, shape (n,)
        The formal variance at the beginning; becomes that of the noise [m^2/yr^2].
    scale, floor, jitter : ndarray, shape (missions,)
        Squares, as `mission_noise` gives them.
    """

    u: NDArray[np.float64]
    credit: NDArray[np.float64]
    variance: NDArray[np.float64]
    scale: NDArray[np.float64]
    floor: NDArray[np.float64]
    jitter: NDArray[np.float64]


@dataclass(eq=False)
class Typical:
    """What the data look like before anything is fitted, the same in every frame.

    Parameters
    ----------
    speed : float
        Length of the geometric median of the velocities, or the noise of the best pairs where that is more
        [m/yr].
    spread : float
        Robust standard deviation of a component about it [m/yr].
    position : float
        Noise of the displacements that are measured best [m].
    """

    speed: float
    spread: float
    position: float

    @classmethod
    def of(cls, pairs: ObservedPairs) -> Typical:
        """Look at the pairs of a pixel."""
        centre = np.array([median(pairs.vx), median(pairs.vy)])
        apart = np.empty(len(pairs.vx))
        geometric_median(pairs.vx, pairs.vy, centre, apart)
        noise = float(np.sqrt(len(pairs.formal) / (1.0 / pairs.formal).sum()))
        years = (pairs.end - pairs.start) / DAYS_PER_YEAR
        return cls(
            speed=float(np.hypot(np.hypot(*centre), noise)),
            spread=float(median(apart)) / RAYLEIGH_MEDIAN,
            position=float(np.quantile(np.sqrt(pairs.formal) * years, _BEST)),
        )


@kernel(fastmath=FAST, error_model="numpy")
def geometric_median(
    vx: NDArray, vy: NDArray, centre: NDArray, apart: NDArray
) -> None:  # pragma: no cover - compiled
    """Find the velocity of least summed distance, by Weiszfeld's iteration.

    It turns with the axes, which the medians of components do not.

    Parameters
    ----------
    vx, vy : ndarray, shape (n,)
        [m/yr]
    centre : ndarray, shape (2,)
        Where to start; becomes the median.
    apart : ndarray, shape (n,)
        Receives the distance of each pair from it.
    """
    for _ in range(30):
        total, x, y = 0.0, 0.0, 0.0
        for j in range(len(vx)):
            x_off, y_off = vx[j] - centre[0], vy[j] - centre[1]
            near = 1.0 / max(np.sqrt(x_off * x_off + y_off * y_off), 1e-9)
            total += near
            x += near * vx[j]
            y += near * vy[j]
        moved = np.hypot(x / total - centre[0], y / total - centre[1])
        centre[0], centre[1] = x / total, y / total
        if moved <= 1e-9 * np.hypot(centre[0], centre[1]):
            break
    for j in range(len(vx)):
        apart[j] = np.hypot(vx[j] - centre[0], vy[j] - centre[1])
