"""The boxes of the cubes: squares on a lattice of one coordinate system, and their outlines in lon/lat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.places.geodesy import LONLAT, transformer

if TYPE_CHECKING:
    from shapely import Polygon

__all__ = [
    "BOX",
    "TILE",
    "TILE_ORIGIN",
    "box_polygon",
    "box_polygons",
    "check_box",
    "continuous_lonlat",
    "inside_box",
]

BOX = 100_000
"""Side of a cube's box [m]."""

TILE = 61_440
"""Side of a tile of the next generation [m]: 512 pixels of 120 m, so that tiles begin where chunks do."""

TILE_ORIGIN = (-7.5, 7.5)
"""Lower left corner of one of the tiles [m], in every coordinate system."""

STEPS = 8
"""Pieces into which an edge of a box is cut: within 40 m of the true curve up to 85 degrees of latitude."""


def box_polygons(epsg: int, centres: np.ndarray, side: float = BOX) -> np.ndarray:
    """Return the lon/lat polygons of boxes of one coordinate system.

    Parameters
    ----------
    epsg
        The coordinate system.
    centres : (n, 2)
        Centres of the boxes [m].
    side
        Length of their edges [m].

    Returns
    -------
    (n,) object array of shapely.Polygon
        Longitudes are continuous and may run past 180; a box that holds a pole gets an edge along it.
    """
    import shapely

    edge = np.linspace(-0.5, 0.5, STEPS + 1)[:-1]
    flat = np.full(STEPS, 0.5)
    ring_x = np.concatenate([edge, flat, -edge, -flat]) * side
    ring_y = np.concatenate([-flat, edge, flat, -edge]) * side
    lon, lat = continuous_lonlat(epsg, centres[:, :1] + ring_x, centres[:, 1:] + ring_y, closed=True)
    lon -= 360.0 * np.floor((lon[:, :-1].mean(axis=1, keepdims=True) + 180.0) / 360.0)
    rings = np.stack([lon, lat], axis=-1)
    polygons: np.ndarray = shapely.polygons(rings)
    for i in np.flatnonzero(np.abs(lon[:, -1] - lon[:, 0]) > 180.0):  # round a pole
        pole = np.copysign(90.0, lat[i].mean())
        polygons[i] = shapely.Polygon([*rings[i], (lon[i, -1], pole), (lon[i, 0], pole)])
    return polygons


def continuous_lonlat(
    epsg: int, x: np.ndarray, y: np.ndarray, *, closed: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Project lines to longitudes and latitudes without the jump from 180 to -180.

    Parameters
    ----------
    epsg
        Coordinate system of the lines.
    x, y : (n, m)
        Their points [m].
    closed
        Give each line its first point again.

    Returns
    -------
    lon, lat : (n, m) or (n, m + 1)
        Degrees.
    """
    lon, lat = transformer(epsg, LONLAT).transform(x, y)
    if closed:
        lon, lat = (np.concatenate([values, values[:, :1]], axis=1) for values in (lon, lat))
    lon = np.unwrap(lon, period=360.0, axis=1)
    return np.round(lon, 9), lat  # the antimeridian is an edge of many boxes: none shall reach 1e-13 over it


def check_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Check a box of longitude and latitude.

    Parameters
    ----------
    box : (west, south, east, north)
        Degrees, WGS 84; longitudes of any turn. West > east crosses the antimeridian; a width of 360 degrees
        or more is all round.

    Raises
    ------
    SettingsError
        If it is none, or empty.
    """
    west, south, east, north = map(float, box)
    words = " ".join(f"{value:g}" for value in (west, south, east, north))
    if not np.isfinite([west, south, east, north]).all() or max(abs(west), abs(east)) > 1e4:
        raise SettingsError(f"the box {words} is no box: give west south east north in degrees")
    if not -90.0 <= south < north <= 90.0:
        raise SettingsError(
            f"the box {words} has no height: the order is west south east north, and south is the smaller"
            " latitude, of -90 to 90"
        )
    if west == east:
        raise SettingsError(f"the box {words} has no width: give west south east north in degrees")
    return west, south, east, north


def box_polygon(box: tuple[float, float, float, float]) -> Polygon:
    """Give a box as a polygon in lon/lat, whose longitudes may run on past 180; see `check_box`."""
    import shapely

    west, south, east, north = check_box(box)
    if east - west >= 360.0:
        return shapely.box(-180.0, south, 180.0, north)
    return shapely.box(west, south, west + (east - west) % 360.0, north)


def inside_box(box: tuple[float, float, float, float], lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Tell which places are inside a box; see `check_box`.

    Parameters
    ----------
    box : (west, south, east, north)
    lon, lat : ndarray
        Degrees, of one shape.

    Returns
    -------
    ndarray of bool, of that shape
    """
    west, south, east, north = check_box(box)
    between = (lat >= south) & (lat <= north)
    if east - west >= 360.0:
        return between
    # All longitudes meet at a pole.
    round_it = (lon - west) % 360.0 <= (east - west) % 360.0
    return between & (round_it | (np.abs(lat) > 90.0 - 1e-9))
