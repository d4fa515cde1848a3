"""Positions as people write and paste them."""

from __future__ import annotations

import pytest

from itslive_core.errors import SelectionError
from itslive_core.places.positions import parse_position

ALETSCH = """\
46.5028, 8.0303
46.5028 8.0303
46.5028,8.0303
46.5028;8.0303
46.5028\t8.0303
46.5028\u00a0\u00a08.0303
(46.5028, 8.0303)
[46.5028 8.0303]
{46.5028; 8.0303}
+46.5028, +8.0303
46.5028/8.0303
46.5028 | 8.0303
46.5028°, 8.0303°
46.5028° N, 8.0303° E
46.5028 N 8.0303 E
46.5028n 8.0303e
46.5028N,8.0303E
46.5028N8.0303E
46.5028 N - 8.0303 E
N46.5028 E8.0303
N 46.5028, E 8.0303
N46.5028° E8.0303°
N46.5028 8.0303
46.5028N 8.0303
46,5028; 8,0303
46,5028 8,0303
46,5028, 8,0303
46,5028,8,0303
46°30'10.08" N 8°01'49.08" E
46°30'10.08"N, 8°1'49.08"E
46° 30′ 10.08″ N, 8° 1′ 49.08″ E
46°30'10,08"N 8°01'49,08"E
46º30’10.08”N 8º01’49.08”E
46°30'10.08''N 8°1'49.08''E
N 46° 30' 10.08" E 8° 1' 49.08"
46 30 10.08 N 8 1 49.08 E
46 30 10.08, 8 1 49.08
46 30 10.08 8 1 49.08
46°30.168'N 8°1.818'E
N46 30.168 E8 1.818
46 30.168 N, 8 1.818 E
46d30m10.08s N 8d01m49.08s E
46 deg 30 min 10.08 sec N, 8 deg 1 min 49.08 sec E
46.5028 degrees north 8.0303 degrees east
lat 46.5028 lon 8.0303
lat: 46.5028, lon: 8.0303
latitude=46.5028; longitude=8.0303
lon 8.0303, lat 46.5028
8.0303 E, 46.5028 N
E 8.0303 N 46.5028
POINT (8.0303 46.5028)
geo:46.5028,8.0303
https://www.example.org/maps/@46.5028,8.0303,12z""".splitlines()

ELSEWHERE = {
    "69.3, -50.1": (-50.1, 69.3),
    "69.3, \u221250.1": (-50.1, 69.3),
    "69.3, \u201350.1": (-50.1, 69.3),
    "69.3 N, 50.1 W": (-50.1, 69.3),
    "-50.5, -73.2": (-73.2, -50.5),
    "- 50.5, - 73.2": (-73.2, -50.5),
    "S50.5 W73.2": (-73.2, -50.5),
    "50°30'S 73°12'W": (-73.2, -50.5),
    "-50 30 -73 12": (-73.2, -50.5),
    "-0 30, 8 0": (8.0, -0.5),
    "-30 200": (-160.0, -30.0),
    "46 8": (8.0, 46.0),
    "46,8": (8.0, 46.0),
    "46,5 8": (8.0, 46.5),
    "0, 0": (0.0, 0.0),
}


@pytest.mark.parametrize("text", ALETSCH)
def test_every_usual_spelling_of_one_place_is_read(text):
    found = parse_position(text)
    assert found is not None
    assert (found.lon, found.lat) == pytest.approx((8.0303, 46.5028), abs=1e-6)
    assert found.note == ""


@pytest.mark.parametrize(("text", "place"), ELSEWHERE.items())
def test_signs_and_hemispheres_count(text, place):
    found = parse_position(text)
    assert found is not None
    assert (found.lon, found.lat) == pytest.approx(place)


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "Aletsch", "79 North Glacier", "Parlung No. 4", "79 N", "46", "46.5", "46, 8, 1200",
        "1,2,3", "46.5.3, 8", "N", "° '", "nan, nan", "inf 3", "1e5, 3", "RGI60-01.14443",
        "/data/2020/46.5", "1 " * 80, "9" * 500, "https://example.org/46.5", "<lat> 5 6", "\x00 5 6",
    ],
)  # fmt: skip
def test_what_is_no_position_is_left_to_others(text):
    assert parse_position(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("95, 100", "no place on Earth"),
        ("46 61 0, 8 0 0", "end at 60"),
        ("46.5 30, 8.1 20", "whole numbers"),
        ("46.5 N 8.0 N", "same direction twice"),
        ("-46 N, 8 E", "both a minus and N"),
        ("91 N, 10 E", "no place on Earth"),
        ("9" * 90 + ", 5", "no place on Earth"),
    ],
)
def test_places_that_do_not_exist_are_told(text, words):
    with pytest.raises(SelectionError, match=words):
        parse_position(text)


def test_swapped_numbers_are_taken_where_only_that_is_possible_and_it_is_said():
    found = parse_position("-147.05, 61.22")
    assert found is not None
    assert (found.lon, found.lat) == (-147.05, 61.22)
    assert "longitude, latitude" in found.note
    assert found.swapped is None
    open_one = parse_position("8.03, 46.50")
    assert open_one is not None
    assert open_one.swapped is not None
    assert (open_one.swapped.lon, open_one.swapped.lat) == (8.03, 46.50)
    said = parse_position("8.03 N, 46.50 E")
    assert said is not None
    assert said.swapped is None
