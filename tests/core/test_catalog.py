"""The catalog finds every cube from its place alone, offline, and reads every variant of the public list."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import shapely

from itslive_core import catalog, catalog_refresh
from itslive_core.catalog import (
    VERSION,
    Catalog,
    CubeRecord,
    cubes_at,
    cubes_over,
    load_catalog,
    refresh_catalog,
)
from itslive_core.errors import CoverageError, ItsliveError, ServiceError, SettingsError
from itslive_core.footprints import box_polygons
from itslive_core.geodesy import LONLAT, transformer, utm_zone
from tests.core.local_http import serve

ROOT = Path(__file__).resolve().parents[2]
PERITO_MORENO = (-73.10, -50.48)
FEDCHENKO = (72.30, 38.80)
SIACHEN_EDGE = (78.0, 35.3)
PARLUNG = (95.968, 29.920)
HTTPS = "https://its-live-data.s3.amazonaws.com/"


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Neither a refreshed catalog of another test nor the user's settings decide a lookup."""
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ITSLIVE_CATALOG", raising=False)


@pytest.fixture(scope="module")
def packaged() -> Catalog:
    return catalog_refresh._packaged()


def names(records: list[CubeRecord]) -> list[str]:
    return [f"{one.epsg} X{one.cx}_Y{one.cy}" for one in records]


def feature(record: CubeRecord, **properties: object) -> dict[str, object]:
    ring = shapely.get_coordinates(record.footprint).tolist()
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def collection(*features: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def box(record: CubeRecord) -> dict[str, object]:
    xmin, ymin, xmax, ymax = record.bounds
    ring = [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax], [xmin, ymin]]
    return {"type": "Polygon", "coordinates": [ring]}


# What a record computes


def test_address_of_a_cube():
    record = CubeRecord(32646, 750000, 3350000)
    assert record.name == "ITS_LIVE_vel_EPSG32646_G0120_X750000_Y3350000"
    path = f"datacubes/{VERSION}/N30E090/{record.name}.zarr"
    assert record.url == f"https://its-live-data.s3.amazonaws.com/{path}"
    assert record.s3_url == f"s3://its-live-data/{path}"
    assert record.bounds == (700000.0, 3300000.0, 800000.0, 3400000.0)


@pytest.mark.parametrize(
    ("lon", "lat", "folder"),
    [
        (-75.7, -50.3, "S50W070"),
        (-140.6, 60.2, "N60W140"),
        (38.0, 5.0, "N00E030"),
        (-0.5, -0.5, "S00W000"),
        (180.0, 90.0, "N80E170"),
        (-180.0, -90.0, "S80W170"),
        (9.999, 79.999, "N70E000"),
    ],
)
def test_folders_are_truncated_towards_zero(lon, lat, folder):
    assert catalog._folder(lon, lat) == folder


def test_the_package_knows_every_cube(packaged):
    assert len(packaged) == 3086
    assert len({record.name for record in packaged.records}) == 3086
    assert len(packaged.epsgs) == 39
    assert {record.version for record in packaged.records} == {VERSION}
    folders = [record.folder for record in packaged.records]
    assert len(set(folders)) == 220


def test_every_address_is_that_of_the_public_catalog(packaged, real_data):
    path = real_data / "catalog_v02.json"
    if not path.exists():
        pytest.skip(f"no catalog to compare with: {path} is missing")
    listed = [one["properties"]["zarr_url"] for one in json.loads(path.read_bytes())["features"]]
    expected = {url.replace("http:", "https:").replace("/v2/", f"/{VERSION}/") for url in listed}
    assert {record.url for record in packaged.records} == expected
    assert {record.url for record in catalog_refresh.parse(path.read_bytes(), "").records} == {
        url.replace("http:", "https:") for url in listed
    }


