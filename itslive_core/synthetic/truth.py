"""The truth behind the synthetic datacube: two glaciers whose velocity is known everywhere and at all times.

Every term in time is a sum of logistic ramps, whose antiderivative is a sum of softplus functions. So the
mean velocity over any span, which is what an image pair measures, is exact and cheap, and the truth is
smooth: it is not drawn from the piecewise constant series that is fitted to it.

Places are metres in EPSG:3413; times are days since 1970-01-01 UTC; velocities are m/yr along the axes of
the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.support.constants import DAYS_PER_YEAR
from itslive_core.synthetic.terrain import (
    NUNATAK_RADIUS,
    PATCH_RADIUS,
    demo_valleys,
    nunatak_centre,
    patch_centre,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from itslive_core.synthetic.terrain import Valley

__all__ = ["Flow", "days", "true_mean_velocity", "true_velocity"]

_YEARS = np.arange(1984, 2026)
_SURGE_RISE, _SURGE_FALL = 35.0, 60.0


@dataclass(frozen=True)
class _Ramps:
    """A function of time: a constant and a sum of logistic ramps.

    Parameters
    ----------
    base : float
        Value before all ramps.
    height, centre, width : ndarray, shape (k,)
        Step, its date [days] and its time scale [days] (10 % to 90 % takes 4.4 widths).
    """

    base: float
    height: NDArray[np.float64]
    centre: NDArray[np.float64]
    width: NDArray[np.float64]

    def value(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value at each time, the shape of `t`."""
        z = (t[..., None] - self.centre) / self.width
        return self.base + 0.5 * (1.0 + np.tanh(0.5 * z)) @ self.height

    def integral(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Antiderivative at each time [unit times days], the shape of `t`."""
        z = (t[..., None] - self.centre) / self.width
        return self.base * t + np.logaddexp(0.0, z) @ (self.height * self.width)


def days(year: ArrayLike) -> NDArray[np.float64]:
    """Turn decimal years (of 365.25 d) into days since 1970-01-01."""
    return (np.asarray(year, dtype=np.float64) - 1970.0) * DAYS_PER_YEAR


def _season(*, lag: float, rise: float, fall: float) -> _Ramps:
    """Speed-up of spring and slow-down of late summer, in units of the local mean speed.

    The amplitude and the dates differ from year to year and drift: no two years are alike, and no
    periodic function fits them.
    """
    k = _YEARS - 1984.0
    size = 0.20 * (1.0 + 0.38 * np.sin(2.399 * k) + 0.15 * np.sin(0.7 * k))
    onset = days(_YEARS) + 118.0 + 0.5 * (_YEARS - 2005.0) + 9.0 * np.sin(1.7 * k) + lag
    end = onset + 82.0 + 14.0 * np.sin(2.9 * k + 1.0)
    back = end + 75.0
    ones = np.ones_like(size)
    return _Ramps(
        base=0.0,
        height=np.concatenate((size, -1.35 * size, 0.35 * size)),
        centre=np.concatenate((onset, end, back)),
        width=np.concatenate((rise * ones, fall * ones, 1.7 * fall * ones)),
    )


@lru_cache(maxsize=1)
def _rhythms() -> tuple[_Ramps, ...]:
    """Functions of time that all pixels share: trend, season at the front and upstream, event of 2021."""
    trend = _Ramps(
        base=0.60,
        height=np.array([0.34, 0.14, -0.16, 0.12]),
        centre=days([2001.5, 2012.4, 2016.8, 2021.0]),
        width=np.array([400.0, 180.0, 130.0, 250.0]),
    )
    event = _Ramps(
        base=0.0,
        height=np.array([0.22, -0.22]),
        centre=days([2021.60, 2021.82]),
        width=np.array([4.0, 14.0]),
    )
    return (
        trend,
        _season(lag=0.0, rise=6.0, fall=13.0),
        _season(lag=20.0, rise=9.0, fall=20.0),
        event,
    )


@dataclass(frozen=True)
class Flow:
    """The truth at some points.

    Parameters
    ----------
    direction : ndarray, shape (p, 2)
        Unit vector of the flow; zero on rock.
    weights : ndarray, shape (4, p)
        Speed that goes with each function of time that all points share [m/yr].
    wave : ndarray, shape (p,)
        Height of the surge [m/yr].
    onset, stop : ndarray, shape (p,)
        Dates at which the surge comes and goes [days].
    """

    direction: NDArray[np.float64]
    weights: NDArray[np.float64]
    wave: NDArray[np.float64]
    onset: NDArray[np.float64]
    stop: NDArray[np.float64]

    @classmethod
    def at(cls, x: ArrayLike, y: ArrayLike) -> Flow:
        """Set up the truth at points.

        Parameters
        ----------
        x, y : array_like, shape (p,)
            EPSG:3413 [m].
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        fast, surge = demo_valleys()
        direction = np.zeros((x.size, 2))
        weights = np.zeros((len(_rhythms()), x.size))
        wave = np.zeros(x.size)

        along, profile, unit = _inside(fast, x, y)
        reach = along / fast.length
        rock = np.hypot(x - nunatak_centre()[0], y - nunatak_centre()[1]) - NUNATAK_RADIUS
        profile = profile * -np.expm1(-((np.maximum(rock, 0.0) / 150.0) ** 2))
        speed = profile * (6_700.0 * reach**2.3 + 430.0 * -np.expm1(-along / 900.0) + 40.0)
        on = profile > 0.0
        direction[on] = unit[on]
        for row, share in enumerate((np.ones_like(reach), reach, 0.55 * (1.0 - reach), reach**1.5)):
            weights[row, on] = (speed * share)[on]

        along, profile, unit = _inside(surge, x, y)
        on = profile > 0.0
        slow = profile * (30.0 + 30.0 * np.sin(np.pi * np.clip(along / surge.length, 0.0, 1.0)))
        direction[on] = unit[on]
        weights[0, on] = slow[on]
        weights[2, on] = 1.2 * slow[on]
        wave[on] = (profile * 980.0 * np.exp(-(((along - 3_700.0) / 1_150.0) ** 2)))[on]

        away = np.hypot(x - patch_centre()[0], y - patch_centre()[1]) / PATCH_RADIUS
        patch = away < 1.0
        direction[patch] = (0.0, -1.0)
        weights[0, patch] = 9.0 * (1.0 - away[patch] ** 2)
        return cls(
            direction,
            weights,
            wave,
            onset=days(2017.35 + (along - 1_200.0) / 2_800.0),
            stop=days(2019.60 + (along - 1_200.0) / 6_000.0),
        )

    def speed(self, t: ArrayLike) -> NDArray[np.float64]:
        """Speed at given times, shape (n, p) for `t` of shape (n,) [m/yr]."""
        t = np.asarray(t, dtype=np.float64)
        out = np.stack([f.value(t) for f in _rhythms()], axis=-1) @ self.weights
        moving = self.wave > 0.0
        up = 0.5 * (1.0 + np.tanh((t[:, None] - self.onset[moving]) / (2.0 * _SURGE_RISE)))
        down = 0.5 * (1.0 + np.tanh((t[:, None] - self.stop[moving]) / (2.0 * _SURGE_FALL)))
        out[:, moving] += self.wave[moving] * (up - down)
        return out

    def mean_speed(self, start: ArrayLike, end: ArrayLike) -> NDArray[np.float64]:
        """Exact mean speed over spans, shape (n, p) for `start` and `end` of shape (n,) [m/yr]."""
        start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        dates, where = np.unique(np.concatenate((start, end)), return_inverse=True)
        area = np.stack([f.integral(dates) for f in _rhythms()], axis=-1)
        first, last = where[: start.size], where[start.size :]
        span = (end - start)[:, None]
        out = ((area[last] - area[first]) / span) @ self.weights
        moving = self.wave > 0.0
        if moving.any():
            up = _SURGE_RISE * np.logaddexp(0.0, (dates[:, None] - self.onset[moving]) / _SURGE_RISE)
            down = _SURGE_FALL * np.logaddexp(0.0, (dates[:, None] - self.stop[moving]) / _SURGE_FALL)
            surge = up - down
            out[:, moving] += self.wave[moving] * (surge[last] - surge[first]) / span
        return out


def _inside(
    valley: Valley, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Distance down-glacier, profile across (1 in the middle, 0 outside), unit vectors of the flow."""
    along, left, nearest = valley.locate(x, y)
    across = left / valley.half_width[nearest]
    inside = (np.abs(across) < 1.0) & (along >= 0.0) & (along <= valley.length)
    tangent = valley.tangent[nearest]
    normal = np.column_stack((-tangent[:, 1], tangent[:, 0]))
    # Ice keeps its relative place across the valley: the derivative of line + across * width * normal.
    flow = tangent * (1.0 - valley.curvature[nearest] * left)[:, None]
    flow = flow + normal * (across * valley.widening[nearest])[:, None]
    flow /= np.hypot(flow[:, 0], flow[:, 1])[:, None]
    return along.clip(0.0, valley.length), np.where(inside, 1.0 - across**4, 0.0), flow


def _numbers(t: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(t)
    if array.dtype.kind == "M":
        return (array - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    return array.astype(np.float64)


def true_velocity(
    x: ArrayLike, y: ArrayLike, t: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Velocity of the demo at places and times.

    Parameters
    ----------
    x, y : array_like, shape (p,) or ()
        EPSG:3413 [m]; rock and water do not move.
    t : array_like, shape (n,) or ()
        Days since 1970-01-01 UTC, or datetime64.

    Returns
    -------
    vx, vy : ndarray, shape (n, p), without the axes of scalars
        m/yr along the axes of the grid.
    """
    x, y, t = np.broadcast_arrays(x, y)[0], np.broadcast_arrays(x, y)[1], _numbers(t)
    flow = Flow.at(x.ravel(), y.ravel())
    speed = flow.speed(t.ravel())
    return _components(flow, speed, t.shape + x.shape)


def true_mean_velocity(
    x: ArrayLike, y: ArrayLike, start: ArrayLike, end: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact mean velocity of the demo over spans of time: what an ideal image pair, or a cell, should read.

    Parameters
    ----------
    x, y : array_like, shape (p,) or ()
        EPSG:3413 [m].
    start, end : array_like, shape (n,) or ()
        Days since 1970-01-01 UTC, or datetime64; `start` before `end`.

    Returns
    -------
    vx, vy : ndarray, shape (n, p), without the axes of scalars
        m/yr along the axes of the grid.
    """
    x, y = np.broadcast_arrays(x, y)
    start, end = np.broadcast_arrays(_numbers(start), _numbers(end))
    flow = Flow.at(x.ravel(), y.ravel())
    speed = flow.mean_speed(start.ravel(), end.ravel())
    return _components(flow, speed, start.shape + x.shape)


def _components(
    flow: Flow, speed: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    vx, vy = speed * flow.direction[:, 0], speed * flow.direction[:, 1]
    return vx.reshape(shape), vy.reshape(shape)
