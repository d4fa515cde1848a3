"""Units as people write them: ``m/day``, ``m d-1``, ``metres per year``, ``km a^-1``; exact factors.

A year is 365.25 days, as in all of this package.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["DAYS", "METRES", "METRES_PER_YEAR", "Dimension", "factor_to", "is_angle"]

_YEAR = Fraction("365.25")  # days


class Dimension(NamedTuple):
    """Powers of length and time, and the unit in metres and days to which numbers are brought."""

    length: int
    time: int
    unit: Fraction
    words: str


METRES_PER_YEAR = Dimension(1, -1, 1 / _YEAR, "a velocity, such as m/yr or m/day")
METRES = Dimension(1, 0, Fraction(1), "a length, such as m or km")
DAYS = Dimension(0, 1, Fraction(1), "a time, such as days or seconds")

_PREFIXES = {
    "": Fraction(1),
    **dict.fromkeys(("k", "kilo"), Fraction(1000)),
    **dict.fromkeys(("h", "hecto"), Fraction(100)),
    **dict.fromkeys(("d", "deci"), Fraction(1, 10)),
    **dict.fromkeys(("c", "centi"), Fraction(1, 100)),
    **dict.fromkeys(("m", "milli"), Fraction(1, 1000)),
    **dict.fromkeys(("u", "µ", "μ", "micro"), Fraction(1, 10**6)),
    **dict.fromkeys(("n", "nano"), Fraction(1, 10**9)),
}
_SECOND = Fraction(1, 86_400)


def _with_prefixes(short: str, names: tuple[str, ...], size: Fraction) -> dict[str, Fraction]:
    """Spell a unit with all prefixes: short ones before the letter, long ones before the names."""
    found = {}
    for prefix, times in _PREFIXES.items():
        if len(prefix) < 2:
            found[prefix + short] = times * size
        if len(prefix) != 1:
            found.update({prefix + name: times * size for name in names})
    return found


_LENGTHS = {
    **_with_prefixes("m", ("meter", "metre", "meters", "metres"), Fraction(1)),
    **dict.fromkeys(("kms",), Fraction(1000)),
    **dict.fromkeys(("in", "inch", "inches"), Fraction("0.0254")),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot", "international_feet"), Fraction("0.3048")),
    **dict.fromkeys(("us_survey_foot", "us_survey_feet"), Fraction(1200, 3937)),
    **dict.fromkeys(("yd", "yard", "yards"), Fraction("0.9144")),
    **dict.fromkeys(("mi", "mile", "miles"), Fraction("1609.344")),
    **dict.fromkeys(("nmi", "nautical_mile", "nautical_miles"), Fraction(1852)),
}
_TIMES = {
    **_with_prefixes("s", ("sec", "secs", "second", "seconds"), _SECOND),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60 * _SECOND),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600 * _SECOND),
    **dict.fromkeys(("d", "day", "days"), Fraction(1)),
    **dict.fromkeys(("week", "weeks"), Fraction(7)),
    **dict.fromkeys(("month", "months"), _YEAR / 12),
    **dict.fromkeys(("a", "y", "yr", "yrs", "year", "years", "annum", "annee", "julian_year"), _YEAR),
    **dict.fromkeys(("decade", "decades"), 10 * _YEAR),
    **dict.fromkeys(("century", "centuries"), 100 * _YEAR),
}
_ANGLES = ("deg", "degree", "degrees", "degree_east", "degrees_east", "degree_north", "degrees_north", "°",
           "rad", "radian", "radians")  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_TOKEN = re.compile(
    r"\s*(?:(?P<divide>/)"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\^(?P<power_of_number>[+-]?\d+))?"
    r"|(?P<name>[a-zµμ_]+)\s*(?:\^?\s*(?P<power>[+-]?\d+))?"
    r"|(?P<times>[*·.×]))"
)  # fmt: skip
_LARGEST = 30
"""Digits of an exponent beyond which a number means nothing; Fractions would take for ever."""


def factor_to(wanted: Dimension, units: str) -> float | None:
    """Give the factor that brings numbers to the unit wanted.

    Parameters
    ----------
    wanted : Dimension
        `METRES_PER_YEAR`, `METRES` or `DAYS`.
    units : str
        As a file has it; case, plural and spelling do not matter.

    Returns
    -------
    float or None
        None if it is no unit of that dimension.
    """
    size, length, time = Fraction(1), 0, 0
    text = units.translate(_INVISIBLE).strip().lower().translate(_SUPERSCRIPTS).replace("**", "^")
    text = re.sub(r"\^\{([+-]?\d+)\}", r"^\1", text)  # as TeX has it
    text = re.sub(r"\b(knots?|kts?)\b", "nmi/h", text)
    text = re.sub(r"[()\[\]]", " ", re.sub(r"\bper\b", "/", text))
    text = text.replace("us survey ", "us_survey_").replace("nautical mile", "nautical_mile").strip()
    at, sign = 0, 1
    if not text or len(text) > 100:
        return None
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            return None
        at = match.end()
        if match["divide"]:
            if sign == -1:  # "m//yr"
                return None
            sign = -1
            continue
        if match["times"]:
            continue
        try:
            power = sign * int(match["power"] or match["power_of_number"] or 1)
        except ValueError:
            return None
        if abs(power) > _LARGEST:
            return None
        if match["number"]:
            if len(match["number"]) > _LARGEST or abs(float(match["number"])) in (0.0, float("inf")):
                return None
            size *= Fraction(match["number"]) ** power
        elif match["name"] in _LENGTHS:
            size, length = size * _LENGTHS[match["name"]] ** power, length + power
        elif match["name"] in _TIMES:
            size, time = size * _TIMES[match["name"]] ** power, time + power
        else:
            return None
        sign = 1
    if sign == -1 or (length, time) != (wanted.length, wanted.time):
        return None
    try:
        factor = float(size / wanted.unit)
    except OverflowError:
        return None
    return factor if factor > 0.0 else None


def is_angle(units: str) -> bool:
    """Tell whether a unit is one of angles: degrees of longitude and latitude."""
    return units.strip().lower() in _ANGLES
