"""Series along a line: places, pixels, files, and lines that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import xarray as xr

import itslive_core as itslive
from itslive_core import InversionSettings, PairSelection
from itslive_core.cli import run
from itslive_core.demo import demo_path
from itslive_core.errors import ItsliveError, OutlineError, SelectionError, SettingsError
from itslive_core.export import SERIES_COLUMNS
from itslive_core.jobs.profile_steps import profile_steps
from itslive_core.places.lines import as_line, length_of, lines_in_file, points_along

FAST = InversionSettings(smoothing=100.0, interval=48.0, robust=False, outliers="none")
LATE = PairSelection(start="2021")
LINE = [(-50.14, 69.3143), (-50.12, 69.3143), (-50.115, 69.316)]
GEOD = pyproj.Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def cube() -> itslive.Datacube:
    return itslive.open_cube(demo_path().cubes[0])


def test_each_point_has_the_series_of_its_pixel(cube):
    ds = itslive.profile(cube, LINE, FAST, spacing=50.0, selection=LATE)
    assert ds["v"].dims == ("time", "distance")
    np.testing.assert_allclose(np.diff(ds["distance"]), 50.0)
    _, _, total = GEOD.inv(*LINE[0], *LINE[1])
    k = int(total // 50) + 3  # beyond the corner
    for at in (0, 7, k):
        lon, lat = float(ds["lon"][at]), float(ds["lat"][at])
        pixel = cube.locate(lon, lat)
        assert (float(ds["x"][at]), float(ds["y"][at])) == (pixel.x, pixel.y)
        alone = itslive.invert(cube.pairs_at(lon, lat), FAST, selection=LATE)
        here = ds.isel(distance=at).sel(time=alone["time"])
        for name in ("vx", "v", "n_pairs", "quality"):
            np.testing.assert_array_equal(here[name], alone[name])
    here = ds.isel(distance=k)
    along = GEOD.line_length(*zip(*LINE[:2], (float(here["lon"]), float(here["lat"])), strict=True))
    assert along == pytest.approx(float(ds["distance"][k]), abs=1e-3)


def test_each_pixel_is_solved_once(cube, monkeypatch):
    from itslive_core.inversion.door import Inversion

    calls = []
    point = Inversion.point
    monkeypatch.setattr(Inversion, "point", lambda *a, **k: calls.append(1) or point(*a, **k))
    ds = itslive.profile(cube, LINE, FAST, spacing=20.0, selection=LATE)
    pixels = {(float(x), float(y)) for x, y in zip(ds["x"], ds["y"], strict=True)}
    assert len(calls) == len(pixels) < ds.sizes["distance"]


def test_steps_look_first_and_end_with_the_profile(cube, monkeypatch):
    slow = InversionSettings(interval=48.0)
    expected = itslive.profile(cube, LINE, slow, spacing=400.0, selection=LATE)
    steps = list(profile_steps(cube, LINE, slow, spacing=400.0, selection=LATE, every=0.0))
    assert steps[0].done == 0, "a first look"
    assert steps[0].looked == 1
    looked = next(one for one in steps if one.looked == one.total)
    assert looked.done < looked.total
    assert looked.dataset["v"].notnull().any("time").all(), "all points, before the first is as asked for"
    assert steps[-1].complete
    assert steps[-1].refined.all()
    xr.testing.assert_identical(steps[-1].dataset, expected)
    plain = list(profile_steps(cube, LINE, FAST, spacing=400.0, selection=LATE, every=0.0))
    assert [one.done for one in plain][:2] == [1, 2], "what is quick needs no first look"
    stop = iter([False] * 6)
    some = list(
        profile_steps(
            cube, LINE, FAST, spacing=100.0, selection=LATE, every=0.0, should_stop=lambda: next(stop, True)
        )
    )
    assert 0 < some[-1].done < some[-1].total, "what is there when it is stopped"
    with pytest.raises(SelectionError, match="no point of the line has a series"):
        list(profile_steps(cube, [(7, 46), (7.01, 46)], FAST))


def test_a_table_of_vertices_is_a_line_and_a_file_of_lines_gives_all(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("longitude;latitude\n" + "\n".join(f"{lon};{lat}" for lon, lat in LINE))
    np.testing.assert_array_equal(as_line(path), LINE)
    [line] = lines_in_file(path)
    assert length_of(line) == pytest.approx(GEOD.line_length(*np.array(LINE).T))
    for text, words in (
        ("x,y\n1,2\n3,4", "lon and lat"),
        ("lon,lat\n1,2\n3,?", "line 3"),
        ("a\n1", "no columns"),
    ):
        path.write_text(text)
        with pytest.raises(OutlineError, match=words):
            as_line(path)
    every = lines_in_file(demo_path().centreline)
    assert len(every) > 1
    glacier = itslive.Glacier.list_from_file(demo_path().outlines)[0]
    own = lines_in_file(demo_path().centreline, glacier.outline)
    assert 0 < len(own) < len(every)


def test_files_of_a_profile(cube, tmp_path, capfd):
    line = shapely.LineString([*LINE, (-50.115, 69.9)])  # it leaves the cube
    (tmp_path / "line.geojson").write_text(shapely.to_geojson(line))
    command = ["profile", cube.url, "--line", str(tmp_path / "line.geojson"), "--spacing", "400"]
    command += [
        "--start",
        "2021",
        "--smoothing",
        "100",
        "--interval",
        "48",
        "--no-robust",
        "--outliers",
        "none",
    ]
    for name in ("line.nc", "line.csv"):
        assert run([*command, "-o", str(tmp_path / name)]) == 0
        assert "Wrote series at" in capfd.readouterr().err
    expected = itslive.profile(cube, line, FAST, spacing=400.0, selection=LATE)
    with xr.open_dataset(tmp_path / "line.nc") as ds:
        np.testing.assert_array_equal(ds["v"].T, expected["v"])
        assert ds["lon"].dims == ("distance",)
    solved = expected["v"].notnull().any("time").values
    assert solved.any()
    assert not solved.all()
    table = pd.read_csv(tmp_path / "line.csv")
    assert tuple(table.columns) == ("distance [m]", "lon", "lat", *SERIES_COLUMNS)
    assert table["distance [m]"].nunique() == solved.sum()
    for ending in (".nc", ".csv"):
        first, again = tmp_path / f"line{ending}", tmp_path / f"again{ending}"
        itslive.rerun(first, again)
        if ending == ".csv":
            assert first.read_bytes() == again.read_bytes()
        else:
            with xr.open_dataset(first) as a, xr.open_dataset(again) as b:
                xr.testing.assert_identical(a.load(), b.load())


def test_a_line_of_several_is_chosen_by_its_glacier(cube):
    path = demo_path().centreline
    with pytest.raises(OutlineError, match="lines: choose one"):
        as_line(path)
    line = as_line(path, rgi_id="rgi2000-v7.0-g-05-90002")
    assert len(line) > 2
    with pytest.raises(OutlineError, match="no line of RGI60"):
        as_line(path, rgi_id="RGI60-01.00001")


@pytest.mark.parametrize(
    "line",
    [
        [(1, 2)], [(1, 2), (3, np.nan)], [(1, 2, 3), (4, 5, 6)], 5, "missing.gpkg", [(500_000, 7e6), (1, 2)],
        shapely.Point(1, 2), shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3)]]), [("a", "b")] * 2,
    ],
)  # fmt: skip
def test_lines_that_are_none(line):
    with pytest.raises(OutlineError):
        as_line(line)


def test_spacings_and_places_that_cannot_be(cube):
    for spacing in (0.0, -5.0, np.nan, 1e-9):
        with pytest.raises(SettingsError, match="spacing"):
            itslive.profile(cube, LINE, FAST, spacing=spacing)
    with pytest.raises(SettingsError, match="no length"):
        itslive.profile(cube, [LINE[0], LINE[0]], FAST)
    with pytest.raises(SelectionError, match="no point of the line has a series"):
        itslive.profile(cube, [(7, 46), (7.01, 46)], FAST)
    with pytest.raises(ItsliveError):
        itslive.profile(cube, LINE, FAST, selection=PairSelection(start="2050"))


def test_across_the_antimeridian():
    distance, lon, lat = points_along(np.array([[179.99, -80.0], [180.01, -80.0]]), 50.0)
    assert distance[-1] <= GEOD.inv(179.99, -80.0, 180.01, -80.0)[2]
    assert ((lon > 179.9) | (lon < -179.9)).all()
    np.testing.assert_allclose(lat, -80.0, atol=1e-3)


def test_the_shell_says_what_is_missing(cube, tmp_path, capfd):
    command = ["profile", cube.url, "-o", str(tmp_path / "line.nc")]
    assert run(command) == 2
    assert "--line" in capfd.readouterr().err
    assert run([*command, "--line", str(tmp_path / "no.geojson")]) == 1
    assert "no.geojson" in capfd.readouterr().err
    assert not Path(tmp_path / "line.nc").exists()
