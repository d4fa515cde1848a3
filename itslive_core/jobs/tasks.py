"""The blocks of a job, and where their pixels go in the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.jobs.lattices import Onto, nearest_pixels
from itslive_core.places.geodesy import transformer
from itslive_core.series.turning import turn_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.blocks import Block

__all__ = ["BlockTask", "group_tasks", "tasks_of_lattice", "tasks_of_others"]

_MOST_PIXELS = 5e7
"""Pixels of a grid that cubes of several lattices may span, wanted or not: 850 km on a side."""
_TOO_FAR = "{} is too far from {} to be on one map with it: work on those of one projection at a time"


@dataclass(frozen=True, eq=False)
class BlockTask:
    """One block of one cube.

    Parameters
    ----------
    cube : int
        Number of the cube in the plan.
    block : Block
        Rows and columns of the cube.
    mask : ndarray of bool, shape of the block
        Pixels wanted.
    row, col : int
        Place of its first pixel in the result.
    onto : Onto, optional
        How its pixels come to the lattice of the result, if that is another one.
    """

    cube: int
    block: Block
    mask: NDArray[np.bool_]
    row: int
    col: int
    onto: Onto | None = None

    @property
    def name(self) -> str:
        """Short name, the same in every run of the job."""
        return f"{self.cube}:{self.block.row0}:{self.block.col0}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that it takes of the result."""
        return self.block.shape if self.onto is None else self.onto.shape

    @property
    def window(self) -> tuple[slice, slice]:
        """These rows and columns."""
        height, width = self.shape
        return slice(self.row, self.row + height), slice(self.col, self.col + width)

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Pixels of the window that it gives; others of it may be those of another block."""
        return self.mask if self.onto is None else self.onto.mask

    def place(self, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Bring arrays on the pixels of the block, shape (..., y, x), to those of the window."""
        return dict(arrays) if self.onto is None else self.onto.place(arrays)


