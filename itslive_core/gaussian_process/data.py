"""What the Gaussian process sees of a pixel: both components in a frame and units of their own.

Frame and units follow from the scatter of the pairs alone. The centre is the spatial median; the major axis
is that of the largest scatter, the first eigenvector of the spatial sign covariance (Visuri, Koivunen and
Oja, 2000, Journal of Statistical Planning and Inference 91, 557); the unit is the median absolute deviation
along it. Whoever turns, shifts or scales the velocities turns, shifts or scales what is found, and the order
of the pairs means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.gaussian_process.component import Component
from itslive_core.gaussian_process.shared_images import SharedImages
from itslive_core.observations.missions import MISSIONS, missions_with_offset
from itslive_core.observations.weights import observation_variance
from itslive_core.support.constants import DAYS_PER_YEAR, MAD_TO_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import StateLayout
    from itslive_core.gaussian_process.model import KernelShape
    from itslive_core.observations.time_grid import SpanOperator

__all__ = ["DENSE_YEARS", "PixelData", "dense_rows"]

_SHORT = 60.0
_LEAST_SHORT = 20
DENSE_YEARS = 12.0
"""Years of which the fast parts are learnt."""
_LEAST_DENSE = 1000
_MEDIAN_PASSES = 200


@dataclass(frozen=True, eq=False)
class PixelData:
    """The used pairs of a pixel in order of time, in the frame of their scatter.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Spans [days since 1970-01-01].
    mission : ndarray of int, shape (n,)
        Positions in `MISSIONS`.
    values : ndarray, shape (2, n)
        Velocity along the major and the minor axis, less that of the centre [m/yr].
    error2 : ndarray, shape (n,)
        Squared formal error of a component, the mean of both [m^2/yr^2].
    inflation : ndarray, shape (n,)
        Known factors of the noise variance.
    axis : tuple of float
        Cosine and sine of the major axis's angle from x towards y.
    centre : tuple of float
        Velocity of the centre along both axes [m/yr].
    scale : float
        Unit of both axes [m/yr].
    flow : tuple of float
        Cosine and sine of the median flow's angle from x towards y.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    mission: NDArray[np.int64]
    values: NDArray[np.float64]
    error2: NDArray[np.float64]
    inflation: NDArray[np.float64]
    axis: tuple[float, float]
    centre: tuple[float, float]
    scale: float
    flow: tuple[float, float]

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
        """Sort pairs and turn them into the frame of their scatter.

        The direction of the flow, in which results are told, is that of the median velocity of the pairs of
        at most 60 days, which no lock on something that stands still has bent; of all, where those are few.
        """
        n = len(start)
        known = np.ones(n) if inflation is None else inflation
        order = np.lexsort((known, vy_error, vx_error, vy, vx, mission, end, start))
        start, end, mission, known = start[order], end[order], mission[order], known[order]
        vx, vy, vx_error, vy_error = vx[order], vy[order], vx_error[order], vy_error[order]
        variance = observation_variance(
            "error", np.array([0, n]), np.arange(n, dtype=np.int32), end - start, vx_error, vy_error, mission
        )
        v = np.stack([vx, vy])
        flow = _unit(np.median(v[:, _short(start, end)], axis=1))
        centre = _spatial_median(v)
        apart = v - centre[:, None]
        c, s = _major_axis(apart, flow)
        turn = np.array([[c, s], [-s, c]])
        values = turn @ apart
        scale = MAD_TO_STD * float(np.median(np.abs(values[0]))) or float(np.std(values))
        return cls(
            start=start,
            end=end,
            mission=np.asarray(mission, dtype=np.int64),
            values=values,
            error2=variance,
            inflation=known,
            axis=(c, s),
            centre=tuple((turn @ centre).tolist()),
            scale=scale if scale > 0 else float(np.sqrt(np.median(variance))),
            flow=flow,
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

    @property
    def flow_in_frame(self) -> tuple[float, float]:
        """Cosine and sine of the flow's angle from the major towards the minor axis."""
        (c, s), (x, y) = self.axis, self.flow
        return c * x + s * y, c * y - s * x

    def departures(
        self, noise: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Find what three successive pairs saw alike, away from the centre and beyond noise.

        On one axis and to one side, of the short pairs in order of their middle, one of each dates: what a
        lone pair says is not counted, nor what is within three standard deviations of it.

        Parameters
        ----------
        noise : ndarray, shape (n,)
            Scale^2 of the noise of every pair, in units of `scale`.

        Returns
        -------
        begin, end : ndarray, shape (k,)
            Dates that the three hold between them [days since 1970-01-01].
        size : ndarray, shape (k,)
            The least of the three departures, in units of `scale`; 0 where they do not agree.
        """
        rows = np.flatnonzero(_short(self.start, self.end))
        days = np.round(np.stack([(self.start + self.end)[rows], self.end[rows]]))
        rows = rows[np.unique(days, axis=1, return_index=True)[1]]
        three = rows[np.arange(max(len(rows) - 2, 0))[:, None] + np.arange(3)]
        d, within = self.values[:, three] / self.scale, 3.0 * np.sqrt(noise[three])
        least = np.stack([d - within, -d - within]).min(axis=-1)
        size = np.maximum(least.reshape(4, -1).max(axis=0), 0.0)
        return self.start[three].min(axis=1), self.end[three].max(axis=1), size

    @cached_property
    def images(self) -> SharedImages:
        """Which pairs share images."""
        return SharedImages.of(self.start, self.end, self.mission)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pairs of each mission of `MISSIONS`."""
        return np.bincount(self.mission, minlength=len(MISSIONS))

    def offset_missions(self) -> tuple[int, ...]:
        """Give the missions that get an offset."""
        return missions_with_offset(self.counts)

    def components(
        self, shape: KernelShape, layout: StateLayout, operator: SpanOperator, offsets: tuple[int, ...]
    ) -> list[Component]:
        """Put both axes on a grid.

        Parameters
        ----------
        shape : KernelShape
        layout : StateLayout
        operator : SpanOperator
            Rows of these pairs.
        offsets : tuple of int
            Missions with an offset.
        """
        missions = tuple(int(m) for m in np.unique(self.mission))
        columns = np.stack([np.ones(len(self)), *(1.0 * (self.mission == m) for m in offsets)])
        return [
            Component(
                shape=shape,
                layout=layout,
                operator=operator,
                y=d / self.scale,
                error2=self.error2 / self.scale**2,
                inflation=self.inflation,
                group=np.searchsorted(missions, self.mission),
                missions=missions,
                columns=columns,
                minor=k == 1,
                centre=self.centre[k],
                scale=self.scale,
            )
            for k, d in enumerate(self.values)
        ]


def _short(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which pairs are short; all of them where few are."""
    short = end - start <= _SHORT
    return short if short.sum() >= _LEAST_SHORT else np.ones(len(start), dtype=bool)


def _unit(v: NDArray[np.float64]) -> tuple[float, float]:
    """Give the direction of a vector; x where it is 0."""
    length = float(np.hypot(*v))
    return (float(v[0]) / length, float(v[1]) / length) if length > 0 else (1.0, 0.0)


def _spatial_median(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the point with the least sum of distances, shape (2,), by Weiszfeld's iteration."""
    centre = np.median(v, axis=1)
    for _ in range(_MEDIAN_PASSES):
        away = np.hypot(*(v - centre[:, None]))
        # A pair on the spot would weigh infinitely: within a millionth of the rest, it counts as that far.
        near = 1e-6 * float(np.mean(away))
        if near == 0.0:
            break
        weight = 1.0 / np.maximum(away, near)
        before, centre = centre, v @ weight / weight.sum()
        if np.hypot(*(centre - before)) < near:
            break
    return centre


def _major_axis(apart: NDArray[np.float64], flow: tuple[float, float]) -> tuple[float, float]:
    """Give the direction of largest scatter, on the side of the flow."""
    away = np.hypot(*apart)
    signs = apart / np.where(away > 0, away, 1.0)
    if not (away > 0).any():
        return flow
    # Twice the angle: its mean direction is that of the first eigenvector.
    angle = 0.5 * float(np.arctan2(2 * np.sum(signs[0] * signs[1]), np.sum(signs[0] ** 2 - signs[1] ** 2)))
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return (c, s) if c * flow[0] + s * flow[1] >= 0 else (-c, -s)


def dense_rows(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the pairs to learn the fast parts of the kernel from: those of the twelve years that hold most.

    Where those are fewer than a thousand, all are needed.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Spans [days].
    """
    length = DENSE_YEARS * DAYS_PER_YEAR
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
