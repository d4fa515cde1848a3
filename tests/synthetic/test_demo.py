"""The synthetic cube: it looks like a real one on disk, and what it measures is the truth it claims."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
import zarr
from pyproj import Transformer

from itslive_core import demo
from itslive_core.demo import DEMO_POINTS, DemoFiles, demo_path, make_demo, true_mean_velocity, true_velocity
from itslive_core.errors import OutputError
from itslive_core.observations.missions import mission_of_pairs
from itslive_core.synthetic.schedule import schedule_pairs
from itslive_core.synthetic.terrain import demo_valleys
from tests.waiting import seconds

MISSING = -32767


@pytest.fixture(scope="module")
def files() -> DemoFiles:
    return demo_path()


@pytest.fixture(scope="module")
def metadata(files: DemoFiles) -> list[dict]:
    return [json.loads((cube / ".zmetadata").read_text("utf-8"))["metadata"] for cube in files.cubes]


class Pixel:
    """The pairs of one pixel, read with nothing but zarr."""

    def __init__(self, files: DemoFiles, name: str) -> None:
        self.point = DEMO_POINTS[name]
        group = zarr.open_group(files.cubes[name == "upstream"], mode="r")
        col = np.flatnonzero(group["x"][:] == self.point.x)[0]
        row = np.flatnonzero(group["y"][:] == self.point.y)[0]
        vx, vy = group["vx"][:, row, col], group["vy"][:, row, col]
        ok = vx != MISSING
        assert np.array_equal(ok, vy != MISSING)
        self.vx, self.vy = vx[ok].astype(float), vy[ok].astype(float)
        self.start, self.end = (group[f"acquisition_date_img{i}"][:][ok] for i in (1, 2))
        self.span = self.end - self.start
        self.error = np.where(group["vx_error"][:] > 0, group["vx_error"][:], np.nan)[ok]
        satellites = [group[f"satellite_img{i}"][:][ok] for i in (1, 2)]
        self.mission = mission_of_pairs(*satellites)
        self.true_vx, self.true_vy = true_mean_velocity(self.point.x, self.point.y, self.start, self.end)


# --------------------------------------------------------------------------- layout


def test_arrays_are_encoded_like_real_ones(metadata):
    for table in metadata:
        for name in ("vx", "vy", "v", "v_error"):
            array, attributes = table[f"{name}/.zarray"], table[f"{name}/.zattrs"]
            assert (array["dtype"], array["fill_value"]) == ("<i2", None)
            assert array["compressor"] == {
                "id": "blosc",
                "cname": "zlib",
                "clevel": 2,
                "shuffle": 1,
                "blocksize": 0,
            }
            assert array["chunks"][1:] == [10, 10]
            assert attributes["missing_value"] == MISSING
            assert attributes["_ARRAY_DIMENSIONS"] == ["mid_date", "y", "x"]
        n = table["vx/.zarray"]["shape"][0]
        assert table["mid_date/.zarray"]["chunks"] == [352]
        assert table["granule_url/.zarray"]["chunks"] == [352]
        assert table["granule_url/.zarray"]["dtype"] == "<U1024"
        for name in ("acquisition_date_img1", "date_center", "satellite_img2", "vy_error", "date_dt"):
            assert table[f"{name}/.zarray"]["chunks"] == [n]
        assert table["vx_error/.zarray"]["fill_value"] == MISSING
        assert table["satellite_img1/.zarray"]["dtype"] == "<U2"
        assert table["interp_mask/.zattrs"]["missing_value"] == 0
        assert table["mapping/.zattrs"]["spatial_epsg"] == 3413
    assert metadata[1]["vx/.zarray"]["chunks"][0] < metadata[1]["vx/.zarray"]["shape"][0]


def test_arrays_are_encoded_like_the_real_cube_at_hand(metadata, parlung):
    real = json.loads((parlung / ".zmetadata").read_text("utf-8"))["metadata"]
    grown = {
        "x",
        "y",
        "landice",
        "floatingice",
        "mapping",
    }  # these were rewritten by whoever clipped that cube
    shared = {k.split("/")[0] for k in real if k.endswith(".zarray")} - grown
    for name in sorted(shared):
        ours, theirs = metadata[0][f"{name}/.zarray"], real[f"{name}/.zarray"]
        for key in ("dtype", "fill_value", "compressor", "filters", "order", "zarr_format"):
            assert ours[key] == theirs[key], (name, key)
        for key in ("standard_name", "units", "missing_value", "calendar", "_ARRAY_DIMENSIONS"):
            theirs_value = real[f"{name}/.zattrs"].get(key)
            assert metadata[0][f"{name}/.zattrs"].get(key) == theirs_value, (name, key)


def test_every_chunk_is_stored(files, metadata):
    for cube, table in zip(files.cubes, metadata):
        for key, array in table.items():
            if key.endswith("/.zarray"):
                wanted = int(np.prod([-(-s // c) for s, c in zip(array["shape"], array["chunks"])]))
                stored = [p for p in (cube / key).parent.iterdir() if not p.name.startswith(".")]
                assert len(stored) == wanted, key


def test_global_attributes(files):
    for cube, folder in zip(files.cubes, ("N60W050", "N60W040")):
        attributes = zarr.open_group(cube, mode="r").attrs
        assert attributes["projection"] == "3413"
        assert attributes["url"].endswith(f"/v2/{folder}/{cube.name}")
        assert len(json.loads(attributes["geo_polygon"])) == len(json.loads(attributes["proj_polygon"])) == 17
        assert "synthetic" in attributes["title"]


def test_tiles_lie_on_the_lattice_and_share_an_edge(files):
    west, east = (zarr.open_group(cube, mode="r") for cube in files.cubes)
    for group in (west, east):
        assert np.all(np.diff(group["x"][:]) == 120.0)
        assert np.all(np.diff(group["y"][:]) == -120.0)
    assert east["x"][0] - west["x"][-1] == 120.0
    # The lattice of pixels is common to all boxes, so the pixel edge is not quite the edge of the boxes.
    assert west["x"][-1] + 60.0 == np.ceil(-200_000 / 120) * 120 - 7.5
    assert (west["y"][0] - east["y"][0]) % 120.0 == 0.0
    # First centre of a 100 km box: ceil(xmin/120)*120 + 52.5, floor(ymax/120)*120 - 52.5.
    assert (west["x"][0] - (np.ceil(-300_000 / 120) * 120 + 52.5)) % 120.0 == 0.0
    assert (west["y"][0] - (np.floor(-2_200_000 / 120) * 120 - 52.5)) % 120.0 == 0.0


def test_tiles_exist_in_the_real_catalog(files, real_data):
    table = json.loads((real_data / "catalog_v02.json").read_text("utf-8"))
    names = {Path(f["properties"]["zarr_url"]).name for f in table["features"]}
    assert {cube.name for cube in files.cubes} <= names


def test_xarray_opens_it(files):
    with xr.open_zarr(files.cubes[0], decode_timedelta=False) as cube:
        assert cube.vx.dims == ("mid_date", "y", "x")
        assert cube.acquisition_date_img1.dtype.kind == "M"
        assert not cube.indexes["mid_date"].is_monotonic_increasing
        assert not cube.indexes["mid_date"].is_unique


def test_size_is_bounded(files):
    size = sum(p.stat().st_size for f in files.paths for p in ([f] if f.is_file() else f.rglob("*")))
    assert size < 42e6


# ----------------------------------------------------------------------------- pairs


def test_schedule_has_every_mission_and_oddity():
    pairs = schedule_pairs(demo.DEFAULT_SEED)
    mission = mission_of_pairs(pairs.satellite_1, pairs.satellite_2)
    span = np.rint(pairs.span)
    assert 8_000 <= len(pairs) <= 14_000
    assert set(np.unique(mission)) == {"S1", "S2", "L4_5", "L7", "L8_9"}
    assert np.all(span[mission == "S1"] == 12)
    assert np.any(pairs.span[mission == "S1"] > 12.0)  # by seconds
    assert np.mean(np.isin(span[mission == "S2"] % 5, (0, 2))) == 1.0
    assert 200 < np.median(span[mission == "S2"]) < 300
    for name in ("L4_5", "L7", "L8_9"):
        assert np.all(span[mission == name] % 8 == 0)
    assert span.min() >= 5
    assert span.max() <= 550
    mixed = {f"{a}{b}" for a, b in zip(pairs.satellite_1, pairs.satellite_2)}
    assert {"78", "89", "98", "2A2B", "45", "57", "1B1B", "2A2C"} <= mixed
    assert 0.5 < pairs.empty.mean() < 0.8
    year = pairs.start / 365.25 + 1970
    assert year.min() < 1986
    assert np.mean(year > 2013) > 0.8
    assert np.mean(np.diff(pairs.start) < 0) > 0.3
    dates = np.column_stack((pairs.start, pairs.end))
    assert len(np.unique(dates, axis=0)) < 0.9 * len(pairs)


def test_most_layers_are_empty(files):
    for cube in files.cubes:
        vx = zarr.open_group(cube, mode="r")["vx"][:]
        assert 0.5 < np.mean(np.all(vx == MISSING, axis=(1, 2))) < 0.8


def test_duplicated_pairs_are_both_valid_in_the_overlap_of_granules(files):
    group = zarr.open_group(files.cubes[1], mode="r")
    start, end = group["acquisition_date_img1"][:], group["acquisition_date_img2"][:]
    _, first, count = np.unique(np.column_stack((start, end)), axis=0, return_index=True, return_counts=True)
    assert np.sum(count > 1) > 500
    valid = group["vx"][:] != MISSING
    twice = [
        np.logical_and.reduce(valid[(start == start[i]) & (end == end[i])]).any()
        for i in first[count > 1][:200]
    ]
    assert np.any(twice)
    assert not np.all(twice)


def test_mid_date_is_the_centre_plus_a_token(files):
    group = zarr.open_group(files.cubes[0], mode="r")
    centre = 0.5 * (group["acquisition_date_img1"][:] + group["acquisition_date_img2"][:])
    shift = (group["mid_date"][:] - centre) * 86_400.0
    assert np.all((shift >= 0) & (shift < 1))
    day = (np.datetime64("1970-01-01") + np.floor(group["acquisition_date_img1"][0]).astype(int)).item()
    assert shift[0] == pytest.approx(int(day.strftime("%y%m%d")) * 1e-6, abs=2e-6)


# ----------------------------------------------------------------------------- truth


@pytest.mark.parametrize("name", DEMO_POINTS)
def test_points_are_pixel_centres(files, name):
    point = DEMO_POINTS[name]
    group = zarr.open_group(files.cubes[name == "upstream"], mode="r")
    assert point.x in group["x"][:]
    assert point.y in group["y"][:]
    x, y = Transformer.from_crs(4326, 3413, always_xy=True).transform(point.lon, point.lat)
    assert np.hypot(x - point.x, y - point.y) < 0.2


def test_mean_velocity_is_the_integral_of_the_velocity():
    x = np.array([p.x for p in DEMO_POINTS.values()])
    y = np.array([p.y for p in DEMO_POINTS.values()])
    for start, span in ((17_800.3, 6.0), (17_400.0, 400.0), (18_830.0, 64.1)):
        t = np.linspace(start, start + span, 20_001)
        means = true_mean_velocity(x, y, start, start + span)
        for mean, values in zip(means, true_velocity(x, y, t)):
            assert mean == pytest.approx(np.trapezoid(values, t, axis=0) / span, rel=1e-6, abs=1e-4)


def test_speeds_are_as_announced():
    t = np.arange("2013-01-01", "2024-11-01", dtype="datetime64[D]")
    speed = {k: np.hypot(*true_velocity(p.x, p.y, t)) for k, p in DEMO_POINTS.items()}
    assert 5_000 < speed["front"].min() < speed["front"].max() < 8_000
    assert 800 < speed["upstream"].min() < speed["upstream"].max() < 1_300
    assert speed["surge"].max() > 900
    assert speed["surge"].min() < 60
    assert speed["slow"].max() < 60


def test_season_differs_from_year_to_year_and_drifts():
    point = DEMO_POINTS["front"]
    years = np.arange(1988, 2000)  # no trend then
    day = np.arange(365)
    speed = [np.hypot(*true_velocity(point.x, point.y, (y - 1970) * 365.25 + day)) for y in years]
    height = [s.max() - np.median(s) for s in speed]
    onset = [int(np.argmax(s > np.median(s) + 0.5 * h)) for s, h in zip(speed, height)]
    assert max(height) > 1.5 * min(height)
    assert np.ptp(onset) > 10


def test_flow_follows_the_valley_and_stops_at_rock():
    fast, _ = demo_valleys()
    vx, vy = true_velocity(fast.x[100:-100:50], fast.y[100:-100:50], 18_000.0)
    along = np.column_stack((vx, vy)) / np.hypot(vx, vy)[:, None]
    assert np.sum(along * fast.tangent[100:-100:50], axis=1) == pytest.approx(1.0, abs=1e-3)
    assert np.ptp(np.degrees(np.arctan2(vy, -vx))) > 20  # it is curved
    assert np.hypot(*true_velocity(-200_000.0, -2_260_000.0, 18_000.0)) == 0.0


def test_shapes_of_the_truth():
    assert true_velocity(-2e5, -2.255e6, 18_000.0)[0].shape == ()
    assert true_velocity([-2e5] * 3, [-2.255e6] * 3, np.arange(4.0))[0].shape == (4, 3)
    assert true_mean_velocity(-2e5, -2.255e6, np.arange(4.0), np.arange(4.0) + 9)[1].shape == (4,)


def test_truth_file_holds_cell_means(files):
    with xr.open_dataset(files.truth) as truth:
        assert truth.sizes["point"] == len(DEMO_POINTS)
        with xr.open_dataset(files.truth, decode_times=False) as raw:
            edges = raw.time_bnds.values
        assert np.all(edges % 12.0 == 0.0)
        for name, point in DEMO_POINTS.items():
            cell = truth.sel(x=point.x, y=point.y)
            vx, vy = true_mean_velocity(point.x, point.y, edges[:, 0], edges[:, 1])
            assert np.abs(cell.vx.values - vx).max() <= 0.26
            assert np.abs(cell.vy.values - vy).max() <= 0.26
            fine = truth.vx_point.sel(point=name).coarsen(time_fine=6, boundary="trim")
            assert float(fine.mean().mean()) == pytest.approx(float(cell.vx.mean()), rel=0.01, abs=1.0)
        ice = np.isfinite(truth.vx.isel(time=0))
        assert 1_000 < int(ice.sum()) < 2_500


# ---------------------------------------------------------------------- observations


@pytest.mark.parametrize("name", DEMO_POINTS)
def test_short_pairs_read_the_truth_within_their_noise(files, name):
    pixel = Pixel(files, name)
    speed = np.hypot(pixel.true_vx, pixel.true_vy)
    for mission, share in (("S2", 0.01), ("L8_9", 0.01), ("S1", 0.02)):
        use = (pixel.mission == mission) & (pixel.span < 60)
        assert use.sum() > 60
        for value, true in ((pixel.vx, pixel.true_vx), (pixel.vy, pixel.true_vy)):
            residual = (value - true)[use]
            spread = 1.4826 * np.median(np.abs(residual - np.median(residual)))
            bound = 4.0 * spread / np.sqrt(use.sum()) + 5.0 + share * speed[use].mean()
            assert abs(np.median(residual)) < bound


@pytest.mark.parametrize("name", ["front", "trunk"])
def test_long_pairs_lock_on_fast_ice(files, name):
    pixel = Pixel(files, name)
    speed, true = np.hypot(pixel.vx, pixel.vy), np.hypot(pixel.true_vx, pixel.true_vy)
    short, long = pixel.span < 60, pixel.span > 80
    assert long.sum() > 500
    assert np.median(speed[short] / true[short]) == pytest.approx(1.0, abs=0.02)
    assert 150 < np.median(speed[long]) < 400
    assert np.nanmedian(pixel.error[long]) < 10 < np.nanmedian(pixel.error[pixel.span < 13])


@pytest.mark.parametrize("name", ["upstream", "surge", "slow"])
def test_long_pairs_are_right_on_slower_ice(files, name):
    pixel = Pixel(files, name)
    use = (pixel.span > 80) & (pixel.mission == "S2")
    residual = (pixel.vx - pixel.true_vx)[use]
    assert abs(np.median(residual)) < 3.0
    assert 1.4826 * np.median(np.abs(residual)) < 20.0


def test_spread_falls_with_the_span_and_formal_errors_are_too_small(files):
    pixel = Pixel(files, "slow")
    residual = np.abs(pixel.vx - pixel.true_vx)
    is_s2 = pixel.mission == "S2"
    spread = [
        1.4826 * np.median(residual[is_s2 & (pixel.span > low) & (pixel.span <= high)])
        for low, high in ((0, 13), (13, 40), (200, 600))
    ]
    assert spread[0] > 1.8 * spread[1] > 3.0 * spread[2]
    ratio = residual / pixel.error
    assert 1.1 < 1.4826 * np.nanmedian(ratio) < 3.0
    assert 0 < np.mean(np.isnan(pixel.error)) < 0.05
    assert 0.005 < np.nanmean(ratio > 8) < 0.06  # heavy outliers


def test_speed_is_rounded_from_the_components(files):
    group = zarr.open_group(files.cubes[1], mode="r")
    vx, vy, v = (group[name][:3_000].astype(float) for name in ("vx", "vy", "v"))
    ok = vx != MISSING
    assert np.array_equal(ok, v != MISSING)
    assert np.abs(np.hypot(vx, vy) - v)[ok].max() <= 1.3


# -------------------------------------------------------------------------- outlines


def test_outlines_and_centrelines(files):
    glaciers = gpd.read_file(files.outlines)
    assert glaciers.crs.to_epsg() == 4326
    assert glaciers.is_valid.all()
    assert list(glaciers.geom_type) == ["Polygon", "MultiPolygon"]
    assert len(glaciers.geometry[0].interiors) == 1
    assert len(glaciers.geometry[1].geoms) == 2
    assert all("synthetic" in name for name in glaciers.glac_name)
    assert glaciers.area_km2.to_numpy() == pytest.approx([18.3, 3.8], rel=0.05)
    lines = gpd.read_file(files.centreline)
    assert set(lines.rgi_g_id) == set(glaciers.rgi_id)
    main = lines[lines.is_main == 1]
    for line, outline in zip(main.geometry, glaciers.geometry):
        assert line.intersection(outline.buffer(1e-4)).length > 0.95 * line.length
        assert line.coords[0][0] > line.coords[-1][0]  # head in the east


def test_ice_of_the_truth_is_what_the_outlines_hold(files):
    glaciers = gpd.read_file(files.outlines).to_crs(3413)
    with xr.open_dataset(files.truth) as truth:
        x, y = np.meshgrid(truth.x, truth.y)
        ice = np.isfinite(truth.vx.isel(time=0).values)
    inside = shapely.contains_xy(shapely.union_all(glaciers.geometry.values), x, y)
    assert np.mean(ice != inside) < 0.005  # straight chords against curved margins
    for point in DEMO_POINTS.values():
        assert glaciers.contains(shapely.Point(point.x, point.y)).any()


# ---------------------------------------------------------------------------- making


def content(files: DemoFiles) -> dict[str, bytes]:
    found = {}
    for number, part in enumerate(files.paths):
        for p in [part] if part.is_file() else sorted(part.rglob("*")):
            if p.is_file():
                found[f"{number}/{p.relative_to(part)}"] = p.read_bytes()
    return found


def test_same_bytes_again_and_beside_the_named_cube(files, tmp_path):
    again = make_demo(tmp_path / "mine.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine.zarr",
        "mine_centrelines.geojson",
        "mine_east.zarr",
        "mine_outlines.geojson",
        "mine_points.csv",
        "mine_reference.csv",
        "mine_truth.nc",
    ]
    first, second = content(files), content(again)
    assert first.keys() == second.keys()
    assert [k for k in first if first[k] != second[k]] == []


def test_another_seed_draws_other_noise():
    one, two = schedule_pairs(1), schedule_pairs(2)
    assert len(one) != len(two) or not np.array_equal(one.spread, two.spread)


def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a demo of empty parts, to test where it goes."""

    def build(files: DemoFiles, seed: int) -> None:
        for path in files.paths:
            path.write_text(f"seed {seed}", "utf-8")

    monkeypatch.setattr(demo, "_build", build)


