"""A reference in the dashboard: read, held against the series as it moves, drawn and told; no page."""

from __future__ import annotations

import time

import numpy as np
import pytest

import itslive_core as itslive
from dashboard.application import Dashboard
from dashboard.control import references
from dashboard.extension import prepare
from dashboard.hosting.host import Host
from dashboard.hosting.rules import PUBLIC
from dashboard.state.fit import shown_series
from dashboard.state.references import columns_of_reference, words_of_reference
from dashboard.views.references import one_to_one, reference_html, windows
from itslive_core.demo import demo_path
from tests.waiting import until

ROWS = (
    "start,end,vx [m/yr],vy [m/yr]\n2018-01-01,2018-04-01,100,0\n2018-04-01,2018-07-01,0,-200\n2018,?,1,1\n"
)


@pytest.fixture(scope="module")
def app():
    prepare()
    app = Dashboard(example="synthetic", begin="map", host=Host(PUBLIC))
    app.session.settings.param.update(
        auto_smoothing=False, log_smoothing=2.0, interval=30.0, robust=False, outliers="none"
    )
    app.start()
    wait(app, lambda: app.session.selection.cubes)
    cube = itslive.open_cube(demo_path().cubes[0])
    glacier = app.session.selection.known[0]
    row, column = np.argwhere(glacier.contains(cube.x, cube.y, cube.crs))[40]
    app.series.add(cube, x=float(cube.x[column]), y=float(cube.y[row]))
    wait(app, lambda: app.series.fit is not None and app.series.fit.series is not None)
    yield app
    app.close()


def wait(app, condition):
    def drive():
        app.session.runner.drain()
        app.session.runner.catch_up()
        time.sleep(0.005)

    until(condition, usual=60, between=drive, what=lambda: app.session.messages.text)


def test_a_reference_is_drawn_compared_and_follows_the_series(app, tmp_path):
    control, card = app.references, app.frame.series
    control.upload(ROWS.encode(), "gnss.csv")
    wait(app, lambda: control.held is not None and control.held.comparison is not None)
    (tmp_path / "gnss.csv").write_text(ROWS)
    expected = itslive.compare(shown_series(app.series.fit, None), tmp_path / "gnss.csv")
    found = control.held.comparison
    assert found.to_dict() == expected.to_dict()
    assert dict(words_of_reference(control.held, "v"))["RMSE"] == f"{expected.rmse:,.1f} m/yr"
    assert dict(words_of_reference(control.held, "vy"))["Windows"] == "2"
    assert dict(words_of_reference(control.held, "v"))["Rows left out"] == "1"
    assert "gnss.csv" in card._reference._words.object
    assert card._reference.layout.visible
    np.testing.assert_array_equal(app.series_view.overlay.reference._source.data["value"], [100.0, 200.0])
    card._component.value = "vy"
    np.testing.assert_array_equal(app.series_view.overlay.reference._source.data["value"], [0.0, -200.0])
    assert len(windows(found, "vy")) == 2
    np.testing.assert_array_equal(
        windows(found, "vy").dimension_values("reference"), found.table["vy_reference"]
    )
    ends = one_to_one(found, "vy").dimension_values("reference")
    assert ends[0] < -200.0
    card._component.value = "v"

    app.session.settings.log_smoothing = 4.0
    wait(app, lambda: control.held.comparison is not found)
    assert control.held.comparison.rmse != found.rmse, "it follows the settings"
    control.upload(b"time,v\n1900-01-01,5\n", "old.csv")
    wait(app, lambda: control.held.problem)
    assert "no window in common" in reference_html(control.held, "v")
    control.remove()
    assert not card._reference.layout.visible
    assert len(columns_of_reference(None, "v")["value"]) == 0


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"x", "a.exe", "is no table"),
        (b"hello\n1", "a.csv", "a.csv has no columns start and end, or time"),
        (b"time,v\nnever,1", "a.csv", "no usable row, the first because: line 2"),
        (b"time,v\n" + b"2018-01-01,1\n" * 30, "a.csv", "more than 20"),
        (b"time,v\n" + b" " * PUBLIC.upload, "a.csv", "larger than 10 MB"),
    ],
)
def test_what_is_no_reference_is_refused_in_a_sentence(app, content, name, words, monkeypatch):
    monkeypatch.setattr(references, "MOST_ROWS", 20)
    app.session.messages.clear()
    app.references.upload(content, name)
    wait(app, lambda: app.session.messages.text)
    assert words in app.session.messages.text
    assert "tmp" not in app.session.messages.text
    assert app.references.held is None
