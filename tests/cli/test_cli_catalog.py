"""The shell finds the datacubes of an area by itself."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from itslive_core.cli import run
from itslive_core.places.boxes import box_polygon
from itslive_core.places.lookup import cubes_needed
from tests.joined_cubes import MIDDLE, Field, box_between, write_cut

QUICK = ["--smoothing", "10", "--interval", "48", "--no-robust", "--outliers", "none", "--learn", "pixel"]
OF_FILE = ["--outline", "outline.geojson"]
OUTLINE = box_between((-11.2, 10.3), (-5.1, 5.2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two cubes under the names of the two that the archive has here, and a catalog that says where."""
    west = write_cut(tmp_path / "west.zarr", Field(), 32646, (-12, 4))
    east = write_cut(tmp_path / "east.zarr", Field(), 32647, (-2, 16), (-8, 8))
    (tmp_path / "catalog.csv").write_text(
        "epsg,cx,cy,version,location\n"
        f"32646,750000,2850000,v2,{west}\n32647,250000,2850000,v2,{east}\n32647,850000,2850000,v2,none.zarr\n"
    )
    monkeypatch.setenv("ITSLIVE_CATALOG", str(tmp_path / "catalog.csv"))
    (tmp_path / "outline.geojson").write_text(json.dumps(shapely.geometry.mapping(OUTLINE)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_outline_is_enough(folder, capfd):
    assert run(["invert", *OF_FILE, "-o", "a.zarr", *QUICK]) == 0
    said = capfd.readouterr().err
    assert "2 datacubes of the catalog:" in said
    assert f"{folder / 'west.zarr'} (EPSG:32646)" in said
    assert "the result is on the lattice of" in said
    with xr.open_zarr("a.zarr") as found:
        assert set(np.unique(found["source"])) == {0, 1, 2}
        shares = {one: int((found["source"] == code).sum()) for code, one in ((1, "east"), (2, "west"))}
        assert found["source"].attrs["flag_meanings"] == "none east west"
        assert min(shares.values()) > 50
    assert run(["invert", "east.zarr", "west.zarr", *OF_FILE, "-o", "b.nc", *QUICK]) == 0
    with xr.open_zarr("a.zarr") as found, xr.open_dataset("b.nc") as named:
        np.testing.assert_array_equal(found["vx"], named["vx"])
    assert run(["invert", *OF_FILE, "-o", "a.zarr", *QUICK]) == 0
    assert "a.zarr is finished already" in capfd.readouterr().err


def test_so_is_a_box(folder, capfd):
    west, south, _, north = OUTLINE.bounds
    box = [str(value) for value in (west, south, MIDDLE[0] - 0.001, north)]
    assert run(["median", "--bbox", *box, "-o", "box.nc", "--quiet"]) == 0
    assert not capfd.readouterr().err
    with xr.open_dataset("box.nc") as found:
        assert "source" not in found, "one cube is enough"
        assert found.attrs["cube_url"] == str(folder / "west.zarr")


@pytest.mark.parametrize(
    "target", [["--lon", "96.1", "--lat", "26.1"], ["--whole"], ["--points", "outline.geojson"]]
)
def test_what_is_no_area_needs_a_cube(folder, capfd, target):
    out = "a.zarr" if target == ["--whole"] else "a.nc"
    assert run(["invert", *target, "-o", out]) == 2
    assert "Missing argument 'CUBE...'" in capfd.readouterr().err


def test_an_area_without_cubes_or_with_too_many_is_refused(folder, capfd, monkeypatch):
    assert run(["invert", "--bbox", "0", "40", "1", "41", "-o", "a.zarr"]) == 1
    assert "no cube covers" in capfd.readouterr().err
    monkeypatch.delenv("ITSLIVE_CATALOG")
    assert run(["invert", "--bbox", "-60", "60", "-20", "84", "-o", "a.zarr"]) == 2
    assert "more than 40: choose a smaller one" in capfd.readouterr().err


def test_cubes_of_another_zone_only_where_they_add(folder):
    both = cubes_needed(OUTLINE)
    assert [record.epsg for record in both.records] == [32646, 32647]
    assert both.share > 0.999
    inside = cubes_needed(box_between((-11.0, -1.0), (-5.0, 5.0)))
    assert [record.epsg for record in inside.records] == [32646]
    wide = cubes_needed(box_polygon((95.9, 26.1, 98.0, 26.15)))
    assert 0.4 < wide.share < 0.7, "no cube of this catalog lies in the east"


def test_many_points_of_two_zones_name_their_cubes(folder):
    lon, lat = MIDDLE
    (folder / "points.csv").write_text(f"name,lon,lat\nW,{lon - 0.005},{lat}\nE,{lon + 0.01},{lat}\n")
    points = ["west.zarr", "east.zarr", "--points", "points.csv", "--quiet"]
    for out in ("s.csv", "s.nc"):
        assert run(["invert", *points, "-o", out, *QUICK]) == 0
    urls = {name: str(folder / f"{one}.zarr") for name, one in (("W", "west"), ("E", "east"))}
    table = pd.read_csv("s.csv")
    assert table.columns[-1] == "cube_url"
    assert dict(zip(table["name"], table["cube_url"], strict=True)) == urls
    assert dict(zip(table["name"], table["epsg"], strict=True)) == {"W": 32646, "E": 32647}
    with xr.open_dataset("s.nc") as found:
        assert found["cube_url"].values.tolist() == list(urls.values())
    assert run(["pairs", *points, "-o", "pairs.csv"]) == 0
    table = pd.read_csv("pairs.csv")
    assert dict(zip(table["name"], table["cube_url"], strict=True)) == urls
    assert run(["rerun", "s.csv", "-o", "again.csv", "--quiet"]) == 0
    assert (folder / "again.csv").read_text() == (folder / "s.csv").read_text()
