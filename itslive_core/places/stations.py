"""Stations: the named points of a batch, and the tables that list them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itslive_core.errors import ItsliveError, SettingsError
from itslive_core.support.csv_tables import Column, parse_number, read_table

if TYPE_CHECKING:
    from itslive_core.support.csv_tables import Table

__all__ = ["BadRow", "Station", "as_stations", "read_stations"]

_DEGREES = ("", "_deg", "_dd", "_degrees", "_wgs84", "_decimal")
_NAMES: dict[str, tuple[str, ...]] = {
    "lon": tuple(f"{n}{end}" for n in ("lon", "longitude", "long", "lng", "x_wgs84") for end in _DEGREES),
    "lat": tuple(f"{n}{end}" for n in ("lat", "latitude", "y_wgs84") for end in _DEGREES),
    "x": ("x", "x_m", "easting", "easting_m", "east", "x_coord", "xcoord", "point_x"),
    "y": ("y", "y_m", "northing", "northing_m", "north", "y_coord", "ycoord", "point_y"),
    "name": (
        "name", "station", "station_name", "site", "site_name", "point", "label", "id", "station_id",
        "point_id", "site_id", "code", "fid", "title",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Station:
    """A named place.

    Parameters
    ----------
    name : str
    lon, lat : float, optional
        WGS 84 [degrees].
    x, y : float, optional
        In the CRS of the datacube [m], instead of lon and lat.
    row : int
        Line of the table that names it, for messages; 0: none.

    Raises
    ------
    SettingsError
        If that is no place.
    """

    name: str
    lon: float | None = None
    lat: float | None = None
    x: float | None = None
    y: float | None = None
    row: int = 0

    def __post_init__(self) -> None:
        """Check the place."""
        given = {name for name in ("lon", "lat", "x", "y") if getattr(self, name) is not None}
        if given not in ({"lon", "lat"}, {"x", "y"}):
            raise SettingsError(f"{self.name} is no place: give lon and lat, or x and y")
        if not all(math.isfinite(getattr(self, name)) for name in given):
            raise SettingsError(f"{self.name} is no place: its coordinates are not finite")
        if self.lon is not None and self.lat is not None:
            if not -90.0 <= self.lat <= 90.0:
                raise SettingsError(
                    f"lat {self.lat:g} is outside -90 to 90 (is it the longitude, or metres?)"
                )
            if not -360.0 <= self.lon <= 360.0:
                raise SettingsError(f"lon {self.lon:g} is outside -180 to 180 (is it in metres?)")

    @property
    def place(self) -> dict[str, float | None]:
        """What `Datacube.locate` and `Datacube.pairs_at` want."""
        return {"lon": self.lon, "lat": self.lat, "x": self.x, "y": self.y}

    def __str__(self) -> str:
        """Name it for a message."""
        return f"line {self.row} ({self.name})" if self.row else self.name


@dataclass(frozen=True)
class BadRow:
    """A line of a table that names no place.

    Parameters
    ----------
    row : int
        Its number in the file.
    name : str
        What it calls the place; may be empty.
    error : str
    """

    row: int
    name: str
    error: str

    def __str__(self) -> str:
        """Say which line, and why."""
        return f"line {self.row}{f' ({self.name})' if self.name else ''}: {self.error}"


def read_stations(path: str | os.PathLike[str]) -> tuple[list[Station], list[BadRow]]:
    """Read a table of points: columns for lon and lat, or x and y, and for a name if there is one.

    Usual spellings of the header are known, in any case, with or without a unit in brackets; how the file may
    be written says `itslive_core.support.csv_tables.read_table`. Where both are given lon and lat count. A
    point without a name is called by its number.

    Parameters
    ----------
    path : path

    Returns
    -------
    stations : list of Station
    bad : list of BadRow
        Lines that name no place.

    Raises
    ------
    ItsliveError
        If the file cannot be read, or lacks a column.
    """
    table = read_table(path)
    at = {wanted: table.find(names) for wanted, names in _NAMES.items()}
    kinds = [pair for pair in (("lon", "lat"), ("x", "y")) if all(at[one] is not None for one in pair)]
    if not kinds:
        found = ", ".join(column.name for column in table.columns)
        raise ItsliveError(
            f"{table.path} has no columns lon and lat, or x and y: its first line must name them,"
            f" and is {found[:120]!r}"
        )
    stations: list[Station] = []
    bad: list[BadRow] = []
    for number, (row, cells) in enumerate(table.rows, start=1):
        name = _cell(cells, at["name"])
        try:
            stations.append(
                _station(table, cells, {one: at[one] for one in kinds[0]}, name or str(number), row)
            )
        except SettingsError as error:
            bad.append(BadRow(row, name, str(error)))
    return stations, bad


def _station(table: Table, cells: tuple[str, ...], at: dict[str, int | None], name: str, row: int) -> Station:
    misfit = table.misfit(cells)
    if misfit:
        raise SettingsError(misfit)
    values: dict[str, float] = {}
    for wanted, column in at.items():
        text = _cell(cells, column)
        if not text:
            raise SettingsError(f"it has no {wanted}")
        try:
            values[wanted] = parse_number(text)
        except ValueError as error:
            raise SettingsError(f"its {wanted} {text[:40]!r} is no number") from error
    return Station(name, **values, row=row)


def _cell(cells: tuple[str, ...], column: int | None) -> str:
    return cells[column].strip() if column is not None and column < len(cells) else ""


def as_stations(points: Any) -> tuple[list[Station], list[BadRow]]:
    """Take points as a person gives them.

    Parameters
    ----------
    points : path, DataFrame, or iterable
        A table as `read_stations` takes it; or stations; or (lon, lat) or (lon, lat, name).

    Raises
    ------
    ItsliveError
        If the table cannot be read, or a place is none; only lines of a file may be bad.
    """
    if isinstance(points, str | os.PathLike):
        return read_stations(points)
    if hasattr(points, "columns"):
        return _of_frame(points), []
    if not isinstance(points, Iterable):
        raise SettingsError(f"{points!r} is no list of points: give a CSV file, or (lon, lat) of each")
    found = []
    for number, point in enumerate(points, start=1):
        if isinstance(point, Station):
            found.append(point)
            continue
        try:
            first, second, *rest = point
            lon, lat = float(first), float(second)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"point {number} is {point!r}: give (lon, lat) or (lon, lat, name)"
            ) from error
        found.append(Station(str(rest[0]) if rest else str(number), lon, lat))
    return found, []


def _of_frame(frame: Any) -> list[Station]:
    """Take the rows of a data frame."""
    plain = {Column.of(str(name)).plain: name for name in frame.columns}
    at = {w: next((plain[n] for n in names if n in plain), None) for w, names in _NAMES.items()}
    kind = next((k for k in (("lon", "lat"), ("x", "y")) if all(at[one] is not None for one in k)), None)
    if kind is None:
        raise SettingsError("the table of points has no columns lon and lat, or x and y")
    names = frame[at["name"]] if at["name"] is not None else range(1, len(frame) + 1)
    first, second = (frame[at[one]].to_numpy(dtype=float) for one in kind)
    lonlat = kind == ("lon", "lat")
    return [
        Station(str(name), float(a), float(b)) if lonlat else Station(str(name), x=float(a), y=float(b))
        for name, a, b in zip(names, first, second, strict=True)
    ]
