"""A glacier job: every pixel of an area, block by block, streamed as they finish."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from itslive_core.errors import CubeError, OutputError, SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.area_store import AreaStore
from itslive_core.jobs.coupling import CoupledBlocks, apply_choice, choose_for_job
from itslive_core.jobs.cube_work import CubeWork, Solved
from itslive_core.jobs.joined_cube import JoinedCube, join_cubes
from itslive_core.jobs.plan import (
    AreaPlan,
    as_glacier,
    available_workers,
    plan_area,
    recipe_of_area,
    selected_pairs,
)
from itslive_core.observations.selection import FilterStep, PairSelection
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.observations.windows import Windows
from itslive_core.season.pixels import AREA_VARIABLES
from itslive_core.series import (
    TIME_ATTRIBUTES,
    VARIABLES,
    common_attributes,
    filter_attributes,
    time_coordinates,
    with_warnings,
)
from itslive_core.series.recipe import with_values
from itslive_core.series.warnings import warnings_of_area
from itslive_core.support.stopping import StoppedError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.settings import Settings

__all__ = ["BlockResult", "axis_of", "run_glacier"]

_GROUPS_FOR_A_GPU = 3
"""Groups that are read and solved at once, so that the GPU need not wait and memory is not filled."""
_LOOKED_AT_AFAR = 32
"""Blocks of remote cubes that are looked at when a job is continued: their chunks take requests."""
_WORDS = {**VARIABLES, **AREA_VARIABLES}


@dataclass(frozen=True, eq=False)
class BlockResult:
    """One finished block of a glacier job.

    Parameters
    ----------
    name : str
        Name of the block.
    done, total : int
        Blocks done so far, in earlier runs too, and blocks in all.
    n_pixels, n_solved : int
        Pixels of the area in the block, and those with an estimate.
    arrays : mapping of ndarray
        Estimates, shape (time, y, x), and facts about pixels, shape (y, x); empty if the block failed.
        Where several cubes are given, ``source`` says which gave a pixel: 0 are pixels of another block.
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres [m], in the CRS of the result.
    times : tuple of ndarray of datetime64
        Centres and bounds of the time cells.
    attributes : mapping
        Of the dataset.
    error : str or None
        Why the block failed.
    before : mapping of ndarray
        ``vx`` and ``vy`` of each pixel for itself, shape (time, y, x), where spatial smoothing changed them.
        They are not written to the store.
    preview : bool
        With spatial smoothing: this is a block of pixels that were estimated each for itself; it comes again
        when they are coupled. `done` counts previews.
    words : mapping
        Attributes of arrays that only this job has.
    """

    name: str
    done: int
    total: int
    n_pixels: int
    n_solved: int
    arrays: Mapping[str, NDArray]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    times: tuple[NDArray[np.datetime64], NDArray[np.datetime64]]
    attributes: Mapping[str, Any]
    error: str | None = None
    before: Mapping[str, NDArray] = field(default_factory=dict)
    preview: bool = False
    words: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @cached_property
    def dataset(self) -> xr.Dataset | None:
        """The block as a dataset with dimensions (time, y, x), float32; None if the block failed."""
        import xarray as xr

        if self.error is not None:
            return None
        words = {**_WORDS, **self.words}
        variables: dict[str, Any] = {
            name: (("time", "y", "x") if values.ndim == 3 else ("y", "x"), values, words.get(name, {}))
            for name, values in self.arrays.items()
        }
        variables["time_bnds"] = (("time", "bnds"), self.times[1])
        coordinates = {"time": ("time", self.times[0], TIME_ATTRIBUTES), "y": self.y, "x": self.x}
        return xr.Dataset(variables, coords=coordinates, attrs=self.attributes)


def run_glacier(
    cubes: Datacube | Iterable[Datacube],
    outline: Any = None,
    settings: Settings | None = None,
    store: str | os.PathLike[str] | None = None,
    *,
    selection: PairSelection | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    whole: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    should_stop: Callable[[], bool] | None = None,
    season: bool | None = None,
    previews: bool = False,
    means: str | None = None,
) -> Iterator[BlockResult]:
    """Estimate every pixel of a glacier and give the blocks as they finish.

    Each chunk of the cubes is read once. Work that fails names its block and does not stop the others.
    With a store, a job that was interrupted goes on where it stopped; with spatial smoothing, blocks are
    written when those that are solved with them are solved too.

    Parameters
    ----------
    cubes : Datacube or iterable of Datacube
        In any order. Cubes of one lattice are joined as they are. Of several lattices, such as those of
        neighbouring UTM zones, the result is on the one that holds most of the area; what its cubes do not
        hold, others give: each pixel has the series of the nearest pixel there, its vectors turned. Each
        pixel's cube is in ``source``, and how far its centre is in ``source_distance``; the rule is in the
        attribute ``cube_choice``.
    outline : Glacier, shapely geometry in lon/lat, or path, optional
        Pixels whose centre is inside are estimated.
    settings : InversionSettings, GaussianProcessSettings or those of another estimator, optional
        What to do; by default an inversion with the recommended settings. Pixels of a block share the
        hyperparameters of a Gaussian process.
    store : path, optional
        A Zarr store (format 2) to write to; without one the blocks are only given.
    selection : PairSelection, optional
        Filters on metadata.
    bbox : (west, south, east, north), optional
        Box in WGS 84 [degrees], instead of the outline; west > east crosses 180 degrees.
    whole : bool
        Every pixel of the cubes, instead of an outline or a box.
    workers : int, optional
        Threads that read and compute; by default one per core.
    executor : concurrent.futures.Executor, optional
        Where to work instead, for instance a Dask client's ``get_executor()``.
    should_stop : callable, optional
        Asked at each pixel by the threads at work; once true, the blocks that are being worked on are given
        up, and the iteration ends. An `executor` is asked between blocks.
    season : bool, optional
        Estimate season, mean speed and trend of every pixel too, as `itslive_core.fit_season` does: variables
        ``season_amplitude``, ``season_day``, ``mean_speed`` and ``trend`` with dimensions (y, x), each with
        its standard deviation. By default where the smoothing is chosen automatically, and with a Gaussian
        process. A job that is continued goes on as it began.
    previews : bool
        With spatial smoothing on the CPU, give blocks also before they are coupled to their neighbours, which
        takes until these are estimated; not with an executor.
    means : str, optional
        Give means over calendar periods in place of cells, as `itslive_core.calendar_means` does:
        ``"month"``, ``"season"``, ``"year"``, or dates.

    Yields
    ------
    BlockResult
        In the order in which blocks finish. The time axis covers all pairs that pass the filters on metadata.

    Raises
    ------
    CoverageError, SelectionError, SettingsError, OutputError
        At once, before anything is computed.
    """
    settings = InversionSettings() if settings is None else settings
    selection = PairSelection() if selection is None else selection
    estimator = estimator_of(settings)
    estimator.check(settings, area=True)
    glacier = as_glacier(outline)
    plan = plan_area(cubes, glacier, bbox, whole=whole)
    if means is not None and estimator.couples(settings):
        raise SettingsError("calendar means are of pixels each for itself: leave spatial_smoothing at 0")
    grid, steps = axis_of(plan, selection, settings.interval)
    windows = None if means is None else Windows.of(means, grid)
    if season is None:
        season = estimator.season(settings)
    recipe = recipe_of_area(plan, glacier, bbox, settings, selection, whole=whole, season=season, means=means)
    attributes = _attributes(plan, settings, selection, steps, recipe)
    if means is not None:
        attributes = {"means": means, **attributes}
    target = None
    if store is not None:
        target = AreaStore.open(store, plan, windows or grid, attributes, settings, season=season)
        season = target.season
        try:
            _check_values(plan, target)
        except BaseException:
            target.close()
            raise
    cubes_of_tasks: list[Datacube | JoinedCube] = list(plan.cubes)
    if estimator.couples(settings):  # neighbours know no border between cubes
        cubes_of_tasks, tasks = join_cubes(plan.cubes, plan.tasks)
        plan = replace(plan, tasks=tasks)
    works = [
        CubeWork(cube, selection, grid, settings, season=season, windows=windows) for cube in cubes_of_tasks
    ]
    if estimator.couples(settings):
        for number, work in enumerate(works):
            own = [task for task in plan.tasks if task.cube == number]
            work.coupled = CoupledBlocks(work.cube, own, cast("InversionSettings", settings))
    return _locked(
        target,
        _stream(plan, windows or grid, works, target, attributes, workers, executor, should_stop, previews),
    )


def _check_values(plan: AreaPlan, target: AreaStore) -> None:
    """Look whether the chunks that a store was made from so far are still the same.

    Raises
    ------
    OutputError
        If one has changed, though the cube says no other date.
    """
    done = [task for task in plan.tasks if target.read.get(task.name, ("", ""))[0]]
    if any("://" in cube.url for cube in plan.cubes):
        done = done[:: -(-len(done) // _LOOKED_AT_AFAR)] if done else done
    for task in done:
        cube = plan.cubes[task.cube]
        try:
            heads = cube.heads_of(task.block)
        except CubeError:
            continue  # what cannot be read now is told when it is needed
        if heads and heads != target.read[task.name][0]:
            raise OutputError(
                f"{target.path} was begun with other values: those of {cube.url} have changed since in block"
                f" {task.name}, under the same date ({cube.date_updated or 'none'}); choose another name, or"
                " remove it to begin anew"
            )


def _locked(target: AreaStore | None, results: Iterator[BlockResult]) -> Iterator[BlockResult]:
    """Give results, and the store free when they end."""
    try:
        yield from results
    finally:
        if target is not None:
            target.close()


def axis_of(
    plan: AreaPlan, selection: PairSelection, interval: float
) -> tuple[TimeGrid, tuple[FilterStep, ...]]:
    """Return the cells of an area's time axis, and what the filters on metadata left.

    Raises
    ------
    SelectionError
        If that is nothing.
    """
    found = selected_pairs(plan, selection)
    tables = [cube.pair_table for cube in plan.cubes]
    start = np.concatenate([t.start[mask] for t, (mask, _) in zip(tables, found, strict=True)])
    end = np.concatenate([t.end[mask] for t, (mask, _) in zip(tables, found, strict=True)])
    return TimeGrid.covering(start, end, interval), found[0][1] if len(found) == 1 else _summed(found)


def _summed(found: list[tuple[NDArray[np.bool_], tuple[FilterStep, ...]]]) -> tuple[FilterStep, ...]:
    return tuple(
        FilterStep(same[0].name, sum(s.kept for s in same), sum(s.dropped for s in same), same[0].note)
        for same in zip(*(steps for _, steps in found), strict=True)
    )


def _attributes(
    plan: AreaPlan,
    settings: Settings,
    selection: PairSelection,
    steps: Iterable[FilterStep],
    recipe: str,
) -> dict[str, Any]:
    total = sum(cube.n_pairs for cube in plan.cubes)
    read = FilterStep("read", total, 0, "image pairs of the cubes; n_pairs_used(y, x) counts them by pixel")
    history = (read, *steps)
    estimator = estimator_of(settings)
    return {
        **common_attributes(
            estimator.attributes(settings),
            selection.to_dict(),
            [cube.url for cube in plan.cubes],
            [cube.date_updated or "" for cube in plan.cubes],
        ),
        **estimator.area_attributes(settings),
        **({"cube_choice": plan.choice_words} if plan.choice_words else {}),
        "recipe": recipe,
        **filter_attributes(history, history[-1].kept),
    }


def _stream(
    plan: AreaPlan,
    axis: TimeGrid | Windows,
    works: list[CubeWork],
    target: AreaStore | None,
    attributes: dict[str, Any],
    workers: int | None,
    executor: Executor | None,
    should_stop: Callable[[], bool] | None,
    previews: bool,
) -> Iterator[BlockResult]:
    finished = target.finished if target else frozenset()
    left = [task for task in plan.tasks if task.name not in finished]
    total, done = len(plan.tasks), len(plan.tasks) - len(left)
    threads = max(1, workers or available_workers(plan.cubes))
    running: dict[Future[list[Solved]], tuple[BlockTask, ...]] = {}
    times = time_coordinates(axis)
    early: SimpleQueue[tuple[BlockTask, Solved]] = SimpleQueue()
    shown = 0
    closed = Event()

    def stops() -> bool:
        if should_stop is not None and should_stop():
            closed.set()
        return closed.is_set()

    if not left or stops():
        return
    if executor is None:
        for work in works:
            work.prepare()
            work.should_stop = stops
    if works[0].coupled is not None:
        attributes = _couple(plan, works, target, attributes, threads)
    todo = deque(
        group
        for number, work in enumerate(works)
        for group in work.groups([t for t in left if t.cube == number], whole=executor is None)
    )
    if executor is None and any(len(group) > 1 or works[group[0].cube].couples for group in todo):
        # All threads work on one group of coupled blocks: the larger it is, the less is solved twice. A GPU
        # gets one while the next ones are read.
        at_once = 1 if works[0].coupled is not None else min(threads, len(todo), _GROUPS_FOR_A_GPU)
        for work in works:
            work.share(threads // at_once, early.put if previews else None)
        threads = at_once
    elif any(getattr(work.settings, "device", "cpu") == "cuda" for work in works):
        threads += 1  # the GPU serves one thread at a time, which waits for it while the others read
    with ThreadPoolExecutor(threads) if executor is None else nullcontext(executor) as pool:
        try:
            while todo or running:
                stopping = stops()
                while todo and not stopping and len(running) < 2 * threads:
                    group = todo.popleft()
                    running[pool.submit(works[group[0].cube].run, group)] = group
                if stopping and not running:
                    return
                if stopping:
                    todo.clear()
                    for future in list(running):
                        if future.cancel():
                            del running[future]
                ready, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                while not early.empty():
                    task, solved = early.get()
                    if task in left:  # and not only beside what is left
                        shown += 1
                        found = _finish(plan, task, solved, times, None, attributes, shown, len(left))
                        yield replace(found, preview=True)
                for future in ready:
                    # All of a group are written before the first is given: whoever stops then loses none.
                    finished_now = [
                        _finish(plan, task, solved, times, target, attributes, done + number, total)
                        for number, (task, solved) in enumerate(_results(running.pop(future), future), 1)
                    ]
                    done += len(finished_now)
                    yield from finished_now
            if target is not None:
                told = {**attributes, "recipe": with_values(attributes["recipe"], target.values)}
                target.note(with_warnings(told, warnings_of_area(target.count_flags())))
        finally:
            closed.set()  # who does not want the results need not wait for groups to be finished
            for future in running:
                future.cancel()


def _results(
    group: tuple[BlockTask, ...], future: Future[list[Solved]]
) -> Iterator[tuple[BlockTask, Solved]]:
    """Give what each block of a group got; nothing if the work was given up."""
    try:
        found = future.result()
    except StoppedError:
        return
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in one block must not lose the others
        found = [Solved(error=error)] * len(group)
    yield from zip(group, found, strict=True)


def _couple(
    plan: AreaPlan,
    works: list[CubeWork],
    target: AreaStore | None,
    attributes: dict[str, Any],
    threads: int,
) -> dict[str, Any]:
    """Choose how strongly neighbours are coupled, or go on as the store says; returns all attributes."""
    blocks = [work.coupled for work in works if work.coupled is not None]
    found = {} if target is None else target.attributes("spatial_")
    known = "spatial_smoothing_used" in found
    if known:
        apply_choice(blocks, found)
    else:
        found = choose_for_job(blocks, [work.shared for work in works], plan.tasks, threads)
    counts = {name: value for name, value in attributes.items() if name.startswith("n_pairs_")}
    others = {name: value for name, value in attributes.items() if name not in counts}
    attributes = {**others, **found, **counts}  # what was used stands last
    if target is not None and not known:
        target.note(attributes)
    return attributes


def _finish(
    plan: AreaPlan,
    task: BlockTask,
    solved: Solved,
    times: tuple[NDArray[np.datetime64], NDArray[np.datetime64]],
    target: AreaStore | None,
    attributes: dict[str, Any],
    done: int,
    total: int,
) -> BlockResult:
    rows, cols = task.window
    message, arrays, n_solved = None, task.place(solved.arrays), solved.n_solved
    if solved.error is not None:
        words = (str(solved.error).splitlines() or [""])[0] or type(solved.error).__name__
        message = f"block {task.name} (row {task.block.row0}, column {task.block.col0}): {words}"
    elif target is not None:
        target.write(task, arrays, solved.read)
    given = plan.variables()
    if solved.error is None:
        for name, (known, _) in given.items():
            none = np.nan if known.dtype.kind == "f" else 0
            arrays[name] = np.where(task.wanted, known[task.window], none).astype(known.dtype)
    if task.onto is not None and "v" in arrays:
        n_solved = int(np.isfinite(arrays["v"]).any(axis=0).sum())
    return BlockResult(
        name=task.name,
        done=done,
        total=total,
        n_pixels=int(task.wanted.sum()),
        n_solved=n_solved,
        arrays=arrays,
        x=plan.x[cols],
        y=plan.y[rows],
        times=times,
        attributes=attributes,
        error=message,
        before=task.place(solved.before),
        words={name: words for name, (_, words) in given.items()},
    )
