"""Whole glaciers: the same numbers as point by point, streamed, stored, continued."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core import Glacier, InversionSettings, PairSelection
from itslive_core.demo import demo_path
from itslive_core.errors import CoverageError, OutputError, SelectionError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

FAST = InversionSettings(smoothing=100.0, interval=48.0, robust=False, outliers="none")
RECENT = PairSelection(start="2021")
EVERYWHERE = (-51.0, 69.0, -49.0, 70.0)


@pytest.fixture(scope="module")
def cubes() -> list[itslive.Datacube]:
    return [itslive.open_cube(path) for path in demo_path().cubes]


@pytest.fixture(scope="module")
def glacier() -> Glacier:
    return max(Glacier.list_from_file(demo_path().outlines), key=lambda g: g.area_km2 or 0)


def paint(results: list, name: str = "v") -> xr.DataArray:  # type: ignore[type-arg]
    parts = [r.dataset[[name]] for r in results]
    return xr.combine_by_coords(parts, join="outer", compat="no_conflicts", combine_attrs="override")[name]  # type: ignore[return-value]


def test_area_equals_points(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    settings = InversionSettings(interval=48.0)
    results = list(itslive.run_glacier(cubes[0], glacier, settings, selection=RECENT))
    assert [r.done for r in results] == list(range(1, len(results) + 1))
    assert all(r.total == len(results) and r.error is None for r in results)
    checked = 0
    for result in results[::4]:
        ds = result.dataset
        assert ds is not None
        rows, cols = np.nonzero(ds["n_pairs_used"].values > 100)
        for row, col in list(zip(rows, cols, strict=True))[:3]:
            x, y = float(ds["x"][col]), float(ds["y"][row])
            point = itslive.invert(cubes[0].pairs_at(x=x, y=y), settings, selection=RECENT)
            here = ds.isel(x=col, y=row).sel(time=point["time"])
            for name in ("vx", "vy", "v", "vx_std", "v_std", "n_pairs", "coverage"):
                np.testing.assert_allclose(here[name], point[name], rtol=2e-4, atol=2e-3)
            for name in ("v_lower", "v_upper", "azimuth", "azimuth_std"):
                np.testing.assert_allclose(here[name], point[name], rtol=1e-3, atol=0.02)
            np.testing.assert_array_equal(here["quality"], point["quality"])
            assert float(here["smoothing_used"]) == pytest.approx(point.attrs["smoothing_used"], rel=1e-3)
            checked += 1
    assert checked >= 3


def test_only_pixels_inside_are_estimated(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    results = list(itslive.run_glacier(cubes[0], glacier, FAST, selection=RECENT))
    inside = glacier.contains(cubes[0].x, cubes[0].y, cubes[0].crs)
    assert sum(r.n_pixels for r in results) == inside.sum()
    used = paint(results, "n_pairs_used").reindex(x=cubes[0].x, y=cubes[0].y, fill_value=0)
    assert not used.values[~inside].any()


def test_two_tiles_are_one_area(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    both = list(itslive.run_glacier(cubes, glacier, FAST, selection=RECENT))
    parts = [list(itslive.run_glacier(cube, glacier, FAST, selection=RECENT)) for cube in cubes]
    assert sum(r.n_pixels for r in both) == sum(r.n_pixels for part in parts for r in part)
    whole = paint(both)
    for part in parts:
        alone = paint(part)
        same = whole.sel(x=alone["x"], y=alone["y"], time=alone["time"])
        np.testing.assert_allclose(same, alone, rtol=1e-5, atol=1e-3)
    assert np.unique(np.diff(whole["x"])).tolist() == [120.0]


def test_the_same_cube_twice_gives_every_pixel_once(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    once = list(itslive.run_glacier(cubes[0], glacier, FAST, selection=RECENT))
    twice = list(itslive.run_glacier([cubes[0], cubes[0]], glacier, FAST, selection=RECENT))
    assert sum(r.n_pixels for r in once) == sum(r.n_pixels for r in twice)


def test_store_is_cf_and_equal_to_the_stream(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    results = list(itslive.run_glacier(cubes, glacier, FAST, out, selection=RECENT))
    ds = xr.open_zarr(out).load()
    assert json.loads((out / ".zgroup").read_text())["zarr_format"] == 2
    assert ds["v"].dims == ("time", "y", "x")
    assert ds["v"].dtype == "float32"
    assert ds["n_pairs"].dtype == "int32"
    assert ds["quality"].dtype == "int16"
    assert ds["quality"].attrs["flag_masks"] == [1, 2, 4, 8, 16, 32]
    assert ds["azimuth"].dtype == "float32"
    assert ds["v"].attrs["grid_mapping"] == "mapping"
    assert ds["mapping"].attrs["spatial_epsg"] == 3413
    assert ds.attrs["smoothing"] == 100.0
    assert json.loads(ds.attrs["selection"]) == {"start": "2021"}
    assert ds.attrs["smoothing_used"] == 100.0
    assert list(ds.attrs)[-1] == "n_pairs_used"
    assert ds.attrs["n_pairs_read"] > ds.attrs["n_pairs_dates"] == ds.attrs["n_pairs_used"] > 0
    stream = paint(results)
    np.testing.assert_array_equal(ds["v"].sel(x=stream["x"], y=stream["y"]), stream)
    one_mission = (ds["quality"].values >> 1 & 1).astype(bool) & np.isfinite(ds["v"].values)
    pixels = (
        f"In {one_mission.any(axis=0).sum():,} of {np.isfinite(ds['v'].values).any(axis=0).sum():,} pixels"
    )
    assert pixels in ds.attrs["warnings"]
    assert np.isfinite(ds["v"]).any()


def test_an_interrupted_job_goes_on_where_it_stopped(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    straight, broken = tmp_path / "straight.zarr", tmp_path / "broken.zarr"
    n = len(list(itslive.run_glacier(cubes, glacier, FAST, straight, selection=RECENT)))
    job = itslive.run_glacier(cubes, glacier, FAST, broken, selection=RECENT)
    first = [next(job) for _ in range(3)]
    job.close()
    with (broken / ".itslive_blocks").open("a") as journal:
        journal.write("0:99")  # a line cut short by a crash counts for nothing
    rest = list(itslive.run_glacier(cubes, glacier, FAST, broken, selection=RECENT, workers=1))
    assert len(rest) == n - len(first)
    assert rest[0].done == len(first) + 1
    xr.testing.assert_equal(xr.open_zarr(straight).load(), xr.open_zarr(broken).load())
    assert list(itslive.run_glacier(cubes, glacier, FAST, broken, selection=RECENT)) == []


def test_a_store_of_an_earlier_version_is_refused_in_one_sentence(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    out = tmp_path / "old.zarr"
    list(itslive.run_glacier(cubes, glacier, FAST, out, selection=RECENT))
    shutil.rmtree(out / "quality")
    with pytest.raises(OutputError, match="earlier version and has no quality: choose another name"):
        itslive.run_glacier(cubes, glacier, FAST, out, selection=RECENT)


@pytest.mark.parametrize("change", ["settings", "selection", "area", "cubes"])
def test_another_job_is_refused(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path, change: str
) -> None:
    out = tmp_path / "out.zarr"
    next(itslive.run_glacier(cubes[0], glacier, FAST, out, selection=RECENT))
    settings = InversionSettings(smoothing=99.0, interval=48.0) if change == "settings" else FAST
    selection = PairSelection(start="2020") if change == "selection" else RECENT
    bbox = (-50.2, 69.3, -50.1, 69.32) if change == "area" else None
    used = cubes if change == "cubes" else cubes[0]
    words = {
        "settings": "smoothing is 100.0 there and 99.0 here; robust is false there and true here",
        "selection": "start is 2021 there and 2020 here; another axis",
        "area": "another area",
        "cubes": "other cubes: .*zarr there and .*zarr.* here",
    }
    with pytest.raises(OutputError, match=rf"holds another job .*{words[change]}.*choose another name"):
        itslive.run_glacier(used, glacier, settings, out, selection=selection, bbox=bbox)


def test_device_is_no_part_of_a_jobs_identity(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    from dataclasses import replace

    out = tmp_path / "out.zarr"
    next(itslive.run_glacier(cubes[0], glacier, FAST, out, selection=RECENT, workers=1))
    assert (
        next(itslive.run_glacier(cubes[0], glacier, replace(FAST, device="cpu"), out, selection=RECENT)).done
        > 1
    )


def test_somebody_elses_folder_is_refused(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        itslive.run_glacier(cubes[0], glacier, FAST, tmp_path)
    file = tmp_path / "file.zarr"
    file.write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        itslive.run_glacier(cubes[0], glacier, FAST, file)
    assert file.read_text() == "mine"


def test_a_block_that_fails_does_not_stop_the_others(
    cubes: list[itslive.Datacube], glacier: Glacier, tmp_path: Path
) -> None:
    import shutil

    path = tmp_path / "damaged.zarr"
    shutil.copytree(cubes[0].url, path)
    inside = glacier.contains(cubes[0].x, cubes[0].y, cubes[0].crs)
    block = cubes[0].blocks(inside)[2]
    rows, cols = cubes[0].block_shape
    chunk = path / "vx" / f"0.{block.row0 // rows}.{block.col0 // cols}"
    chunk.write_bytes(chunk.read_bytes()[:100])
    out = tmp_path / "out.zarr"
    results = list(itslive.run_glacier(itslive.open_cube(path), glacier, FAST, out, selection=RECENT))
    failed = [r for r in results if r.error]
    assert len(failed) == 1
    assert "damaged" in str(failed[0].error)
    assert failed[0].dataset is None
    assert all(r.n_solved > 0 for r in results if not r.error and r.n_pixels > 20)
    again = list(itslive.run_glacier(itslive.open_cube(path), glacier, FAST, out, selection=RECENT))
    assert [r.name for r in again] == [failed[0].name]


def test_stopping_keeps_what_is_done(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    seen: list[str] = []
    job = itslive.run_glacier(
        cubes, glacier, FAST, selection=RECENT, workers=1, should_stop=lambda: len(seen) >= 2
    )
    seen.extend(result.name for result in job)
    assert 2 <= len(seen) <= 4


def test_work_can_go_to_another_executor(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(itslive.run_glacier(cubes[0], glacier, FAST, selection=RECENT, executor=pool))
    assert all(r.error is None for r in results)


def test_work_survives_pickling(cubes: list[itslive.Datacube]) -> None:
    import pickle

    copy = pickle.loads(pickle.dumps(cubes[0]))
    assert copy.url == cubes[0].url
    assert copy.shape == cubes[0].shape


def test_an_area_off_the_cube_is_refused(cubes: list[itslive.Datacube]) -> None:
    with pytest.raises(CoverageError, match="inside the box"):
        itslive.run_glacier(cubes[0], None, FAST, bbox=(10.0, 60.0, 11.0, 61.0))


def test_no_pairs_left_is_refused(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    with pytest.raises(SelectionError, match=r"all pairs were filtered out: 0 of 10,489 left"):
        itslive.run_glacier(cubes[0], glacier, FAST, selection=PairSelection(start="2100"))


def test_no_area_is_refused(cubes: list[itslive.Datacube]) -> None:
    with pytest.raises(SettingsError, match="outline or a box"):
        itslive.run_glacier(cubes[0], None, FAST)


def test_box_and_outline_meet(cubes: list[itslive.Datacube], glacier: Glacier) -> None:
    everything = sum(r.n_pixels for r in itslive.run_glacier(cubes, glacier, FAST, bbox=EVERYWHERE))
    part = sum(
        r.n_pixels for r in itslive.run_glacier(cubes, glacier, FAST, bbox=(-50.2, 69.3, -50.1, 69.32))
    )
    assert 0 < part < everything


def test_overview_gives_the_speed_of_the_median_vector(
    cubes: list[itslive.Datacube], glacier: Glacier
) -> None:
    blocks = list(itslive.read_glacier(cubes, glacier))
    assert [b.done for b in blocks] == list(range(1, len(blocks) + 1))
    block = max(blocks, key=lambda b: int((b.n_pairs > 0).sum()))
    row, col = np.argwhere(block.n_pairs > 100)[0]
    cube = next(c for c in cubes if c.bounds[0] < block.x[col] < c.bounds[2])
    pairs = cube.pairs_at(x=float(block.x[col]), y=float(block.y[row]))
    assert block.vx[row, col] == pytest.approx(np.median(pairs.vx))
    assert block.v[row, col] == pytest.approx(np.hypot(np.median(pairs.vx), np.median(pairs.vy)))
    assert cube.is_cached(
        int(np.argmin(np.abs(cube.y - block.y[row]))), int(np.argmin(np.abs(cube.x - block.x[col])))
    )


def test_the_real_glacier_has_707_pixels(parlung: Path, parlung_outline: Path) -> None:
    results = list(
        itslive.run_glacier(
            itslive.open_cube(parlung), parlung_outline, InversionSettings.preset("itslive-tool")
        )
    )
    assert sum(r.n_pixels for r in results) == 707
    assert sum(r.n_solved for r in results) == 707


@pytest.mark.parametrize(
    "settings",
    [
        itslive.InversionSettings(interval=12.0),
        itslive.InversionSettings(interval=12.0, smoothing=10.0),
        itslive.MovingMedianSettings(interval=48.0),
        itslive.GaussianProcessSettings(interval=96.0),
    ],
    ids=["learning", "plain", "median", "gaussian process"],
)
def test_a_job_stops_inside_a_block(cubes: list[itslive.Datacube], settings: Any) -> None:
    """Every estimator asks at each pixel or more often; what is being worked on is given up."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12  # more often than a job of one block asks between blocks

    box = cubes[0].lonlat_bounds
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    tiny = (middle[0] - 0.01, middle[1] - 0.004, middle[0] + 0.01, middle[1] + 0.004)
    options = {"selection": RECENT, "bbox": tiny, "workers": 1, "season": False}
    assert list(itslive.run_glacier(cubes[0], None, settings, should_stop=stop, **options)) == []
    assert asked < 40
