"""Files of results: their contracts, their round trips, and what happens when they cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import xarray as xr

from itslive_core.errors import OutputError
from itslive_core.export import check_output, series_table, write_area, write_pairs, write_series
from itslive_core.observations.pairs import ImagePairs

WKT = pyproj.CRS.from_epsg(32646).to_wkt()
VELOCITIES = ("vx", "vy", "v", "vx_std", "vy_std", "v_std")
SERIES_HEADER = (
    "time,time_start,time_end,vx [m/yr],vy [m/yr],v [m/yr],vx_std [m/yr],vy_std [m/yr],v_std [m/yr],n_pairs,"
    "coverage,epsg,x [m],y [m],v_lower [m/yr],v_upper [m/yr],azimuth [degree],azimuth_std [degree],quality"
)
PAIRS_HEADER = (
    "start,end,span [d],vx [m/yr],vy [m/yr],v [m/yr],vx_error [m/yr],vy_error [m/yr],mission,satellite_1,"
    "satellite_2,epsg,x [m],y [m]"
)


def cells(n: int, interval: float = 12.0) -> dict:
    """Coordinates of n cells: centres and bounds."""
    edges = (
        np.rint((np.arange(n + 1) + 1400) * interval * 86_400_000).astype("int64").astype("datetime64[ms]")
    )
    edges = edges.astype("datetime64[ns]")
    return {
        "time": ("time", edges[:-1] + (edges[1:] - edges[:-1]) // 2, {"standard_name": "time", "axis": "T"}),
        "time_bnds": (("time", "bnds"), np.column_stack([edges[:-1], edges[1:]])),
    }


def grid_mapping() -> tuple:
    return ((), 0, {**pyproj.CRS.from_wkt(WKT).to_cf()})


def make_series(n: int = 9, interval: float = 12.0) -> xr.Dataset:
    """A series as the contract describes it, with a gap."""
    rng = np.random.default_rng(3)
    attrs = {"units": "m year-1", "grid_mapping": "mapping"}
    data = {name: ("time", 100 * rng.random(n), attrs | {"long_name": name}) for name in VELOCITIES}
    for _, values, _ in data.values():
        values[4] = np.nan
    coords = cells(n, interval)
    bounds = coords.pop("time_bnds")
    n_pairs = np.where(np.arange(n) == 4, 0, 7)
    return xr.Dataset(
        {
            "time_bnds": bounds,
            **data,
            "n_pairs": ("time", n_pairs, {"long_name": "number of image pairs", "units": "1"}),
            "coverage": ("time", (n_pairs > 0) * 1.0, {"long_name": "coverage", "units": "1"}),
            "mapping": grid_mapping(),
        },
        coords={
            **coords,
            "x": ((), 466_042.5, {"standard_name": "projection_x_coordinate", "units": "m"}),
            "y": ((), 3_312_187.5, {"standard_name": "projection_y_coordinate", "units": "m"}),
        },
        attrs={
            "Conventions": "CF-1.8",
            "title": "Glacier velocity",
            "institution": "none",
            "source": "ITS_LIVE",
            "history": "made by a test",
            "references": "none",
            "comment": "none",
            "robust": True,
            "reason": None,
            "smoothing_used": 12.5,
            "settings": json.dumps({"smoothing": "auto"}),
        },
    )


def make_area(n: int = 5, n_rows: int = 70, n_columns: int = 130, *, ascending: bool = False) -> xr.Dataset:
    rng = np.random.default_rng(4)
    coords = cells(n)
    bounds = coords.pop("time_bnds")
    y = 3_312_187.5 - 120.0 * np.arange(n_rows)
    values = rng.random((n, n_rows, n_columns), dtype=np.float32)
    values[:, 0, 0] = np.nan
    area = xr.Dataset(
        {
            "time_bnds": bounds,
            "v": (("time", "y", "x"), values, {"units": "m year-1", "grid_mapping": "mapping"}),
            "mapping": grid_mapping(),
        },
        coords={**coords, "y": y, "x": 466_042.5 + 120.0 * np.arange(n_columns)},
        attrs={"smoothing_used": 12.5, "cubes": ["a", "b"], "robust": True, "title": "Glacier velocity"},
    )
    return area.isel(y=slice(None, None, -1)) if ascending else area


@pytest.fixture
def pairs() -> ImagePairs:
    start = np.array([19_000.0, 19_010.5, 19_020.25])
    return ImagePairs.from_arrays(
        start,
        start + np.array([12.0, 24.0001, 366.0]),
        [1.0, 2.0, 3.5],
        [0.0, -1.0, np.pi],
        vx_error=[1.0, np.nan, 2.0],
        vy_error=[1.0, 1.0, 1.0],
        satellite_1=["1A", "2A", "8"],
        satellite_2=["1B", "2B", "9"],
        x=466_042.5,
        y=3_312_187.5,
        epsg=32646,
    )


def test_csv_of_a_series_keeps_its_contract(tmp_path):
    ds = make_series()
    path = write_series(ds, tmp_path / "series.csv")
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == SERIES_HEADER
    assert len(lines) == 1 + ds.sizes["time"]
    table = pd.read_csv(path, parse_dates=["time", "time_start", "time_end"])
    assert (table["time"].to_numpy() == ds["time"].values).all()
    assert (table["time_end"].to_numpy() == ds["time_bnds"].values[:, 1]).all()
    for name in VELOCITIES:
        np.testing.assert_allclose(table[f"{name} [m/yr]"], ds[name], rtol=1e-9)
    assert table["n_pairs"].tolist() == ds["n_pairs"].values.tolist()
    assert set(table["epsg"]) == {32646}
    assert set(table["x [m]"]) == {466_042.5}
    assert lines[5].split(",")[3:9] == [""] * 6


def test_csv_of_a_series_without_a_place_leaves_it_empty(tmp_path):
    ds = make_series().drop_vars(["x", "y", "mapping"])
    path = write_series(ds, tmp_path / "series.csv")
    assert path.read_text("utf-8").splitlines()[1].endswith(",,,")


def test_dates_of_short_cells_keep_their_time_of_day(tmp_path):
    table = series_table(make_series(interval=0.7))
    assert table["time"].str.len().nunique() == 1
    assert (pd.to_datetime(table["time"]).diff().dropna() == pd.Timedelta("16:48:00")).all()


def test_csv_of_pairs_keeps_its_contract(tmp_path, pairs):
    path = write_pairs(pairs, tmp_path / "pairs.csv")
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == PAIRS_HEADER
    table = pd.read_csv(path, parse_dates=["start", "end"])
    assert (table["start"].to_numpy() == pairs.start_date).all()
    np.testing.assert_allclose(table["span [d]"], pairs.span, rtol=1e-9)
    np.testing.assert_allclose(table["vy [m/yr]"], pairs.vy, rtol=1e-9)
    assert table["mission"].tolist() == ["S1", "S2", "L8_9"]
    assert table["satellite_2"].astype(str).tolist() == ["1B", "2B", "9"]
    assert np.isnan(table["vx_error [m/yr]"][1])


def test_netcdf_of_a_series_comes_back(tmp_path):
    ds = make_series()
    path = write_series(ds, tmp_path / "series.nc")
    with xr.open_dataset(path) as back:
        xr.testing.assert_allclose(back[list(VELOCITIES)], ds[list(VELOCITIES)], rtol=0)
        assert (back["time"].values == ds["time"].values).all()
        assert (back["time_bnds"].values == ds["time_bnds"].values).all()
        assert back["n_pairs"].dtype.kind == "i"
        assert back.attrs["smoothing_used"] == 12.5
        assert back.attrs["robust"] == "true"
        assert "reason" not in back.attrs
        assert pyproj.CRS.from_cf(back["mapping"].attrs).to_epsg() == 32646


def test_a_series_read_back_can_be_written_again(tmp_path):
    first = write_series(make_series(), tmp_path / "first.nc")
    with xr.open_dataset(first) as back:
        second = write_series(back, tmp_path / "second.nc")
        table = series_table(back)
    assert set(table["epsg"]) == {32646}
    with xr.open_dataset(first) as a, xr.open_dataset(second) as b:
        xr.testing.assert_identical(a, b)


def test_netcdf_follows_the_cf_conventions(tmp_path):
    path = write_series(make_series(), tmp_path / "series.nc")
    report = tmp_path / "report.json"
    checker = Path(sys.executable).with_name("compliance-checker")
    command = [checker, "--test=cf:1.8", "--format=json", f"--output={report}", path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert report.exists(), run.stderr
    result = json.loads(report.read_text("utf-8"))["cf:1.8"]
    messages = [message for check in result["all_priorities"] for message in check["msgs"]]
    assert not messages


@pytest.mark.parametrize("ascending", [False, True])
def test_geotiff_has_a_band_for_every_date(tmp_path, ascending):
    area = make_area(ascending=ascending)
    path = write_area(area, tmp_path / "area.tif")
    with rasterio.open(path) as file:
        assert file.count == area.sizes["time"]
        assert set(file.dtypes) == {"float32"}
        assert np.isnan(file.nodata)
        assert file.crs.to_epsg() == 32646
        assert file.descriptions == tuple(str(t)[:10] for t in area["time"].values)
        assert file.profile["tiled"]
        assert file.compression.name == "deflate"
        assert file.tags()["smoothing_used"] == "12.5"
        assert file.tags()["robust"] == "true"
        assert file.tags(1)["time_start"] == str(area["time_bnds"].values[0, 0])[:19]
        north_up = area["v"].sortby("y", ascending=False)
        np.testing.assert_array_equal(file.read(), north_up.values)
        x, y = file.xy(3, 7)
        assert (x, y) == (float(north_up.x[7]), float(north_up.y[3]))


def test_geotiff_is_written_in_pieces_of_bounded_size(tmp_path, monkeypatch):
    area = make_area()
    whole = write_area(area, tmp_path / "whole.tif")
    monkeypatch.setattr("itslive_core.export.pieces._BYTES_AT_A_TIME", 1)
    pieces = write_area(area, tmp_path / "pieces.tif")
    with rasterio.open(whole) as a, rasterio.open(pieces) as b:
        np.testing.assert_array_equal(a.read(), b.read())


def test_geotiff_of_a_zarr_store(tmp_path):
    area = make_area()
    area.to_zarr(tmp_path / "area.zarr", zarr_format=2, consolidated=True)
    path = write_area(tmp_path / "area.zarr", tmp_path / "area.tif")
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32646
        np.testing.assert_array_equal(file.read(), area["v"].values)


def test_geotiff_of_one_pixel(tmp_path):
    area = make_area().isel(x=[3], y=[5])
    path = write_area(area, tmp_path / "pixel.tif")
    with rasterio.open(path) as file:
        assert file.res == (120.0, 120.0)
        assert file.xy(0, 0) == (float(area.x[0]), float(area.y[0]))


@pytest.mark.parametrize(
    ("area", "words"),
    [(make_area().isel(time=slice(0)), "no time step"), (make_area().drop_vars("v"), "no 'v'")],
    ids=["empty", "without the variable"],
)
def test_an_area_without_anything_to_write_is_refused(tmp_path, area, words):
    with pytest.raises(OutputError, match=words):
        write_area(area, tmp_path / "area.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("series.xlsx", "end its name in .nc or .csv"),
        ("series", "end its name in"),
        ("missing/series.nc", "'missing' is missing|missing' is missing, make it first"),
        ("folder.nc", "it is a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused_at_once(tmp_path, name, words):
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(OutputError, match=words):
        check_output(tmp_path / name, (".nc", ".csv"))


def test_a_read_only_place_is_refused_at_once():
    with pytest.raises(OutputError, match="choose a folder with free space and write permission"):
        check_output("/proc/series.csv", (".csv",))


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "area.zarr").write_text("x")
    with pytest.raises(OutputError, match="it is a file and no Zarr store"):
        check_output(tmp_path / "area.zarr", (".zarr",))


@pytest.mark.parametrize("suffix", [".csv", ".nc"])
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"series{suffix}"
    path.write_text("precious")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_series(make_series(), path)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_series_of_an_area_is_no_series_of_a_point(tmp_path):
    with pytest.raises(ValueError, match="one point"):
        write_series(make_area(), tmp_path / "series.nc")
