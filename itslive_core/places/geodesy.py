"""Longitudes, zones and projections: what the catalog and the outlines share."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = [
    "LONLAT",
    "check_lonlat",
    "mercator",
    "project",
    "transformer",
    "utm_zone",
    "wrap_longitude",
]

LONLAT = "EPSG:4326"
EARTH_RADIUS = 6_378_137.0  # m, of the sphere of Web Mercator (EPSG:3857)
MERCATOR_LIMIT = 85.0511287798066  # degrees: the latitude at which Web Mercator is as high as it is wide
LONGEST_EDGE = 0.01  # degrees; a straight edge this long bends by less than 0.1 m in any of the cubes' grids


def transformer(source: Any, target: Any) -> pyproj.Transformer:
    """Return the transformation between two coordinate systems, x (longitude) first on both sides.

    Parameters
    ----------
    source, target
        EPSG number, text, or anything that pyproj understands.
    """
    return _transformer(_key(source), _key(target))


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _key(crs: Any) -> str:
    if isinstance(crs, int | np.integer):
        return f"EPSG:{crs}"
    return crs if isinstance(crs, str) else pyproj.CRS.from_user_input(crs).to_wkt()


def wrap_longitude(lon: float) -> float:
    """Return the longitude in [-180, 180)."""
    return (lon + 180.0) % 360.0 - 180.0


def check_lonlat(lon: float, lat: float) -> tuple[float, float]:
    """Return a place on Earth with its longitude in [-180, 180).

    Raises
    ------
    SettingsError
        If the numbers cannot be degrees.
    """
    try:
        lon, lat = float(lon), float(lat)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"longitude {lon!r} and latitude {lat!r} must be numbers, in degrees") from error
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise SettingsError(f"longitude {lon} and latitude {lat} must be finite numbers, in degrees")
    if abs(lat) > 90.0:
        if abs(lat) <= 360.0 and abs(lon) <= 90.0:
            raise SettingsError(f"latitude {lat:g} is outside -90 to 90: are longitude and latitude swapped?")
        raise SettingsError(f"latitude {lat:g} is outside -90 to 90: give degrees (WGS 84), not metres")
    if abs(lon) > 360.0:
        raise SettingsError(f"longitude {lon:g} is outside -180 to 360: give degrees (WGS 84), not metres")
    return wrap_longitude(lon), lat


def utm_zone(lon: float) -> int:
    """Return the UTM zone (1 to 60) of a longitude, without the exceptions of Norway and Svalbard."""
    return int((lon + 180.0) // 6.0) % 60 + 1


def project(geometry: BaseGeometry, target: Any, source: Any = LONLAT) -> BaseGeometry:
    """Project a lon/lat geometry whose longitudes may run on past 180 degrees.

    Edges longer than 0.01 degrees get extra vertices first, because a straight line on one map is bent on
    another; real outlines, with vertices every few tens of metres, go through as they are.

    Parameters
    ----------
    geometry
        Shapely geometry in ``source``.
    target
        The coordinate system wanted, see :func:`transformer`.
    source
        Another geographic coordinate system than WGS 84.
    """
    import shapely

    change = transformer(source, target)

    def forward(points: np.ndarray) -> np.ndarray:
        return np.column_stack(change.transform(points[:, 0], points[:, 1]))

    return shapely.transform(shapely.segmentize(geometry, LONGEST_EDGE), forward)


def mercator(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Web Mercator coordinates [m]; NaN beyond 85.05 degrees, which that map does not show.

    Parameters
    ----------
    lon, lat
        Degrees, of one shape.

    Returns
    -------
    x, y
        EPSG:3857 (spherical formulas of Snyder 1987, USGS Professional Paper 1395, eqs. 7-1 and 7-2).
    """
    shown = np.abs(lat) <= MERCATOR_LIMIT
    y = EARTH_RADIUS * np.arctanh(np.sin(np.radians(np.where(shown, lat, 0.0))))
    return np.where(shown, EARTH_RADIUS * np.radians(lon), np.nan), np.where(shown, y, np.nan)
