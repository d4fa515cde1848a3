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


def test_many_points_keep_it(made, tmp_path):
    path, crs = made
    (tmp_path / "points.csv").write_text("name,x,y\nA,700172,3399830\nB,700052,3399830\n")
    points = ["--points", str(tmp_path / "points.csv")]
    for name in ("s.nc", "s.csv"):
        assert run(["invert", path, *points, "-o", str(tmp_path / name), *QUICK]) == 0
    with xr.open_dataset(tmp_path / "s.nc") as ds:
        assert ds.sizes["station"] == 2
        assert same(ds["mapping"].attrs["crs_wkt"], crs)
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["epsg"].isna().all()
    assert all(same(wkt, crs) for wkt in table["crs"])


def test_a_profile_and_an_area_as_netcdf_keep_it(made, tmp_path):
    path, crs = made
    cube = itslive.open_cube(path)
    lon, lat = cube.lonlat_of(cube.x[[0, -1]], cube.y[[0, 0]])
    found = itslive.profile(cube, np.stack([lon, lat], axis=1), itslive.InversionSettings(smoothing=10.0))
    assert same(found["mapping"].attrs["crs_wkt"], crs)
    assert run(["invert", path, "--whole", "-o", str(tmp_path / "a.nc"), *QUICK]) == 0
    with xr.open_dataset(tmp_path / "a.nc", decode_coords=False) as ds:
        assert same(ds["mapping"].attrs["crs_wkt"], crs)
    itslive.rerun(tmp_path / "a.nc", tmp_path / "b.nc")
    with xr.open_dataset(tmp_path / "a.nc") as first, xr.open_dataset(tmp_path / "b.nc") as second:
        np.testing.assert_array_equal(first["v"], second["v"])


def test_a_table_of_points_on_cubes_with_and_without_a_code(made, tmp_path):
    path, crs = made
    vx = np.full((8, 2, 3), 40, dtype=np.int16)
    coded = write_arrays(tmp_path / "coded.zarr", vx, vx)
    found = []
    for cube in (itslive.open_cube(path), itslive.open_cube(coded)):
        pixel = cube.pixel(0, 1)
        found.append(f"{pixel.lon},{pixel.lat}")
    (tmp_path / "points.csv").write_text("lon,lat\n" + "\n".join(found))
    out = tmp_path / "p.csv"
    options = ["--points", str(tmp_path / "points.csv"), "-o", str(out), "--quiet"]
    assert run(["pairs", path, str(coded), *options]) == 0
    table = pd.read_csv(out)
    with_code = table["epsg"].notna()
    assert with_code.any()
    assert not with_code.all()
    assert table["crs"][with_code].isna().all()
    assert all(same(wkt, crs) for wkt in table["crs"][~with_code])
    assert table["y [m]"].notna().all()


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
