"""Cubes of one lattice as one cube, for estimates that reach from pixel to pixel across their borders."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.cubes.pair_table import PairTable
from itslive_core.jobs.lattices import lattices_of
from itslive_core.observations.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pyproj import CRS

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.observations.blocks import PixelBlock

__all__ = ["JoinedCube", "join_cubes"]


@dataclass(eq=False)
class JoinedCube:
    """The blocks of several cubes, by their rows and columns on the lattice that the cubes share.

    Parameters
    ----------
    cubes : sequence of Datacube
    home : mapping
        Which of them has a block, and which block that is there.
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres of the rectangle that holds all of them [m].
    """

    cubes: Sequence[Datacube]
    home: Mapping[Block, tuple[int, Block]]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process reads for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "pair_table"}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.y), len(self.x)

    @property
    def crs(self) -> CRS:
        """Their projection."""
        return self.cubes[0].crs

    @cached_property
    def pair_table(self) -> PairTable:
        """The pairs of all, one cube after the other."""
        tables = [cube.pair_table for cube in self.cubes]
        columns = {
            one.name: np.concatenate([getattr(table, one.name) for table in tables])
            for one in fields(PairTable)
            if one.name != "unwritten"
        }
        return PairTable(**columns, unwritten=sum(table.unwritten for table in tables))

    def read_block(self, block: Block, *, cache: bool = True) -> PixelBlock:
        """Read the observations of a block, see `Datacube.read_block`; pairs are rows of `pair_table`."""
        number, own = self.home[block]
        found = self.cubes[number].read_block(own, cache=cache)
        before = sum(cube.n_pairs for cube in self.cubes[:number])
        return replace(found, block=block, pair=found.pair + np.int32(before))


def join_cubes(
    cubes: Sequence[Datacube], tasks: Sequence[BlockTask]
) -> tuple[list[Datacube | JoinedCube], tuple[BlockTask, ...]]:
    """Make one cube of those of each lattice.

    Parameters
    ----------
    cubes : sequence of Datacube
    tasks : sequence of BlockTask
        Blocks of these cubes.

    Returns
    -------
    cubes : list of Datacube or JoinedCube
        One for each lattice; the cubes as they are where two of them have the same block, each a part of it.
    tasks : tuple of BlockTask
        The same blocks, of these cubes.
    """
    found: list[Datacube | JoinedCube] = []
    out: list[BlockTask] = []
    for numbers in lattices_of(cubes):
        own = [task for task in tasks if task.cube in numbers]
        if len(numbers) > 1:
            joined, renamed = _joined([cubes[n] for n in numbers], own, numbers)
            if len({task.block for task in renamed}) < len(renamed):
                return list(cubes), tuple(tasks)
            found.append(joined)
            own = renamed
        else:
            found.append(cubes[numbers[0]])
        out += [replace(task, cube=len(found) - 1) for task in own]
    return found, tuple(out)


def _joined(
    cubes: Sequence[Datacube], tasks: Sequence[BlockTask], numbers: Sequence[int]
) -> tuple[JoinedCube, list[BlockTask]]:
    steps = np.array(cubes[0].pixel_size)[::-1]
    corners = np.array([[cube.y[0], cube.x[0]] for cube in cubes])
    first = np.rint((corners - corners[0]) / steps).astype(int)
    low, high = first.min(axis=0), (first + [cube.shape for cube in cubes]).max(axis=0)
    y, x = (corners[0, k] + steps[k] * np.arange(low[k], high[k]) for k in (0, 1))
    places: dict[int, Any] = dict(zip(numbers, (first - low).tolist(), strict=True))
    home, renamed = {}, []
    for task in tasks:
        (row, col), own = places[task.cube], task.block
        block = Block(own.row0 + row, own.row1 + row, own.col0 + col, own.col1 + col)
        home[block] = list(numbers).index(task.cube), own
        renamed.append(replace(task, block=block))
    renamed.sort(key=lambda task: (task.block.row0, task.block.col0))
    return JoinedCube(tuple(cubes), home, x, y), renamed
