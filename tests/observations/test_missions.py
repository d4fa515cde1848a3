"""Satellite codes in every spelling, and the mission group of a pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from itslive_core import ImagePairs
from itslive_core.errors import SettingsError
from itslive_core.observations import missions
from itslive_core.observations.missions import (
    MISSIONS,
    mission_names,
    mission_numbers,
    mission_of_pairs,
    normalise_satellites,
    parse_missions,
    parse_satellites,
)

GROUPS = {
    "1A": "S1", "1B": "S1", "1C": "S1", "1D": "S1", "S1": "S1",
    "2A": "S2", "2B": "S2", "2C": "S2", "2D": "S2", "S2": "S2",
    "4": "L4_5", "5": "L4_5", "7": "L7", "8": "L8_9", "9": "L8_9",
    "A": "NISAR", "B": "other",
    "10": "other", "": "other", "3": "other", "6": "other", "2": "other", "22": "other",
}  # fmt: skip
LANDSAT = ("L4_5", "L7", "L8_9")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (["1A", "2B", "8"], ["1A", "2B", "8"]),
        (["8.", "8.0", "9. ", " 7"], ["8", "8", "9", "7"]),
        (["2a ", "2A\x00", "  2a"], ["2A", "2A", "2A"]),
        (["1", "2"], ["S1", "S2"]),
        (np.array([8.0, 9.0, np.nan]), ["8", "9", ""]),
        (np.array([4, 5]), ["4", "5"]),
        (np.array(["nan", "None", ""]), ["", "", ""]),
        (np.array(["2A", "8"], dtype=object), ["2A", "8"]),
        (np.array([b"2A", b"8"]), ["2A", "8"]),
        (["A", "a ", "NISAR", "NI"], ["A", "A", "A", "A"]),
        (np.array([], dtype="U2"), []),
    ],
)
def test_one_spelling(stored, expected):
    assert normalise_satellites(np.asarray(stored)).tolist() == expected


def test_a_mission_letter_tells_landsat_from_cut_codes():
    got = normalise_satellites(np.array(["1", "2", "2"]), np.array(["S", "s ", "L"]))
    assert got.tolist() == ["S1", "S2", "2"]


def test_group_of_every_pair_of_satellites():
    first, second = (np.array(column) for column in zip(*itertools.product(GROUPS, repeat=2)))
    for one, two, got in zip(first, second, mission_of_pairs(first, second)):
        a, b = GROUPS[one], GROUPS[two]
        expected = a if a == b else "other"
        if a in LANDSAT and b in LANDSAT and "L7" in (a, b):
            expected = "L7"
        assert got == expected, (one, two)


def test_the_contract_by_name():
    pairs = {
        ("7", "8"): "L7", ("5", "7"): "L7", ("8", "9"): "L8_9", ("4", "5"): "L4_5", ("5", "8"): "other",
        ("A", "A"): "NISAR", ("A", "1A"): "other", ("A", "8"): "other",
        ("1A", "1B"): "S1", ("2A", "2B"): "S2", ("1A", "2A"): "other", ("2A", "8"): "other",
    }  # fmt: skip
    first, second = (np.array(column) for column in zip(*pairs))
    assert mission_of_pairs(first, second).tolist() == list(pairs.values())
    assert mission_of_pairs(second, first).tolist() == list(pairs.values())


def test_no_pairs_no_groups():
    none = np.array([], dtype="U2")
    assert mission_of_pairs(none, none).shape == (0,)
    assert mission_numbers(none).shape == (0,)


def test_numbers_follow_the_order_of_the_names():
    assert MISSIONS == ("S1", "S2", "L4_5", "L7", "L8_9", "NISAR", "other")
    assert mission_numbers(np.array(MISSIONS)).tolist() == list(range(7))
    assert mission_numbers(np.array(["Sentinel-3"])).tolist() == [6]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("S2", ("S2",)),
        ("s2,l8_9", ("S2", "L8_9")),
        (["L8_9", "s1", "S1"], ("S1", "L8_9")),
        ("OTHER", ("other",)),
        ("nisar,S1", ("S1", "NISAR")),
        (" S1 , S2 ", ("S1", "S2")),
    ],
)
def test_names_of_missions(given, expected):
    assert parse_missions(given) == expected


@pytest.mark.parametrize("given", ["L8", "S3,S2", "", [], ","])
def test_unknown_missions_are_named(given):
    with pytest.raises(SettingsError, match=r"mission '.*' is not known: choose from S1, S2"):
        parse_missions(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2A", ("2A",)),
        ("2b,2a, 2A", ("2A", "2B")),
        (["8", "9.0"], ("8", "9")),
        ("S2A,s1c", ("1C", "2A")),
        ("L8,LC09,LE07", ("7", "8", "9")),
        ("s2", ("S2",)),
        ("2", ("S2",)),
        ("nisar,2A", ("2A", "A")),
    ],
)
def test_names_of_satellites(given, expected):
    assert parse_satellites(given) == expected


@pytest.mark.parametrize("given", ["", " , ", []])
def test_no_satellite_at_all(given):
    with pytest.raises(SettingsError, match="no satellite was named"):
        parse_satellites(given)


def test_long_names_are_not_cut():
    names = mission_names(["S1", "Sentinel-3"])
    assert names.tolist() == ["S1", "Sentinel-3"]
    names = mission_names(["S1"])
    names[0] = "other"
    assert names.tolist() == ["other"]
    assert mission_names([]).tolist() == []
    table = {"start": [0.0], "end": [6.0], "vx": [1.0], "vy": [1.0], "mission": ["Sentinel-3"]}
    assert ImagePairs.from_arrays(**table).mission.tolist() == ["Sentinel-3"]


def test_missions_of_the_future_keep_their_names(monkeypatch):
    monkeypatch.setattr(missions, "_LANDSAT", {"8": "Landsat 8"})
    assert mission_of_pairs(np.array(["8"]), np.array(["8"])).tolist() == ["Landsat 8"]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("S2A", "2A"),
        ("Sentinel-1B", "1B"),
        ("SENTINEL_2", "S2"),
        ("LC08", "8"),
        ("LANDSAT_9", "9"),
        ("Landsat 7", "7"),
        ("LT05", "5"),
        ("L8", "8"),
        ("TerraSAR", "TERRASAR"),
    ],
)
def test_satellites_as_people_write_them(written, code):
    assert normalise_satellites(np.array([written])).tolist() == [code]
