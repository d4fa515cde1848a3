"""Lines, their profiles through the real worker, and clicks in the picture; no page."""

from __future__ import annotations

import json
import time
import zipfile

import numpy as np
import pytest
import xarray as xr

import itslive_core as itslive
from dashboard.application import Dashboard
from dashboard.extension import prepare
from dashboard.hosting.host import Host
from dashboard.hosting.rules import HOME, PUBLIC
from itslive_core.demo import demo_path
from itslive_core.places.geodesy import LONLAT, transformer
from tests.waiting import until

LINE = [(-50.14, 69.3143), (-50.12, 69.3143), (-50.115, 69.316)]


@pytest.fixture(scope="module")
def desk():
    """The demo's glacier, with settings that are quick."""
    prepare()
    app = Dashboard(example="synthetic", begin="map")
    app.session.settings.param.update(
        auto_smoothing=False, log_smoothing=2.0, interval=60.0, robust=False, outliers="none"
    )
    app.start()
    wait(app, lambda: app.session.selection.known)
    app.places.select(app.session.selection.known[0])
    wait(app, lambda: app.area.cubes)
    yield app
    app.close()


def wait(app, condition):
    def drive():
        app.session.runner.drain()
        app.session.runner.catch_up()
        app.session.runner._do_due()
        time.sleep(0.005)

    until(condition, usual=60, between=drive, what=lambda: app.session.messages.text or app.space_time.status)


def test_a_drawn_line_is_estimated_shown_marked_and_saved(desk, tmp_path):
    lines, control, tab = desk.session.lines, desk.space_time, desk.frame.space_time
    assert [one.label for one in lines.lines] == ["Centreline 1"], "the demo's"
    assert control.result is None, "nobody looks"
    lines.begin()
    for lon, lat in (*LINE, LINE[-1]):  # a double click
        desk._click_glacier(*transformer(LONLAT, desk.area.cubes[0].crs).transform(lon, lat))
    assert desk.session.selection.points == [], "clicks are vertices"
    lines.finish()
    assert lines.active.label == "Drawn 1"
    np.testing.assert_allclose(lines.active.vertices, LINE, atol=1e-9)
    lines.points = 50
    desk.frame.series.tabs.active = 1
    wait(desk, lambda: control.result is not None and not control.progress.running)
    assert "points, every" in control.status
    spacing = float(control.result["distance"][1])
    expected = itslive.profile(
        desk.area.cubes, lines.active.vertices, desk.session.choices().settings, spacing=spacing
    )
    np.testing.assert_array_equal(control.result["v"], expected["v"])

    moment = float(np.datetime64("2018-07-01", "ms").astype(float))
    control.pick(moment, 3.2 * spacing)
    assert lines.place == pytest.approx(3.2 * spacing)
    assert desk.area.moment == np.datetime64("2018-07-01")
    assert control.view._cursor.location == moment
    assert desk.series_view.overlay._cursor.location == moment
    assert len(desk.glacier_map.track._marked.data["x"]) == 1
    assert control.view._profile_pipe.data["value"].notna().any()
    control.pick(moment, 0.0, shift=True)
    wait(desk, lambda: len(desk.series.fits) == 1)

    lines.measuring = True
    control.pick(moment, 0.0)
    control.pick(moment + 300 * 86.4e6, 600.0)
    assert control.front.startswith("Front: 730 ± ")
    control.pick(moment, 0.0)
    control.pick(moment, 600.0)
    assert "further apart in time" in control.front
    lines.measuring = False
    lines.quantity = "anomaly"
    assert control.view.picture.limits[0] < 0.0
    lines.quantity = "speed"

    (tmp_path / "line.nc").write_bytes(tab._file("nc").read())
    with xr.open_dataset(tmp_path / "line.nc") as ds:
        np.testing.assert_array_equal(ds["v"].transpose(*expected["v"].dims), expected["v"])
        assert json.loads(ds.attrs["recipe"])["settings"]["interval"] == 60.0
    with zipfile.ZipFile(tab._file("csv")) as archive:
        assert archive.namelist() == ["profile.csv", "profile.csv.recipe.json"]

    before = control.result
    desk.session.settings.log_smoothing = 3.0
    wait(desk, lambda: control.result is not before and not control.progress.running)
    assert not np.array_equal(control.result["v"], expected["v"], equal_nan=True), "it follows the settings"
    lines.remove(lines.active)
    assert lines.active.label == "Centreline 1"
    desk.frame.series.tabs.active = 0


def test_a_profile_can_be_stopped_and_keeps_what_is_there(desk):
    lines, control = desk.session.lines, desk.space_time
    desk.session.settings.auto_smoothing = True
    lines.points = 400
    desk.frame.series.tabs.active = 1
    wait(desk, lambda: control.progress.running and control.result is not None)
    control.stop()
    assert control.progress.stopping
    wait(desk, lambda: not control.progress.running)
    assert control.status.startswith("Stopped. ")
    assert control.result is not None
    desk.session.settings.auto_smoothing = False
    desk.frame.series.tabs.active = 0


@pytest.mark.parametrize("rules", [HOME, PUBLIC])
def test_files_of_lines_are_bounded_and_refused_in_a_sentence(rules):
    prepare()
    app = Dashboard(demo=False, host=Host(rules))
    control, messages, lines = app.space_time, app.session.messages, app.session.lines
    control.upload(b"x", "/etc/line.exe")
    assert "is no file of lines" in messages.text
    for content, words in (
        (b"lon,lat\n1,2\n3,?", "line.csv is no line: line 3"),
        (b"lon,lat\n" + b"1,2\n" * (rules.vertices + 2), "vertices" if rules.public else ""),
    ):
        messages.clear()
        control.upload(content, "line.csv")
        wait(app, lambda: not messages.activity)
        assert words in messages.text or not words
    if rules.public:
        control.upload(b" " * (rules.upload + 1), "line.csv")
        wait(app, lambda: "larger than 10 MB" in messages.text)
    control.upload(demo_path().centreline.read_bytes(), "lines.geojson")
    wait(app, lambda: any(one.label.startswith("lines") for one in lines.lines))
    assert "tmp" not in messages.text
    app.close()
