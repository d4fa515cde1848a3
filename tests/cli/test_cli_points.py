"""Many points in one call: every command at a table of points, bad lines, and what ends up in the file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.export import PAIRS_COLUMNS, SEASON_COLUMNS, SERIES_COLUMNS

TRUNK, UPSTREAM, SLOW = (DEMO_POINTS[name] for name in ("trunk", "upstream", "slow"))
QUICK = ["--start", "2016", "--end", "2019", "--no-robust", "--smoothing", "10"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with the two tiles of the demo and tables of points."""
    for name, target in zip(("demo.zarr", "demo_east.zarr"), demo_path().cubes):
        (tmp_path / name).symlink_to(target)
    good = f"Station;Lon (°);Latitude\nUp;{UPSTREAM.lon};{UPSTREAM.lat}\nTrunk;{TRUNK.lon};{TRUNK.lat}\n"
    (tmp_path / "good.csv").write_text(good.replace(".", ","), "utf-8-sig")
    bad = f"lon,lat,name\n{TRUNK.lon},{TRUNK.lat},=1+1\nwest,69,Camp\n7,46,Alps\n{SLOW.lon},{SLOW.lat},\n,,\n"
    (tmp_path / "bad.csv").write_text(bad)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_series_at_each_point_is_that_of_the_point_alone(folder, capfd):
    both = ["demo.zarr", "demo_east.zarr"]
    assert run(["invert", *both, "--points", "good.csv", *QUICK, "-o", "out.csv"]) == 0
    assert "Wrote 2 points" in capfd.readouterr().err
    table = pd.read_csv("out.csv")
    assert tuple(table.columns) == ("name", "lon", "lat", *SERIES_COLUMNS)
    assert list(dict.fromkeys(table["name"])) == ["Up", "Trunk"]
    for name, point in (("Up", UPSTREAM), ("Trunk", TRUNK)):
        place = ["--lon", str(point.lon), "--lat", str(point.lat)]
        assert run(["invert", *both, *place, *QUICK, "--quiet", "-o", "alone.csv"]) == 0
        own = table[table["name"] == name].reset_index(drop=True)
        assert set(own["lon"]) == {point.lon}
        pd.testing.assert_frame_equal(own[list(SERIES_COLUMNS)], pd.read_csv("alone.csv"))


def test_netcdf_has_a_row_for_each_station(folder):
    points = ["--points", "good.csv", *QUICK, "--quiet"]
    assert run(["invert", "demo.zarr", "demo_east.zarr", *points, "-o", "out.nc"]) == 0
    assert run(["invert", "demo.zarr", "demo_east.zarr", *points, "-o", "out.csv"]) == 0
    table = pd.read_csv("out.csv", parse_dates=["time"])
    with xr.open_dataset("out.nc") as ds:
        assert ds["v"].dims == ("station", "time")
        assert ds.attrs["featureType"] == "timeSeries"
        assert ds["station_name"].attrs["cf_role"] == "timeseries_id"
        assert ds["station_name"].values.tolist() == ["Up", "Trunk"]
        np.testing.assert_allclose(ds["lat"], [UPSTREAM.lat, TRUNK.lat])
        for row, name in enumerate(("Up", "Trunk")):
            own = table[table["name"] == name].set_index("time")
            here = ds.isel(station=row).sel(time=own.index.to_numpy())
            np.testing.assert_allclose(here["v"], own["v [m/yr]"], rtol=1e-9)
            np.testing.assert_array_equal(here["n_pairs"], own["n_pairs"])
            assert float(here["x"]) == own["x [m]"].iloc[0]
            assert int(ds["n_pairs"].isel(station=row).sum()) == own["n_pairs"].sum()
        assert ds["mapping"].attrs["spatial_epsg"] == 3413


def test_bad_lines_are_named_and_the_rest_is_done(folder, capfd):
    assert run(["invert", "demo.zarr", "--points", "bad.csv", *QUICK, "--quiet", "-o", "out.csv"]) == 3
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert len(stderr.splitlines()) <= 3
    for words in ("3 of 5 points failed", "line 3 (Camp): its lon 'west'", "line 4 (Alps): lon 7", "line 6"):
        assert words in stderr
    table = pd.read_csv("out.csv", dtype={"name": str})
    assert list(dict.fromkeys(table["name"])) == ["'=1+1", "4"]  # no formula; its number instead of no name