def test_into_a_folder_with_names_like_real_ones(monkeypatch, tmp_path):
    fake(monkeypatch)
    made = make_demo(tmp_path, seed=3)
    assert made.cubes[0].name == "ITS_LIVE_vel_EPSG3413_G0120_X-250000_Y-2250000.zarr"
    assert sorted(tmp_path.iterdir()) == sorted(made.paths)
    assert made.truth.read_text("utf-8") == "seed 3"


def test_nothing_is_overwritten_unasked(monkeypatch, tmp_path):
    fake(monkeypatch)
    (tmp_path / "a_truth.nc").write_text("precious", "utf-8")
    with pytest.raises(OutputError, match=r"a_truth\.nc exists already"):
        make_demo(tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a_truth.nc"]
    make_demo(tmp_path / "a.zarr", overwrite=True)
    assert (tmp_path / "a_truth.nc").read_text("utf-8") != "precious"


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        make_demo(tmp_path / "no" / "demo.zarr")


def test_failure_leaves_nothing(monkeypatch, tmp_path):
    def fail(files: DemoFiles, seed: int) -> None:
        files.truth.write_text("half", "utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_build", fail)
    with pytest.raises(OutputError, match="No space left"):
        make_demo(tmp_path / "demo.zarr")
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OutputError, match="ITSLIVE_CACHE"):
        demo_path()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_cache_is_mended_when_a_part_is_gone(monkeypatch, tmp_path):
    fake(monkeypatch)
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path))
    made = demo_path()
    made.outlines.unlink()
    assert demo_path() == made
    assert made.outlines.exists()
    assert [p.name for p in (tmp_path / "demo").iterdir()] == [f"v{demo.DEMO_VERSION}"]


def _call(cache: str, queue: multiprocessing.Queue) -> None:
    import os
    import time

    os.environ["ITSLIVE_CACHE"] = cache

    def build(files: DemoFiles, seed: int) -> None:
        for path in files.paths:
            path.write_text(str(os.getpid()), "utf-8")
            time.sleep(0.02)

    demo._build = build
    queue.put({p.read_text("utf-8") for p in demo_path().paths})


def test_processes_that_make_it_at_once_agree(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_call, args=(str(tmp_path), queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    seen = [queue.get(timeout=seconds(60)) for _ in workers]
    for worker in workers:
        worker.join(timeout=seconds(60))
    assert all(len(pids) == 1 for pids in seen)
    assert len(set.union(*seen)) == 1
    assert [p.name for p in (tmp_path / "demo").iterdir()] == [f"v{demo.DEMO_VERSION}"]
