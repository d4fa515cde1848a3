"""Areas on somebody's own grid: what is kept, how vectors turn, what is said of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.errors import SettingsError
from itslive_core.export import read_grid
from itslive_core.export.grids import Grid, Overlap
from tests.tiny_cube import write_cube

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def area(tmp_path_factory) -> Path:
    """A folder with a cube and its moving median at every pixel."""
    folder = tmp_path_factory.mktemp("area")
    write_cube(folder / "cube.zarr", empty=0.0)
    whole = ["--whole", "--interval", "120", "--window", "240", "-q"]
    assert run(["median", str(folder / "cube.zarr"), *whole, "-o", str(folder / "area.zarr")]) == 0
    return folder


def like(
    folder: Path, name: str, crs: int, left: float, top: float, step: float, shape: tuple[int, int]
) -> Path:
    """Write a raster whose grid is wanted."""
    path = folder / name
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": shape[0], "width": shape[1]}
    with rasterio.open(path, "w", crs=crs, transform=from_origin(left, top, step, step), **profile) as file:
        file.write(np.zeros((1, *shape), np.uint8))
    return path


def resampled(folder: Path, grid: Path, out: str) -> xr.Dataset:
    whole = ["--whole", "--interval", "120", "--window", "240", "-q", "--like", str(grid)]
    assert run(["median", str(folder / "cube.zarr"), *whole, "-o", str(folder / out)]) == 0
    engine = {"engine": "zarr"} if out.endswith(".zarr") else {}
    with xr.open_dataset(folder / out, chunks=None, **engine) as ds:
        return ds.load()


@pytest.mark.parametrize("out", ["coarse.nc", "coarse.zarr"])
def test_coarser_cells_keep_the_mean_and_no_error_shrinks(area, out):
    own = xr.open_zarr(area / "area.zarr", chunks=None).load()
    left, top = float(own["x"][0]) - 200.0, float(own["y"][0]) + 333.0
    grid = like(area, "coarse.tif", 32646, left, top, 500.0, (6, 6))
    ds = resampled(area, grid, out)
    assert (ds.sizes["y"], ds.sizes["x"]) == (6, 6)
    share = ds["area_fraction"].values
    for name in ("vx", "vy"):
        before = np.nansum(own[name].values.astype(float), axis=(1, 2)) * 120.0**2
        after = np.nansum(ds[name].values.astype(float) * share, axis=(1, 2)) * 500.0**2
        total = np.nansum(np.abs(own[name].values).astype(float), axis=(1, 2)) * 120.0**2
        assert (np.abs(after - before) <= 1e-6 * total).all()
    assert np.nanmax(share) <= 1.0 + 1e-6
    known = np.isfinite(ds["v"].values)
    assert np.nanmin(ds["vx_std"].values[known]) >= 0.999 * np.nanmin(own["vx_std"].values)
    np.testing.assert_allclose(ds["v"].values[known], np.hypot(ds["vx"], ds["vy"]).values[known], rtol=1e-6)
    assert "erred together" in ds.attrs["resampling"]
    assert run(["rerun", str(area / out), "-q"]) == 0


def test_finer_cells_take_the_series_of_the_nearest_pixel(area):
    own = xr.open_zarr(area / "area.zarr", chunks=None).load()
    left, top = float(own["x"][3]) - 60.0, float(own["y"][3]) + 60.0
    ds = resampled(area, like(area, "fine.tif", 32646, left, top, 40.0, (9, 9)), "fine.nc")
    for name in ("vx", "v_std", "n_pairs", "quality", "azimuth", "n_pairs_used"):
        pixels = own[name].isel(y=slice(3, 6), x=slice(3, 6)).values
        every = np.repeat(np.repeat(pixels, 3, axis=-1), 3, axis=-2)
        np.testing.assert_allclose(ds[name].values, every, rtol=1e-5, atol=1e-5, err_msg=name)
    assert "nearest pixel" in ds.attrs["resampling"]


@pytest.mark.parametrize("crs", [32647, 4326, 3995])
def test_on_another_map_vectors_turn_and_the_mean_stays(area, crs):
    own = xr.open_zarr(area / "area.zarr", chunks=None).load()
    to = pyproj.Transformer.from_crs(32646, crs, always_xy=True)
    x, y = np.meshgrid(own["x"], own["y"])
    at = to.transform(x, y)
    step = 0.01 if crs == 4326 else 700.0
    left, top = at[0].min() - 1.3 * step, at[1].max() + 1.7 * step
    shape = int((top - at[1].min()) / step) + 3, int((at[0].max() - left) / step) + 3
    out = f"turned{crs}.tif" if crs == 32647 else f"turned{crs}.nc"
    grid = like(area, f"grid{crs}.tif", crs, left, top, step, shape)
    if out.endswith(".tif"):
        resampled(area, grid, "turned.nc")
        ds = xr.open_dataset(area / "turned.nc").load()
        whole = ["--whole", "--interval", "120", "--window", "240", "-q", "--like", str(grid)]
        assert run(["median", str(area / "cube.zarr"), *whole, "-o", str(area / out)]) == 0
        with rasterio.open(area / out) as file, rasterio.open(grid) as wanted:
            assert file.crs == wanted.crs
            assert file.transform.almost_equals(wanted.transform, 1e-6)
            np.testing.assert_array_equal(file.read(), ds["v"].values)
    else:
        ds = resampled(area, grid, out)
    share = ds["area_fraction"].values.astype(float)
    pixels, cells = np.isfinite(own["v"].values), np.isfinite(ds["v"].values)
    # What the map shows of true directions: every pixel flows where it flows, whatever the axes.
    mean = [np.sin(np.radians(own["azimuth"].values[pixels])).mean()]
    mean.append(np.average(np.sin(np.radians(ds["azimuth"].values[cells])), weights=share[cells]))
    assert mean[1] == pytest.approx(mean[0], abs=0.02)
    speed = [own["v"].values[pixels].mean(), np.average(ds["v"].values[cells], weights=share[cells])]
    assert speed[1] == pytest.approx(speed[0], rel=0.02)
    assert 0.9 < np.nanmax(share) < 1.1


def test_shares_of_pixels_sum_to_one_where_the_grid_holds_them():
    wkt = pyproj.CRS.from_epsg(32646).to_wkt()
    source, grid = (
        Grid(wkt, (60.0, 120.0, 20), (0.0, -120.0, 11)),
        Grid(wkt, (-100.0, 333.0, 9), (-1500.0, 401.0, 6)),
    )
    overlap = Overlap.of(source, grid)
    assert overlap.rule == "conservative"
    np.testing.assert_allclose(overlap.matrix.sum(axis=0), 1.0, rtol=1e-12)
    other = Overlap.of(source, Grid(pyproj.CRS.from_epsg(32647).to_wkt(), *_around(source, 32647)))
    np.testing.assert_allclose(other.matrix.sum(axis=0), 1.0, rtol=1e-12)


def _around(source: Grid, epsg: int) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
    to = pyproj.Transformer.from_crs(32646, epsg, always_xy=True)
    x, y = to.transform(*np.meshgrid(source.columns, source.rows))
    return (x.min() - 400.0, 400.0, 30), (y.max() + 400.0, -400.0, 30)


def test_grids_that_cannot_be_are_refused_with_words(area, tmp_path, capfd):
    with pytest.raises(SettingsError, match="does not exist"):
        read_grid(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_grid(tmp_path / "text.tif")
    xr.Dataset({"a": ("x", [1.0, 2.0])}, coords={"x": [0.0, 1.0]}).to_netcdf(tmp_path / "line.nc")
    with pytest.raises(SettingsError, match="no axes x and y"):
        read_grid(tmp_path / "line.nc")
    uneven = {"lon": [0.0, 1.0, 3.0], "lat": [0.0, 1.0, 2.0]}
    xr.Dataset({"a": (("lat", "lon"), np.zeros((3, 3)))}, coords=uneven).to_netcdf(tmp_path / "uneven.nc")
    with pytest.raises(SettingsError, match=r"axis lon .* is not regular"):
        read_grid(tmp_path / "uneven.nc")
    far = like(tmp_path, "far.tif", 32646, 9e5, 1e6, 500.0, (3, 3))
    command = ["median", str(area / "cube.zarr"), "--whole", "--interval", "120", "-q", "--like", str(far)]
    assert run([*command, "-o", str(tmp_path / "out.nc")]) == 2
    assert "does not lie on the area" in capfd.readouterr().err
    cube = itslive.open_cube(area / "cube.zarr")
    point = ["--x", str(cube.x[1]), "--y", str(cube.y[1]), "--like", str(far)]
    assert run(["median", str(area / "cube.zarr"), *point, "-o", str(tmp_path / "out.nc")]) == 2
    assert "--like is for an area" in capfd.readouterr().err
