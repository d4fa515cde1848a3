"""What the commands of all estimators share: their options, a series at a point, every pixel of an area."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import click

from itslive_core.cli.arguments import (
    STDOUT,
    Chosen,
    check_ending,
    destination,
    read_selection,
    read_settings,
    read_target,
)
from itslive_core.cli.options import (
    all_of,
    device_option,
    filter_options,
    like_option,
    means_option,
    options_of,
    output_option,
    target_options,
    work_options,
)
from itslive_core.cli.points import batch
from itslive_core.cli.reporting import Reporter, stop_on_interrupt
from itslive_core.errors import DeviceError, ItsliveError
from itslive_core.jobs.clusters import executor_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    import xarray as xr

    from itslive_core.cli.arguments import Target
    from itslive_core.cli.options import Decorated
    from itslive_core.estimator import Estimator
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = [
    "Task",
    "command_of",
    "estimate_area",
    "estimate_options",
    "estimate_point",
    "estimate_points",
    "read_task",
]

SOME_BLOCKS_FAILED, INTERRUPTED = 3, 130
_MOST_CUBES = 40
"""Datacubes that an area may open without being told: each takes requests and memory."""


@dataclass(frozen=True)
class Task(Generic[Chosen]):
    """What was given on the command line, read and checked.

    Parameters
    ----------
    cubes : tuple of str
        Paths or URLs; none where those of the catalog are meant that hold the area.
    target : Target
    output : Path
        The result.
    settings : Settings
        Of the estimator.
    selection : PairSelection
        Filters on metadata.
    workers : int or None
        Threads for an area; None: one a core.
    dask : str or None
        Address of a Dask cluster, or ``"local"``.
    report : Reporter
    means : str or None
        Calendar period, or dates, over which series are averaged.
    like : Path or None
        File whose grid the result is to have.
    """

    cubes: tuple[str, ...]
    target: Target
    output: Path
    settings: Chosen
    selection: PairSelection
    workers: int | None
    dask: str | None
    report: Reporter
    means: str | None = None
    like: Path | None = None


def estimate_options(
    settings: type[Settings], *, first: tuple[str, ...] = ()
) -> Callable[[Decorated], Decorated]:
    """Make the arguments and options of an estimator's command, which `read_task` reads.

    Parameters
    ----------
    settings : type
        Class of the estimator's settings.
    first : tuple of str
        Settings whose options head the list.
    """
    return all_of(
        click.argument("cube", nargs=-1, metavar="[CUBE...]"),
        target_options,
        output_option(
            ".nc, .csv or .parquet of a point or points (- for CSV on stdout), .zarr, .nc or .tif of an area"
        ),
        options_of(settings, first=first),
        filter_options,
        device_option(settings),
        means_option,
        like_option,
        work_options,
    )


def read_task(settings: type[Chosen], options: dict[str, Any]) -> Task[Chosen]:
    """Read and check what `estimate_options` took.

    Parameters
    ----------
    settings : type
        Class of the estimator's settings.
    options : dict
        Of the command.

    Raises
    ------
    click.UsageError, SettingsError
        If something is missing or impossible.
    """
    from itslive_core.export import AREA_SUFFIXES, SERIES_SUFFIXES, check_output

    given = dict(options)
    target, output = read_target(given), given.pop("output")
    if not given["cube"] and (target.whole or not target.is_area):
        raise click.UsageError(
            "Missing argument 'CUBE...': only an outline or a box finds its datacubes by itself;"
            " `itslive cubes --lon LON --lat LAT` names those of a place"
        )
    suffixes = AREA_SUFFIXES if target.is_area else SERIES_SUFFIXES
    check_ending(output, suffixes, "an area" if target.is_area else "a point")
    chosen, selection = read_settings(settings, given), read_selection(given)
    if given["like"] is not None and not target.is_area:
        raise click.UsageError("--like is for an area: a point has no grid")
    if str(output) != STDOUT:
        check_output(output, suffixes)
    return Task(
        given["cube"],
        target,
        output,
        chosen,
        selection,
        given["workers"],
        given["dask"],
        Reporter(quiet=given["quiet"]),
        given["means"],
        given["like"],
    )


def command_of(estimator: Estimator) -> click.Command:
    """Make the command of an estimator: its options are its settings.

    Parameters
    ----------
    estimator : Estimator

    Returns
    -------
    click.Command
        It returns the exit code.
    """
    settings = estimator.settings

    def command(**options: Any) -> int:
        task = read_task(settings, options)
        try:
            estimator.check(task.settings, area=task.target.is_area)
        except DeviceError as error:
            # The command is right, only not on this machine: it fails, but is no wrong usage.
            raise ItsliveError(str(error)) from error
        with task.report.compiling():
            if task.target.points is not None:
                return estimate_points(task)
            if task.target.point is not None:
                estimate_point(task)
                return 0
            with executor_on(task.dask, task.workers) as executor:
                return estimate_area(task, executor)

    lines = "\n".join(f"  {line}" for line in estimator.examples)
    options = estimate_options(settings, first=estimator.first_options)
    named = click.command(
        estimator.command, help=inspect.cleandoc(estimator.help), epilog=f"Examples:\n\n\b\n{lines}\n"
    )
    return named(options(command))


def estimate_point(task: Task[Any]) -> None:
    """Make the series at a point and write it; say what is known of it.

    Raises
    ------
    SelectionError
        If there is none.
    """
    from itslive_core.export import write_series
    from itslive_core.jobs.points import work_at_a_point

    point, report = task.target.point, task.report
    assert point is not None
    cube = point.first_cube(task.cubes, report.say)
    report.say(f"Reading {cube.url}")
    pairs = cube.pairs_at(**point.arguments)
    series = work_at_a_point("series", task.settings, task.selection, task.means)(pairs)
    with destination(task.output) as path:
        write_series(series, path)
    for line in _known_of(series, pairs.n_read):
        report.say(line)
    report.say(f"Wrote {series.sizes['time']:,} time steps to {task.output}")
    for line in str(series.attrs["warnings"]).splitlines():
        report.say(line)


def estimate_points(task: Task[Any]) -> int:
    """Make the series at many points and write them; returns the exit code."""
    import itslive_core as itslive
    from itslive_core.export import write_station_series
    from itslive_core.jobs.points import recipe_of_stations, time_axis
    from itslive_core.observations.windows import Windows

    assert task.target.points is not None
    cubes = [itslive.open_cube(path) for path in task.cubes]
    grid = time_axis(cubes, task.selection, task.settings.interval)
    axis = grid if task.means is None else Windows.of(task.means, grid)
    options: dict[str, Any] = {"selection": task.selection, "workers": task.workers, "means": task.means}
    with destination(task.output) as path:
        return batch(
            task.target.points,
            task.report,
            lambda stations, stopped: itslive.run_points(
                cubes, stations, task.settings, should_stop=stopped, **options
            ),
            lambda stations: recipe_of_stations(
                "series", cubes, stations, task.settings, task.selection, task.means
            ),
            lambda results, stations, recipe: write_station_series(
                results, path, stations=stations, grid=axis, recipe=recipe, cubes=cubes
            ),
        )


def _known_of(series: xr.Dataset, n_read: int) -> Iterator[str]:
    """Say what the attributes of a series tell of it, whichever estimator made it."""
    attributes = series.attrs
    used = f"{int(attributes['n_pairs_used']):,} of {n_read:,} pairs used"
    smoothing = attributes.get("smoothing_used")
    yield used if smoothing is None else f"{used}, smoothing {smoothing:.3g}"
    findings = str(attributes.get("findings", ""))
    if findings:
        yield from (f"  {sentence.rstrip('.')}." for sentence in findings.split(". ") if sentence)
    elif attributes.get("reason"):
        yield str(attributes["reason"])


def estimate_area(task: Task[Any], executor: Executor | None) -> int:
    """Estimate every pixel of an area, block by block, and write it.

    Parameters
    ----------
    task : Task
    executor : Executor or None
        Where blocks are worked on; None: on threads of this process.

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
    from itslive_core import __version__
    from itslive_core.export import read_grid, write_area, write_area_like
    from itslive_core.jobs.area_store import attribute_of, warnings_in
    from itslive_core.jobs.scratch import scratch_beside

    output, report = task.output, task.report
    outline = _outline(task.target)
    if getattr(outline, "remark", ""):
        report.say(outline.remark)
    opened = [itslive.open_cube(path) for path in task.cubes or _of_catalog(task.target, outline, report)]
    grid = None if task.like is None else read_grid(task.like)
    as_file = output.suffix.lower() != ".zarr" or grid is not None
    of_cubes = [(cube.url, cube.date_updated, cube.n_pairs) for cube in opened]
    job = repr((__version__, of_cubes, task.target, task.settings, task.selection, task.means, grid))
    folder = scratch_beside(output, job) if as_file else nullcontext(Path())
    n_new, n_solved, failures = 0, 0, list[str]()
    with folder as place, stop_on_interrupt(report) as stop:
        store = place / "area.zarr" if as_file else output
        with report.blocks() as progress:
            results = itslive.run_glacier(
                opened,
                outline,
                task.settings,
                store,
                selection=task.selection,
                bbox=task.target.bbox,
                whole=task.target.whole,
                workers=task.workers,
                executor=executor,
                should_stop=stop.is_set,
                previews=True,
                means=task.means,
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
                if as_file
                else f"{output} keeps what is done, run this again"
            )
            click.echo(f"Error: interrupted; {kept}.", err=True)
            return INTERRUPTED
        if n_new and n_new == len(failures):
            raise ItsliveError(f"all {n_new} blocks failed, the first because: {failures[0]}")
        if n_new and n_solved == 0 and not failures:
            raise ItsliveError("no pixel of the area has enough image pairs: widen the filters or the area")
        if grid is not None:
            report.say(write_area_like(store, grid, output))
        elif as_file:
            write_area(store, output)
        warnings, choice = warnings_in(store), attribute_of(store, "cube_choice")
    if n_new:
        report.say(f"{n_solved:,} pixels solved in {n_new} blocks; wrote {output}")
    else:
        report.say(f"{output} is finished already: nothing left to do")
    for line in (choice, *warnings):
        if line:
            report.say(line)
    if failures:
        click.echo(f"Error: {len(failures)} of {n_new} blocks failed: {'; '.join(failures[:3])}", err=True)
        return SOME_BLOCKS_FAILED
    return 0


