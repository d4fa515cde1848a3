"""Reading what a datacube says of itself: CRS, axes, dates and missing values, in all their variants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import CubeError
from itslive_core.support.foreign_crs import foreign_crs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import zarr
    from numpy.typing import NDArray
    from pyproj import CRS

__all__ = [
    "axis",
    "cube_crs",
    "decode_dates",
    "dimensions",
    "member",
    "missing_markers",
    "read_masked",
    "read_values",
]

_DAYS_PER = {
    "day": 1.0,
    "hour": 1 / 24,
    "minute": 1 / 1440,
    "second": 1 / 86_400,
    "millisecond": 1 / 86_400e3,
    "microsecond": 1 / 86_400e6,
    "nanosecond": 1 / 86_400e9,
}
_SHORT = {
    "d": "day",
    "h": "hour",
    "hr": "hour",
    "min": "minute",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "us": "microsecond",
    "ns": "nanosecond",
}


def dimensions(array: zarr.Array) -> tuple[str, ...]:
    """Name the dimensions of an array, from the attributes (format 2) or the metadata (format 3)."""
    names: Any = array.attrs.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None)
    return tuple(str(name) for name in names or ())


def missing_markers(array: zarr.Array) -> list[float]:
    """List the values that mean "missing".

    Attributes (``missing_value``, ``_FillValue``) come first. The format's own fill value counts only where
    it cannot be a default: format 3 writes 0 where nobody chose one, and 0 m/yr is a velocity.
    """
    found = []
    for name in ("missing_value", "_FillValue"):
        value: Any = array.attrs.get(name)
        items: Any = value if isinstance(value, (list, tuple)) else [value]
        for item in items:
            number = _number(item)
            if number is not None:
                found.append(number)
    fill = _number(array.fill_value)
    if fill is not None and fill != 0:
        found.append(fill)
    return list(dict.fromkeys(found))


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def read_values(array: zarr.Array, where: Any = ...) -> NDArray:
    """Read an array, or a part of it.

    Parameters
    ----------
    array : zarr.Array
    where : index, optional
        What to read.

    Raises
    ------
    CubeError
        If a chunk of it is damaged.
    """
    try:
        return np.asarray(array[where])
    except (RuntimeError, ValueError, TypeError) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise CubeError(
            f"variable {array.basename} is damaged ({words}): use another copy of the datacube"
        ) from error


def read_masked(array: zarr.Array) -> NDArray[np.float64]:
    """Read a numeric array as float64 with NaN where values are missing.

    Raises
    ------
    CubeError
        If a chunk of it is damaged.
    """
    raw = read_values(array)
    values = raw.astype(np.float64)
    for marker in missing_markers(array):
        values[values == marker] = np.nan
    if raw.dtype.kind == "i" and raw.dtype.itemsize == 8:
        values[raw == np.iinfo(raw.dtype).min] = np.nan  # a missing date ("NaT")
    return values


def decode_dates(array: zarr.Array, values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Turn stored dates into days since 1970-01-01 UTC.

    Parameters
    ----------
    array : zarr.Array
        Gives the ``units`` attribute, such as ``days since 1970-01-01``; without it that is assumed.
    values : ndarray, shape (n,)
        The dates as stored; NaN where missing.
    name : str
        Name of the variable, for the message.

    Raises
    ------
    CubeError
        If the units are not understood.
    """
    units = str(array.attrs.get("units", "days since 1970-01-01")).strip()
    match = re.fullmatch(r"(\w+)\s+since\s+(.+)", units)
    unit = match.group(1).lower() if match else ""
    unit = _SHORT.get(unit) or _SHORT.get(unit.removesuffix("s")) or unit.removesuffix("s")
    if match is None or unit not in _DAYS_PER:
        raise CubeError(f"the units {units!r} of {name} are not understood: expected 'days since YYYY-MM-DD'")
    text = re.sub(r"\s*(UTC|Z|\+00:?00)$", "", match.group(2).strip())
    text = re.sub(r"(?<!\d)(\d)(?!\d)", r"0\1", text.partition(".")[0])  # CF allows 1970-1-1 0:0:0
    try:
        epoch = np.datetime64(text.replace(" ", "T"))
    except ValueError as error:
        raise CubeError(
            f"the units {units!r} of {name} hold no date: expected 'days since YYYY-MM-DD'"
        ) from error
    shift = (epoch.astype("datetime64[us]") - np.datetime64(0, "us")) / np.timedelta64(86_400_000_000, "us")
    days: NDArray[np.float64] = values * _DAYS_PER[unit] + float(shift)
    return days


def member(group: zarr.Group, name: str) -> zarr.Array | zarr.Group | None:
    """Give an array or a group of a cube by its name; None if there is none.

    Raises
    ------
    CubeError
        If its metadata are damaged.
    """
    try:
        return group[name]
    except KeyError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise CubeError(f"{name} of the datacube is stored in a way that is not read ({error})") from error


def axis(group: zarr.Group, name: str, mapping: Mapping[str, Any], size: int) -> NDArray[np.float64]:
    """Read the pixel centres along x or y, or compute them from the grid mapping's GeoTransform.

    Raises
    ------
    CubeError
        If the axis is neither stored nor computable, or not regular.
    """
    if (stored := member(group, name)) is not None:
        centres: NDArray[np.float64] = read_values(stored).astype(np.float64)  # type: ignore[arg-type]
    else:
        try:
            numbers = [float(part) for part in str(mapping["GeoTransform"]).split()]
            origin, step = (numbers[0], numbers[1]) if name == "x" else (numbers[3], numbers[5])
        except (KeyError, ValueError, IndexError) as error:
            raise CubeError(f"the datacube has no {name} axis: it cannot be placed on a map") from error
        centres = np.asarray(origin + (np.arange(size) + 0.5) * step, dtype=np.float64)
    steps = np.diff(centres)
    if (
        len(centres) != size
        or not np.all(np.isfinite(centres))
        or (len(steps) and not np.allclose(steps, steps[0], rtol=1e-6, atol=0))
    ):
        raise CubeError(f"the {name} axis of the datacube is not regular: it cannot be used")
    return centres


def cube_crs(attributes: Mapping[str, Any], mapping: Mapping[str, Any], url: str) -> CRS:
    """Find the CRS of a datacube.

    Tried in turn: the attribute ``projection``, the grid mapping's ``spatial_epsg``, its WKT, its PROJ text,
    and the EPSG code in the file's name.

    Raises
    ------
    CubeError
        If nothing names a CRS.
    """
    candidates = [attributes.get("projection"), mapping.get("spatial_epsg")]
    candidates += [mapping.get(name) for name in ("crs_wkt", "spatial_ref", "proj4text")]
    named = re.search(r"EPSG_?(\d{4,5})", url)
    candidates.append(named.group(1) if named else None)
    for candidate in candidates:
        if candidate in (None, ""):
            continue
        text = str(candidate).strip()
        if re.fullmatch(r"\d+(\.0)?", text):
            text = f"EPSG:{text.removesuffix('.0')}"
        try:
            return foreign_crs(text)
        except ValueError:
            continue
    raise CubeError(f"{url} does not say its map projection: it cannot be placed on a map")