# Lookup


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (PERITO_MORENO, {"32718 X650000_Y4450000", "32719 X250000_Y4350000"}),
        (FEDCHENKO, {"32643 X250000_Y4250000", "32642 X750000_Y4250000"}),
        (SIACHEN_EDGE, {"32643 X750000_Y3950000", "32644 X250000_Y3950000"}),
        (PARLUNG, {"32646 X750000_Y3350000", "32647 X250000_Y3350000"}),
        ((-146.9, 61.2), {"3413 X-3150000_Y650000"}),  # Columbia: Alaska is on the polar grid
    ],
)
def test_overlapping_cubes_are_all_found(place, expected):
    found = cubes_at(*place)
    assert set(names(found)) == expected
    assert all(record.reason for record in found)
    assert cubes_at(place[0] + 360.0 if place[0] < 0 else place[0] - 360.0, place[1]) == found


def test_reasons_are_plain_words():
    first, second = cubes_at(*PARLUNG)
    assert first.reason == "own UTM zone, 13.4 km inside the edge"
    assert second.reason == "neighbouring UTM zone, 7.3 km inside the edge"
    assert cubes_at(-146.9, 61.2)[0].reason.startswith("polar grid, ")


def test_a_cube_whose_edge_is_near_comes_last():
    # 1 km inside its own zone's cube, but deep inside the neighbour's
    record = CubeRecord(32646, 750000, 3350000)
    lon, lat = transformer(32646, LONLAT).transform(760000.0, 3301000.0)
    assert record in cubes_at(lon, lat)
    depth = {
        one.epsg: one.distance_inside(*transformer(LONLAT, one.epsg).transform(lon, lat))
        for one in cubes_at(lon, lat)
    }
    assert cubes_at(lon, lat)[0].epsg == max(depth, key=lambda epsg: (depth[epsg] >= 5000.0, epsg == 32646))


def test_every_cube_is_found_from_any_place_in_it(packaged):
    rng = np.random.default_rng(1)
    for record in packaged.records[::3]:
        x, y = record.cx + rng.uniform(-5e4, 5e4), record.cy + rng.uniform(-5e4, 5e4)
        lon, lat = transformer(record.epsg, LONLAT).transform(x, y)
        assert record in packaged.cubes_at(lon, lat)


def test_no_candidate_is_forgotten(packaged):
    """Brute force over all 39 coordinate systems finds no cube that a lookup misses."""
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(-180, 180, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000)))
    brute: list[set[CubeRecord]] = [set() for _ in lon]
    for epsg in packaged.epsgs:
        if epsg not in (3413, 3031):  # beyond its zone a UTM projection repeats itself
            zone = epsg % 100
            near = np.abs((lon - (zone * 6 - 183) + 180) % 360 - 180) < 12
        else:
            near = lat > 0 if epsg == 3413 else lat < 0
        x, y = transformer(LONLAT, epsg).transform(lon, lat)
        for i in np.flatnonzero(near):
            hit = packaged.find(epsg, x[i], y[i])
            if hit:
                brute[i].add(hit)
    assert sum(map(bool, brute)) > 50
    for i, expected in enumerate(brute):
        assert {record for record, _ in packaged._hits(lon[i], lat[i])} == expected


def test_near_a_pole_the_projected_box_decides(packaged):
    """Places in a lon/lat ring of straight edges may lie outside the cube, and the other way round."""
    record = packaged.find(3031, -50000.0, -550000.0)
    assert record is not None
    lon, lat = transformer(3031, LONLAT).transform(-50000.0, -500010.0)
    assert packaged.cubes_at(lon, lat) == [record]
    straight = shapely.Polygon(shapely.get_coordinates(record.footprint)[:-1:8])
    assert straight.contains(shapely.Point(lon, lat)) != record.footprint.contains(shapely.Point(lon, lat))


@pytest.mark.parametrize("lon", [180.0, -180.0, 540.0 - 360.0])
def test_the_antimeridian_has_one_name(lon):
    assert names(cubes_at(lon, -78.5)) == names(cubes_at(-180.0, -78.5))
    east, west = cubes_at(179.999, -78.5)[0], cubes_at(-179.999, -78.5)[0]
    assert (east.cx, west.cx) == (50000, -50000)
    assert east.cy == west.cy


