"""An outline server as strict as GeoServer about layers, axis order and filters, with square glaciers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import shapely

from itslive_core.places.geodesy import LONLAT, transformer

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT = b'<?xml version="1.0"?><ServiceExceptionReport>%s</ServiceExceptionReport>'
HMA7 = "GLIMS:RGI2000-v7.0-G-15_south_asia_east_epsg3857"
ALASKA7 = "GLIMS:RGI2000-v7.0-G-01_alaska_epsg3857"
ALASKA6 = "GLIMS:RGI_Alaska"
ALL6 = "GLIMS:RGI"


def rgi7(rgi_id: str, name: str | None, shape: shapely.Polygon) -> dict[str, Any]:
    return row({"rgi_id": rgi_id, "glac_name": name, "area_km2": 1.25, "glims_id": "G000000E00000N"}, shape)


def rgi6(rgi_id: str, name: str | None, shape: shapely.Polygon) -> dict[str, Any]:
    return row({"RGIID": rgi_id, "NAME": name, "AREA": "2.50", "GLIMSID": "G000000E00000N"}, shape)


def row(properties: dict[str, Any], shape: shapely.Polygon) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": json.loads(shapely.to_geojson(shape))}


@dataclass
class Glaciers:
    """Layers of the server, and how it misbehaves."""

    layers: dict[str, list[dict[str, Any]]]
    broken: Callable[[dict[str, str]], tuple[int, bytes] | None] = lambda _query: None
    mercator: bool = False  # geometry in metres, as the regional layers are stored
    says_crs: bool = True
    swapped: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(query)
        failure = self.broken(query)
        if failure is not None:
            return failure
        if query.get("service") == "WFS":
            return self._features(query)
        if query.get("service") == "WMS" and query.get("request") == "GetFeatureInfo":
            return self._click(query)
        return 400, b"no service"

    def _features(self, query: dict[str, str]) -> tuple[int, bytes]:
        layer = query["typeName"]
        if layer not in self.layers:
            return 200, REPORT % f"Could not find layer {layer}".encode()
        if ("bbox" in query) == ("cql_filter" in query):
            return 400, REPORT % b"bbox and cql_filter are mutually exclusive"
        assert query["version"] == "1.0.0"
        assert query["srsName"] == "EPSG:4326"
        rows = self.layers[layer]
        if "bbox" in query:
            west, south, east, north = map(float, query["bbox"].removesuffix(",EPSG:4326").split(","))
            box = shapely.box(west, south, east, north)
            return self._answer([one for one in rows if _shape(one).intersects(box)])
        column, value = re.fullmatch(r"(\w+)='([^']*)'", query["cql_filter"]).groups()
        if rows and column not in rows[0]["properties"]:
            return 200, REPORT % f"Illegal property name: {column}".encode()
        return self._answer([one for one in rows if one["properties"][column] == value])

    def _click(self, query: dict[str, str]) -> tuple[int, bytes]:
        assert query["version"] == "1.1.1"
        assert query["info_format"] == "application/json"
        layer = query["query_layers"]
        if layer not in self.layers:
            return 200, REPORT % b"LayerNotDefined"
        box = shapely.box(*map(float, query["bbox"].split(",")))  # lon, lat in 1.1.1
        return self._answer([one for one in self.layers[layer] if _shape(one).intersects(box)])

    def _answer(self, rows: list[dict[str, Any]]) -> tuple[int, bytes]:
        document: dict[str, Any] = {"type": "FeatureCollection", "features": rows}
        if self.says_crs:
            code = "3857" if self.mercator else "4326"
            document["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
        if self.mercator or self.swapped:
            document["features"] = [{**one, "geometry": self._moved(one)} for one in rows]
        return 200, json.dumps(document).encode()

    def _moved(self, one: dict[str, Any]) -> dict[str, Any]:
        shape = _shape(one)
        if self.swapped:
            shape = shapely.transform(shape, lambda points: points[:, ::-1])
        if self.mercator:
            change = transformer(LONLAT, 3857)
            shape = shapely.transform(shape, change.transform, interleaved=False)
        return json.loads(shapely.to_geojson(shape))


def _shape(one: dict[str, Any]) -> shapely.Geometry:
    return shapely.from_geojson(json.dumps(one["geometry"]))
