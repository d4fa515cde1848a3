"""Results made again from their recipes: the same arrays, or a sentence that says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.errors import CubeError, ItsliveError
from itslive_core.export import write_pairs, write_series
from itslive_core.export.differences import differences_of, digest_of
from itslive_core.export.recipes import read_recipe, recipe_path
from itslive_core.series.recipe import Recipe
from tests.tiny_cube import write_cube

TRUNK = DEMO_POINTS["trunk"]
PLACE = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]
BOX = ["--bbox", "-50.13", "69.31", "-50.12", "69.3135"]
OUTLINE = ["--outline", "demo_outlines.geojson", "--rgi-id", "RGI2000-v7.0-G-05-90002"]
LATE = ["--start", "2019", "--mission", "S1,S2", "--quiet"]
PLAIN = [*LATE, "--smoothing", "30", "--no-robust"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    demo = demo_path()
    for name, target in zip(("demo.zarr", "demo_east.zarr"), demo.cubes):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "demo_outlines.geojson").symlink_to(demo.outlines)
    points = [f"{name},{p.lon},{p.lat}" for name, p in DEMO_POINTS.items()]
    (tmp_path / "points.csv").write_text("\n".join(["name,lon,lat", *points[1:3]]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


CASES = {
    "series": (["invert", "demo.zarr", *PLACE, *LATE], ".nc"),
    "series as a table": (["invert", "demo.zarr", *PLACE, *PLAIN], ".csv"),
    "Gaussian process": (["gp", "demo.zarr", *PLACE, *LATE], ".nc"),
    "median": (["median", "demo.zarr", *PLACE, *LATE, "--window", "60"], ".csv"),
    "pairs": (["pairs", "demo.zarr", *PLACE, "--max-span", "60", "--quiet"], ".csv"),
    "season": (["season", "demo.zarr", *PLACE, "--start", "2014", "--quiet"], ".csv"),
    "points": (["invert", "demo.zarr", "demo_east.zarr", "--points", "points.csv", *PLAIN], ".csv"),
    "stations": (["invert", "demo.zarr", "demo_east.zarr", "--points", "points.csv", *PLAIN], ".nc"),
    "pairs of points": (["pairs", "demo.zarr", "demo_east.zarr", "--points", "points.csv", "-q"], ".csv"),
    "seasons of points": (["season", "demo.zarr", "demo_east.zarr", "--points", "points.csv", "-q"], ".csv"),
    "box": (["invert", "demo.zarr", *BOX, *PLAIN], ".zarr"),
    "raster": (["invert", "demo.zarr", *BOX, *PLAIN], ".tif"),
    "glacier": (["median", "demo.zarr", *OUTLINE, *LATE, "--interval", "48"], ".nc"),
}


def assert_same(one: Path, other: Path) -> None:
    if one.suffix == ".csv":
        assert one.read_bytes() == other.read_bytes()
    elif one.suffix == ".tif":
        with rasterio.open(one) as a, rasterio.open(other) as b:
            np.testing.assert_array_equal(a.read(), b.read())
    else:
        engine = {"engine": "zarr"} if one.suffix == ".zarr" else {}
        with (
            xr.open_dataset(one, chunks=None, **engine) as a,
            xr.open_dataset(other, chunks=None, **engine) as b,
        ):
            assert a["v"].notnull().any()
            xr.testing.assert_equal(a.load(), b.load())


@pytest.mark.parametrize(("command", "ending"), CASES.values(), ids=CASES.keys())
def test_a_result_is_made_again(folder, command, ending):
    first, again = Path(f"first{ending}"), Path(f"again{ending}")
    assert run([*command, "-o", str(first)]) == 0
    assert run(["rerun", str(first), "-o", str(again), "--quiet"]) == 0
    assert_same(first, again)
    assert differences_of(first, again) == []
    assert digest_of(first) == digest_of(again)
    assert read_recipe(first) == read_recipe(again)
    assert recipe_path(first).exists() == (ending == ".csv")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def tiny_series(folder: Path) -> tuple[Path, Path]:
    cube = write_cube(folder / "cube.zarr", empty=0.0)
    pairs = itslive.open_cube(cube.path).pairs_at(x=cube.x[1], y=cube.y[1])
    series = itslive.invert(pairs, itslive.InversionSettings(smoothing=30.0))
    return cube.path, write_series(series, folder / "series.nc")


def test_a_cube_that_changed_is_refused_and_named(tmp_path, capfd):
    cube, path = tiny_series(tmp_path)
    n_pairs = itslive.open_cube(cube).n_pairs
    shutil.rmtree(cube)
    write_cube(cube, empty=0.0, n_pairs=n_pairs + 7)
    with pytest.raises(CubeError, match=rf"had {n_pairs} image pairs, and has {n_pairs + 7}"):
        itslive.rerun(path, tmp_path / "again.nc")
    assert run(["rerun", str(path), "-o", str(tmp_path / "again.nc")]) == 1
    assert "the result would be another one" in capfd.readouterr().err
    assert not (tmp_path / "again.nc").exists()
    assert run(["rerun", str(path), "-o", str(tmp_path / "again.nc"), "--anyway"]) == 0


def test_another_date_is_a_change(tmp_path):
    cube, path = tiny_series(tmp_path)
    for name in (".zattrs", ".zmetadata"):
        if (cube / name).exists():
            text = (cube / name).read_text()
            updated = itslive.open_cube(cube).date_updated
            assert updated in text
            (cube / name).write_text(text.replace(updated, "1-Jan-2030 00:00:00"))
    with pytest.raises(CubeError, match=r"was updated: .* then, 1-Jan-2030"):
        itslive.rerun(path, tmp_path / "again.nc")


@pytest.mark.parametrize("ending", [".nc", ".csv", ".zarr", ".tif"])
def test_without_a_name_the_result_is_compared(tmp_path, capfd, ending):
    cube = write_cube(tmp_path / "cube.zarr", empty=0.0)
    place = ["--x", str(cube.x[1]), "--y", str(cube.y[1])] if ending in (".nc", ".csv") else ["--whole"]
    path = tmp_path / f"first{ending}"
    assert run(["median", str(cube.path), *place, "-q", "-o", str(path)]) == 0
    capfd.readouterr()
    assert run(["rerun", str(path), "-q"]) == 0
    assert capfd.readouterr().out == f"identical (digest {digest_of(path)})\n"
    if ending == ".csv":
        path.write_text(path.read_text().replace(",3,", ",4,", 1))
    elif ending == ".nc":
        with netCDF4.Dataset(path, "a") as file:
            file["v"][1:3] += 2.5
    elif ending == ".tif":
        with rasterio.open(path, "r+") as file:
            file.write(file.read(3) + 2.5, 3)
    else:
        array = zarr.open_group(str(path), mode="r+", use_consolidated=False)["v"]
        array[1:3] = array[1:3] + 2.5
    assert run(["rerun", str(path), "-q"]) == 1
    said = capfd.readouterr().out
    assert " differs in " in said
    assert ("by up to 1" if ending == ".csv" else "by up to 2.5") in said
    assert run(["rerun", str(tmp_path / "first.csv.recipe.json")]) in (1, 2)


def test_values_that_changed_under_the_same_date_are_noticed(tmp_path, capfd):
    """By rerun of a point, of points and of an area, and by an area that is to go on."""
    cube, _ = tiny_series(tmp_path)
    known = itslive.open_cube(cube)
    places = [known.pixel(1, 1), known.pixel(8, 11)]
    (tmp_path / "points.csv").write_text("\n".join(["x,y", *(f"{one.x},{one.y}" for one in places)]))
    point = ["--x", str(places[0].x), "--y", str(places[0].y)]
    made = {
        "point.nc": point,
        "points.nc": ["--points", str(tmp_path / "points.csv")],
        "area.zarr": ["--whole"],
    }
    for name, place in made.items():
        assert run(["median", str(cube), *place, "-q", "-o", str(tmp_path / name)]) == 0
        assert len(read_recipe(tmp_path / name).values) == 8
    journal = tmp_path / "area.zarr" / ".itslive_blocks"
    first, *_ = journal.read_text().splitlines(keepends=True)
    journal.write_text(first)  # as if it had been interrupted
    go_on = ["median", str(cube), "--whole", "-q", "-o", str(tmp_path / "area.zarr")]
    assert run(go_on) == 0  # nothing has changed yet
    journal.write_text(first)
    moved = tmp_path / "moved.zarr"
    shutil.copytree(cube, moved)
    assert run(["rerun", str(tmp_path / "point.nc"), "--cube", str(moved), "-o", str(tmp_path / "b.nc")]) == 0
    shutil.rmtree(cube)
    write_cube(cube, empty=0.0, noise=3.1)
    assert itslive.open_cube(cube).date_updated == known.date_updated
    capfd.readouterr()
    for name in ("point.nc", "points.nc", "area.zarr"):
        again = tmp_path / f"again{Path(name).suffix}"
        again.unlink(missing_ok=True)
        assert run(["rerun", str(tmp_path / name), "-o", str(again), "-q"]) == 1
        assert "have changed under the same date" in capfd.readouterr().err
        assert not again.exists()
    assert run(["rerun", str(tmp_path / "point.nc"), "-o", str(tmp_path / "c.nc"), "--anyway", "-q"]) == 0
    assert run(go_on) == 1
    stderr = capfd.readouterr().err
    assert "was begun with other values" in stderr
    assert str(known.date_updated) in stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_cube_that_was_moved(tmp_path):
    cube, path = tiny_series(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cube.rename(elsewhere / "other.zarr")
    with pytest.raises(CubeError, match="gone"):
        itslive.rerun(path, tmp_path / "again.nc")
    assert_same(path, itslive.rerun(path, tmp_path / "again.nc", cubes=[elsewhere / "other.zarr"]))
    with pytest.raises(ItsliveError, match="1 datacubes, 2 are given"):
        itslive.rerun(path, tmp_path / "again.nc", cubes=["a", "b"])
    (elsewhere / "other.zarr").rename(elsewhere / "cube.zarr")
    path.rename(elsewhere / "series.nc")
    assert itslive.rerun(elsewhere / "series.nc", tmp_path / "moved.nc").exists()


def test_pairs_chosen_by_hand_are_no_recipe(tmp_path):
    cube = write_cube(tmp_path / "cube.zarr", empty=0.0)
    pairs = itslive.open_cube(cube.path).pairs_at(x=cube.x[1], y=cube.y[1])
    series = itslive.invert(pairs.select(max_span=60), itslive.InversionSettings(smoothing=30.0))
    write_series(series, tmp_path / "series.nc")
    with pytest.raises(ItsliveError, match="by hand"):
        itslive.rerun(tmp_path / "series.nc", tmp_path / "again.nc")
    selection = itslive.PairSelection(max_span=60)
    write_pairs(pairs.select(selection), tmp_path / "pairs.csv", selection=selection)
    assert_same(tmp_path / "pairs.csv", itslive.rerun(tmp_path / "pairs.csv", tmp_path / "again.csv"))


def test_files_without_a_recipe_and_damaged_ones(tmp_path, capfd):
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "plain.nc")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "damaged.json").write_text('{"recipe": 1, "task": "series"}')
    (tmp_path / "later.json").write_text('{"recipe": 99}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.nc").write_bytes(b"CDF?")
    for name, words in {
        "plain.nc": "has no recipe",
        "table.csv": "has no recipe",
        "missing.nc": "does not exist",
        "damaged.json": "damaged",
        "later.json": "later version",
        "list.json": "damaged",
        "broken.nc": "cannot be read",
    }.items():
        assert run(["rerun", str(tmp_path / name), "-o", str(tmp_path / "out.nc")]) == 1
        stderr = capfd.readouterr().err
        assert words in stderr
        assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "out.nc").exists()


def test_a_recipe_of_another_version_or_of_something_unknown(tmp_path, capfd):
    _, path = tiny_series(tmp_path)
    known = json.loads(read_recipe(path).to_json())
    (tmp_path / "old.json").write_text(json.dumps(known | {"version": "0.0.1"}))
    assert run(["rerun", str(tmp_path / "old.json"), "-o", str(tmp_path / "again.nc")]) == 0
    assert "Made by version 0.0.1" in capfd.readouterr().err
    for change in (
        {"estimator": "oracle"},
        {"task": "dance"},
        {"place": {"moon": 1}},
        {"settings": {"a": 1}},
    ):
        (tmp_path / "odd.json").write_text(json.dumps(known | change))
        with pytest.raises(ItsliveError):
            itslive.rerun(tmp_path / "odd.json", tmp_path / "odd.nc")


def test_json_round_trip(tmp_path):
    _, path = tiny_series(tmp_path)
    recipe = read_recipe(path)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.estimator == "inversion"
    assert recipe.settings["smoothing"] == 30.0


def test_a_table_never_lies_beside_the_recipe_of_another(tmp_path):
    cube = write_cube(tmp_path / "cube.zarr", empty=0.0)
    pairs = itslive.open_cube(cube.path).pairs_at(x=cube.x[1], y=cube.y[1])
    write_pairs(pairs, tmp_path / "pairs.csv")
    assert recipe_path(tmp_path / "pairs.csv").exists()
    own = itslive.ImagePairs.from_arrays(pairs.start, pairs.end, pairs.vx, pairs.vy)
    write_pairs(own, tmp_path / "pairs.csv")
    assert not recipe_path(tmp_path / "pairs.csv").exists()
