"""Bad input on the command line: a clear message, the right exit code, no traceback, no half-made file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dask
import pytest

from itslive_core.cli import run
from itslive_core.demo import DEMO_POINTS, demo_path

TRUNK = DEMO_POINTS["trunk"]
POINT = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the demo's files, and with some that are no cubes."""
    folder = tmp_path_factory.mktemp("bad-input")
    demo = demo_path()
    (folder / "demo.zarr").symlink_to(demo.cubes[0])
    (folder / "outlines.geojson").symlink_to(demo.outlines)
    (folder / "empty.zarr").mkdir()
    (folder / "letter.txt").write_text("Dear glacier,")
    shutil.copytree(demo.cubes[0], folder / "no_vy.zarr", ignore=shutil.ignore_patterns("vy", ".zmetadata"))
    square = [[[10.0, 46.0], [10.1, 46.0], [10.1, 46.1], [10.0, 46.1], [10.0, 46.0]]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": square}}
    (folder / "alps.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return folder


def invert(*arguments: str) -> list[str]:
    return ["invert", "demo.zarr", *arguments]


CASES = {
    # what the user typed: arguments, exit code, words that the message must hold
    "a cube that is not there": (["info", "missing.zarr"], 1, ["missing.zarr"]),
    "a folder that is no cube": (["info", "empty.zarr"], 1, ["empty.zarr"]),
    "a file that is no cube": (["info", "letter.txt"], 1, ["letter.txt"]),
    "a cube without a variable": (
        ["pairs", "no_vy.zarr", *POINT, "-o", "out.csv"],
        1,
        ["no_vy.zarr", "'vy'"],
    ),
    "a point off the cube": (
        invert("--lon", "7", "--lat", "46", "-o", "out.nc"),
        1,
        ["lon 7", "off the datacube"],
    ),
    "x and y off the cube": (invert("--x", "0", "--y", "0", "-o", "out.nc"), 1, ["x 0", "off the datacube"]),
    "a place without a cube": (["cubes", "--lon", "0", "--lat", "0"], 1, ["no", "cube"]),
    "a latitude that is none": (
        invert("--lon", "69", "--lat", "-500", "-o", "out.nc"),
        2,
        ["-500", "-90 to 90"],
    ),
    "half a point": (invert("--lon", "7", "-o", "out.nc"), 2, ["--lat", "got only --lon"]),
    "a word for a number": (invert("--lon", "west", "--lat", "3", "-o", "out.nc"), 2, ["'west'", "--lon"]),
    "no target": (invert("-o", "out.nc"), 2, ["--outline", "none is given"]),
    "two targets": (invert(*POINT, "--bbox", "1", "2", "3", "4", "-o", "out.nc"), 2, ["more than one"]),
    "a box upside down": (
        invert("--bbox", "8", "47", "9", "46", "-o", "out.zarr"),
        2,
        ["8 47 9 46", "west south"],
    ),
    "a box of no width": (
        invert("--bbox", "8", "46", "8", "47", "-o", "out.zarr"),
        2,
        ["8 46 8 47", "width"],
    ),
    "a box and the whole cube": (
        invert("--bbox", "8", "46", "9", "47", "--whole", "-o", "out.zarr"),
        2,
        ["more than one"],
    ),
    "a layer of no file": (
        invert("--layer", "a", "--rgi-id", "RGI60-01.00001", "-o", "o.zarr"),
        2,
        ["--outline"],
    ),
    "a box off the cube": (invert("--bbox", "8", "46", "9", "47", "-o", "out.zarr"), 1, ["cube"]),
    "an outline that is not there": (invert("--outline", "no.gpkg", "-o", "out.zarr"), 1, ["no.gpkg"]),
    "an outline that is none": (invert("--outline", "letter.txt", "-o", "out.zarr"), 1, ["letter.txt"]),
    "an outline elsewhere": (invert("--outline", "alps.geojson", "-o", "out.zarr"), 1, ["cube"]),
    "a glacier that is not in the file": (
        invert("--outline", "outlines.geojson", "--rgi-id", "RGI60-11.00897", "-o", "out.zarr"),
        1,
        ["RGI60-11.00897", "outlines.geojson"],
    ),
    "an interval of nothing": (invert(*POINT, "--interval", "0", "-o", "out.nc"), 2, ["interval", "0"]),
    "an interval below nothing": (invert(*POINT, "--interval", "-3", "-o", "out.nc"), 2, ["interval", "-3"]),
    "an interval without end": (invert(*POINT, "--interval", "inf", "-o", "out.nc"), 2, ["interval", "inf"]),
    "a smoothing below nothing": (invert(*POINT, "--smoothing", "-1", "-o", "out.nc"), 2, ["'-1'", "auto"]),
    "a smoothing in words": (invert(*POINT, "--smoothing", "much", "-o", "out.nc"), 2, ["'much'", "auto"]),
    "a third derivative": (invert(*POINT, "--derivative", "3", "-o", "out.nc"), 2, ["'3'", "1", "2"]),
    "weights that are none": (invert(*POINT, "--weights", "heavy", "-o", "out.nc"), 2, ["'heavy'", "span"]),
    "a preset that is none": (
        invert(*POINT, "--preset", "best", "-o", "out.nc"),
        2,
        ["'best'", "recommended"],
    ),
    "a date that is none": (
        invert(*POINT, "--start", "yesterday", "-o", "out.nc"),
        2,
        ["'yesterday'", "YYYY-MM-DD"],
    ),
    "an end before the start": (
        invert(*POINT, "--start", "2020-01-01", "--end", "2019-01-01", "-o", "out.nc"),
        2,
        ["2020-01-01", "2019-01-01", "swap"],
    ),
    "a mission that is none": (invert(*POINT, "--mission", "S1,ERS", "-o", "out.nc"), 2, ["ERS", "L8_9"]),
    "a satellite that is none": (
        invert(*POINT, "--satellite", ",", "-o", "out.nc"),
        2,
        ["','", "--satellite"],
    ),
    "spans turned round": (
        invert(*POINT, "--min-span", "30", "--max-span", "6", "-o", "out.nc"),
        2,
        ["30", "6", "swap"],
    ),
    "a span below nothing": (invert(*POINT, "--max-span", "-6", "-o", "out.nc"), 2, ["max_span", "-6"]),
    "an empty selection": (
        invert(*POINT, "--end", "1960", "-o", "out.nc"),
        1,
        ["filtered out: 0 of", "1960"],
    ),
    "pairs of an empty selection": (
        ["pairs", "demo.zarr", *POINT, "--min-span", "9999", "-o", "out.csv"],
        1,
        ["filtered out: 0 of", "9999"],
    ),
    "an ending that is none": (invert(*POINT, "-o", "out.xlsx"), 2, ["out.xlsx", ".nc or .csv"]),
    "a store of a point": (invert(*POINT, "-o", "out.zarr"), 2, ["out.zarr", ".nc or .csv"]),
    "a table of an area": (
        invert("--outline", "outlines.geojson", "-o", "out.csv"),
        2,
        ["out.csv", ".zarr or .tif or .nc"],
    ),
    "a folder that is not there": (invert(*POINT, "-o", "nowhere/out.nc"), 1, ["nowhere", "make it first"]),
    "a place that cannot be written": (
        invert(*POINT, "-o", "/proc/out.nc"),
        1,
        ["/proc/out.nc", "permission"],
    ),
    "no output": (invert(*POINT), 2, ["-o"]),
    "no cube": (["invert", *POINT, "-o", "out.nc"], 2, ["CUBE"]),
    "no workers": (invert(*POINT, "--workers", "0", "-o", "out.nc"), 2, ["--workers", "0"]),
    "a cluster that is not there": (
        invert("--outline", "outlines.geojson", "--dask", "nonsense://x", "-o", "out.zarr"),
        1,
        ["nonsense://x", "--dask"],
    ),
    "a demo over something": (["demo", "demo.zarr"], 1, ["demo", "exists"]),
    "a demo in no folder": (["demo", "nowhere/demo.zarr"], 1, ["nowhere"]),
    "a command that is none": (["invrt", "demo.zarr"], 2, ["invrt"]),
    "an option that is none": (invert(*POINT, "--lambda", "3", "-o", "out.nc"), 2, ["--lambda"]),
}


@pytest.mark.parametrize(("arguments", "code", "words"), CASES.values(), ids=CASES.keys())
def test_bad_input_gets_a_clear_message(folder, monkeypatch, capfd, arguments, code, words):
    monkeypatch.chdir(folder)
    assert run(arguments) == code
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    lines = [line for line in stderr.splitlines() if not line.startswith(("Reading", "Making"))]
    assert 1 <= len(lines) <= 3
    assert lines[0].startswith("Error: ")
    assert len(lines[0]) > 25
    assert "Traceback" not in stderr
    assert not any(character in stderr for character in "╭│╰─")
    for word in words:
        assert word in stderr
    left = [path.name for path in folder.iterdir() if path.name.startswith((".", "out."))]
    assert not left
    assert dask.base.get_scheduler() is None  # a cluster that failed is not what later work goes to


def test_bad_input_to_the_real_command(folder):
    code = "from itslive_core.cli import main; main()"
    command = [sys.executable, "-c", code, *invert(*POINT, "--interval", "0", "-o", "out.nc")]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 3


def test_a_gpu_that_is_not_there_is_told_before_anything_is_read(folder, monkeypatch, capfd):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(folder)
    assert run(invert(*POINT, "--device", "cuda", "-o", "out.nc")) == 1
    assert "choose device 'cpu'" in capfd.readouterr().err


def test_a_gpu_without_torch_says_how_to_install_it(folder, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.chdir(folder)
    assert run(invert(*POINT, "--device", "cuda", "-o", "out.nc")) == 1
    assert "itslive-dashboard[gpu]" in capfd.readouterr().err


def test_the_unexpected_is_one_sentence_and_a_traceback_on_request(folder, monkeypatch, capfd):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("itslive_core.cli.arguments.Point.first_cube", fail)
    monkeypatch.chdir(folder)
    assert run(invert(*POINT, "-o", "out.nc")) == 1
    stderr = capfd.readouterr().err
    assert stderr.startswith("Error: unexpected ZeroDivisionError: division by zero\n")
    assert len(stderr.splitlines()) == 2
    monkeypatch.setenv("ITSLIVE_DEBUG", "1")
    assert run(invert(*POINT, "-o", "out.nc")) == 1
    assert "Traceback" in capfd.readouterr().err


def test_an_interruption_is_no_error_of_ours(folder, monkeypatch, capfd):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("itslive_core.cli.arguments.Point.first_cube", interrupt)
    monkeypatch.chdir(folder)
    assert run(invert(*POINT, "-o", "out.nc")) == 130
    assert capfd.readouterr().err.strip() == "Error: interrupted"
