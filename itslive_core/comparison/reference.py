"""Reference velocities from tables: usual names of columns, units, and dates with their time zones."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import ItsliveError
from itslive_core.support.constants import DAYS_PER_YEAR
from itslive_core.support.csv_tables import Column, Table, parse_number, read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Reference", "as_reference"]

_STARTS = ("start", "begin", "from", "time_start", "start_time", "date_start", "start_date", "begin_date",
           "date1", "date_1", "t1", "t_start", "acquisition_date_img1")  # fmt: skip
_ENDS = ("end", "to", "until", "time_end", "end_time", "date_end", "end_date", "stop", "date2", "date_2",
         "t2", "t_end", "acquisition_date_img2")  # fmt: skip
_TIMES = ("time", "date", "datetime", "date_time", "timestamp", "time_utc", "date_utc", "utc", "mid_date",
          "mid_time", "mid", "epoch", "decimal_year", "decyear", "dec_year", "year", "t")  # fmt: skip
_SPANS = ("span", "date_dt", "dt", "duration")
_VALUES = {
    "v": ("v", "speed", "velocity", "vel", "v_ref", "speed_ref", "v_obs", "v_mean", "mean_v", "mean_speed",
          "horizontal_velocity", "horizontal_speed", "magnitude"),
    "vx": ("vx", "v_x", "velocity_x", "vel_x", "x_velocity"),
    "vy": ("vy", "v_y", "velocity_y", "vel_y", "y_velocity"),
    "east": ("ve", "v_e", "v_east", "vel_e", "vel_east", "velocity_east", "east_velocity", "veast"),
    "north": ("vn", "v_n", "v_north", "vel_n", "vel_north", "velocity_north", "north_velocity", "vnorth"),
}  # fmt: skip
_UNIT = re.compile(
    r"(?P<length>km|cm|mm|m|met(?:er|re)s?)(?:/|per)?(?P<time>days?|d|years?|yr|y|a|s(?:ec)?)(?:-1)?"
)
_LENGTHS = {"km": 1000.0, "m": 1.0, "cm": 0.01, "mm": 0.001}
_TIMES_A_YEAR = {"d": DAYS_PER_YEAR, "y": 1.0, "a": 1.0, "s": DAYS_PER_YEAR * 86_400.0}
_UNIT_AT_END = re.compile(r"_(?P<unit>(?:km|cm|mm|m)_?(?:per_?)?(?:day|d|year|yr|y|a)(?:_?1)?)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = 1900.0, 2200.0


@dataclass(frozen=True, eq=False)
class Reference:
    """Velocities to hold a series against.

    Parameters
    ----------
    start, end : ndarray, shape (n,)
        Span of each value [days since 1970-01-01 UTC]; equal for instants.
    values : dict of ndarray, shape (n,)
        ``v``, and ``vx`` and ``vy`` where they are known [m/yr].
    problems : tuple of str
        Rows that cannot be used, and why.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]]
    problems: tuple[str, ...] = field(default=())

    @property
    def instants(self) -> bool:
        """The values belong to instants, not to spans."""
        return bool(np.all(self.start == self.end))


def as_reference(given: Any) -> Reference:
    """Read a reference.

    Parameters
    ----------
    given : path, DataFrame or Reference
        One that is read already stays as it is. Else columns for the time: ``start`` and ``end``, or
        ``time``, perhaps with a ``span`` around it [d]; and for the velocity: ``v``, ``vx`` and ``vy`` along
        the axes of the map, or ``ve`` and ``vn``, of which the speed counts. Other usual names are known.
        Units stand in brackets behind a name, or at its end: m/yr, m/d and the like; without one m/yr. Times
        are ISO 8601 or decimal years; without a zone UTC. A date alone is the beginning of its day for a
        span, and its noon for an instant.

    Raises
    ------
    ItsliveError
        If it cannot be read, or lacks a column.
    """
    if isinstance(given, Reference):
        return given
    if isinstance(given, str | os.PathLike):
        return _read(read_table(given))
    if not hasattr(given, "columns"):
        raise ItsliveError(f"{type(given).__name__} is no reference: give a CSV file or a DataFrame")
    rows = given.itertuples(index=False, name=None)
    texts = tuple((number, tuple(_text(cell) for cell in row)) for number, row in enumerate(rows, start=1))
    columns = tuple(Column.of(str(name)) for name in given.columns)
    return _read(Table("the reference", columns, texts, ";"))


