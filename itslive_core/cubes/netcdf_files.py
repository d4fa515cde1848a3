"""A NetCDF file as if it were a Zarr store: its metadata written anew, its chunks cut from its variables.

Whatever reads cubes then reads these too, lazily, block by block, with the same rules for missing values,
units and dates.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NetcdfFiles"]

_TILE = 10
"""Pixels along x and y of a chunk, where the file does not come in such chunks: as in the cubes of ITS_LIVE,
so that pixels learn from the same neighbours in every form of a cube."""
_PATCH = 32
"""Pixels along x and y that are read together: files without chunks are slow for few pixels."""
_KEPT = 256e6
"""Bytes of patches that are kept for their other chunks."""
_AXES = ("x", "y", "lon", "lat", "longitude", "latitude", "easting", "northing")
_LONGEST_TEXT = 64
"""Characters of text that is read: codes and dates; addresses of files are longer, and not needed."""


class NetcdfFiles:
    """The variables of a NetCDF file, as `itslive_core.cubes.files.Files` wants files.

    Parameters
    ----------
    path : Path
    url : str
        What its user called it, for messages.

    Raises
    ------
    CubeError
        If it cannot be read.
    """

    def __init__(self, path: Path, url: str) -> None:
        import netCDF4

        self._url = url
        self._lock = threading.Lock()  # the library below knows no threads
        try:
            self._dataset = netCDF4.Dataset(path)
            self._dataset.set_auto_maskandscale(False)
            self._dataset.set_auto_chartostring(False)
            self._variables = _variables(self._dataset)
            self._arrays: dict[str, NDArray] = {}
            self._chunks: dict[str, tuple[int, ...]] = {}
            self._patches: OrderedDict[tuple[str, tuple[int, ...]], NDArray] = OrderedDict()
            metadata = self._metadata(netCDF4.default_fillvals)
        except (OSError, RuntimeError, ValueError, UnicodeError, MemoryError) as error:
            raise CubeError(f"{url} cannot be read as NetCDF ({error}): use another copy") from error
        if not self._chunks:
            raise CubeError(f"{url} is a NetCDF file without variables that could be read: use another one")
        self._document = json.dumps({"metadata": metadata, "zarr_consolidated_format": 1}).encode()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Give the metadata, or a chunk."""
        key = path.lstrip("/")
        if key == ".zmetadata":
            return self._document[start:end]
        name, _, place = key.partition("/")
        if name not in self._chunks or not place:
            raise FileNotFoundError(path)
        try:
            return self._chunk(name, tuple(map(int, place.split("."))))[start:end]
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise CubeError(
                f"variable {name} of {self._url} is damaged ({error}): use another copy of the datacube"
            ) from error

    def _chunk(self, name: str, place: tuple[int, ...]) -> bytes:
        chunks = self._chunks[name]
        if not chunks:
            return np.asarray(self._values(name, ())).tobytes()
        values = self._part(name, place, chunks)
        if values.shape == chunks:
            return np.ascontiguousarray(values).tobytes()
        whole = np.zeros(chunks, dtype=values.dtype)  # edge chunks are padded with anything
        whole[tuple(slice(size) for size in values.shape)] = values
        return whole.tobytes()

    def _part(self, name: str, place: tuple[int, ...], chunks: tuple[int, ...]) -> NDArray:
        """Read a chunk out of a patch of several, which is kept."""
        several = [max(1, _PATCH // size) if 1 < size < _PATCH else 1 for size in chunks]
        if name in self._arrays or len(chunks) < 3 or math.prod(several) == 1:
            return self._values(name, tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, chunks)))
        patch = tuple(i // n for i, n in zip(place, several))
        with self._lock:  # whoever comes second finds what the first one read
            found = self._patches.get((name, patch))
            if found is None:
                wide = [n * size for n, size in zip(several, chunks)]
                found = self._read(name, tuple(slice(i * n, (i + 1) * n) for i, n in zip(patch, wide)))
                self._patches[name, patch] = found
                while len(self._patches) > 1 and sum(one.nbytes for one in self._patches.values()) > _KEPT:
                    self._patches.popitem(last=False)
            else:
                self._patches.move_to_end((name, patch))
        inside = (i % n for i, n in zip(place, several))
        return found[tuple(slice(i * size, (i + 1) * size) for i, size in zip(inside, chunks))]

    def _values(self, name: str, where: tuple[slice, ...]) -> NDArray:
        if name in self._arrays:
            return self._arrays[name][where]
        with self._lock:
            return self._read(name, where)

    def _read(self, name: str, where: tuple[slice, ...]) -> NDArray:
        values = np.asarray(self._variables[name][where or ...])
        return values.astype(values.dtype.newbyteorder("<"), copy=False)

    def _metadata(self, default_fill: dict[str, Any]) -> dict[str, Any]:
        metadata: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": _attributes(self._dataset)}
        for name, variable in self._variables.items():
            if "/" in name or name.startswith("."):
                continue
            dims, shape, dtype, fill = list(variable.dimensions), variable.shape, variable.dtype, None
            if dtype is str or (getattr(dtype, "kind", "") == "S" and dtype.itemsize == 1):
                text = self._text(variable)
                if text is None:
                    continue
                self._arrays[name] = text
                dims, shape, dtype = dims[: text.ndim], text.shape, text.dtype
            elif getattr(dtype, "kind", "V") not in "iuf":
                continue
            elif "_FillValue" not in variable.ncattrs() and dtype.itemsize > 1:
                fill = default_fill.get(f"{dtype.kind}{dtype.itemsize}")
            self._chunks[name] = _chunks_of(variable, dims, shape)
            metadata[f"{name}/.zattrs"] = {**_attributes(variable), "_ARRAY_DIMENSIONS": dims}
            metadata[f"{name}/.zarray"] = {
                "zarr_format": 2,
                "shape": list(shape),
                "chunks": list(self._chunks[name]),
                "dtype": np.dtype(dtype).newbyteorder("<").str,
                "compressor": None,
                "fill_value": _plain(fill),
                "order": "C",
                "filters": None,
            }
        return metadata

    def _text(self, variable: Any) -> NDArray | None:
        """Read text, of characters or of strings; None where it is long or of another shape."""
        import netCDF4

        of_characters = variable.dtype is not str
        width = variable.shape[-1] if of_characters and variable.ndim else 0
        if variable.ndim > 1 + of_characters or (of_characters and not 0 < width <= _LONGEST_TEXT):
            return None
        if "url" in variable.name.lower():
            return None
        values = np.asarray(variable[...])
        if of_characters:
            joined: NDArray = netCDF4.chartostring(values, encoding="latin-1")
            return np.asarray(joined).astype(f"<U{width}")
        text = values.astype(str)
        return text if 0 < text.dtype.itemsize <= 4 * _LONGEST_TEXT else None


def _variables(dataset: Any) -> dict[str, Any]:
    """Give the variables of a file, and those of a group if velocities are only there."""
    found = dict(dataset.variables)
    if "vx" not in found:
        groups = [one for one in _groups(dataset) if {"vx", "vy"} <= set(one.variables)]
        if len(groups) == 1:
            found.update(groups[0].variables)
    return found


def _groups(holder: Any) -> Iterator[Any]:
    for group in holder.groups.values():
        yield group
        yield from _groups(group)


def _chunks_of(variable: Any, dims: list[str], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Choose chunks: whole lines and planes, and of cubes all of time for a few pixels."""
    if len(shape) < 3:
        return tuple(max(1, size) for size in shape)
    stored = variable.chunking()
    sizes = stored if isinstance(stored, list) else [1] * len(shape)
    tiles = []
    for name, size, own in zip(dims, shape, sizes):
        if name.lower() in _AXES:
            own = own if own <= 2 * _PATCH else 1
            size = min(size, math.ceil(_TILE / own) * own if own < _TILE // 2 else own)
        tiles.append(max(1, size))
    return tuple(tiles)


def _attributes(holder: Any) -> dict[str, Any]:
    return {name: _plain(holder.getncattr(name)) for name in holder.ncattrs()}


def _plain(value: Any) -> Any:
    """Give a value of an attribute as JSON has it."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
