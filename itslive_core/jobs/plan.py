"""Which blocks of which cubes an area needs, and where their pixels go in the result."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.cubes.preference import in_order_of_preference, words_of_choice
from itslive_core.errors import CoverageError, SelectionError, SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.jobs.lattices import lattices_of
from itslive_core.jobs.tasks import tasks_of_lattice, tasks_of_others
from itslive_core.places.boxes import inside_box
from itslive_core.series.recipe import Recipe, cube_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = [
    "AreaPlan",
    "as_glacier",
    "available_workers",
    "on_one_map",
    "plan_area",
    "recipe_of_area",
    "selected_pairs",
    "source_words",
]


_ABOUT_ALL = 0.99
"""Share of the pixels of the largest lattice from which another is as good to have the result on."""


@dataclass(frozen=True, eq=False)
class AreaPlan:
    """The pixels of an area.

    Parameters
    ----------
    cubes : tuple of Datacube
        In order of preference.
    frame : int
        Number of a cube on whose lattice the result is.
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres of the result [m]: the wanted pixels, widened to whole blocks.
    mask : ndarray of bool, shape (ny, nx)
        Pixels wanted.
    tasks : tuple of BlockTask
    key : str
        Identifies the area: the same outline or box on the same cubes gives the same key.
    source : ndarray of int16, shape (ny, nx)
        Which cube gives each pixel, counted from 1; 0 where none is wanted.
    distance : ndarray of float32, shape (ny, nx), or None
        From each pixel to the centre of the one whose series it has [m]; NaN where none is wanted. None where
        all cubes are of one lattice.
    doubled : int
        Pixels that more than one cube of the lattice of the result holds.
    """

    cubes: tuple[Datacube, ...]
    frame: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    mask: NDArray[np.bool_]
    tasks: tuple[BlockTask, ...]
    key: str
    source: NDArray[np.int16]
    distance: NDArray[np.float32] | None = None
    doubled: int = 0

    @property
    def crs(self) -> int | str:
        """The map of the result: its EPSG code, else its WKT."""
        frame = self.cubes[self.frame]
        return frame.epsg or frame.crs.to_wkt()

    @property
    def choice_words(self) -> str:
        """Which cube gives which pixels, in sentences; empty where there was nothing to choose."""
        said = []
        if self.distance is not None:
            frame = self.cubes[self.frame]
            far = [task.onto.distance for task in self.tasks if task.onto is not None]
            rest = (
                f"{sum(map(len, far)):,} others have the series of the nearest pixel of a cube of another"
                " lattice (the one updated last, then that of more image pairs, then by name), at most"
                f" {max(map(max, far)):.0f} m away, with vectors turned to the axes of this one"
                if far
                else "cubes of other lattices are not needed"
            )
            said.append(
                f"the result is on the lattice of {frame.url} ({frame.crs_name}), whose cubes give all pixels"
                f" that they hold; {rest}"
            )
        if self.doubled:
            said.append(f"{self.doubled:,} pixels are in several datacubes: {words_of_choice(self._beside)}")
        return "; ".join(said)

    @property
    def _beside(self) -> tuple[Datacube, ...]:
        """The cubes of the lattice of the result."""
        if self.distance is None:
            return self.cubes
        own = next(group for group in lattices_of(self.cubes) if self.frame in group)
        return tuple(self.cubes[number] for number in own)

    def variables(self) -> dict[str, tuple[NDArray, dict[str, Any]]]:
        """Give what is known of pixels before any is estimated: values, shape (ny, nx), and attributes.

        Returns
        -------
        dict
            Empty for a single cube; else ``source``, and of several lattices ``source_distance``.
        """
        if len(self.cubes) == 1:
            return {}
        found: dict[str, tuple[NDArray, dict[str, Any]]] = {"source": (self.source, source_words(self.cubes))}
        if self.distance is not None:
            words = {"long_name": "distance to the centre of the pixel whose series this is", "units": "m"}
            found["source_distance"] = self.distance, words
        return found


def source_words(cubes: Sequence[Datacube]) -> dict[str, Any]:
    """Give the attributes of the variable that says which cube gave a pixel (CF, section 3.5)."""
    stems = [cube.url.rstrip("/").rpartition("/")[2].partition(".")[0] for cube in cubes]
    plain = ["".join(c if c.isalnum() or c in "_-.+@" else "_" for c in stem) or "cube" for stem in stems]
    names: list[str] = []
    for number, name in enumerate(plain, start=1):
        own = f"{name}_{number}" if plain.count(name) > 1 else name
        while own in names or (own != name and own in plain):
            own += "_"
        names.append(own)
    return {
        "long_name": "datacube that gave the pixel, in the order of cube_url",
        "flag_values": np.arange(len(cubes) + 1, dtype=np.int16),
        "flag_meanings": " ".join(["none", *names]),
    }


def available_workers(cubes: Iterable[Datacube]) -> int:
    """Give the number of threads to use: one per core, more where a network is to be waited for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    remote = any("://" in cube.url and not cube.url.startswith("file://") for cube in cubes)
    return 4 * cores if remote else cores


