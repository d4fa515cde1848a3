"""Lines on the ice: read from files or given in Python, and points along them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from itslive_core.errors import ItsliveError, OutlineError, SettingsError
from itslive_core.places.centrelines import GLACIER_COLUMNS, INSIDE, MAIN_COLUMNS, read_lines
from itslive_core.places.geodesy import wrap_longitude

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_line", "length_of", "lines_in_file", "points_along"]

_ELLIPSOID = pyproj.Geod(ellps="WGS84")
_MOST_POINTS = 100_000


def as_line(line: Any, *, rgi_id: str | None = None) -> NDArray[np.float64]:
    """Take a line as a person gives it.

    Parameters
    ----------
    line : path, shapely line, or array_like of shape (n, 2)
        A file of lines, as for centrelines, or a CSV file with columns for lon and lat, one vertex a row;
        else longitude and latitude [degrees].
    rgi_id : str, optional
        Which glacier's line of a file of several: the main one of it.

    Returns
    -------
    ndarray, shape (n, 2)
        Longitude and latitude [degrees], n of 2 or more.

    Raises
    ------
    OutlineError
        If there is no such line, or it is not clear which.
    """
    if isinstance(line, str | os.PathLike):
        line = _from_file(line, rgi_id)
    if hasattr(line, "geom_type"):
        import shapely

        merged = shapely.line_merge(line) if line.geom_type == "MultiLineString" else line
        if merged.geom_type != "LineString":
            raise OutlineError("the line has several pieces, or is none: give one line")
        line = shapely.get_coordinates(merged)
    try:
        points = np.array(line, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OutlineError("the line is no list of (lon, lat): give two numbers for each vertex") from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise OutlineError(
            "the line is no list of (lon, lat): give two numbers for each vertex, of two or more"
        )
    if np.abs(points[:, 1]).max() > 90.0 or np.abs(points[:, 0]).max() > 540.0:
        raise OutlineError("the line is not in longitude and latitude: give degrees, WGS 84")
    return points


def length_of(line: NDArray[np.float64]) -> float:
    """Give the length of a line of (lon, lat) [degrees] on the ellipsoid [m]."""
    return float(_ELLIPSOID.line_length(line[:, 0], line[:, 1]))


def lines_in_file(path: str | os.PathLike[str], outline: Any = None) -> list[NDArray[np.float64]]:
    """Read all lines of a file, those first that matter most.

    Parameters
    ----------
    path : path
        As for `as_line`.
    outline : shapely geometry, optional
        A glacier, lon/lat: of a file with several lines only those are taken that lie in it by half of their
        length, where there are any.

    Returns
    -------
    list of ndarray, shape (n, 2)
        Longitude and latitude [degrees]: lines that are marked as main ones first, then long ones.

    Raises
    ------
    OutlineError
        If the file cannot be read, or holds no line.
    """
    import shapely

    if _is_table(path):
        return [as_line(path)]
    table = read_lines(os.fspath(path), outline)
    if outline is not None and len(table) > 1:
        lines = table.geometry.to_numpy()
        inside = shapely.length(shapely.intersection(lines, outline)) >= INSIDE * shapely.length(lines)
        table = table[inside] if inside.any() else table
    found = []
    for row in table.to_dict("records"):
        merged = shapely.line_merge(row["geometry"])
        main = any(str(row.get(name)).lower() in ("1", "1.0", "true") for name in MAIN_COLUMNS)
        parts = [shapely.get_coordinates(part) for part in shapely.get_parts(merged)]
        found += [(main, length_of(part), part) for part in parts if len(part) > 1]
    if not found:
        raise OutlineError(f"{path} holds no line")
    return [as_line(part) for _, _, part in sorted(found, key=lambda one: (not one[0], -one[1]))]


def _is_table(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith((".csv", ".txt"))


def _from_table(path: str | os.PathLike[str]) -> list[tuple[float, float]]:
    """Read the vertices of a line from a table."""
    from itslive_core.places.stations import read_stations

    try:
        stations, bad = read_stations(path)
    except ItsliveError as error:
        raise OutlineError(str(error)) from error
    if bad:
        raise OutlineError(f"{path} is no line: {bad[0]}")
    vertices = [(one.lon, one.lat) for one in stations if one.lon is not None and one.lat is not None]
    if len(vertices) < len(stations):
        raise OutlineError(f"{path} has no columns lon and lat: give longitude and latitude [degrees]")
    return vertices


def _from_file(path: str | os.PathLike[str], rgi_id: str | None) -> Any:
    if _is_table(path):
        return _from_table(path)
    table = read_lines(os.fspath(path))
    if rgi_id is not None:
        ids = [name for name in GLACIER_COLUMNS if name in table]
        rows = [table[table[name].astype(str).str.upper() == rgi_id.upper()] for name in ids]
        table = next((found for found in rows if len(found)), table[:0])
        if table.empty:
            raise OutlineError(f"{path} has no line of {rgi_id}")
    for name in MAIN_COLUMNS:
        if len(table) > 1 and name in table:
            main = table[table[name].astype(str).str.lower().isin(["1", "1.0", "true"])]
            table = main if len(main) else table
    if table.empty:
        raise OutlineError(f"{path} holds no line")
    if len(table) > 1:
        raise OutlineError(f"{path} has {len(table)} lines: choose one by its RGI id, or give a file of one")
    return table.geometry.iloc[0]


def points_along(
    line: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give points at equal distances along a line, from its first vertex on.

    Parameters
    ----------
    line : ndarray, shape (n, 2)
        Longitude and latitude [degrees].
    spacing : float
        Distance between points, on the ellipsoid along geodesics between vertices [m].

    Returns
    -------
    distance, lon, lat : ndarray, shape (p,)
        [m], [degrees].

    Raises
    ------
    SettingsError
        If the spacing is impossible.
    """
    if not (np.isfinite(spacing) and spacing > 0.0):
        raise SettingsError(f"spacing is {spacing!r}: give a number of metres above 0")
    ahead, _, lengths = _ELLIPSOID.inv(line[:-1, 0], line[:-1, 1], line[1:, 0], line[1:, 1])
    reached = np.concatenate(([0.0], np.cumsum(lengths)))
    if reached[-1] == 0.0:
        raise SettingsError("the line has no length: give two places that differ")
    if reached[-1] / spacing > _MOST_POINTS:
        raise SettingsError(f"spacing {spacing:g} m makes over {_MOST_POINTS:,} points: give a wider one")
    distance = np.float64(spacing) * np.arange(int(np.floor(reached[-1] / spacing + 1e-9)) + 1)
    edge = np.clip(np.searchsorted(reached, distance, "right") - 1, 0, len(lengths) - 1)
    lon, lat, _ = _ELLIPSOID.fwd(line[edge, 0], line[edge, 1], ahead[edge], distance - reached[edge])
    wrapped: NDArray[np.float64] = np.array([wrap_longitude(float(one)) for one in lon])
    north: NDArray[np.float64] = np.asarray(lat)
    return distance, wrapped, north
