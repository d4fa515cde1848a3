"""Boxes of 100 km and tiles of 61.44 km: both catalogs are read, and a place keeps its coordinate system."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from itslive_core.errors import ServiceError
from itslive_core.places import catalog_refresh
from itslive_core.places.boxes import TILE
from itslive_core.places.catalog import Catalog
from itslive_core.places.cube_record import VERSION, CubeRecord
from itslive_core.places.geodesy import LONLAT, transformer

HTTPS = "https://its-live-data.s3.amazonaws.com/"


@pytest.fixture(scope="module")
def old() -> Catalog:
    return catalog_refresh._packaged()


def entry(epsg: int, xmin: float, ymin: float, side: float = TILE, **more: object) -> dict[str, object]:
    """Write an entry as production does: the corners of a tile, and a name after the lower left one."""
    ring = [[xmin, ymin], [xmin + side, ymin], [xmin + side, ymin + side], [xmin, ymin + side], [xmin, ymin]]
    corner = "" if abs(xmin) > 1e9 else f"X{int(xmin)}_Y{int(ymin)}"
    properties = {
        "cube_id": f"ITS_LIVE_velocity_EPSG{epsg}_{TILE}m_{corner}",
        "roi_percent_coverage": 1.0,
        "epsg": epsg,
        "geometry_epsg": {"type": "Polygon", "coordinates": [ring]},
        **more,
    }
    return {"type": "Feature", "properties": properties, "geometry": None}


def parsed(*entries: object) -> Catalog:
    return catalog_refresh.parse(json.dumps({"features": entries}).encode(), "test")


def tiles_over(record: CubeRecord) -> set[tuple[int, float, float]]:
    """Lower left corners of the tiles that lie over a box."""
    xmin, ymin, xmax, ymax = record.bounds
    columns = range(int((xmin + 7.5) // TILE), int((xmax + 7.5) // TILE) + 1)
    rows = range(int((ymin - 7.5) // TILE), int((ymax - 7.5) // TILE) + 1)
    return {(record.epsg, i * TILE - 7.5, j * TILE + 7.5) for i in columns for j in rows}


@pytest.fixture(scope="module")
def new(old) -> Catalog:
    return parsed(*(entry(*tile) for tile in sorted(set().union(*map(tiles_over, old.records)))))


def test_a_place_in_each_cube_resolves_alike(old, new):
    rng = np.random.default_rng(3)
    assert len(old) == 3086
    for record in old.records:
        x, y = record.cx + rng.uniform(-2e4, 2e4), record.cy + rng.uniform(-2e4, 2e4)
        lon, lat = transformer(record.epsg, LONLAT).transform(x, y)
        before = old.cubes_at(lon, lat)
        after = new.cubes_at(lon, lat)
        assert after[0].epsg == before[0].epsg
        assert {one.epsg for one in before} <= {one.epsg for one in after}
        (same,) = (one for one in after if one.epsg == record.epsg)
        assert same.side == TILE
        assert same.distance_inside(x, y) >= 0.0
        assert "km inside the edge" in same.reason


def test_a_catalog_of_both_gives_both(old, new):
    both = Catalog(old.records[:400] + new.records)
    record = old.records[17]
    lon, lat = transformer(record.epsg, LONLAT).transform(record.cx, record.cy)
    found = both.cubes_at(lon, lat)
    assert [one.side for one in found if one.epsg == record.epsg] == [TILE, 100_000]


def test_a_glacier_over_several_tiles_takes_those_of_one_system(old, new):
    lon, lat = transformer(32646, LONLAT).transform(
        [738_000, 812_000, 812_000, 738_000], [3_335_000, 3_335_000, 3_345_000, 3_345_000]
    )
    shape = shapely.Polygon(zip(lon, lat))
    before, after = old.cubes_over(shape), new.cubes_over(shape)
    assert before[0].epsg == after[0].epsg
    leading = [one for one in after if one.epsg == after[0].epsg]
    assert len(leading) > 1
    assert "hold the whole outline" in leading[0].reason


def test_a_glacier_needs_no_boxes_where_there_are_tiles(old, new):
    lon, lat = transformer(32646, LONLAT).transform(
        [738_000, 812_000, 812_000, 738_000], [3_335_000, 3_335_000, 3_345_000, 3_345_000]
    )
    needed = Catalog(old.records + new.records).cubes_needed(shapely.Polygon(zip(lon, lat)))
    assert {one.side for one in needed.records} == {TILE}
    assert needed.share > 0.99


@pytest.mark.parametrize(
    ("xmin", "ymin"), [(9 * TILE - 7.5, 54 * TILE + 7.5), (-7.5, 7.5), (-3 * TILE - 7.5, -TILE + 7.5)]
)
def test_a_tile_is_read_from_its_box_or_its_name(xmin, ymin):
    expected = CubeRecord(3413, xmin + TILE / 2, ymin + TILE / 2, side=TILE)
    named = f"ITS_LIVE_velocity_EPSG3413_{TILE}m_X{int(xmin)}_Y{int(ymin)}"
    address = f"{HTTPS}datacubes/v3/N70W020/{named}.zarr"
    for properties in (
        {},
        {"cube_id": "cube 17"},
        {"geometry_epsg": None},
        {"geometry_epsg": None, "cube_id": None, "zarr_url": address},
        {"zarr_url": address.replace(HTTPS, "s3://its-live-data/")},
    ):
        (record,) = parsed(entry(3413, xmin, ymin, **properties)).records
        assert (record.cx, record.cy, record.side) == (expected.cx, expected.cy, TILE)
        assert record.name == named
        assert record.bounds == (xmin, ymin, xmin + TILE, ymin + TILE)
        if "zarr_url" in properties:
            assert record.url == address
            assert record.version == "v3"
    back = catalog_refresh.parse(catalog_refresh._as_csv((record,)), "cache").records
    assert back == (record,)


def test_a_tile_that_is_named_after_its_centre():
    name = f"ITS_LIVE_vel_EPSG32646_G0120_X{9 * TILE + 30_712}_Y{54 * TILE + 30_727}.zarr"
    (record,) = parsed({"properties": {"zarr_url": f"{HTTPS}datacubes/v3/N30E090/{name}"}}).records
    assert (record.side, record.bounds[0], record.bounds[1]) == (TILE, 9 * TILE - 7.5, 54 * TILE + 7.5)
    assert record.url.endswith(name)


def test_codes_may_be_numbers_with_a_point():
    one = entry(3413, -7.5, 7.5)
    one["properties"]["epsg"] = 3413.0
    assert parsed(one).records[0].epsg == 3413


@pytest.mark.parametrize(
    "wrong",
    [
        entry(32646, float("inf"), 0.0, cube_id=None),
        entry(32646, 1e300, 0.0, cube_id=None),
        entry(99_999, 0.0, 0.0),
        {
            "properties": {
                "epsg": 32646,
                "geometry_epsg": {"coordinates": [[[0, 0], [TILE, 0], [TILE, TILE]]]},
            }
        },
        {"properties": {"epsg": 32646, "geometry_epsg": {"coordinates": True}}},
        {"properties": {"cube_id": "ITS_LIVE_velocity_EPSG32646_1000m_X0_Y0", "epsg": 32646}},
        {"properties": {"zarr_url": f"{HTTPS}ITS_LIVE_vel_EPSG32646_G0120_X583000_Y3348487.zarr"}},
    ],
)
def test_entries_that_name_no_tile_are_passed_over(wrong):
    good = entry(32646, 9 * TILE - 7.5, 54 * TILE + 7.5)
    assert len(parsed(wrong, good)) == 1
    with pytest.raises(ValueError, match="it lists no cube"):
        parsed(wrong)


def test_tables_of_before_are_still_read():
    (record,) = catalog_refresh.parse(
        b"epsg,cx,cy,version,location\n3413,50000,-150000,v2,\n", "cache"
    ).records
    assert record == CubeRecord(3413, 50_000, -150_000, "v2")
    assert record.name.endswith("X50000_Y-150000")


def test_footprints_and_edges_of_tiles(new):
    some = Catalog(new.records[:300:7])
    table = some.footprints()
    assert table.geometry.is_valid.all()
    assert table.to_crs(6933).area.to_numpy() == pytest.approx(TILE**2, rel=0.25)  # projections stretch
    x, y = some.segments_mercator()
    assert len(x) == len(y) > 5 * len(some)


COMPOSITE = (
    f"{HTTPS}composites/annual/v2-updated-september2025/N30E090/"
    "ITS_LIVE_velocity_EPSG32646_120m_X750000_Y3350000.zarr"
)
MOSAIC = "s3://its-live-data/velocity_mosaic/v2.1/static/ITS_LIVE_velocity_120m_RGI01A_0000_v02.1.nc"


def box(epsg: int, cx: float, cy: float, **more: object) -> dict[str, object]:
    found = entry(epsg, cx - 50_000, cy - 50_000, 100_000, **more)
    del found["properties"]["cube_id"]
    return found


def test_composites_are_no_cubes():
    cube = CubeRecord(32646, 750_000, 3_350_000)
    entries = [
        box(32646, 750_000, 3_350_000, zarr_url=cube.url, composite_zarr_url=COMPOSITE),
        box(32646, 850_000, 3_350_000, composite_zarr_url=COMPOSITE.replace("X750000", "X850000")),
        box(32646, 650_000, 3_350_000, zarr_url=COMPOSITE.replace("X750000", "X650000")),
        {"type": "Feature", "properties": {"epsg": "3413", "rgi": "RGI01A", "url": MOSAIC}},
    ]
    found = parsed(*entries)
    assert found.records == (cube,)
    assert found.records[0].url == cube.url
    assert found.records[0].version == VERSION


def test_a_host_may_be_called_anything():
    address = "https://composites.example.org/cubes/ITS_LIVE_vel_EPSG32646_G0120_X750000_Y3350000.zarr"
    assert parsed(box(32646, 750_000, 3_350_000, zarr_url=address)).records[0].url == address


@pytest.mark.parametrize("address", [COMPOSITE, MOSAIC])
def test_a_catalog_of_something_else_is_told_apart(tmp_path, address):
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"features": [box(32646, 750_000, 3_350_000, url=address)]}))
    with pytest.raises(ServiceError, match="composites or mosaics, and no cube of image pairs; name another"):
        catalog_refresh.refresh_catalog(str(path))
