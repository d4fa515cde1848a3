"""The command `events`: when a glacier sped up or slowed down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import STDOUT, check_ending, destination

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["events"]

_COLUMNS = ("kind", "onset", "onset_lower", "onset_upper", "peak", "peak_lower", "peak_upper", "end",
            "end_lower", "end_upper", "size", "size_lower", "size_upper", "deviations")  # fmt: skip


@click.command(
    epilog="""\
Examples:

\b
  itslive invert demo.zarr --lon -50.1245 --lat 69.3143 -o trunk.nc
  itslive events trunk.nc
  itslive events trunk.nc --json
"""
)
@click.argument("series", type=click.Path(path_type=Path))
@click.option("--station", metavar="NAME", help="Which one, where SERIES holds many.")
@click.option(
    "--least-change",
    type=float,
    default=0.25,
    metavar="X",
    help="Smallest, over the background speed [0.25].",
)
@click.option("--least-size", type=float, default=15.0, metavar="V", help="Smallest [15 m/yr].")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="OUT", help="Table: .csv, or -.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
def events(
    series: Path,
    station: str | None,
    least_change: float,
    least_size: float,
    output: Path | None,
    as_json: bool,
) -> int:
    """Find speed-ups and slow-downs in SERIES, a .nc of a point.

    Each has an onset, a peak, an end and a size, with limits of 95 %: an event is a departure from level,
    trend and season that stands out of the errors of the series.
    """
    from itslive_core.events.detect import detect_events

    if output is not None and str(output) != STDOUT:
        check_ending(output, (".csv",), "events")
    found = detect_events(_read(series, station), least_change=least_change, least_size=least_size)
    rows = _rows(found)
    if output is not None:
        import pandas as pd

        renamed = {name: f"{name} [m/yr]" for name in _COLUMNS if name.startswith("size")}
        with destination(output) as path:
            pd.DataFrame(rows, columns=list(_COLUMNS)).rename(columns=renamed).to_csv(path, index=False)
    if as_json:
        click.echo(json.dumps({"events": rows}, indent=2, allow_nan=False))
    elif output is None:
        for row in rows:
            click.echo(_words(row))
        if not rows:
            click.echo("No event stands out.")
    return 0


def _rows(found: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for i in range(found.sizes["event"]):
        row: dict[str, Any] = {}
        for name in _COLUMNS:
            value = found[name].values[i]
            if found[name].dtype.kind == "M":
                row[name] = None if str(value) == "NaT" else str(value)[:10]
            else:
                row[name] = str(value) if name == "kind" else round(float(value), 3)
        rows.append(row)
    return rows


def _words(row: dict[str, Any]) -> str:
    def when(name: str) -> str:
        day = row[name]
        if day is None:
            return "not seen"
        return f"{day} ({row[f'{name}_lower']} to {row[f'{name}_upper']})"

    size = f"{row['size']:+.0f} m/yr ({row['size_lower']:+.0f} to {row['size_upper']:+.0f})"
    return f"{row['kind']}: onset {when('onset')}, peak {when('peak')}, end {when('end')}; {size}"


def _read(path: Path, station: str | None) -> xr.Dataset:
    """Open a series that this program wrote.

    Raises
    ------
    ItsliveError
        If it cannot be opened, or it is not clear which series is meant.
    """
    import xarray as xr

    from itslive_core.errors import ItsliveError

    try:
        with xr.open_dataset(path) as ds:
            found = ds.load()
    except (OSError, ValueError) as error:
        words = (str(error).splitlines() or ["it is damaged"])[0]
        raise ItsliveError(f"{path} is no series ({words}): give a .nc of `itslive invert`") from error
    if "station" not in found.dims:
        return found
    names = [str(name) for name in found["station"].values]
    if station not in names:
        raise ItsliveError(
            f"{path} holds {len(names)} stations: choose one with --station, of {', '.join(names[:5])}"
        )
    return found.isel(station=names.index(station), drop=True)
