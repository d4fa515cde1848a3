"""Whether two results are the same: value by value, and as a digest."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutputError
from itslive_core.export.pieces import TILE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["differences_of", "digest_of"]


def digest_of(path: str | os.PathLike[str]) -> str:
    """Sum up all values of a result; files of one format that hold the same have the same digest.

    Parameters
    ----------
    path : path
        NetCDF, Zarr, GeoTIFF, or a table.

    Returns
    -------
    str
        The first 16 digits of a SHA-256 of names, shapes and values; attributes are no part of it.

    Raises
    ------
    OutputError
        If the file cannot be read.
    """
    total = sha256()
    with _parts(Path(path)) as parts:
        for name in sorted(parts):
            part = parts[name]
            total.update(f"\0{name}\0{part.shape}\0".encode())
            for piece in _pieces(part):
                total.update(_bytes_of(piece))
    return total.hexdigest()[:16]


def differences_of(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> list[str]:
    """Say in what the values of two results of one format differ; nothing where they do not.

    Parameters
    ----------
    one, other : path

    Returns
    -------
    list of str
        A sentence for each variable, or column.

    Raises
    ------
    OutputError
        If a file cannot be read.
    """
    found = []
    with _parts(Path(one)) as first, _parts(Path(other)) as second:
        for name in dict.fromkeys([*first, *second]):
            if name not in first or name not in second:
                found.append(f"{name} is in one of them only")
                continue
            a, b = first[name], second[name]
            if a.shape != b.shape:
                found.append(f"{name} has the shape {_words(a.shape)} and {_words(b.shape)}")
                continue
            pairs = zip(_pieces(a), _pieces(b), strict=True)
            counts = np.array([_different(x, y) for x, y in pairs]).reshape(-1, 2)
            number, largest = int(counts[:, 0].sum()), counts[:, 1].max(initial=0.0)
            if number:
                total = int(np.prod(a.shape))
                by = f", by up to {largest:.3g}" if largest > 0.0 else ""
                found.append(f"{name} differs in {number:,} of {total:,} values{by}")
    return found


@contextmanager
def _parts(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open a result as arrays by name, as they are stored."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import rasterio

            with rasterio.open(path) as file:
                names = [f"band {n} ({text})" for n, text in enumerate(file.descriptions, 1)]
                yield {name: _Band(file, number) for number, name in enumerate(names, 1)}
        elif path.suffix.lower() == ".nc" or path.is_dir():
            import xarray as xr

            engine = {"engine": "zarr"} if path.is_dir() else {}
            stored: dict[str, Any] = {"decode_cf": False, "chunks": None, **engine}
            with xr.open_dataset(path, **stored) as ds:
                yield {str(name): ds[name] for name in ds.variables}
        elif path.suffix.lower() == ".parquet":
            import pandas as pd

            table = pd.read_parquet(path)
            yield {str(name): table[name].to_numpy() for name in table.columns}
        else:
            import pandas as pd

            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            yield {str(name): table[name].to_numpy(dtype=str) for name in table.columns}
    except (OSError, ValueError, RuntimeError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise OutputError(f"{path} cannot be read ({first}): name a file that this program wrote") from error


class _Band:
    """A band of a raster that is read when it is wanted."""

    def __init__(self, file: Any, number: int) -> None:
        self._file, self._number = file, number
        self.shape = file.shape

    @property
    def values(self) -> NDArray[Any]:
        """Its pixels."""
        read: NDArray[Any] = self._file.read(self._number)
        return read


def _pieces(part: Any) -> Iterator[NDArray[Any]]:
    """Give the values piece by piece: an area does not fit into memory."""
    if len(part.shape) < 3:
        yield np.asarray(getattr(part, "values", part))
        return
    for row in range(0, part.shape[-2], TILE):
        yield np.asarray(part[..., row : row + TILE, :].values)


def _bytes_of(values: NDArray[Any]) -> bytes:
    if values.dtype.kind in "OUS":
        return "\0".join(map(str, values.ravel().tolist())).encode()
    return np.ascontiguousarray(values).tobytes()


def _different(one: NDArray[Any], other: NDArray[Any]) -> tuple[int, float]:
    """Count the values that differ, and give the largest difference of those that are numbers."""
    if one.dtype.kind in "OUS" or other.dtype.kind in "OUS":
        unequal = np.array([str(a) != str(b) for a, b in zip(one.ravel(), other.ravel(), strict=True)])
        try:
            a, b = (np.array([float(x) for x in of.ravel()[unequal]]) for of in (one, other))
        except (TypeError, ValueError):
            return int(unequal.sum()), 0.0
        return int(unequal.sum()), float(np.nanmax(np.abs(a - b), initial=0.0))
    missing = (one != one) & (other != other)
    unequal = (one != other) & ~missing
    if not unequal.any():
        return 0, 0.0
    apart = np.abs(one[unequal].astype(np.float64) - other[unequal].astype(np.float64))
    return int(unequal.sum()), float(np.nanmax(apart, initial=0.0))


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of a number"
