"""How large the job of an area is, and where its blocks go: known before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itslive_core.estimators import estimator_of
from itslive_core.jobs.glacier import axis_of
from itslive_core.jobs.plan import as_glacier, plan_area, recipe_of_area

if TYPE_CHECKING:
    from collections.abc import Iterable

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = ["BYTES_PER_VALUE", "BlockPlace", "JobSize", "size_of_job"]

BYTES_PER_VALUE = 40.0
"""Bytes of a store by pixel and cell, all variables together, compressed: 40.6 for 707 pixels of parlung."""


@dataclass(frozen=True)
class BlockPlace:
    """Where a block goes in the store of its job.

    Parameters
    ----------
    row0, row1, col0, col1 : int
        Rows and columns of its window.
    pixels : int
        Pixels of the area in it.
    """

    row0: int
    row1: int
    col0: int
    col1: int
    pixels: int


@dataclass(frozen=True)
class JobSize:
    """What a job consists of.

    Parameters
    ----------
    recipe : str
        All that decides its result, as its store will hold it.
    cells : int
        Of the time axis.
    blocks : dict
        By their names.
    """

    recipe: str
    cells: int
    blocks: dict[str, BlockPlace]

    @property
    def pixels(self) -> int:
        """Pixels of the area."""
        return sum(block.pixels for block in self.blocks.values())

    @property
    def bytes(self) -> float:
        """About what its store takes on disk."""
        return BYTES_PER_VALUE * self.pixels * self.cells


def size_of_job(
    cubes: Datacube | Iterable[Datacube],
    outline: Any,
    settings: Settings,
    selection: PairSelection,
) -> JobSize:
    """Find out what `itslive_core.run_glacier` would do; parameters as there.

    Raises
    ------
    CoverageError, SelectionError, SettingsError
        If there is nothing to do, or it cannot be done.
    """
    estimator = estimator_of(settings)
    estimator.check(settings, area=True)
    glacier = as_glacier(outline)
    plan = plan_area(cubes, glacier)
    grid, _ = axis_of(plan, selection, settings.interval)
    season = estimator.season(settings)
    recipe = recipe_of_area(plan, glacier, None, settings, selection, whole=False, season=season)
    places = {}
    for task in plan.tasks:
        rows, cols = task.window
        places[task.name] = BlockPlace(rows.start, rows.stop, cols.start, cols.stop, int(task.wanted.sum()))
    return JobSize(recipe, grid.size, places)
