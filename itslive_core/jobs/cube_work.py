"""The work of a glacier job at one cube: blocks are read, filtered and solved, alone or in groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from itslive_core.estimators import estimator_of
from itslive_core.inversion.area import estimates_of
from itslive_core.inversion.settings import InversionSettings
from itslive_core.jobs.plan import available_workers
from itslive_core.jobs.tasks import group_tasks
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.season.pixels import SeasonRows, season_of_block
from itslive_core.series import derived_columns
from itslive_core.series.direction import north_of_map
from itslive_core.support.stopping import check_stop, map_in_threads, stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.estimator import Estimator, PixelEstimates
    from itslive_core.jobs.coupling import CoupledBlocks
    from itslive_core.jobs.joined_cube import JoinedCube
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.neighbours.patches import PixelFits
    from itslive_core.observations.batches import Observations
    from itslive_core.observations.blocks import Block, PixelBlock
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.observations.windows import Windows
    from itslive_core.settings import Settings

__all__ = ["CubeWork", "Solved"]

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, eq=False)
class Solved:
    """What a block gives.

    Parameters
    ----------
    arrays : dict of ndarray
        To keep, see `BlockResult`.
    n_solved : int
        Number of pixels with an estimate.
    before : mapping of ndarray
        See `BlockResult`.
    error : Exception, optional
        Why there is nothing.
    filtered : Observations, optional
        What the filters on values left; not kept once season and trend are found.
    read : tuple of str
        `PixelBlock.heads` and `PixelBlock.checksum` of the block.
    """

    arrays: dict[str, NDArray] = field(default_factory=dict)
    n_solved: int = 0
    before: Mapping[str, NDArray] = field(default_factory=dict)
    error: Exception | None = None
    filtered: Observations | None = None
    read: tuple[str, str] = ("", "")


@dataclass(eq=False)
class CubeWork:
    """All that the blocks of one cube share; it travels to another process as the recipe, not the result.

    Parameters
    ----------
    cube : Datacube or JoinedCube
    selection : PairSelection
    grid : TimeGrid
    settings : Settings
        Of an estimator.
    season : bool
        Estimate season, mean and trend of every pixel too.
    coupled : CoupledBlocks, optional
        Where pixels are coupled to their neighbours.
    windows : Windows, optional
        Give means over them, in place of cells.
    should_stop : callable, optional
        Asked at each pixel; once true, what is being worked on is given up.
    """

    cube: Datacube | JoinedCube
    selection: PairSelection
    grid: TimeGrid
    settings: Settings
    season: bool
    coupled: CoupledBlocks | None = None
    windows: Windows | None = None
    should_stop: Callable[[], bool] | None = field(default=None, repr=False)
    _threads: int = field(default=1, repr=False)
    _preview: Callable[[tuple[BlockTask, Solved]], None] | None = field(default=None, repr=False)
    _previewed: set[str] = field(default_factory=set, repr=False)
    _shared: tuple[SharedPairs, NDArray[np.bool_]] | None = field(default=None, repr=False)
    _rows: SeasonRows | None = field(default=None, repr=False)
    _read_of: dict[Block, tuple[str, str]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process makes for itself."""
        return {
            **self.__dict__,
            "_shared": None,
            "_rows": None,
            "should_stop": None,
            "_preview": None,
            "_read_of": {},
        }

    def prepare(self) -> None:
        """Form what all blocks share, once, before the threads that would each form it for themselves."""
        shared, _ = self.shared
        if self.season and self._rows is None:
            self._rows = SeasonRows.make(shared.start, shared.end, shared.mission)

    def share(
        self,
        threads: int,
        preview: Callable[[tuple[BlockTask, Solved]], None] | None = None,
    ) -> None:
        """Let several threads work on a group.

        Parameters
        ----------
        threads : int
        preview : callable, optional
            Called by them, once for each block, with its estimate before it is coupled to others.
        """
        self._threads, self._preview = threads, preview

    @property
    def shared(self) -> tuple[SharedPairs, NDArray[np.bool_]]:
        """The pairs of the cube, and the mask of those that pass the filters on metadata."""
        if self._shared is None:
            table = self.cube.pair_table
            mask, _ = table.select(self.selection)
            self._shared = SharedPairs.make(table, mask, self.grid), mask
        return self._shared

    @property
    def _estimator(self) -> Estimator:
        return estimator_of(self.settings)

    @property
    def couples(self) -> bool:
        """Pixels are coupled, and not with a strength of 0."""
        return self.coupled is not None and self.coupled.mu != 0.0

    def groups(self, tasks: Sequence[BlockTask], *, whole: bool) -> list[tuple[BlockTask, ...]]:
        """Put blocks together that are better worked on at once.

        Parameters
        ----------
        tasks : sequence of BlockTask
            Of this cube.
        whole : bool
            Groups of coupled blocks may be as large as memory allows; else they are small enough to be
            worked on in several places.
        """
        if not tasks:
            return []
        shared, _ = self.shared
        if self.coupled is not None:
            return group_tasks(tasks, self.coupled.group_side(shared, whole=whole))
        at_once = self._estimator.pixels_at_once(shared, self.settings)
        if at_once == 1:
            return [(task,) for task in tasks]
        share = np.mean([task.mask.mean() for task in tasks])
        return group_tasks(tasks, int(np.sqrt(at_once / share)))

    def run(self, tasks: Sequence[BlockTask]) -> list[Solved]:
        """Read, filter and solve blocks; one that cannot be read does not stop the others.

        Parameters
        ----------
        tasks : sequence of BlockTask

        Returns
        -------
        list of Solved

        Raises
        ------
        StoppedError
            If the job is to stop.
        """
        with stoppable(self.should_stop):
            return self._run(tasks)

    def _run(self, tasks: Sequence[BlockTask]) -> list[Solved]:
        self.prepare()
        read = self._side_by_side(self._read, tasks)
        failed = {
            t.name: Solved(error=p) for t, p in zip(tasks, read, strict=True) if isinstance(p, Exception)
        }
        good = [(t, p) for t, p in zip(tasks, read, strict=True) if not isinstance(p, Exception)]
        solved = self._series(good) if good else {}
        if self.season:
            every = [(task, pixels, solved[task.name]) for task, pixels in good]
            # A whole group is not given up any more: too much that was solved would be lost.
            with stoppable(_never if len(every) > 1 else None):
                found = self._side_by_side(self._with_season, every)
            solved = dict(zip((task.name for task, _ in good), found, strict=True))
        found_of = failed | solved
        return [replace(found_of[task.name], read=self._read_of.get(task.block, ("", ""))) for task in tasks]

    def _side_by_side(self, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
        """Map, by as many threads as there are, until the job is to stop."""

        def careful(item: _T) -> _R:
            check_stop()
            return work(item)

        if self._threads == 1 or len(items) < 2:
            return [careful(item) for item in items]
        return map_in_threads(careful, items, self._threads)

    def _read(self, task: BlockTask) -> PixelBlock | Exception:
        try:
            pixels = self.cube.read_block(task.block, cache=self.coupled is not None)
            self._read_of[task.block] = pixels.heads, pixels.checksum
            return pixels.keep(self.shared[1], task.mask)
        except Exception as error:  # noqa: BLE001 - told with the result of the block
            if self.coupled is not None:
                self.coupled.leave_out(task.block)
            return error

    def _series(self, blocks: Sequence[tuple[BlockTask, PixelBlock]]) -> dict[str, Solved]:
        """Estimate the series of blocks, by name."""
        if self.coupled is not None:
            return self._coupled_series(self.coupled, blocks)
        at_hand = [pixels for _, pixels in blocks]
        found = self._estimator.area(self.shared[0], at_hand, self.settings, self.windows)
        return {task.name: self._solved(task, one) for (task, _), one in zip(blocks, found, strict=True)}

    def _coupled_series(
        self, coupled: CoupledBlocks, blocks: Sequence[tuple[BlockTask, PixelBlock]]
    ) -> dict[str, Solved]:
        """Estimate the pixels of blocks and those around for themselves, and couple them."""
        shared, mask = self.shared
        tasks, at_hand = [task for task, _ in blocks], {task.block: pixels for task, pixels in blocks}
        near = coupled.reach(tasks)
        found: Sequence[PixelFits | Exception]
        if self._estimator.pixels_at_once(shared, coupled.settings) == 1:
            found = self._side_by_side(lambda task: self._alone(coupled, task, at_hand), near)
        else:  # read here, and taken together by the GPU
            others = [task for task in near if task.block not in at_hand]
            read = zip(others, self._side_by_side(self._read, others), strict=True)
            at_hand |= {task.block: p for task, p in read if not isinstance(p, Exception)}
            near = [task for task in near if task.block in at_hand]
            found = coupled.fit(near, shared, mask, at_hand)
        errors = {t.name: e for t, e in zip(near, found, strict=True) if isinstance(e, Exception)}
        good = [task for task in tasks if task.name not in errors]
        out = {task.name: Solved(error=errors[task.name]) for task in tasks if task.name in errors}
        fits = [fit for fit in found if not isinstance(fit, Exception)]
        threads = min(self._threads, available_workers(()))  # more of them help to read only
        solved = coupled.solve(good, shared, fits, threads=threads) if good else []
        for task, (result, alone) in zip(good, solved, strict=True):
            vx, vy = np.moveaxis(alone.result.values, 1, 0)
            before = {"vx": _cube_of(task, vx), "vy": _cube_of(task, vy)}
            estimates = estimates_of(result, alone.used, alone.flags)
            out[task.name] = replace(self._solved(task, estimates), before=before)
        return out

    def _alone(
        self, coupled: CoupledBlocks, task: BlockTask, at_hand: Mapping[Block, PixelBlock]
    ) -> PixelFits | Exception:
        """Estimate the pixels of a block for themselves, and show them."""
        try:
            [alone] = coupled.fit([task], *self.shared, at_hand)
        except Exception as error:  # noqa: BLE001 - told when its own turn comes
            coupled.leave_out(task.block)
            return error
        if self._preview is not None and task.name not in self._previewed:
            self._previewed.add(task.name)
            estimates = estimates_of(alone.result, alone.used, alone.flags)
            self._preview((task, self._solved(task, estimates)))
        return alone

    def _solved(self, task: BlockTask, found: PixelEstimates) -> Solved:
        """Put what is known of the pixels of a block, and what follows from it, into its rows and columns."""
        block = task.block
        x, y = self.cube.x[block.col0 : block.col1], self.cube.y[block.row0 : block.row1]
        north = north_of_map(self.cube.crs, x[None, :], y[:, None]).reshape(-1, 1)
        series = {**found.series, **derived_columns(found.series, north)}
        arrays = {
            name: _cube_of(task, values, _TYPES.get(name, "float32")) for name, values in series.items()
        }
        for name, values in found.of_pixels.items():
            arrays[name] = values.astype("float32").reshape(task.block.shape)
        arrays["n_pairs_used"] = found.used.astype("int32").reshape(task.block.shape)
        filtered = found.filtered if self.season else None
        return Solved(arrays, int(found.solved[task.mask.ravel()].sum()), filtered=filtered)

    def _with_season(self, block: tuple[BlockTask, PixelBlock, Solved]) -> Solved:
        """Add season, mean and trend to what a block gives."""
        task, pixels, solved = block
        if solved.error is not None:
            return solved
        own = {n: v for n in ("weights", "robust") if (v := getattr(self.settings, n, None)) is not None}
        settings = InversionSettings(**self.settings.filters.to_dict(), **own)
        try:
            found = season_of_block(
                pixels, self.shared[0], settings, rows=self._rows, filtered=solved.filtered
            ).variables()
        except Exception as error:  # noqa: BLE001 - told with the result of the block
            return Solved(error=error)
        of_pixels = {name: v.astype("float32").reshape(task.block.shape) for name, v in found.items()}
        return replace(solved, arrays=solved.arrays | of_pixels, filtered=None)


def _never() -> bool:
    return False


_TYPES = {"quality": "int16", "n_pairs": "int32"}


def _cube_of(task: BlockTask, values: NDArray, dtype: str = "float32") -> NDArray:
    """Turn series of pixels, shape (P, M), into shape (M, rows, columns)."""
    return np.ascontiguousarray(values.astype(dtype).T).reshape(-1, *task.block.shape)
