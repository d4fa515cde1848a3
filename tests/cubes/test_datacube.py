"""Opening datacubes: where they lie, which pixel is meant, what is read, and what is said if it cannot be."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

import itslive_core as itslive
from itslive_core.errors import CoverageError, CubeError, SettingsError
from tests.reading import assert_pixel, assert_reads
from tests.tiny_cube import BAD_VARIANTS, VARIANTS, TinyCube, write_cube


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> TinyCube:
    return write_cube(tmp_path_factory.mktemp("cube") / "tiny.zarr")


@pytest.fixture(scope="module")
def cube(truth) -> itslive.Datacube:
    return itslive.open_cube(truth.path)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_what_was_written(name, tmp_path):
    options = VARIANTS[name]
    if name != "production":  # what is never read is slow to write
        unused = (*options.without, "v", "v_error", "interp_mask", "landice", "floatingice", "date_dt")
        options = replace(options, radar=False, without=unused)
    truth = write_cube(tmp_path / f"{name}.zarr", options)
    assert_reads(itslive.open_cube(truth.path), truth)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-vx", "no variable 'vx'"),
        ("no-vy", "no variable 'vy'"),
        ("no-dates", "no variable 'acquisition_date_img1'"),
        ("no-crs", "map projection"),
    ],
)
def test_what_is_missing_is_named(name, words, tmp_path):
    truth = write_cube(tmp_path / f"{name}.zarr", BAD_VARIANTS[name])
    with pytest.raises(CubeError, match=words) as caught:
        itslive.open_cube(truth.path).pairs_at(x=truth.x[0], y=truth.y[0])
    assert "\n" not in str(caught.value)
    assert str(truth.path) in str(caught.value)


def test_all_bad_variants_are_tested():
    assert set(BAD_VARIANTS) == {"no-vx", "no-vy", "no-dates", "no-crs"}


def test_description(cube, truth):
    assert repr(cube).startswith(f"<Datacube {truth.path}: 400 pairs, 12 x 14 px, EPSG:32646")
    assert cube.crs.to_epsg() == 32646
    assert cube.pixel_size == (120.0, -120.0)
    assert cube.date_updated == "13-Nov-2024 00:08:07"
    assert cube.attrs["projection"] == "32646"


def test_bounds_are_pixel_edges(cube, truth):
    expected = (truth.x[0] - 60, truth.y[-1] - 60, truth.x[-1] + 60, truth.y[0] + 60)
    assert cube.bounds == expected


@pytest.mark.parametrize("y_ascending", [False, True])
def test_nearest_pixel_is_the_one_whose_centre_is_nearest(tmp_path, y_ascending):
    truth = write_cube(tmp_path / "c.zarr", y_ascending=y_ascending, n_pairs=5)
    cube = itslive.open_cube(truth.path)
    rng = np.random.default_rng(1)
    xmin, ymin, xmax, ymax = cube.bounds
    for x, y in zip(rng.uniform(xmin, xmax, 200), rng.uniform(ymin, ymax, 200)):
        found = cube.locate(x=x, y=y)
        assert (found.row, found.col) == (np.abs(truth.y - y).argmin(), np.abs(truth.x - x).argmin())
        assert (found.x, found.y) == (truth.x[found.col], truth.y[found.row])


@pytest.mark.parametrize("epsg", [32646, 3413, 32718])
def test_places_in_lon_lat_and_in_metres_agree(tmp_path, epsg):
    truth = write_cube(tmp_path / "c.zarr", epsg=epsg, n_pairs=5)
    cube = itslive.open_cube(truth.path)
    x, y = truth.x[5] + 31.0, truth.y[7] - 44.0
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    found = cube.locate(lon, lat)
    assert found == cube.locate(x=x, y=y) == cube.pixel(7, 5)
    assert cube.covers(lon, lat)
    back = Transformer.from_crs(4326, epsg, always_xy=True).transform(found.lon, found.lat)
    np.testing.assert_allclose(back, (truth.x[5], truth.y[7]), atol=1e-3)
    west, south, east, north = cube.lonlat_bounds
    assert west < lon < east
    assert south < lat < north
    lons, lats = cube.lonlat_of(np.full((2, 3), x), np.full((2, 3), y))
    assert lons.shape == (2, 3)
    np.testing.assert_allclose([lons[1, 2], lats[1, 2]], [lon, lat])


def test_edges_belong_to_the_cube_and_nothing_beyond(cube):
    xmin, ymin, xmax, ymax = cube.bounds
    assert cube.locate(x=xmin, y=ymax).row == cube.locate(x=xmin, y=ymax).col == 0
    last = cube.locate(x=xmax, y=ymin)
    assert (last.row, last.col) == (11, 13)
    for x, y in [(xmin - 0.01, ymin), (xmax + 0.01, ymin), (xmin, ymin - 0.01), (xmin, ymax + 0.01)]:
        with pytest.raises(CoverageError, match=r"off the datacube: it covers lon .* EPSG:32646"):
            cube.locate(x=x, y=y)


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 0.0), (-84.0, -30.7), (96.0, -30.7), (-87.0, 30.7), (0, 90)])
def test_places_elsewhere_on_earth_are_off_the_cube(cube, lon, lat):
    with pytest.raises(CoverageError, match="is off the datacube"):
        cube.pairs_at(lon, lat)
    assert not cube.covers(lon, lat)


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"lon": 95.0},
        {"x": 1.0},
        {"lon": 95.0, "lat": 30.0, "x": 7e5, "y": 3.4e6},
        {"lon": 95.0, "y": 3.4e6},
        {"lon": 30.0, "lat": 95.0},
        {"lon": 500.0, "lat": 30.0},
    ],
)
def test_a_place_is_one_pair_of_numbers(cube, place):
    with pytest.raises(SettingsError, match="give"):
        cube.locate(**place)


def test_numbers_that_are_none_are_off_the_cube(cube):
    with pytest.raises(CoverageError):
        cube.locate(x=np.nan, y=np.nan)
    with pytest.raises(CoverageError):
        cube.locate(x=np.inf, y=0.0)


def test_pairs_carry_their_place_and_source(cube, truth):
    pairs = cube.pairs_at(x=truth.x[2] + 20, y=truth.y[3] + 20)
    pixel = cube.pixel(3, 2)
    assert (pairs.x, pairs.y, pairs.lon, pairs.lat) == (pixel.x, pixel.y, pixel.lon, pixel.lat)
    assert pairs.epsg == 32646
    assert pairs.cube_url == str(truth.path)
    assert pairs.date_updated == "13-Nov-2024 00:08:07"


def test_pair_table_holds_every_layer(cube, truth):
    table = cube.pair_table
    assert len(table) == 400
    assert table is cube.pair_table
    np.testing.assert_array_equal(table.start, truth.start)
    np.testing.assert_array_equal(table.mission, truth.mission)
    mask, steps = table.select(itslive.PairSelection(mission="S2", min_span=10))
    expected = (truth.mission == "S2") & (np.rint(truth.end - truth.start) >= 10)
    np.testing.assert_array_equal(mask, expected)
    assert [step.name for step in steps] == ["valid_dates", "span", "mission"]
    assert steps[-1].kept == expected.sum()
    assert sum(step.dropped for step in steps) + steps[-1].kept == 400


def test_blocks_follow_the_chunks(cube):
    blocks = cube.blocks()
    assert cube.block_shape == (10, 10)
    assert [(b.row0, b.row1, b.col0, b.col1) for b in blocks] == [
        (0, 10, 0, 10),
        (0, 10, 10, 14),
        (10, 12, 0, 10),
        (10, 12, 10, 14),
    ]
    mask = np.zeros(cube.shape, dtype=bool)
    mask[11, 13] = True
    assert cube.blocks(mask) == [blocks[3]]
    assert cube.block_of(9, 10) == blocks[1]


def test_a_read_block_stays_in_memory(truth):
    cube = itslive.open_cube(truth.path)
    assert not cube.is_cached(0, 0)
    first = cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert len(first) > 0
    assert cube.is_cached(9, 9)
    assert not cube.is_cached(0, 10)
    block = cube.block_of(0, 0)
    assert cube.read_block(block) is cube.read_block(block)
    other = cube.block_of(0, 10)
    assert cube.read_block(other, cache=False) is not cube.read_block(other, cache=False)
    assert not cube.is_cached(0, 10)


def test_memory_of_the_cache_is_bounded(truth):
    probe = itslive.open_cube(truth.path)
    sizes = {block: probe.read_block(block).nbytes for block in probe.blocks()}
    first, second, third, _ = probe.blocks()
    limit = sizes[first] + sizes[second] + sizes[third] // 2
    cube = itslive.open_cube(truth.path, cache_bytes=limit)
    for block in (first, second, first, third):
        cube.read_block(block)
        assert cube._cache.size <= limit
    # The second was not wanted for longest.
    assert cube.is_cached(first.row0, first.col0)
    assert cube.is_cached(third.row0, third.col0)
    assert not cube.is_cached(second.row0, second.col0)
    assert cube._cache.size == sum(pixels.nbytes for pixels in cube._cache.blocks.values())


def test_a_block_larger_than_the_cache_is_read_but_not_kept(truth):
    cube = itslive.open_cube(truth.path, cache_bytes=100)
    assert_pixel(cube.pairs_at(x=truth.x[0], y=truth.y[0]), truth, 0, 0)
    assert not cube.is_cached(0, 0)
    assert cube._cache.size == 0


def test_a_cube_travels_as_its_address(cube, truth):
    copy = pickle.loads(pickle.dumps(cube))
    assert copy.url == cube.url
    assert_reads(copy, truth)


def test_a_cube_moved_while_open_says_so(tmp_path, truth):
    path = tmp_path / "moved.zarr"
    shutil.copytree(truth.path, path)
    cube = itslive.open_cube(path)
    shutil.rmtree(path)
    # A chunk that is not there means "no data" in Zarr, so only the dates can tell.
    with pytest.raises(CubeError, match="holds no acquisition dates"):
        cube.pairs_at(x=truth.x[0], y=truth.y[0])


@pytest.mark.parametrize("form", [str, Path, lambda path: f"{path}/", lambda path: path.as_uri()])
def test_every_way_to_name_a_folder(truth, form):
    cube = itslive.open_cube(form(truth.path))
    assert_pixel(cube.pairs_at(x=truth.x[1], y=truth.y[1]), truth, 1, 1)


def test_relative_paths_and_home(truth, monkeypatch):
    monkeypatch.chdir(truth.path.parent)
    assert itslive.open_cube("tiny.zarr").n_pairs == 400
    monkeypatch.setenv("HOME", str(truth.path.parent))
    assert itslive.open_cube("~/tiny.zarr").n_pairs == 400


def test_real_cube(parlung):
    cube = itslive.open_cube(parlung)
    assert (cube.n_pairs, cube.shape, cube.epsg) == (47_892, (37, 40), 32646)
    assert cube.bounds == (784_192.5, 3_311_407.5, 788_992.5, 3_315_847.5)
    pairs = cube.pairs_at(x=cube.x[15], y=cube.y[3])
    assert len(pairs) == 7_033
    assert set(pairs.mission) == {"S1", "S2", "L4_5", "L7", "L8_9"}
    assert pairs.span.min() > 1.9
    assert pairs.span.max() < 546
    missions, counts = np.unique(cube.pair_table.mission, return_counts=True)
    assert dict(zip(missions.tolist(), counts.tolist())) == {
        "L4_5": 2_417,
        "L7": 2_674 + 2_128,
        "L8_9": 2_286,
        "S1": 362,
        "S2": 38_025,
    }
