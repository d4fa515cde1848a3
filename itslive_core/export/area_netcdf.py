"""NetCDF of an area: all variables, compressed, in chunks that serve maps and series, read piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.export.files import replacing
from itslive_core.export.netcdf import NetcdfVariable, create_netcdf, days_since_epoch
from itslive_core.export.pieces import TILE, windows

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

__all__ = ["write_area_netcdf"]

_TIMES = 64  # cells in a chunk: with a tile of 64 x 64 pixels a megabyte


def write_area_netcdf(area: xr.Dataset, path: Path) -> None:
    """Write an area as NetCDF 4 after the CF conventions.

    Parameters
    ----------
    area : xarray.Dataset
        Dimensions (time, y, x), read in pieces of bounded size.
    path : pathlib.Path
    """
    sizes = {str(name): size for name, size in area.sizes.items()}
    variables = {str(name): _described(str(name), area[name], sizes) for name in area.variables}
    with replacing(path) as partial:
        file = create_netcdf(partial, sizes, variables, area.attrs)
        try:
            for name, variable in variables.items():
                if variable.dimensions[-2:] != ("y", "x"):
                    values = area[name].values
                    file[name][...] = days_since_epoch(values) if values.dtype.kind == "M" else values
                    continue
                n_times = sizes["time"] if "time" in variable.dimensions else 1
                for rows, columns in windows(n_times, sizes["y"], sizes["x"]):
                    file[name][..., rows, columns] = area[name].isel(y=rows, x=columns).values
        except RuntimeError as error:  # how the NetCDF library tells of a full disk
            raise OSError(str(error)) from error
        finally:
            file.close()


def _described(name: str, variable: xr.DataArray, sizes: dict[str, int]) -> NetcdfVariable:
    """Describe a variable as the file shall have it."""
    dimensions = tuple(str(one) for one in variable.dims)
    attributes: dict[str, Any] = {str(k): v for k, v in variable.attrs.items()}
    for key in ("grid_mapping", "bounds"):  # where xarray puts them when it reads
        if key in variable.encoding:
            attributes.setdefault(key, variable.encoding[key])
    if name == "time":
        attributes.setdefault("bounds", "time_bnds")
    raster = dimensions[-2:] == ("y", "x")
    wanted = {"time": _TIMES, "y": TILE, "x": TILE}
    chunks = tuple(max(1, min(wanted[d], sizes[d])) for d in dimensions) if raster else None
    return NetcdfVariable(
        dimensions,
        variable.dtype,
        attributes,
        chunks,
        missing=raster and np.dtype(variable.dtype).kind == "f",
    )
