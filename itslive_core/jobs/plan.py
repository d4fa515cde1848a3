"""Which blocks of which cubes an area needs, and where their pixels go in the result."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.cubes.preference import in_order_of_preference, words_of_choice
from itslive_core.errors import CoverageError, SelectionError, SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.places.boxes import inside_box
from itslive_core.series.recipe import Recipe, cube_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.blocks import Block
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = [
    "AreaPlan",
    "BlockTask",
    "as_glacier",
    "available_workers",
    "group_tasks",
    "plan_area",
    "recipe_of_area",
    "selected_pairs",
]


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
    """

    cube: int
    block: Block
    mask: NDArray[np.bool_]
    row: int
    col: int

    @property
    def name(self) -> str:
        """Short name, the same in every run of the job."""
        return f"{self.cube}:{self.block.row0}:{self.block.col0}"


@dataclass(frozen=True, eq=False)
class AreaPlan:
    """The pixels of an area.

    Parameters
    ----------
    cubes : tuple of Datacube
        All in one CRS, on one lattice.
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres of the result [m]: the wanted pixels, widened to whole blocks.
    mask : ndarray of bool, shape (ny, nx)
        Pixels wanted.
    tasks : tuple of BlockTask
    key : str
        Identifies the area: the same outline or box on the same cubes gives the same key.
    doubled : int
        Pixels that more than one cube holds.
    """

    cubes: tuple[Datacube, ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    mask: NDArray[np.bool_]
    tasks: tuple[BlockTask, ...]
    key: str
    doubled: int = 0

    @property
    def epsg(self) -> int:
        """EPSG code of the result."""
        return self.cubes[0].epsg

    @property
    def choice_words(self) -> str:
        """Which cube gives the pixels that several hold, in one sentence; empty where there are none."""
        if not self.doubled:
            return ""
        return f"{self.doubled:,} pixels are in several datacubes: {words_of_choice(self.cubes)}"


def available_workers(cubes: Iterable[Datacube]) -> int:
    """Give the number of threads to use: one per core, more where a network is to be waited for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    remote = any("://" in cube.url and not cube.url.startswith("file://") for cube in cubes)
    return 4 * cores if remote else cores


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


def plan_area(
    cubes: Datacube | Iterable[Datacube],
    outline: Any = None,
    bbox: tuple[float, float, float, float] | None = None,
    *,
    whole: bool = False,
) -> AreaPlan:
    """Find the blocks that hold the pixels of an outline or a box.

    Parameters
    ----------
    cubes : Datacube or iterable of Datacube
        Cubes of one CRS, in any order; where several hold the same pixel, that which `in_order_of_preference`
        puts first gives it.
    outline : Glacier, shapely geometry in lon/lat, or path, optional
        A pixel belongs to it if its centre is inside; holes are outside.
    bbox : (west, south, east, north), optional
        Box in WGS 84 [degrees], instead of or in addition to the outline, of any longitudes: west > east
        crosses 180 degrees, and a width of 360 or more is all round.
    whole : bool
        All pixels of the cubes, instead of an outline or a box.

    Raises
    ------
    CoverageError
        If no pixel of the cubes is inside.
    SettingsError
        If the cubes do not fit together, or no area was given.
    """
    from itslive_core.cubes.datacube import Datacube

    opened = in_order_of_preference((cubes,) if isinstance(cubes, Datacube) else cubes)
    if not opened:
        raise SettingsError("no datacube was given: name at least one")
    if outline is None and bbox is None and not whole:
        raise SettingsError("no area was given: name an outline or a box, or ask for the whole cube")
    _check_fit(opened)
    glacier = as_glacier(outline)
    masks = [_mask(cube, glacier, bbox) for cube in opened]
    step_x, step_y = opened[0].pixel_size
    origin = (opened[0].x[0], opened[0].y[0])
    claimed = np.empty(0, dtype=np.int64)
    doubled = 0
    found: list[tuple[int, Block, NDArray[np.bool_], int, int]] = []
    for number, (cube, mask) in enumerate(zip(opened, masks, strict=True)):
        col0 = round((cube.x[0] - origin[0]) / step_x)
        row0 = round((cube.y[0] - origin[1]) / step_y)
        if len(opened) > 1:  # a pixel that an earlier cube gives is not taken twice
            r, c = np.nonzero(mask)
            keys = (r + row0) * 2**32 + (c + col0)
            again = np.isin(keys, claimed)
            mask[r[again], c[again]] = False
            doubled += int(again.sum())
            claimed = np.concatenate((claimed, keys[~again]))
        found += [
            (number, b, mask[b.row0 : b.row1, b.col0 : b.col1].copy(), b.row0 + row0, b.col0 + col0)
            for b in cube.blocks(mask)
        ]
    if not found:
        where = "outline" if outline is not None else "box"
        names = ", ".join(cube.url for cube in opened)
        raise CoverageError(f"no pixel of {names} lies inside the {where}: choose a cube that covers it")
    top = min(row for *_, row, _ in found)
    left = min(col for *_, col in found)
    bottom = max(row + b.shape[0] for _, b, _, row, _ in found)
    right = max(col + b.shape[1] for _, b, _, _, col in found)
    every = np.zeros((bottom - top, right - left), dtype=bool)
    tasks = []
    for number, block, mask, row, col in found:
        task = BlockTask(number, block, mask, row - top, col - left)
        every[task.row : task.row + block.shape[0], task.col : task.col + block.shape[1]] |= mask
        tasks.append(task)
    for number, cube in enumerate(opened):
        cube.expect(task.block for task in tasks if task.cube == number)
    digest = hashlib.sha256(np.packbits(every).tobytes())
    digest.update(repr((every.shape, top, left, float(origin[0]), float(origin[1]))).encode())
    return AreaPlan(
        cubes=opened,
        x=origin[0] + step_x * np.arange(left, right),
        y=origin[1] + step_y * np.arange(top, bottom),
        mask=every,
        tasks=tuple(tasks),
        key=digest.hexdigest()[:16],
        doubled=doubled,
    )


def recipe_of_area(
    plan: AreaPlan,
    glacier: Any,
    bbox: tuple[float, float, float, float] | None,
    settings: Settings,
    selection: PairSelection,
    *,
    whole: bool,
    season: bool,
) -> str:
    """Write the recipe of a job; parameters as for `itslive_core.run_glacier`."""
    from shapely.geometry import mapping

    area: dict[str, Any] = {"bbox": None if bbox is None else list(bbox), "outline": None, "whole": whole}
    if glacier is not None:
        area |= {"outline": mapping(glacier.outline), "rgi_id": glacier.rgi_id, "name": glacier.name}
        if "rgi_ids" in glacier.attributes:
            area["rgi_ids"] = glacier.attributes["rgi_ids"]
    return Recipe(
        "series",
        {"area": area},
        cube_facts(plan.cubes),
        settings.to_dict(),
        selection.to_dict(),
        estimator_of(settings).name,
        {"season": season},
    ).to_json()


def _check_fit(cubes: tuple[Datacube, ...]) -> None:
    first = cubes[0]
    for cube in cubes[1:]:
        if cube.epsg != first.epsg or not (cube.epsg or cube.crs.equals(first.crs)):
            raise SettingsError(
                f"the cubes are in different projections ({first.crs_name} and {cube.crs_name}): "
                "work on those of one projection at a time"
            )
        steps = np.array([first.pixel_size, cube.pixel_size])
        offset = np.array([cube.x[0] - first.x[0], cube.y[0] - first.y[0]]) / steps[0]
        if not np.allclose(steps[0], steps[1]) or np.abs(offset - np.rint(offset)).max() > 0.01:
            raise SettingsError(f"the pixels of {cube.url} do not line up with those of {first.url}")


def as_glacier(outline: Any) -> Any:
    """Give the glacier of an outline, a shape in lon/lat or a file; None stays None."""
    from itslive_core.places.glaciers import Glacier

    if outline is None or isinstance(outline, Glacier):
        return outline
    if isinstance(outline, (str, os.PathLike)):
        return Glacier.from_file(os.fspath(outline))
    return Glacier(outline=outline)


def _mask(cube: Datacube, glacier: Any, bbox: tuple[float, float, float, float] | None) -> NDArray[np.bool_]:
    mask = np.ones(cube.shape, dtype=bool)
    if glacier is not None:
        mask &= glacier.contains(cube.x, cube.y, cube.crs)
    if bbox is not None:
        lon, lat = cube.lonlat_of(*np.meshgrid(cube.x, cube.y))
        mask &= inside_box(bbox, lon, lat)
    return mask


def selected_pairs(plan: AreaPlan, selection: Any) -> list[tuple[NDArray[np.bool_], Any]]:
    """Apply the filters on metadata to the pair table of every cube.

    Raises
    ------
    SelectionError
        If no pair of any cube is left.
    """
    found = [cube.pair_table.select(selection) for cube in plan.cubes]
    total = sum(cube.n_pairs for cube in plan.cubes)
    if not any(mask.any() for mask, _ in found):
        raise SelectionError(f"all pairs were filtered out: 0 of {total:,} left; widen the filters")
    return found
