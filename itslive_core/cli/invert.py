"""The command `invert`: a regular velocity series at a point, or of every pixel of an area."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import check_ending, read_selection, read_settings, read_target
from itslive_core.cli.options import (
    estimate_options,
    filter_options,
    output_option,
    target_options,
    work_options,
)
from itslive_core.cli.reporting import Reporter, stop_on_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from itslive_core.cli.arguments import Point, Target
    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.observations.selection import PairSelection

__all__ = ["check_device", "estimate_area", "executor_for", "invert"]

SOME_BLOCKS_FAILED, INTERRUPTED = 3, 130


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
@click.argument("cube", nargs=-1, required=True, metavar="CUBE...")
@target_options
@output_option(".nc or .csv of a point, .zarr or .tif of an area")
@estimate_options
@filter_options
@work_options
def invert(
    cube: tuple[str, ...], output: Path, workers: int | None, dask: str | None, quiet: bool, **options: Any
) -> int:
    """Estimate a regular velocity series from the image pairs of CUBE.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the first that covers a point is
    used, and all that cover an area. The target is a point, the outline of a glacier, or a box. A .zarr that
    holds the same job is continued; other files are replaced when the new one is whole. A .tif holds the
    speed, one band a time step.
    """
    from itslive_core.export import AREA_SUFFIXES, SERIES_SUFFIXES, check_output

    target = read_target(options)
    suffixes = AREA_SUFFIXES if target.point is None else SERIES_SUFFIXES
    check_ending(output, suffixes, "an area" if target.point is None else "a point")
    settings, selection = read_settings(options), read_selection(options)
    if target.point is not None and settings.couples_pixels:
        raise click.UsageError(
            "--spatial-smoothing couples the pixels of an area, and a point has no neighbours: leave it out,"
            " or give --outline, --rgi-id or --bbox"
        )
    check_output(output, suffixes)
    check_device(settings)
    report = Reporter(quiet=quiet)
    if target.point is not None:
        _invert_point(cube, target.point, output, settings, selection, report)
        return 0
    with executor_for(dask, workers) as executor:
        return estimate_area(cube, target, output, settings, selection, workers, executor, report)


def check_device(settings: InversionSettings | GaussianProcessSettings) -> None:
    """Find out before reading anything whether a GPU that was asked for is there, and can do the task.

    Raises
    ------
    ItsliveError
        If it cannot.
    """
    if settings.device != "cuda":
        return
    from itslive_core import InversionSettings
    from itslive_core.errors import ItsliveError, SettingsError
    from itslive_core.inversion.prepare import solve_options, solver_for
    from itslive_core.support.devices import require_cuda

    try:
        require_cuda()
    except SettingsError as error:
        # The command is right, only not on this machine: it fails, but is no wrong usage.
        raise ItsliveError(str(error)) from error
    if isinstance(settings, InversionSettings):
        solver_for(settings.device, solve_options(settings))


def _invert_point(
    cubes: tuple[str, ...],
    point: Point,
    output: Path,
    settings: InversionSettings,
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
    series = itslive.invert(pairs, settings, selection=selection)
    used = int(series.attrs["n_pairs_used"])
    reason = series.attrs.get("reason")
    if not series["v"].notnull().any():
        raise SelectionError(
            f"no series: {reason}; {used:,} of {pairs.n_read:,} pairs left, widen the filters"
        )
    write_series(series, output)
    report.say(f"{used:,} of {pairs.n_read:,} pairs used, smoothing {series.attrs['smoothing_used']:.3g}")
    if reason:
        report.say(str(reason))
    report.say(f"Wrote {series.sizes['time']:,} time steps to {output}")


def estimate_area(
    cubes: tuple[str, ...],
    target: Target,
    output: Path,
    settings: InversionSettings | GaussianProcessSettings,
    selection: PairSelection,
    workers: int | None,
    executor: Executor | None,
    report: Reporter,
) -> int:
    """Estimate every pixel of an area, block by block, and write it.

    Returns
    -------
    int
        The exit code: 0, 3 if some blocks failed, or 130 if interrupted.

    Raises
    ------
    ItsliveError
        If nothing could be estimated.
    """
    import itslive_core as itslive
    from itslive_core.errors import ItsliveError
    from itslive_core.export import write_area

    outline = _outline(target)
    opened = [itslive.open_cube(path) for path in cubes]
    as_tif = output.suffix.lower() == ".tif"
    # Beside the result, because that is where room was made for it.
    folder = tempfile.TemporaryDirectory(prefix=".itslive-", dir=output.parent) if as_tif else nullcontext("")
    n_new, n_solved, failures = 0, 0, list[str]()
    with folder as place, stop_on_interrupt(report) as stop:
        store = Path(place) / "area.zarr" if as_tif else output
        with report.blocks() as progress:
            results = itslive.run_glacier(
                opened,
                outline,
                settings,
                store,
                selection=selection,
                bbox=target.bbox,
                workers=workers,
                executor=executor,
                should_stop=stop.is_set,
                previews=True,
            )
            for result in results:
                if result.preview:
                    progress.update(result.done, result.total, "blocks before neighbours are coupled")
                    continue
                progress.update(result.done, result.total)
                n_new += 1
                n_solved += result.n_solved
                if result.error:
                    failures.append(result.error)
        if stop.is_set():
            kept = (
                "nothing is kept, a .zarr would be"
                if as_tif
                else f"{output} keeps what is done, run this again"
            )
            click.echo(f"Error: interrupted; {kept}.", err=True)
            return INTERRUPTED
        if n_new and n_new == len(failures):
            raise ItsliveError(f"all {n_new} blocks failed, the first because: {failures[0]}")
        if n_new and n_solved == 0 and not failures:
            raise ItsliveError("no pixel of the area has enough image pairs: widen the filters or the area")
        if as_tif:
            write_area(store, output)
    if n_new:
        report.say(f"{n_solved:,} pixels solved in {n_new} blocks; wrote {output}")
    else:
        report.say(f"{output} is finished already: nothing left to do")
    if failures:
        click.echo(f"Error: {len(failures)} of {n_new} blocks failed: {'; '.join(failures[:3])}", err=True)
        return SOME_BLOCKS_FAILED
    return 0


def _outline(target: Target) -> Any:
    """Outline of the target in longitude and latitude; None for a box."""
    from itslive_core import Glacier

    if target.outline is not None:
        return Glacier.from_file(target.outline, rgi_id=target.rgi_id)
    if target.rgi_id is not None:
        return Glacier.from_rgi_id(target.rgi_id)
    return None


@contextmanager
def executor_for(dask: str | None, workers: int | None) -> Iterator[Executor | None]:
    """Executor of a Dask cluster; None computes on threads of this process."""
    if dask is None:
        yield None
        return
    from itslive_core.errors import ServiceError

    try:
        from distributed import Client

        # One thread a worker: the kernels run without Python's lock, but many threads fight for one cache.
        local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        # A default that fails would stay the default: whatever used Dask later would fail too.
        alone: dict[str, Any] = {"set_as_default": False}
        client = Client(**local, **alone) if dask == "local" else Client(dask, timeout=10, **alone)
    except (OSError, ValueError, ImportError) as error:
        raise ServiceError(
            f"cannot use the Dask cluster {dask!r}: {error}; start it, or leave out --dask"
        ) from error
    with client:
        yield client.get_executor()
