"""Outlines as people have them: ids in any spelling, several layers, dates, folders; metres without name."""

from __future__ import annotations

import json
import shutil
import zipfile

import geopandas
import pytest
import shapely
import shapely.affinity

from itslive_core.errors import OutlineError, SettingsError
from itslive_core.places.glaciers import Glacier
from itslive_core.places.rgi import parse_rgi_id
from tests.places.squares import SQUARE, in_lonlat, table

PLACE = in_lonlat(SQUARE)
SIX, SEVEN = "RGI60-01.14443", "RGI2000-v7.0-G-01-08604"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (SIX, SIX),
        (" rgi60-01.14443 ", SIX),
        ("RGI60-1.14443", SIX),
        ("RGI 60-01.14443", SIX),
        ("rgi60 01 14443", SIX),
        ("RGI60_01.14443", SIX),
        ("RGI6.0-01.14443", SIX),
        ("RGI60–01.14443", SIX),
        ("01.14443", SIX),
        ("RGI60-01.3", "RGI60-01.00003"),
        (SEVEN, SEVEN),
        ("rgi2000-v7.0-g-01-08604", SEVEN),
        ("RGI2000-v7.0-G-1-8604", SEVEN),
        ("RGI2000 v7.0 G 01 08604", SEVEN),
        ("RGI2000-v7-G-01-08604", SEVEN),
        ("RGI2000-v7.0-C-01-00012", "RGI2000-v7.0-C-01-00012"),
        ("rgi2000-v7.0-c-1-12", "RGI2000-v7.0-C-01-00012"),
    ],
)
def test_ids_as_people_write_them(written, meant):
    found = parse_rgi_id(written)
    assert found.text == meant
    assert found.region == 1


@pytest.mark.parametrize(
    "written", ["", "RGI60", "RGI60-20.00001", "RGI60-01.123456", "G007026E45991N", "1e5", "RGI50-01.00001x"]
)
def test_what_is_no_id(written):
    with pytest.raises(SettingsError, match="write it like RGI60"):
        parse_rgi_id(written)


def rows(columns: dict[str, list[str]], n: int = 2) -> geopandas.GeoDataFrame:
    shapes = [shapely.affinity.translate(PLACE, 0.2 * i) for i in range(n)]
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=4326)


def test_downloads_of_glims_have_ids(tmp_path):
    rows({"glac_id": ["G095968E29920N", "G095970E29920N"]}).to_file(tmp_path / "glims.gpkg")
    glacier = Glacier.from_file(tmp_path / "glims.gpkg", rgi_id="g095970e29920n")
    assert glacier.rgi_id == "G095970E29920N"
    with pytest.raises(OutlineError, match="has 2 glaciers; choose one by its RGI id, of G095968E29920N"):
        Glacier.from_file(tmp_path / "glims.gpkg")


@pytest.mark.parametrize("wanted", ["rgi60-15.7", "RGI60-15.00007", " RGI60-15.00007", "RGI60 15.00007"])
def test_an_id_of_a_file_in_any_spelling(tmp_path, wanted):
    rows({"RGIId": ["RGI60-15.00007", "RGI60-15.00008"]}).to_file(tmp_path / "rgi.gpkg")
    assert Glacier.from_file(tmp_path / "rgi.gpkg", rgi_id=wanted).rgi_id == "RGI60-15.00007"


@pytest.mark.parametrize("column", ["src_date", "anlys_time", "Year", "BgnDate"])
@pytest.mark.parametrize("wanted", [None, "g1"])
def test_of_outlines_at_two_dates_the_newest_is_used_and_that_is_said(tmp_path, column, wanted):
    two = rows({"glac_id": ["G1", "G1"], column: ["2016-07-31", "2001-08-01"]})
    for name, file in (("a.gpkg", two), ("b.gpkg", two.iloc[::-1])):
        file.to_file(tmp_path / name)
        glacier = Glacier.from_file(tmp_path / name, rgi_id=wanted)
        assert glacier.outline.equals(two.geometry.iloc[0])
        assert glacier.remark == "G1 has outlines of 2001-08-01, 2016-07-31: the newest is used"


