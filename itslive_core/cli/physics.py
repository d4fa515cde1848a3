"""The commands `strain` and `flux`: what follows from the velocities of an area."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from itslive_core.cli.arguments import check_ending
from itslive_core.cli.options import output_option

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["flux", "strain"]

_AREA = click.argument("area", type=click.Path(path_type=Path))


@click.command(
    epilog="""\
Examples:

\b
  itslive invert demo.zarr --bbox -50.13 69.31 -50.12 69.315 -o box.nc
  itslive strain box.nc --length-scale 240 -o strain.nc
"""
)
@_AREA
@click.option("--length-scale", type=float, metavar="M", help="Half the length of a gradient [one pixel].")
@output_option(".nc")
def strain(area: Path, length_scale: float | None, output: Path) -> int:
    """Give the strain rates of AREA, a .zarr or .nc of an area, with their standard deviations.

    Logarithmic rates: along the axes of the map, principal, along and across the flow, shear and effective.
    """
    from itslive_core.physics.strain import strain_rates

    check_ending(output, (".nc",), "strain rates")
    found = strain_rates(_read(area), length_scale=length_scale)
    _write(found, output)
    return 0


@click.command(
    epilog="""\
Examples:

\b
  itslive flux glacier.zarr --gate gate.geojson --thickness 240 --thickness-std 30 -o flux.csv
  itslive flux glacier.zarr --gate gate.geojson --thickness ice.tif --correlation-length 1000 -o flux.nc
"""
)
@_AREA
@click.option("--gate", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The line.")
@click.option("--thickness", required=True, metavar="M|FILE", help="Of the ice: metres, or a raster.")
@click.option("--thickness-std", type=float, default=0.0, metavar="M", help="Its standard deviation [0].")
@click.option(
    "--correlation-length",
    type=float,
    metavar="M",
    help="Of errors of velocity [all of the gate errs alike].",
)
@click.option("--depth-factor", type=float, default=1.0, metavar="F", help="Mean over depth / surface [1].")
@output_option(".nc, or .csv")
def flux(
    area: Path,
    gate: Path,
    thickness: str,
    thickness_std: float,
    correlation_length: float | None,
    depth_factor: float,
    output: Path,
) -> int:
    """Give the flux of ice of AREA, a .zarr or .nc of an area, through a gate: a line in FILE.

    To the right of whoever walks along the line counts as positive.
    """
    from itslive_core.physics.gates import flux as flux_through

    check_ending(output, (".nc", ".csv"), "a flux")
    found = flux_through(
        _read(area),
        gate,
        _number(thickness),
        thickness_std=thickness_std,
        correlation_length=float("inf") if correlation_length is None else correlation_length,
        depth_factor=depth_factor,
    )
    _write(found, output)
    return 0


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _read(path: Path) -> xr.Dataset:
    """Open an area that this program wrote, lazily.

    Raises
    ------
    ItsliveError
        If it cannot be opened.
    """
    import xarray as xr

    from itslive_core.errors import ItsliveError

    try:
        engine = "zarr" if path.suffix.lower() == ".zarr" else None
        return xr.open_dataset(path, engine=engine)
    except (OSError, ValueError) as error:
        words = (str(error).splitlines() or ["it is damaged"])[0]
        raise ItsliveError(
            f"{path} is no area of velocities ({words}): give a .zarr or .nc of one"
        ) from error


def _write(found: xr.Dataset, output: Path) -> None:
    from itslive_core.export.files import check_output, replacing

    check_output(output, (".nc", ".csv"))
    with replacing(output) as path:
        if output.suffix.lower() == ".nc":
            found.to_netcdf(path)
            return
        table = found[["flux", *(n for n in ("flux_std", "gate_coverage") if n in found)]].to_dataframe()
        table = table[[name for name in ("flux", "flux_std", "gate_coverage") if name in table]]
        table.rename(columns={"flux": "flux [m3/yr]", "flux_std": "flux_std [m3/yr]"}).to_csv(path)
