"""Estimators without widgets of their own: chosen by name, set by what their settings say, kept in a link."""

from __future__ import annotations

import pytest

from dashboard.address import OWN_KEYS, apply_query, query_of
from dashboard.control.session import Session
from dashboard.runner import JobRunner
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.state.estimators import METHODS, OTHERS
from itslive_core import MovingMedianSettings


@pytest.fixture
def session() -> Session:
    return Session(JobRunner())


def test_the_moving_median_is_a_choice(session: Session):
    assert METHODS["Moving median"] == "median"
    assert set(OTHERS) == {"median"}
    session.estimators.method = "median"
    session.estimators.others["median"].param.update(window=60.0, weights="none")
    session.settings.interval = 24.0
    session.settings.limit("max_angle", 45.0)
    choices = session.choices()
    assert choices is not None
    assert not choices.inverts
    wanted = MovingMedianSettings(interval=24.0, window=60.0, weights="none", max_angle=45.0)
    assert choices.process == choices.of_area == wanted


def test_a_link_leads_back_to_it(session: Session):
    session.estimators.method = "median"
    session.estimators.others["median"].param.update(window=120.0, least_pairs=7)
    query = query_of(session)
    assert query["method"] == "median"
    assert query["median_window"] == "120"
    assert set(query) <= OWN_KEYS
    other = Session(JobRunner())
    apply_query(other, {key: str(value) for key, value in query.items()})
    assert other.choices() == session.choices()


@pytest.mark.parametrize("value", ["-5", "1e9", "long", ""])
def test_what_is_impossible_in_a_link_is_left_out(session: Session, value: str):
    apply_query(session, {"method": "median", "median_window": value})
    choices = session.choices()
    assert choices is not None
    assert choices.process == MovingMedianSettings()


def test_its_widgets_are_shown_with_it(session: Session):
    panel = EstimatePanel(session.settings, session.estimators)
    shown = {}
    for method in METHODS.values():
        session.estimators.method = method
        shown[method] = panel.of_others["median"].visible, panel.of_inversion.visible
    assert shown == {
        "inversion": (False, True),
        "gp": (False, False),
        "both": (False, True),
        "median": (True, False),
    }
    names = {one for widget in panel.of_others["median"] for one in widget.css_classes}
    assert names == {"itslive-median-window", "itslive-median-least-pairs", "itslive-median-weights"}


def test_a_move_of_its_settings_asks_for_another_series(session: Session):
    seen = []
    session.estimators.watch(lambda *events: seen.extend(event.name for event in events))
    session.estimators.others["median"].window = 45.0
    session.estimators.method = "median"
    assert seen == ["window", "method"]
