"""Files of many points: a long table, or NetCDF of time series at stations; memory stays flat."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SelectionError
from itslive_core.export.files import (
    PAIRS_SUFFIXES,
    SEASON_SUFFIXES,
    SERIES_SUFFIXES,
    check_output,
    replacing,
)
from itslive_core.export.geoparquet import is_parquet, write_geoparquet
from itslive_core.export.georeference import epsg_of, wkt_of
from itslive_core.export.netcdf import NetcdfVariable, create_netcdf, days_since_epoch, netcdf_attributes
from itslive_core.export.recipes import writing_table
from itslive_core.export.tables import pairs_table, season_table, series_table, write_table
from itslive_core.series import TIME_ATTRIBUTES, grid_mapping, time_coordinates
from itslive_core.series.recipe import sum_of, with_values

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.observations.windows import Windows
    from itslive_core.places.stations import Station
    from itslive_core.series.stations import StationResult

__all__ = ["StationsWritten", "write_station_pairs", "write_station_seasons", "write_station_series"]

_OF_A_STATION = {
    "n_pairs_used": ("number of used image pairs", "1"),
    "smoothing_used": ("lambda that was used", "1"),
    "effective_degrees_of_freedom": ("effective degrees of freedom of the fit", "1"),
}
"""Attributes of a series that become variables of its station."""


@dataclass
class StationsWritten:
    """What became of the stations of a file.

    Parameters
    ----------
    path : Path
    n : int
        Stations with a result.
    errors : list of str
        Why others have none, each naming its station.
    checksums : dict of int to str
        Of what was read for each station, by its number.
    """

    path: Path
    n: int = 0
    errors: list[str] = field(default_factory=list)
    checksums: dict[int, str] = field(default_factory=dict)

    @property
    def values(self) -> str:
        """Checksum of all that was read for them."""
        return sum_of(self.checksums[number] for number in sorted(self.checksums))

    def see(self, result: StationResult) -> bool:
        """Count a result; False if there is none."""
        if result.error is not None:
            self.errors.append(result.error)
            return False
        self.n += 1
        self.checksums[result.number] = result.checksum
        return True

    def check(self) -> None:
        """Refuse to write nothing.

        Raises
        ------
        SelectionError
        """
        if self.n == 0:
            why = f"the first because: {self.errors[0]}" if self.errors else "there are none"
            raise SelectionError(f"none of the {len(self.errors)} points has a result, {why}")


def write_station_series(
    results: Iterable[StationResult],
    path: str | os.PathLike[str],
    *,
    stations: Sequence[Station],
    grid: TimeGrid | Windows,
    recipe: str | None = None,
    cubes: Sequence[Datacube] = (),
) -> StationsWritten:
    """Write the series of many points as they come.

    Parameters
    ----------
    results : iterable of StationResult
        Values are series, from `itslive_core.run_points`.
    path : path
        ``.csv``: columns ``name,lon,lat`` and `SERIES_COLUMNS`, one point after the other as they were
        listed; lon and lat are those of the point, x and y those of its pixel. ``.parquet``: the same as
        GeoParquet, which is put together in memory. ``.nc``: NetCDF 4 after CF (featureType timeSeries) with
        dimensions (station, time).
    stations : sequence of Station
        As they are listed; those without a result get a row without values.
    grid : TimeGrid or Windows
        Cells of a NetCDF file: all that any series has.
    recipe : str, optional
        Of all of them, from `itslive_core.jobs.points.recipe_of_stations`.
    cubes : sequence of Datacube
        Where the points were looked for. Which cube has each is written as ``cube_url``: to NetCDF where
        there are several, and as the last column of a table where these are of several projections.

    Raises
    ------
    SelectionError
        If no point has a result: nothing is written then.
    OutputError
        If the ending is another one, or the file cannot be written.
    """
    path = check_output(path, SERIES_SUFFIXES)
    if path.suffix.lower() != ".nc":
        return _write_long(results, path, series_table, recipe, cubes)
    return _write_netcdf(results, path, stations, grid, recipe, several=len(cubes) > 1)


def write_station_pairs(
    results: Iterable[StationResult],
    path: str | os.PathLike[str],
    *,
    recipe: str | None = None,
    cubes: Sequence[Datacube] = (),
) -> StationsWritten:
    """Write the image pairs of many points: ``name,lon,lat`` and `PAIRS_COLUMNS`; as the series."""
    return _write_long(results, check_output(path, PAIRS_SUFFIXES), pairs_table, recipe, cubes)


def write_station_seasons(
    results: Iterable[StationResult],
    path: str | os.PathLike[str],
    *,
    recipe: str | None = None,
    cubes: Sequence[Datacube] = (),
) -> StationsWritten:
    """Write the seasons of many points: ``name,lon,lat`` and `SEASON_COLUMNS`; as the series."""
    return _write_long(results, check_output(path, SEASON_SUFFIXES), season_table, recipe, cubes)


def _write_long(
    results: Iterable[StationResult],
    path: Path,
    table_of: Callable[[Any], Any],
    recipe: str | None,
    cubes: Sequence[Datacube],
) -> StationsWritten:
    """Write one table of all, one point after the other as they were listed."""
    written = StationsWritten(path)
    tables = _tables(results, written, table_of, named=len({cube.crs_name for cube in cubes}) > 1)
    with writing_table(path, lambda: with_values(recipe, written.values)) as partial:
        if is_parquet(path):
            import pandas as pd

            found = dict(tables)
            written.check()
            write_geoparquet(pd.concat([found[n] for n in sorted(found)], ignore_index=True), partial)
        else:
            _write_text(tables, written, partial)
    return written


def _tables(
    results: Iterable[StationResult],
    written: StationsWritten,
    table_of: Callable[[Any], Any],
    *,
    named: bool,
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Give the number of each station that has a result, and its rows."""
    for result in results:
        if not written.see(result):
            continue
        table = table_of(result.value)
        assert result.station is not None
        assert result.lonlat is not None
        place = (
            ("name", harmless(result.station.name)),
            ("lon", result.lonlat[0]),
            ("lat", result.lonlat[1]),
        )
        for at, (name, value) in enumerate(place):
            table.insert(at, name, value)
        if named:  # before the projection, which only some have
            table.insert(len(table.columns) - ("crs" in table), "cube_url", result.cube_url)
        yield result.number, table


