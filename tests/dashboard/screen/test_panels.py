"""The widgets beside the maps."""

from __future__ import annotations

import pytest

from dashboard.extension import prepare
from dashboard.screen.estimate_panel import EstimatePanel
from dashboard.screen.panels import SelectionPanel
from dashboard.state.estimators import Estimators
from dashboard.state.selection import Point, Selection
from dashboard.state.settings import Settings
from itslive_core import InversionSettings


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


def test_fields_of_limits_put_numbers_right():
    settings = Settings()
    panel = EstimatePanel(settings, Estimators())
    field = panel.limits["max_angle"]
    assert field.value == ""
    field.value = "500"
    assert settings.max_angle == 180.0
    for text in ("all", "nan"):
        field.value = text
        assert settings.max_angle == 180.0
        assert field.value == "180"
    field.value = " "
    assert settings.max_angle is None
    assert field.value == ""
    settings.from_core(InversionSettings(max_error=40.0))
    assert panel.limits["max_error"].value == "40"


def test_rows_of_selected_points_stay_unless_their_order_changes():
    selection = Selection(compare=True)
    panel = SelectionPanel(selection, lambda _: None, lambda _name, act: act())
    first = selection.add_point(Point(0.0, 0.0, 1.0, 1.0, "cube"))
    (row, _switch) = panel.layout.objects
    second = selection.add_point(Point(0.0, 0.0, 2.0, 2.0, "cube"))
    newer, same, _switch = panel.layout.objects
    assert same is row
    assert (newer[0].color, same[0].color) == ("primary", "default")
    newer[1].clicks += 1
    assert selection.points == [first]
    assert panel.layout.objects[0] is row
    assert row[0].color == "primary"
    second = selection.add_point(second)
    panel.layout.objects[1][0].clicks += 1
    assert selection.point is first
    assert selection.points[0] == second
    assert row not in panel.layout.objects
    assert [one[0].color for one in panel.layout.objects[:2]] == ["primary", "default"]
