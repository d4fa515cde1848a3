"""Clicks on figures: what counts as one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from bokeh.events import DoubleTap, Press, Tap
from bokeh.plotting import figure

from dashboard.views.clicks import on_tap


@pytest.fixture
def clicked():
    """A figure, and the clicks that it tells."""
    drawn, told = figure(), []
    plot = SimpleNamespace(handles={"plot": drawn})
    for _ in range(2):  # a figure that is drawn anew is told of once
        on_tap(plot, lambda x, y, shifted: told.append((x, y, shifted)))
    return drawn, told


def events(kind, drawn, sx: float, shift: bool = False):
    return kind(drawn, sx=sx, sy=10.0, x=sx / 10.0, y=1.0, modifiers={"shift": shift})


def test_a_click_a_long_one_and_a_fast_one_elsewhere_all_count(clicked):
    drawn, told = clicked
    drawn._trigger_event(events(Tap, drawn, 100.0))
    drawn._trigger_event(events(DoubleTap, drawn, 200.0, shift=True))
    drawn._trigger_event(events(Press, drawn, 300.0))
    assert told == [(10.0, 1.0, False), (20.0, 1.0, True), (30.0, 1.0, False)]


def test_a_double_click_at_one_place_is_one_click(clicked):
    drawn, told = clicked
    drawn._trigger_event(events(Tap, drawn, 100.0))
    drawn._trigger_event(events(DoubleTap, drawn, 103.0))
    assert told == [(10.0, 1.0, False)]
    drawn._trigger_event(events(DoubleTap, drawn, 110.0))
    assert len(told) == 2
