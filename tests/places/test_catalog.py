"""The catalog finds every cube from its place alone, offline, and reads every variant of the public list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from itslive_core.errors import CoverageError, SettingsError
from itslive_core.places import catalog_refresh, cube_record
from itslive_core.places.catalog import Catalog
from itslive_core.places.cube_record import VERSION, CubeRecord
from itslive_core.places.geodesy import LONLAT, transformer, utm_zone
from itslive_core.places.lookup import cubes_at, cubes_over

ROOT = Path(__file__).resolve().parents[2]
PERITO_MORENO = (-73.10, -50.48)
FEDCHENKO = (72.30, 38.80)
SIACHEN_EDGE = (78.0, 35.3)
PARLUNG = (95.968, 29.920)
HTTPS = "https://its-live-data.s3.amazonaws.com/"


@pytest.fixture(scope="module")
def packaged() -> Catalog:
    return catalog_refresh._packaged()


def names(records: list[CubeRecord]) -> list[str]:
    return [f"{one.epsg} X{one.cx}_Y{one.cy}" for one in records]


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
    assert cube_record._folder(lon, lat) == folder


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


def test_importing_the_catalog_is_light():
    code = "import sys, itslive_core.places.catalog; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"geopandas", "pandas", "shapely", "requests", "pyogrio"} & set(loaded.stdout.split())
