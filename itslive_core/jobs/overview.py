"""A first look at a glacier: the median velocity of the pairs, and their season, block by block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.plan import available_workers, plan_area
from itslive_core.observations.blocks import median_velocity
from itslive_core.observations.duplicates import Twins
from itslive_core.observations.selection import PairSelection
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.season.pixels import SeasonRows, season_of_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.jobs.tasks import BlockTask

__all__ = ["MedianBlock", "read_glacier"]


@dataclass(frozen=True, eq=False)
class MedianBlock:
    """Median velocity of the pixels of one block.

    Parameters
    ----------
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres [m], in the CRS of the result, see `itslive_core.run_glacier`.
    vx, vy, v : ndarray of float64, shape (ny, nx)
        Median components and the speed of that vector [m/yr]; NaN outside the area and without data.
    n_pairs : ndarray of int64, shape (ny, nx)
        Pairs with a value.
    done, total : int
        Blocks read so far, and blocks in all.
    season : mapping of ndarray of float64, shape (ny, nx)
        Season, mean speed and trend, `itslive_core.season.point.AREA_VARIABLES`; empty unless asked for.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    v: NDArray[np.float64]
    n_pairs: NDArray[np.int64]
    done: int
    total: int
    season: Mapping[str, NDArray[np.float64]]


def read_glacier(
    cubes: Datacube | Iterable[Datacube],
    outline: Any = None,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    whole: bool = False,
    selection: PairSelection | None = None,
    workers: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    season: bool = False,
    settings: InversionSettings | None = None,
) -> Iterator[MedianBlock]:
    """Read the blocks of a glacier and give the median velocity vector of each pixel.

    Blocks stay in the cubes' caches, so that a series at one of the pixels is there at once afterwards.

    Parameters
    ----------
    cubes : Datacube or iterable of Datacube
    outline : Glacier, shapely geometry in lon/lat, or path, optional
    bbox : (west, south, east, north), optional
    whole : bool
        Every pixel of the cubes, instead of an outline or a box.
    selection : PairSelection, optional
        Filters on metadata.
    workers : int, optional
        Threads; by default one per core.
    should_stop : callable, optional
        Asked between blocks.
    season : bool
        Estimate season, mean speed and trend of every pixel too, in a few milliseconds each.
    settings : InversionSettings, optional
        Gives weights, filter on values and robustness of the season. Default: the recommended ones.

    Yields
    ------
    MedianBlock

    Raises
    ------
    CoverageError, SettingsError
        At once, if there is nothing to read.
    """
    plan = plan_area(cubes, outline, bbox, whole=whole)
    chosen = PairSelection() if selection is None else selection
    pairs = [cube.pair_table.select(chosen)[0] for cube in plan.cubes]
    twins = [Twins.of(cube.pair_table, mask) for cube, mask in zip(plan.cubes, pairs, strict=True)]
    settings = InversionSettings() if settings is None else settings
    shared = [_shared(cube, mask, settings) for cube, mask in zip(plan.cubes, pairs)] if season else []
    rows = [SeasonRows.make(each.start, each.end, each.mission) for each in shared]

    def work(task: BlockTask) -> MedianBlock:
        cube = plan.cubes[task.cube]
        pixels = cube.read_block(task.block).keep(pairs[task.cube], task.mask).distinct(twins[task.cube])
        median = median_velocity(pixels)
        shape = task.block.shape
        found = {"vx": median[:, 0], "vy": median[:, 1], "n_pairs": np.diff(pixels.offsets)}
        if season:
            seasons = season_of_block(pixels, shared[task.cube], settings, rows=rows[task.cube])
            found |= seasons.variables()
        placed = task.place({name: values.reshape(shape) for name, values in found.items()})
        vx, vy, n_pairs = (placed.pop(name) for name in ("vx", "vy", "n_pairs"))
        window = task.window
        return MedianBlock(
            x=plan.x[window[1]],
            y=plan.y[window[0]],
            vx=vx,
            vy=vy,
            v=np.hypot(vx, vy),
            n_pairs=n_pairs,
            done=0,
            total=len(plan.tasks),
            season=placed,
        )

    return _medians_of(plan.tasks, work, workers or available_workers(plan.cubes), should_stop)


def _shared(cube: Datacube, mask: NDArray[np.bool_], settings: InversionSettings) -> SharedPairs:
    """Put the pairs of a cube that pass the filters on a time grid of their own."""
    table = cube.pair_table
    grid = TimeGrid.covering(table.start[mask], table.end[mask], settings.interval)
    return SharedPairs.make(table, mask, grid)


def _medians_of(
    tasks: Iterable[BlockTask],
    work: Callable[[BlockTask], MedianBlock],
    threads: int,
    should_stop: Callable[[], bool] | None,
) -> Iterator[MedianBlock]:
    from dataclasses import replace

    with ThreadPoolExecutor(max(1, threads)) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                if should_stop is not None and should_stop():
                    return
                yield replace(future.result(), done=done)
        finally:
            for future in futures:
                future.cancel()
