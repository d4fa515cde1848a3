"""Outlines from files: any format, any projection, both naming schemes, and rings that need mending."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutlineError
from itslive_core.places.geodesy import LONLAT, transformer, utm_zone
from itslive_core.places.shape_files import Kind, ShapeFile, open_shapes
from itslive_core.support.foreign_crs import foreign_crs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

__all__ = [
    "GLIMS_NAMES",
    "ID_NAMES",
    "MERCATOR",
    "Feature",
    "features_of_geojson",
    "parse_geojson",
    "pick",
    "polygons_in_lonlat",
    "read_features",
    "table_of_geojson",
]

ID_NAMES = ("rgi_id", "rgiid", "rgi60id", "rgi70id")
"""Names of the column with the RGI id, in lower case, of RGI 6, RGI 7 and common derivatives."""

GLIMS_NAMES = ("glims_id", "glimsid", "glac_id")
"""Names of the column with the GLIMS id, in lower case; ``glac_id`` is that of GLIMS's own downloads."""

LONGEST_EDGE = 1000.0  # m; see geodesy.LONGEST_EDGE
MERCATOR = "EPSG:3857"
"""In which some servers answer without saying so."""
_NEAR = 0.5
"""Degrees within which an outline lies of the place that its own attributes name."""


@dataclass(frozen=True)
class Feature:
    """One row of a file.

    Attributes
    ----------
    geometry
        Valid Polygon or MultiPolygon in lon/lat; longitudes may run on past 180.
    attributes
        The columns by their names in lower case; missing values are left out.
    """

    geometry: BaseGeometry
    attributes: Mapping[str, Any]


