"""A datacube that is an xarray dataset: what the engine opened, what any reader did, or what is in memory.

Its metadata go through the same reading as those of a stored cube: they are put into a store in memory. The
velocities stay where they are, and are asked for block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from zarr.storage import MemoryStore

from itslive_core.cubes.datacube import Datacube
from itslive_core.cubes.schema import layout_of
from itslive_core.cubes.velocity import Velocity
from itslive_core.errors import CubeError
from itslive_core.observations.blocks import Block, PixelBlock, gather_chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["BLOCKS", "DatasetCube", "pack_block"]

BLOCKS = "block_corner"
"""Attribute of a velocity: x and y [m] of the first pixel of a block of chunks, and its rows and columns."""
_USUAL_BLOCK = 10
"""Rows and columns of the chunks of ITS_LIVE's cubes."""
_NAMES_OF_CUBES = {"satellite_1": "satellite_img1", "satellite_2": "satellite_img2"}
"""Names in the vocabulary of this package, and on disk."""


@dataclass(frozen=True, eq=False)
class _InMemory:
    """What a datacube wants of a store."""

    url: str
    group: zarr.Group
    written: str | None = None

    def fetch_ahead(self, arrays: Iterable[zarr.Array]) -> None:
        """Fetch nothing: all is here."""


