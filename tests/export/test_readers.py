"""Every kind of file as others read it: CF conventions, xarray, rioxarray, GDAL, h5py; and as a figure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import itslive_core as itslive
from itslive_core.cli import run
from tests.tiny_cube import write_cube

MEDIAN = ["--interval", "60", "--window", "180", "-q"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a file of each kind, all of one cube."""
    folder = tmp_path_factory.mktemp("kinds")
    cube = write_cube(folder / "cube.zarr", empty=0.0)
    opened = itslive.open_cube(cube.path)
    pixels = [opened.pixel(*at) for at in ((1, 1), (8, 11))]
    (folder / "places.csv").write_text("\n".join(["name,lon,lat", *(f"P,{p.lon},{p.lat}" for p in pixels)]))
    ends = [[p.lon, p.lat] for p in pixels]
    line = {"type": "LineString", "coordinates": ends}
    (folder / "line.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": line}))
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 5, "width": 5, "crs": 32646}
    corner = float(cube.x[0]) - 60.0, float(np.max(cube.y)) + 60.0
    with rasterio.open(
        folder / "grid.tif",
        "w",
        transform=rasterio.Affine(400.0, 0, corner[0], 0, -400.0, corner[1]),
        **profile,
    ) as file:
        file.write(np.zeros((1, 5, 5), np.uint8))
    point, many = ["--x", str(cube.x[1]), "--y", str(cube.y[1])], ["--points", str(folder / "places.csv")]
    source, like = str(cube.path), ["--like", str(folder / "grid.tif")]
    commands = {
        "point.nc": ["median", source, *point, *MEDIAN],
        "gp.nc": ["gp", source, *point, "--interval", "60", "--no-season", "-q"],
        "months.nc": ["median", source, *point, *MEDIAN, "--means", "month"],
        "stations.nc": ["median", source, *many, *MEDIAN],
        "stations.csv": ["median", source, *many, *MEDIAN],
        "profile.nc": ["profile", source, "--line", str(folder / "line.geojson"), "--smoothing", "30", "-q"],
        "area.nc": ["median", source, "--whole", *MEDIAN],
        "years.nc": ["median", source, "--whole", *MEDIAN, "--means", "year"],
        "like.nc": ["median", source, "--whole", *MEDIAN, *like],
        "area.tif": ["median", source, "--whole", *MEDIAN],
    }
    for name, command in commands.items():
        assert run([*command, "-o", str(folder / name)]) == 0, name
    return folder


def test_netcdf_of_every_kind_follows_the_cf_conventions(made, tmp_path):
    checker = shutil.which("compliance-checker", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("compliance-checker is not installed: pip install compliance-checker")
    files, report = sorted(made.glob("*.nc")), tmp_path / "report.json"
    command = [checker, "--test=cf:1.8", "--format=json_new", f"--output={report}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert report.exists(), done.stderr
    found = json.loads(report.read_text("utf-8"))
    assert len(found) == len(files)
    messages = {
        Path(name).name: [text for check in of["cf:1.8"]["all_priorities"] for text in check["msgs"]]
        for name, of in found.items()
    }
    assert {name: texts for name, texts in messages.items() if texts} == {}


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray
def test_independent_readers_agree(made):
    h5py, rioxarray = pytest.importorskip("h5py"), pytest.importorskip("rioxarray")
    with xr.open_dataset(made / "area.nc") as ds, rasterio.open(made / "area.tif") as raster:
        values = ds["v"].values
        assert np.isfinite(values).any()
        np.testing.assert_array_equal(raster.read(), values)
        with h5py.File(made / "area.nc") as raw:
            np.testing.assert_array_equal(raw["v"][...], values)
            assert raw["v"].attrs["units"] == b"m/yr" or raw["v"].attrs["units"] == "m/yr"
        assert ds.rio.write_crs(ds["mapping"].attrs["crs_wkt"]).rio.crs.to_epsg() == 32646
        assert ds["v"].rio.transform().almost_equals(raster.transform, 1e-6)
        with rioxarray.open_rasterio(made / "area.tif", masked=True) as other:
            np.testing.assert_array_equal(other.values, values)
            assert other.rio.crs.to_epsg() == 32646
        with rasterio.open(f"netcdf:{made / 'area.nc'}:v") as seen:  # GDAL's own reader
            assert seen.crs.to_epsg() == 32646
            assert seen.transform.almost_equals(raster.transform, 1e-6)
            np.testing.assert_array_equal(seen.read(), values)


@pytest.mark.parametrize(
    "name", ["point.nc", "stations.nc", "stations.csv", "profile.nc", "area.nc", "like.nc"]
)
def test_figures_have_a_caption_and_what_to_cite(made, tmp_path, name):
    pytest.importorskip("matplotlib")
    one, again = tmp_path / "one.svg", tmp_path / "again.svg"
    for path in (one, again):
        assert run(["plot", str(made / name), "-o", str(path), "-q"]) == 0
    text = " ".join("".join(ET.fromstring(one.read_text("utf-8")).itertext()).split())
    assert "Gardner" in text
    assert "doi:10.5194/tc-19-3517-2025" in text
    assert one.read_bytes() == again.read_bytes()
    assert run(["plot", str(made / name), "--variable", "vx", "-o", str(tmp_path / "one.png"), "-q"]) == 0
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"


def test_figures_that_cannot_be_are_refused_in_a_sentence(made, tmp_path, capfd):
    for arguments, words in (
        (["point.nc", "--variable", "speed"], "no 'speed' in the file: choose from"),
        (["stations.nc", "--station", "Z"], "no station 'Z': choose from P, P (2)"),
        (["area.nc", "--date", "soon"], "'soon' is no date"),
        (["area.nc", "--date", "1900-01-01"], "no cell holds 1900-01-01"),
        (["places.csv"], "no column time"),
        (["none.nc"], "does not exist"),
    ):
        out = tmp_path / "figure.png"
        assert run(["plot", str(made / arguments[0]), *arguments[1:], "-o", str(out)]) in (1, 2)
        stderr = capfd.readouterr().err
        assert words in stderr, stderr
        assert len(stderr.splitlines()) <= 2
        assert not out.exists()