def test_utm_zones_meet_at_the_antimeridian():
    assert (utm_zone(179.9), utm_zone(-179.9), utm_zone(0.0), utm_zone(-0.1)) == (60, 1, 31, 30)
    far_east = Catalog((CubeRecord(32701, 150000, 8150000),))
    lon, lat = transformer(32701, LONLAT).transform(175000.0, 8150000.0)
    assert lon > 179.9
    assert far_east.cubes_at(lon, lat)[0].reason.startswith("neighbouring UTM zone")


def test_a_box_may_reach_over_the_equator():
    south = Catalog((CubeRecord(32736, 750000, 10050000),))
    assert south.cubes_at(35.5, 0.3)[0].epsg == 32736


@pytest.mark.parametrize(
    ("lon", "lat", "says"),
    [
        (0.0, 90.0, "90.00° N"),
        (0.0, -90.0, "90.00° S"),
        (-30.0, 0.0, "the nearest"),
        (180.0, 71.2, "the nearest"),
        (95.0, 10.0, "EPSG32647"),
    ],
)
def test_no_cube_says_where_the_nearest_is(lon, lat, says):
    with pytest.raises(CoverageError, match=says) as error:
        cubes_at(lon, lat)
    assert "km away" in str(error.value)


def test_distance_to_the_nearest_cube():
    record = CubeRecord(32646, 750000, 3350000)
    lon, lat = transformer(32646, LONLAT).transform(750000.0, 3390000.0 + 60000.0)
    with pytest.raises(CoverageError, match="ends 50 km away"):
        Catalog((record,)).cubes_at(lon, lat)


@pytest.mark.parametrize(
    ("lon", "lat", "says"),
    [
        (29.9, 95.9, "swapped"),
        (750000.0, 3350000.0, "not metres"),
        (750000.0, 30.0, "not metres"),
        (float("nan"), 30.0, "finite"),
        (30.0, float("inf"), "finite"),
        ("east", 30.0, "must be numbers"),
    ],
)
def test_impossible_places(lon, lat, says):
    with pytest.raises(SettingsError, match=says):
        cubes_at(lon, lat)


# Outlines


def outline_in(epsg: int, xmin: float, ymin: float, xmax: float, ymax: float) -> shapely.Polygon:
    lon, lat = transformer(epsg, LONLAT).transform([xmin, xmax, xmax, xmin], [ymin, ymin, ymax, ymax])
    return shapely.Polygon(zip(lon, lat))


def test_the_cube_that_holds_the_whole_outline_comes_first():
    # across the eastern edge (x = 800 km) of one zone's cube; wholly inside the next one's
    shape = outline_in(32646, 788000, 3330000, 812000, 3350000)
    lon, lat = transformer(32646, LONLAT).transform(795000.0, 3340000.0)
    found = cubes_at(lon, lat, outline=shape)
    assert names(found) == ["32647 X250000_Y3350000", "32646 X750000_Y3350000"]
    assert found[0].reason.startswith("holds the whole outline; own UTM zone")
    assert found[1].reason.startswith("holds 50 % of the outline; neighbouring UTM zone")


def test_cubes_of_one_grid_are_joined():
    shape = outline_in(3413, -3110000, 640000, -3080000, 660000)
    found = cubes_over(shape)
    assert names(found) == ["3413 X-3050000_Y650000", "3413 X-3150000_Y650000"]
    assert "holds 67 % of the outline" in found[0].reason
    assert "2 cubes of EPSG:3413 hold the whole outline" in found[0].reason


def test_an_outline_across_the_antimeridian_is_one():
    shape = shapely.box(179.0, -78.6, 181.0, -78.4)
    found = cubes_over(shape)
    assert {one.cx for one in found} == {50000, -50000}
    assert "hold the whole outline" in found[0].reason


