"""Positions as people write them, read without guessing more than a person would."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from itslive_core.errors import SelectionError

__all__ = ["Position", "parse_position"]

_LONGEST = 200
"""Characters; what is longer is no position, and is not worth the time."""

_SAME = {
    "-": "−–—‐‑‒﹣－",
    "+": "＋",
    "°": "º˚∘",
    "'": "′’‘´`ʹ＇",
    '"': "″“”„ʺ＂",
    ",": "，、",
    ";": "；",
    ".": "．",
    " ": "\t\n\r\u00a0\u2007\u2009\u202f\u3000\u200e\u200f\ufeff",
}
_ONE_SPELLING = str.maketrans({other: one for one, others in _SAME.items() for other in others})
_WORDS = (
    (re.compile(r"\b(?:latitude|lat)\b\s*[:=]?", re.IGNORECASE), " <lat> "),
    (re.compile(r"\b(?:longitude|long|lon|lng)\b\s*[:=]?", re.IGNORECASE), " <lon> "),
    (re.compile(r"(?<![a-z])(north|south|east|west)(?![a-z])", re.IGNORECASE), lambda m: m[1][0].upper()),
    (re.compile(r"(?<=[\d\s])(?:degrees?|deg)(?![a-z])\.?", re.IGNORECASE), "°"),
    (re.compile(r"(?<=[\d\s])(?:minutes?|min)(?![a-z])\.?", re.IGNORECASE), "'"),
    (re.compile(r"(?<=[\d\s])(?:seconds?|sec)(?![a-z])\.?", re.IGNORECASE), '"'),
    (re.compile(r"(?<=\d)d(?=[\s\d])", re.IGNORECASE), "°"),
    (re.compile(r"(?<=\d)m(?=[\s\d])", re.IGNORECASE), "'"),
    (re.compile(r"('\s*\d+(?:\.\d+)?)s(?![a-z])"), r'\1"'),  # a capital S is the south
    (re.compile(r"''"), '"'),
)
_IN_LINK = re.compile(
    r"^(?:https?://\S*?[@=]|geo:)(-?\d+(?:\.\d+)?)(?:,|%2C)(-?\d+(?:\.\d+)?)", re.IGNORECASE
)
_POINT = re.compile(r"^\s*POINT\s*(?:Z\s*)?\(\s*(\S+)\s+(\S+?)(?:\s+\S+)?\s*\)\s*$", re.IGNORECASE)
_NUMBER = r"[-+]?(?<![\d.])(?:\d+(?:\.\d*)?|\.\d+)"
_TOKEN = re.compile(rf"\s*(?:(<lat>|<lon>)|([NSEW])|({_NUMBER})|([°'\"])|([,;/|]))\s*", re.IGNORECASE)
_COMMA = re.compile(r"(?<=\d),(?=\d)")
_MARKS = "°'\""


@dataclass(frozen=True)
class Position:
    """A place on Earth.

    Attributes
    ----------
    lon, lat
        Degrees, WGS 84, longitude in [-180, 180].
    note
        What was taken for granted in reading it, in one sentence; empty for nothing.
    ordered
        The text itself says which number is the latitude.
    """

    lon: float
    lat: float
    note: str = ""
    ordered: bool = False

    @property
    def swapped(self) -> Position | None:
        """The same with longitude first, where the text leaves that open and it is a place on Earth."""
        if self.ordered or abs(self.lon) > 90.0:
            return None
        return replace(self, lon=self.lat, lat=self.lon, ordered=True)


def parse_position(text: str) -> Position | None:
    """Read a position: decimal degrees, or degrees, minutes and seconds; latitude first unless it says so.

    Hemispheres may lead or follow; brackets, labels, any usual minus, degree sign and separator are known,
    and so are decimal commas, links to maps, ``geo:`` and ``POINT (lon lat)``.

    Parameters
    ----------
    text
        For example ``46.50, 8.03``, ``46°30'10" N 8°01'49" E``, ``N46 30.2 E8 1.8``, ``46,5030; 8,0303``.

    Returns
    -------
    Position or None
        None where the text is no position.

    Raises
    ------
    SelectionError
        If it is one that does not exist.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or not any(sign.isdigit() for sign in text):
        return None
    if link := _IN_LINK.match(text):
        return _placed(float(link[1]), float(link[2]), text, ordered=True)
    if point := _POINT.match(text):
        try:
            lon, lat = float(point[1]), float(point[2])
        except ValueError:
            return None
        return _placed(lat, lon, text, ordered=True)
    plain = text.translate(_ONE_SPELLING)
    for pattern, one in _WORDS:
        plain = pattern.sub(one, plain)
    plain = re.sub(r"[()\[\]{}]", " ", plain)
    # A dash between blanks parts two numbers; one before a number is its sign.
    plain = re.sub(r"(?<=[\dNSEWnsew°'\"])\s+-\s+(?=\S)", " ; ", plain)
    plain = re.sub(r"(?<![\d\w])([-+])\s+(?=[\d.])", r"\1", plain)
    for spelling in _readings(plain):
        parts = _two_parts(spelling)
        if parts is not None:
            return _together(*parts, text)
    return None


