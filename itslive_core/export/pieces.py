"""Rasters in pieces of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TILE", "windows"]

TILE = 64
"""Edge of a tile in pixels: about the width of a glacier, and small enough to stream many bands."""

_BYTES_AT_A_TIME = 128e6


def windows(n_bands: int, n_rows: int, n_columns: int) -> Iterator[tuple[slice, slice]]:
    """Cut a raster into windows of whole tiles: each tile is written once, and memory stays bounded.

    Parameters
    ----------
    n_bands, n_rows, n_columns : int
        Of float32.

    Yields
    ------
    rows, columns : slice
    """
    tiles = max(1, int(_BYTES_AT_A_TIME / (4 * max(n_bands, 1) * TILE * TILE)))
    width = min(tiles * TILE, n_columns)
    for row in range(0, n_rows, TILE):
        for column in range(0, n_columns, width):
            yield slice(row, min(row + TILE, n_rows)), slice(column, min(column + width, n_columns))
