"""The command `compare`: how far a series is from what was measured on the ice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itslive_core.cli.arguments import STDOUT, source

if TYPE_CHECKING:
    from itslive_core.comparison.compare import Statistics

__all__ = ["compare"]

SOME_ROWS_FAILED = 3


@click.command(
    epilog="""\
Examples:

\b
  itslive median demo.zarr --lon -50.1245 --lat 69.3143 -o trunk.nc
  itslive compare trunk.nc demo_reference.csv
  itslive compare trunk.nc demo_reference.csv --json
"""
)
@click.argument("series", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--station", metavar="NAME", help="Which one, where SERIES holds many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(series: Path, reference: Path, station: str | None, as_json: bool) -> int:
    """Compare SERIES, a .nc or .csv of this program, with the table REFERENCE.

    REFERENCE is a CSV file with the columns start and end, or time, and v, or vx and vy along the axes of the
    map; other usual names are known, and units behind a name in brackets: [m/yr], which is meant without one,
    or [m/d]. Times without a zone are UTC. A value over a span is held against the mean of the series over
    that span; values of instants are averaged over each cell of the series. Differences are series less
    reference. Either may be -, a CSV from the standard input.
    """
    from itslive_core.comparison.compare import compare as hold_against

    if str(series) == str(reference) == STDOUT:
        raise click.UsageError("only one of SERIES and REFERENCE can come from the standard input")
    with source(series) as ours, source(reference) as theirs:
        found = hold_against(ours, theirs, station=station)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        click.echo(f"{'':<6}{'n':>6}{'bias [m/yr]':>16}{'RMSE [m/yr]':>16}{'MAE [m/yr]':>16}")
        click.echo(_line("speed", found))
        for name, statistics in found.components.items():
            click.echo(_line(name, statistics))
    if found.problems:
        first = "; ".join(found.problems[:3])
        click.echo(f"Error: {len(found.problems)} rows of {reference} cannot be used: {first}", err=True)
        return SOME_ROWS_FAILED
    return 0


def _line(name: str, one: Statistics) -> str:
    return f"{name:<6}{one.n:>6}{one.bias:>+16.4g}{one.rmse:>16.4g}{one.mae:>16.4g}"
