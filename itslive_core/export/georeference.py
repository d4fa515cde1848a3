"""The coordinate reference system of a dataset, from its CF grid mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["epsg_of", "wkt_of"]


def wkt_of(ds: xr.Dataset, variable: str = "v") -> str | None:
    """Give the CRS of a dataset.

    Parameters
    ----------
    ds : xarray.Dataset
        One of its variables may name a grid mapping with an attribute ``crs_wkt`` (CF, section 5.6) or
        ``spatial_ref`` (GDAL).
    variable : str
        Which one.

    Returns
    -------
    str or None
        WKT; None without a grid mapping.
    """
    name = ds[variable].attrs.get("grid_mapping") or ds[variable].encoding.get("grid_mapping")
    if name is None or name not in ds.variables:
        return None
    attributes = ds[name].attrs
    wkt: str | None = attributes.get("crs_wkt") or attributes.get("spatial_ref")
    return wkt


def epsg_of(ds: xr.Dataset, variable: str = "v") -> int | None:
    """Give the EPSG code of a dataset's CRS, as `wkt_of` finds it; None without one."""
    wkt = wkt_of(ds, variable)
    if wkt is None:
        return None
    from pyproj import CRS

    code: int | None = CRS.from_wkt(wkt).to_epsg()
    return code
