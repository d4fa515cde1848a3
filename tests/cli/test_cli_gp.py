"""The command `gp` on the demo: what it writes, what it says, how it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from itslive_core import GaussianProcessSettings
from itslive_core.cli import run
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.export import SERIES_COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

TRUNK = DEMO_POINTS["trunk"]
POINT = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]
BOX = [
    "--bbox",
    *(str(v) for v in (TRUNK.lon - 0.005, TRUNK.lat - 0.002, TRUNK.lon + 0.005, TRUNK.lat + 0.002)),
]
SOME = ["--start", "2016-01-01", "--end", "2018-12-31"]


@pytest.fixture(scope="module")
def cube() -> str:
    return str(demo_path().cubes[0])


def test_it_writes_a_filled_series_with_parts_and_words(cube: str, tmp_path: Path, capfd) -> None:
    out = tmp_path / "series.nc"
    assert run(["gp", cube, *POINT, *SOME, "--interval", "15", "-o", str(out)]) == 0
    with xr.open_dataset(out) as ds:
        assert ds["v"].notnull().all()
        assert {"trend", "season_std", "roughness", "noise_factor"} <= set(ds)
        settings = GaussianProcessSettings.from_json(ds.attrs["settings"])
        assert settings == GaussianProcessSettings(interval=15)
        assert json.loads(ds.attrs["selection"])["start"] == "2016-01-01"
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert "pairs used" in stderr
    assert "season varies by about" in stderr


def test_csv_has_the_columns_of_every_series(cube: str, tmp_path: Path, capfd) -> None:
    out = tmp_path / "series.csv"
    assert run(["gp", cube, *POINT, *SOME, "--no-season", "--no-trend", "--quiet", "-o", str(out)]) == 0
    table = pd.read_csv(out)
    assert tuple(table.columns) == SERIES_COLUMNS
    assert table["v [m/yr]"].notna().all()
    assert capfd.readouterr().err == ""


def test_an_area_is_filled_and_close_to_its_points(cube: str, tmp_path: Path, capfd) -> None:
    out, point = tmp_path / "box.zarr", tmp_path / "point.nc"
    options = [*SOME, "--interval", "20", "--no-season"]
    assert run(["gp", cube, *BOX, *options, "-o", str(out)]) == 0
    assert run(["gp", cube, *POINT, *options, "-o", str(point)]) == 0
    with xr.open_zarr(out) as area, xr.open_dataset(point) as series:
        assert "smoothing_used" not in area
        assert GaussianProcessSettings.from_json(area.attrs["settings"]).interval == 20
        here = area.sel(x=float(series["x"]), y=float(series["y"]), method="nearest")
        here = here.sel(time=series["time"]).load()
        assert here["v"].notnull().all()
        apart = np.abs(here["v"] - series["v"]) / np.hypot(here["v_std"], series["v_std"])
        assert float(apart.median()) < 1
        assert int(here["n_pairs_used"]) == series.attrs["n_pairs_used"]
    assert run(["gp", cube, *BOX, *options, "-o", str(out)]) == 0
    assert "finished already" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "x.nc"], 2, "one target is needed"),
        ([*POINT, "-o", "x.txt"], 2, "a point is written as .nc or .csv"),
        ([*POINT, "--interval", "0", "-o", "x.nc"], 2, "give a number from 1 to 120 days"),
        ([*POINT, "--start", "2035-01-01", "-o", "x.nc"], 1, "all pairs were filtered out"),
        ([*POINT, "--device", "cuda", "-o", "x.nc"], 2, "runs on the CPU"),
        ([*POINT, "--max-angle", "0", "-o", "x.nc"], 2, "give a number from 1 to 180 degrees"),
        ([*BOX, "--method", "sklearn", "-o", "x.zarr"], 2, "is for single points"),
    ],
)
def test_refusals(cube: str, tmp_path: Path, monkeypatch, capfd, arguments, code, words) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["gp", cube, *arguments]) == code
    stderr = capfd.readouterr().err
    assert words in stderr
    assert len(stderr.splitlines()) <= 3
    assert not list(tmp_path.iterdir())


def test_rejections_are_options_and_take_pairs(cube: str, tmp_path: Path, capfd) -> None:
    used = {}
    few = [*SOME, "--no-season", "--interval", "30", "--quiet"]
    for name, options in {"all": [], "some": ["--max-error", "20", "--max-deviation", "2"]}.items():
        out = tmp_path / f"{name}.nc"
        assert run(["gp", cube, *POINT, *few, *options, "-o", str(out)]) == 0
        with xr.open_dataset(out) as ds:
            used[name] = int(ds.attrs["n_pairs_used"])
            settings = GaussianProcessSettings.from_json(ds.attrs["settings"])
    assert (settings.max_error, settings.max_angle, settings.max_deviation) == (20, None, 2)
    assert used["some"] < used["all"]
    capfd.readouterr()
    assert run(["gp", "--help"]) == 0
    assert {"--max-error", "--max-angle", "--max-deviation"} <= set(capfd.readouterr().out.split())
