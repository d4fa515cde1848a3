"""Files of an area: NetCDF of all of it, or a GeoTIFF of one variable with one band a time step."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutputError
from itslive_core.export.area_netcdf import write_area_netcdf
from itslive_core.export.files import check_output, replacing
from itslive_core.export.georeference import wkt_of
from itslive_core.export.pieces import TILE, windows
from itslive_core.export.tables import iso_dates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["write_area"]

_ITSLIVE_PIXEL = 120.0  # m


def write_area(
    area: xr.Dataset | str | os.PathLike[str], path: str | os.PathLike[str], *, variable: str = "v"
) -> Path:
    """Write an area as NetCDF, or one variable of it as a GeoTIFF: one band a time step, named by its date.

    NetCDF has all variables, compressed and in chunks, after the CF conventions. In a GeoTIFF the bands are
    float32, NaN where there is no value, in the cube's CRS, north up, compressed and tiled. Each is described
    by the date of the middle of its cell, and tagged with ``time_start`` and ``time_end``; the attributes of
    the estimate are tags of the file. A variable without time is one band of its name. Where cubes of several
    lattices gave the area, a last band ``source`` says which one gave each pixel: its tags have the names.

    Parameters
    ----------
    area : xarray.Dataset or path
        Dimensions (time, y, x), or the Zarr store that holds it; read in pieces of bounded size.
    path : path
        Ends in ``.tif`` or ``.nc``.
    variable : str
        Which one, in a GeoTIFF: ``v``, ``vx``, ``vy``, ``v_std`` ..., or ``season_amplitude``, ``trend`` ...

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        If the ending is another one, there is nothing to write, or the file cannot be written.
    """
    import rasterio
    import xarray as xr

    path = check_output(path, (".tif", ".nc"))
    if not isinstance(area, xr.Dataset):
        with xr.open_dataset(os.fspath(area), engine="zarr", chunks=None) as ds:
            return write_area(ds, path, variable=variable)
    if path.suffix.lower() == ".nc":
        write_area_netcdf(area, path)
        return path
    if variable not in area or area[variable].dims[-2:] != ("y", "x"):
        raise OutputError(f"cannot write {str(path)!r}: the area has no {variable!r} with y and x")
    values = area[variable]
    in_time = "time" in values.dims
    if not in_time:
        values = values.expand_dims("time")
    if values.size == 0:
        raise OutputError(f"cannot write {str(path)!r}: the area has no pixel or no time step")
    if values["y"][0] < values["y"][-1]:
        values = values.isel(y=slice(None, None, -1))
    n_times, n_rows, n_columns = values.shape
    # Pixels of several lattices: whoever has the file must see whose they are.
    source = area["source"] if "source_distance" in area and variable != "source" else None
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": np.nan,
        "count": n_times + (source is not None),
        "height": n_rows,
        "width": n_columns,
        "crs": wkt_of(area),
        "transform": _transform(area["x"].values, area["y"].values),
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "band",
        "compress": "deflate",
        "predictor": 3,
        "bigtiff": "if_safer",
    }
    with replacing(path) as partial, _gdal_errors(), rasterio.open(partial, "w", **profile) as file:
        names = _band_names(values["time"].values) if in_time else (variable,)
        added = () if source is None else ("source",)
        file.descriptions = (*names, *added)
        file.units = (*(values.attrs.get("units", ""),) * n_times, *("",) * len(added))
        file.update_tags(**{name: _text(value) for name, value in area.attrs.items()}, variable=variable)
        if in_time:
            starts, ends = (iso_dates(bounds) for bounds in area["time_bnds"].values.T)
            for band in range(n_times):
                file.update_tags(band + 1, time_start=starts[band], time_end=ends[band])
        for rows, columns in windows(n_times, n_rows, n_columns):
            piece = values.isel(y=rows, x=columns).values.astype(np.float32, copy=False)
            window = (rows.start, rows.stop), (columns.start, columns.stop)
            file.write(piece, window=window, indexes=list(range(1, n_times + 1)))
        if source is not None:
            file.write(_codes(source.sortby("y", ascending=False).values), n_times + 1)
            file.update_tags(n_times + 1, **{str(k): _text(v) for k, v in source.attrs.items()})
    return path


def _codes(source: NDArray[np.int16]) -> NDArray[np.float32]:
    """Give the numbers of cubes as a band of floats has them: NaN where there is none."""
    return np.where(source > 0, source, np.nan).astype(np.float32)


def _band_names(times: NDArray[np.datetime64]) -> tuple[str, ...]:
    """Dates of the bands; with the time of day only where two bands share a date."""
    days = np.datetime_as_string(times.astype("datetime64[D]"))
    return tuple(str(name) for name in (days if len(set(days)) == len(days) else iso_dates(times)))


def _transform(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    """Affine transform, north up, of pixel centres on a regular grid; a single pixel is one of ITS_LIVE's."""
    from rasterio.transform import from_origin

    dx = abs(x[1] - x[0]) if len(x) > 1 else _ITSLIVE_PIXEL
    dy = abs(y[1] - y[0]) if len(y) > 1 else _ITSLIVE_PIXEL
    return from_origin(x.min() - dx / 2, y.max() + dy / 2, dx, dy)


def _text(value: Any) -> str:
    """Text of an attribute: itself, or JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value)


@contextmanager
def _gdal_errors() -> Iterator[None]:
    """Turn what GDAL says about a full or broken disk into an OSError."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        raise OSError(str(error)) from error
