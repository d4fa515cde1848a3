"""The filters on metadata: dates, span, mission and satellite of both images."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from itslive_core import PairSelection
from itslive_core.errors import SettingsError
from itslive_core.observations.selection import FilterStep, apply_masks, day_number


def day(text: str) -> float:
    return (np.datetime64(text, "s") - np.datetime64(0, "s")) / np.timedelta64(86_400, "s")


def kept(selection: PairSelection, start, end, mission="S2", first="2A", second="2A") -> list[bool]:
    start, end = np.atleast_1d(start).astype(float), np.atleast_1d(end).astype(float)
    names = [np.broadcast_to(np.asarray(name), start.shape) for name in (mission, first, second)]
    masks = selection.masks(start, end, *names)
    return apply_masks(masks, np.ones(len(start), dtype=bool))[0].tolist()


@pytest.mark.parametrize(
    ("date", "begin", "end"),
    [
        ("2020-02-28", "2020-02-28", "2020-02-29"),
        ("2020-02", "2020-02-01", "2020-03-01"),
        ("2020", "2020-01-01", "2021-01-01"),
        ("2020-02-28T12:30", "2020-02-28T12:30", "2020-02-28T12:30"),
        ("2020-02-28 12:30:15", "2020-02-28T12:30:15", "2020-02-28T12:30:15"),
        ("2020-02-28Z", "2020-02-28", "2020-02-29"),
        ("2020-02-28T12:00Z", "2020-02-28T12:00", "2020-02-28T12:00"),
        ("2020-02-28T12:00+00:00", "2020-02-28T12:00", "2020-02-28T12:00"),
        (" 2020-02-28 ", "2020-02-28", "2020-02-29"),
        (dt.date(2020, 2, 28), "2020-02-28", "2020-02-29"),
        (np.datetime64("2020-02-28"), "2020-02-28", "2020-02-29"),
        (np.datetime64("2020-02-28T06", "h"), "2020-02-28T06:00", "2020-02-28T06:00"),
        (dt.datetime(2020, 2, 28, 6), "2020-02-28T06:00", "2020-02-28T06:00"),  # noqa: DTZ001
        (pd.Timestamp("2020-02-28 06:00"), "2020-02-28T06:00", "2020-02-28T06:00"),
        (
            dt.datetime(2020, 2, 28, 6, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "2020-02-28T04:00",
            "2020-02-28T04:00",
        ),
    ],
)
def test_dates(date, begin, end):
    assert day_number(date) == pytest.approx(day(begin), abs=1e-9)
    assert day_number(date, end=True) == pytest.approx(day(end), abs=1e-9)


@pytest.mark.parametrize(
    "date",
    ["yesterday", "today", "now", "", "NaT", "20200101", "2020-13-01", "2020-02-30", "1/2/2020", pd.NaT, 7],
)
def test_what_is_no_date_is_quoted(date):
    with pytest.raises(SettingsError, match=r"is not a date: write it as YYYY-MM-DD"):
        day_number(date)
    with pytest.raises(SettingsError, match="is not a date"):
        PairSelection(start=date)


def test_both_images_lie_within_whole_days():
    limits = PairSelection(start="2020-01-02", end="2020-01-31")
    first, last = day("2020-01-02"), day("2020-02-01")
    eps = 1 / 86_400
    start = [first, first - eps, first, first + 5, first, last]
    end = [last - eps, first + 9, last, last - eps, first + 1, last + 3]
    assert kept(limits, start, end) == [True, False, False, True, True, False]
    assert kept(PairSelection(start="2020-01-02"), start, end) == [True, False, True, True, True, True]
    assert kept(PairSelection(end="2020-01-31"), start, end) == [True, True, False, True, True, False]


def test_one_day_alone_may_hold_a_pair():
    assert kept(PairSelection(start="2020-01-02", end="2020-01-02"), [18263.2], [18263.9]) == [True]


@pytest.mark.parametrize(
    ("span", "limits", "expected"),
    [
        (12.0001, {"max_span": 12}, True),  # real Sentinel-1 spans
        (11.9999, {"min_span": 12}, True),
        (12.49, {"max_span": 12}, True),
        (12.51, {"max_span": 12}, False),
        (11.51, {"min_span": 12}, True),
        (11.49, {"min_span": 12}, False),
        (12.0, {"min_span": 12, "max_span": 12}, True),
        (0.3, {"min_span": 0}, True),
        (0.3, {"min_span": 1}, False),
    ],
)
def test_span_is_rounded_to_the_nearest_day_and_limits_count(span, limits, expected):
    assert kept(PairSelection(**limits), [18_000.4], [18_000.4 + span]) == [expected]


def test_both_images_belong_to_the_mission():
    missions = ["S2", "S1", "L7", "other", "L8_9"]
    start, end = np.full(5, 18_000.0), np.full(5, 18_010.0)
    got = kept(PairSelection(mission="s2, l7"), start, end, missions)
    assert got == [True, False, True, False, False]


def test_both_images_come_from_the_satellites():
    first, second = ["2A", "2A", "2B", "8"], ["2A", "2B", "2A", "8"]
    start, end = np.full(4, 18_000.0), np.full(4, 18_010.0)
    assert kept(PairSelection(satellite="2a"), start, end, "S2", first, second) == [True, False, False, False]
    assert kept(PairSelection(satellite=("2A", "2B")), start, end, "S2", first, second) == [
        True,
        True,
        True,
        False,
    ]


def test_each_filter_says_what_it_took():
    selection = PairSelection(start="2019", end="2020", min_span=5, mission=("S2",), satellite=("2A",))
    start = np.array([day("2018-05-01"), *[day("2019-05-01")] * 4])
    end = start + np.array([10.0, 3.0, 10.0, 10.0, 10.0])
    mission = np.array(["S2", "S2", "S1", "S2", "S2"])
    first, second = np.full(5, "2A"), np.array(["2A", "2A", "2A", "2B", "2A"])
    keep, steps = apply_masks(selection.masks(start, end, mission, first, second), np.ones(5, dtype=bool))
    assert keep.tolist() == [False, False, False, False, True]
    assert steps == [
        FilterStep("dates", 4, 1, "both images within 2019 to 2020"),
        FilterStep("span", 3, 1, "span from 5 d to any length"),
        FilterStep("mission", 2, 1, "mission S2"),
        FilterStep("satellite", 1, 1, "both images from 2A"),
    ]


def test_an_empty_selection_filters_nothing():
    nothing = PairSelection()
    assert list(nothing.masks(*[np.array([])] * 5)) == []
    assert nothing.to_dict() == {}


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"start": "2021", "end": "2020"}, "after the end date"),
        ({"start": "2020-01-02", "end": "2020-01-01"}, "after the end date"),
        ({"min_span": -1}, "min_span is -1"),
        ({"max_span": float("nan")}, "max_span is nan"),
        ({"max_span": True}, "max_span is True"),
        ({"min_span": 20, "max_span": 10}, "longer than the longest"),
        ({"mission": "L8"}, "mission 'L8' is not known"),
        ({"satellite": ""}, "no satellite was named"),
    ],
)
def test_impossible_limits_are_refused_with_a_reason(limits, words):
    with pytest.raises(SettingsError, match=words):
        PairSelection(**limits)


def test_a_selection_survives_json():
    selection = PairSelection(
        start="2019-01-01", end=dt.date(2020, 5, 1), mission="s2,S1", satellite="2A", max_span=400
    )
    plain = selection.to_dict()
    assert plain == {
        "start": "2019-01-01",
        "end": "2020-05-01",
        "mission": ["S1", "S2"],
        "satellite": ["2A"],
        "max_span": 400.0,
    }
    assert PairSelection.from_dict(plain) == selection
    with pytest.raises(SettingsError, match="'sensor' is no pair selection"):
        PairSelection.from_dict({"sensor": "S2"})
