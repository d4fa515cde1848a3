"""State without a view: bounds, presets, selection, addresses."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest
import shapely

from dashboard.address import apply_query, query_of
from dashboard.control.session import Session
from dashboard.runner import JobRunner
from dashboard.state.filters import Filters
from dashboard.state.selection import MAX_POINTS, Point, Selection
from dashboard.state.settings import PRESETS, Settings
from itslive_core import Glacier, InversionSettings
from itslive_core.errors import SettingsError
from itslive_core.inversion.settings import PRESETS as CORE_PRESETS


def test_state_needs_no_panel():
    code = (
        "import dashboard.state.settings, dashboard.state.filters, dashboard.state.selection, sys;"
        "print([m for m in ('panel', 'holoviews', 'bokeh') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_defaults_are_those_of_the_core():
    assert Settings().to_core() == InversionSettings()


def test_presets_set_and_name_themselves():
    settings = Settings()
    settings.preset = "ITS_LIVE-tool"
    assert settings.to_core() == InversionSettings.preset("itslive-tool")
    settings.interval = 24.0
    assert settings.preset == "Custom"
    settings.preset = "Recommended"
    assert settings.to_core() == InversionSettings()


@pytest.mark.parametrize(
    "values", [{"smoothing": 30.0, "derivative": 1}, {"interval": 5.0, "robust": False}, {}]
)
def test_settings_round_trip(values):
    core = InversionSettings(**values)
    settings = Settings()
    settings.from_core(core)
    back = settings.to_core()
    assert back.derivative == core.derivative
    assert back.interval == core.interval
    assert back.smoothing == pytest.approx(core.smoothing) if "smoothing" in values else back == core


def test_sessions_share_nothing():
    one, two = Filters(), Filters()
    one.missions = ["S1"]
    assert len(two.missions) > 1
    assert Selection().points is not Selection().points


def test_filters_at_the_ends_are_no_limits():
    filters = Filters()
    core = filters.to_core()
    assert (core.start, core.end, core.mission, core.min_span, core.max_span) == (None,) * 5
    filters.param.update(start=dt.date(2015, 1, 1), missions=["S1", "S2"], span=(6, 64))
    core = filters.to_core()
    assert (core.start, core.mission, core.min_span, core.max_span) == ("2015-01-01", ("S1", "S2"), 6.0, 64.0)


def test_impossible_filters_say_what_to_do():
    with pytest.raises(SettingsError, match="no mission"):
        Filters(missions=[]).to_core()
    with pytest.raises(SettingsError, match="earlier date first"):
        Filters(start=dt.date(2020, 1, 1), end=dt.date(2019, 1, 1)).to_core()


def point(x: float) -> Point:
    return Point(lon=-50.0, lat=69.0, x=x, y=0.0, cube_url="cube")


def test_points_replace_each_other_unless_compared():
    selection = Selection()
    selection.add_point(point(1))
    selection.add_point(point(2))
    assert [one.x for one in selection.points] == [2]
    selection.compare = True
    assert MAX_POINTS >= 11
    for x in range(3, 3 + MAX_POINTS):
        selection.add_point(point(x))
    assert len(selection.points) == MAX_POINTS
    assert len({one.slot for one in selection.points}) == MAX_POINTS
    again = selection.add_point(point(4))
    assert selection.point is again
    selection.remove_point(again)
    assert again not in selection.points


def test_the_smallest_glacier_at_a_place_is_meant():
    large = Glacier(shapely.box(0, 0, 2, 2), name="large")
    small = Glacier(shapely.box(0, 0, 1, 1), name="small")
    selection = Selection(known=[large, small])
    assert selection.glacier_at(0.5, 0.5) is small
    assert selection.glacier_at(1.5, 1.5) is large
    assert selection.glacier_at(5, 5) is None


def test_a_glacier_across_the_antimeridian_is_found_from_both_sides():
    glacier = Glacier(shapely.box(179.9, -78.6, 180.2, -78.4))
    selection = Selection(known=[glacier])
    for lon in (179.95, 180.0, -180.0, -179.85):
        assert selection.glacier_at(lon, -78.5) is glacier
    assert selection.glacier_at(-179.7, -78.5) is None


def test_address_round_trip_and_its_bounds():
    session, other = Session(JobRunner()), Session(JobRunner())
    session.settings.param.update(auto_smoothing=False, log_smoothing=1.5, derivative=1, interval=24.0)
    apply_query(other, query_of(session))
    assert other.settings.to_core().smoothing == session.settings.to_core().smoothing == 31.6227766017
    assert (other.settings.derivative, other.settings.interval) == (1, 24.0)


@pytest.mark.parametrize(
    "query",
    [
        {"lambda": "1e99"},
        {"lambda": "nan"},
        {"k": "7"},
        {"h": "-3"},
        {"h": "inf"},
        {"weights": "evil"},
        {"robust": "maybe"},
        {"outliers": "<script>"},
        {"lambda": None},
    ],
)
def test_untrusted_addresses_change_nothing(query):
    session = Session(JobRunner())
    apply_query(session, query)
    assert session.settings.to_core() == InversionSettings()


def test_a_lambda_set_by_hand_changes_lambda_only():
    settings = Settings()
    assert settings.to_core() == InversionSettings()
    settings.param.update(auto_smoothing=False, log_smoothing=2.0)
    core = settings.to_core()
    assert (core.learns_noise, core.estimates_offsets, core.varies_smoothing) == (True, True, True)
    assert core.smoothing == pytest.approx(100.0)
    settings.auto_smoothing = True
    assert settings.to_core() == InversionSettings()
    assert settings.preset == "Recommended"


def test_the_plain_preset_stays_plain_when_its_lambda_moves():
    settings = Settings()
    settings.preset = "ITS_LIVE-tool"
    settings.log_smoothing = 3.0
    core = settings.to_core()
    assert (core.learns_noise, core.estimates_offsets, core.varies_smoothing) == (False, False, False)
    assert settings.preset == "Custom"


def test_every_preset_of_the_core_is_offered():
    settings = Settings()
    assert sorted(PRESETS.values()) == sorted(CORE_PRESETS)
    for label, key in PRESETS.items():
        settings.preset = label
        core, wanted = settings.to_core(), InversionSettings.preset(key)
        for meaning in ("learns_noise", "estimates_offsets", "varies_smoothing"):
            assert getattr(core, meaning) == getattr(wanted, meaning), (key, meaning)
        assert settings.preset == label


def test_links_hold_choices_that_are_not_the_usual_ones():
    session, other = Session(JobRunner()), Session(JobRunner())
    assert "noise" not in query_of(session)
    session.settings.param.update(noise="formal", offsets="none", criterion="gcv")
    query = query_of(session)
    apply_query(other, query)
    assert other.settings.to_core() == session.settings.to_core()
    apply_query(other, {"noise": "<script>", "criterion": "9"})
    assert other.settings.noise == "formal"


def test_limits_of_rejections_may_be_empty_and_stay_within_bounds():
    session, other = Session(JobRunner()), Session(JobRunner())
    settings = session.settings
    assert settings.limit("max_angle", 500.0) == 180.0
    assert settings.limit("max_error", 60.0) == 60.0
    core = settings.to_core()
    assert (core.max_error, core.max_angle, core.max_deviation) == (60.0, 180.0, None)
    assert settings.preset == "Custom"
    apply_query(other, {**query_of(session), "max_deviation": "-3"})
    assert other.settings.to_core() == core
    settings.limit("max_error", None)
    settings.limit("max_angle", None)
    assert settings.to_core() == InversionSettings()


def test_a_point_may_be_kept_once_without_comparing():
    selection = Selection()
    selection.add_point(point(1))
    selection.add_point(point(2), keep=True)
    assert [one.x for one in selection.points] == [1, 2]
    assert len({one.colour for one in selection.points}) == 2
    selection.add_point(point(3))
    assert [one.x for one in selection.points] == [3]
