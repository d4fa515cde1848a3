"""A glacier over several cubes on the glacier map: read from all of them, shown on one map."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

import itslive_core as itslive
from dashboard.control.area import AreaControl
from dashboard.control.canvas import Canvas
from dashboard.control.lookup import cubes_for, words_of_cubes
from dashboard.control.places import PlaceControl
from dashboard.control.session import Session
from dashboard.runner import JobRunner
from dashboard.state.selection import Point
from dashboard.views.glacier_map import GlacierMapView
from itslive_core import Glacier, open_cube
from tests.joined_cubes import MIDDLE, Field, box_between, write_cut
from tests.waiting import until

GLACIER = Glacier(box_between((-11.2, 10.3), (-5.1, 5.2)), None, "Between", 3.2, {})


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zones")
    west = write_cut(folder / "west.zarr", Field(), 32646, (-12, 4))
    east = write_cut(folder / "east.zarr", Field(), 32647, (-2, 16), (-8, 8))
    (folder / "catalog.csv").write_text(
        f"epsg,cx,cy,version,location\n32646,750000,2850000,v2,{west}\n32647,250000,2850000,v2,{east}\n"
    )
    return {"west": west, "east": east, "catalog": folder / "catalog.csv"}


@pytest.fixture
def catalog(paths, monkeypatch):
    monkeypatch.setenv("ITSLIVE_CATALOG", str(paths["catalog"]))


@pytest.fixture
def cubes(paths):
    return [open_cube(paths[name]) for name in ("west", "east")]


def names(cubes) -> list[str]:
    return [cube.url.rpartition("/")[2].partition(".")[0] for cube in cubes]


@pytest.mark.usefixtures("catalog")
def test_the_catalog_gives_all_cubes_that_a_glacier_needs(cubes):
    assert names(cubes_for(GLACIER, MIDDLE, [], open_cube)) == ["west", "east"]
    inside = Glacier(box_between((-11.0, -1.0), (-5.0, 5.0)), None, None, 1.0, {})
    assert names(cubes_for(inside, MIDDLE, [], open_cube)) == ["west"]
    # One that is open brings the other with it; the map stays that of most of the glacier.
    for one in cubes:
        assert names(cubes_for(GLACIER, MIDDLE, [one], open_cube)) == ["west", "east"]
    assert "of EPSG:32646 and EPSG:32647, and shown on the map of EPSG:32646" in words_of_cubes(cubes)
    assert words_of_cubes(cubes[:1]) == ""


def test_cubes_of_a_persons_own_stay_among_themselves(cubes, paths, tmp_path, monkeypatch):
    (tmp_path / "catalog.csv").write_text(
        f"epsg,cx,cy,version,location\n32646,750000,2850000,v2,{paths['west']}\n"
    )
    monkeypatch.setenv("ITSLIVE_CATALOG", str(tmp_path / "catalog.csv"))
    assert names(cubes_for(GLACIER, MIDDLE, cubes[1:], open_cube)) == ["east"]
    far = (MIDDLE[0] - 0.01, MIDDLE[1])  # on the western cube only
    assert names(cubes_for(GLACIER, far, cubes, open_cube)) == ["west", "east"]


@pytest.mark.usefixtures("catalog")
def test_a_glacier_over_two_zones_is_told_and_its_point_read_where_it_lies(monkeypatch):
    session, seen = Session(JobRunner()), {}
    places = PlaceControl(
        session,
        lambda _, cubes: seen.update(cubes=names(cubes)),
        lambda cube, *here: seen.update(cube=names([cube]), here=here),
        lambda _: None,
    )
    monkeypatch.setattr(
        places, "_run", lambda lane, what, work, act: [act(found) for found in work(lambda: False)]
    )
    here = MIDDLE[0] + 0.01, MIDDLE[1]
    places.select(GLACIER, here)
    assert seen == {"cubes": ["west", "east"], "cube": ["east"], "here": here}
    assert "shown on the map of EPSG:32646" in session.messages.text


def test_the_canvas_goes_as_far_as_the_cubes_of_other_zones(cubes):
    outline = GLACIER.outline_in(cubes[0].crs)
    canvas = Canvas.around(cubes, outline.bounds)
    assert canvas.x[-1] > cubes[0].x.max() + 500.0
    assert np.allclose(np.diff(canvas.x), 120.0)
    assert np.abs((canvas.x - cubes[0].x[0]) / 120.0 % 1.0).max() < 1e-6
    assert canvas.x[-1] <= outline.bounds[2] + 120.0
    wide = Canvas.around(cubes, (0.0, 0.0, 1e7, 1e7))
    assert wide.median.size < 3 * np.prod(cubes[1].shape), "not further"


def test_the_whole_glacier_is_read_and_estimated_on_one_map(cubes):
    session, shown = Session(JobRunner()), []
    area = AreaControl(session, GlacierMapView(lambda *_: None), lambda x, y: shown.append((x, y)))
    assert area.cube_at(0.0, 0.0) is None
    session.selection.param.update(glaciers=[GLACIER])
    session.settings.param.update(
        auto_smoothing=False, log_smoothing=1.0, interval=48.0, robust=False, outliers="none", noise="formal"
    )
    turn = {"usual": 60, "between": lambda: time.sleep(0 if session.runner.drain() else 0.02)}
    inside = GLACIER.contains
    area.first_wanted = True
    area.show(GLACIER, cubes)
    expected = inside(area.canvas.x, area.canvas.y, cubes[0].crs)
    until(lambda: bool(shown), **turn)
    np.testing.assert_array_equal(np.isfinite(area.canvas.median), expected)
    area.invert()
    until(lambda: not area.progress.running, **turn)
    assert area.progress.text.startswith("Done: ")
    assert area.progress.text.endswith(", from 2 datacubes")
    np.testing.assert_array_equal(np.isfinite(area.canvas.mean), expected)
    assert np.isfinite(area.canvas.stack).any(axis=0)[expected].all()
    # A click gives the series of the pixel that the map shows, whichever cube has it.
    for place, name in (((-600.0, 0.0), "west"), ((900.0, 120.0), "east")):
        x, y = (float(v) for v in np.add((799_935.0, cubes[0].y[6]), place))
        cube, position = area.cube_at(x, y)
        assert names([cube]) == [name]
        pixel = cube.locate(**position)
        series = itslive.invert(cube.pairs_at(x=pixel.x, y=pixel.y), session.choices().of_area)
        col, row = np.argmin(np.abs(area.canvas.x - x)), np.argmin(np.abs(area.canvas.y - y))
        at = np.isin(area.canvas.times, series["time"].values)
        np.testing.assert_allclose(area.canvas.stack[at, row, col], series["v"], rtol=1e-4)
        [mark] = area.on_map([Point(pixel.lon, pixel.lat, pixel.x, pixel.y, cube.url)])
        assert np.hypot(mark.x - x, mark.y - y) < 90.0
    assert area.on_map([SimpleNamespace(cube_url="another")]) == []
