"""Flux of ice through a gate: a line across the flow, with the thickness of the ice below it."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutputError, SettingsError
from itslive_core.physics.fields import as_field, crs_of, described, steps_of
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.places.lines import as_line

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["flux"]

_LEAST_SEEN = 0.9
"""Share of the gate that must have velocities for a flux."""


def flux(
    area: xr.Dataset,
    gate: Any,
    thickness: Any,
    *,
    thickness_std: float = 0.0,
    spacing: float | None = None,
    correlation_length: float = np.inf,
    depth_factor: float = 1.0,
) -> xr.Dataset:
    """Give the flux of ice through a gate, Q = sum_i H_i (v_i . n_i) dl_i, in time.

    Parameters
    ----------
    area : xarray.Dataset
        An estimate of an area: ``vx, vy`` and, for errors, ``vx_std, vy_std`` [m/yr], dimensions (..., y, x).
    gate : path, shapely line, or array_like of shape (n, 2)
        The line, longitude and latitude [degrees]. Flux to the right of whoever walks along it counts as
        positive.
    thickness : float, path or xarray.DataArray
        Of the ice [m]: one number; a raster file; or a field with coordinates x and y in the CRS of the area.
    thickness_std : float
        Its standard deviation [m], an error that the whole gate shares.
    spacing : float, optional
        Distance of the points of the gate [m]; half a pixel by default.
    correlation_length : float
        L of the errors of velocity at a distance d, correlated as exp(-d / L) [m]. By default all pixels err
        alike, which gives an upper limit; 0 takes them as independent.
    depth_factor : float
        Velocity averaged over depth, as a part of that at the surface, above 0 to 1.

    Returns
    -------
    xarray.Dataset
        ``flux`` and, with errors, ``flux_std`` [m^3/yr] along time; ``gate_coverage``, the share of the gate
        with velocities: below 0.9 the flux is NaN, above it what is missing is taken as the mean of the rest.

    Raises
    ------
    SettingsError, OutlineError
        If gate, thickness or area do not fit together.
    """
    field = as_field(area)
    crs = crs_of(field)
    if not 0.0 < depth_factor <= 1.0:
        raise SettingsError(f"depth_factor is {depth_factor!r}: give a number above 0, to 1")
    if not (correlation_length >= 0.0 and thickness_std >= 0.0):
        raise SettingsError("correlation_length and thickness_std: give numbers of 0 or more")
    line = as_line(gate)
    corners = np.column_stack(transformer(LONLAT, crs).transform(line[:, 0], line[:, 1]))
    pixel = min(map(abs, steps_of(field)))
    places, lengths, normals = _points(corners, pixel / 2 if spacing is None else spacing)
    scale = _scale_at(crs, places, normals)
    height = _thickness_at(thickness, places, crs)
    whole = (lengths / scale) * height * depth_factor
    at, weight = _bilinear(field, places)
    shape = field["vx"].shape
    v = [field[n].values.astype(np.float64).reshape(*shape[:-2], -1) for n in ("vx", "vy")]
    seen = np.all([np.isfinite(one[..., at]).all(axis=-1) for one in v], axis=0)
    coverage = seen @ lengths / lengths.sum()
    normal_speed = sum(
        (np.nan_to_num(one[..., at]) * weight).sum(axis=-1) * normals[:, k] for k, one in enumerate(v)
    )
    enough = coverage >= _LEAST_SEEN
    grown = np.where(enough, 1.0 / np.where(enough, coverage, 1.0), np.nan)
    own = whole * seen
    found = (normal_speed * own).sum(axis=-1) * grown
    dims = field["vx"].dims[:-2]
    variables: dict[str, Any] = {
        "flux": (dims, found, {"long_name": "flux of ice through the gate", "units": "m3/yr"}),
        "gate_coverage": (dims, coverage, {"long_name": "share of the gate with velocities", "units": "1"}),
    }
    if {"vx_std", "vy_std"} <= set(field.data_vars):
        std = [field[f"{n}_std"].values.astype(np.float64).reshape(*shape[:-2], -1) for n in ("vx", "vy")]
        variance = _variance(field, std, at, weight, normals, own, correlation_length) * grown**2
        share = (normal_speed * own / np.where(height > 0.0, height, np.nan)).sum(axis=-1) * grown
        total = np.sqrt(variance + (share * thickness_std) ** 2)
        words = {"long_name": "standard deviation of flux, of velocity and thickness", "units": "m3/yr"}
        variables["flux_std"] = (dims, np.where(enough, total, np.nan), words)
    result = described(field, variables, "Flux of ice through a gate, from ITS_LIVE image pairs")
    result.attrs |= {"gate_length": float((lengths / scale).sum()), "depth_factor": depth_factor}
    return result


def _points(corners: NDArray, spacing: float) -> tuple[NDArray, NDArray, NDArray]:
    """Give middles of pieces of a line, their lengths [m], and normals to the right of it."""
    if not (np.isfinite(spacing) and spacing > 0.0):
        raise SettingsError(f"spacing is {spacing!r}: give a number of metres above 0")
    places, lengths, normals = [], [], []
    for first, last in pairwise(corners):
        along = last - first
        length = float(np.hypot(*along))
        if length == 0.0:
            continue
        n = int(np.ceil(length / spacing))
        places.append(first + along * ((np.arange(n) + 0.5) / n)[:, None])
        lengths.append(np.full(n, length / n))
        normals.append(np.tile([along[1] / length, -along[0] / length], (n, 1)))
    if not places:
        raise SettingsError("the gate has no length: give two places that differ")
    return np.concatenate(places), np.concatenate(lengths), np.concatenate(normals)


def _scale_at(crs: Any, places: NDArray, normals: NDArray) -> NDArray:
    """Give by how much the map stretches the gate: metres on the map for one on the ground."""
    from pyproj import Geod

    along = np.column_stack([-normals[:, 1], normals[:, 0]])
    ends = [transformer(crs, LONLAT).transform(*(places + side * along).T) for side in (-50.0, 50.0)]
    distance = Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2]
    scale: NDArray = 100.0 / np.asarray(distance)
    return scale


def _bilinear(field: xr.Dataset, places: NDArray) -> tuple[NDArray, NDArray]:
    """Give the four pixels around each place, numbered in rows, and their weights, shape (n, 4)."""
    dx, dy = steps_of(field)
    col = (places[:, 0] - float(field["x"][0])) / dx
    row = (places[:, 1] - float(field["y"][0])) / dy
    ny, nx = field.sizes["y"], field.sizes["x"]
    if ((col < -0.5) | (col > nx - 0.5) | (row < -0.5) | (row > ny - 0.5)).any():
        raise SettingsError("the gate leaves the area: give a line inside of it")
    i, j = (np.clip(np.floor(k), 0, n - 2).astype(int) for k, n in ((row, ny), (col, nx)))
    p, q = np.clip(row - i, 0.0, 1.0), np.clip(col - j, 0.0, 1.0)
    at = np.stack([i * nx + j, i * nx + j + 1, (i + 1) * nx + j, (i + 1) * nx + j + 1], axis=1)
    weight = np.stack([(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q], axis=1)
    return at, weight


def _variance(
    field: xr.Dataset,
    std: list[NDArray],
    at: NDArray,
    weight: NDArray,
    normals: NDArray,
    own: NDArray,
    length: float,
) -> NDArray:
    """Give the variance that the velocities bring: the flux is a weighted sum of those of pixels."""
    pixels, which = np.unique(at, return_inverse=True)
    which = which.reshape(at.shape)
    nx = field.sizes["x"]
    x, y = field["x"].values[pixels % nx], field["y"].values[pixels // nx]
    with np.errstate(divide="ignore"):
        apart = np.hypot(x[:, None] - x, y[:, None] - y)
        shared = np.ones_like(apart) if np.isinf(length) else np.exp(-apart / max(length, 1e-9))
    total = np.zeros(own.shape[:-1])
    for k, one in enumerate(std):
        parts = np.zeros((*own.shape[:-1], len(pixels)))
        for corner in range(4):
            values = own * normals[:, k] * weight[:, corner]
            to = np.zeros((len(at), len(pixels)))
            to[np.arange(len(at)), which[:, corner]] = 1.0
            parts += values @ to
        parts *= np.nan_to_num(one[..., pixels])
        total += np.einsum("...i,ij,...j->...", parts, shared, parts)
    return total


def _thickness_at(thickness: Any, places: NDArray, crs: Any) -> NDArray:
    """Give the thickness below each place [m].

    Raises
    ------
    SettingsError
        If it is missing somewhere.
    """
    if isinstance(thickness, (int, float)):
        values = np.full(len(places), float(thickness))
    elif isinstance(thickness, (str, os.PathLike)):
        values = _sampled(thickness, places, crs)
    else:
        import xarray as xr

        x, y = (xr.DataArray(column, dims="point") for column in places.T)
        values = thickness.interp(x=x, y=y).values.astype(np.float64)
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise SettingsError(
            "the thickness is missing, or below 0, at a part of the gate: give one for all of it"
        )
    return values


def _sampled(path: Any, places: NDArray, crs: Any) -> NDArray:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.vrt import WarpedVRT

    try:
        with rasterio.open(path) as raster, WarpedVRT(raster, crs=crs.to_wkt()) as warped:
            found = np.ma.stack(list(warped.sample(places.tolist(), masked=True)))[:, 0]
    except RasterioError as error:
        raise OutputError(
            f"the thickness {path} cannot be read ({error}): give a raster or a number"
        ) from error
    return np.ma.filled(found.astype(np.float64), np.nan)
