"""Dates as a person writes them: ISO text, of a year, a month, a day or a moment, in UTC."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

import numpy as np

from itslive_core.errors import SettingsError

__all__ = ["day_number", "iso_text"]

_EPOCH = np.datetime64("1970-01-01T00:00:00", "us")
_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
_CALENDAR_UNITS = ("Y", "M", "D")
# numpy alone would take 20200101 for the year 20,200,101, and "today" for a date.
_ISO_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}([T ]\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?)?)?)?")


def day_number(date: Any, *, end: bool = False) -> float:
    """Turn a date into days since 1970-01-01 UTC.

    Parameters
    ----------
    date : str, datetime, numpy.datetime64
        An ISO date; a year or a month alone means all of it.
    end : bool
        Return the end (24:00) of the day, month or year named, not its begin.

    Raises
    ------
    SettingsError
        If it is not a date.
    """
    value = np.datetime64(iso_text(date))
    if end and np.datetime_data(value.dtype)[0] in _CALENDAR_UNITS:
        value = value + 1
    return float((value.astype("datetime64[us]") - _EPOCH) / _DAY)


def iso_text(date: Any) -> str:
    """Write a date as ISO text in UTC, without a time zone.

    Raises
    ------
    SettingsError
        If it is not a date.
    """
    given = date
    if getattr(date, "tzinfo", None) is not None:
        date = date.astimezone(UTC).replace(tzinfo=None)
    text = date.isoformat() if hasattr(date, "isoformat") else str(date).strip()
    text = re.sub(r"(Z|[+-]00:?00)$", "", text)
    try:
        if not _ISO_DATE.fullmatch(text):
            raise ValueError(text)
        np.datetime64(text)
    except ValueError as error:
        raise SettingsError(f"{given!r} is not a date: write it as YYYY-MM-DD") from error
    return text
