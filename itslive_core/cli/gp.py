"""The command `gp`: a Gaussian process at a point, or at every pixel of an area."""

from __future__ import annotations

from typing import Any

import click

from itslive_core.cli.estimate import check_device, estimate, estimate_options, read_task
from itslive_core.gaussian_process.settings import GaussianProcessSettings

__all__ = ["gp"]


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
@estimate_options(GaussianProcessSettings, first=("method",))
def gp(**options: Any) -> int:
    """Fit a Gaussian process to the image pairs of CUBE: trend, season, and what is left.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the first that covers a point is
    used, and all that cover an area. All cells of the series are filled, with bands that widen in gaps; what
    was found at a point is said in words. In an area the pixels of a block share what is learnt at a few of
    them. A .zarr that holds the same job is continued.
    """
    import itslive_core as itslive

    task = read_task(GaussianProcessSettings, options)
    if task.target.point is None:
        check_device(task.settings)  # at a point it is not asked for: the estimate itself says why
    return estimate(task, itslive.fit_gaussian_process)