def _text(cell: Any) -> str:
    missing = cell is None or cell != cell  # NaN and NaT differ from themselves
    return "" if missing else cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _read(table: Table) -> Reference:
    plain, units = [], []
    for header in table.columns:
        found = _UNIT_AT_END.search(header.plain)
        plain.append(header.plain[: found.start()] if found else header.plain)
        units.append(header.unit or (found["unit"] if found else ""))

    def find(names: tuple[str, ...]) -> int | None:
        return next((plain.index(name) for name in names if name in plain), None)

    start, end, time, span = (find(names) for names in (_STARTS, _ENDS, _TIMES, _SPANS))
    at = {name: column for name, names in _VALUES.items() if (column := find(names)) is not None}
    if (start is None or end is None) and time is None:
        raise ItsliveError(f"{table.path} has no columns start and end, or time: its first line names them")
    usable = "v" in at or {"vx", "vy"} <= at.keys() or {"east", "north"} <= at.keys()
    if not usable:
        raise ItsliveError(f"{table.path} has no column v, or vx and vy, or ve and vn: rename yours")
    factors = {name: _factor(units[column], table.path) for name, column in at.items()}
    dates: list[tuple[float, float]] = []
    values: dict[str, list[float]] = {name: [] for name in at}
    problems = []
    for row, cells in table.rows:
        try:
            if misfit := table.misfit(cells):
                raise ValueError(misfit)
            if start is not None and end is not None:
                dates.append((_days(cells[start], 0.0), _days(cells[end], 0.0)))
                if not dates[-1][0] < dates[-1][1]:
                    raise ValueError(f"it ends at {cells[end]}, not after its start")
            else:
                assert time is not None
                half = 0.0 if span is None else _number(cells[span]) / 2
                middle = _days(cells[time], 0.5)
                dates.append((middle - half, middle + half))
            read = {name: _number(cells[column]) * factors[name] for name, column in at.items()}
        except (ValueError, IndexError) as error:
            words = "it has too few cells" if isinstance(error, IndexError) else str(error)
            problems.append(f"line {row}: {words}")
            del dates[len(values[next(iter(at))]) :]
            continue
        for name, value in read.items():
            values[name].append(value)
    both = np.array(dates, dtype=np.float64).reshape(-1, 2)
    known = {name: np.array(column, dtype=np.float64) for name, column in values.items()}
    kept = {name: known[name] for name in ("vx", "vy") if {"vx", "vy"} <= known.keys()}
    if "v" in known:
        kept["v"] = known["v"]
    elif not kept:
        kept["v"] = np.hypot(known["east"], known["north"])
    return Reference(both[:, 0], both[:, 1], kept, tuple(problems))


def _number(text: str) -> float:
    try:
        return parse_number(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no number" if text.strip() else "a value is missing") from error


def _days(text: str, of_a_date: float) -> float:
    """Give a time as days since 1970; a date alone is so much of its day later."""
    bare = text.strip()
    if re.fullmatch(r"\d{4}[.,]\d+", bare):
        year = parse_number(bare)
        if _YEARS[0] <= year <= _YEARS[1]:
            first, last = (datetime(int(year) + k, 1, 1, tzinfo=UTC) for k in (0, 1))
            return (first - _EPOCH + (year - int(year)) * (last - first)) / timedelta(days=1)
    if re.match(r"\d{4}/\d", bare):
        bare = bare.replace("/", "-")
    bare = re.sub(r"\s*(UTC|GMT)$", "+00:00", bare)
    try:
        when = datetime.fromisoformat(bare)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no date: write it as YYYY-MM-DD") from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    days = (when - _EPOCH) / timedelta(days=1)
    return days + of_a_date if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", bare) else days


def _factor(unit: str, path: str) -> float:
    """Give what turns a unit into m/yr."""
    bare = re.sub(r"[\s^*·_.]|per", "", unit.lower().replace("\N{SUPERSCRIPT ONE}", "1"))
    bare = bare.replace("\N{SUPERSCRIPT MINUS}", "-").replace("\N{MINUS SIGN}", "-")
    if not bare:
        return 1.0
    found = _UNIT.fullmatch(bare) or _UNIT.fullmatch(bare.removesuffix("1"))
    if not found:
        raise ItsliveError(f"{path} gives velocities in {unit!r}: write m/yr or m/d behind the name")
    length = found["length"] if found["length"] in _LENGTHS else "m"
    return _LENGTHS[length] * _TIMES_A_YEAR[found["time"][0]]
