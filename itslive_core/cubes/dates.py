"""Dates as cubes store them: numbers since some day, days as numbers (20200131), text, and numpy's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.cubes.packing import Packing, read_values
from itslive_core.errors import CubeError

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

__all__ = ["read_dates"]

_DAYS_PER = {
    "week": 7.0,
    "day": 1.0,
    "hour": 1 / 24,
    "minute": 1 / 1440,
    "second": 1 / 86_400,
    "millisecond": 1 / 86_400e3,
    "microsecond": 1 / 86_400e6,
    "nanosecond": 1 / 86_400e9,
}
_SHORT = {
    "d": "day",
    "h": "hour",
    "hr": "hour",
    "min": "minute",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "us": "microsecond",
    "ns": "nanosecond",
}
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian", "utc", "none", "")
_EXPECTED = "expected 'days since YYYY-MM-DD'"
_OFFSET = re.compile(
    r"\s*(?:UTC|GMT|Z|(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d{2})?)$", re.IGNORECASE
)
_TEXT = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})"
    r"(?:[T _]?(?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2}(?:\.\d*)?))?)?"
)
_MICROSECONDS = np.timedelta64(86_400_000_000, "us")


def read_dates(array: zarr.Array, url: str) -> NDArray[np.float64]:
    """Read dates as days since 1970-01-01 UTC.

    Parameters
    ----------
    array : zarr.Array
        Numbers with ``units`` such as ``days since 1970-01-01`` (assumed where there are none, unless whole
        numbers of eight digits are days like 20200131), text (ISO 8601, with or without dashes), or
        datetime64.
    url : str
        Name of the cube, for messages.

    Returns
    -------
    ndarray
        NaN where missing.

    Raises
    ------
    CubeError
        If they are not understood.
    """
    name = array.basename
    if array.dtype.kind == "M":
        return _of_datetime(read_values(array))
    if array.dtype.kind not in "iuf":
        return _of_text(read_values(array).astype(object).astype(str), name, url)
    stored = read_values(array)
    values = Packing.of(array).decoded(stored)
    if array.attrs.get("units") is None and _are_eight_digits(array, values):
        return _of_text(np.array([_eight_digits(v) for v in values.ravel()]), name, url).reshape(values.shape)
    return _decoded(array, values, name)


def _decoded(array: zarr.Array, values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    units = str(array.attrs.get("units") or "days since 1970-01-01").strip()
    calendar = str(array.attrs.get("calendar") or "").lower()
    if calendar not in _CALENDARS:
        raise CubeError(
            f"the calendar {calendar[:40]!r} of {name} is not one of real images: convert the dates to"
            " 'proleptic_gregorian'"
        )
    match = re.fullmatch(r"(\w+)\s+since\s+(.+)", units, re.IGNORECASE)
    unit = match.group(1).lower() if match else ""
    unit = _SHORT.get(unit) or _SHORT.get(unit.removesuffix("s")) or unit.removesuffix("s")
    if match is None or unit not in _DAYS_PER:
        raise CubeError(f"the units {units[:80]!r} of {name} are not understood: {_EXPECTED}")
    text = match.group(2).strip()
    zone = _OFFSET.search(text) if ":" in text or not re.search(r"[+-]\d{1,2}$", text) else None
    shift = 0.0
    if zone:
        text = text[: zone.start()]
        if zone["sign"]:
            shift = (int(zone["hours"]) + int(zone["minutes"] or 0) / 60) / 24
            shift = -shift if zone["sign"] == "+" else shift
    text = re.sub(r"(?<!\d)(\d)(?!\d)", r"0\1", text.partition(".")[0].strip())  # CF allows 1970-1-1 0:0:0
    try:
        epoch = np.datetime64(text.replace(" ", "T"))
        if np.isnat(epoch):
            raise ValueError(text)
    except ValueError as error:
        raise CubeError(f"the units {units[:80]!r} of {name} hold no date: {_EXPECTED}") from error
    shift += float((epoch.astype("datetime64[us]") - np.datetime64(0, "us")) / _MICROSECONDS)
    days: NDArray[np.float64] = values * _DAYS_PER[unit] + shift
    return days


def _of_datetime(values: NDArray) -> NDArray[np.float64]:
    days = (values - np.datetime64(0, "D").astype(values.dtype)) / np.timedelta64(1, "D")
    return np.where(np.isnat(values), np.nan, days).astype(np.float64)


def _of_text(texts: NDArray[np.str_], name: str, url: str) -> NDArray[np.float64]:
    """Read dates of text, each different one once."""
    unique, inverse = np.unique(texts, return_inverse=True)
    days = np.array([_day_of_text(str(text), name, url) for text in unique], dtype=np.float64)
    return days[inverse].reshape(texts.shape)


def _day_of_text(text: str, name: str, url: str) -> float:
    plain = text.strip().strip("\x00").strip()
    if plain.lower() in ("", "nat", "nan", "none", "null"):
        return np.nan
    body = re.sub(r"(Z|UTC|[+-]00:?00)$", "", plain).strip()
    match = _TEXT.fullmatch(body)
    try:
        if match is None:
            raise ValueError(body)
        date = f"{match['year']}-{match['month']}-{match['day']}"
        seconds = float(match["second"] or 0.0)
        if int(match["hour"] or 0) > 24 or int(match["minute"] or 0) > 59 or seconds >= 61.0:
            raise ValueError(body)
        day = float(np.datetime64(date, "D").astype(np.int64))
    except ValueError as error:
        raise CubeError(
            f"{url}: {name} holds {text[:40]!r}, which is no date: write dates as YYYY-MM-DD"
        ) from error
    return day + (int(match["hour"] or 0) + (int(match["minute"] or 0) + seconds / 60) / 60) / 24


def _are_eight_digits(array: zarr.Array, values: NDArray[np.float64]) -> bool:
    """Tell whether whole numbers are days like 20200131, not days since some day."""
    known = values[np.isfinite(values)]
    return array.dtype.kind in "iu" and known.size > 0 and bool(((known > 1.9e7) & (known < 2.2e7)).all())


def _eight_digits(value: float) -> str:
    return "" if np.isnan(value) else f"{int(value):08d}"
