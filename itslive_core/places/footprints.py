"""Shapes of the cubes' boxes on a map, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj

from itslive_core.places.boxes import box_polygons, continuous_lonlat
from itslive_core.places.geodesy import LONLAT, mercator, transformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas

    from itslive_core.places.cube_record import CubeRecord

__all__ = ["edges_mercator", "frame", "nearest_box"]

DRAWN_STEPS = 4
"""Pieces of an edge that is only looked at: half the points to send to the browser."""

EARTH = pyproj.Geod(ellps="WGS84")


def frame(records: Sequence[CubeRecord]) -> geopandas.GeoDataFrame:
    """Return the cubes as a table with footprints; see `Catalog.footprints`."""
    import geopandas
    import shapely

    geometry = np.empty(len(records), dtype=object)
    for epsg, side, rows, centres in _by_grid(records):
        geometry[rows] = box_polygons(epsg, centres, side)
    west, _, east, _ = shapely.bounds(geometry).T
    for i in np.flatnonzero((west < -180.0) | (east > 180.0)):
        geometry[i] = _split(geometry[i])
    table = {
        "name": [record.name for record in records],
        "epsg": [record.epsg for record in records],
        "cx": [record.cx for record in records],
        "cy": [record.cy for record in records],
        "version": [record.version for record in records],
    }
    return geopandas.GeoDataFrame(table, geometry=geometry, crs=LONLAT)


def edges_mercator(records: Sequence[CubeRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of all boxes; see :meth:`itslive_core.places.catalog.Catalog.segments_mercator`."""
    pieces_x, pieces_y = [], []
    for epsg, side, _, centres in _by_grid(records):
        starts, along_x = _unique_edges(centres, side)
        step = np.linspace(0.0, side, DRAWN_STEPS + 1)
        x = starts[:, :1] + np.where(along_x[:, None], step, 0.0)
        y = starts[:, 1:] + np.where(along_x[:, None], 0.0, step)
        lon, lat = continuous_lonlat(epsg, x, y)
        for piece_lon, piece_lat in _at_antimeridian(lon, lat):
            gap = np.full((len(piece_lon), 1), np.nan)
            merc_x, merc_y = mercator(piece_lon, piece_lat)
            pieces_x.append(np.concatenate([merc_x, gap], axis=1).ravel())
            pieces_y.append(np.concatenate([merc_y, gap], axis=1).ravel())
    x, y = np.concatenate(pieces_x), np.concatenate(pieces_y)
    drawn = np.isfinite(x)
    drawn[1:] |= drawn[:-1]  # one NaN after each piece
    return x[drawn], y[drawn]


def nearest_box(records: Sequence[CubeRecord], lon: float, lat: float) -> tuple[CubeRecord, float]:
    """Return the cube nearest to a place that no cube covers, and its distance [m].

    Centres are compared on a sphere first; of the nearest few the distance to the box is measured on the
    ellipsoid.
    """
    lons, lats = np.empty(len(records)), np.empty(len(records))
    for epsg, _, rows, centres in _by_grid(records):
        lons[rows], lats[rows] = transformer(epsg, LONLAT).transform(centres[:, 0], centres[:, 1])
    unit = _unit(lons, lats) @ _unit(np.array(lon), np.array(lat))
    near = [records[i] for i in np.argsort(-unit)[:12]]
    distances = [_distance(record, lon, lat) for record in near]
    best = int(np.argmin(distances))
    return near[best], distances[best]


def _distance(record: CubeRecord, lon: float, lat: float) -> float:
    x, y = transformer(LONLAT, record.epsg).transform(lon, lat)
    xmin, ymin, xmax, ymax = record.bounds
    if not (np.isfinite(x) and np.isfinite(y)):
        x, y = record.cx, record.cy
    edge = transformer(record.epsg, LONLAT).transform(np.clip(x, xmin, xmax), np.clip(y, ymin, ymax))
    return float(EARTH.inv(lon, lat, *edge)[2])


def _unit(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _by_grid(records: Sequence[CubeRecord]) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """EPSG code, side [m], row numbers and centres (n, 2) of the records of each lattice."""
    lattices = np.array([(record.epsg, record.side) for record in records], dtype=np.int64).reshape(-1, 2)
    centres = np.array([(record.cx, record.cy) for record in records], dtype=float).reshape(-1, 2)
    groups = []
    for epsg, side in np.unique(lattices, axis=0).tolist():
        rows = np.flatnonzero((lattices == (epsg, side)).all(axis=1))
        groups.append((epsg, side, rows, centres[rows]))
    return groups


def _unique_edges(centres: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower left ends (n, 2) of all edges of boxes, each once, and whether they run along x (n,)."""
    corner = centres - side / 2
    bottom_top = np.concatenate([corner, corner + np.array([0.0, side])])
    left_right = np.concatenate([corner, corner + np.array([side, 0.0])])
    along_x = np.unique(bottom_top, axis=0)
    along_y = np.unique(left_right, axis=0)
    flags = np.repeat([True, False], [len(along_x), len(along_y)])
    return np.concatenate([along_x, along_y]), flags


def _at_antimeridian(lon: np.ndarray, lat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut lines (n, m) of continuous longitude at +-180; the pieces come as further lines of any length."""
    lon = lon - 360.0 * np.floor((lon[:, :1] + 180.0) / 360.0)
    over = (lon.max(axis=1) > 180.0) | (lon.min(axis=1) < -180.0)
    pieces = [(lon[~over], lat[~over])]
    for u, v in zip(lon[over], lat[over]):
        border = 180.0 if u.max() > 180.0 else -180.0
        order = np.argsort(u)  # an edge of 100 km crosses the border once
        at = np.interp(border, u[order], v[order])
        first = np.abs(u) <= 180.0
        pieces.append((np.append(u[first], border)[None], np.append(v[first], at)[None]))
        rest = u[~first] - 2.0 * border
        pieces.append((np.insert(rest, 0, -border)[None], np.insert(v[~first], 0, at)[None]))
    return pieces


def _split(polygon: object) -> object:
    """Cut a polygon whose longitudes run past +-180 into parts within them."""
    import shapely
    import shapely.affinity

    world = shapely.box(-180.0, -90.0, 180.0, 90.0)
    turns = [shapely.affinity.translate(polygon, xoff=turn) for turn in (-360.0, 0.0, 360.0)]
    return shapely.intersection(shapely.MultiPolygon(turns), world)
