"""The command `gp`: a Gaussian process at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import check_ending, read_point, read_selection
from itslive_core.cli.options import filter_options, output_option, point_options, quiet_option
from itslive_core.cli.reporting import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from itslive_core.estimators.gp_settings import GaussianProcessSettings

__all__ = ["gp"]

_SETTINGS = ("method", "interval", "trend", "season", "harmonics", "offsets", "outliers", "device")


@click.command(
    epilog="""\
Examples:

\b
  itslive gp demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc
  itslive gp demo.zarr --lon -50.1245 --lat 69.3143 --start 2015-01-01 --no-season -o series.csv
"""
)
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@point_options
@output_option(".nc or .csv")
@click.option(
    "--method",
    type=click.Choice(["span", "sklearn"]),
    help="Average over the span of each pair; or scikit-learn's on mid-dates, for comparison [span].",
)
@click.option("--interval", type=float, metavar="DAYS", help="Length of a cell of the series [12 days].")
@click.option("--trend/--no-trend", default=None, help="Changes over years [trend].")
@click.option("--season/--no-season", default=None, help="A yearly cycle whose shape drifts [season].")
@click.option("--harmonics", type=int, metavar="N", help="Harmonics of the season [6].")
@click.option("--offsets/--no-offsets", default=None, help="Offsets between missions [offsets].")
@click.option(
    "--outliers",
    type=click.Choice(["none", "auto"]),
    help="Drop long pairs that lock on to what does not move [auto].",
)
@filter_options
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute.")
@quiet_option
def gp(cube: tuple[str, ...], output: Path, quiet: bool, **options: Any) -> int:
    """Fit a Gaussian process to the image pairs of CUBE at a point: trend, season, and what is left.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the first that covers the point is
    used. All cells of the series are filled, with bands that widen in gaps; what was found is said in words.
    """
    import itslive_core as itslive
    from itslive_core.errors import SelectionError
    from itslive_core.export import SERIES_SUFFIXES, check_output, write_series

    point = read_point(options)
    assert point is not None
    check_ending(output, SERIES_SUFFIXES, "a point")
    settings, selection = _read_settings(options), read_selection(options)
    check_output(output, SERIES_SUFFIXES)
    report = Reporter(quiet=quiet)
    opened = point.first_cube(cube)
    report.say(f"Reading {opened.url}")
    pairs = opened.pairs_at(**point.arguments)
    selected = pairs.select(selection)
    if len(selected) == 0:
        raise SelectionError(selected.describe_empty())
    series = itslive.fit_gaussian_process(pairs, settings, selection=selection)
    used = int(series.attrs["n_pairs_used"])
    if used == 0:
        raise SelectionError(f"no series: {series.attrs['reason']}")
    write_series(series, output)
    report.say(f"{used:,} of {pairs.n_read:,} pairs used")
    for sentence in str(series.attrs.get("findings", "")).split(". "):
        if sentence:
            report.say(f"  {sentence.rstrip('.')}.")
    report.say(f"Wrote {series.sizes['time']:,} time steps to {output}")
    return 0


def _read_settings(options: dict[str, Any]) -> GaussianProcessSettings:
    """Take the settings out of the options of the command.

    Raises
    ------
    SettingsError
        If one is impossible.
    """
    from itslive_core import GaussianProcessSettings

    given = {name: value for name in _SETTINGS if (value := options.pop(name)) is not None}
    return GaussianProcessSettings(**given)
