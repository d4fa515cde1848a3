"""A datacube as an xarray dataset whose velocities are read when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from itslive_core.cubes.dataset_cube import BLOCKS
from itslive_core.series import VARIABLES, grid_mapping
from itslive_core.series.citation import REFERENCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube

__all__ = ["PAIR", "dataset_of_cube"]

PAIR = "pair"
"""Dimension of the image pairs."""


class _LazyVelocity(BackendArray):
    """One component of the velocity of a cube, of which only what is asked for is read."""

    def __init__(self, cube: Datacube, name: str) -> None:
        self._cube, self._name = cube, name
        self.shape = (cube.n_pairs, *cube.shape)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[np.float32]:
        window = tuple(slice(k, k + 1) if isinstance(k, (int, np.integer)) else k for k in key)
        values = self._cube.components[self._name].read((window[0], window[1], window[2]))
        alone = tuple(axis for axis, k in enumerate(key) if isinstance(k, (int, np.integer)))
        return values.squeeze(axis=alone)


def dataset_of_cube(cube: Datacube) -> xr.Dataset:
    """Describe a cube as a dataset after CF; velocities are read when they are used.

    Parameters
    ----------
    cube : Datacube

    Returns
    -------
    xarray.Dataset
        ``vx``, ``vy`` [m/yr], float32 with NaN where there is none, dimensions (pair, y, x), lazily; the grid
        mapping ``mapping``; coordinates ``x, y`` [m] and, along ``pair``: ``time`` (middle of the span) with
        its bounds ``time_bnds``, ``start``, ``end``, ``span`` [days], ``vx_error, vy_error`` [m/yr],
        ``mission``, ``satellite_1``, ``satellite_2``. Layers without two dates have no time (NaT).
    """
    table = cube.pair_table
    start, end = (_dates(days) for days in (table.start, table.end))
    known = np.isfinite(table.start) & np.isfinite(table.end)
    middle = np.full(len(table), np.datetime64("NaT", "ns"))
    middle[known] = start[known] + (end[known] - start[known]) // 2
    rows, cols = cube.block_shape
    layout = {
        BLOCKS: [float(cube.x[0]), float(cube.y[0]), rows, cols],
        "grid_mapping": "mapping",
        "cell_methods": "time: mean",
    }
    velocities = {}
    for name in ("vx", "vy"):
        words = {key: VARIABLES[name][key] for key in ("long_name", "standard_name", "units")}
        values = indexing.LazilyIndexedArray(_LazyVelocity(cube, name))
        chunks = dict(zip((PAIR, "y", "x"), cube.components["vx"].chunks))
        velocities[name] = xr.Variable(
            (PAIR, "y", "x"), values, {**words, **layout}, {"preferred_chunks": chunks}
        )
    errors = {
        f"{name}_error": (PAIR, getattr(table, f"{name}_error"), {"units": "m/yr", "long_name": words})
        for name, words in (("vx", "formal error of vx"), ("vy", "formal error of vy"))
    }
    axes = {
        name: (name, values, {"standard_name": f"projection_{name}_coordinate", "units": "m"})
        for name, values in (("x", cube.x), ("y", cube.y))
    }
    crs: int | str = cube.epsg or cube.crs.to_wkt()
    found = xr.Dataset(
        {**velocities, "mapping": ((), 0, {**grid_mapping(crs), "crs_wkt": cube.crs.to_wkt()})},
        {
            **axes,
            "time": (
                PAIR,
                middle,
                {
                    "standard_name": "time",
                    "long_name": "middle of the span of the pair, UTC",
                    "bounds": "time_bnds",
                },
            ),
            "time_bnds": ((PAIR, "bnds"), np.stack([start, end], axis=1)),
            "start": (PAIR, start, {"long_name": "earlier acquisition, UTC"}),
            "end": (PAIR, end, {"long_name": "later acquisition, UTC"}),
            "span": (PAIR, table.end - table.start, {"long_name": "end - start, in days", "units": "1"}),
            **errors,
            "mission": (PAIR, table.mission, {"long_name": "group of missions of both images"}),
            "satellite_1": (PAIR, table.satellite_1, {"long_name": "satellite of the earlier image"}),
            "satellite_2": (PAIR, table.satellite_2, {"long_name": "satellite of the later image"}),
        },
        {
            "Conventions": "CF-1.8",
            "title": "ITS_LIVE image pairs",
            "references": REFERENCES,
            "cube_url": cube.url,
            **({"date_updated": cube.date_updated} if cube.date_updated else {}),
        },
    )
    layers = cube.components["vx"].chunks[0]
    for variable in found.variables.values():  # all in the same pieces, or Dask has to make them so
        if variable.dims[:1] == (PAIR,):
            variable.encoding.setdefault("preferred_chunks", {PAIR: layers})
    return found


def _dates(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Turn days since 1970 into datetime64[ns]: nanoseconds lose nothing of a float day."""
    known = np.isfinite(days)
    whole = np.floor(np.where(known, days, 0.0))
    rest = np.rint((np.where(known, days, 0.0) - whole) * 86_400e9).astype(np.int64)
    moments = (whole.astype(np.int64) * 86_400_000_000_000 + rest).astype("datetime64[ns]")
    moments[~known] = np.datetime64("NaT")
    return moments