def test_an_outline_without_cubes():
    with pytest.raises(CoverageError, match="no cube covers 0\\.50"):
        cubes_over(shapely.box(-30, 0, -29, 1))
    with pytest.raises(CoverageError, match="empty"):
        cubes_over(shapely.Polygon())


# Footprints


def test_footprints_of_all_cubes(packaged):
    packaged.footprints()  # geopandas is imported
    start = time.perf_counter()
    table = packaged.footprints()
    assert time.perf_counter() - start < 1.0
    assert list(table.columns) == ["name", "epsg", "cx", "cy", "version", "geometry"]
    assert len(table) == 3086
    assert table.crs.to_epsg() == 4326
    assert table.is_valid.all()
    assert (table.geom_type == "Polygon").all()
    west, south, east, north = table.total_bounds
    assert (west, east) == (-180.0, 180.0)
    assert -85.5 < south < -85.3
    assert 84.4 < north < 84.6
    assert (table.bounds.maxx - table.bounds.minx).max() < 20.0


def test_edges_of_a_footprint_are_rounded(packaged):
    for record in (packaged.find(3031, 50000.0, 550000.0), packaged.find(3413, 50000.0, -650000.0)):
        assert record is not None
        xmin, _, xmax, ymax = record.bounds
        lon, lat = transformer(record.epsg, LONLAT).transform(
            np.linspace(xmin, xmax, 101), np.full(101, ymax)
        )
        edge = shapely.LineString(np.column_stack([lon, lat]))
        metres = 111_000.0 * shapely.hausdorff_distance(
            edge, record.footprint.intersection(edge.buffer(0.01)).boundary
        )
        assert record.bbox == record.footprint.bounds
        assert shapely.distance(shapely.points(lon, lat), record.footprint.exterior).max() * 111_000.0 < 60.0
        assert metres < 5e3


def test_footprints_at_the_poles_and_across_the_antimeridian():
    pole, cut = box_polygons(3413, np.array([[50000.0, 50000.0], [-2.0e6, 2.0e6]]))
    assert pole.bounds[3] == pytest.approx(90.0)
    assert cut.bounds[2] - cut.bounds[0] < 5.0
    centred = box_polygons(3031, np.array([[0.0, 0.0]]))[0]
    assert centred.is_valid
    assert centred.bounds[1] == -90.0
    assert centred.bounds[2] - centred.bounds[0] == pytest.approx(360.0)
    table = Catalog((CubeRecord(3413, -1950000, 1950000),)).footprints()
    assert table.geom_type[0] == "MultiPolygon"
    assert table.total_bounds[[0, 2]].tolist() == [-180.0, 180.0]
    assert table.geometry[0].area == pytest.approx(CubeRecord(3413, -1950000, 1950000).footprint.area)


def test_lines_for_the_map(packaged):
    start = time.perf_counter()
    x, y = packaged.segments_mercator()
    assert time.perf_counter() - start < 1.0
    assert x.shape == y.shape
    assert x.size < 60_000
    assert np.array_equal(np.isnan(x), np.isnan(y))
    assert np.nanmax(np.abs(x)) <= 20037508.35
    assert np.nanmax(np.abs(y)) <= 20037508.35
    assert np.nanmax(np.abs(np.diff(x))) < 4e5  # no line runs round the world
    assert not (np.isnan(x[1:]) & np.isnan(x[:-1])).any()


def test_shared_edges_are_drawn_once():
    pair = Catalog((CubeRecord(32646, 750000, 3350000), CubeRecord(32646, 650000, 3350000)))
    x, _ = pair.segments_mercator()
    assert np.isnan(x).sum() == 7


