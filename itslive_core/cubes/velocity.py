"""One component of the velocity of a cube: its array, how it is packed, and the order of its dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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

    def _ordered(self, sizes: tuple[int, ...]) -> tuple[int, int, int]:
        time, y, x = self.order
        return sizes[time], sizes[y], sizes[x]
