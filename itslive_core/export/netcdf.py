"""NetCDF files that are filled piece by piece."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["NetcdfVariable", "create_netcdf", "days_since_epoch", "netcdf_attributes"]

_DAYS = {"units": "days since 1970-01-01", "calendar": "standard"}


@dataclass(frozen=True)
class NetcdfVariable:
    """A variable of a file.

    Parameters
    ----------
    dimensions : tuple of str
    dtype : Any
        ``str`` for text.
    attributes : mapping
    chunks : tuple of int, optional
        Pieces that are written, and compressed, each for itself.
    missing : bool
        Values may be missing: NaN.
    """

    dimensions: tuple[str, ...]
    dtype: Any
    attributes: Mapping[str, Any]
    chunks: tuple[int, ...] | None = None
    missing: bool = False


def create_netcdf(
    path: Path,
    dimensions: Mapping[str, int],
    variables: Mapping[str, NetcdfVariable],
    attributes: Mapping[str, Any],
) -> Any:
    """Create a NetCDF 4 file without values.

    Parameters
    ----------
    path : pathlib.Path
    dimensions : mapping of int
        Their sizes.
    variables : mapping of NetcdfVariable
        Those of times get units and calendar here; fill them with `days_since_epoch`.
    attributes : mapping
        Of the file.

    Returns
    -------
    netCDF4.Dataset
        Open for writing; close it.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    import netCDF4

    try:
        file = netCDF4.Dataset(path, "w", format="NETCDF4")
        for name, size in dimensions.items():
            file.createDimension(name, size)
        for name, variable in variables.items():
            options: dict[str, Any] = {}
            if variable.chunks is not None:
                options |= {"zlib": True, "complevel": 2, "shuffle": True, "chunksizes": variable.chunks}
            if variable.missing:
                options["fill_value"] = np.nan
            dated, dtype = False, variable.dtype
            if dtype is not str:
                dated = np.dtype(dtype).kind == "M"
                # In the byte order of this machine: the library warns of any other.
                dtype = np.dtype("f8" if dated else dtype).newbyteorder("=")
            made = file.createVariable(name, dtype, variable.dimensions, **options)
            known = netcdf_attributes(variable.attributes)
            if name.endswith("_bnds"):  # CF, section 7.1: bounds have the units of what they bound
                dated = False
                known = {k: v for k, v in known.items() if k not in _DAYS}
            for name_ in known.keys() & {"flag_masks", "flag_values"}:  # CF, section 3.5: of the same type
                known[name_] = np.asarray(known[name_], dtype=variable.dtype)
            made.setncatts({**known, **(_DAYS if dated else {})})
        file.setncatts(netcdf_attributes(attributes))
    except RuntimeError as error:  # how the NetCDF library tells of a full disk
        raise OSError(str(error)) from error
    return file


def days_since_epoch(times: np.ndarray) -> np.ndarray:
    """Turn datetime64 into the float days that files hold."""
    days: np.ndarray = (times - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "D")
    return days


def netcdf_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Leave out what is None, and write as JSON what NetCDF has no type for."""
    return {
        str(name): json.dumps(value) if isinstance(value, (bool, dict)) else value
        for name, value in attributes.items()
        if value is not None
    }