@dataclass(frozen=True, eq=False)
class _Held(Velocity):
    """One component of the velocity, held by a dataset: the array only says how it is laid out."""

    held: xr.DataArray | None = None

    def read(self, where: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """Take a window out of the dataset."""
        assert self.held is not None
        found: NDArray[np.float32] = self.held[where].values.astype(np.float32)
        return found


class DatasetCube(Datacube):
    """A datacube of an xarray dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``vx`` and ``vy`` [m/yr], NaN where missing, with three dimensions of which two are those of the
        coordinates x and y; the dates of both images along the third, under one of the names that cubes on
        disk use, or as bounds of its time; a grid mapping. What
        ``xarray.open_dataset(url, engine="itslive")`` and ``xarray.open_zarr(url)`` give conforms, and any
        part of it that is a rectangle. Velocities are taken in single precision, as cubes hold them.

    Raises
    ------
    CubeError
        If something is missing, in the words in which a cube on disk is refused.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset
        url = str(dataset.attrs.get("cube_url") or dataset.encoding.get("source") or "dataset in memory")
        group = zarr.create_group(store=MemoryStore(), zarr_format=2)
        self._dims = _write(group, dataset, url)
        super().__init__(cast("Any", _InMemory(url, group)))
        self.components = {
            name: _Held(one.array, one.packing, one.order, dataset[name].transpose(*self._dims))
            for name, one in self.components.items()
        }
        if BLOCKS in dataset["vx"].attrs:
            x, y = np.asarray(dataset["vx"].attrs[BLOCKS], dtype=np.float64)[:2]
            ahead = (self.y[0] - y) / self.pixel_size[1], (self.x[0] - x) / self.pixel_size[0]
            rows, cols = self.block_shape
            self.block_offset = round(float(ahead[0])) % rows, round(float(ahead[1])) % cols

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process with the dataset."""
        return DatasetCube, (self._dataset,)

    def window(self, block: Block) -> xr.Dataset:
        """Give vx and vy of a block, dimensions (pair, y, x), as they are in the dataset."""
        _, y, x = self._dims
        where = {y: slice(block.row0, block.row1), x: slice(block.col0, block.col1)}
        return self._dataset[["vx", "vy"]].isel(where).transpose(*self._dims)

    def _read(self, block: Block) -> PixelBlock:
        found = self.window(block).compute()
        return pack_block(block, found["vx"].values, found["vy"].values)


def pack_block(block: Block, vx: NDArray, vy: NDArray) -> PixelBlock:
    """Pack the velocities of a block.

    Parameters
    ----------
    block : Block
    vx, vy : ndarray, shape (T, rows, columns)
        [m/yr], NaN where missing.
    """
    largest = np.finfo(np.float32).max
    limits = np.array([np.nan, np.nan, np.nan, -largest, largest], dtype=np.float32)
    flat = [np.ascontiguousarray(values, dtype=np.float32).reshape(len(values), -1) for values in (vx, vy)]
    counts, pair, x, y, partial = gather_chunk(flat[0], flat[1], 0, limits, limits)
    return PixelBlock(block, np.concatenate(([0], np.cumsum(counts))), pair, x, y, partial)


def _write(group: zarr.Group, dataset: xr.Dataset, url: str) -> tuple[str, str, str]:
    """Write what a cube on disk would say beside its velocities; give the dimensions of time, y and x."""
    group.attrs.update(_plain(dataset.attrs))
    for own in ("vx", "vy"):
        if own not in dataset:
            raise CubeError(f"{url} is not an ITS_LIVE datacube: it has no variable {own!r}")
        if dataset[own].ndim != 3:
            there = ", ".join(map(str, dataset[own].dims))
            raise CubeError(
                f"{url} is not an ITS_LIVE datacube: {own} has the dimensions {there}, expected (pair, y, x)"
            )
    vx = dataset["vx"]
    bounds = {_said(one, "bounds") for one in dataset.variables.values()}
    for name, variable in dataset.variables.items():
        if variable.ndim == 0 or (variable.ndim == 1 and variable.dims[0] in vx.dims):
            own = _NAMES_OF_CUBES.get(str(name), str(name))
            if own == name or own not in dataset.variables:
                _put(group, own, variable.values, variable.dims, {**variable.encoding, **variable.attrs})
        elif name in bounds and variable.dims[0] in vx.dims:
            for k, own in enumerate(("start", "end")):
                if own not in dataset.variables:
                    _put(group, own, variable.values[:, k], variable.dims[:1], {})
    _template(group, "vx", vx, vx.dims, (1, 1, 1))
    layout = layout_of(group, cast("zarr.Array", group["vx"]), url)
    dims = layout.time, layout.y, layout.x
    chunks = (max(vx.sizes[layout.time], 1), *_block_shape(vx, layout.y, layout.x))
    for own in ("vx", "vy"):
        _template(group, own, dataset[own], dims, chunks)
    return dims


def _template(group: zarr.Group, name: str, values: xr.DataArray, dims: Any, chunks: Any) -> None:
    """Write an array of the shape of a velocity that holds nothing: it says how the velocity is laid out."""
    known = {n: v for n in ("grid_mapping", "units") if (v := _said(values.variable, n))}
    group.create_array(
        name,
        shape=tuple(values.sizes[dim] for dim in dims),
        chunks=chunks,
        dtype=np.float32,
        fill_value=np.nan,
        overwrite=True,
        attributes={**known, "_ARRAY_DIMENSIONS": list(dims)},
    )


def _block_shape(vx: xr.DataArray, y: str, x: str) -> tuple[int, int]:
    """Give rows and columns of the blocks whose pixels are read, and learn, together."""
    if BLOCKS in vx.attrs:
        rows, cols = np.asarray(vx.attrs[BLOCKS], dtype=np.float64)[2:].astype(int).tolist()
        return rows, cols
    chunks = dict(vx.encoding.get("preferred_chunks") or {})
    chunks |= {dim: max(sizes) for dim, sizes in vx.variable.chunksizes.items()}
    rows, cols = (max(int(np.max(chunks.get(dim, _USUAL_BLOCK))), 1) for dim in (y, x))
    return rows, cols


def _put(group: zarr.Group, name: str, values: NDArray, dims: Any, words: Mapping[Any, Any]) -> None:
    attributes = _plain(words)
    for taken in ("_FillValue", "missing_value", "scale_factor", "add_offset", "dtype", "calendar"):
        attributes.pop(taken, None)  # values are decoded
    if values.dtype.kind in "Mm":
        values, attributes["units"] = _days_of(values), "days since 1970-01-01"
        if "_dt" in name or "span" in name:
            attributes["units"] = "days"
    elif values.dtype.kind in "OSU":
        values = values.astype(str)
        values = values.astype(f"U{max(values.dtype.itemsize // 4, 1)}")
    elif values.dtype.kind not in "iufb":
        return
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        fill_value=np.nan if values.dtype.kind == "f" else None,
        attributes={**attributes, "_ARRAY_DIMENSIONS": list(map(str, dims))},
    )
    array[...] = values


def _days_of(values: NDArray) -> NDArray[np.float64]:
    """Turn datetime64 or timedelta64 into days, without losing what a float day can hold."""
    known = ~np.isnat(values)
    given = np.where(known, values, np.zeros((), values.dtype))
    whole = given.astype(f"{values.dtype.kind}8[D]")
    rest = (given - whole).astype("m8[ns]").astype(np.int64)
    return np.where(known, whole.astype(np.int64) + rest / 86_400e9, np.nan)


def _said(variable: Any, name: str) -> Any:
    """Give an attribute, which xarray moves to the encoding where it understands it."""
    return variable.attrs.get(name) or variable.encoding.get(name)


def _plain(words: Mapping[Any, Any]) -> dict[str, Any]:
    """Keep the attributes that a store can hold."""
    found = {}
    for name, value in words.items():
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        if isinstance(value, (str, int, float, list)) and not isinstance(value, bool):
            found[str(name)] = value
    return found
