"""Files of one point: its series, its image pairs, and its season."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.export.files import (
    PAIRS_SUFFIXES,
    PROFILE_SUFFIXES,
    SEASON_SUFFIXES,
    SERIES_SUFFIXES,
    check_output,
    replacing,
)
from itslive_core.export.geoparquet import is_parquet, write_geoparquet
from itslive_core.export.netcdf import netcdf_attributes
from itslive_core.export.recipes import writing_table
from itslive_core.export.tables import pairs_table, season_table, series_table, write_table
from itslive_core.series.recipe import recipe_of_pixel

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import xarray as xr

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection

__all__ = ["write_pairs", "write_profile", "write_season", "write_series"]


def write_series(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the series of one point.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.invert` returned: dimension ``time``.
    path : path
        ``.nc`` for NetCDF 4 after the CF conventions, with all attributes; ``.csv`` for a table with the
        columns `SERIES_COLUMNS`, dates in UTC, empty where there is no value, and the recipe beside it, in
        ``<name>.csv.recipe.json``; ``.parquet`` for the same as GeoParquet, after ``lon`` and ``lat``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        If the ending is another one, or the file cannot be written.
    ValueError
        If `ds` is not the series of one point.
    """
    path = check_output(path, SERIES_SUFFIXES)
    if ds["v"].dims != ("time",):
        raise ValueError(f"expected the series of one point, with the dimension time, got {ds['v'].dims}")
    if path.suffix.lower() == ".csv":
        with writing_table(path, ds.attrs.get("recipe")) as partial:
            write_table(series_table(ds), partial)
        return path
    if is_parquet(path):
        with writing_table(path, ds.attrs.get("recipe")) as partial:
            write_geoparquet(series_table(ds), partial, lon=ds["lon"], lat=ds["lat"])
        return path
    with replacing(path) as partial:
        _write_netcdf(ds, partial)
    return path


def write_pairs(
    pairs: ImagePairs, path: str | os.PathLike[str], *, selection: PairSelection | None = None
) -> Path:
    """Write image pairs as a table with the columns `PAIRS_COLUMNS`.

    Parameters
    ----------
    pairs : ImagePairs
        Of one pixel.
    path : path
        Ends in ``.csv``; or in ``.parquet``: GeoParquet, with ``lon`` and ``lat`` of the pixel as the first
        columns.
    selection : PairSelection, optional
        How they were selected, for the recipe.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        If the ending is another one, or the file cannot be written.
    """
    path = check_output(path, PAIRS_SUFFIXES)
    chosen = {} if selection is None else selection.to_dict()
    with writing_table(path, recipe_of_pixel("pairs", pairs, {}, chosen)) as partial:
        if is_parquet(path):
            write_geoparquet(pairs_table(pairs), partial, lon=pairs.lon, lat=pairs.lat)
        else:
            write_table(pairs_table(pairs), partial)
    return path


def write_profile(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the series along a line.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.profile` returned: dimensions (time, distance).
    path : path
        ``.nc`` for NetCDF 4 after the CF conventions; ``.csv`` for a table with the columns ``distance [m]``,
        ``lon``, ``lat`` and `SERIES_COLUMNS`, one point after the other, each from its first to its last cell
        with a value.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        If the ending is another one, or the file cannot be written.
    """
    path = check_output(path, PROFILE_SUFFIXES)
    if path.suffix.lower() == ".csv":
        with (
            writing_table(path, ds.attrs.get("recipe")) as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
        ):
            for k in range(ds.sizes["distance"]):
                here = ds.isel(distance=k)
                known = np.flatnonzero(np.isfinite(here["v"].values))
                own = slice(known[0], known[-1] + 1) if len(known) else slice(0)
                table = series_table(here.isel(time=own))
                for at, name in enumerate(("distance", "lon", "lat")):
                    table.insert(at, "distance [m]" if at == 0 else name, float(here[name]))
                if "cube_url" in ds:  # cubes of several projections
                    table["cube_url"] = str(here["cube_url"].values)
                write_table(table, file, header=k == 0)
        return path
    with replacing(path) as partial:
        # CF, section 2.4: dimensions other than those of space and time stand left of them.
        _write_netcdf(ds.transpose("distance", "time", ...), partial)
    return path


def write_season(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the season of one point as a table with the columns `SEASON_COLUMNS`.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.fit_season` returned.
    path : path
        Ends in ``.csv``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        If the ending is another one, or the file cannot be written.
    """
    path = check_output(path, SEASON_SUFFIXES)
    with writing_table(path, ds.attrs.get("recipe")) as partial:
        write_table(season_table(ds), partial)
    return path


def _write_netcdf(ds: xr.Dataset, path: Path) -> None:
    ds = ds.copy()
    ds.attrs = netcdf_attributes(ds.attrs)
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        variable.attrs = netcdf_attributes(variable.attrs)
        variable.encoding = {}  # how it was read says nothing about how to write it
        own = encoding.setdefault(str(name), {})
        if name in ds.coords or name == "time_bnds":
            own["_FillValue"] = None  # CF, section 2.5.1: coordinates and bounds miss no value
        if variable.dtype.kind == "M":
            own |= {"dtype": "float64", "units": "days since 1970-01-01", "calendar": "standard"}
        elif variable.dtype.kind == "i" and "flag_masks" in variable.attrs:
            own["dtype"] = "int16"  # CF, section 3.5: the masks are of the same type
            variable.attrs["flag_masks"] = np.asarray(variable.attrs["flag_masks"], dtype=np.int16)
        elif variable.dtype.kind == "i":
            own["dtype"] = "int32"
    ds["time"].attrs["bounds"] = "time_bnds"
    try:
        ds.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)
    except RuntimeError as error:  # how the NetCDF library tells of a full disk
        raise OSError(str(error)) from error
