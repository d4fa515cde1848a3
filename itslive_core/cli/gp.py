"""The command `gp`: a Gaussian process at a point, or at every pixel of an area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import check_ending, read_selection, read_target
from itslive_core.cli.invert import check_device, estimate_area, executor_for
from itslive_core.cli.options import (
    filter_options,
    output_option,
    rejection_options,
    target_options,
    work_options,
)
from itslive_core.cli.reporting import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from itslive_core.cli.arguments import Point
    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.observations.selection import PairSelection

__all__ = ["gp"]

_SETTINGS = (
    "method", "interval", "trend", "season", "harmonics", "offsets", "outliers", "max_error", "max_angle",
    "max_deviation", "device",
)  # fmt: skip


@click.command(
    epilog="""\
Examples:

\b
  itslive gp demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc
  itslive gp demo.zarr --lon -50.1245 --lat 69.3143 --start 2015-01-01 --no-season -o series.csv
  itslive gp demo.zarr --lon -50.1245 --lat 69.3143 --max-angle 45 --max-deviation 3.5 -o series.nc
  itslive gp demo.zarr --bbox -50.13 69.31 -50.12 69.315 --start 2016-01-01 -o box.zarr
"""
)
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@target_options
@output_option(".nc or .csv of a point, .zarr or .tif of an area")
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
@rejection_options
@filter_options
@work_options
def gp(
    cube: tuple[str, ...], output: Path, workers: int | None, dask: str | None, quiet: bool, **options: Any
) -> int:
    """Fit a Gaussian process to the image pairs of CUBE: trend, season, and what is left.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the first that covers a point is
    used, and all that cover an area. All cells of the series are filled, with bands that widen in gaps; what
    was found at a point is said in words. In an area the pixels of a block share what is learnt at a few of
    them. A .zarr that holds the same job is continued.
    """
    from itslive_core.export import AREA_SUFFIXES, SERIES_SUFFIXES, check_output

    target = read_target(options)
    suffixes = AREA_SUFFIXES if target.point is None else SERIES_SUFFIXES
    check_ending(output, suffixes, "an area" if target.point is None else "a point")
    settings, selection = _read_settings(options), read_selection(options)
    check_output(output, suffixes)
    report = Reporter(quiet=quiet)
    if target.point is not None:
        _fit_point(cube, target.point, output, settings, selection, report)
        return 0
    check_device(settings)
    with executor_for(dask, workers) as executor:
        return estimate_area(cube, target, output, settings, selection, workers, executor, report)


def _fit_point(
    cubes: tuple[str, ...],
    point: Point,
    output: Path,
    settings: GaussianProcessSettings,
    selection: PairSelection,
    report: Reporter,
) -> None:
    import itslive_core as itslive
    from itslive_core.errors import SelectionError
    from itslive_core.export import write_series

    cube = point.first_cube(cubes)
    report.say(f"Reading {cube.url}")
    pairs = cube.pairs_at(**point.arguments)
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