def _readings(plain: str) -> list[str]:
    """Return what a text may mean: commas within numbers are decimal ones, or part two numbers."""
    between = [match.start() for match in _COMMA.finditer(plain)]
    if not between or re.search(r"\d\.\d", plain):
        return [plain]
    decimal = _COMMA.sub(".", plain)
    if len(between) == 3 and " " not in plain.strip():  # 46,50,8,03: the middle one parts
        first, middle, last = between
        signs = list(plain)
        signs[first] = signs[last] = "."
        signs[middle] = ";"
        return ["".join(signs)]
    return [decimal, plain] if len(between) > 1 else [plain, decimal]


@dataclass
class _Part:
    """One of the two numbers of a position, as it is written."""

    numbers: list[str]
    marks: str = ""
    side: str = ""

    @property
    def axis(self) -> str:
        """Which of both it is, where that is said."""
        return {"N": "lat", "S": "lat", "E": "lon", "W": "lon"}.get(self.side[:1], self.side)


def _two_parts(plain: str) -> tuple[_Part, _Part] | None:
    """Part a text into its two numbers; None where it is no position."""
    tokens, at = [], 0
    while at < len(plain):
        match = _TOKEN.match(plain, at)
        if match is None or match.end() == at:
            return None
        tokens.append(match)
        at = match.end()
    leading = bool(tokens) and (tokens[0][1] or tokens[0][2]) is not None
    parts: list[_Part] = [_Part([])]
    for token in tokens:
        label, letter, number, mark, _ = token.groups()
        now = parts[-1]
        if label or letter:
            side = label.strip("<>").lower() if label else letter.upper()
            if leading and now.numbers:
                parts.append(_Part([], side=side))
            elif now.side and now.side not in ("lat", "lon"):
                return None
            else:
                now.side = side
        elif number:
            degrees = "°" in now.marks and plain[token.end() : token.end() + 1] == "°"
            if now.numbers and ((now.side and not leading) or number[0] in "+-" or degrees):
                parts.append(_Part([]))
            parts[-1].numbers.append(number)
        elif mark:
            if not now.numbers or (mark != "°" and _MARKS.index(mark) != len(now.numbers) - 1):
                return None
            now.marks += mark
        elif now.numbers:
            parts.append(_Part([]))
    parts = [part for part in parts if part.numbers or part.side]
    if len(parts) == 1 and (leading or not parts[0].side) and len(parts[0].numbers) in (2, 4, 6):
        half = len(parts[0].numbers) // 2
        parts = [_Part(parts[0].numbers[:half], side=parts[0].side), _Part(parts[0].numbers[half:])]
    if len(parts) != 2 or (len(parts[0].numbers) != len(parts[1].numbers) and _unsaid(parts)):
        return None
    return parts[0], parts[1]


def _unsaid(parts: list[_Part]) -> bool:
    """Whether nothing but a comma says which numbers belong together."""
    return not any(part.marks or part.side for part in parts)


def _value(part: _Part, text: str) -> float:
    """Return degrees of one part."""
    if len(part.numbers) > 3 or not part.numbers:
        raise SelectionError(
            f"{text!r} is no position: write it like 46.50, 8.03 or 46°30'10\" N, 8°01'49\" E"
        )
    whole, *rest = part.numbers
    if (rest and "." in whole) or (len(rest) == 2 and "." in rest[0]):
        raise SelectionError(
            f"{text!r} has minutes or seconds after a broken number: write what comes before as whole numbers"
        )
    small = [float(one) for one in rest]
    if any(not 0.0 <= one < 60.0 for one in small):
        raise SelectionError(f"{text!r} is no place on Earth: minutes and seconds end at 60")
    size = abs(float(whole)) + sum(one / 60.0**power for power, one in enumerate(small, start=1))
    return -size if whole.startswith("-") else size


def _together(first: _Part, second: _Part, text: str) -> Position:
    """Make the position of two parts."""
    axes = (first.axis, second.axis)
    if axes[0] and axes[0] == axes[1]:
        raise SelectionError(f"{text!r} names the same direction twice: give one latitude and one longitude")
    turned = axes[0] == "lon" or axes[1] == "lat"
    lat, lon = (second, first) if turned else (first, second)
    return _placed(_signed(lat, text), _signed(lon, text), text, ordered=any(axes))


def _signed(part: _Part, text: str) -> float:
    """Return the degrees of a part with the sign of its hemisphere."""
    value = _value(part, text)
    if part.side in ("N", "E") and part.numbers[0].startswith("-"):
        raise SelectionError(f"{text!r} has both a minus and {part.side}: leave one of them out")
    return -abs(value) if part.side in ("S", "W") else value


def _placed(lat: float, lon: float, text: str, *, ordered: bool) -> Position:
    """Make a position, taking the numbers for longitude and latitude where that alone is possible."""
    note = ""
    if not ordered and abs(lat) > 90.0 and abs(lon) <= 90.0 and abs(lat) <= 180.0:
        lat, lon, ordered = lon, lat, True
        note = f"{text!r} was read as longitude, latitude: {lon:g} is no latitude."
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 360.0):
        raise SelectionError(f"{text!r} is no place on Earth: write latitude (-90 to 90), then longitude")
    return Position(lon - 360.0 if lon > 180.0 else lon, lat, note, ordered)
