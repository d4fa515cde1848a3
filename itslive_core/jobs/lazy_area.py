"""The estimate of every pixel of an xarray dataset, block by block, as far as it is asked for.

Each block is read and solved by `itslive_core.jobs.cube_work.CubeWork`, which does the blocks of a glacier
job, as one task of Dask: the numbers are those of the job, and memory holds the blocks at work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.cubes.dataset_cube import pack_block
from itslive_core.errors import SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.jobs.cube_work import CubeWork
from itslive_core.jobs.tasks import BlockTask
from itslive_core.observations.selection import FilterStep, PairSelection
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.season.pixels import AREA_VARIABLES, SeasonRows, season_of_block
from itslive_core.series import (
    TIME_ATTRIBUTES,
    VARIABLES,
    common_attributes,
    filter_attributes,
    grid_mapping,
    time_coordinates,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import NDArray
    from pyproj import CRS

    from itslive_core.cubes.dataset_cube import DatasetCube
    from itslive_core.cubes.pair_table import PairTable
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.observations.blocks import Block, PixelBlock
    from itslive_core.settings import Settings

__all__ = ["estimate_area", "season_of_area"]


@dataclass(eq=False)
class _OneBlock:
    """A block that was read, as a cube: what a job asks of one."""

    crs: CRS
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    pair_table: PairTable
    pixels: PixelBlock | None = None

    def read_block(self, block: Block, *, cache: bool = True) -> PixelBlock:
        """Give the block."""
        assert self.pixels is not None
        return self.pixels


def estimate_area(
    cube: DatasetCube,
    settings: Settings,
    selection: PairSelection | None = None,
    *,
    season: bool | None = None,
) -> xr.Dataset:
    """Estimate every pixel of a dataset, lazily: computed is what is used, block by block.

    Parameters
    ----------
    cube : DatasetCube
    settings : Settings
        Of an estimator.
    selection : PairSelection, optional
        Filters on metadata.
    season : bool, optional
        As for `itslive_core.run_glacier`.

    Returns
    -------
    xarray.Dataset
        What a glacier job stores, in Dask arrays: dimensions (time, y, x) and (y, x).

    Raises
    ------
    SettingsError
        If pixels are to be coupled to their neighbours, which blocks by themselves cannot do.
    """
    estimator = estimator_of(settings)
    estimator.check(settings, area=True)
    if estimator.couples(settings):
        raise SettingsError(
            "spatial smoothing couples blocks, which are lazy here: use itslive_core.run_glacier, or leave"
            " spatial_smoothing at 0"
        )
    selection = PairSelection() if selection is None else selection
    season = estimator.season(settings) if season is None else season
    table = cube.pair_table
    mask, steps = table.select(selection)
    grid = TimeGrid.covering(table.start[mask], table.end[mask], settings.interval)
    work = CubeWork(_holder(cube), selection, grid, settings, season=season)  # type: ignore[arg-type]

    def solve(work: CubeWork, block: Block, vx: NDArray, vy: NDArray) -> dict[str, NDArray]:
        here = replace(work.cube, pixels=pack_block(block, vx, vy))  # type: ignore[type-var]
        task = BlockTask(0, block, np.ones(block.shape, dtype=bool), block.row0, block.col0)
        [solved] = replace(work, cube=here).run([task])
        if solved.error is not None:
            raise solved.error
        # What an estimator does not say is missing, as in the store of a job.
        missing = {
            name: np.full((*first, *block.shape), np.nan, kind)
            for name, (kind, first, _) in kinds.items()
            if name not in solved.arrays
        }
        return {**solved.arrays, **missing}

    series = {n: ("int32" if n == "n_pairs" else "int16" if n == "quality" else "float32") for n in VARIABLES}
    of_pixels: dict[str, Mapping[str, Any]] = dict(estimator.pixel_variables)
    of_pixels |= AREA_VARIABLES if season else {}
    used = {"long_name": "number of used image pairs", "units": "1"}
    kinds = {
        **{name: (kind, (grid.size,), VARIABLES[name]) for name, kind in series.items()},
        **{name: ("float32", (), words) for name, words in of_pixels.items()},
        "n_pairs_used": ("int32", (), used),
    }
    centres, bounds = time_coordinates(grid)
    read = FilterStep(
        "read", cube.n_pairs, 0, "image pairs of the cube; n_pairs_used(y, x) counts them by pixel"
    )
    attributes = {
        **common_attributes(
            estimator.attributes(settings), selection.to_dict(), [cube.url], [cube.date_updated or ""]
        ),
        **estimator.area_attributes(settings),
        **filter_attributes((read, *steps), steps[-1].kept),
    }
    found = _dataset(cube, work, solve, kinds, attributes)
    return found.assign_coords(time=("time", centres, TIME_ATTRIBUTES)).assign(
        time_bnds=(("time", "bnds"), bounds)
    )


def season_of_area(
    cube: DatasetCube, settings: InversionSettings, selection: PairSelection | None = None
) -> xr.Dataset:
    """Estimate season, mean speed and trend of every pixel of a dataset, lazily.

    Parameters
    ----------
    cube : DatasetCube
    settings : InversionSettings
        Gives weights, filters on values and robustness.
    selection : PairSelection, optional
        Filters on metadata.

    Returns
    -------
    xarray.Dataset
        The variables of `itslive_core.season.pixels.AREA_VARIABLES`, dimensions (y, x), in Dask arrays.
    """
    selection = PairSelection() if selection is None else selection
    table = cube.pair_table
    mask, steps = table.select(selection)
    grid = TimeGrid.covering(table.start[mask], table.end[mask], settings.interval)
    shared = SharedPairs.make(table, mask, grid)
    common = shared, SeasonRows.make(shared.start, shared.end, shared.mission), mask

    def solve(common: Any, block: Block, vx: NDArray, vy: NDArray) -> dict[str, NDArray]:
        shared, rows, mask = common
        pixels = pack_block(block, vx, vy).keep(mask)
        found = season_of_block(pixels, shared, settings, rows=rows).variables()
        return {name: values.astype("float32").reshape(block.shape) for name, values in found.items()}

    kinds = {name: ("float32", (), words) for name, words in AREA_VARIABLES.items()}
    own = {name: settings.to_dict()[name] for name in ("weights", "robust", "outliers")}
    attributes = common_attributes(
        {"method": "season", **own}, selection.to_dict(), [cube.url], [cube.date_updated or ""]
    )
    return _dataset(cube, common, solve, kinds, {**attributes, **filter_attributes(steps, steps[-1].kept)})


def _holder(cube: DatasetCube) -> _OneBlock:
    return _OneBlock(cube.crs, cube.x, cube.y, cube.pair_table)


def _dataset(
    cube: DatasetCube,
    common: Any,
    solve: Callable[[Any, Block, NDArray, NDArray], dict[str, NDArray]],
    kinds: Mapping[str, tuple[str, tuple[int, ...], Mapping[str, Any]]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Put the blocks of a cube together: one task for each, which reads it and gives all variables."""
    import dask.array as da
    import xarray as xr
    from dask.delayed import delayed

    worker = delayed(solve, pure=False)
    shared = delayed(common, pure=False, traverse=False)
    blocks = cube.blocks()
    tasks = {}
    for block in blocks:
        window = cube.window(block)
        vx, vy = (_one_piece(window[name]) for name in ("vx", "vy"))
        tasks[block] = worker(shared, block, vx, vy)
    rows = sorted({block.row0 for block in blocks})
    placed = {"grid_mapping": "mapping"}
    variables: dict[str, Any] = {}
    for name, (kind, first, words) in kinds.items():
        pieces = [
            [
                da.from_delayed(tasks[block][name], (*first, *block.shape), dtype=kind)
                for block in blocks
                if block.row0 == row
            ]
            for row in rows
        ]
        dims = ("time", "y", "x") if first else ("y", "x")
        variables[name] = (dims, da.block(pieces), {**words, **placed})
    axes = {
        name: (name, values, {"standard_name": f"projection_{name}_coordinate", "units": "m"})
        for name, values in (("x", cube.x), ("y", cube.y))
    }
    variables["mapping"] = ((), 0, grid_mapping(cube.epsg or cube.crs.to_wkt()))
    return xr.Dataset(variables, axes, dict(attributes))


def _one_piece(window: xr.DataArray) -> Any:
    """Give the values of a window as one lazy piece, which is read when its turn comes."""
    from dask.delayed import delayed

    if window.chunks is None:
        return delayed(_values, traverse=False)(window)
    whole = window.data.rechunk(-1).to_delayed()
    return whole.ravel()[0]


def _values(window: xr.DataArray) -> NDArray:
    values: NDArray = window.values
    return values