@pytest.mark.parametrize("out", ["out.csv", "out.nc"])
def test_nothing_is_written_where_no_point_has_a_result(folder, capfd, out):
    Path("alps.csv").write_text("lon,lat\n7,46\n8,47\n")
    assert run(["invert", "demo.zarr", "--points", "alps.csv", *QUICK, "-o", out]) == 1
    assert "none of the 2 points has a result, the first because: line 2 (1): lon 7" in capfd.readouterr().err
    assert not Path(out).exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has no columns lon and lat"),
        ("lon,lat\n", "there are none"),
        ("\0\0", "is no text"),
        ('"lon,lat\n1,2', "quotation mark"),
    ],
)
def test_tables_that_are_none(folder, capfd, text, words):
    Path("table.csv").write_text(text)
    assert run(["pairs", "demo.zarr", "--points", "table.csv", "-o", "out.csv"]) == 1
    stderr = capfd.readouterr().err
    assert words in stderr
    assert "Traceback" not in stderr
    assert not Path("out.csv").exists()


def test_a_table_that_is_missing_and_two_targets(folder, capfd):
    assert run(["invert", "demo.zarr", "--points", "no.csv", "-o", "out.csv"]) == 1
    assert "no.csv" in capfd.readouterr().err
    point = ["--lon", "7", "--lat", "46"]
    for command in ("invert", "pairs", "season"):
        assert run([command, "demo.zarr", "--points", "good.csv", *point, "-o", "out.csv"]) == 2
    assert run(["invert", "demo.zarr", "--points", "good.csv", "-o", "out.zarr"]) == 2
    assert ".nc or .csv" in capfd.readouterr().err


def test_pairs_and_seasons_of_many_points(folder):
    both = ["demo.zarr", "demo_east.zarr", "--points", "good.csv", "--quiet"]
    assert run(["pairs", *both, "--mission", "S1", "-o", "pairs.csv"]) == 0
    table = pd.read_csv("pairs.csv")
    assert tuple(table.columns) == ("name", "lon", "lat", *PAIRS_COLUMNS)
    expected = itslive.open_cube("demo.zarr").pairs_at(TRUNK.lon, TRUNK.lat).select(mission="S1")
    np.testing.assert_allclose(table["vx [m/yr]"][table["name"] == "Trunk"], expected.vx, rtol=1e-9)
    assert run(["season", *both, "-o", "seasons.csv"]) == 0
    table = pd.read_csv("seasons.csv")
    assert tuple(table.columns) == ("name", "lon", "lat", *SEASON_COLUMNS)
    assert table["year"].tolist().count("all") == 2
    assert run(["season", *both]) == 2


@pytest.mark.parametrize("command", ["gp", "median"])
def test_other_estimators(folder, command):
    recent = ["--start", "2018", "--quiet"]
    assert run([command, "demo.zarr", "demo_east.zarr", "--points", "good.csv", *recent, "-o", "out.nc"]) == 0
    with xr.open_dataset("out.nc") as ds:
        assert np.isfinite(ds["v"]).any("time").all()
        assert ds.attrs["method"] in ("gaussian_process", "moving_median")


def test_standard_output(folder, capfd):
    place = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]
    for more in (place, ["--points", "good.csv"]):
        cubes = ["demo.zarr", "demo_east.zarr"]
        assert run(["invert", *cubes, *more, *QUICK, "--quiet", "-o", "out.csv"]) == 0
        assert run(["invert", *cubes, *more, *QUICK, "--quiet", "-o", "-"]) == 0
        stdout, stderr = capfd.readouterr()
        assert stdout == Path("out.csv").read_text("utf-8")
        assert stderr == ""
    assert run(["invert", "demo.zarr", "--bbox", "-50.13", "69.31", "-50.12", "69.3135", "-o", "-"]) == 2
    assert "to a file" in capfd.readouterr().err


def test_a_table_from_the_standard_input(folder, monkeypatch, capfd):
    text = f"lon,lat\n{TRUNK.lon},{TRUNK.lat}\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["pairs", "demo.zarr", "--points", "-", "--quiet", "-o", "-"]) == 0
    piped = capfd.readouterr().out
    Path("one.csv").write_bytes(text)
    assert run(["pairs", "demo.zarr", "--points", "one.csv", "--quiet", "-o", "-"]) == 0
    assert capfd.readouterr().out == piped
    assert piped.startswith("name,lon,lat,start,")


def test_the_shell_completes_commands_and_options(monkeypatch, capfd):
    for words, wanted in (("itslive inv", "plain,invert"), ("itslive gp --mea", "plain,--means")):
        monkeypatch.setenv("_ITSLIVE_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        with pytest.raises(SystemExit):
            run([])
        assert wanted in capfd.readouterr().out.split()
