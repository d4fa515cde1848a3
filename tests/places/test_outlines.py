"""Outlines of any file format, projection and naming scheme; rings that need mending."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
import shapely.affinity

from itslive_core.errors import OutlineError
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.places.glaciers import Glacier
from tests.places.squares import SQUARE, in_lonlat, table, three

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("suffix", ["geojson", "json", "gpkg", "shp", "fgb", "shp.zip", "kml"])
def test_every_format_gives_the_same_outlines(tmp_path, suffix):
    path = tmp_path / f"outlines.{suffix}"
    if suffix == "shp.zip":
        three().to_file(path, driver="ESRI Shapefile")
    else:
        three().to_file(path, driver="GeoJSON" if suffix == "json" else None)
    found = Glacier.list_from_file(path)
    assert len(found) == 3
    found.sort(key=lambda glacier: glacier.rgi_id)  # FlatGeobuf sorts by place
    for glacier, shape in zip(found, three().geometry):
        assert glacier.outline.symmetric_difference(shape).area < 1e-9
    assert [one.label for one in found] == ["One", "RGI2000-v7.0-G-15-00002", "Three"]


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    three().to_parquet(tmp_path / "outlines.parquet")
    assert [one.name for one in Glacier.list_from_file(tmp_path / "outlines.parquet")] == [
        "One",
        None,
        "Three",
    ]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "outlines.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutlineError, match="pip install pyarrow"):
        Glacier.from_file(tmp_path / "outlines.parquet")


@pytest.mark.parametrize(
    "names",
    [
        ("rgi_id", "glac_name", "area_km2"),
        ("RGIId", "Name", "Area"),
        ("RGIID", "NAME", "AREA"),
        ("RGI_ID", "Glac_Name", "AREA_KM2"),
    ],
)
def test_columns_of_both_inventories(tmp_path, names):
    path = tmp_path / "outlines.gpkg"
    three(names).to_file(path)
    one, two, last = Glacier.list_from_file(path)
    assert (one.rgi_id, one.name, one.area_km2) == ("RGI2000-v7.0-G-15-00001", "One", 116.0)
    assert two.name is None
    assert two.area_km2 == pytest.approx(116.0, rel=2e-3)  # measured where the file has none
    assert last.area_km2 == pytest.approx(116.0, rel=2e-3)
    assert one.attributes[names[0].lower()] == one.rgi_id


@pytest.mark.parametrize("epsg", [32646, 4326, 3413, 3857, 6933, 4979])
@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_any_projection(tmp_path, epsg, suffix):
    three().to_crs(epsg).to_file(tmp_path / f"outlines.{suffix}")
    glacier = Glacier.list_from_file(tmp_path / f"outlines.{suffix}")[0]
    assert glacier.outline_in(32646).symmetric_difference(SQUARE).area < 20.0 * 50e3  # m2: the edges are long
    assert len(glacier.outline.interiors) == 1


def test_geojson_with_a_urn_keeps_lon_lat(tmp_path):
    document = json.loads(three().to_json())
    for name in ("urn:ogc:def:crs:EPSG::4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"):
        document["crs"] = {"type": "name", "properties": {"name": name}}
        (tmp_path / "urn.geojson").write_text(json.dumps(document))
        assert Glacier.list_from_file(tmp_path / "urn.geojson")[0].centre[0] == pytest.approx(95.12, abs=0.02)


def test_properties_that_are_no_table_are_none(tmp_path):
    document = json.loads(three().to_json())
    for row, properties in zip(document["features"], ([1, 2], "text", 3.5), strict=True):
        row["properties"] = properties
    (tmp_path / "odd.geojson").write_text(json.dumps(document))
    assert len(Glacier.list_from_file(tmp_path / "odd.geojson")) == 3


def test_single_features_and_bare_geometries(tmp_path):
    geometry = json.loads(shapely.to_geojson(in_lonlat(SQUARE)))
    for i, document in enumerate((geometry, {"type": "Feature", "properties": None, "geometry": geometry})):
        path = tmp_path / f"{i}.geojson"
        path.write_text(json.dumps(document))
        glacier = Glacier.from_file(path)
        assert glacier.rgi_id is None
        assert glacier.label.startswith("unnamed glacier near 29.8")


def test_choosing_one_of_several(tmp_path):
    for suffix in ("gpkg", "geojson"):
        path = tmp_path / f"several.{suffix}"
        three().to_file(path)
        assert Glacier.from_file(path, rgi_id="rgi2000-v7.0-g-15-00003").name == "Three"
        assert Glacier.from_file(path, rgi_id="three").name == "Three"
        with pytest.raises(
            OutlineError, match=r"3 glaciers; choose one by its RGI id, of RGI2000-v7\.0-G-15-00001, "
        ):
            Glacier.from_file(path)
        with pytest.raises(OutlineError, match=r"no glacier RGI60-01\.00001; it has RGI2000"):
            Glacier.from_file(path, rgi_id="RGI60-01.00001")


def test_the_rows_of_one_glacier_are_joined(tmp_path):
    halves = [
        shapely.clip_by_rect(SQUARE, 0, 0, 705000, 1e7),
        shapely.clip_by_rect(SQUARE, 705000, 0, 1e7, 1e7),
    ]
    table(halves, 32646, rgi_id=["RGI60-15.00001"] * 2).to_file(tmp_path / "halves.gpkg")
    glacier = Glacier.from_file(tmp_path / "halves.gpkg", rgi_id="RGI60-15.00001")
    assert glacier.area_km2 == pytest.approx(116.0, rel=2e-3)


def test_layers(tmp_path):
    path = tmp_path / "layers.gpkg"
    table([shapely.LineString([(95, 29), (95, 30)])]).to_file(path, layer="lines")
    three().iloc[:1].to_file(path, layer="ice")
    assert Glacier.from_file(path).name == "One"  # the only layer with polygons
    three().iloc[2:].to_file(path, layer="more ice")
    with pytest.raises(OutlineError, match="has 3 layers"):
        Glacier.from_file(path)
    assert Glacier.from_file(path, layer="more ice").name == "Three"
    with pytest.raises(OutlineError, match="cannot be read"):
        Glacier.from_file(path, layer="water")


RING = "[[[0, 0], [1, 0], [1, 1], [0, 0]]]"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.gpkg", None, "there is no outline file"),
        ("gone.geojson", None, "there is no outline file"),
        ("text.gpkg", "not a database", "cannot be read"),
        ("text.geojson", "not json", "not valid GeoJSON"),
        ("empty.geojson", '{"type": "FeatureCollection", "features": []}', "holds no polygon"),
        ("other.json", '{"a": 1}', "cannot be read"),
        ("text_in.geojson", '{"type": "Polygon", "coordinates": [[["a", 1], [2, 3], [4, 5]]]}', "damaged"),
        ("short.geojson", '{"type": "Polygon", "coordinates": [[[1, 2], [2, 3]]]}', "damaged"),
        ("flat.geojson", '{"type": "Polygon", "coordinates": [[1, 2], [2, 3]]}', "damaged"),
        ("none.geojson", '{"type": "Polygon"}', "damaged"),
        (
            "line.geojson",
            '{"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}}',
            "holds no polygon",
        ),
        ("null.geojson", '{"type": "Feature", "properties": {}, "geometry": null}', "holds no polygon"),
        (
            "crs.geojson",
            f'{{"type": "Polygon", "coordinates": {RING}, "crs": {{"properties": {{"name": "nonsense"}}}}}}',
            "unknown projection, 'nonsense'",
        ),
        (
            "private.geojson",
            f'{{"type": "Polygon", "coordinates": {RING}, "crs": {{"properties": {{"name": "+init=/x"}}}}}}',
            "unknown projection",
        ),
        (
            "deep.kml",
            f'<kml xmlns="http://www.opengis.net/kml/2.2">{"<Folder>" * 4000}{"</Folder>" * 4000}</kml>',
            "cannot be read|holds no polygon",
        ),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(OutlineError, match=says) as error:
        Glacier.from_file(path)
    assert "\n" not in str(error.value)


def test_points_and_tables_are_no_outlines(tmp_path):
    table([shapely.Point(95, 29)]).to_file(tmp_path / "point.gpkg")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for name in ("point.gpkg", "table.csv"):
        with pytest.raises(OutlineError, match="holds no polygon"):
            Glacier.from_file(tmp_path / name)


def test_metres_without_a_projection(tmp_path):
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        table([SQUARE], None).to_file(tmp_path / "nowhere.shp")
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        table([in_lonlat(SQUARE)], None).to_file(tmp_path / "degrees.shp")
    with pytest.raises(OutlineError, match="does not say what projection"):
        Glacier.from_file(tmp_path / "nowhere.shp")
    assert Glacier.from_file(tmp_path / "degrees.shp").outline.is_valid


# Rings that need mending


def test_invalid_rings_are_mended(tmp_path):
    bow_tie = shapely.Polygon([(95, 29), (96, 30), (96, 29), (95, 30)])
    overlapping_hole = shapely.Polygon(
        shapely.box(95, 29, 96, 30).exterior.coords,
        [
            shapely.box(95.2, 29.2, 95.6, 29.6).exterior.coords,
            shapely.box(95.4, 29.4, 95.8, 29.8).exterior.coords,
        ],
    )
    spike = shapely.Polygon([(95, 29), (96, 29), (96, 31), (96, 29), (96, 30), (95, 30)])
    table([bow_tie, overlapping_hole, spike]).to_file(tmp_path / "bad.gpkg")
    tie, holes, plain = Glacier.list_from_file(tmp_path / "bad.gpkg")
    assert tie.outline.is_valid
    assert tie.outline.area == pytest.approx(0.5)
    assert holes.outline.area == pytest.approx(1.0 - 0.28)  # what two holes share stays a hole
    assert plain.outline.area == pytest.approx(1.0)
    assert {one.outline.geom_type for one in (tie, holes, plain)} <= {"Polygon", "MultiPolygon"}


def test_multipolygons_and_heights(tmp_path):
    two = shapely.MultiPolygon([shapely.box(95, 29, 95.1, 29.1), shapely.box(95.2, 29, 95.3, 29.1)])
    table([shapely.force_3d(two, 4000.0)]).to_file(tmp_path / "two.gpkg")
    glacier = Glacier.from_file(tmp_path / "two.gpkg")
    assert glacier.outline.equals(two)
    assert not glacier.outline.has_z
    assert glacier.outline.contains(shapely.Point(glacier.centre))
    assert glacier.covers(95.25, 29.05)
    assert not glacier.covers(95.15, 29.05)


@pytest.mark.parametrize("kind", ["jumps", "cut", "beyond", "polar"])
def test_an_outline_across_the_antimeridian_is_in_one_piece(tmp_path, kind):
    whole = shapely.box(179.9, -78.6, 180.2, -78.4)
    shapes = {
        "jumps": (
            shapely.Polygon([(179.9, -78.6), (-179.8, -78.6), (-179.8, -78.4), (179.9, -78.4)]),
            LONLAT,
        ),
        "cut": (
            shapely.MultiPolygon(
                [shapely.box(179.9, -78.6, 180, -78.4), shapely.box(-180, -78.6, -179.8, -78.4)]
            ),
            LONLAT,
        ),
        "beyond": (whole, LONLAT),
        "polar": (
            shapely.transform(
                whole.segmentize(0.01),
                lambda x, y: transformer(LONLAT, 3031).transform(x, y),
                interleaved=False,
            ),
            3031,
        ),
    }
    shape, crs = shapes[kind]
    table([shape], crs).to_file(tmp_path / "far.gpkg")
    glacier = Glacier.from_file(tmp_path / "far.gpkg")
    assert glacier.outline.geom_type == "Polygon"
    west, _, east, _ = glacier.outline.bounds
    assert east - west == pytest.approx(0.3)
    assert glacier.covers(180.0, -78.5)
    assert glacier.covers(-179.85, -78.5)
    assert glacier.covers(179.95, -78.5)
    assert not glacier.covers(-179.7, -78.5)
    assert glacier.outline_in(3031).area == pytest.approx(144.0e6, rel=1e-3)
    assert len(glacier.cubes()) == 2


@pytest.mark.parametrize("hole", [False, True])
def test_an_outline_round_a_pole(tmp_path, hole):
    shape = shapely.box(-1e5, -1e5, 1e5, 1e5)
    if hole:
        shape = shape.difference(shapely.box(-2e4, -2e4, 3e4, 3e4))
    table([shape], 3031).to_file(tmp_path / "pole.gpkg")
    glacier = Glacier.from_file(tmp_path / "pole.gpkg")
    centres = np.arange(-1.5e5, 1.6e5, 2e4) + 300.0
    inside = glacier.contains(centres, centres, "EPSG:3031")
    assert (inside == shapely.contains_xy(shape, *np.meshgrid(centres, centres))).all()
    assert glacier.covers(77.0, -89.3)
    assert glacier.covers(0.0, -90.0) is not hole


# Weight


def test_an_outline_in_geojson_needs_no_table_library(tmp_path):
    three().iloc[:1].to_file(tmp_path / "one.geojson")
    code = f"""
import sys
from itslive_core.places.glaciers import Glacier
Glacier.from_file({str(tmp_path / "one.geojson")!r}).cubes()
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"geopandas", "pandas", "pyogrio", "requests"} & set(loaded.stdout.split())
