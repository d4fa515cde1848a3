"""The command `watch`: what changed at points of a cube since the last look."""

from __future__ import annotations

import json
from pathlib import Path

import click

from itslive_core.cli.options import quiet_option
from itslive_core.cli.reporting import Reporter

__all__ = ["watch"]

SOME_POINTS_FAILED, CHANGED = 3, 4


@click.command(
    epilog="""\
Examples:

\b
  itslive watch demo.zarr --points glacier_points.csv --state watch.json
  itslive watch demo.zarr --points glacier_points.csv --state watch.json --json
"""
)
@click.argument("cube")
@click.option(
    "--points", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Table of points."
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What is remembered [FILE of points .watch.json].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
@quiet_option
def watch(cube: str, points: Path, state: Path | None, as_json: bool, quiet: bool) -> int:
    """Say what changed significantly at points of CUBE since the last time this was asked.

    The first time the points are read and remembered. Later only image pairs that are new are read; where
    there are some, the series is estimated again, and speed-ups and slow-downs that began, ended, or are of
    another size beyond limits of 95 % are told. Exit code 4 where something changed; 3 where points failed.
    """
    import itslive_core as itslive
    from itslive_core.jobs.watch import watch as look

    report = Reporter(quiet=quiet)
    with report.compiling():
        found = look(
            itslive.open_cube(cube), points, points.with_suffix(".watch.json") if state is None else state
        )
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        for change in found.changes:
            click.echo(str(change))
        if found.first:
            click.echo(f"Remembered {len(found.new_pairs)} points: nothing to compare with yet.")
        elif not found.changes:
            click.echo(f"Nothing changed; {sum(found.new_pairs.values())} new image pairs at the points.")
    if found.problems:
        click.echo(f"Error: {len(found.problems)} points failed: {'; '.join(found.problems[:3])}", err=True)
    return CHANGED if found.changes else SOME_POINTS_FAILED if found.problems else 0
