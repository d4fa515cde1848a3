"""Many points in one go: each block of the cubes is read once, each pixel is worked on once."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from itslive_core.cubes.preference import in_order_of_preference
from itslive_core.errors import CoverageError, ItsliveError, SelectionError, SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.plan import available_workers
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.windows import window_edges
from itslive_core.places.stations import as_stations
from itslive_core.series.recipe import Recipe, cube_facts
from itslive_core.series.stations import StationResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from itslive_core.cubes.datacube import Datacube, Pixel
    from itslive_core.observations.blocks import Block, PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.places.stations import Station
    from itslive_core.settings import Settings

__all__ = ["at_stations", "recipe_of_stations", "run_points", "time_axis", "work_at_a_point"]


def run_points(
    cubes: Datacube | Sequence[Datacube],
    points: Any,
    settings: Settings | None = None,
    *,
    selection: PairSelection | None = None,
    workers: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    means: str | None = None,
) -> Iterator[StationResult]:
    """Estimate the series at many points and give them as they finish; each is that of its point alone.

    Each block of the cubes is read once, and a pixel that several points share is estimated once. Memory
    holds two blocks, and the results at work.

    Parameters
    ----------
    cubes : Datacube or sequence of Datacube
        In any order: of several that cover a point, `in_order_of_preference` says which is used.
    points : path, DataFrame, or iterable
        A CSV file with columns for lon and lat [degrees] or x and y [m], and perhaps a name, see
        `itslive_core.places.stations.read_stations`; or stations; or (lon, lat) or (lon, lat, name).
    settings : InversionSettings, GaussianProcessSettings or those of another estimator, optional
        What to do; by default an inversion with the recommended settings.
    selection : PairSelection, optional
        Filters on metadata.
    workers : int, optional
        Threads that compute; by default one per core.
    should_stop : callable, optional
        Asked between pixels; once true, no more work is started and the iteration ends.
    means : str, optional
        Average over calendar periods, as `itslive_core.calendar_means` does.

    Yields
    ------
    StationResult
        Block by block, not in the order of the points. A point that fails, also a line of the file that names
        no place, has an ``error`` and stops no other.

    Raises
    ------
    ItsliveError
        At once, if the points cannot be read, or the settings are not for points.
    """
    chosen = InversionSettings() if settings is None else settings
    estimator = estimator_of(chosen)
    estimator.check(chosen, area=False)
    stations, bad = as_stations(points)
    if means is not None:
        window_edges(means, 0.0, 0.0)  # one that is not known fails once, not at each point
    estimate = work_at_a_point("series", chosen, selection, means)

    def results() -> Iterator[StationResult]:
        yield from (StationResult(None, len(stations) + n, error=str(row)) for n, row in enumerate(bad))
        yield from at_stations(cubes, stations, estimate, workers=workers, should_stop=should_stop)

    return results()


def work_at_a_point(
    task: str,
    settings: Settings | None = None,
    selection: PairSelection | None = None,
    means: str | None = None,
) -> Callable[[ImagePairs], Any]:
    """Give what is done with the pairs of one pixel.

    Parameters
    ----------
    task : {"series", "pairs", "season"}
        What is wanted: the series of an estimator, the pairs that are selected, or season and trend.
    settings : Settings, optional
        Of the estimator, or of the season.
    selection : PairSelection, optional
    means : str, optional
        Calendar period over which a series is averaged.

    Returns
    -------
    callable
        Takes pairs, and returns what the task is for. It raises SelectionError where there is nothing.
    """
    chosen = PairSelection() if selection is None else selection

    def selected(pairs: ImagePairs) -> ImagePairs:
        left = pairs.select(chosen)
        if len(left) == 0:
            raise SelectionError(left.describe_empty())
        return left

    def season(pairs: ImagePairs) -> Any:
        from itslive_core.season.point import fit_season

        found = fit_season(pairs, cast("InversionSettings | None", settings), selection=selection)
        if found["mean_speed"].isnull():
            raise SelectionError(f"no season: {found.attrs['reason']}")
        return found

    def series(pairs: ImagePairs) -> Any:
        selected(pairs)
        own = InversionSettings() if settings is None else settings
        if means is None:
            found = estimator_of(own).point(pairs, own, selection=selection)
        else:
            found = estimator_of(own).means(pairs, own, means, selection=selection)
        if not found["v"].notnull().any():
            raise SelectionError(f"no series of {pairs.n_read:,} pairs: {found.attrs.get('reason')}")
        return found

    return {"series": series, "pairs": selected, "season": season}[task]


def recipe_of_stations(
    task: str,
    cubes: Sequence[Datacube],
    stations: Sequence[Station],
    settings: Settings | None = None,
    selection: PairSelection | None = None,
    means: str | None = None,
) -> str:
    """Write the recipe of a batch; parameters as for `work_at_a_point` and `at_stations`."""
    points = [
        {"name": s.name} | {name: value for name, value in s.place.items() if value is not None}
        for s in stations
    ]
    return Recipe(
        task,
        {"points": points},
        cube_facts(cubes),
        {} if settings is None else settings.to_dict(),
        {} if selection is None else selection.to_dict(),
        estimator_of(settings).name if task == "series" and settings is not None else "",
        {} if means is None else {"means": means},
    ).to_json()


@dataclass(frozen=True, eq=False)
class _Visit:
    """Stations of one pixel."""

    cube: Datacube
    pixel: Pixel
    numbers: list[int]


def at_stations(
    cubes: Datacube | Sequence[Datacube],
    stations: Sequence[Station],
    work: Callable[[ImagePairs], Any],
    *,
    workers: int | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[StationResult]:
    """Do some work on the pairs of many points, block by block.

    Parameters
    ----------
    cubes, workers, should_stop
        As for `run_points`.
    stations : sequence of Station
    work : callable
        Takes the pairs of a pixel; what it returns is the value of the results. Called by several threads.

    Yields
    ------
    StationResult
    """
    from itslive_core.cubes.datacube import Datacube

    opened = in_order_of_preference((cubes,) if isinstance(cubes, Datacube) else cubes)
    if not opened:
        raise SettingsError("no datacube was given: name at least one")
    found, lost = _plan(opened, stations)
    yield from lost
    stop = should_stop or (lambda: False)
    threads = max(1, workers or available_workers(opened))
    at_work: deque[tuple[_Visit, str, Future[Any]]] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as pool:
        try:
            ahead: Future[PixelBlock] | None = None
            for number, (where, visits) in enumerate(found):
                if stop():
                    return
                reading = ahead or reader.submit(_read, *where)
                ahead = None
                try:
                    block = reading.result()
                except Exception as error:  # noqa: BLE001 - told with the result of each station
                    for visit in visits:
                        yield from _told(stations, visit, "", error)
                    continue
                finally:
                    if number + 1 < len(found):  # while this one is worked on
                        ahead = reader.submit(_read, *found[number + 1][0])
                for visit in visits:
                    if stop():
                        return
                    pairs = partial(visit.cube.pairs_in, block, visit.pixel)
                    at_work.append((visit, block.checksum, pool.submit(_do, work, pairs)))
                    if len(at_work) >= 2 * threads:
                        yield from _told(stations, *at_work.popleft())
            while at_work and not stop():
                yield from _told(stations, *at_work.popleft())
        finally:
            for _, _, future in at_work:
                future.cancel()


def _plan(
    cubes: tuple[Datacube, ...], stations: Sequence[Station]
) -> tuple[list[tuple[tuple[Datacube, Block], list[_Visit]]], list[StationResult]]:
    """Find the blocks and their pixels, in their order on disk, and the stations without a cube."""
    visits: dict[tuple[int, int, int], _Visit] = {}
    lost = []
    for number, station in enumerate(stations):
        if station.x is not None and len({cube.crs.to_wkt() for cube in cubes}) > 1:
            words = "x and y are not clear where the datacubes have several projections: give lon and lat"
            lost.append(StationResult(station, number, error=f"{station}: {words}"))
            continue
        why = "it lies on no datacube"
        for which, cube in enumerate(cubes):
            try:
                pixel = cube.locate(**station.place)
            except CoverageError as error:
                why = str(error) if len(cubes) == 1 else f"none of the {len(cubes)} datacubes covers it"
                continue
            key = (which, pixel.row, pixel.col)
            visits.setdefault(key, _Visit(cube, pixel, [])).numbers.append(number)
            break
        else:
            lost.append(StationResult(station, number, error=f"{station}: {why}", empty=True))
    blocks: dict[tuple[int, Block], list[_Visit]] = {}
    for key in sorted(visits):
        visit = visits[key]
        blocks.setdefault((key[0], visit.cube.block_of(*key[1:])), []).append(visit)
    for which, cube in enumerate(cubes):
        cube.expect(block for number, block in blocks if number == which)
    return [((cubes[which], block), own) for (which, block), own in blocks.items()], lost


def _read(cube: Datacube, block: Block) -> PixelBlock:
    cube.pair_table  # noqa: B018 - read once, here and not by every thread that waits for it
    return cube.read_block(block, cache=False)


def _do(work: Callable[[ImagePairs], Any], pairs: Callable[[], ImagePairs]) -> Any:
    return work(pairs())


def _told(
    stations: Sequence[Station], visit: _Visit, checksum: str, found: Future[Any] | Exception
) -> Iterator[StationResult]:
    """Give what was found at a pixel to each of its stations."""
    value, error = None, found if isinstance(found, Exception) else found.exception()
    if error is None and isinstance(found, Future):
        value = found.result()
    elif error is not None and not isinstance(error, Exception):
        raise error  # the program is to end
    for number in visit.numbers:
        station, words = stations[number], None
        if error is not None:
            first = (str(error).splitlines() or [""])[0] or type(error).__name__
            known = isinstance(error, ItsliveError)
            words = (
                f"{station}: {first}" if known else f"{station}: unexpected {type(error).__name__}: {first}"
            )
        empty = isinstance(error, SelectionError)
        place = _lonlat(visit.cube, station), visit.pixel
        [cube] = cube_facts((visit.cube,))
        yield StationResult(station, number, *place, value, words, empty, cube.url, checksum)


def _lonlat(cube: Datacube, station: Station) -> tuple[float, float]:
    if station.lon is not None and station.lat is not None:
        return station.lon, station.lat
    lon, lat = cube.lonlat_of(np.asarray(station.x), np.asarray(station.y))
    return float(lon), float(lat)


def time_axis(
    cubes: Datacube | Sequence[Datacube],
    selection: PairSelection | None,
    interval: float,
) -> TimeGrid:
    """Give the cells that any pair touches which passes the filters on metadata: an axis for all points.

    Raises
    ------
    SelectionError
        If no pair is left.
    """
    from itslive_core.cubes.datacube import Datacube

    tables = [cube.pair_table for cube in ((cubes,) if isinstance(cubes, Datacube) else cubes)]
    masks = [table.select(PairSelection() if selection is None else selection)[0] for table in tables]
    if not any(mask.any() for mask in masks):
        total = sum(len(table) for table in tables)
        raise SelectionError(f"all pairs were filtered out: 0 of {total:,} left; widen the filters")
    start = np.concatenate([table.start[mask] for table, mask in zip(tables, masks, strict=True)])
    end = np.concatenate([table.end[mask] for table, mask in zip(tables, masks, strict=True)])
    return TimeGrid.covering(start, end, interval)
