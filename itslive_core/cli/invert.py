"""The command `invert`: a regular velocity series at a point, or of every pixel of an area."""

from __future__ import annotations

from typing import Any

import click

from itslive_core.cli.estimate import check_device, estimate, estimate_options, read_task
from itslive_core.inversion.settings import InversionSettings

__all__ = ["invert"]

_FIRST = (
    "smoothing",
    "derivative",
    "interval",
    "weights",
    "noise",
    "offsets",
    "smoothing_in_time",
    "spatial_smoothing",
)


@click.command(
    epilog="""\
Examples:

\b
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --mission S1,S2 --smoothing 30 -o series.csv
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --max-angle 45 --max-deviation 3.5 -o series.nc
  itslive invert demo.zarr demo_east.zarr --bbox -50.13 69.31 -50.12 69.315 -o box.tif
  itslive invert demo.zarr --outline demo_outlines.geojson --rgi-id RGI2000-v7.0-G-05-90002 -o glacier.zarr
"""
)
@estimate_options(InversionSettings, first=_FIRST)
def invert(**options: Any) -> int:
    """Estimate a regular velocity series from the image pairs of CUBE.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the first that covers a point is
    used, and all that cover an area. The target is a point, the outline of a glacier, or a box. A .zarr that
    holds the same job is continued; other files are replaced when the new one is whole. A .tif holds the
    speed, one band a time step.
    """
    import itslive_core as itslive

    task = read_task(InversionSettings, options)
    if task.target.point is not None and task.settings.couples_pixels:
        raise click.UsageError(
            "--spatial-smoothing couples the pixels of an area, and a point has no neighbours: leave it out,"
            " or give --outline, --rgi-id or --bbox"
        )
    check_device(task.settings)
    return estimate(task, itslive.invert)