def test_lines_are_cut_at_the_antimeridian_and_at_85_degrees():
    x, _ = Catalog((CubeRecord(3413, -1950000, 1950000),)).segments_mercator()
    pieces = np.isnan(x).sum()
    assert pieces == 6  # four edges, two of them cut
    assert np.nanmax(np.abs(np.diff(x))) < 1e5
    assert {-20037508, 20037508} <= set(x[np.isfinite(x)].astype(int))
    _, polar_y = Catalog(
        (CubeRecord(3031, 50000, 50000), CubeRecord(3031, 50000, 550000))
    ).segments_mercator()
    assert np.nanmin(polar_y) > -20037508.4
    assert np.isfinite(polar_y).any()


# Reading the public list


RECORD = CubeRecord(32718, 450000, 4450000)
HTTP_URL = f"http://its-live-data.s3.amazonaws.com/{RECORD.path}"


@pytest.mark.parametrize(
    "properties",
    [
        {"zarr_url": HTTP_URL, "epsg": 32718, "geometry_epsg": box(RECORD), "datacube_exist": 1},
        {"zarr_url": HTTP_URL, "data_epsg": "EPSG:32718", "granule_count": 7},
        {"zarr_url": HTTP_URL, "geometry_e": json.dumps(box(RECORD)), "roi_percen": 1.5, "datacube_e": 1},
        {"zarr_url": RECORD.s3_url, "region": "SouthernAndes", "WGMS_CODE": 17},
        {"zarr_url": RECORD.url},
        {"ZARR_URL": RECORD.url + "/"},
        {"href": RECORD.url},
        {"epsg": 32718, "geometry_epsg": box(RECORD)},
        {"data_epsg": "EPSG:32718", "geometry_e": json.dumps(box(RECORD))},
        {
            "epsg": "32718",
            "geometry_epsg": {"type": "MultiPolygon", "coordinates": [box(RECORD)["coordinates"]]},
        },
    ],
)
def test_every_variant_of_an_entry_is_read(properties):
    entry = feature(RECORD, **properties)
    entry["geometry"] = None
    found = catalog_refresh.parse(collection(entry), "test")
    assert found.records == (RECORD,)
    assert found.records[0].url == RECORD.url


def test_what_a_catalog_says_of_version_and_place_is_kept():
    old = HTTP_URL.replace(VERSION, "v2")
    mirror = f"https://mirror.example/{RECORD.name}.zarr"
    other = CubeRecord(32718, 450000, 4550000)
    entries = [feature(RECORD, zarr_url=old), feature(other, zarr_url=mirror.replace("Y4450000", "Y4550000"))]
    first, second = catalog_refresh.parse(collection(*entries), "test").records
    assert first.version == "v2"
    assert first.url == old.replace("http:", "https:")
    assert second.url == "https://mirror.example/ITS_LIVE_vel_EPSG32718_G0120_X450000_Y4550000.zarr"


def test_entries_without_a_cube_are_passed_over():
    entries = [
        feature(RECORD, zarr_url=HTTP_URL),
        feature(RECORD, zarr_url=HTTP_URL),
        feature(RECORD, zarr_url=HTTP_URL.replace("X450000", "X550000"), datacube_exist=0),
        feature(RECORD, zarr_url=HTTP_URL.replace("X450000", "X123456")),
        feature(
            RECORD, epsg=32718, geometry_epsg={"type": "Polygon", "coordinates": [[[0, 0], [61440, 61440]]]}
        ),
        feature(RECORD, epsg=32718, geometry_e="{"),
        {"type": "Feature", "properties": None},
        "no entry",
    ]
    assert catalog_refresh.parse(collection(*entries), "test").records == (RECORD,)


# Refreshing


def test_refresh_is_kept_for_the_next_lookup(tmp_path, monkeypatch):
    with serve(
        lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL.replace(VERSION, "v9"))))
    ) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/catalog.json")
        fresh = refresh_catalog()
        assert [one.version for one in fresh.records] == ["v9"]
        assert load_catalog().records == fresh.records
        assert len(server.asked) == 1  # the second came from the cache
    assert load_catalog().records == fresh.records  # and outlives the server
    monkeypatch.delenv("ITSLIVE_CATALOG")
    assert len(load_catalog()) == 3086  # another address, another cache


