"""Acceleration along the flow, with errors that know that cells err together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.physics.fields import correlation_in_time, described
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["acceleration"]


def acceleration(
    series: xr.Dataset, *, window: float = 90.0, correlation_time: float | None = None
) -> xr.Dataset:
    """Give the acceleration along the flow: the slope of a straight line through the cells of a window.

    Parameters
    ----------
    series : xarray.Dataset
        An estimate of a point, or of an area: ``vx, vy`` and, for errors, ``vx_std, vy_std`` [m/yr], along
        ``time``.
    window : float
        Length of the window around each cell [days]; at least three cells.
    correlation_time : float, optional
        tau of `itslive_core.physics.fields.correlation_in_time` [days]. By default what the effective degrees
        of freedom of a point say; errors of an area are taken as independent, which gives an upper limit for
        windows that are short beside tau.

    Returns
    -------
    xarray.Dataset
        ``acceleration`` [m/yr^2] along the mean flow of the window and, with errors, ``acceleration_std``;
        NaN where a cell of the window is missing.

    Raises
    ------
    SettingsError
        If that is no series, or the window holds fewer than three cells.
    """
    if "vx" not in series or "time" not in series["vx"].dims or series.sizes["time"] < 3:
        raise SettingsError("that is no series of three or more cells: give vx and vy along time")
    days = (series["time"].values - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    near = np.abs(days[:, None] - days[None, :]) <= 0.5 * window + 1e-6
    if near.sum(axis=1).max() < 3:
        raise SettingsError(
            f"window is {window!r}: give one of three cells or more ({np.diff(days)[0]:g} d each)"
        )
    whole = near.sum(axis=1) >= near.sum(axis=1).max()  # windows at the ends are cut: no slope is given there
    years = np.where(near, (days[None, :] - days[:, None]) / DAYS_PER_YEAR, 0.0)
    centred = np.where(near, years - years.sum(axis=1, keepdims=True) / near.sum(axis=1, keepdims=True), 0.0)
    slope = centred / (centred**2).sum(axis=1, keepdims=True)
    slope[~whole] = np.nan
    mean = near / near.sum(axis=1, keepdims=True)
    ordered = series[["vx", "vy"]].transpose("time", ...)
    v = [ordered[name].values.astype(np.float64) for name in ("vx", "vy")]

    def over(weights: Any, values: Any) -> Any:
        # A cell that is missing spoils the windows that hold it, and no others.
        spoilt = np.tensordot(near, np.isnan(values), axes=1) > 0
        return np.where(spoilt, np.nan, np.tensordot(weights, np.nan_to_num(values), axes=1))

    flow = [over(mean, one) for one in v]
    size = np.hypot(*flow)
    along = [one / np.where(size > 0.0, size, np.nan) for one in flow]
    dims = ordered["vx"].dims
    found = sum(over(slope, one) * part for one, part in zip(v, along, strict=True))
    words = {"long_name": "acceleration along the mean flow of the window", "units": "m/yr^2"}
    variables: dict[str, Any] = {"acceleration": (dims, found, words)}
    if {"vx_std", "vy_std"} <= set(series.data_vars):
        correlation = correlation_in_time(series, correlation_time)
        std = [series[f"{n}_std"].transpose("time", ...).values.astype(np.float64) for n in ("vx", "vy")]
        variance = np.zeros_like(found)
        for k in range(len(days)):
            if not whole[k]:
                variance[k] = np.nan
                continue
            inside = np.flatnonzero(near[k])
            weights = slope[k, inside]
            matrix = weights[:, None] * correlation[np.ix_(inside, inside)] * weights
            for one, part in zip(std, along, strict=True):
                variance[k] += part[k] ** 2 * np.einsum("i...,ij,j...->...", one[inside], matrix, one[inside])
        words = {"long_name": "standard deviation of acceleration", "units": "m/yr^2"}
        variables["acceleration_std"] = (dims, np.sqrt(variance), words)
    title = "Acceleration of glacier ice at the surface, from ITS_LIVE image pairs"
    result = described(series, variables, title)
    result.attrs["window"] = float(window)
    return result
