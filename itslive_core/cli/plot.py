"""The command `plot`: a figure of a result."""

from __future__ import annotations

from pathlib import Path

import click

from itslive_core.cli.options import output_option, quiet_option
from itslive_core.cli.reporting import Reporter

__all__ = ["plot"]


@click.command(
    epilog="""\
Examples:

\b
  itslive median demo.zarr --lon -50.1245 --lat 69.3143 -o trunk.nc
  itslive plot trunk.nc -o trunk.png
  itslive plot trunk.nc --variable vx -o trunk.svg
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@output_option(".png, .svg or .pdf")
@click.option("--variable", default="v", show_default=True, metavar="NAME", help="What is shown.")
@click.option("--date", metavar="DATE", help="Of an area: this day, instead of the median in time.")
@click.option("--station", metavar="NAME", help="Which one, where FILE holds many.")
@quiet_option
def plot(file: Path, output: Path, variable: str, date: str | None, station: str | None, quiet: bool) -> None:
    """Draw FILE: series with their 95 % band, a line in time and distance, or the map of an area.

    FILE is a .nc, .csv, .parquet or .zarr of this program. A caption says what is shown, how it was made, and
    what is to be cited.
    """
    from itslive_core.export.figure import write_figure

    written = write_figure(file, output, variable=variable, date=date, station=station)
    Reporter(quiet=quiet).say(f"Wrote {written}")
