"""Blocks: chunk-aligned patches of pixels, with the image pairs of each pixel packed one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from itslive_core.observations.batches import kept_offsets
from itslive_core.support.arrays import median
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.observations.duplicates import Twins

__all__ = ["Block", "PixelBlock", "gather_chunk", "median_velocity", "merge_chunks"]


@dataclass(frozen=True)
class Block:
    """Rows row0:row1 and columns col0:col1 of a datacube."""

    row0: int
    row1: int
    col0: int
    col1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.row1 - self.row0, self.col1 - self.col0


@dataclass(frozen=True, eq=False)
class PixelBlock:
    """The valid observations of a block, pixel by pixel.

    Parameters
    ----------
    block : Block
        Which pixels; P = rows x columns, in row-major order.
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Row of the cube's pair table.
    vx, vy : ndarray of float32, shape (n,)
        Velocity [m/yr], both present.
    n_partial : ndarray of int32, shape (P,)
        Observations of each pixel that were dropped because only one of vx and vy is there.
    around : PixelBlock, optional
        The same with the pixels that were masked.
    heads : str
        Digest of the beginnings and ends of its chunks, as they are stored; empty where they are not chunks
        of their own, and once pairs or pixels were left out.
    """

    block: Block
    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float32]
    vy: NDArray[np.float32]
    n_partial: NDArray[np.int32]
    around: PixelBlock | None = None
    heads: str = ""

    @cached_property
    def checksum(self) -> str:
        """CRC-32 of all observations: it tells whether values have changed, wherever the cube lies."""
        found = 0
        for array in (self.offsets, self.pair, self.vx, self.vy, self.n_partial):
            found = crc32(np.ascontiguousarray(array).view(np.uint8).data, found)
        return f"{found:08x}"

    @property
    def whole(self) -> PixelBlock:
        """All pixels, those too that were masked."""
        return self if self.around is None else self.around

    @property
    def nbytes(self) -> int:
        """Memory it takes [bytes]."""
        return sum(a.nbytes for a in (self.offsets, self.pair, self.vx, self.vy, self.n_partial))

    def pixel(self, row: int, col: int) -> tuple[slice, int]:
        """Return the observations of one pixel of the cube, and its number in the block.

        Parameters
        ----------
        row, col : int
            Pixel in the cube.
        """
        p = (row - self.block.row0) * self.block.shape[1] + col - self.block.col0
        return slice(int(self.offsets[p]), int(self.offsets[p + 1])), p

    def keep(self, pair_mask: NDArray[np.bool_], pixel_mask: NDArray[np.bool_] | None = None) -> PixelBlock:
        """Keep the observations of some pairs, in some pixels.

        Parameters
        ----------
        pair_mask : ndarray of bool, shape (number of pairs in the cube,)
        pixel_mask : ndarray of bool, shape (P,), optional
            Pixels outside it lose all their observations, but for `whole`.
        """
        every = self.keep_observations(pair_mask[self.pair])
        if pixel_mask is None or pixel_mask.all():
            return every
        inside = np.repeat(pixel_mask.ravel(), np.diff(every.offsets))
        return replace(every.keep_observations(inside), around=every)

    def distinct(self, twins: Twins) -> PixelBlock:
        """Keep one of each observation that is stored more than once at its pixel.

        Parameters
        ----------
        twins : Twins
            Of the cube's pair table.
        """
        return self.keep_observations(twins.distinct(self.offsets, self.pair, self.vx, self.vy))

    def keep_observations(self, mask: NDArray[np.bool_]) -> PixelBlock:
        """Keep some observations.

        Parameters
        ----------
        mask : ndarray of bool, shape (n,)
        """
        if mask.all():
            return self
        offsets = kept_offsets(self.offsets, mask)
        return PixelBlock(self.block, offsets, self.pair[mask], self.vx[mask], self.vy[mask], self.n_partial)


def gather_chunk(
    vx: NDArray, vy: NDArray, first_pair: int, limits_x: NDArray, limits_y: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Pack the valid observations of one chunk, pixel by pixel.

    Parameters
    ----------
    vx, vy : ndarray, shape (t, P)
        Values as stored, layers by pixels.
    first_pair : int
        Number of the first layer in the cube.
    limits_x, limits_y : ndarray, shape (5,) or (2,)
        What tells a velocity from "missing", of the stored type: three markers, and the lowest and the
        highest number that is a velocity; or two markers, where every other finite number is one.

    Returns
    -------
    counts : ndarray of int64, shape (P,)
    pair : ndarray of int32, shape (n,)
    x, y : ndarray of float32, shape (n,)
    partial : ndarray of int32, shape (P,)
        Observations with only one component.
    """
    # Chunks arrive as fresh arrays and as read-only views of a buffer. To numba these are two types, and
    # four to compile for; as views that nobody may write to all are one.
    views = [array.view() for array in (vx, vy)]
    for view in views:
        view.flags.writeable = False
    packed: tuple[NDArray, NDArray, NDArray, NDArray, NDArray] = _gather(
        *views, first_pair, *(_with_range(limits) for limits in (limits_x, limits_y))
    )
    return packed


