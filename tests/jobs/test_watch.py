"""Watching points: what is new is read, what changed is said, and a state of something else is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from itslive_core import InversionSettings
from itslive_core.cli import run
from itslive_core.cubes.datacube import Datacube
from itslive_core.cubes.dataset_cube import DatasetCube
from itslive_core.errors import ItsliveError
from itslive_core.jobs.watch import watch
from itslive_core.series import grid_mapping
from tests.tiny_cube import write_cube

FAST = InversionSettings(smoothing=20.0, interval=12.0, robust=False, outliers="none", learn="pixel")
POINTS = [(500_050.0, 3_900_050.0, "a")]


def cube_of(n: int, *, surge: float = 0.0) -> DatasetCube:
    """Pairs in order of time; from 2020 on the ice may speed up."""
    rng = np.random.default_rng(4)
    start = np.sort(rng.uniform(16_800.0, 18_900.0, 500))
    end = start + rng.choice([6.0, 12.0, 24.0], 500)
    middle = 0.5 * (start + end)
    v = 100.0 + surge * np.interp(middle, [18_300.0, 18_400.0, 18_600.0], [0.0, 1.0, 0.0])
    shape = (500, 3, 3)
    moments = [(t * 86_400).astype("int64").astype("M8[s]").astype("M8[ns]") for t in (start, end)]
    x, y = 500_050.0 + 100.0 * np.arange(3), 3_900_050.0 - 100.0 * np.arange(3)
    ds = xr.Dataset(
        {
            name: (
                ("pair", "y", "x"),
                (share * v[:, None, None] + 3.0 * rng.standard_normal(shape)).astype("f4"),
            )
            for name, share in (("vx", 0.8), ("vy", 0.6))
        },
        {"x": x, "y": y, "start": ("pair", moments[0]), "end": ("pair", moments[1])},
        {"cube_url": "memory"},
    )
    ds = ds.assign_coords(vx_error=("pair", np.full(500, 3.0)), vy_error=("pair", np.full(500, 3.0)))
    ds["vx"].attrs["grid_mapping"] = "mapping"
    ds["mapping"] = ((), 0, grid_mapping(32646))
    return DatasetCube(ds.isel(pair=slice(0, n)))


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("name,x,y\na,500050,3900050\nfar,900000,3900050\n", "utf-8")
    return path


def test_what_is_new_is_read_and_what_changed_is_said(points, tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    early = int(np.searchsorted(cube_of(500).pair_table.start, 18_280.0))
    first = watch(cube_of(early, surge=200.0), points, state, FAST)
    assert first.first
    assert not first.changes
    assert first.new_pairs == {"a": early}
    assert "far" in first.problems[0]

    def never(*_, **__):
        raise AssertionError("a whole block was read")

    monkeypatch.setattr(Datacube, "read_block", never)
    again = watch(cube_of(early, surge=200.0), points, state, FAST)
    assert again.new_pairs == {"a": 0}
    assert again.n_new == 0
    grown = cube_of(500, surge=200.0)
    later = watch(grown, points, state, FAST)
    assert later.n_new == 500 - early
    assert [(c.name, c.what, c.kind) for c in later.changes] == [("a", "began", "speed-up")]
    assert "2020-0" in str(later.changes[0])
    assert not watch(grown, points, state, FAST).changes


def test_states_of_something_else_are_refused(points, tmp_path):
    cube = cube_of(200)
    state = tmp_path / "state.json"
    watch(cube, points, state, FAST)
    known = json.loads(state.read_text("utf-8"))
    state.write_text(json.dumps(known | {"cube": "another"}), "utf-8")
    with pytest.raises(ItsliveError, match="watches another cube"):
        watch(cube, points, state, FAST)
    state.write_text("{", "utf-8")
    with pytest.raises(ItsliveError, match="no state of a watch"):
        watch(cube, points, state, FAST)
    state.write_text(json.dumps(known | {"fingerprint": "x"}), "utf-8")
    assert watch(cube, points, state, FAST).again


def test_the_command_remembers_and_tells(tmp_path, capsys):
    truth = write_cube(tmp_path / "tiny.zarr", radar=False)
    points = tmp_path / "points.csv"
    points.write_text(f"name,x,y\na,{truth.x[3]},{truth.y[4]}\n", "utf-8")
    assert run(["watch", str(truth.path), "--points", str(points), "--quiet"]) == 0
    assert "Remembered 1 points" in capsys.readouterr().out
    assert run(["watch", str(truth.path), "--points", str(points), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["new_pairs"] == {"a": 0}
    state = points.with_suffix(".watch.json")
    known = json.loads(state.read_text("utf-8"))
    event = {"kind": "speed-up", "ongoing": True, "onset": "1990-01-01", "onset_lower": "1990-01-01",
             "onset_upper": "1990-01-02", "peak": "1990-02-01", "end": None, "size": 9.0, "size_lower": 8.0,
             "size_upper": 10.0}  # fmt: skip
    known["points"]["a"]["events"] = [event]
    state.write_text(json.dumps(known), "utf-8")
    assert run(["watch", str(truth.path), "--points", str(points), "--quiet"]) == 0
