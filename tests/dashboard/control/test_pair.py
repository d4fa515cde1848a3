"""The pair that was clicked, what is left out because of it, and the way back, without a browser."""

from __future__ import annotations

import time

import numpy as np
import pytest

import itslive_core as itslive
from dashboard.address import apply_query, query_of
from dashboard.application import Dashboard
from dashboard.control.session import Session
from dashboard.extension import prepare
from dashboard.runner import JobRunner
from dashboard.state.filters import MOST_LEFT_OUT
from dashboard.state.history import MOST_STEPS, History
from dashboard.views.pair_card import pair_html
from itslive_core.retelling import as_python
from itslive_core.series.recipe import Recipe
from tests import waiting
from tests.tiny_cube import write_cube


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A dashboard on a tiny cube, with the series of a pixel."""
    prepare()
    known = write_cube(tmp_path_factory.mktemp("cube") / "cube.zarr", empty=0.2, repeated=0.0, seed=4)
    app = Dashboard(str(known.path), begin="map")
    app.session.settings.param.update(auto_smoothing=False, log_smoothing=1.0, robust=False)
    app.start()
    wait(app, lambda: app.session.selection.cube is not None)
    app.series.add(app.session.selection.cube, x=float(known.x[4]), y=float(known.y[5]))
    wait(app, lambda: app.series.fit is not None)
    yield app
    app.close()


def wait(app, condition):
    def drive():
        app.session.runner.drain()
        app.session.runner.catch_up()
        time.sleep(0.005)

    waiting.until(condition, usual=60, between=drive, what=lambda: app.session.messages.text)


def test_a_card_tells_of_the_pair_and_leaving_out_is_the_cores_own(app):
    fit = app.series.fit
    row = int(np.flatnonzero(fit.bars.keep)[7])
    app.pair.pick([row, row + 1])
    wait(app, lambda: app.pair.picked.verdict is not None and app.pair.picked.granule is not None)
    picked = app.pair.picked
    assert picked.of == 2
    table = itslive.diagnose(fit.pairs, fit.settings, selection=fit.selection).pairs
    assert picked.verdict.weight == table["weight"][picked.row] == 1.0
    assert picked.verdict.along == table["residual"][picked.row]
    told = pair_html(picked)
    assert "Residual" in told
    assert f"{fit.pairs.span[picked.row]:.1f} days" in told
    assert "https://synthetic.invalid/" in told

    app.pair.leave_out("first")
    wait(app, lambda: app.series.fit is not fit)
    without = app.series.fit
    assert without.bars.left_out.sum() == picked.count(picked.images[0])
    assert not (without.bars.keep & without.bars.left_out).any()
    alone = fit.pairs.select(leave_out=picked.images[0])
    np.testing.assert_array_equal(without.series["v"], itslive.invert(alone, fit.settings)["v"])
    assert "Left out by hand" in pair_html(app.pair.picked)

    recipe = Recipe.from_json(without.series.attrs["recipe"])
    assert f"leave_out=({picked.images[0]!r},)" in as_python(recipe)
    query = {key: str(value) for key, value in query_of(app.session).items()}
    other = Session(JobRunner())
    apply_query(other, query)
    assert other.choices().selection == without.selection

    app.pair.take_back()
    wait(app, lambda: app.series.fit is not without)
    np.testing.assert_array_equal(app.series.fit.series["v"], fit.series["v"])
    app.pair.another()
    assert app.pair.picked.row != picked.row
    app.pair.close()
    assert app.pair.picked is None


def test_undo_and_redo_bring_back_settings_filters_pairs_and_points(app):
    app.history.begin()
    session, first = app.session, app.session.selection.point
    before = app.series.fit.series["v"].values
    session.settings.robust = True
    session.filters.leave(app.series.fit.pairs.names()[0])
    session.filters.missions = ["S2", "L8_9"]
    app.series.add(session.selection.cube, x=first.x + 240.0, y=first.y)
    assert first not in session.selection.points
    for _ in range(4):
        assert app.history.can_undo
        app.history.undo()
    assert not app.history.can_undo
    assert (session.settings.robust, session.filters.leave_out) == (False, [])
    assert session.selection.points == [first]
    wait(app, lambda: app.series.fit is not None and app.series.fit.settings.robust is False)
    wait(app, lambda: app.session.runner.working == 0)
    np.testing.assert_array_equal(app.series.fit.series["v"].values, before)
    for _ in range(4):
        app.history.redo()
    assert not app.history.can_redo
    assert session.filters.missions == ["S2", "L8_9"]
    assert session.settings.robust
    assert session.selection.point.x == first.x + 240.0
    app.history.undo()
    session.settings.interval = 24.0
    assert not app.history.can_redo, "another choice is another way"
    while app.history.can_undo:
        app.history.undo()


def test_what_follows_by_itself_is_no_step(app):
    app.history.begin()
    app.session.settings.auto_smoothing = True
    app.session.settings.log_smoothing = 2.5  # as it follows the data
    app.history.undo()
    assert not app.history.can_undo
    assert app.session.settings.log_smoothing == 1.0


def test_a_slider_that_is_moved_is_one_step_and_the_steps_are_bounded():
    now = [0.0]
    history = History({"x": 0, "y": 0}, clock=lambda: now[0])
    for value in range(1, 9):
        now[0] += 0.2
        history.record({"x": value, "y": 0})
    now[0] += 0.1
    history.record({"x": 8, "y": 1})
    assert history.undo() == {"x": 8, "y": 0}
    assert history.undo() == {"x": 0, "y": 0}
    assert not history.can_undo
    for value in range(3 * MOST_STEPS):
        now[0] += 10.0
        history.record({"x": -value, "y": 2})
    steps = 0
    while history.can_undo:
        history.undo()
        steps += 1
    assert steps == MOST_STEPS


def test_no_more_is_left_out_than_a_link_holds_and_nonsense_in_one_is_ignored(app):
    filters = app.session.filters
    names = [f"2A@2019-06-{1 + n // 24:02d}T{n % 24:02d}:00" for n in range(MOST_LEFT_OUT)]
    filters.leave_out = names
    with pytest.raises(itslive.errors.SettingsError, match="a link holds no more"):
        filters.leave("2B@2019")
    filters.take_back()
    session = Session(JobRunner())
    nonsense = {"leave_out": "<script>", "start": "1066-01-01", "min_span": "9", "max_span": "3"}
    apply_query(session, nonsense)
    assert session.filters.to_core() == itslive.PairSelection()
