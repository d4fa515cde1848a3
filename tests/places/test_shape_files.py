"""Files with shapes are what their content says, and reading one reads nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from contextlib import closing

import pytest
import shapely

import itslive_core.places.shape_files as shape_files
from itslive_core.errors import OutlineError
from itslive_core.places.glaciers import Glacier
from tests.places.squares import table, three

SECRET = 'name,wkt\nsecret,"POLYGON ((0 0, 1 0, 1 1, 0 0))"\n'
READABLE = "GeoJSON, GeoPackage, shapefile .zipped too., FlatGeobuf, KML or GeoParquet"


@pytest.fixture
def secret(tmp_path):
    """A file of the server that no outline file may open."""
    path = tmp_path / "private" / "secret.csv"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def virtual(secret) -> str:
    """A layer that GDAL would read from the secret file."""
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{secret}</SrcDataSource>'
        "<GeometryType>wkbPolygon</GeometryType>"
        '<GeometryField encoding="WKT" field="wkt"/></OGRVRTLayer></OGRVRTDataSource>'
    )


def refused(path) -> str:
    with pytest.raises(OutlineError) as error:
        Glacier.list_from_file(path)
    words = str(error.value)
    assert "\n" not in words
    assert "secret'" not in words
    return words


@pytest.mark.parametrize(
    "suffix", ["gpkg", "kml", "fgb", "geojson", "json", "shp", "parquet", "vrt", "xml", ""]
)
def test_a_virtual_layer_is_refused_whatever_it_is_called(tmp_path, virtual, suffix):
    path = tmp_path / f"outlines.{suffix}"
    path.write_text(virtual)
    words = refused(path)
    assert "GeoJSON" in words


@pytest.mark.parametrize(
    "inside", ["outlines.gpkg", "deep/outlines.shp", "outlines.kml", "o.geojson", "o.vrt"]
)
def test_a_virtual_layer_in_an_archive_is_refused(tmp_path, virtual, inside):
    path = tmp_path / "outlines.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(inside, virtual)
    assert "GeoJSON" in refused(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.gpkg", SECRET),
        ("outlines.gml", '<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml"/>'),
        ("outlines.gpx", '<gpx version="1.1"></gpx>'),
        ("service.kml", "<OGRWFSDataSource><URL>http://127.0.0.1:1/wfs</URL></OGRWFSDataSource>"),
        (
            "algorithm.gpkg",
            '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read secret"}',
        ),
        ("topology.geojson", '{"type": "Topology", "objects": {}, "arcs": []}'),
        ("esri.json", '{"geometryType": "esriGeometryPolygon", "features": []}'),
    ],
)
def test_other_formats_are_refused_in_one_sentence(tmp_path, name, content):
    import re

    (tmp_path / name).write_text(content)
    assert re.search(READABLE, refused(tmp_path / name))


@pytest.mark.parametrize(
    "name",
    [
        "WFS:http://127.0.0.1:1/",
        "/vsicurl/http://127.0.0.1:1/x.gpkg",
        "GPKG:x.gpkg",
        "http://127.0.0.1:1/x.gpkg",
    ],
)
def test_addresses_and_connections_are_no_files(name):
    words = refused(name)
    assert "there is no outline file" in words or "is an address" in words


def test_the_same_holds_for_centrelines(tmp_path, virtual):
    path = tmp_path / "lines.gpkg"
    path.write_text(virtual)
    three().iloc[:1].to_file(tmp_path / "one.geojson")
    with pytest.raises(OutlineError, match="holds no centrelines as GeoJSON"):
        Glacier.from_file(tmp_path / "one.geojson").centrelines(path)


# KML


def kml(body: str, before: str = "") -> str:
    return f'<?xml version="1.0"?>{before}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{body}</Document></kml>'


PLACE = (
    "<Placemark><name>Ice</name><ExtendedData><Data name='rgi_id'><value>A</value></Data></ExtendedData>"
    "<MultiGeometry>"
    "<Polygon><outerBoundaryIs><LinearRing><coordinates>95,29,0 95.2,29,0 95.2,29.2,0 95, 29.2 95,29,0"
    "</coordinates></LinearRing></outerBoundaryIs><innerBoundaryIs><LinearRing><coordinates>"
    "95.05,29.05 95.1,29.05 95.1,29.1 95.05,29.05</coordinates></LinearRing></innerBoundaryIs></Polygon>"
    "<Polygon><outerBoundaryIs><LinearRing><coordinates>96,29 96.1,29 96.1,29.1 96,29"
    "</coordinates></LinearRing></outerBoundaryIs></Polygon></MultiGeometry></Placemark>"
)


def test_placemarks_with_several_parts_and_holes(tmp_path):
    path = tmp_path / "ice.kml"
    path.write_text(kml(f"<Folder><name>other</name></Folder><Folder><name>ice</name>{PLACE}</Folder>"))
    for layer in (None, "ice"):
        (glacier,) = Glacier.list_from_file(path, layer=layer)
        assert (glacier.name, glacier.rgi_id) == ("Ice", "A")
        assert glacier.outline.geom_type == "MultiPolygon"
        assert glacier.outline.area == pytest.approx(0.04 - 0.00125 + 0.005)
    with pytest.raises(OutlineError, match="has no folder 'snow'"):
        Glacier.list_from_file(path, layer="snow")


def test_links_and_entities_of_kml_are_not_followed(tmp_path, secret):
    path = tmp_path / "ice.kml"
    path.write_text(kml(f"<NetworkLink><Link><href>file://{secret}</href></Link></NetworkLink>{PLACE}"))
    assert len(Glacier.list_from_file(path)) == 1
    entity = f'<!DOCTYPE kml [<!ENTITY x SYSTEM "file://{secret}">]>'
    path.write_text(kml(PLACE.replace("Ice", "&x;"), before=entity))
    assert "DOCTYPE" in refused(path)
    path.write_text(kml(PLACE.replace("96,29 ", "here ")))
    assert "cannot be read" in refused(path)


# GeoPackage


def geopackage(path, *statements: str):
    three().to_file(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


def test_a_geopackage_may_have_plain_views(tmp_path):
    path = geopackage(tmp_path / "plain.gpkg", "CREATE VIEW few AS SELECT fid, rgi_id FROM plain")
    assert len(Glacier.list_from_file(path, layer="plain")) == 3


def test_tables_that_compute_are_refused(tmp_path, secret):
    view = f"CREATE VIEW spy AS SELECT gdal_get_pixel_value('{secret}', 1, 'pixel', 0, 0) AS value"
    assert "plain GeoPackage" in refused(geopackage(tmp_path / "view.gpkg", view))
    path = tmp_path / "virtual.gpkg"
    row = (
        "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', 'spy', 'spy', 0,"
        f" 'CREATE VIRTUAL TABLE spy USING VirtualOGR(''{secret}'')')"
    )
    assert "virtual table, 'spy'" in refused(geopackage(path, row))
    generated = "CREATE TABLE made (a, b AS (ogr_geocode_reverse(a, 0)))"
    row = (
        "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
        f" SELECT 'table', 'made', 'made', rootpage, '{generated}'"
        " FROM sqlite_master WHERE name = 'generated'"
    )
    assert "plain GeoPackage" in refused(geopackage(tmp_path / "generated.gpkg", row))


def test_another_database_is_no_geopackage(tmp_path):
    path = tmp_path / "other.gpkg"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE a (b)")
        database.commit()
    assert "cannot be read" in refused(path)


# Archives


def archive_of(path, *files, at: str = ""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"{at}{file.name}")
    return path


def test_archives_of_any_format(tmp_path):
    for suffix in ("gpkg", "geojson", "fgb", "kml"):
        three().to_file(tmp_path / f"outlines.{suffix}", driver="LIBKML" if suffix == "kml" else None)
        path = archive_of(tmp_path / f"{suffix}.zip", tmp_path / f"outlines.{suffix}", at="folder/")
        assert len(Glacier.list_from_file(path)) == 3


def test_an_archive_of_shapefiles_with_notes(tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    three().to_file(folder / "ice.shp")
    (folder / "notes.json").write_text("{}")
    assert len(Glacier.list_from_file(archive_of(tmp_path / "one.zip", *folder.iterdir(), at="a/b/"))) == 3
    table([shapely.box(95, 29, 96, 30)]).to_file(folder / "snow.shp")
    path = archive_of(tmp_path / "two.zip", *folder.iterdir())
    assert "has 2 layers" in refused(path)
    assert len(Glacier.list_from_file(path, layer="snow")) == 1


def test_a_folder_of_shapefiles(tmp_path, virtual):
    folder = tmp_path / "shapes"
    folder.mkdir()
    three().to_file(folder / "ice.shp")
    (folder / "notes.vrt").write_text(virtual)
    assert len(Glacier.list_from_file(folder)) == 3
    table([shapely.box(95, 29, 96, 30)]).to_file(folder / "snow.shp")
    assert "cannot be read" in refused(folder)
    (folder / "notes.vrt").unlink()
    assert len(Glacier.list_from_file(folder, layer="ice")) == 3
    assert "cannot be read" in refused(tmp_path)


def test_archives_stay_in_their_place(tmp_path):
    three().to_file(tmp_path / "outlines.geojson")
    below = tmp_path / "below"
    below.mkdir()
    path = archive_of(below / "up.zip", tmp_path / "outlines.geojson", at="../../")
    before = set(tmp_path.rglob("*"))
    assert len(Glacier.list_from_file(path)) == 3
    assert set(tmp_path.rglob("*")) == before


def test_archives_that_are_refused(tmp_path, monkeypatch):
    three().to_file(tmp_path / "a.geojson")
    three().to_file(tmp_path / "b.geojson")
    two = archive_of(tmp_path / "two.zip", tmp_path / "a.geojson", tmp_path / "b.geojson")
    assert "holds a.geojson, b.geojson where one was expected" in refused(two)
    assert "holds no file where one" in refused(archive_of(tmp_path / "none.zip", two))
    one = archive_of(tmp_path / "one.zip", tmp_path / "a.geojson")
    one.rename(tmp_path / "nested.geojson")
    assert "cannot be read" in refused(archive_of(tmp_path / "nested.zip", tmp_path / "nested.geojson"))
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(two.read_bytes()[:300])
    assert "cannot be unpacked" in refused(damaged)
    monkeypatch.setattr(shape_files, "LARGEST", 1000)
    assert "unpacks to more than" in refused(archive_of(tmp_path / "large.zip", tmp_path / "a.geojson"))


def test_deep_and_strange_json(tmp_path):
    path = tmp_path / "deep.geojson"
    path.write_text("[" * 200_000)
    assert "not valid GeoJSON" in refused(path)
    path.write_text(json.dumps([1, 2]))
    assert "cannot be read" in refused(path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", f"{tmp_path}/{'x' * 5000}", f"{tmp_path}/zero\0byte"):
        with pytest.raises(OutlineError, match="there is no outline file"):
            Glacier.from_file(path)
