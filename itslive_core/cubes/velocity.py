"""One component of the velocity of a cube: its array, how it is packed, and the order of its dimensions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.cubes.packing import missing_markers, read_values

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

    from itslive_core.cubes.packing import Packing

__all__ = ["Velocity"]


@dataclass(frozen=True, eq=False)
class Velocity:
    """One component of the velocity of a cube.

    Parameters
    ----------
    array : zarr.Array
    packing : Packing
        How its numbers become m/yr.
    order : tuple of int
        Where time, y and x are among its dimensions.
    """

    array: zarr.Array
    packing: Packing
    order: tuple[int, int, int] = (0, 1, 2)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, rows, columns."""
        return self._ordered(self.array.shape)

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Layers, rows and columns of a chunk."""
        return self._ordered(self.array.chunks)

    @property
    def is_plain(self) -> bool:
        """A chunk is just compressed C-order bytes (format 2, no filters)."""
        metadata = self.array.metadata
        return metadata.zarr_format == 2 and not metadata.filters and metadata.order == "C"

    def key(self, t: int, row: int, col: int) -> str:
        """Name a chunk of format 2, by its number in time and along y and x."""
        separator: str = self.array.metadata.dimension_separator  # type: ignore[union-attr]
        return f"{self.array.basename}/{separator.join(map(str, self.as_stored((t, row, col))))}"

    def as_stored(self, of_cube: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        """Put something of (time, y, x) into the order in which they are stored."""
        stored: list[Any] = [None] * 3
        for place, item in zip(self.order, of_cube):
            stored[place] = item
        return stored[0], stored[1], stored[2]

    def of_cube(self, values: NDArray) -> NDArray:
        """Turn stored values to (time, y, x)."""
        return values.transpose(self.order)

    def key_of_shard(self, t: int, row: int, col: int) -> str:
        """Name a shard of format 3, by its number in time and along y and x."""
        metadata: Any = self.array.metadata
        return f"{self.array.path}/{metadata.encode_chunk_key(self.as_stored((t, row, col)))}"

    def number_in_shard(self, place: tuple[int, int, int], inside: tuple[int, int, int]) -> int:
        """Give the number in the index of a shard of the chunk at a place inside it."""
        return int(np.ravel_multi_index(self.as_stored(place), self.as_stored(inside)))

    def of_axes(self, sizes: tuple[int, ...] | None) -> tuple[int, int, int]:
        """Put sizes along the stored dimensions into the order (time, y, x)."""
        return self._ordered(sizes or self.array.chunks)

    def read(self, where: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """Read a window as velocities [m/yr], NaN where there is none.

        Parameters
        ----------
        where : tuple of slice
            Layers, rows and columns; of steps above 0.

        Raises
        ------
        CubeError
            If a chunk of it is damaged.
        """
        own = tuple(range(*part.indices(size)) for part, size in zip(where, self.shape))
        out = np.full(tuple(map(len, own)), np.nan, dtype=np.float32)
        if self.zero_may_be_missing:
            # Chunk by chunk: what was never written reads as 0, which is a velocity elsewhere.
            parts = list(product(*(_by_chunks(r, size) for r, size in zip(own, self.chunks))))
        else:
            parts = [tuple(slice(0, len(r)) for r in own)]
        parts = [part for part in parts if all(one.stop > one.start for one in part)]

        def put(part: tuple[slice, ...]) -> None:
            t, row, col = (_as_slice(r[one]) for r, one in zip(own, part))
            values = self.of_cube(read_values(self.array, self.as_stored((t, row, col))))
            if not (self.zero_may_be_missing and not values.any() and self._unwritten((t, row, col))):
                out[part] = self._decoded(values)

        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(put, parts):
                pass
        return out

    @property
    def zero_may_be_missing(self) -> bool:
        """A chunk that was never written reads as 0, and 0 is no marker."""
        return self.array.fill_value in (None, 0) and 0 not in missing_markers(self.array)

    def _unwritten(self, where: tuple[slice, slice, slice]) -> bool:
        """Tell whether the chunk that holds a window is 0 everywhere: no glacier stands so still."""
        first = (one.start // size * size for one, size in zip(where, self.chunks))
        chunk = tuple(slice(begin, begin + size) for begin, size in zip(first, self.chunks))
        return not read_values(self.array, self.as_stored((chunk[0], chunk[1], chunk[2]))).any()

    def _decoded(self, values: NDArray) -> NDArray[np.float32]:
        """Turn stored numbers into velocities, as those of a packed block are."""
        stored = self.packing.stored(values)
        *markers, low, high = self.packing.limits_of_velocity()
        good = (stored >= low) & (stored <= high)
        for marker in markers:
            good &= stored != marker
        out = stored.astype(np.float32)
        if not self.packing.plain:
            out *= self.packing.scale
            out += self.packing.offset
        out[~good] = np.nan
        return out

    def _ordered(self, sizes: tuple[int, ...]) -> tuple[int, int, int]:
        time, y, x = self.order
        return sizes[time], sizes[y], sizes[x]


def _as_slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop, numbers.step)


def _by_chunks(numbers: range, size: int) -> list[slice]:
    """Cut numbers where chunks of a size end; slices of the numbers."""
    chunk = np.asarray(numbers) // size
    ends = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(numbers)]
    return [slice(begin, end) for begin, end in pairwise(ends)]
