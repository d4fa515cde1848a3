"""Image pairs as a user makes and filters them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itslive_core import ImagePairs, PairSelection
from itslive_core.errors import SettingsError
from itslive_core.observations.pairs import put_dates_right


@pytest.fixture
def pairs() -> ImagePairs:
    return ImagePairs.from_arrays(
        start=[18_000.25, 18_050.0, 18_020.0, 18_000.0, 18_000.0, np.nan, 18_000.0],
        end=[18_012.2501, 18_030.0, 18_420.0, 18_000.0, 18_010.0, 18_010.0, 18_010.0],
        vx=[10.0, 20.0, 30.0, 1.0, np.nan, 1.0, np.nan],
        vy=[-1.0, -2.0, -3.0, 1.0, 5.0, 1.0, np.nan],
        vx_error=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        satellite_1=["1A", "2A", "8", "8", "8", "8", "8"],
        satellite_2=["1B", "2B", "7", "8", "8", "8", "8"],
        n_layers=9,
        x=7e5, y=3e6, lon=95.0, lat=30.0, epsg=32646, cube_url="here", date_updated="now",
    )  # fmt: skip


def test_dates_are_put_right_and_losses_counted(pairs):
    assert len(pairs) == 3
    np.testing.assert_array_equal(pairs.start, [18_000.25, 18_030.0, 18_020.0])
    np.testing.assert_array_equal(pairs.end, [18_012.2501, 18_050.0, 18_420.0])
    assert (pairs.satellite_1.tolist(), pairs.satellite_2.tolist()) == (["1A", "2B", "8"], ["1B", "2A", "7"])
    assert pairs.mission.tolist() == ["S1", "S2", "L7"]
    assert [(s.name, s.kept, s.dropped) for s in pairs.history] == [
        ("read", 6, 3),
        ("components", 5, 1),
        ("valid_dates", 3, 2),
    ]
    assert pairs.history[2].note.endswith("1 with swapped dates put right")
    assert pairs.n_read == 6


def test_put_dates_right():
    start, end, usable, swapped = put_dates_right(
        np.array([2.0, 1.0, 1.0, np.nan]), np.array([1.0, 2.0, 1.0, 1.0])
    )
    np.testing.assert_array_equal(start[:3], [1, 1, 1])
    np.testing.assert_array_equal(end[:3], [2, 2, 1])
    assert usable.tolist() == [True, True, False, False]
    assert swapped.tolist() == [True, False, False, False]


def test_derived_columns(pairs):
    np.testing.assert_allclose(pairs.span, [12.0001, 20.0, 400.0])
    np.testing.assert_allclose(pairs.mid, 0.5 * (pairs.start + pairs.end))
    np.testing.assert_allclose(pairs.v, np.hypot(pairs.vx, pairs.vy))
    assert pairs.start_date[0] == np.datetime64("2019-04-14T06:00:00.000")
    assert np.isnan(pairs.vy_error).all()
    np.testing.assert_array_equal(pairs.vx_error, [1.0, 2.0, 3.0])


def test_dates_are_rounded_to_milliseconds():
    """A float of days is good to about 0.3 microseconds; nobody wants to see that noise."""
    moment = np.datetime64("2021-06-29T04:15:31.000")
    days = (moment - np.datetime64(0, "ms")) / np.timedelta64(86_400_000, "ms")
    pairs = ImagePairs.from_arrays([days], [days + 10.999999744], [1.0], [1.0])
    assert pairs.start_date[0] == moment
    assert pairs.end_date[0] == np.datetime64("2021-07-10T04:15:30.978")


def test_dates_may_be_datetimes():
    dates = np.array(["2020-01-01T12:00", "NaT"], dtype="datetime64[s]")
    pairs = ImagePairs.from_arrays(dates, dates + np.timedelta64(12, "h"), [1.0, 2.0], [1.0, 2.0])
    assert pairs.start.tolist() == [18_262.5]
    assert pairs.span.tolist() == [0.5]
    assert pairs.mission.tolist() == ["other"]


def test_mission_may_be_given_instead_of_satellites():
    pairs = ImagePairs.from_arrays([1.0, 2.0], [3.0, 4.0], [1, 2], [3, 4], mission=["S2", "L8_9"])
    assert pairs.mission.tolist() == ["S2", "L8_9"]
    assert len(pairs.select(mission="s2")) == 1


@pytest.mark.parametrize(
    "change", [{"vx": [1.0]}, {"end": [2.0]}, {"vx_error": [1.0, 2.0, 3.0]}, {"satellite_1": ["8"]}]
)
def test_lengths_must_agree(change):
    arrays = {"start": [1.0, 2.0], "end": [3.0, 4.0], "vx": [1.0, 1.0], "vy": [1.0, 1.0], **change}
    with pytest.raises(ValueError, match=r"same length|expected \d values"):
        ImagePairs.from_arrays(**arrays)


def test_select_by_keyword_and_by_object(pairs):
    chosen = pairs.select(max_span=12)
    assert chosen.mission.tolist() == ["S1"]
    assert [step.name for step in chosen.history] == ["read", "components", "valid_dates", "span"]
    assert (chosen.history[-1].kept, chosen.history[-1].dropped) == (1, 2)
    same = pairs.select(PairSelection(max_span=12))
    np.testing.assert_array_equal(same.start, chosen.start)
    assert (chosen.x, chosen.lon, chosen.epsg, chosen.cube_url) == (7e5, 95.0, 32646, "here")
    assert pairs.select() is pairs


def test_filters_add_up(pairs):
    chosen = pairs.select(mission=("S1", "L7")).select(satellite="1A,1B").select(start="2019-04-14")
    assert len(chosen) == 1
    assert [step.name for step in chosen.history[3:]] == ["mission", "satellite", "dates"]
    assert [step.kept for step in chosen.history] == [6, 5, 3, 2, 1, 1]


def test_impossible_limits_are_refused(pairs):
    with pytest.raises(SettingsError):
        pairs.select(min_span=5, max_span=1)


def test_an_empty_selection_says_which_filter_took_the_last_pairs(pairs):
    chosen = pairs.select(start="2030")
    assert len(chosen) == 0
    assert chosen.describe_empty() == (
        "all pairs were filtered out: 0 of 6 left (the last went at: both images within 2030 to today);"
        " widen the filters"
    )
    nothing = ImagePairs.from_arrays([1.0], [2.0], [np.nan], [np.nan])
    assert nothing.describe_empty() == "no image pair has a value at this pixel: choose another place"


def test_a_table_holds_all_of_it(pairs):
    table = pairs.to_dataframe()
    assert list(table.columns) == [
        "start", "end", "span", "vx", "vy", "v", "vx_error", "vy_error", "mission", "satellite_1",
        "satellite_2",
    ]  # fmt: skip
    assert len(table) == 3
    assert pd.api.types.is_datetime64_dtype(table["start"])
    assert table.attrs == {"epsg": 32646, "x": 7e5, "y": 3e6, "lon": 95.0, "lat": 30.0}
    assert table["mission"].tolist() == ["S1", "S2", "L7"]


def test_a_table_gives_the_pairs_back(pairs):
    again = ImagePairs.from_dataframe(pairs.to_dataframe(), epsg=32646)
    np.testing.assert_allclose(again.start, pairs.start, atol=1e-8)
    np.testing.assert_array_equal(again.vx, pairs.vx)
    np.testing.assert_array_equal(again.vx_error, pairs.vx_error)
    assert again.mission.tolist() == pairs.mission.tolist()
    assert again.epsg == 32646


def test_take_by_mask_and_by_index(pairs):
    assert pairs.take(np.array([True, False, True])).vx.tolist() == [10.0, 30.0]
    assert pairs.take(np.array([2, 0])).vx.tolist() == [30.0, 10.0]


DAY_1, DAY_2 = pd.to_datetime(["2020-01-01", "2020-02-01"]), pd.to_datetime(["2020-01-13", "2020-02-13"])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Anchorage"])
@pytest.mark.parametrize("kind", ["moments", "text", "one of each"])
def test_a_table_with_time_zones(zone, kind):
    table = pd.DataFrame(
        {"start": DAY_1, "end": DAY_2.tz_localize("UTC").tz_convert(zone), "vx": 1.0, "vy": 2.0}
    )
    if kind == "text":
        table = table.assign(start=table["start"].astype(str), end=table["end"].astype(str))
    elif kind == "one of each":
        table = table.assign(end=[table["end"][0], DAY_2[1]])
    pairs = ImagePairs.from_dataframe(table)
    np.testing.assert_array_equal(pairs.start_date, DAY_1.to_numpy("M8[ms]"))
    np.testing.assert_array_equal(pairs.end_date, DAY_2.to_numpy("M8[ms]"))


def test_a_table_with_a_date_that_is_none():
    table = pd.DataFrame({"start": [DAY_1[0], None], "end": DAY_2, "vx": 1.0, "vy": 2.0})
    assert len(ImagePairs.from_dataframe(table)) == 1
    with pytest.raises(SettingsError, match="dates of the pairs are not understood"):
        ImagePairs.from_dataframe(table.assign(start=["spring", "autumn"]))
    with pytest.raises(SettingsError, match="has no column 'vx'"):
        ImagePairs.from_dataframe(table.drop(columns="vx"))


@pytest.mark.parametrize("value", ["x", "12", True, [1], np.nan, -1.0, 10**400])
@pytest.mark.parametrize("name", ["min_span", "max_span"])
def test_a_span_is_a_number_of_days(name, value):
    with pytest.raises(SettingsError, match=f"{name} is .*: give a number of days"):
        PairSelection(**{name: value})


def test_impossible_dates_are_dropped_counted_and_said():
    start = np.array([18_000.0, 18_000.0, 18_000.0, 16_000.0, 18_000.0])
    end = np.array([18_016.0, 40_000.0, 22_000.0, 16_016.0, 18_016.0])
    codes = ["2A", "", "8", "2A", "5"]
    pairs = ImagePairs.from_arrays(start, end, start, start, satellite_1=codes, satellite_2=codes)
    assert len(pairs) == 1
    step = pairs.history[2]
    assert (step.name, step.kept, step.dropped) == ("valid_dates", 1, 4)
    assert "4 dated before their satellites flew, after the end of the mission or after today" in step.note
    long = ImagePairs.from_arrays([15_000.0], [18_660.0], [1.0], [1.0])
    assert long.history[2].note.endswith("1 of more than ten years")