def test_a_public_refresh_replaces_the_package(monkeypatch):
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setattr(catalog_refresh, "PUBLIC", f"{server.url}/catalog_v02.json")
        assert len(load_catalog()) == 3086
        refresh_catalog()
        assert len(load_catalog()) == 1


def test_a_named_address_is_fetched_at_the_first_lookup(monkeypatch):
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/first.json")
        assert load_catalog().records == (RECORD,)


def test_refresh_in_the_background(monkeypatch):
    got = []
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        monkeypatch.setenv("ITSLIVE_CATALOG", f"{server.url}/catalog.json")
        catalog.refresh_in_background(got.append).join()
        assert [one.records for one in got] == [(RECORD,)]
        catalog.refresh_in_background(got.append).join()
        assert len(got) == len(server.asked) == 1  # recent enough
        catalog.refresh_in_background(got.append, max_age=0.0).join()
        assert len(got) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", collection(), collection("x"), b"\xff\xfe\x00", b"epsg,cx,cy\na,b,c\n"],
)
def test_a_broken_catalog_never_breaks_a_lookup(content, monkeypatch, tmp_path, caplog):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    monkeypatch.setenv("ITSLIVE_CATALOG", str(path))
    with caplog.at_level(logging.WARNING):
        assert len(cubes_at(*PARLUNG)) == 2
        assert len(cubes_at(*PARLUNG)) == 2
    assert [one.message.count("package's own") for one in caplog.records] == [1]  # said once
    with serve(lambda *_: (200, content)) as server:
        with pytest.raises(ServiceError, match="is not a catalog of cubes"):
            refresh_catalog(server.url)
        monkeypatch.setenv("ITSLIVE_CATALOG", server.url)
        assert len(cubes_at(*PARLUNG)) == 2


def test_a_missing_file_and_a_closed_port(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("ITSLIVE_CATALOG", str(tmp_path / "nowhere.json"))
    assert len(cubes_at(*PARLUNG)) == 2
    with pytest.raises(ServiceError, match=r"nowhere\.json cannot be read"):
        refresh_catalog()
    with serve(lambda *_: (200, b"")) as server:
        closed = server.url
    with caplog.at_level(logging.WARNING):
        monkeypatch.setenv("ITSLIVE_CATALOG", closed)
        catalog.refresh_in_background().join()
    assert "stays as it is" in caplog.text


def test_a_server_that_fails_once_is_asked_again():
    answers = iter([(503, b""), (200, collection(feature(RECORD, zarr_url=HTTP_URL)))])
    with serve(lambda *_: next(answers)) as server:
        assert len(refresh_catalog(f"{server.url}/c.json")) == 1
        assert len(server.asked) == 2


def test_a_refusal_is_not_repeated():
    with serve(lambda *_: (404, b"")) as server:
        with pytest.raises(ServiceError, match="404"):
            refresh_catalog(f"{server.url}/c.json")
        assert len(server.asked) == 1


def test_a_catalog_file_in_the_environment(monkeypatch, tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(collection(feature(RECORD, zarr_url=HTTP_URL)))
    monkeypatch.setenv("ITSLIVE_CATALOG", str(path))
    assert load_catalog().records == (RECORD,)
    assert refresh_catalog().records == (RECORD,)
    with pytest.raises(ItsliveError, match="no cube covers"):
        cubes_at(*PARLUNG)


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("ITSLIVE_CACHE", str(blocked))
    assert len(load_catalog()) == 3086
    with serve(lambda *_: (200, collection(feature(RECORD, zarr_url=HTTP_URL)))) as server:
        assert len(refresh_catalog(f"{server.url}/c.json")) == 1


def test_importing_the_catalog_is_light():
    code = "import sys, itslive_core.catalog; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"geopandas", "pandas", "shapely", "requests", "pyogrio"} & set(loaded.stdout.split())
