"""The traps of real ITS_LIVE cubes, one test each; the numbers are those of the data dossier's list."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial

import numcodecs
import numpy as np
import pytest
import zarr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.errors import CubeError
from tests.reading import CubeShelf, assert_pixel, assert_reads, corners, write_arrays
from tests.tiny_cube import write_cube

HOLE = -32_767


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> CubeShelf:
    return CubeShelf(tmp_path_factory.mktemp("cubes"))


@pytest.fixture
def make(shelf):
    """Write a tiny cube, once for all tests that only read it; gives its truth and the open cube."""

    def write(**changes):
        truth = shelf.get(**changes)
        return truth, itslive.open_cube(truth.path)

    return write


@pytest.fixture
def spoil(shelf, tmp_path):
    """Give the truth of a tiny cube, and a copy of it that a test may change."""
    return partial(shelf.copy, tmp_path / "spoilt.zarr")


def velocities(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    vx = np.arange(n, dtype=np.int16)[:, None, None] * 10 + np.arange(6, dtype=np.int16).reshape(2, 3)
    return vx, -vx


# Time: traps 1, 2, 3, 5, 6, 8


def test_01_layers_in_any_order(make):
    truth, cube = make(shuffled=True)
    assert np.any(np.diff(truth.start) < 0)
    assert_reads(cube, truth)


def test_02_dates_that_occur_more_than_once_are_kept_unless_the_values_do_too(make):
    truth, cube = make(repeated=0.6)
    rows = truth.good_rows(3, 4)
    assert len(np.unique(truth.start[rows] + truth.end[rows])) < 0.8 * len(rows)
    assert any(len(truth.good_rows(r, c)) < truth.dated(r, c).sum() for r in range(12) for c in range(14))
    assert_reads(cube, truth)


def test_03_the_time_label_is_not_needed(make):
    assert_reads(*reversed(make(without=("mid_date", "date_center", "date_dt"))))


def test_05_empty_layers_are_no_pairs(make):
    truth, cube = make(empty=0.8)
    step = cube.pairs_at(x=truth.x[0], y=truth.y[0]).history[0]
    assert step.name == "read"
    assert step.dropped > 0.7 * 160
    assert step.kept + step.dropped == 160


def test_06_swapped_dates_are_put_right_and_counted(make):
    truth, cube = make(swapped=40)
    pairs = cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert np.all(pairs.span > 0)
    swapped = int(truth.swapped[truth.good_rows(0, 0)].sum())
    assert swapped > 0
    assert f"{swapped} with swapped dates put right" in pairs.history[2].note
    assert_pixel(pairs, truth, 0, 0)
    assert "40 with swapped dates" in cube.pair_table.select(itslive.PairSelection())[1][0].note


@pytest.mark.parametrize("change", [{"zero_length": 40}, {"missing_dates": 40}])
def test_06_pairs_without_a_span_are_dropped_and_counted(make, change):
    truth, cube = make(**change)
    pairs = cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert pairs.history[2].name == "valid_dates"
    assert pairs.history[2].dropped == (np.isfinite(truth.vx[:, 0, 0]) & ~truth.usable).sum() > 0
    assert_pixel(pairs, truth, 0, 0)


@pytest.mark.parametrize(
    ("units", "stored"),
    [
        ("days since 1970-01-01", lambda d: d),
        ("days since 1970-1-1 0:0:0", lambda d: d),
        ("Days since 2000-01-01T00:00:00Z", lambda d: d - 10_957),
        ("hours since 1970-01-01 00:00:00.0", lambda d: d * 24),
        ("minutes since 1970-01-01 00:00:00 UTC", lambda d: d * 1_440),
        ("s since 1970-01-01", lambda d: d * 86_400),
        ("ms since 1970-01-01", lambda d: d * 86_400e3),
        ("microseconds since 1970-01-01", lambda d: np.rint(d * 86_400e6).astype(np.int64)),
        ("ns since 1970-01-01", lambda d: np.rint(d * 86_400e9).astype(np.int64)),
    ],
)
def test_08_dates_in_other_units(tmp_path, units, stored):
    vx, vy = velocities()
    days = 17_000.25 + 7.0 * np.arange(6)
    path = write_arrays(
        tmp_path / "c.zarr",
        vx,
        vy,
        start=stored(days),
        end=stored(days + 12),
        date_attributes={"units": units},
    )
    pairs = itslive.open_cube(path).pairs_at(x=700_060, y=3_399_940)
    np.testing.assert_allclose(pairs.start, days, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pairs.span, 12.0, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(
        pairs.start_date, (days * 86_400_000).astype("int64").astype("datetime64[ms]")
    )


@pytest.mark.parametrize("units", ["fortnights since 1970-01-01", "days after 1970", "days since the flood"])
def test_08_units_nobody_understands_are_quoted(tmp_path, units):
    path = write_arrays(tmp_path / "c.zarr", *velocities(), date_attributes={"units": units})
    with pytest.raises(CubeError, match=units):
        _ = itslive.open_cube(path).pair_table


def test_08_missing_dates_stored_as_integers(make):
    truth, cube = make(zarr_format=3, units="nanoseconds since 1970-01-01", missing_dates=40)
    assert_reads(cube, truth)
    assert (~cube.pair_table.usable).sum() == 40


# Values and their storage: traps 10 to 13


def test_10_zero_is_a_velocity(tmp_path):
    zeros = np.zeros((5, 2, 3), dtype=np.int16)
    path = write_arrays(tmp_path / "c.zarr", zeros, zeros, velocity_attributes={"missing_value": HOLE})
    pairs = itslive.open_cube(path).pairs_at(x=700_060, y=3_399_940)
    assert len(pairs) == 5
    assert not pairs.v.any()


def test_10_a_complete_series_keeps_its_minimum(make):
    truth, cube = make(complete_pixel=(3, 4))
    pairs = cube.pairs_at(x=truth.x[4], y=truth.y[3])
    assert len(pairs) == 160
    assert pairs.vx.min() == truth.vx[:, 3, 4].min()


@pytest.mark.parametrize(
    ("attributes", "marker"),
    [
        ({"missing_value": HOLE}, HOLE),
        ({"_FillValue": -9_999}, -9_999),
        ({"missing_value": 32_767}, 32_767),
        ({"missing_value": [HOLE]}, HOLE),
        ({}, HOLE),  # said nowhere: ITS_LIVE never used another one
    ],
)
def test_10_only_the_marker_is_missing(tmp_path, attributes, marker):
    vx, vy = velocities(8)
    vx[2, 0, 0] = vy[2, 0, 0] = marker
    vx[5, 0, 0] = vy[5, 0, 0] = -32_766
    path = write_arrays(tmp_path / "c.zarr", vx, vy, velocity_attributes=attributes)
    pairs = itslive.open_cube(path).pairs_at(x=700_060, y=3_399_940)
    np.testing.assert_array_equal(pairs.vx, np.delete(vx[:, 0, 0], 2))


def test_10_two_markers(tmp_path):
    vx, vy = velocities(8)
    vx[2], vx[5] = HOLE, -9_999
    vy[2], vy[5] = HOLE, -9_999
    marks = {"missing_value": HOLE, "_FillValue": -9_999}
    path = write_arrays(tmp_path / "c.zarr", vx, vy, velocity_attributes=marks)
    pairs = itslive.open_cube(path).pairs_at(x=700_060, y=3_399_940)
    assert len(pairs) == 6
    assert pairs.vx.min() >= 0


def test_10_one_component_alone_is_dropped_and_counted(make):
    truth, cube = make(masks_differ=0.2)
    pairs = cube.pairs_at(x=truth.x[5], y=truth.y[5])
    alone = np.isfinite(truth.vx[:, 5, 5]) != np.isfinite(truth.vy[:, 5, 5])
    assert pairs.history[1].dropped == alone.sum() > 0
    assert_pixel(pairs, truth, 5, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"missing_chunks": ((0, 0, 0), (2, 1, 1))},
        {"missing_chunks": ((0, 0, 0), (1, 0, 1)), "missing_chunks_of": ("vx",)},
        {"missing_chunks": ((0, 0, 0), (1, 0, 1)), "missing_chunks_of": ("vy",)},
        {"missing_chunks": ((0, 0, 0), (1, 0, 1)), "zarr_format": 3},
        # Nobody chose a fill value: format 3 then gives 0, which is a velocity elsewhere.
        {"missing_chunks": ((0, 0, 0), (1, 0, 1)), "zarr_format": 3, "marked_by": "nothing"},
        {"missing_chunks": ((0, 0, 0),), "velocity": "float32"},
    ],
)
def test_chunks_that_were_never_written_hold_no_data(make, changes):
    assert_reads(*reversed(make(**changes)))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_padding_of_edge_chunks_is_never_read(make, zarr_format):
    truth, cube = make(edge_garbage=True, gaps=0.0, empty=0.0, zarr_format=zarr_format)
    assert_reads(cube, truth)
    for block in cube.blocks():
        pixels = cube.read_block(block)
        assert np.abs(pixels.vx).max() < 1_000
        assert pixels.pair.max() < 160


@pytest.mark.parametrize(
    "how",
    [
        {"compressors": None},
        {"compressors": numcodecs.Zlib(level=1)},
        {"compressors": numcodecs.Blosc(cname="lz4", clevel=5, shuffle=2)},
        {"filters": [numcodecs.Delta(dtype="i2")], "compressors": numcodecs.Zlib()},
        {"order": "F", "compressors": None},
        {"compressors": None, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    ],
    ids=["bare", "zlib", "blosc", "filter", "fortran", "slash"],
)
def test_other_encodings_of_chunks(tmp_path, how):
    vx, vy = velocities(9)
    path = write_arrays(tmp_path / "c.zarr", vx, vy, chunks=(4, 2, 2), velocity=how)
    cube = itslive.open_cube(path)
    for col in range(3):
        pairs = cube.pairs_at(x=cube.x[col], y=cube.y[1])
        np.testing.assert_array_equal(pairs.vx, vx[:, 1, col])
        np.testing.assert_array_equal(pairs.vy, vy[:, 1, col])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", "<f4", ">f4", "<f8"])
def test_other_types_of_velocity(tmp_path, dtype, zarr_format):
    vx, vy = (v.astype(dtype) for v in velocities(9))
    hole = np.nan if vx.dtype.kind == "f" else HOLE
    vx[3], vy[3] = hole, hole
    how = {"serializer": zarr.codecs.BytesCodec(endian="big")} if zarr_format == 3 and dtype[0] == ">" else {}
    path = write_arrays(tmp_path / "c.zarr", vx, vy, zarr_format=zarr_format, chunks=(4, 2, 2), velocity=how)
    cube = itslive.open_cube(path)
    pairs = cube.pairs_at(x=cube.x[1], y=cube.y[1])
    np.testing.assert_array_equal(pairs.vx, np.delete(vx[:, 1, 1], 3))
    assert pairs.vx.dtype == np.float64


def test_packed_velocities_are_unpacked(tmp_path):
    vx, vy = velocities(5)
    vx[1], vy[1] = HOLE, HOLE
    packing = {"missing_value": HOLE, "scale_factor": 0.5, "add_offset": 3.0}
    cube = itslive.open_cube(write_arrays(tmp_path / "c.zarr", vx, vy, velocity_attributes=packing))
    pairs = cube.pairs_at(x=cube.x[2], y=cube.y[0])
    np.testing.assert_array_equal(pairs.vx, np.delete(vx[:, 0, 2], 1) * 0.5 + 3.0)


def test_a_cube_without_layers_is_empty(tmp_path):
    none = np.zeros((0, 2, 3), dtype=np.int16)
    path = write_arrays(tmp_path / "c.zarr", none, none, chunks=(1, 2, 3))
    cube = itslive.open_cube(path)
    pairs = cube.pairs_at(x=cube.x[1], y=cube.y[1])
    assert len(pairs) == cube.n_pairs == 0
    assert "no image pair has a value" in pairs.describe_empty()


def test_11_to_13_masks_radar_and_conversion_factors_are_not_needed(make):
    without = ("landice", "floatingice", "interp_mask", "v", "v_error", "granule_url", "date_dt")
    assert_reads(*reversed(make(radar=False, without=without)))


# Codes and errors: traps 14, 15, 20


@pytest.mark.parametrize("codes", ["plain", "dotted", "decimal", "padded", "cut", "number", "object"])
@pytest.mark.parametrize("without", [(), ("mission_img1", "mission_img2")])
def test_14_spellings_of_satellites(make, codes, without):
    truth, cube = make(codes=codes, without=without)
    assert_reads(cube, truth)


@pytest.mark.parametrize("kind", ["S2", "O"])
def test_14_codes_stored_as_bytes(tmp_path, kind):
    vx, vy = velocities(3)
    codes = np.array([b"2A", b"8", b"1A"], dtype="S2")
    if kind == "O":
        codes = codes.astype(str)
    path = write_arrays(tmp_path / "c.zarr", vx, vy, satellite_img1=codes, satellite_img2=codes)
    assert itslive.open_cube(path).pair_table.mission.tolist() == ["S2", "L8_9", "S1"]


def test_14_nisar_is_a_mission_of_its_own(tmp_path, capfd):
    n = 40
    rng = np.random.default_rng(0)
    vx, vy = rng.normal(100.0, 2.0, (2, n, 2, 2)).round().astype(np.int16)
    vx[n // 2 :] += 12  # what one mission sees differently
    codes = np.array(["2A"] * (n // 2) + ["A"] * (n // 2))
    first = 20_330.0 + 12.0 * (np.arange(n) % (n // 2))  # from August 2025
    path = write_arrays(
        tmp_path / "c.zarr",
        vx,
        vy,
        satellite_img1=codes,
        satellite_img2=codes,
        start=first,
        end=first + 12.0,
    )
    cube = itslive.open_cube(path)
    pairs = cube.pairs_at(x=cube.x[0], y=cube.y[0])
    assert Counter(pairs.mission.tolist()) == {"S2": n // 2, "NISAR": n // 2}
    series = itslive.invert(pairs)
    assert json.loads(series.attrs["mission_offset_vx"])["NISAR"] == pytest.approx(12.0, abs=3.0)
    assert run(["info", str(path), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["missions"]["NISAR"] == n // 2


def test_14_unknown_satellites_are_other(make):
    truth, cube = make(unknown=40)
    table = cube.pair_table
    assert np.count_nonzero(table.mission == "other") == np.count_nonzero(truth.mission == "other") >= 40
    assert_reads(cube, truth)


def test_14_without_satellites_every_pair_is_other(make):
    truth, cube = make(without=("satellite_img1", "satellite_img2"))
    pairs = cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert len(pairs) == len(truth.good_rows(0, 0))
    assert set(pairs.mission) == {"other"}


@pytest.mark.parametrize("errors", ["holes", "absent"])
def test_15_errors_that_are_not_known(make, errors):
    truth, cube = make(errors=errors)
    assert_reads(cube, truth)
    pairs = cube.pairs_at(x=truth.x[0], y=truth.y[0])
    assert np.isnan(pairs.vx_error).any()


def test_15_the_marker_of_errors_is_missing_also_where_nobody_says_so(tmp_path):
    vx, vy = velocities(4)
    error = np.array([3.0, HOLE, 4.0, np.nan], dtype=np.float32)
    cube = itslive.open_cube(write_arrays(tmp_path / "c.zarr", vx, vy, vx_error=error, vy_error=error))
    np.testing.assert_array_equal(cube.pair_table.vx_error, [3.0, np.nan, 4.0, np.nan])


def test_20_mixed_pairs_go_by_both_images(make):
    truth, cube = make()
    table = cube.pair_table
    mixed = (table.satellite_1 == "7") & (table.satellite_2 == "8")
    assert mixed.any()
    assert set(table.mission[mixed]) == {"L7"}
    assert_reads(cube, truth)


# Place


@pytest.mark.parametrize("crs", ["everywhere", "epsg", "proj4", "wkt", "spatial_ref", "attribute"])
@pytest.mark.parametrize("epsg", [32646, 3413])
def test_projection_wherever_it_is_said(make, crs, epsg):
    _, cube = make(crs=crs, epsg=epsg, n_pairs=3)
    assert cube.epsg == epsg
    assert cube.crs.is_projected


def test_projection_in_the_name_of_the_file(tmp_path):
    path = tmp_path / "ITS_LIVE_vel_EPSG3413_G0120_X-150000_Y-2250000.zarr"
    write_cube(path, crs="none", epsg=3413, n_pairs=3)
    assert itslive.open_cube(path).epsg == 3413


@pytest.mark.parametrize("value", ["EPSG:32646", 32646, "32646.0", 32646.0])
def test_projection_in_other_spellings(spoil, value):
    truth = spoil(consolidated=False)
    zarr.open_group(truth.path, mode="r+").attrs["projection"] = value
    assert itslive.open_cube(truth.path).epsg == 32646


def test_an_unusable_projection_does_not_hide_a_good_one(spoil):
    truth = spoil(consolidated=False, crs="epsg")
    zarr.open_group(truth.path, mode="r+").attrs["projection"] = "somewhere"
    assert itslive.open_cube(truth.path).epsg == 32646


@pytest.mark.parametrize("y_ascending", [False, True])
def test_axes_that_are_not_stored_follow_from_the_grid_mapping(make, y_ascending):
    assert_reads(*reversed(make(without=("x", "y"), y_ascending=y_ascending)))


def test_without_axes_and_grid_mapping_there_is_no_place(tmp_path):
    truth = write_cube(tmp_path / "c.zarr", without=("x", "y", "mapping"), n_pairs=3)
    with pytest.raises(CubeError, match="no y axis"):
        itslive.open_cube(truth.path)


@pytest.mark.parametrize("bad", [np.array([0.0, 1.0, 5.0]), np.array([0.0, np.nan, 2.0])])
def test_an_axis_with_gaps_is_refused(tmp_path, bad):
    path = write_arrays(tmp_path / "c.zarr", *velocities())
    zarr.open_array(path, path="x", mode="r+")[...] = bad
    with pytest.raises(CubeError, match="x axis of the datacube is not regular"):
        itslive.open_cube(path)


def test_23_the_address_is_the_one_that_was_opened(make):
    truth, cube = make()
    assert "/v2/" in cube.attrs["url"]
    assert cube.url == str(truth.path)
    assert cube.pairs_at(x=truth.x[0], y=truth.y[0]).cube_url == str(truth.path)


# What is never read


def test_nothing_but_the_needed_arrays_is_read(spoil):
    truth = spoil(radar=True, without=())
    needed = {"vx", "vy", "acquisition_date_img1", "acquisition_date_img2", "vx_error", "vy_error"}
    needed |= {"satellite_img1", "satellite_img2", "x", "y"}
    spoilt = []
    for folder in truth.path.iterdir():
        if folder.is_dir() and folder.name not in needed:
            for chunk in folder.glob("[0-9]*"):
                chunk.write_bytes(b"not a chunk")
            spoilt.append(folder.name)
    assert {"mid_date", "granule_url", "date_center", "v", "landice"} <= set(spoilt)
    assert_reads(itslive.open_cube(truth.path), truth)


def test_consolidated_metadata_are_enough(spoil):
    truth = spoil()
    for file in truth.path.rglob(".z*"):
        if file.name != ".zmetadata":
            file.unlink()
    assert_reads(itslive.open_cube(truth.path), truth)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_without_consolidated_metadata(make, zarr_format):
    truth, cube = make(consolidated=False, zarr_format=zarr_format)
    assert not (truth.path / ".zmetadata").exists()
    assert_reads(cube, truth)


def test_consolidated_metadata_of_an_empty_group_are_not_trusted(spoil):
    truth = spoil()
    (truth.path / ".zmetadata").write_text(json.dumps({"metadata": {}, "zarr_consolidated_format": 1}))
    assert_reads(itslive.open_cube(truth.path), truth)


def test_every_pixel_of_a_small_cube(make):
    """The corners above stand for all pixels; here are all."""
    truth, cube = make(masks_differ=0.05, swapped=20, zero_length=10, missing_dates=10)
    for row in range(12):
        for col in range(14):
            assert_pixel(cube.pairs_at(x=truth.x[col], y=truth.y[row]), truth, row, col)
    assert len(corners(truth)) == 6
