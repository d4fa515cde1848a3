"""Outlines that nobody should have, through the command line: one sentence each, and never a surprise."""

from __future__ import annotations

import json
import re
import zipfile
from typing import Any

import numpy as np
import pytest

from itslive_core.cli import run
from tests.reading import write_arrays

RING = [[95.0, 30.0], [95.1, 30.0], [95.1, 30.1], [95.0, 30.1], [95.0, 30.0]]


def feature(coordinates: Any, kind: str = "Polygon", **properties: Any) -> str:
    geometry = {"type": kind, "coordinates": coordinates}
    return json.dumps({"type": "Feature", "properties": properties, "geometry": geometry})


def collection(*features: Any, **more: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **more})


def with_point(*point: Any) -> str:
    return feature([[*RING[:3], list(point), RING[0]]])


NAMED = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::99999"}}

CASES: dict[str, tuple[str | bytes, str]] = {
    "deep JSON": ("[" * 200_000 + "]" * 200_000, "is not valid GeoJSON|some other JSON"),
    "deep coordinates": (
        '{"type": "Polygon", "coordinates": ' + "[" * 50_000 + "]" * 50_000 + "}",
        "damaged coordinates|not valid GeoJSON|no polygon",
    ),
    "nothing": ("", "not valid GeoJSON|holds no polygons"),
    "half": (feature([RING])[:60], "is not valid GeoJSON"),
    "a number": ("42", "some other JSON"),
    "a list": ("[]", "some other JSON"),
    "no type": ("{}", "some other JSON"),
    "features that are a word": ('{"type": "FeatureCollection", "features": "none"}', "some other JSON"),
    "no features": (collection(), "holds no polygon"),
    "features of null": (collection(None, 5, "a"), "holds no polygon"),
    "a geometry of null": (
        json.dumps({"type": "Feature", "properties": None, "geometry": None}),
        "no polygon",
    ),
    "a geometry that is a list": (json.dumps({"type": "Feature", "geometry": [1]}), "damaged coordinates"),
    "a geometry nobody knows": (feature([RING], "Blob"), "damaged coordinates"),
    "no coordinates": (
        json.dumps({"type": "Feature", "geometry": {"type": "Polygon"}}),
        "damaged coordinates",
    ),
    "empty coordinates": (feature([]), "holds no polygon|damaged"),
    "coordinates of words": (feature([[["a", "b"]] * 4]), "damaged coordinates"),
    "coordinates of null": (with_point(None, None), "damaged coordinates|outside|no polygon"),
    "one number a point": (feature([[[1.0], [2.0], [3.0], [1.0]]]), "damaged coordinates"),
    "a ring of two points": (feature([RING[:2]]), "damaged coordinates"),
    "a line": (feature(RING, "LineString"), "holds no polygon"),
    "a point": (feature(RING[0], "Point"), "holds no polygon"),
    "no area": (feature([[RING[0]] * 4]), "holds no polygon|no area"),
    "coordinates of 1e308": (with_point(1e308, 1e308), "in metres|outside"),
    "coordinates of 1e400": (
        feature([RING]).replace("95.1", "1e400"),
        "damaged|outside|in metres|not finite",
    ),
    "coordinates that are no numbers": (
        feature([RING]).replace("95.1", "NaN"),
        "damaged|outside|no pixel|polygon",
    ),
    "a latitude of 95": (with_point(95.0, 95.0), "outside|no pixel"),
    "an unknown projection": (collection(json.loads(feature([RING])), crs=NAMED), "in an unknown projection"),
    "a projection of a file": (
        collection(
            json.loads(feature([RING])),
            crs={"properties": {"name": "+proj=utm +zone=46 +nadgrids=/etc/passwd"}},
        ),
        "in an unknown projection",
    ),
    "properties that are a list": (
        json.dumps({**json.loads(feature([RING])), "properties": [1]}),
        "no pixel",
    ),
    "another place": (feature([RING]), "no pixel"),
    "an area of words": (feature([RING], area_km2="large", rgi_id=7, glac_name=["x"]), "no pixel"),
    "an XML page": ("<html><body>Sign in</body></html>", "XML that is not read as KML"),
    "deep XML": ("<kml>" + "<Folder>" * 20_000 + "</Folder>" * 20_000 + "</kml>", "XML|no polygon"),
    "a broken archive": (b"PK\x03\x04" + b"0" * 50, "cannot be unpacked"),
    "a broken GeoPackage": (
        b"SQLite format 3\x00" + b"\x00" * 52 + b"GPKG" + b"\x00" * 100,
        "cannot be read",
    ),
    "a broken shapefile": (b"\x00\x00\x27\x0a" + b"\xff" * 200, "cannot be read"),
    "a broken FlatGeobuf": (b"fgb\x03fgb\x00" + b"\xff" * 200, "cannot be read"),
    "a broken GeoParquet": (b"PAR1" + b"\xff" * 200, "needs pyarrow|cannot be read as GeoParquet"),
    "noise": (bytes(range(256)) * 4, "holds no polygons as"),
}


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    vx = np.full((9, 2, 3), 7, dtype=np.int16)
    return write_arrays(tmp_path_factory.mktemp("cube") / "c.zarr", vx, vx)


@pytest.mark.parametrize("name", CASES)
def test_an_outline_that_is_none(name, cube, tmp_path, capfd):
    content, says = CASES[name]
    named = isinstance(content, str) and not content.startswith("<")
    file = tmp_path / ("outline.geojson" if named else "outline")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code = run(["invert", str(cube), "--outline", str(file), "-o", str(tmp_path / "out.zarr")])
    words = capfd.readouterr().err
    assert "unexpected" not in words, words
    assert code == 1
    assert re.search(says, words), words
    assert len(words) < 600
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    "content", [["a.txt"], [], ["a.gpkg", "b.gpkg"], ["../../x.shp"], ["a/x.shp", "b/x.shp"]]
)
def test_archives_that_hold_no_outline(content, cube, tmp_path, capfd):
    file = tmp_path / "outline.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in content:
            archive.writestr(name, "nothing")
    assert run(["invert", str(cube), "--outline", str(file), "-o", str(tmp_path / "out.zarr")]) == 1
    words = capfd.readouterr().err
    assert "unexpected" not in words, words
    assert "outline.zip" in words


@pytest.mark.parametrize(
    "address", ["https://example.invalid/outline.geojson", "/vsicurl/http://x.invalid/a.shp", "a\0b"]
)
def test_addresses_are_no_outlines(address, cube, tmp_path, capfd):
    assert run(["invert", str(cube), "--outline", address, "-o", str(tmp_path / "out.zarr")]) in (1, 2)
    words = capfd.readouterr().err
    assert "unexpected" not in words, words