def plan_area(
    cubes: Datacube | Iterable[Datacube],
    outline: Any = None,
    bbox: tuple[float, float, float, float] | None = None,
    *,
    whole: bool = False,
) -> AreaPlan:
    """Find the blocks that hold the pixels of an outline or a box.

    The result is on the lattice whose cubes hold most of the area, of about equal ones on the preferred. What
    these cubes hold they give; the rest comes from cubes of other lattices, see `itslive_core.jobs.lattices`.

    Parameters
    ----------
    cubes : Datacube or iterable of Datacube
        In any order; where several of one lattice, or several of others, hold the same pixel, that which
        `in_order_of_preference` puts first gives it.
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
        If the pixels of two cubes are of different sizes, or no area was given.
    """
    from itslive_core.cubes.datacube import Datacube

    opened = in_order_of_preference((cubes,) if isinstance(cubes, Datacube) else cubes)
    if not opened:
        raise SettingsError("no datacube was given: name at least one")
    if outline is None and bbox is None and not whole:
        raise SettingsError("no area was given: name an outline or a box, or ask for the whole cube")
    glacier = as_glacier(outline)
    lattices = lattices_of(opened)
    masks = [_mask(cube.x, cube.y, cube, glacier, bbox) for cube in opened]
    found = [tasks_of_lattice(opened, numbers, masks) for numbers in lattices]
    sizes = [sum(int(task.mask.sum()) for task in tasks) for tasks, _ in found]
    if not any(sizes):
        where = "outline" if outline is not None else "box"
        names = ", ".join(cube.url for cube in opened)
        raise CoverageError(f"no pixel of {names} lies inside the {where}: choose a cube that covers it")
    # Two maps count the pixels of one area a little differently: of about equal ones the preferred.
    own = next(which for which, size in enumerate(sizes) if size >= _ABOUT_ALL * max(sizes))
    frame, (tasks, doubled) = lattices[own][0], found[own]
    if len(lattices) == 1:
        return _assembled(opened, frame, tasks, None, doubled)
    others = {n: masks[n] for n in range(len(opened)) if n not in lattices[own]}
    added = tasks_of_others(
        opened, frame, tasks, others, lambda x, y: _mask(x, y, opened[frame], glacier, bbox)
    )
    return _assembled(opened, frame, tasks, added, doubled)


