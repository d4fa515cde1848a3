"""A map projection that has no EPSG code is kept in every file that is written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
import zarr
from pyproj import CRS

import itslive_core as itslive
from itslive_core.cli import run
from tests.reading import write_arrays

PROJECTIONS = {
    "equal area": "+proj=laea +lat_0=29.9 +lon_0=95.9 +x_0=700000 +y_0=3400000 +datum=WGS84 +units=m",
    "local Mercator": "+proj=tmerc +lat_0=30.7 +lon_0=95.2 +k=0.9996 +x_0=700000 +y_0=3400000 +datum=WGS84",
}
QUICK = ["--smoothing", "10", "--interval", "48", "--no-robust", "--outliers", "none", "--quiet"]
PLACE = ["--x", "700172", "--y", "3399830"]


@pytest.fixture(params=PROJECTIONS)
def made(request, tmp_path) -> tuple[str, CRS]:
    crs = CRS.from_user_input(PROJECTIONS[request.param])
    vx = np.full((8, 2, 3), 40, dtype=np.int16)
    path = write_arrays(tmp_path / "c.zarr", vx, vx)
    group = zarr.open_group(path, mode="r+")
    del group.attrs["projection"]
    group.create_array("mapping", shape=(), dtype="i4").attrs.update(
        {"crs_wkt": crs.to_wkt(), "_ARRAY_DIMENSIONS": []}
    )
    group["vx"].attrs["grid_mapping"] = "mapping"
    return str(path), crs


def same(wkt: str, crs: CRS) -> bool:
    return CRS.from_wkt(wkt).equals(crs, ignore_axis_order=True)


def test_the_cube_has_no_code_and_says_its_name(made):
    cube = itslive.open_cube(made[0])
    assert cube.epsg == 0
    assert cube.crs.equals(made[1])
    assert made[1].name in repr(cube)


def test_a_series_keeps_it(made, tmp_path):
    path, crs = made
    for name in ("s.nc", "s.csv"):
        assert run(["invert", path, *PLACE, "-o", str(tmp_path / name), *QUICK]) == 0
    with xr.open_dataset(tmp_path / "s.nc") as ds:
        assert same(ds["mapping"].attrs["crs_wkt"], crs)
        assert ds["v"].attrs.get("grid_mapping", ds["v"].encoding.get("grid_mapping")) == "mapping"
        assert ds["azimuth"].notnull().any()
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["epsg"].isna().all()
    assert same(table["crs"][0], crs)


def test_pairs_keep_it(made, tmp_path):
    path, crs = made
    assert run(["pairs", path, *PLACE, "-o", str(tmp_path / "p.csv"), "--quiet"]) == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert table["epsg"].isna().all()
    assert same(table["crs"][0], crs)


def test_an_area_keeps_it(made, tmp_path):
    path, crs = made
    for name in ("a.zarr", "a.tif"):
        assert run(["invert", path, "--whole", "-o", str(tmp_path / name), *QUICK]) == 0
    with xr.open_zarr(tmp_path / "a.zarr", consolidated=True, decode_coords=False) as ds:
        assert same(ds["mapping"].attrs["crs_wkt"], crs)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert same(file.crs.to_wkt(), crs) or CRS.from_wkt(file.crs.to_wkt()).to_dict() == crs.to_dict()


def test_with_a_code_tables_have_their_old_columns(tmp_path):
    vx = np.full((8, 2, 3), 40, dtype=np.int16)
    path = str(write_arrays(tmp_path / "c.zarr", vx, vx))
    assert run(["pairs", path, *PLACE, "-o", str(tmp_path / "p.csv"), "--quiet"]) == 0
    assert "crs" not in pd.read_csv(tmp_path / "p.csv")
