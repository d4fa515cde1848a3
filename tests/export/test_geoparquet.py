"""GeoParquet of points and pairs: the rows of the CSV, each at its place."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.export import geoparquet
from tests.tiny_cube import write_cube


@pytest.fixture
def place(tmp_path, monkeypatch) -> list[str]:
    """A folder with a cube and a table of two of its pixels; gives a place for the shell."""
    made = write_cube(tmp_path / "cube.zarr", empty=0.0)
    pixels = [itslive.open_cube(made.path).pixel(*at) for at in ((8, 11), (1, 1))]
    rows = [f"{name},{one.lon},{one.lat}" for name, one in zip("AB", pixels, strict=True)]
    (tmp_path / "places.csv").write_text("\n".join(["name,lon,lat", *rows]))
    monkeypatch.chdir(tmp_path)
    return ["--x", str(made.x[1]), "--y", str(made.y[1])]


@pytest.mark.parametrize("command", ["pairs", "median"])
def test_rows_are_those_of_the_table_and_have_a_place(place, command):
    pytest.importorskip("pyarrow")
    for where, name in ((place, "one"), (["--points", "places.csv"], "many")):
        for ending in ("csv", "parquet"):
            assert run([command, "cube.zarr", *where, "-q", "-o", f"{name}.{ending}"]) == 0
        table, frame = pd.read_csv(f"{name}.csv"), gpd.read_parquet(f"{name}.parquet")
        assert frame.crs.to_epsg() == 4326
        assert {"lon", "lat", "epsg"} <= set(frame.columns)
        np.testing.assert_array_equal(frame.geometry.x, frame["lon"])
        for column in table.columns:
            ours = frame[column]
            if isinstance(ours.dtype, pd.DatetimeTZDtype):
                assert (ours == pd.to_datetime(table[column], utc=True)).all()
            elif table[column].dtype.kind == "f":
                np.testing.assert_allclose(ours, table[column], rtol=1e-9, atol=1e-9)
            else:
                assert (ours == table[column]).all()
        assert run(["rerun", f"{name}.parquet", "-q"]) == 0
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_without_its_library_a_sentence_says_what_to_do(place, monkeypatch, capfd):
    monkeypatch.setattr(geoparquet, "find_spec", lambda name: None)
    assert run(["pairs", "cube.zarr", *place, "-o", "pairs.parquet"]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert "pip install 'itslive-dashboard[parquet]'" in line
