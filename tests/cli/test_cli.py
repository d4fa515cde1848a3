"""The command line on the demo: every example of the help, and the contracts of what is written."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

import itslive_core
from itslive_core.cli import itslive, run
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.export import PAIRS_COLUMNS, SERIES_COLUMNS
from itslive_core.inversion.settings import PRESETS

TRUNK = DEMO_POINTS["trunk"]
POINT = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]
BOX = ["--bbox", "-50.13", "69.31", "-50.12", "69.3135"]
QUICK = [
    "--start",
    "2016-01-01",
    "--end",
    "2019-12-31",
    "--no-robust",
    "--smoothing",
    "10",
    "--no-uncertainty",
]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder of a test, with the demo's files under the names of the examples."""
    demo = demo_path()
    for name, target in zip(("demo.zarr", "demo_east.zarr"), demo.cubes):
        (tmp_path / name).symlink_to(target)
    for part in (demo.outlines, demo.centreline, demo.points, demo.reference):
        (tmp_path / part.name).symlink_to(part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def succeed(*arguments: str) -> None:
    assert run(list(arguments)) == 0


def examples() -> list[list[str]]:
    """Every example in the help of any command."""
    found = []
    for command in (itslive, *itslive.commands.values()):
        found += re.findall(r"^ *itslive (.+)$", command.epilog or "", flags=re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(found)]


def test_there_is_an_example_of_every_command():
    assert {example[0] for example in examples()} == set(itslive.commands)


def own_files(folder: Path, arguments: list[str]) -> None:
    """Write what an example takes for somebody's own."""
    if "gate.geojson" in arguments:
        line = {"type": "LineString", "coordinates": [[-50.129, 69.312], [-50.121, 69.312]]}
        (folder / "gate.geojson").write_text(json.dumps(line))
    if "ice.tif" in arguments:
        ice = np.full((60, 120), 240.0)
        form = {"driver": "GTiff", "width": 120, "height": 60, "count": 1, "dtype": "float64"}
        place = rasterio.transform.from_bounds(-50.20, 69.29, -50.05, 69.33, 120, 60)
        with rasterio.open(folder / "ice.tif", "w", crs="EPSG:4326", transform=place, **form) as file:
            file.write(ice, 1)
    if "glacier_points.csv" in arguments:
        header, *points = (folder / "demo_points.csv").read_text().splitlines()
        (folder / "glacier_points.csv").write_text("\n".join([header, *points[:2]]))


@pytest.mark.parametrize("arguments", examples(), ids=" ".join)
def test_examples_of_the_help_run(folder, capfd, arguments):
    if arguments[0] == "demo":
        for path in folder.iterdir():
            path.unlink()
    for series in {"trunk.nc", "first.nc"} & set(arguments[1:2]):  # which another example made
        succeed("invert", "demo.zarr", *POINT, "--smoothing", "30", "-o", series)
    for area in {"box.nc", "glacier.zarr"} & set(arguments[1:2]) - {arguments[-1]}:
        succeed("invert", "demo.zarr", *BOX, "--start", "2019", "--smoothing", "30", "-o", area)
    capfd.readouterr()
    own_files(folder, arguments)
    succeed(*arguments)
    stdout, stderr = capfd.readouterr()
    assert "Error" not in stderr
    if arguments[0] == "demo":
        assert {"demo.zarr", "demo_outlines.geojson", "demo_truth.nc"} <= set(stdout.split())
        assert all(Path(line).exists() for line in stdout.splitlines())
    if "-o" in arguments:
        assert (folder / arguments[arguments.index("-o") + 1]).exists()


@pytest.mark.parametrize("name", [None, *itslive.commands])
def test_every_command_explains_itself(capfd, name):
    succeed(*([name] if name else []), "--help")
    text = capfd.readouterr().out
    assert "Examples:" in text
    assert "Usage: itslive" in text
    assert not any(character in text for character in "╭│╰")
    assert max(len(line) for line in text.splitlines()) <= 110


def test_alone_it_shows_its_help_and_with_version_its_version(capfd):
    succeed()
    assert "Commands:" in capfd.readouterr().out
    succeed("--version")
    assert capfd.readouterr().out == f"itslive {itslive_core.__version__}\n"


def test_presets_and_choices_are_those_of_the_library():
    options = {option.name: option for option in itslive.commands["invert"].params}
    assert set(options["preset"].type.choices) == set(PRESETS)
    default = itslive_core.InversionSettings()
    for name in ("weights", "outliers", "device"):
        for choice in options[name].type.choices:
            if choice != "cuda":
                itslive_core.InversionSettings(**{name: choice})
    for name in ("smoothing", "derivative", "weights", "outliers"):
        assert f"[{getattr(default, name)}]" in options[name].help
    assert f"[{default.interval:g} days]" in options["interval"].help


def test_cubes_are_listed_best_first(capfd):
    succeed("cubes", "--lon", "91.2", "--lat", "30.2")
    stdout, stderr = capfd.readouterr()
    records = itslive_core.cubes_at(91.2, 30.2)
    assert stdout.splitlines() == [record.url for record in records]
    assert stderr.count("EPSG") == len(records)


def test_cubes_as_json(capfd):
    succeed("cubes", "--lon", "91.2", "--lat", "30.2", "--json")
    found = json.loads(capfd.readouterr().out)
    assert [one["url"] for one in found] == [record.url for record in itslive_core.cubes_at(91.2, 30.2)]


def test_several_glaciers_are_one_area(folder, capfd):
    file, ids = ["--outline", "demo_outlines.geojson"], [f"RGI2000-v7.0-G-05-9000{n}" for n in (1, 2)]
    both = [option for one in ids for option in ("--rgi-id", one)]
    late = ["--start", "2021", "--interval", "48", "--quiet"]
    for name, which in (("both", both), ("all", ["--all"]), ("first", both[:2]), ("second", both[2:])):
        succeed("median", "demo.zarr", *file, *which, *late, "-o", f"{name}.zarr")
    stores = {}
    for name in ("both", "all", "first", "second"):
        with xr.open_dataset(f"{name}.zarr", engine="zarr", chunks=None) as ds:
            stores[name] = ds.load()
    together = stores["both"]
    for name in ("first", "second"):
        alone = stores[name]
        known = alone["v"].notnull().any("time")
        here = together["v"].sel(x=alone["x"], y=alone["y"], time=alone["time"])
        assert known.any()
        xr.testing.assert_equal(here.where(known), alone["v"].where(known))
    solved = [int(ds["v"].notnull().any("time").sum()) for ds in stores.values()]
    assert solved[0] == solved[1] == solved[2] + solved[3]
    assert json.loads(together.attrs["recipe"])["place"]["area"]["rgi_ids"] == ids
    for wrong in (["--all"], [*file, "--all", *both], ["--layer", "a", "--bbox", "1", "2", "3", "4"]):
        assert run(["median", "demo.zarr", *wrong, "-o", "wrong.zarr"]) == 2
    assert "Traceback" not in capfd.readouterr().err


def test_info_as_json_and_as_text(folder, capfd):
    cube = itslive_core.open_cube("demo.zarr")
    succeed("info", "demo.zarr", "--json")
    facts = json.loads(capfd.readouterr().out)
    assert facts["epsg"] == cube.epsg
    assert facts["n_pairs"] == cube.n_pairs
    assert [facts["rows"], facts["columns"]] == list(cube.shape)
    np.testing.assert_allclose(facts["bounds"], cube.bounds, atol=1e-3)
    assert sum(facts["missions"].values()) == cube.pair_table.usable.sum()
    succeed("info", "demo.zarr")
    text = capfd.readouterr().out
    assert f"n pairs         {cube.n_pairs}" in text.replace(",", "")
    assert len(text.splitlines()) == len(facts)


def test_pairs_are_those_of_the_library(folder, capfd):
    succeed("pairs", "demo.zarr", *POINT, "--mission", "s2,L8_9", "--max-span", "100", "-o", "pairs.csv")
    table = pd.read_csv("pairs.csv", parse_dates=["start", "end"])
    expected = itslive_core.open_cube("demo.zarr").pairs_at(TRUNK.lon, TRUNK.lat)
    expected = expected.select(mission=("S2", "L8_9"), max_span=100)
    assert tuple(table.columns) == PAIRS_COLUMNS
    assert len(table) == len(expected) > 0
    np.testing.assert_allclose(table["vx [m/yr]"], expected.vx, rtol=1e-9)
    assert (table["end"].to_numpy() == expected.end_date).all()
    stderr = capfd.readouterr().err
    assert (
        f"{len(expected):,} pairs after span" in stderr or f"{len(expected):,} pairs after mission" in stderr
    )


def test_series_at_a_point_is_that_of_the_library(folder):
    filters = ["--start", "2015-01-01", "--mission", "S1,S2"]
    succeed(
        "invert", "demo.zarr", *POINT, *filters, "--interval", "6", "--smoothing", "20", "-o", "series.nc"
    )
    succeed(
        "invert", "demo.zarr", *POINT, *filters, "--interval", "6", "--smoothing", "20", "-o", "series.csv"
    )
    pairs = itslive_core.open_cube("demo.zarr").pairs_at(TRUNK.lon, TRUNK.lat)
    expected = itslive_core.invert(
        pairs,
        itslive_core.InversionSettings(smoothing=20, interval=6),
        selection=itslive_core.PairSelection(start="2015-01-01", mission=("S1", "S2")),
    )
    with xr.open_dataset("series.nc") as series:
        for name in ("vx", "vy", "v", "vx_std", "vy_std", "v_std"):
            np.testing.assert_allclose(series[name], expected[name], rtol=1e-9)
        assert series.attrs["smoothing_used"] == pytest.approx(20)
        assert series.attrs["n_pairs_used"] == expected.attrs["n_pairs_used"]
    table = pd.read_csv("series.csv")
    assert tuple(table.columns) == SERIES_COLUMNS
    np.testing.assert_allclose(table["v_std [m/yr]"], expected["v_std"], rtol=1e-8)


def test_the_point_may_be_given_in_the_crs_of_the_cube(folder):
    succeed("invert", "demo.zarr", *POINT, *QUICK, "-o", "a.nc")
    succeed("invert", "demo.zarr", "--x", str(TRUNK.x), "--y", str(TRUNK.y), *QUICK, "-o", "b.nc")
    with xr.open_dataset("a.nc") as a, xr.open_dataset("b.nc") as b:
        np.testing.assert_array_equal(a["v"], b["v"])


def test_a_preset_can_be_changed_by_options(folder):
    succeed("invert", "demo.zarr", *POINT, "--preset", "itslive-tool", "--weights", "span", "-o", "series.nc")
    with xr.open_dataset("series.nc") as series:
        assert series.attrs["smoothing_used"] == pytest.approx(10)
        assert "span" in str(series.attrs)
    preset = itslive_core.InversionSettings.preset("itslive-tool")
    assert preset.weights == "none"


def test_of_several_cubes_the_first_that_covers_the_point_is_used(folder, capfd):
    upstream = DEMO_POINTS["upstream"]
    place = ["--lon", str(upstream.lon), "--lat", str(upstream.lat)]
    succeed("invert", "demo.zarr", "demo_east.zarr", *place, *QUICK, "-o", "series.nc")
    assert "demo_east.zarr" in capfd.readouterr().err
    assert run(["invert", "demo.zarr", "demo_east.zarr", "--lon", "7", "--lat", "46", "-o", "no.nc"]) == 1
    assert "none of the 2 datacubes" in capfd.readouterr().err


def test_progress_goes_to_stderr_and_quiet_means_quiet(folder, capfd):
    succeed("invert", "demo.zarr", *POINT, *QUICK, "-o", "series.nc")
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert "pairs used, smoothing 10" in stderr
    assert "Wrote" in stderr
    succeed("invert", "demo.zarr", *POINT, *QUICK, "--quiet", "-o", "series.nc")
    succeed("invert", "demo.zarr", *BOX, *QUICK, "--quiet", "-o", "box.zarr")
    assert capfd.readouterr() == ("", "")


def test_what_to_be_careful_with_is_said_after_the_result(folder, capfd):
    succeed("median", "demo.zarr", *POINT, "--end", "2005-12-31", "-o", "median.nc")
    said = capfd.readouterr().err.splitlines()
    with xr.open_dataset("median.nc") as ds:
        warnings = ds.attrs["warnings"].splitlines()
    assert warnings
    assert said[-len(warnings) :] == warnings
    assert said[-len(warnings) - 1].startswith("Wrote")
    succeed("median", "demo.zarr", *BOX, "--start", "2020-01-01", "-o", "box.zarr")
    said = capfd.readouterr().err.splitlines()
    assert said[-1].startswith("In ")
    assert "\n".join(said).endswith(xr.open_zarr("box.zarr").attrs["warnings"])


def test_too_few_pairs_are_a_failure_without_a_file(folder, capfd):
    pairs = itslive_core.open_cube("demo.zarr").pairs_at(TRUNK.lon, TRUNK.lat)
    lone = [str(pairs.start_date[0])[:10], str(pairs.end_date[0])[:10]]
    filters = ["--start", lone[0], "--end", lone[1], "--max-span", f"{pairs.span[0]:.0f}"]
    filters += ["--min-span", f"{pairs.span[0]:.0f}", "--mission", str(pairs.mission[0])]
    assert run(["invert", "demo.zarr", *POINT, *filters, "-o", "series.nc"]) == 1
    stderr = capfd.readouterr().err
    assert f"of {pairs.n_read:,} pairs" in stderr
    assert not Path("series.nc").exists()


def test_a_store_is_continued_and_another_job_is_refused(folder, capfd):
    succeed("invert", "demo.zarr", *BOX, *QUICK, "-o", "box.zarr")
    with xr.open_dataset("box.zarr", engine="zarr", chunks=None) as first:
        first = first.load()
    assert first["v"].dims == ("time", "y", "x")
    assert first["v"].dtype == np.float32
    assert first["v"].notnull().any()
    assert json.loads(Path("box.zarr/.zgroup").read_text())["zarr_format"] == 2
    capfd.readouterr()
    succeed("invert", "demo.zarr", *BOX, *QUICK, "--workers", "1", "--device", "cpu", "-o", "box.zarr")
    with xr.open_dataset("box.zarr", engine="zarr", chunks=None) as again:
        xr.testing.assert_equal(first, again.load())
    capfd.readouterr()
    assert run(["invert", "demo.zarr", *BOX, *QUICK, "--derivative", "1", "-o", "box.zarr"]) == 1
    stderr = capfd.readouterr().err
    assert "box.zarr" in stderr
    assert len(stderr.splitlines()) <= 3
    with xr.open_dataset("box.zarr", engine="zarr", chunks=None) as kept:
        xr.testing.assert_equal(first, kept.load())


def test_a_geotiff_of_an_area_is_the_speed_of_the_store(folder):
    succeed("invert", "demo.zarr", *BOX, *QUICK, "-o", "box.zarr")
    succeed("invert", "demo.zarr", *BOX, *QUICK, "-o", "box.tif")
    with xr.open_dataset("box.zarr", engine="zarr", chunks=None) as ds, rasterio.open("box.tif") as file:
        np.testing.assert_array_equal(file.read(), ds["v"].values)
        assert file.crs.to_epsg() == 3413
        assert file.descriptions[0] == str(ds["time"].values[0])[:10]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same(folder):
    succeed("invert", "demo.zarr", *BOX, *QUICK, "-o", "threads.tif")
    succeed("invert", "demo.zarr", *BOX, *QUICK, "--dask", "local", "--workers", "1", "-o", "dask.tif")
    with rasterio.open("threads.tif") as a, rasterio.open("dask.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
