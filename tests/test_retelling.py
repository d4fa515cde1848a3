"""A recipe told as a command, as Python, as a notebook: each makes the same file, byte for byte."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from itslive_core.cli import run
from itslive_core.errors import ItsliveError
from itslive_core.export.recipes import read_recipe
from itslive_core.retelling import WAYS, as_command, as_notebook, as_python
from tests.tiny_cube import write_cube

CASES = {
    "inversion": "invert --lon {lon} --lat {lat}",
    "changed": "invert --x {x} --y {y} --smoothing 30 --no-robust --outliers none --derivative 1"
    " --max-angle 60 --start 2015 --mission S1,S2,L8_9 --max-span 100",
    "left out": "invert --x {x} --y {y} --smoothing 30 --leave-out 1A@2016,2A@2018-03/2B@2018",
    "means": "invert --x {x} --y {y} --smoothing 30 --means year",
    "Gaussian process": "gp --x {x} --y {y} --interval 24",
    "median": "median --x {x} --y {y} --window 200 --least-pairs 1",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(words: str) -> bytes:
    """Make a series, and give what the file holds."""
    cube = write_cube("cube.zarr", empty=0.0)
    x, y = float(cube.x[1]), float(cube.y[1])
    from itslive_core import open_cube

    lon, lat = open_cube("cube.zarr").lonlat_of(x, y)
    command, *options = words.format(x=x, y=y, lon=float(lon), lat=float(lat)).split()
    assert run([command, "cube.zarr", *options, "--quiet", "-o", "first.csv"]) == 0
    return Path("first.csv").read_bytes()


@pytest.mark.parametrize("words", CASES.values(), ids=CASES.keys())
def test_each_way_makes_the_same_file(folder, words):
    first = make(words)
    recipe = read_recipe(Path("first.csv"))

    program, *rest = shlex.split(as_command(recipe, "command.csv"))
    assert program == "itslive"
    assert run([*rest, "--quiet"]) == 0
    assert Path("command.csv").read_bytes() == first

    exec(as_python(recipe, "python.csv"), {})
    assert Path("python.csv").read_bytes() == first

    notebook = json.loads(as_notebook(recipe, "notebook.csv"))
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], names)
    assert Path("notebook.csv").read_bytes() == first


def test_only_what_differs_is_told(folder):
    make("invert --x {x} --y {y} --smoothing 30 --no-robust --quiet")
    recipe = read_recipe(Path("first.csv"))
    assert "InversionSettings(smoothing=30.0, robust=False)" in as_python(recipe)
    assert " --smoothing 30.0 --no-robust -o series.csv" in as_command(recipe)


@pytest.mark.parametrize("way", WAYS)
def test_the_shell_tells_it(folder, capsys, way):
    make("median --x {x} --y {y} --window 200 --least-pairs 1")
    assert run(["rerun", "first.csv", "--as", way, "-o", "-"]) == 0
    assert capsys.readouterr().out.rstrip() == WAYS[way](read_recipe(Path("first.csv"))).rstrip()


def test_what_cannot_be_told_is_refused(folder):
    make("invert --x {x} --y {y} --smoothing 30")
    recipe = read_recipe(Path("first.csv"))
    with pytest.raises(ItsliveError, match="chosen by hand"):
        as_python(replace(recipe, by_hand=True))
    for other in (replace(recipe, task="pairs"), replace(recipe, place={"area": {}})):
        with pytest.raises(ItsliveError, match="only the series of a point"):
            as_command(other)
    point = recipe.place["point"]
    for damaged in (
        replace(recipe, cubes=()),
        replace(recipe, place={"point": None}),
        replace(recipe, place={"point": {**point, "lat": None}}),
        replace(recipe, options={"means": 3}),
    ):
        for tell in WAYS.values():
            with pytest.raises(ItsliveError, match="damaged"):
                tell(damaged)


def test_the_shell_names_moved_cubes_and_overwrites_nothing(folder, capsys):
    make("median --x {x} --y {y} --window 200 --least-pairs 1")
    Path("cube.zarr").rename("moved.zarr")
    assert run(["rerun", "first.csv", "--as", "python", "-o", "-", "--cube", "moved.zarr"]) == 0
    assert "open_cube('moved.zarr')" in capsys.readouterr().out
    recipe = Path("first.csv.recipe.json")
    before = recipe.read_bytes()
    tell = ["rerun", str(recipe), "--cube", "moved.zarr", "--as", "python"]
    assert run([*tell, "-o", str(recipe)]) == 1
    assert recipe.read_bytes() == before
    assert run([*tell, "-o", "nowhere/first.py"]) == 1
    assert "its folder 'nowhere' is missing" in capsys.readouterr().err
    assert run([*tell, "-o", "first.py", "--anyway"]) == 2
