"""Speed over time and distance as a picture: what is known, what is below the noise, and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dashboard.state.pictures import nice_limit
from itslive_core.series.quality import BELOW_NOISE, EXTRAPOLATED
from itslive_core.support.band_level import BAND_REACH

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["SpaceTime", "across", "anomaly_of", "known_cells", "picture_of", "sighting_cells"]

_TITLES = {"speed": "Speed [m/yr]", "anomaly": "Speed less its mean there [m/yr]"}


@dataclass(frozen=True, eq=False)
class SpaceTime:
    """A picture of time and distance.

    Parameters
    ----------
    time : ndarray of datetime64, shape (m,)
        Centres of the cells.
    interval : float
        Their width [days].
    distance : ndarray, shape (p,)
        Of the points along the line [m].
    values : ndarray, shape (p, m)
        What is told from noise; NaN elsewhere.
    noise : ndarray, shape (p, m)
        1 where pairs are, but cannot tell the value from noise; NaN elsewhere.
    limits : (float, float)
        Of the scale of colours.
    title : str
    quantity : {"speed", "anomaly"}
    """

    time: NDArray[np.datetime64]
    interval: float
    distance: NDArray[np.float64]
    values: NDArray[np.float32]
    noise: NDArray[np.float32]
    limits: tuple[float, float]
    title: str
    quantity: str

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Edges: first time [ms since 1970], first distance [m], last time, last distance."""
        times = self.time.astype("datetime64[ms]").astype(float)
        half, reach = self.interval * 43.2e6, self.spacing / 2
        first, last = self.distance[[0, -1]]
        return times[0] - half, float(first) - reach, times[-1] + half, float(last) + reach

    @property
    def spacing(self) -> float:
        """Distance between points [m]."""
        return float(self.distance[1] - self.distance[0]) if len(self.distance) > 1 else 1.0


def known_cells(ds: xr.Dataset) -> NDArray[np.bool_]:
    """Say where pairs are: elsewhere an estimate, if there is one, only continues its neighbours.

    Returns
    -------
    ndarray of bool, shape (time, distance)
    """
    extrapolated = (ds["quality"].values & EXTRAPOLATED) > 0 if "quality" in ds else False
    known: NDArray[np.bool_] = np.isfinite(ds["v"].values) & (ds["n_pairs"].values > 0) & ~extrapolated
    return known


def anomaly_of(ds: xr.Dataset) -> NDArray[np.float64]:
    """Return the speed less the mean of the cells with pairs at each point, shape (time, distance) [m/yr]."""
    speed = np.asarray(ds["v"].values, dtype=float)
    known = known_cells(ds)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, speed, 0.0).sum(axis=0) / count
    return speed - mean


def _below_noise(ds: xr.Dataset, quantity: str) -> NDArray[np.bool_]:
    if quantity == "anomaly":
        std = np.asarray(ds["v_std"].values, dtype=float)
        return ~(np.abs(anomaly_of(ds)) > BAND_REACH * std)  # unknown errors tell nothing from noise
    flags: NDArray[np.bool_] = (ds["quality"].values & BELOW_NOISE) > 0
    return flags


def picture_of(ds: xr.Dataset, quantity: str, at_least: float = 0.0) -> SpaceTime:
    """Make the picture of a profile.

    Parameters
    ----------
    ds : xarray.Dataset
        From `itslive_core.profile`: dimensions (time, distance).
    quantity : {"speed", "anomaly"}
    at_least : float
        The upper end of the colours so far.
    """
    known, faint = known_cells(ds), _below_noise(ds, quantity)
    values = anomaly_of(ds) if quantity == "anomaly" else np.asarray(ds["v"].values, dtype=float)
    shown = np.where(known & ~faint, values, np.nan).astype(np.float32).T
    noise = np.where(known & faint, 1.0, np.nan).astype(np.float32).T
    limit = nice_limit(np.abs(shown), at_least)
    low = -limit if quantity == "anomaly" else 0.0
    edges = ds["time_bnds"].values
    width = float((edges[0, 1] - edges[0, 0]) / np.timedelta64(1, "D")) if len(edges) else 1.0
    return SpaceTime(
        ds["time"].values,
        width,
        ds["distance"].values,
        shown,
        noise,
        (low, limit),
        _TITLES[quantity],
        quantity,
    )


def across(ds: xr.Dataset | None, moment: np.datetime64 | None, quantity: str) -> pd.DataFrame:
    """Return the profile at a time: by point the value and its band, NaN in gaps.

    Returns
    -------
    DataFrame
        Columns distance [m]; value, low, high [m/yr]; clear, which is `value` where it is told from noise.
        Without a time, or where it is outside of the series, there is no row.
    """
    columns = ("distance", "value", "low", "high", "clear")
    if ds is None or moment is None or not ds.sizes["time"]:
        return pd.DataFrame({name: np.empty(0) for name in columns})
    edges = ds["time_bnds"].values
    at = int(np.searchsorted(edges[:, 1], moment, "right"))
    if at >= len(edges) or moment < edges[at, 0]:
        return pd.DataFrame({name: np.empty(0) for name in columns})
    known = known_cells(ds)[at]
    values = anomaly_of(ds)[at] if quantity == "anomaly" else np.asarray(ds["v"].values[at], dtype=float)
    if quantity == "speed" and "v_lower" in ds:
        low, high = (np.asarray(ds[name].values[at], dtype=float) for name in ("v_lower", "v_upper"))
    else:
        reach = BAND_REACH * np.asarray(ds["v_std"].values[at], dtype=float)
        low, high = values - reach, values + reach
    clear = known & ~_below_noise(ds, quantity)[at]
    found = {"value": (values, known), "low": (low, known), "high": (high, known), "clear": (values, clear)}
    return pd.DataFrame(
        {"distance": ds["distance"].values}
        | {name: np.where(keep, array, np.nan) for name, (array, keep) in found.items()}
    )


def sighting_cells(
    ds: xr.Dataset, moment: np.datetime64, distance: float, pixel: float
) -> tuple[float, float]:
    """Return what cannot be told apart at a time and a place: days, and metres.

    Parameters
    ----------
    ds : xarray.Dataset
        A profile.
    moment : datetime64
    distance : float
        Along the line [m].
    pixel : float
        Size of a pixel [m].

    Returns
    -------
    days, metres : float
        The cell, or the temporal resolution where it is known and coarser; spacing or pixel.
    """
    edges, along = ds["time_bnds"].values, ds["distance"].values
    days = float((edges[0, 1] - edges[0, 0]) / np.timedelta64(1, "D"))
    point = int(np.argmin(np.abs(along - distance)))
    if "resolution" in ds:
        cell = int(np.argmin(np.abs(ds["time"].values - moment)))
        coarse = float(ds["resolution"].values[cell, point])
        days = max(days, coarse) if np.isfinite(coarse) else days
    spacing = float(along[1] - along[0]) if len(along) > 1 else 0.0
    return days, max(spacing, pixel)