def _of_catalog(target: Target, outline: Any, report: Reporter) -> list[str]:
    """Find the datacubes that hold an area, and say which they are; returns their addresses.

    Raises
    ------
    CoverageError
        If there is none.
    SettingsError
        If there are too many.
    """
    from itslive_core.errors import SettingsError
    from itslive_core.places.boxes import box_polygon
    from itslive_core.places.lookup import cubes_needed

    shape = outline if target.bbox is None else box_polygon(target.bbox)
    found = cubes_needed(shape)
    count = len(found.records)
    if count > _MOST_CUBES:
        raise SettingsError(
            f"{count} datacubes hold the area, more than {_MOST_CUBES}: choose a smaller one, or name them"
        )
    report.say(f"{count} datacube{'s' if count > 1 else ''} of the catalog:")
    for record in found.records:
        report.say(f"  {record.url} (EPSG:{record.epsg}): {record.reason}")
    if found.share < 0.995:
        report.say(f"They hold {100 * found.share:.0f} % of the area")
    return [record.url for record in found.records]


def _outline(target: Target) -> Any:
    """Outline of the target in longitude and latitude; None for a box."""
    from itslive_core import Glacier

    file, layer, ids = target.outline, target.layer, target.rgi_ids
    if file is not None and target.every:
        return Glacier.together(Glacier.list_from_file(file, layer=layer))
    if file is not None and not ids:
        return Glacier.from_file(file, layer=layer)
    if not ids:
        return None
    if file is None:
        return Glacier.together([Glacier.from_rgi_id(one) for one in ids])
    return Glacier.together([Glacier.from_file(file, rgi_id=one, layer=layer) for one in ids])