def _write_text(tables: Iterable[tuple[int, pd.DataFrame]], written: StationsWritten, partial: Path) -> None:
    """Write tables as CSV; they come in any order and wait on disk for their turn."""
    places: dict[int, tuple[int, int, int]] = {}
    header, widest = "", 0
    with tempfile.TemporaryFile(dir=partial.parent) as waiting:
        for number, table in tables:
            text = io.StringIO()
            write_table(table, text)
            own, _, lines = text.getvalue().partition("\n")
            if len(table.columns) > widest:
                header, widest = own, len(table.columns)
            places[number] = waiting.tell(), waiting.write(lines.encode()), len(table.columns)
        written.check()
        with partial.open("wb") as file:
            file.write(header.encode() + b"\n")
            for _, (begin, size, width) in sorted(places.items()):
                waiting.seek(begin)
                rows = waiting.read(size)
                file.write(rows if width == widest else _widened(rows, widest - width))


def _widened(rows: bytes, by: int) -> bytes:
    """Add empty columns to rows of CSV: only projections without a code have a column for them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([*row, *[""] * by] for row in csv.reader(io.StringIO(rows.decode(), newline="")))
    return text.getvalue().encode()


def harmless(text: str) -> str:
    """Give text that a spreadsheet takes for text: what begins like a formula gets an apostrophe."""
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        try:
            float(text)
        except ValueError:
            return f"'{text}"
    return text


def _write_netcdf(
    results: Iterable[StationResult],
    path: Path,
    stations: Sequence[Station],
    grid: TimeGrid | Windows,
    recipe: str | None,
    *,
    several: bool,
) -> StationsWritten:
    written = StationsWritten(path)
    file: Any = None
    shared: dict[str, Any] = {}
    systems: set[int | str | None] = set()
    with replacing(path) as partial:
        try:
            for result in results:
                if not written.see(result):
                    continue
                ds: xr.Dataset = result.value
                if file is None:
                    file, shared = _create(partial, ds, stations, grid, several=several), dict(ds.attrs)
                shared = {k: v for k, v in shared.items() if k in ds.attrs and bool(np.all(ds.attrs[k] == v))}
                systems.add(epsg_of(ds) or wkt_of(ds))
                _write_row(file, result, ds, grid)
            written.check()
            _place(file, systems)
            kept = {k: v for k, v in shared.items() if not k.startswith("n_pairs_") and k not in _OF_ONE}
            file.setncatts(
                netcdf_attributes(
                    {**kept, "featureType": "timeSeries", "recipe": with_values(recipe, written.values)}
                )
            )
        except RuntimeError as error:  # how the NetCDF library tells of a full disk
            raise OSError(str(error)) from error
        finally:
            if file is not None:
                file.close()
    return written


_OF_ONE = {*_OF_A_STATION, "warnings", "recipe", "reason", "filters", "findings"}
_COORDINATES = "station_name lon lat"


def _create(
    path: Path, first: xr.Dataset, stations: Sequence[Station], grid: TimeGrid | Windows, *, several: bool
) -> Any:
    """Make a file with a row for each station, and room for the variables of a series."""
    n, size = len(stations), grid.size
    line, cube = ("station",), ("station", "time")
    metres, degrees = {"units": "m"}, {"lon": "degrees_east", "lat": "degrees_north"}
    variables = {
        "time": NetcdfVariable(("time",), "M8[ns]", TIME_ATTRIBUTES),
        "time_bnds": NetcdfVariable(("time", "bnds"), "M8[ns]", {}),
        "station_name": NetcdfVariable(
            line, str, {"long_name": "name of the station", "cf_role": "timeseries_id"}
        ),
    }
    for name, long in (("lon", "longitude"), ("lat", "latitude")):
        words = {"standard_name": long, "long_name": f"{long} of the station", "units": degrees[name]}
        variables[name] = NetcdfVariable(line, "f8", words, missing=True)
    for name in ("x", "y"):
        words = {
            "standard_name": f"projection_{name}_coordinate",
            "long_name": "centre of the pixel",
            **metres,
        }
        variables[name] = NetcdfVariable(line, "f8", words, missing=True)
    variables["epsg"] = NetcdfVariable(line, "i4", {"long_name": "EPSG code of the projection; 0: none"})
    if several:
        variables["cube_url"] = NetcdfVariable(line, str, {"long_name": "datacube that the pixel is of"})
    for name, (words_, units) in _OF_A_STATION.items():
        if name in first.attrs:
            whole = name.startswith("n_")
            known = {"long_name": words_, "units": units, "coordinates": _COORDINATES}
            variables[name] = NetcdfVariable(line, "i4" if whole else "f8", known, missing=not whole)
    for key, variable in first.data_vars.items():
        if variable.dims == ("time",):
            known = {k: v for k, v in variable.attrs.items() if k != "grid_mapping"}
            kind = variable.dtype.kind
            dtype = "f8" if kind == "f" else "i2" if "flag_masks" in known else "i4"
            words = {**known, "coordinates": _COORDINATES}
            variables[str(key)] = NetcdfVariable(cube, dtype, words, (1, max(size, 1)), kind == "f")
    file = create_netcdf(path, {"station": n, "time": size, "bnds": 2}, variables, {})
    centres, bounds = time_coordinates(grid)
    file["time"][:], file["time_bnds"][:] = days_since_epoch(centres), days_since_epoch(bounds)
    names = unique_names([station.name for station in stations])
    for row, station in enumerate(stations):
        file["station_name"][row] = names[row]
        for name in ("lon", "lat"):
            value = getattr(station, name)
            file[name][row] = np.nan if value is None else value
    whole_numbers = [name for name, variable in variables.items() if variable.dtype in ("i2", "i4")]
    for name in whole_numbers:  # stations without a result have no pairs
        file[name][:] = 0
    return file


def unique_names(names: Sequence[str]) -> list[str]:
    """Give names that differ: the second Camp is Camp (2)."""
    seen: set[str] = set()
    out = []
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            unique = f"{name} ({number})"
        seen.add(unique)
        out.append(unique)
    return out


def _write_row(file: Any, result: StationResult, ds: xr.Dataset, grid: TimeGrid | Windows) -> None:
    row, size = result.number, ds.sizes["time"]
    assert result.lonlat is not None
    file["lon"][row], file["lat"][row] = result.lonlat
    file["x"][row], file["y"][row] = float(ds["x"]), float(ds["y"])
    file["epsg"][row] = epsg_of(ds) or 0
    if "cube_url" in file.variables:
        file["cube_url"][row] = result.cube_url
    for name in _OF_A_STATION:
        if name in file.variables:
            file[name][row] = ds.attrs.get(name, np.nan)
    first = float(days_since_epoch(ds["time_bnds"].values[:1, 0])[0])
    begin = int(np.abs(grid.edges - first).argmin())  # to rounding: times are written in whole microseconds
    for key, variable in ds.data_vars.items():
        if variable.dims == ("time",) and key in file.variables:
            file[str(key)][row, begin : begin + size] = variable.values


def _place(file: Any, systems: set[int | str | None]) -> None:
    """Name the projection by its code, else its WKT, if all stations are on one."""
    system = next(iter(systems)) if len(systems) == 1 else None
    if system is None:
        return
    file.createVariable("mapping", "i4", ()).setncatts(netcdf_attributes(grid_mapping(system)))
    for variable in file.variables.values():
        if variable.dimensions == ("station", "time"):
            variable.setncattr("grid_mapping", "mapping")
