"""Reading KML: the shapes of its placemarks and what is said of them. Nothing that it links to is fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

__all__ = ["read_placemarks"]


class _NoDoctype(ET.TreeBuilder):
    """Builds the tree of a document that defines no entities."""

    def doctype(self, name: str, _public: str | None, _system: str | None) -> None:
        raise ValueError(f"a DOCTYPE, here {name!r}, is not read")


def read_placemarks(
    path: Path, layer: str | None = None
) -> tuple[list[BaseGeometry], list[Mapping[str, Any]]]:
    """Read the polygons and lines of a KML file, in lon/lat.

    Parameters
    ----------
    path
        The file.
    layer
        Name of the folder or document to read; by default all.

    Returns
    -------
    shapes, attributes : list
        One of each for a placemark with a shape: its name, its description and its extended data, as text.

    Raises
    ------
    ValueError
        If it is not KML, is damaged, or has no such folder.
    """
    try:
        root = ET.parse(path, ET.XMLParser(target=_NoDoctype())).getroot()  # noqa: S314 - no DOCTYPE
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    if _tag(root) != "kml":
        raise ValueError(f"its root is {_tag(root)!r}")
    parents = [root]
    if layer is not None:
        parents = [
            one for one in root.iter() if _tag(one) in ("Folder", "Document") and _said(one, "name") == layer
        ]
        if not parents:
            raise ValueError(f"it has no folder {layer!r}")
    shapes: list[BaseGeometry] = []
    tables: list[Mapping[str, Any]] = []
    for placemark in (one for parent in parents for one in parent.iter() if _tag(one) == "Placemark"):
        parts = [part for child in placemark for part in _parts(child)]
        if parts:
            shapes.append(_joined(parts))
            tables.append(_attributes(placemark))
    return shapes, tables


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _said(element: ET.Element, name: str) -> str | None:
    return next(((child.text or "").strip() for child in element if _tag(child) == name), None)


def _attributes(placemark: ET.Element) -> dict[str, Any]:
    table: dict[str, Any] = {name: _said(placemark, name) for name in ("name", "description")}
    for one in placemark.iter():
        if _tag(one) == "SimpleData":
            table[one.get("name", "")] = one.text
        elif _tag(one) == "Data":
            table[one.get("name", "")] = _said(one, "value")
    return table


def _parts(element: ET.Element) -> Iterator[BaseGeometry]:
    """Give the polygons and lines of a geometry, which may hold others."""
    import shapely

    kind = _tag(element)
    if kind == "MultiGeometry":
        for child in element:
            yield from _parts(child)
    elif kind == "Polygon":
        rings = {name: [] for name in ("outerBoundaryIs", "innerBoundaryIs")}  # type: dict[str, list[np.ndarray]]
        for child in element:
            if _tag(child) in rings:
                rings[_tag(child)] += [_points(one) for one in child.iter() if _tag(one) == "coordinates"]
        if rings["outerBoundaryIs"]:
            yield shapely.Polygon(rings["outerBoundaryIs"][0], rings["innerBoundaryIs"])
    elif kind == "LineString":
        yield from (shapely.LineString(_points(one)) for one in element if _tag(one) == "coordinates")


def _points(coordinates: ET.Element) -> np.ndarray:
    """Longitudes and latitudes, shape (n, 2)."""
    places = re.sub(r"\s*,\s*", ",", coordinates.text or "").split()
    return np.array([place.split(",")[:2] for place in places], dtype=float).reshape(-1, 2)


def _joined(parts: list[BaseGeometry]) -> BaseGeometry:
    import shapely

    if len(parts) == 1:
        return parts[0]
    kinds = {part.geom_type for part in parts}
    many = {"Polygon": shapely.MultiPolygon, "LineString": shapely.MultiLineString}
    return many[kinds.pop()](parts) if len(kinds) == 1 else shapely.GeometryCollection(parts)