def _with_range(limits: NDArray) -> NDArray:
    if len(limits) == 5:
        return limits
    ends = np.finfo(limits.dtype) if limits.dtype.kind == "f" else np.iinfo(limits.dtype)
    return np.array([*limits, limits[0], ends.min, ends.max], dtype=limits.dtype)


@kernel()
def _gather(
    vx: NDArray, vy: NDArray, first_pair: int, limits_x: NDArray, limits_y: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:  # pragma: no cover - compiled
    layers, pixels = vx.shape
    mx0, mx1, mx2, x_low, x_high = limits_x[0], limits_x[1], limits_x[2], limits_x[3], limits_x[4]
    my0, my1, my2, y_low, y_high = limits_y[0], limits_y[1], limits_y[2], limits_y[3], limits_y[4]
    filled = np.empty(layers, dtype=np.int64)
    n_filled = 0
    for t in range(layers):
        # Four layers out of five are empty at a glacier; this loop has no branch, so that it vectorises.
        n = 0
        for p in range(pixels):
            n += (vx[t, p] != mx0) | (vy[t, p] != my0)
        if n > 0:
            filled[n_filled] = t
            n_filled += 1
    counts = np.zeros(pixels, dtype=np.int64)
    partial = np.zeros(pixels, dtype=np.int32)
    for i in range(n_filled):
        t = filled[i]
        for p in range(pixels):
            a, b = vx[t, p], vy[t, p]
            # NaN and infinity are in no range.
            good_a = a >= x_low and a <= x_high and a != mx0 and a != mx1 and a != mx2
            good_b = b >= y_low and b <= y_high and b != my0 and b != my1 and b != my2
            if good_a and good_b:
                counts[p] += 1
            elif good_a or good_b:
                partial[p] += 1
    place = np.zeros(pixels, dtype=np.int64)
    total = 0
    for p in range(pixels):
        place[p] = total
        total += counts[p]
    pair = np.empty(total, dtype=np.int32)
    x = np.empty(total, dtype=np.float32)
    y = np.empty(total, dtype=np.float32)
    for i in range(n_filled):
        t = filled[i]
        for p in range(pixels):
            a, b = vx[t, p], vy[t, p]
            good_a = a >= x_low and a <= x_high and a != mx0 and a != mx1 and a != mx2
            if good_a and b >= y_low and b <= y_high and b != my0 and b != my1 and b != my2:
                k = place[p]
                pair[k] = first_pair + t
                x[k] = a
                y[k] = b
                place[p] = k + 1
    return counts, pair, x, y, partial


def merge_chunks(
    counts: NDArray[np.int64], offsets: NDArray[np.int64], sources: NDArray, target: NDArray, chunk: int
) -> None:
    """Copy one chunk's packed observations to their places in the whole block.

    Parameters
    ----------
    counts : ndarray of int64, shape (chunks, P)
    offsets : ndarray of int64, shape (P + 1,)
    sources : ndarray of int32 or float32, shape (n of the chunk,)
    target : ndarray of the same type, shape (n of the block,)
    chunk : int
        Number of the chunk.
    """
    # Four bytes are four bytes: one machine code serves numbers of pairs and velocities.
    _merge(counts, offsets, sources.view(np.int32), target.view(np.int32), chunk)


@kernel()
def _merge(
    counts: NDArray, offsets: NDArray, sources: NDArray, target: NDArray, chunk: int
) -> None:  # pragma: no cover - compiled
    read = 0
    for p in range(counts.shape[1]):
        write = offsets[p]
        for c in range(chunk):
            write += counts[c, p]
        for _ in range(counts[chunk, p]):
            target[write] = sources[read]
            write += 1
            read += 1


def median_velocity(pixels: PixelBlock, *, least: int = 3) -> NDArray[np.float64]:
    """Give the component-wise median velocity of every pixel.

    The median of the components, not of the speed: the speed of noisy vectors is biased upwards.

    Parameters
    ----------
    pixels : PixelBlock
        P pixels.
    least : int
        Fewest observations for which a median is given.

    Returns
    -------
    ndarray, shape (P, 2)
        Median vx and vy [m/yr]; NaN where there are too few observations.
    """
    out = np.full((len(pixels.offsets) - 1, 2), np.nan)
    components = [component.astype(np.float64) for component in (pixels.vx, pixels.vy)]
    for p, (begin, end) in enumerate(pairwise(pixels.offsets.tolist())):
        if end - begin >= least:
            out[p] = [median(component[begin:end]) for component in components]
    return out