def group_tasks(tasks: Sequence[BlockTask], side: int) -> list[tuple[BlockTask, ...]]:
    """Put blocks of one cube together that lie in one square; the squares are in the order of their blocks.

    Parameters
    ----------
    tasks : sequence of BlockTask
        Blocks of a cube.
    side : int
        Side of the squares [pixels]: as many blocks as fit, at least one.
    """
    if not tasks:
        return []
    height, width = (max(task.block.shape[axis] for task in tasks) for axis in (0, 1))
    rows, cols = max(side // height, 1) * height, max(side // width, 1) * width
    row0, col0 = min(t.block.row0 for t in tasks), min(t.block.col0 for t in tasks)
    groups: dict[tuple[int, int], list[BlockTask]] = {}
    for task in tasks:
        square = (task.block.row0 - row0) // rows, (task.block.col0 - col0) // cols
        groups.setdefault(square, []).append(task)
    return [tuple(group) for group in groups.values()]


def tasks_of_lattice(
    cubes: Sequence[Datacube], numbers: Sequence[int], masks: Sequence[NDArray[np.bool_]]
) -> tuple[list[BlockTask], int]:
    """Find the blocks of cubes of one lattice; a pixel that several hold is that of the first.

    Parameters
    ----------
    cubes : sequence of Datacube
    numbers : sequence of int
        Those of the lattice, in order of preference.
    masks : sequence of ndarray of bool
        Pixels wanted of each cube; those that an earlier cube gives are taken out.

    Returns
    -------
    tasks : list of BlockTask
        Their places count from the first pixel of the first of these cubes.
    doubled : int
        Pixels that several hold.
    """
    first = cubes[numbers[0]]
    step_x, step_y = first.pixel_size
    claimed = np.empty(0, dtype=np.int64)
    doubled = 0
    tasks = []
    for number in numbers:
        cube, mask = cubes[number], masks[number]
        col0, row0 = round((cube.x[0] - first.x[0]) / step_x), round((cube.y[0] - first.y[0]) / step_y)
        if len(numbers) > 1:
            r, c = np.nonzero(mask)
            keys = (r + row0) * 2**32 + (c + col0)
            again = np.isin(keys, claimed)
            mask[r[again], c[again]] = False
            doubled += int(again.sum())
            claimed = np.concatenate((claimed, keys[~again]))
        tasks += [
            BlockTask(number, b, mask[b.row0 : b.row1, b.col0 : b.col1].copy(), b.row0 + row0, b.col0 + col0)
            for b in cube.blocks(mask)
        ]
    return tasks, doubled


def tasks_of_others(
    cubes: Sequence[Datacube],
    frame: int,
    own: Sequence[BlockTask],
    others: Mapping[int, NDArray[np.bool_]],
    wanted: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]],
) -> list[BlockTask]:
    """Find the blocks of cubes of other lattices that hold what those of one lattice do not.

    Parameters
    ----------
    cubes : sequence of Datacube
    frame : int
        A cube of that lattice.
    own : sequence of BlockTask
        What its cubes give, from `tasks_of_lattice`.
    others : mapping of ndarray of bool
        Numbers of the other cubes in order of preference, and which of their pixels are wanted.
    wanted : callable
        Takes x and y of a grid on the map of `frame`, and tells which of its pixels are wanted.

    Returns
    -------
    list of BlockTask
        Their places count as those of `own`.

    Raises
    ------
    SettingsError
        If the cubes are too far apart for one map.
    """
    first = cubes[frame]
    origin, steps = np.array([first.y[0], first.x[0]]), np.array(first.pixel_size)[::-1]
    ends = [np.array([(t.row, t.col), np.add((t.row, t.col), t.shape)]) for t in own]
    for number, mask in others.items():
        r, c = np.nonzero(mask)
        if r.size:
            x, y = transformer(cubes[number].crs, first.crs).transform(cubes[number].x[c], cubes[number].y[r])
            at = (np.stack([y, x], axis=1) - origin) / steps
            if not np.isfinite(at).all():
                raise SettingsError(_TOO_FAR.format(cubes[number].url, first.url))
            ends.append(np.array([np.floor(at.min(axis=0)), np.ceil(at.max(axis=0)) + 1]).astype(int))
            low, high = np.min([e[0] for e in ends], axis=0), np.max([e[1] for e in ends], axis=0)
            if np.prod(high - low, dtype=float) > _MOST_PIXELS:
                raise SettingsError(_TOO_FAR.format(cubes[number].url, first.url))
    low, high = np.min([e[0] for e in ends], axis=0), np.max([e[1] for e in ends], axis=0)
    ys, xs = (origin[k] + steps[k] * np.arange(low[k], high[k]) for k in (0, 1))
    mask = wanted(xs, ys)
    for task in own:
        row, col = task.row - low[0], task.col - low[1]
        mask[row : row + task.shape[0], col : col + task.shape[1]] &= ~task.mask
    rows, cols = np.nonzero(mask)
    tasks: list[BlockTask] = []
    for number in others:
        cube = cubes[number]
        near = nearest_pixels(cube, xs[cols], ys[rows], first.crs)
        mine = near.inside
        row, col = near.row[mine], near.col[mine]
        turn = turn_between(cube.crs, (cube.x[col], cube.y[row]), first.crs, (xs[cols[mine]], ys[rows[mine]]))
        there = rows[mine] + low[0], cols[mine] + low[1]
        tasks += _tasks_onto(cube, number, there, (row, col), turn, near.distance[mine])
        rows, cols = rows[~mine], cols[~mine]
    return tasks


def _tasks_onto(
    cube: Datacube,
    number: int,
    there: tuple[NDArray[np.int64], NDArray[np.int64]],
    here: tuple[NDArray[np.int64], NDArray[np.int64]],
    turn: NDArray[np.float64],
    distance: NDArray[np.float64],
) -> Iterator[BlockTask]:
    """Sort pixels of a cube that go to another lattice by blocks, in their order on disk."""
    side_y, side_x = cube.block_shape
    key = here[0] // side_y * 2**32 + here[1] // side_x
    order = np.argsort(key, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if not some.size:
            continue
        block = cube.block_of(int(here[0][some[0]]), int(here[1][some[0]]))
        row, col = int(there[0][some].min()), int(there[1][some].min())
        rows, cols = there[0][some] - row, there[1][some] - col
        from_rows, from_cols = here[0][some] - block.row0, here[1][some] - block.col0
        mask = np.zeros(block.shape, dtype=bool)
        mask[from_rows, from_cols] = True
        shape = int(rows.max()) + 1, int(cols.max()) + 1
        onto = Onto(shape, rows, cols, from_rows, from_cols, turn[some], distance[some])
        yield BlockTask(number, block, mask, row, col, onto)
