"""xarray's engine and accessor: the same numbers as the core's functions and jobs, read only when needed."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
import weakref
from importlib import import_module
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core.cubes.velocity import Velocity
from itslive_core.errors import CubeError, SettingsError
from itslive_core.xarray_engine import ItsliveEngine
from tests.reading import assert_reads
from tests.tiny_cube import VARIANTS, TinyCube, write_cube

ROOT = Path(__file__).resolve().parents[1]
FAST = itslive.InversionSettings(smoothing=100.0, interval=48.0, robust=False, outliers="none")
TELLING = (
    "production", "v3-sharded", "many-chunks", "missing-chunks", "missing-vy-chunk", "masks-differ",
    "bad-dates", "seconds", "error-holes", "no-errors", "y-ascending", "no-axes", "projection-attribute",
    "cut-codes",
)  # fmt: skip


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> TinyCube:
    return write_cube(tmp_path_factory.mktemp("cube") / "tiny.zarr", rows=18, cols=22)


@pytest.fixture(scope="module")
def cube(truth) -> itslive.Datacube:
    return itslive.open_cube(truth.path)


@pytest.fixture
def dataset(truth) -> xr.Dataset:
    return xr.open_dataset(truth.path, engine=ItsliveEngine, chunks={})


def test_the_engine_is_declared_and_light():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["entry-points"]["xarray.backends"]["itslive"].partition(":")
    assert getattr(import_module(module), name) is ItsliveEngine
    code = (
        "import sys, xarray as xr; before = set(sys.modules); import itslive_core.xarray_engine;"
        " assert hasattr(xr.Dataset, 'itslive');"
        " new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        " assert new == {'itslive_core'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert not ItsliveEngine().guess_can_open("cube.zarr")


def test_the_engine_reads_nothing_but_what_is_used(truth, monkeypatch):
    read: list[tuple[slice, ...]] = []
    original = Velocity.read
    monkeypatch.setattr(Velocity, "read", lambda self, where: read.append(where) or original(self, where))
    ds = xr.open_dataset(truth.path, engine=ItsliveEngine, chunks={})
    assert ds["vx"].dims == ("pair", "y", "x")
    assert ds["vx"].chunksizes["x"] == (10, 10, 2)
    assert ds["vx"].attrs["standard_name"] == "land_ice_surface_x_velocity"
    assert ds["time"].attrs["bounds"] == "time_bnds"
    order = np.argsort(ds["time"].values, kind="stable")
    bounds = ds["time_bnds"].values
    assert (bounds[:, 0] < ds["time"].values).all()
    assert (ds["time"].values < bounds[:, 1]).all()
    assert ds["mapping"].attrs["spatial_epsg"] == truth.options.epsg
    assert ds["vx"].attrs["grid_mapping"] == "mapping"
    assert not read
    layer = ds["vx"].isel(pair=int(order[0]), y=slice(None, None, 3), x=[0, 5, 11]).values
    np.testing.assert_array_equal(layer, truth.vx[order[0], ::3][:, [0, 5, 11]].astype(np.float32))
    assert read
    assert "mapping" not in xr.open_dataset(truth.path, engine=ItsliveEngine, drop_variables="mapping")


@pytest.mark.parametrize("name", TELLING)
def test_a_dataset_is_the_cube_that_it_was(name, tmp_path):
    written = write_cube(tmp_path / "EPSG32646_tiny.zarr", VARIANTS[name], radar=False)
    assert_reads(xr.open_dataset(written.path, engine=ItsliveEngine).itslive.cube(), written)


def test_what_other_readers_open_conforms_and_a_part_of_it(truth, cube, dataset):
    others = xr.open_zarr(truth.path)
    assert_reads(others.itslive.cube(), truth)
    x, y = truth.x[13], truth.y[7]
    expected = itslive.invert(cube.pairs_at(x=x, y=y))
    for whole in (dataset.drop_vars(["start", "end"]), dataset.load()):  # dates that are bounds; in memory
        xr.testing.assert_identical(whole.itslive.invert(x=x, y=y), expected)
    part = dataset.isel(x=slice(3, None), y=slice(5, 15))
    assert part.itslive.cube().blocks()[0].shape == (5, 7)  # blocks are where they were
    alone = part.itslive.invert(
        x=x, y=y, settings=FAST
    )  # others of its block, of which it learns, are cut off
    xr.testing.assert_equal(alone, itslive.invert(cube.pairs_at(x=x, y=y), FAST))


def test_each_method_is_the_function_of_its_name(cube, dataset):
    x, y = float(cube.x[4]), float(cube.y[12])
    lon, lat = (float(at) for at in cube.lonlat_of(np.float64(x), np.float64(y)))
    pairs = cube.pairs_at(lon, lat)
    selection = itslive.PairSelection(max_span=60)
    xr.testing.assert_identical(
        dataset.itslive.gaussian_process(lon, lat), itslive.fit_gaussian_process(pairs)
    )
    xr.testing.assert_identical(
        dataset.itslive.season(lon, lat, selection=selection), itslive.fit_season(pairs, selection=selection)
    )
    assert len(dataset.itslive.pairs_at(x=x, y=y)) == len(pairs)
    window = slice(5, 90), slice(2, 3), slice(4, 9)
    own, stored = dataset.itslive.cube().components["vy"], cube.components["vy"]
    np.testing.assert_array_equal(own.read(window), stored.read(window))


@pytest.mark.parametrize("chunks", [{}, {"pair": 100, "y": 7, "x": 9}, None])
def test_a_lazy_area_is_the_job(cube, truth, chunks):
    ds = xr.open_dataset(truth.path, engine=ItsliveEngine)
    ds = ds if chunks is None else ds.chunk(chunks)
    selection = itslive.PairSelection(max_span=60)
    area = ds.itslive.invert(settings=FAST, selection=selection, season=True)
    assert area["v"].chunks is not None
    area = area.compute(scheduler="synchronous")
    job = itslive.run_glacier(cube, settings=FAST, selection=selection, whole=True, season=True, workers=1)
    compared = 0
    for result in job:
        own = result.dataset
        here = area.sel(x=own["x"], y=own["y"])
        for name in own.data_vars:
            np.testing.assert_array_equal(here[name], own[name], err_msg=str(name))
            compared += int(np.isfinite(own["v"]).sum())
    assert compared > 1000
    assert area.attrs["n_pairs_used"] == result.attributes["n_pairs_used"]
    season = ds.itslive.season(settings=FAST, selection=selection).compute(scheduler="synchronous")
    for name in season.data_vars:
        np.testing.assert_array_equal(season[name], area[name])


def test_a_lazy_gaussian_process_is_the_job(cube, dataset):
    settings = itslive.GaussianProcessSettings(interval=48.0)
    corner = dataset.isel(x=slice(20, 22), y=slice(10, 18))  # a whole block: its pixels share hyperparameters
    found = corner.itslive.gaussian_process(settings=settings, season=False)
    found = found.compute(scheduler="synchronous")
    job = itslive.run_glacier(cube, settings=settings, whole=True, season=False, workers=1)
    own = next(r.dataset for r in job if r.arrays["v"].shape[1:] == (8, 2))
    for name in own.data_vars:
        np.testing.assert_array_equal(found[name], own[name], err_msg=str(name))


def test_memory_holds_the_blocks_at_work(truth, dataset):
    """A cube of 64 blocks that is never there as a whole: arrays die as blocks are done."""
    alive, most, lock = 0, 0, threading.Lock()

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def values(name: str, block: np.ndarray) -> np.ndarray:
        nonlocal alive, most
        made = np.tile(getattr(truth, name)[:, :10, :10], (1, 1, 1)).astype(np.float32)
        with lock:
            alive += 1
            most = max(most, alive)
        weakref.finalize(made, gone)
        return made

    n = len(truth.start)
    axis = np.arange(80) * 120.0
    big = dataset.drop_vars(["vx", "vy", "x", "y"]).assign_coords(
        x=("x", truth.x[0] + axis), y=("y", truth.y[0] - axis)
    )
    for name in ("vx", "vy"):
        blank = dask.array.zeros((n, 80, 80), chunks=(n, 10, 10), dtype=np.float32)
        lazy = dask.array.map_blocks(lambda block, name=name: values(name, block), blank, dtype=np.float32)
        big[name] = (("pair", "y", "x"), lazy, dataset[name].attrs)
    area = big.itslive.invert(settings=FAST)
    most = alive = 0
    with dask.config.set(scheduler="threads", num_workers=2):
        v = area["v"].mean("time").compute()
    assert np.isfinite(v).all()
    assert most <= 16  # of 128; two arrays a block, two blocks at work, and those just read or done


def test_what_cannot_be_done_is_said(dataset):
    with pytest.raises(CubeError, match="no variable 'vx'"):
        xr.Dataset().itslive.pairs_at(0.0, 0.0)
    with pytest.raises(CubeError, match="expected \\(pair, y, x\\)"):
        dataset.isel(pair=0).itslive.pairs_at(0.0, 0.0)
    with pytest.raises(SettingsError, match="run_glacier"):
        dataset.itslive.invert(settings=itslive.InversionSettings(smoothing=10.0, spatial_smoothing=1.0))
