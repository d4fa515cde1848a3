"""Season and trend of whole glaciers: the numbers of single points, streamed, stored and exported."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr

import itslive_core as itslive
from itslive_core.demo import demo_path
from itslive_core.export import write_area
from itslive_core.jobs.area_store import AreaStore
from itslive_core.season.point import AREA_VARIABLES

SETTINGS = itslive.InversionSettings(interval=96.0, uncertainty=False, noise="formal", offsets="none")
PLAIN = itslive.InversionSettings(smoothing=100.0, interval=96.0, robust=False, uncertainty=False)
LATE = itslive.PairSelection(start="2016")
BOX = (-50.14, 69.305, -50.12, 69.315)


@pytest.fixture(scope="module")
def cubes():
    return [itslive.open_cube(path) for path in demo_path().cubes]


@pytest.fixture(scope="module")
def stored(cubes, tmp_path_factory):
    """A finished store, and what was streamed while it was written."""
    path = tmp_path_factory.mktemp("season") / "area.zarr"
    return path, list(itslive.run_glacier(cubes, None, SETTINGS, path, selection=LATE, bbox=BOX))


def test_every_pixel_has_the_season_of_its_point(cubes, stored):
    checked = 0
    for result in stored[1]:
        ds = result.dataset
        rows, cols = np.nonzero(np.isfinite(ds["mean_speed"].values))
        for row, col in list(zip(rows, cols))[:: max(1, len(rows) // 3)]:
            x, y = float(ds["x"][col]), float(ds["y"][row])
            cube = next(c for c in cubes if c.x.min() - 60 <= x <= c.x.max() + 60)
            point = itslive.fit_season(cube.pairs_at(x=x, y=y), SETTINGS, selection=LATE)
            for name in AREA_VARIABLES:
                np.testing.assert_allclose(ds[name][row, col], point[name], rtol=1e-5)
            checked += 1
        for name, words in AREA_VARIABLES.items():
            assert ds[name].dims == ("y", "x")
            assert ds[name].dtype == "float32"
            assert ds[name].attrs == words
    assert checked >= 3


def test_the_store_holds_what_was_streamed(stored):
    path, results = stored
    area = xr.open_zarr(path)
    for name, words in AREA_VARIABLES.items():
        assert area[name].dims == ("y", "x")
        assert area[name].attrs["long_name"] == words["long_name"]
        assert area[name].attrs["grid_mapping"] == "mapping"
        for result in results:
            here = area[name].sel(x=result.x, y=result.y)
            np.testing.assert_array_equal(here, result.arrays[name])
    assert np.isfinite(area["season_amplitude"]).any()


def test_planes_become_geotiffs(stored, tmp_path):
    area = xr.open_zarr(stored[0])
    write_area(stored[0], tmp_path / "trend.tif", variable="trend")
    with rasterio.open(tmp_path / "trend.tif") as file:
        assert (file.count, file.descriptions, file.units) == (1, ("trend",), ("m/yr^2",))
        assert file.crs.to_epsg() == 3413
        np.testing.assert_array_equal(file.read(1), area["trend"].sortby("y", ascending=False))
        assert "time_start" not in file.tags(1)


def test_a_given_lambda_leaves_the_season_out_unless_asked(cubes):
    plain = next(itslive.run_glacier(cubes, None, PLAIN, selection=LATE, bbox=BOX))
    asked = next(itslive.run_glacier(cubes, None, PLAIN, selection=LATE, bbox=BOX, season=True))
    assert not set(AREA_VARIABLES) & set(plain.arrays)
    assert set(AREA_VARIABLES) <= set(asked.arrays)


def test_stores_without_season_are_read_and_continued(cubes, tmp_path):
    path = tmp_path / "old.zarr"
    job = itslive.run_glacier(cubes, None, SETTINGS, path, selection=LATE, bbox=BOX, season=False)
    next(job)
    job.close()
    assert "trend" not in zarr.open_group(str(path), mode="r", zarr_format=2)
    rest = list(itslive.run_glacier(cubes, None, SETTINGS, path, selection=LATE, bbox=BOX))
    assert all("trend" not in result.arrays for result in rest)
    assert all(result.error is None for result in rest)
    assert np.isfinite(xr.open_zarr(path)["v"]).any()


def test_a_store_with_season_is_continued_with_it(cubes, stored, tmp_path):
    path = tmp_path / "new.zarr"
    job = itslive.run_glacier(cubes, None, SETTINGS, path, selection=LATE, bbox=BOX)
    next(job)
    job.close()
    list(itslive.run_glacier(cubes, None, SETTINGS, path, selection=LATE, bbox=BOX, season=False))
    xr.testing.assert_equal(xr.open_zarr(path).load(), xr.open_zarr(stored[0]).load())
    assert AreaStore(path, zarr.open_group(str(path), mode="r", zarr_format=2), frozenset()).season


def test_the_first_look_at_a_glacier_tells_seasons_too(cubes, stored):
    area = xr.open_zarr(stored[0])
    blocks = list(itslive.read_glacier(cubes, bbox=BOX, selection=LATE, season=True))
    for block in blocks:
        assert set(block.season) == set(AREA_VARIABLES)
        for name, values in block.season.items():
            inside = np.isfinite(values)
            x, y = np.meshgrid(block.x, block.y)
            there = area[name].sel(x=xr.DataArray(x[inside], dims="p"), y=xr.DataArray(y[inside], dims="p"))
            np.testing.assert_allclose(there, values[inside], rtol=1e-5)
    assert sum(np.isfinite(block.season["trend"]).sum() for block in blocks) > 3
    assert next(itslive.read_glacier(cubes, bbox=BOX, selection=LATE)).season == {}


def test_a_cube_without_pairs_in_the_selection_has_no_season(cubes):
    # Long spans only: some blocks are left without a single pair.
    none = itslive.PairSelection(min_span=544)
    for result in itslive.run_glacier(cubes, None, SETTINGS, selection=none, bbox=BOX):
        assert result.error is None
        assert np.isnan(result.arrays["season_amplitude"]).all()
