"""Commands that look at data: `demo`, `cubes`, `info` and `pairs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import (
    STDOUT,
    check_ending,
    destination,
    read_place,
    read_point,
    read_selection,
)
from itslive_core.cli.options import (
    filter_options,
    output_option,
    point_options,
    points_option,
    quiet_option,
)
from itslive_core.cli.points import at_points
from itslive_core.cli.reporting import Reporter

if TYPE_CHECKING:
    from itslive_core.cubes.datacube import Datacube
    from itslive_core.export import StationsWritten

__all__ = ["cubes", "demo", "info", "pairs"]


@click.command(
    epilog="""\
Examples:

\b
  itslive demo demo.zarr
  itslive demo demo.zarr --overwrite
"""
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@quiet_option
def demo(path: Path, overwrite: bool, quiet: bool) -> None:
    """Make the synthetic datacube at PATH, with its neighbour, outlines, points and truth beside it.

    It looks like a real ITS_LIVE cube, but its true velocity is known. The names of the files go to stdout.
    """
    from itslive_core.demo import make_demo

    Reporter(quiet=quiet).say("Making the demo ...")
    files = make_demo(path, overwrite=overwrite)
    for file in files.paths:
        click.echo(file)


@click.command(
    epilog="""\
Examples:

\b
  itslive cubes --lon 76.4 --lat 35.74
  itslive cubes --lon -49.5 --lat 69.17 --json
"""
)
@click.option("--lon", type=float, required=True, metavar="LON", help="Longitude, WGS 84 [degrees].")
@click.option("--lat", type=float, required=True, metavar="LAT", help="Latitude, WGS 84 [degrees].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@quiet_option
def cubes(as_json: bool, quiet: bool, **options: float | None) -> None:
    """List the ITS_LIVE datacubes that cover a place: one URL a line, best first. Works offline."""
    from itslive_core import cubes_at

    point = read_point({**options, "x": None, "y": None})
    assert point is not None
    assert point.lon is not None
    assert point.lat is not None
    report = Reporter(quiet=quiet)
    if as_json:
        found = cubes_at(point.lon, point.lat)
        facts = [{"url": one.url, "epsg": one.epsg, "name": one.name, "reason": one.reason} for one in found]
        click.echo(json.dumps(facts, indent=2))
        return
    for number, record in enumerate(cubes_at(point.lon, point.lat), start=1):
        click.echo(record.url)
        if record.reason:
            report.say(f"  {number}. EPSG:{record.epsg}: {record.reason}")


@click.command(
    epilog="""\
Examples:

\b
  itslive info demo.zarr
  itslive info demo.zarr --json
"""
)
@click.argument("cube")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(cube: str, as_json: bool) -> None:
    """Describe a datacube: where it lies, and which image pairs it holds.

    CUBE is a local Zarr folder, or an https:// or s3:// URL.
    """
    from itslive_core import open_cube

    facts = _describe(open_cube(cube))
    if as_json:
        click.echo(json.dumps(facts, indent=2, allow_nan=False))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<16}{_words(value)}")


@click.command(
    epilog="""\
Examples:

\b
  itslive pairs demo.zarr --lon -50.1245 --lat 69.3143 -o pairs.csv
  itslive pairs demo.zarr --x -202267 --y -2255452 --mission S1,S2 --max-span 60 -o short.csv
  itslive pairs demo.zarr demo_east.zarr --points demo_points.csv -o pairs.csv
"""
)
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@point_options
@points_option
@output_option(".csv or .parquet, or - for CSV on standard output")
@filter_options
@quiet_option
def pairs(cube: tuple[str, ...], output: Path, quiet: bool, **options: Any) -> int:
    """Write the image pairs of CUBE at one point, or at many, as a table.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used. The table of many points begins with the columns name,lon,lat.
    """
    from itslive_core.export import PAIRS_SUFFIXES, check_output, write_pairs, write_station_pairs
    from itslive_core.jobs.points import recipe_of_stations, work_at_a_point

    place = read_place(options)
    check_ending(output, PAIRS_SUFFIXES, "image pairs")
    selection = read_selection(options)
    if str(output) != STDOUT:
        check_output(output, PAIRS_SUFFIXES)
    report = Reporter(quiet=quiet)

    work = work_at_a_point("pairs", selection=selection)
    with destination(output) as path:
        if isinstance(place, Path):

            def recipe(opened: Any, stations: Any) -> str:
                return recipe_of_stations("pairs", opened, stations, selection=selection)

            def write(results: Any, text: str, opened: Any) -> StationsWritten:
                return write_station_pairs(results, path, recipe=text, cubes=opened)

            return at_points(cube, place, report, work, recipe, write)
        found = work(place.first_cube(cube, report.say).pairs_at(**place.arguments))
        for step in found.history:
            report.say(f"{step.kept:>8,} pairs after {step.name}: {step.note}")
        write_pairs(found, path, selection=selection)
    report.say(f"Wrote {len(found):,} pairs to {output}")
    return 0


def _describe(cube: Datacube) -> dict[str, Any]:
    """Facts about a cube, as plain values for JSON."""
    import numpy as np

    from itslive_core.observations.missions import MISSIONS
    from itslive_core.observations.pairs import to_datetime

    table = cube.pair_table
    start, end = table.start[table.usable], table.end[table.usable]
    first, last = (str(date)[:10] for date in to_datetime(np.array([start.min(), end.max()])))
    spans = np.percentile(end - start, [0, 50, 100])
    rows, columns = cube.shape
    return {
        "url": cube.url,
        "epsg": cube.epsg,
        "crs": cube.crs.name,
        "bounds": [round(value, 3) for value in cube.bounds],
        "lonlat_bounds": [round(value, 5) for value in cube.lonlat_bounds],
        "pixel_size": [abs(step) for step in cube.pixel_size],
        "rows": rows,
        "columns": columns,
        "block": list(cube.block_shape),
        "date_updated": cube.date_updated,
        **({} if cube.snapshot is None else {"snapshot": cube.snapshot}),
        "n_pairs": cube.n_pairs,
        "first_image": first,
        "last_image": last,
        "span": {name: round(float(span), 1) for name, span in zip(("min", "median", "max"), spans)},
        "dates": table.dates_step(np.ones(len(table), dtype=bool)).note,
        "missions": {name: int((table.mission[table.usable] == name).sum()) for name in MISSIONS},
    }


def _words(value: Any) -> str:
    """One fact as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return f"{value:,}" if isinstance(value, int) and value > 99_999 else str(value)
