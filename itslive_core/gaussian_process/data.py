"""What the Gaussian process sees of a pixel: both components along and across the flow, on a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.arrowhead import Border
from itslive_core.gaussian_process.component import Component
from itslive_core.observations.missions import MISSIONS, missions_with_offset
from itslive_core.observations.weights import observation_variance
from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import StateLayout
    from itslive_core.gaussian_process.model import KernelShape
    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["PixelData", "dense_rows"]

_OFFSET_SHARE, _OFFSET_FLOOR = 0.1, 5.0
"""Prior standard deviation of an offset: a share of the speed, and some m/yr of poor geolocation."""
_LEVEL = 10.0
"""Prior standard deviation of the level, in units of the spread: it leaves the level free."""
_SHORT = 60.0
_LEAST_SHORT = 20
_DENSE_YEARS = 12.0
_LEAST_DENSE = 1000


@dataclass(frozen=True, eq=False)
class PixelData:
    """The used pairs of a pixel, in the frame of its flow.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Spans [days since 1970-01-01].
    mission : ndarray of int, shape (n,)
        Positions in `MISSIONS`.
    values : ndarray, shape (2, n)
        Velocity along and across the flow [m/yr].
    error2 : ndarray, shape (n,)
        Squared formal error of a component, the mean of both [m^2/yr^2].
    inflation : ndarray, shape (n,)
        Known factors of the noise variance.
    direction : tuple of float
        Cosine and sine of the flow's angle from x towards y.
    speed : float
        Median speed along the flow [m/yr].
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    mission: NDArray[np.int64]
    values: NDArray[np.float64]
    error2: NDArray[np.float64]
    inflation: NDArray[np.float64]
    direction: tuple[float, float]
    speed: float

    @classmethod
    def make(
        cls,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        vx: NDArray[np.float64],
        vy: NDArray[np.float64],
        vx_error: NDArray[np.float64],
        vy_error: NDArray[np.float64],
        mission: NDArray[np.integer],
        inflation: NDArray[np.float64] | None = None,
    ) -> PixelData:
        """Turn components into the frame of the flow.

        The direction is that of the median velocity of the pairs of at most 60 days, which no lock on
        something that stands still has bent; of all, where those are few.
        """
        short = end - start <= _SHORT
        if short.sum() < _LEAST_SHORT:
            short = np.ones(len(start), dtype=bool)
        mx, my = float(np.median(vx[short])), float(np.median(vy[short]))
        speed = float(np.hypot(mx, my))
        c, s = (mx / speed, my / speed) if speed > 0 else (1.0, 0.0)
        n = len(start)
        variance = observation_variance(
            "error", np.array([0, n]), np.arange(n, dtype=np.int32), end - start, vx_error, vy_error, mission
        )
        return cls(
            start=start,
            end=end,
            mission=np.asarray(mission, dtype=np.int64),
            values=np.stack([c * vx + s * vy, c * vy - s * vx]),
            error2=variance,
            inflation=np.ones(len(start)) if inflation is None else inflation,
            direction=(c, s),
            speed=speed,
        )

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.start)

    def take(self, rows: NDArray[np.bool_]) -> PixelData:
        """Keep some of the pairs, in the same frame."""
        return replace(
            self,
            start=self.start[rows],
            end=self.end[rows],
            mission=self.mission[rows],
            values=self.values[:, rows],
            error2=self.error2[rows],
            inflation=self.inflation[rows],
        )

    def units(self) -> list[tuple[float, float]]:
        """Give centre and spread of both components [m/yr]: median, and median absolute deviation."""
        found = []
        for d in self.values:
            centre = float(np.median(d))
            spread = MAD_TO_STD * float(np.median(np.abs(d - centre)))
            found.append((centre, spread if spread > 0 else max(float(np.std(d)), 1e-3)))
        return found

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pairs of each mission of `MISSIONS`."""
        return np.bincount(self.mission, minlength=len(MISSIONS))

    def offset_missions(self) -> tuple[int, ...]:
        """Give the missions that get an offset."""
        return missions_with_offset(self.counts)

    def components(
        self,
        shape: KernelShape,
        layout: StateLayout,
        operator: SpanOperator,
        units: list[tuple[float, float]],
        offsets: tuple[int, ...],
    ) -> list[Component]:
        """Put both components on a grid, in given units.

        Parameters
        ----------
        shape : KernelShape
        layout : StateLayout
        operator : SpanOperator
            Rows of these pairs.
        units : list of (centre, scale)
        offsets : tuple of int
            Missions with an offset.
        """
        missions = tuple(int(m) for m in np.unique(self.mission))
        columns = np.stack([np.ones(len(self)), *(1.0 * (self.mission == m) for m in offsets)])
        out = []
        for d, (centre, scale) in zip(self.values, units, strict=True):
            wide = (_OFFSET_SHARE * self.speed + _OFFSET_FLOOR) / scale
            prior = np.array([_LEVEL**2, *(wide**2 for _ in offsets)])
            out.append(
                Component(
                    shape=shape,
                    layout=layout,
                    operator=operator,
                    y=(d - centre) / scale,
                    error2=self.error2 / scale**2,
                    inflation=self.inflation,
                    group=np.searchsorted(missions, self.mission),
                    missions=missions,
                    border=Border(columns, prior),
                    centre=centre,
                    scale=scale,
                )
            )
        return out


def dense_rows(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the pairs to learn the kernel from: those of the twelve years that hold most.

    Where those are fewer than a thousand, all are needed.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Spans [days].
    """
    length = _DENSE_YEARS * DAYS_PER_YEAR
    everything = np.ones(len(start), dtype=bool)
    if len(start) < _LEAST_DENSE or end.max() - start.min() <= length + 2 * DAYS_PER_YEAR:
        return everything
    ends = np.sort(end)
    begins = np.unique(np.floor(start / (DAYS_PER_YEAR / 2))) * (DAYS_PER_YEAR / 2)
    ordered = np.sort(start)
    # Pairs that end before b + length, less those that start before b: right but for spans beyond the window.
    inside = np.searchsorted(ends, begins + length) - np.searchsorted(ordered, begins)
    first = float(begins[np.argmax(inside)])
    rows = (start >= first) & (end < first + length)
    return rows if rows.sum() >= _LEAST_DENSE else everything
