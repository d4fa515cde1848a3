"""Commands at many points: they go through a table, name the points that failed, and write one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from itslive_core.cli.arguments import source
from itslive_core.cli.reporting import stop_on_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from itslive_core.cli.reporting import BlockProgress, Reporter
    from itslive_core.cubes.datacube import Datacube
    from itslive_core.export import StationsWritten
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.places.stations import BadRow, Station
    from itslive_core.series.stations import StationResult

__all__ = ["SOME_FAILED", "at_points", "batch"]

SOME_FAILED = 3
_REASONS, _NAMES = 3, 20


def at_points(
    cubes: tuple[str, ...],
    points: Path,
    report: Reporter,
    work: Callable[[ImagePairs], Any],
    recipe: Callable[[list[Datacube], list[Station]], str],
    write: Callable[[Iterable[StationResult], str, list[Datacube]], StationsWritten],
) -> int:
    """Do some work on the pairs of all points of a table; other parameters and results as `batch`.

    Parameters
    ----------
    cubes : tuple of str
        Paths or URLs.
    work : callable
        Takes the pairs of a pixel; what it returns is written.
    recipe : callable
        Takes the opened cubes and the stations.
    write : callable
        Takes the results, the recipe and the opened cubes.
    """
    from itslive_core import open_cube
    from itslive_core.jobs.points import at_stations

    opened = [open_cube(path) for path in cubes]
    return batch(
        points,
        report,
        lambda stations, stopped: at_stations(opened, stations, work, should_stop=stopped),
        lambda stations: recipe(opened, stations),
        lambda results, _, text: write(results, text, opened),
    )


def batch(
    points: Path,
    report: Reporter,
    start: Callable[[list[Station], Callable[[], bool]], Iterable[StationResult]],
    recipe: Callable[[list[Station]], str],
    write: Callable[[Iterable[StationResult], list[Station], str], StationsWritten],
) -> int:
    """Go through the points of a table and write what is found; one that was killed goes on.

    Parameters
    ----------
    points : Path
        The table.
    report : Reporter
    start : callable
        Takes the stations, and what tells whether to stop; gives results as they come.
    recipe : callable
        Takes the stations; what it gives says which job this is.
    write : callable
        Takes the results, the stations and the recipe, and writes the file.

    Returns
    -------
    int
        The exit code: 0, or 3 if some points failed.

    Raises
    ------
    ItsliveError
        If the table cannot be read, or no point has a result.
    click.Abort
        If it was interrupted: nothing is written then.
    """
    from itslive_core.jobs.point_journal import journal_of
    from itslive_core.places.stations import read_stations

    with source(points) as table:
        stations, bad = read_stations(table)
    text = recipe(stations)
    with journal_of(text) as journal, stop_on_interrupt(report) as stop, report.blocks() as progress:
        if len(journal):
            report.say(f"{len(journal):,} of {len(stations):,} points were done before: going on")
        found = journal.go_on(stations, lambda left: start(left, stop.is_set))
        counted = _counted(found, bad, len(stations), progress, stop.is_set)
        written = write(counted, stations, text)
        journal.remove()
    report.say(f"Wrote {written.n:,} points to {written.path}")
    if written.errors:
        first = "; ".join(written.errors[:_REASONS])
        n = len(stations) + len(bad)
        click.echo(f"Error: {len(written.errors)} of {n} points failed: {first}", err=True)
        if len(written.errors) > _REASONS:
            others = [error.partition(":")[0] for error in written.errors[_REASONS:]]
            more = f" and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
            click.echo(f"and {', '.join(others[:_NAMES])}{more}", err=True)
        return SOME_FAILED
    return 0


def _counted(
    results: Iterable[StationResult],
    bad: list[BadRow],
    total: int,
    progress: BlockProgress,
    stopped: Callable[[], bool],
) -> Iterator[StationResult]:
    """Add the lines that name no place, count what is done, and leave when interrupted."""
    from itslive_core.series.stations import StationResult

    yield from (StationResult(None, total + n, error=str(row)) for n, row in enumerate(bad))
    for done, result in enumerate(results, start=1):
        progress.update(done, total, "points")
        yield result
    if stopped():
        raise click.Abort
