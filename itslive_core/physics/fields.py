"""Velocity fields as the quantities of this package take them, and what their errors share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["as_field", "correlation_in_time", "crs_of", "described", "steps_of"]


def as_field(area: xr.Dataset) -> xr.Dataset:
    """Take an estimate of an area, or any field of velocities in m/yr.

    Parameters
    ----------
    area : xarray.Dataset
        ``vx``, ``vy`` and, where errors are wanted, ``vx_std``, ``vy_std`` [m/yr], dimensions (time, y, x) or
        (y, x), on a regular grid [m].

    Raises
    ------
    SettingsError
        If it is none.
    """
    missing = [name for name in ("vx", "vy") if name not in area]
    if missing:
        raise SettingsError(f"the dataset has no variable {missing[0]!r}: give the velocities of an area")
    if area["vx"].dims[-2:] != ("y", "x") or min(area.sizes["y"], area.sizes["x"]) < 3:
        raise SettingsError(
            "the velocities are no field: give an area of three or more pixels, dimensions (..., y, x)"
        )
    steps_of(area)
    return area


def steps_of(area: xr.Dataset) -> tuple[float, float]:
    """Give the signed steps of x and of y [m].

    Raises
    ------
    SettingsError
        If the grid is not regular.
    """
    steps = []
    for name in ("x", "y"):
        step = np.diff(area[name].values.astype(np.float64))
        if np.ptp(step) > 1e-3 * abs(step[0]) or step[0] == 0.0:
            raise SettingsError(f"the {name} axis of the field is not regular: bring it to a regular grid")
        steps.append(float(step.mean()))
    return steps[0], steps[1]


def crs_of(area: xr.Dataset) -> Any:
    """Give the CRS of a field, from its grid mapping.

    Raises
    ------
    SettingsError
        If it does not say one.
    """
    from pyproj import CRS

    name = str(area["vx"].attrs.get("grid_mapping") or area["vx"].encoding.get("grid_mapping") or "mapping")
    words = dict(area[name].attrs) if name in area.variables else {}
    for key in ("crs_wkt", "spatial_epsg"):
        if words.get(key):
            return CRS.from_user_input(words[key])
    if words.get("grid_mapping_name"):
        return CRS.from_cf(words)
    raise SettingsError(
        "the field does not say its map projection: give it a grid mapping, as estimates have"
    )


def described(
    area: xr.Dataset, variables: dict[str, tuple[Any, Any, dict[str, Any]]], title: str
) -> xr.Dataset:
    """Put results beside the coordinates and the grid mapping of the field that they follow from."""
    import xarray as xr

    kept = {name: area[name] for name in ("mapping", "time_bnds") if name in area.variables}
    known = ("cube_url", "cube_date_updated", "references", "itslive_core_version", "recipe")
    attributes = {name: area.attrs[name] for name in known if name in area.attrs}
    own = {name: xr.Variable(*values) for name, values in variables.items()}
    used = {dim for one in own.values() for dim in one.dims}
    kept = {name: one for name, one in kept.items() if set(one.dims) <= used | {"bnds"}}
    coordinates = {
        name: one for name, one in area.coords.items() if set(one.dims) <= used and name not in kept
    }
    return xr.Dataset({**own, **kept}, coordinates, {"Conventions": "CF-1.8", "title": title, **attributes})


def correlation_in_time(series: xr.Dataset, correlation_time: float | None = None) -> NDArray[np.float64]:
    """Give how the errors of the cells of an estimate err together: a matrix of correlations.

    The posterior of a smoothed series has fewer independent numbers than cells: the errors of two cells are
    taken as correlated as exp(-d / tau) with d their distance in time. The mean of n cells of such errors has
    the variance of n h / (2 tau) independent ones, so that tau is half the time for which one effective
    degree of freedom stands: tau = M h / (2 edf) of M cells with pairs.

    Parameters
    ----------
    series : xarray.Dataset
        Of `itslive_core.invert`: its attribute ``effective_degrees_of_freedom`` and ``n_pairs`` say how
        smooth it is.
    correlation_time : float, optional
        tau [days], instead.

    Returns
    -------
    ndarray, shape (M, M)
        The identity where nothing is known of the smoothness.
    """
    days = (series["time"].values - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    apart = np.abs(days[:, None] - days[None, :])
    tau = correlation_time
    if tau is None:
        edf = float(series.attrs.get("effective_degrees_of_freedom", np.nan))
        interval = float(np.median(np.diff(days))) if len(days) > 1 else np.nan
        seen = int((series["n_pairs"] > 0).sum()) if "n_pairs" in series else len(days)
        tau = seen * interval / (2.0 * edf) if edf > 0.0 and series["vx"].ndim == 1 else 0.0
    if not tau > 0.0:
        return np.eye(len(days))
    correlation: NDArray[np.float64] = np.exp(-apart / tau)
    return correlation
