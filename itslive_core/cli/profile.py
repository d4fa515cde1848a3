"""The command `profile`: series along a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from itslive_core.cli.arguments import STDOUT, check_ending, destination, read_selection, read_settings
from itslive_core.cli.options import device_option, filter_options, options_of, output_option, quiet_option
from itslive_core.cli.reporting import Reporter, stop_on_interrupt
from itslive_core.inversion.settings import InversionSettings

__all__ = ["profile"]

SOME_POINTS_FAILED = 3


@click.command(
    epilog="""\
Examples:

\b
  itslive profile demo.zarr --line demo_centrelines.geojson --rgi-id RGI2000-v7.0-G-05-90002 -o line.nc
"""
)
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@click.option(
    "--line", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The line, in a file."
)
@click.option("--rgi-id", metavar="ID", help="Whose main line, where FILE has several.")
@click.option("--spacing", type=float, metavar="M", help="Distance between points [m] [size of a pixel].")
@output_option(".nc, or .csv (- for standard output)")
@options_of(InversionSettings, first=("smoothing", "derivative", "interval"))
@filter_options
@device_option(InversionSettings)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads [one a core].")
@quiet_option
def profile(
    cube: tuple[str, ...],
    line: Path,
    rgi_id: str | None,
    spacing: float | None,
    output: Path,
    workers: int | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Invert the image pairs of CUBE along a line, to series of time and distance.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used. Points lie at equal distances along the line in FILE, from its first vertex on; each takes the
    series of its nearest pixel, and each pixel is inverted once. A .nc has the dimensions distance and
    time, a .csv begins with the columns distance [m],lon,lat. Points without image pairs have no series.
    """
    import itslive_core as itslive
    from itslive_core.export import PROFILE_SUFFIXES, check_output, write_profile

    check_ending(output, PROFILE_SUFFIXES, "a profile")
    settings, selection = read_settings(InversionSettings, options), read_selection(options)
    if str(output) != STDOUT:
        check_output(output, PROFILE_SUFFIXES)
    report = Reporter(quiet=quiet)
    with report.compiling(), stop_on_interrupt(report) as stop, report.blocks() as progress:
        found = itslive.profile(
            [itslive.open_cube(path) for path in cube],
            line,
            settings,
            spacing=spacing,
            selection=selection,
            rgi_id=rgi_id,
            workers=workers,
            should_stop=stop.is_set,
            progress=lambda done, total: progress.update(done, total, "points"),
        )
    with destination(output) as path:
        write_profile(found, path)
    solved = int(found["v"].notnull().any("time").sum())
    report.say(f"Wrote series at {solved:,} of {found.sizes['distance']:,} points to {output}")
    problems = str(found.attrs["problems"]).splitlines()
    if problems:
        click.echo(f"Error: {len(problems)} points failed: {'; '.join(problems[:3])}", err=True)
        return SOME_POINTS_FAILED
    return 0
