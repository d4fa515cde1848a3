"""The command `season`: how fast, since when slower or faster, and when in the year, at one point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import STDOUT, check_ending, destination, read_place, read_selection
from itslive_core.cli.options import filter_options, point_options, points_option, quiet_option
from itslive_core.cli.points import at_points
from itslive_core.cli.reporting import Reporter
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr

    from itslive_core.export import StationsWritten

__all__ = ["season"]


@click.command(
    epilog="""\
Examples:

\b
  itslive season demo.zarr --lon -50.1245 --lat 69.3143
  itslive season demo.zarr --lon -50.1245 --lat 69.3143 --start 2015-01-01 --mission S1,S2 -o season.csv
  itslive season demo.zarr demo_east.zarr --points demo_points.csv -o seasons.csv
"""
)
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@point_options
@points_option
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write the table to this file too: .csv, or - for standard output instead of words.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
@filter_options
@quiet_option
def season(cube: tuple[str, ...], output: Path | None, as_json: bool, quiet: bool, **options: Any) -> int:
    """Estimate mean speed, trend and season from the image pairs of CUBE at one point, or at many.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used. The season is the annual harmonic of the velocity along the flow, averaged exactly over the span of
    each pair; errors are one standard deviation and count that seasons differ between years. OUT has a line
    for all years and one for each; that of many points begins with the columns name,lon,lat.
    """
    from itslive_core import InversionSettings
    from itslive_core.export import SEASON_SUFFIXES, check_output, write_season, write_station_seasons
    from itslive_core.jobs.points import recipe_of_stations, work_at_a_point

    place = read_place(options)
    selection = read_selection(options)
    if output is not None:
        check_ending(output, SEASON_SUFFIXES, "a season")
        if str(output) != STDOUT:
            check_output(output, SEASON_SUFFIXES)
    report = Reporter(quiet=quiet)

    fit = work_at_a_point("season", selection=selection)
    if isinstance(place, Path):
        if output is None or as_json:
            raise click.UsageError("the seasons of many points are a table: name it with -o OUT.csv, or -o -")

        def recipe(opened: Any, stations: Any) -> str:
            return recipe_of_stations("season", opened, stations, InversionSettings(), selection)

        def write(results: Any, text: str, opened: Any) -> StationsWritten:
            return write_station_seasons(results, path, recipe=text, cubes=opened)

        with destination(output) as path, report.compiling():
            return at_points(cube, place, report, fit, recipe, write)
    opened = place.first_cube(cube, report.say)
    report.say(f"Reading {opened.url}")
    pairs = opened.pairs_at(**place.arguments)
    with report.compiling():
        found = fit(pairs)
    if as_json:
        click.echo(json.dumps(_plain(found), indent=2, allow_nan=False))
    elif str(output) != STDOUT:
        for line in describe(found):
            click.echo(line)
    report.say(f"{found.attrs['n_pairs_used']:,} of {pairs.n_read:,} pairs used")
    report.say(
        "Shadows, snow and terrain errors follow the seasons too: compare with ice-free ground nearby."
    )
    if output is not None:
        with destination(output) as path:
            write_season(found, path)
        report.say(f"Wrote {found.sizes['year'] + 1} lines to {output}")
    return 0


def _plain(ds: xr.Dataset) -> dict[str, Any]:
    """Give what was found as plain values for JSON; what is not known is null."""

    def known(value: float) -> float | None:
        return None if value != value else float(value)

    years = [
        {"year": int(year)}
        | {
            str(name).removeprefix("year_"): known(float(ds[name].sel(year=year)))
            for name in ds.data_vars
            if ds[name].dims == ("year",)
        }
        for year in ds["year"].values
    ]
    scalars = {
        str(name): known(float(ds[name]))
        for name in (*ds.data_vars, *ds.coords)
        if ds[name].ndim == 0 and name != "mapping"
    }
    return {
        **scalars,
        "years": years,
        "n_pairs_used": int(ds.attrs["n_pairs_used"]),
        "reason": ds.attrs["reason"],
    }


def describe(ds: xr.Dataset) -> list[str]:
    """Say in plain words what was found at a point, and list the years.

    Parameters
    ----------
    ds : xarray.Dataset
        What `itslive_core.fit_season` returned, with an estimate.

    Returns
    -------
    list of str
        Lines.
    """
    value = {str(name): float(ds[name]) for name in ds.data_vars if ds[name].ndim == 0}
    speed, amplitude = value["mean_speed"], value["season_amplitude"]
    lines = [
        f"Mean speed  {_number(speed, value['mean_speed_std'])} m/yr",
        f"Trend       {_number(value['trend'], value['trend_std'], sign=True)} m/yr per year",
        f"Season      amplitude {_number(amplitude, value['season_amplitude_std'])} m/yr",
    ]
    if ds["season_day"].isnull():
        lines[-1] += ": not significant, so no day is given"
    else:
        lines[-1] += f", fastest on {_date(value['season_day'])} ± {value['season_day_std']:.0f} days"
        lines.append(f"            and changes by about {value['season_change']:.2g} m/yr from year to year")
    lines += ["", f"{'Year':<6}{'Pairs':>7}{'Speed [m/yr]':>18}{'Amplitude [m/yr]':>20}  Fastest on"]
    for year in ds["year"].values:
        here = {str(name): float(ds[name].sel(year=year)) for name in ds.data_vars if ds[name].ndim == 1}
        line = f"{year:<6}{int(here['year_n_pairs']):>7}"
        if here["year_speed"] == here["year_speed"]:
            line += f"{_number(here['year_speed'], here['year_speed_std']):>18}"
            line += f"{_number(here['year_amplitude'], here['year_amplitude_std']):>20}"
            certain = here["year_amplitude"] >= 2 * here["year_amplitude_std"]
            line += f"  {_date(here['year_day'])} ± {here['year_day_std']:.0f} d" if certain else ""
        lines.append(line)
    return lines


def _number(value: float, std: float, *, sign: bool = False) -> str:
    """Write a number and its standard deviation with the digits that the latter leaves."""
    import math

    digits = 1 if not (math.isfinite(std) and std > 0) else max(0, min(6, 1 - math.floor(math.log10(std))))
    return f"{value:{'+' if sign else ''}.{digits}f} ± {std:.{digits}f}"


def _date(day: float) -> str:
    """Name the day of an average year."""
    from datetime import UTC, datetime, timedelta

    date = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=day * 365.0 / DAYS_PER_YEAR)
    return f"{date.day} {date:%B}"