def pick(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first of some columns that has a value, or None."""
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)


def read_features(path: str | Path, *, layer: str | None = None, rgi_id: str | None = None) -> list[Feature]:
    """Read the polygons of a file.

    Parameters
    ----------
    path
        GeoJSON, GeoPackage, shapefile (zipped too), FlatGeobuf, KML or GeoParquet.
    layer
        Layer of a file that has several; by default the one with polygons.
    rgi_id
        Read only the rows of this glacier, if the file can tell them without reading all and has any.

    Raises
    ------
    OutlineError
        If the file is missing or unreadable, holds no polygons, or has a layer too many.
    """
    with open_shapes(path, noun="outline", shapes="polygons") as file:
        match file.kind:
            case Kind.GEOJSON:
                features = features_of_geojson(parse_geojson(file))
                if features is None:
                    raise file.refused("some other JSON")
            case Kind.KML:
                features = _features(*file.placemarks(layer), LONLAT)
            case Kind.PARQUET:
                features = _read_parquet(file)
            case _:
                features = _read_ogr(file, layer, rgi_id)
    if not features:
        raise OutlineError(f"{path} holds no polygon: outlines must be polygons, not lines or points")
    return features


def features_of_geojson(document: Any, *, unnamed: str | None = None) -> list[Feature] | None:
    """Read GeoJSON, also in another projection than lon/lat as GDAL and GeoServer write it.

    Parameters
    ----------
    document
        The parsed JSON: a FeatureCollection, a Feature or a geometry.
    unnamed
        Projection of coordinates that are no degrees, where the document names none.

    Returns
    -------
    list of Feature or None
        None if it is some other JSON. Features that are no polygons are left out.

    Raises
    ------
    OutlineError
        If its coordinates are damaged, or in metres of a projection that nothing tells.
    """
    table = table_of_geojson(document, unnamed=unnamed)
    return None if table is None else _features(*table)


def table_of_geojson(
    document: Any, *, unnamed: str | None = None
) -> tuple[np.ndarray, list[Mapping[str, Any]], str] | None:
    """Take GeoJSON apart: shapes, their attributes and the coordinate system; see `features_of_geojson`."""
    import shapely.geometry

    rows = _rows(document)
    if rows is None:
        return None
    try:
        shapes = [shapely.geometry.shape(row["geometry"]) for row in rows if row.get("geometry")]
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
        shapely.errors.ShapelyError,
    ) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise OutlineError(f"the GeoJSON has damaged coordinates ({words}): export it again") from error
    tables: list[Mapping[str, Any]] = [_table(row) for row in rows if row.get("geometry")]
    found = np.empty(len(shapes), dtype=object)
    found[:] = shapes
    return found, tables, _crs_of_geojson(document, shapes, tables, unnamed)


def polygons_in_lonlat(geometries: np.ndarray, crs: Any) -> np.ndarray:
    """Return valid lon/lat polygons.

    Invalid rings are mended; edges longer than 1 km are densified before they are reprojected; a polygon that
    jumps at the antimeridian, or is cut there, becomes one piece whose longitudes run on past 180.

    Parameters
    ----------
    geometries : (n,) object array
        Shapely geometries.
    crs
        Their coordinate system.

    Returns
    -------
    (n,) object array
        Polygon or MultiPolygon; None where there was no area.

    Raises
    ------
    OutlineError
        If the coordinate system is unknown, or an outline outside of it.
    """
    import pyproj
    import shapely

    shapes = shapely.force_2d(geometries)
    try:
        system = foreign_crs(crs)
    except ValueError as error:
        raise OutlineError(
            f"the outlines are in an unknown projection, {str(crs)[:80]!r}: name its EPSG"
        ) from error
    if not system.is_geographic:
        metres = system.axis_info[0].unit_conversion_factor or 1.0
        shapes = shapely.segmentize(_mended(shapes), LONGEST_EDGE / metres)
    if not system.equals(pyproj.CRS(LONLAT), ignore_axis_order=True):
        change = transformer(system, LONLAT)
        shapes = shapely.transform(
            shapes, lambda points: np.column_stack(change.transform(points[:, 0], points[:, 1]))
        )
    bounds = shapely.bounds(shapes)
    if np.isinf(bounds).any() or (np.abs(bounds) > 1e3).any():
        raise OutlineError("an outline lies outside the area of its own projection: check the file's CRS")
    for i in np.flatnonzero(bounds[:, 2] - bounds[:, 0] > 180.0):
        shapes[i] = _unwrapped(shapes[i])
    return _mended(shapes)


def parse_geojson(file: ShapeFile) -> Any:
    """Read a file of JSON.

    Raises
    ------
    OutlineError
        If it cannot be read or is not JSON.
    """
    try:
        return json.loads(file.path.read_bytes())
    except OSError as error:
        raise OutlineError(f"{file.name} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise OutlineError(f"{file.name} is not valid GeoJSON ({error}): export it again") from error


def _rows(document: Any) -> list[dict[str, Any]] | None:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        return [row for row in document["features"] if isinstance(row, dict)]
    if kind == "Feature":
        return [document]
    if kind in ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "GeometryCollection"):
        return [{"geometry": document}]
    return None


def _table(row: dict[str, Any]) -> Mapping[str, Any]:
    table = row.get("properties")
    return table if isinstance(table, dict) else {}


def _crs_of_geojson(
    document: dict[str, Any],
    shapes: list[BaseGeometry],
    tables: list[Mapping[str, Any]],
    unnamed: str | None,
) -> str:
    named = document.get("crs")
    properties = named.get("properties") if isinstance(named, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str) and name:
        # A URN would swap the axes of EPSG:4326, but the coordinates of GeoJSON are always x, y.
        parts = name.upper().replace("::", ":").rpartition(":EPSG:")
        return f"EPSG:{parts[2]}" if parts[1] else (LONLAT if "CRS84" in name.upper() else name)
    metric = [(s, t) for s, t in zip(shapes, tables) if _beyond_degrees(s)]  # not empty
    if not metric:
        return LONLAT
    return unnamed or _crs_of_numbers(*metric[0])


def _crs_of_numbers(shape: BaseGeometry, table: Mapping[str, Any]) -> str:
    """Find the projection that puts an outline where its own attributes say it is.

    Raises
    ------
    OutlineError
        If they do not say, or none does.
    """
    known = _known(table)
    if not np.isfinite(shape.bounds).all():
        raise OutlineError("the GeoJSON has coordinates that are not finite: export it again")
    x, y = shape.representative_point().coords[0]
    try:
        lon, lat = float(known["cenlon"]), float(known["cenlat"])
    except (KeyError, TypeError, ValueError):
        lon, lat = np.nan, np.nan
    if np.isfinite([x, y, lon, lat]).all() and abs(lat) <= 90.0 and abs(lon) <= 360.0:
        utm = f"EPSG:{(32600 if lat >= 0.0 else 32700) + utm_zone(lon)}"
        for candidate in (utm, MERCATOR, "EPSG:3413", "EPSG:3031"):
            at = transformer(candidate, LONLAT).transform(x, y)
            if abs((at[0] - lon + 180.0) % 360.0 - 180.0) < _NEAR and abs(at[1] - lat) < _NEAR:
                return candidate
    looks = ", as of a UTM zone," if 1e5 <= x <= 9e5 and 0.0 <= y <= 1e7 else ""
    raise OutlineError(
        f"the coordinates of the GeoJSON (x {x:.0f}, y {y:.0f}) are in metres{looks} and it does not say of"
        " which projection: save it in longitude and latitude (WGS 84), or as GeoPackage"
    )


def _beyond_degrees(shape: BaseGeometry) -> bool:
    return not shape.is_empty and max(map(abs, shape.bounds)) > 400.0


def _read_parquet(file: ShapeFile) -> list[Feature]:
    import geopandas

    name = file.name
    try:
        table = geopandas.read_parquet(file.path)
    except ImportError as error:
        raise OutlineError(f"{name} needs pyarrow to be read: pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise OutlineError(f"{name} cannot be read as GeoParquet ({error})") from error
    shapes = table.geometry.to_numpy()
    columns = table.drop(columns=table.geometry.name).to_dict("records")
    return _features(shapes, columns, _crs_or_lonlat(table.crs, shapes, name))


def _read_ogr(file: ShapeFile, layer: str | None, rgi_id: str | None) -> list[Feature]:
    from pyogrio import raw

    name, path = file.name, file.path
    try:
        layer = layer or _polygon_layer(file)
        fields = raw.read(path, layer=layer, max_features=1, read_geometry=False)[0]["fields"]
        column = next((field for field in fields if field.lower() in ID_NAMES), None)
        meta, _, geometry, values = raw.read(path, layer=layer, where=_condition(column, rgi_id))
        if geometry is not None and not len(geometry):
            meta, _, geometry, values = raw.read(path, layer=layer)
    except (RuntimeError, OSError) as error:  # all of pyogrio.errors are RuntimeErrors
        raise OutlineError(f"{name} cannot be read as an outline file ({error})") from error
    if geometry is None:
        return []
    return _features_of_wkb(meta, geometry, values, name)


def _condition(column: str | None, rgi_id: str | None) -> str | None:
    """Condition of SQL that leaves only the rows of one glacier, or None where that cannot be said."""
    if column is None or rgi_id is None:
        return None
    quoted = rgi_id.replace("'", "''")
    return f"\"{column}\" = '{quoted}'"


def _features_of_wkb(
    meta: dict[str, Any], geometry: np.ndarray, values: list[np.ndarray], name: str
) -> list[Feature]:
    import shapely

    shapes = shapely.from_wkb(geometry, on_invalid="fix")
    rows = zip(*values) if values else ([] for _ in shapes)
    tables: list[Mapping[str, Any]] = [dict(zip(meta["fields"], row)) for row in rows]
    return _features(shapes, tables, _crs_or_lonlat(meta["crs"], shapes, name))


def _polygon_layer(file: ShapeFile) -> str | None:
    from pyogrio import list_layers

    layers = list_layers(file.path)
    if len(layers) == 1:
        return str(layers[0][0])
    names = [str(layer) for layer, kind in layers if kind and "Polygon" in kind]
    if len(names) == 1:
        return names[0]
    every = ", ".join(str(layer) for layer in layers[:8, 0])
    raise OutlineError(
        f"{file.name} has {len(layers)} layers ({every}): choose the one with the outlines, --layer NAME"
    )


def _crs_or_lonlat(crs: Any, shapes: np.ndarray, name: str) -> Any:
    if crs is not None:
        return crs
    if any(shape is not None and _beyond_degrees(shape) for shape in shapes):
        raise OutlineError(f"{name} does not say what projection it is in: save it with one (.prj, CRS)")
    return LONLAT


def _features(shapes: np.ndarray, tables: list[Mapping[str, Any]], crs: Any) -> list[Feature]:
    import shapely

    keep = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    polygons = polygons_in_lonlat(shapes[keep], crs)
    return [Feature(polygon, _known(tables[i])) for i, polygon in zip(keep, polygons) if polygon is not None]


def _known(table: Mapping[str, Any]) -> dict[str, Any]:
    """Columns in lower case, without those that have no value."""
    plain = {key.lower(): _plain(value) for key, value in table.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a column's value as a plain Python value, None where it is missing."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and np.isnan(value):
        return None
    if isinstance(value, str) and value.strip().lower() in ("", "nan", "none", "null"):
        return None
    return value


def _mended(shapes: np.ndarray) -> np.ndarray:
    """Make polygons valid and drop what has no area; None where nothing is left."""
    import shapely

    shapes = shapes.copy()
    broken = ~shapely.is_valid(shapes)
    # "structure" keeps holes where rings overlap; "linework" would turn twice covered ground into a hole.
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    kinds = shapely.get_type_id(shapes)
    for i in np.flatnonzero((kinds != 3) & (kinds != 6) & (kinds != -1)):
        parts = [part for part in shapely.get_parts(shapes[i], return_index=False) if part.area > 0.0]
        shapes[i] = shapely.union_all(parts) if parts else None
    shapes[shapely.is_empty(shapes)] = None
    return shapes


def _unwrapped(shape: BaseGeometry) -> BaseGeometry:
    """Make a polygon that jumps or is cut at the antimeridian continuous there."""
    import shapely

    parts = [_unwrapped_part(part) for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    parts = [part for whole in parts for part in shapely.get_parts(whole) if not part.is_empty]
    if not parts:
        return shape
    middle = max(parts, key=lambda part: part.area).centroid.x
    middle -= 360.0 * np.floor((middle + 180.0) / 360.0)
    turns = [360.0 * np.round((middle - part.centroid.x) / 360.0) for part in parts]
    moved = _mended(np.array([_shifted(part, turn) for part, turn in zip(parts, turns)], dtype=object))
    return shapely.union_all(moved)


def _unwrapped_part(part: BaseGeometry) -> BaseGeometry:
    import shapely

    rings: list[np.ndarray] = []
    turns: list[tuple[float, ...]] = []
    for ring in (part.exterior, *part.interiors):
        points = shapely.get_coordinates(ring)
        points[:, 0] = np.unwrap(points[:, 0], period=360.0)
        round_pole = abs(points[-1, 0] - points[0, 0]) > 180.0
        if round_pole:  # it gets an edge along the pole
            pole = np.copysign(90.0, points[:, 1].mean())
            edge = [(points[-1, 0], pole), (points[0, 0], pole), tuple(points[0])]
            points = np.concatenate([points, edge])
        if rings:  # a hole lies where its shell lies
            points[:, 0] += 360.0 * np.round((rings[0][:, 0].mean() - points[:, 0].mean()) / 360.0)
        rings.append(points)
        turns.append((-360.0, 0.0, 360.0) if round_pole else (0.0,))  # it may begin at another longitude
    shell, *holes = _mended(np.array([shapely.Polygon(ring) for ring in rings], dtype=object))
    if shell is None:
        return shapely.Polygon()
    every = [_shifted(hole, turn) for hole, of in zip(holes, turns[1:]) if hole is not None for turn in of]
    return shapely.difference(shell, shapely.union_all(every))


def _shifted(part: BaseGeometry, turn: float) -> BaseGeometry:
    import shapely

    return shapely.transform(part, lambda points: points + np.array([turn, 0.0]))