def _assembled(
    cubes: tuple[Datacube, ...],
    frame: int,
    own: Sequence[BlockTask],
    added: Sequence[BlockTask] | None,
    doubled: int,
) -> AreaPlan:
    """Put tasks whose places count from the first pixel of a cube on the smallest grid that holds them.

    It is made of whole blocks of the cubes of its own lattice: what is written at once is stored at once.
    """
    every = (*own, *(added or ()))
    ends = np.array([(t.row, t.col, t.row + t.shape[0], t.col + t.shape[1]) for t in every])
    first = np.array([(task.row, task.col) for task in own]).min(axis=0)
    sides = np.array([task.block.shape for task in own]).max(axis=0)
    before = np.maximum(first - ends[:, :2].min(axis=0), 0)
    top, left = (int(value) for value in first - -(-before // sides) * sides)
    bottom, right = (int(value) for value in ends[:, 2:].max(axis=0))
    source = np.zeros((bottom - top, right - left), dtype=np.int16)
    distance = None if added is None else np.full(source.shape, np.nan, dtype=np.float32)
    tasks = tuple(replace(task, row=task.row - top, col=task.col - left) for task in every)
    for task in tasks:
        source[task.window][task.wanted] = task.cube + 1
        if distance is not None:
            if task.onto is None:
                distance[task.window][task.mask] = 0.0
            else:
                distance[task.window][task.onto.rows, task.onto.cols] = task.onto.distance
    for number, cube in enumerate(cubes):
        cube.expect(task.block for task in tasks if task.cube == number)
    (step_x, step_y), x, y = cubes[frame].pixel_size, cubes[frame].x[0], cubes[frame].y[0]
    digest = hashlib.sha256(np.packbits(source > 0).tobytes())
    digest.update(repr((source.shape, top, left, float(x), float(y))).encode())
    if added is not None:
        digest.update(source.tobytes())
    return AreaPlan(
        cubes=cubes,
        frame=frame,
        x=x + step_x * np.arange(left, right),
        y=y + step_y * np.arange(top, bottom),
        mask=source > 0,
        tasks=tasks,
        key=digest.hexdigest()[:16],
        source=source,
        distance=distance,
        doubled=doubled,
    )


def on_one_map(cubes: Sequence[Datacube], outline: Any) -> tuple[Datacube, ...]:
    """Put those cubes first on whose lattice the result of an area is; the order is kept else.

    Parameters
    ----------
    cubes : sequence of Datacube
    outline : Glacier, shapely geometry in lon/lat, or path

    Raises
    ------
    CoverageError, SettingsError
        As `plan_area`.
    """
    lattices = lattices_of(cubes)
    if len(lattices) == 1:
        return tuple(cubes)
    plan = plan_area(cubes, outline)
    frame = plan.cubes[plan.frame]
    [own] = [group for group in lattices if any(cubes[number] is frame for number in group)]
    return tuple(cubes[number] for number in (*own, *(n for n in range(len(cubes)) if n not in own)))


def recipe_of_area(
    plan: AreaPlan,
    glacier: Any,
    bbox: tuple[float, float, float, float] | None,
    settings: Settings,
    selection: PairSelection,
    *,
    whole: bool,
    season: bool,
    means: str | None = None,
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
        {"season": season} | ({} if means is None else {"means": means}),
    ).to_json()


def as_glacier(outline: Any) -> Any:
    """Give the glacier of an outline, a shape in lon/lat or a file; None stays None."""
    from itslive_core.places.glaciers import Glacier

    if outline is None or isinstance(outline, Glacier):
        return outline
    if isinstance(outline, (str, os.PathLike)):
        return Glacier.from_file(os.fspath(outline))
    return Glacier(outline=outline)


def _mask(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    cube: Datacube,
    glacier: Any,
    bbox: tuple[float, float, float, float] | None,
) -> NDArray[np.bool_]:
    """Tell which pixels of a grid on the map of a cube are wanted, shape (ny, nx)."""
    mask = np.ones((len(y), len(x)), dtype=bool)
    if glacier is not None:
        mask &= glacier.contains(x, y, cube.crs)
    if bbox is not None:
        lon, lat = cube.lonlat_of(*np.meshgrid(x, y))
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
