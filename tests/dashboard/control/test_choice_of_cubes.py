"""Which of two cubes of the same place was taken is said where a person looks."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely

from dashboard.control.area import AreaControl
from dashboard.control.lookup import words_of_open_cubes
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.views.glacier_map import GlacierMapView
from itslive_core import Glacier, open_cube
from tests.reading import write_arrays
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


@pytest.fixture(scope="module")
def cubes(tmp_path_factory):
    root = tmp_path_factory.mktemp("cubes")
    for name, n in (("a", 8), ("b", 20)):
        velocity = np.full((n, 4, 5), 25, dtype=np.int16)
        write_arrays(root / f"{name}.zarr", velocity, velocity)
    return [open_cube(root / "a.zarr"), open_cube(root / "b.zarr")]


def test_the_sentence_stands_below_the_map(cubes):
    session = Session(JobRunner())
    area = AreaControl(session, GlacierMapView(lambda _x, _y: None))
    west, south, east, north = cubes[0].lonlat_bounds
    outline = shapely.box(west, south, east, north)
    glacier = Glacier(outline, rgi_id=None, name="Ice", area_km2=None, attributes={})
    session.selection.param.update(glaciers=[glacier])
    session.settings.param.update(
        auto_smoothing=False, log_smoothing=1.0, interval=48.0, robust=False, outliers="none"
    )
    area.show(glacier, cubes)
    assert area.note == ""
    area.invert()
    until(
        lambda: not area.progress.running,
        usual=60,
        between=lambda: time.sleep(0 if session.runner.drain() else 0.02),
    )
    area.flush()
    assert session.messages.text == ""
    assert "pixels are in several datacubes" in area.note
    assert "b.zarr is used, because it has most image pairs, 20." in area.note
    area.mode = "median"
    assert area.note == ""


def test_of_two_open_cubes_the_newest_is_named(cubes):
    lon, lat = cubes[0].pixel(1, 1).lon, cubes[0].pixel(1, 1).lat
    words = words_of_open_cubes(cubes[1], (lon, lat), cubes)
    assert words.startswith("2 open datacubes hold this place: ")
    assert words.endswith("b.zarr is used, opened last.")
    assert words_of_open_cubes(cubes[1], (lon, lat), cubes[1:]) == ""
