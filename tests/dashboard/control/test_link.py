"""A link leads back to what was on the screen, and nowhere else."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from urllib.parse import urlencode

import numpy as np
import pytest
import shapely

from dashboard.address import OWN_KEYS, apply_query, query_in, query_of
from dashboard.application import Dashboard
from dashboard.control.link import LinkedPoint, Place, content_of, missing, place_in, restore, written_place
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.state.mirror import bounds_of
from dashboard.state.selection import MAX_POINTS, Point
from itslive_core import Glacier, open_cube
from itslive_core.observations.missions import MISSIONS
from itslive_core.settings import Choice, Flag, Number
from tests import waiting
from tests.tiny_cube import write_cube


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    known = write_cube(tmp_path_factory.mktemp("cube") / "a cube.zarr", empty=0.2, repeated=0.0, seed=4)
    return open_cube(str(known.path))


def chosen(session):
    """All that a person chose, but lambda where the data choose it, which the slider only follows."""
    found = {}
    for group, (state, names) in session.chosen().items():
        found |= {f"{group}.{name}": getattr(state, name) for name in names}
    del found["settings.log_smoothing"]  # several logarithms are of one lambda
    if not session.settings.auto_smoothing:
        found["lambda"] = session.settings.smoothing
    if session.settings.neighbours != "fixed":
        del found["settings.mu"]
    looks = {name: getattr(session.looks, name) for name in session.looks.FIELDS}
    return {**found, **looks, "points": session.selection.points}


def value_of(kind, now, rng):
    """Any value that a setting may have."""
    if isinstance(kind, Flag):
        return bool(rng.integers(2))
    if isinstance(kind, Choice):
        names = tuple(kind.names.values()) or tuple(
            one for one in kind.choices if one != "auto" or now == "auto"
        )
        return names[rng.integers(len(names))]
    assert isinstance(kind, Number)
    low, high = bounds_of(kind)
    value = low + (high - low) * rng.random()
    return round(value) if kind.whole else value


def any_session(cube, rng):
    """A session in which a person chose this and that."""
    session = Session(JobRunner())
    settings = session.settings
    for state in (settings, session.estimators, *session.estimators.others.values()):
        for name, kind in state.kinds.items():
            if rng.random() < 0.3 and name != "device":
                state.param.update(**{name: value_of(kind, getattr(state, name), rng)})
    settings.param.update(auto_smoothing=bool(rng.integers(2)), log_smoothing=rng.uniform(-2, 6))
    settings.param.update(
        neighbours=["none", "auto", "fixed"][rng.integers(3)], mu=float(rng.uniform(0.001, 9))
    )
    first, last = sorted(int(one) for one in rng.integers(0, 14_000, 2))
    begin, low, high = dt.date(1990, 1, 1), *sorted(int(one) for one in rng.integers(0, 801, 2))
    session.filters.param.update(
        start=begin + dt.timedelta(first),
        end=begin + dt.timedelta(last),
        missions=[one for one in MISSIONS if rng.random() < 0.7] or [MISSIONS[0]],
        span=(low, high),
    )
    for name in session.looks.FIELDS:
        parameter = session.looks.param[name]
        choices = list(getattr(parameter, "objects", [True, False]))
        setattr(session.looks, name, choices[rng.integers(len(choices))])
    session.selection.param.update(cubes=[cube], cube=cube)
    slots = rng.permutation(MAX_POINTS)[: rng.integers(0, MAX_POINTS + 1)]
    pixels = [cube.locate(x=float(rng.choice(cube.x)), y=float(rng.choice(cube.y))) for _ in slots]
    session.selection.restore(
        [
            Point(one.lon, one.lat, one.x, one.y, cube.url, int(k))
            for one, k in zip(pixels, slots, strict=True)
        ]
    )
    return session


def test_a_thousand_states_come_back_from_their_links(cube):
    rng = np.random.default_rng(15)
    longest = 0
    for _ in range(1000):
        session = any_session(cube, rng)
        link = urlencode({**written_place(session, [cube.url]), **query_of(session)}, safe=":/@,;|~")
        longest = max(longest, len(link))
        query = query_in("?" + link)
        assert set(query) <= OWN_KEYS
        other = Session(JobRunner())
        other.selection.param.update(cubes=[cube], cube=cube)
        apply_query(other, query)
        assert restore(other, place_in(query), cube, [cube.url], lambda: None) == ""
        assert chosen(other) == chosen(session)
    assert longest < 2000


def test_a_cube_of_its_maker_goes_by_name_and_content(cube, tmp_path):
    session = Session(JobRunner())
    pixel = cube.locate(x=float(cube.x[3]), y=float(cube.y[4]))
    session.selection.param.update(cubes=[cube], cube=cube)
    session.selection.add_point(Point(pixel.lon, pixel.lat, pixel.x, pixel.y, cube.url))
    written = written_place(session, [])
    assert written["cube"] == f"~a_cube.zarr~{content_of(cube)}"
    assert str(tmp_path.parent) not in str(written)
    place = place_in(written)
    other = write_cube(tmp_path / "other.zarr", empty=0.2, repeated=0.0, seed=5)
    assert missing(place, [open_cube(str(other.path))]) == ([], ["a_cube.zarr"])
    copy = write_cube(tmp_path / "copy.zarr", empty=0.2, repeated=0.0, seed=4)
    mine = open_cube(str(copy.path))
    assert missing(place, [mine]) == ([], [])
    there = Session(JobRunner())
    there.selection.param.update(cubes=[mine], cube=mine)
    note = restore(there, replace(place, data="2001-01-01"), mine, [], lambda: None)
    assert (there.selection.point.x, there.selection.point.cube_url) == (pixel.x, mine.url)
    assert "changed since this link was made" in note
    assert "2001-01-01" in note


@pytest.mark.parametrize(
    "cube",
    [
        "/etc/passwd",
        "file:///etc",
        "https://host/x.zarr::file:///etc",
        "~../../etc~0123456789ab",
        "s3://" + "x" * 600,
    ],
)
def test_a_link_opens_no_file_of_the_server(cube):
    query = {"cube": cube, "lon": "1", "lat": "2"}
    assert place_in(query) == Place((LinkedPoint(1.0, 2.0),))
    assert place_in({**query, "cubes": f"{cube}|{cube}", "points": "1,2,0,1"}).points[0].cube == ""


@pytest.mark.parametrize(
    "points",
    ["1", "1,200,0", "nan,1,0", "1,2,99", "1,2,-1", "1,2,0,7", "1,2,0;3,4,0", "a,b", "<script>", ";;;"],
)
def test_points_that_make_no_sense_are_left_out(points):
    assert place_in({"points": points}).points == ()
    words = {"layer": "<b>", "time": "tomorrow", "data": "x y", "glacier": "a/b" * 40}
    assert place_in(words) == Place()


def wait(app, condition):
    def drive():
        app.session.runner.drain()
        app.session.runner.catch_up()
        time.sleep(0.005)

    waiting.until(condition, usual=60, between=drive, what=lambda: app.session.messages.text)


def test_the_curves_of_a_link_are_the_same_to_the_last_digit(cube):
    """Two points, filters and both estimators, opened by somebody else who has a copy of the cube."""
    prepare()
    around = Glacier(shapely.box(*cube.lonlat_bounds), name="around")
    apps = [Dashboard(cube.url, around, begin="map") for _ in range(2)]
    first, second = apps
    first.session.filters.param.update(start=dt.date(2014, 1, 1))
    first.session.estimators.method = "both"
    first.start()
    wait(first, lambda: first.session.selection.cube is not None)
    for k in (4, 6):
        first.series.add(first.session.selection.cube, keep=True, x=float(cube.x[k]), y=float(cube.y[5]))

    def settled(app):
        known = app.series.processes.values()
        return len(known) == 2 and not any(one.pending for one in known)

    wait(first, lambda: settled(first))
    query = query_in(urlencode({**written_place(first.session, []), **query_of(first.session)}))
    apply_query(second.session, query)
    second._place = place_in(query)
    second.start()
    wait(second, lambda: settled(second))
    for known in ("fits", "processes"):
        mine, theirs = (
            [getattr(app.series, known)[point.key].series for point in app.session.selection.points]
            for app in apps
        )
        assert len(mine) == len(theirs) == 2
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(one.v, other.v)
    for app in apps:
        app.close()