def test_all_glaciers_of_a_file_are_of_the_newest_date(tmp_path):
    three = rows({"glac_id": ["G1", "G1", "G2"], "src_date": ["2001-08-01", "2016-07-31", "2016-07-31"]}, 3)
    three.to_file(tmp_path / "three.gpkg")
    every = Glacier.together(Glacier.list_from_file(tmp_path / "three.gpkg"))
    assert every.attributes["rgi_ids"] == ["G1", "G2"]
    assert every.outline.equals(shapely.union_all(three.geometry.iloc[1:]))
    assert every.remark == "G1 has outlines of 2001-08-01, 2016-07-31: the newest is used"
    one = Glacier.from_file(tmp_path / "three.gpkg", rgi_id="G2")
    assert Glacier.together([one, one]).rgi_id == "G2"


def test_the_parts_of_a_glacier_are_still_joined(tmp_path):
    rows({"rgi_id": [SEVEN, SEVEN]}).to_file(tmp_path / "parts.gpkg")
    glacier = Glacier.from_file(tmp_path / "parts.gpkg")
    assert glacier.remark == ""
    assert len(shapely.get_parts(glacier.outline)) == 2


def test_a_layer_is_chosen_by_name(tmp_path):
    path = tmp_path / "two.gpkg"
    rows({"rgi_id": [SIX]}, 1).to_file(path, layer="old")
    rows({"rgi_id": [SEVEN]}, 1).to_file(path, layer="new")
    with pytest.raises(OutlineError, match=r"has 2 layers \(old, new\): choose .* --layer NAME"):
        Glacier.from_file(path)
    assert Glacier.from_file(path, layer="new").rgi_id == SEVEN
    with pytest.raises(OutlineError, match="newest"):
        Glacier.from_file(path, layer="newest")


@pytest.mark.parametrize("deep", ["", "folder/", "a/b/"])
def test_archives_and_folders_with_folders_inside(tmp_path, deep):
    source = tmp_path / "source"
    source.mkdir()
    rows({"rgi_id": [SEVEN]}, 1).to_file(source / "outline.shp")
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for file in source.iterdir():
            archive.write(file, f"{deep}{file.name}")
    assert Glacier.from_file(tmp_path / "zipped.zip").rgi_id == SEVEN
    shutil.copytree(source, tmp_path / "unzipped" / deep)
    assert Glacier.from_file(tmp_path / "unzipped").rgi_id == SEVEN


def in_metres(epsg: int, properties: dict[str, float]) -> dict[str, object]:
    shape = table([PLACE], 4326).to_crs(epsg).geometry.iloc[0]
    feature = {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(shape)}
    return {"type": "FeatureCollection", "features": [feature]}


@pytest.mark.parametrize("epsg", [32646, 3857])
def test_metres_without_a_projection_are_refused_in_words(tmp_path, epsg):
    path = tmp_path / "metres.geojson"
    path.write_text(json.dumps(in_metres(epsg, {})))
    words = "are in metres, as of a UTM zone, and" if epsg == 32646 else "are in metres and"
    with pytest.raises(OutlineError, match=f"{words} it does not say of which projection"):
        Glacier.from_file(path)


@pytest.mark.parametrize("epsg", [32646, 3857])
def test_metres_are_read_where_the_outline_says_where_it_lies(tmp_path, epsg):
    middle = PLACE.centroid
    path = tmp_path / "metres.geojson"
    path.write_text(json.dumps(in_metres(epsg, {"CenLon": middle.x, "CenLat": middle.y})))
    found = Glacier.from_file(path).outline
    assert found.symmetric_difference(PLACE).area < 1e-3 * PLACE.area
