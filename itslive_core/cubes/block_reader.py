"""Reading blocks of velocities: chunks in, packed observations out, and a cache of what was read lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.cubes import schema
from itslive_core.cubes.unpacking import Packed, check_chunk
from itslive_core.errors import CubeError
from itslive_core.observations.blocks import Block, PixelBlock, gather_chunk, merge_chunks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    import zarr
    from numpy.typing import NDArray

    from itslive_core.cubes.stores import OpenStore

__all__ = ["BlockCache", "read_pixels"]


@dataclass
class BlockCache:
    """Blocks that were read lately, up to a number of bytes; safe to share between threads, and cubes."""

    limit: float
    blocks: OrderedDict[Hashable, PixelBlock] = field(default_factory=OrderedDict)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: dict[Hashable, threading.Lock] = field(default_factory=dict)

    def get(self, key: Hashable) -> PixelBlock | None:
        """Return a block that is in memory, and remember that it was wanted."""
        with self.lock:
            found = self.blocks.get(key)
            if found is not None:
                self.blocks.move_to_end(key)
            return found

    def put(self, pixels: PixelBlock, key: Hashable = None) -> None:
        """Keep a block, under its own name or another; the ones not wanted for longest make room."""
        key = pixels.block if key is None else key
        with self.lock:
            self.reading.pop(key, None)
            if pixels.nbytes > self.limit or key in self.blocks:
                return
            self.blocks[key] = pixels
            self.size += pixels.nbytes
            while self.size > self.limit:
                _, old = self.blocks.popitem(last=False)
                self.size -= old.nbytes

    def reader_lock(self, key: Hashable) -> threading.Lock:
        """Return the lock that whoever reads the block holds."""
        with self.lock:
            return self.reading.setdefault(key, threading.Lock())


def read_pixels(store: OpenStore, arrays: Sequence[zarr.Array], block: Block) -> PixelBlock:
    """Read vx and vy of a chunk-aligned block and pack their valid observations.

    Parameters
    ----------
    store : OpenStore
    arrays : sequence of zarr.Array
        vx and vy, shape (T, ny, nx).
    block : Block

    Raises
    ------
    CubeError
        If the store cannot be reached or a chunk is damaged.
    """
    step = arrays[0].chunks[0]
    starts = range(0, arrays[0].shape[0], step)
    pieces: list[tuple[NDArray, ...]] = []
    missing = [_markers_for(array) for array in arrays]
    if all(_is_plain(array) for array in arrays) and arrays[0].chunks == arrays[1].chunks:
        chunks = _fetch_plain(store, arrays, block, len(starts))
    else:
        chunks = _fetch_any(arrays, block, starts)
    pixels = block.shape[0] * block.shape[1]
    for start, (vx, vy) in zip(starts, chunks, strict=True):
        if vx is None and vy is None:
            pieces.append(_nothing(pixels))
            continue
        # Where only one of the two chunks exists, its observations are counted as lacking a component.
        if vx is None:
            vx = np.full(vy.shape, missing[0][0])  # type: ignore[union-attr]
        if vy is None:
            vy = np.full(vx.shape, missing[1][0])
        pieces.append(gather_chunk(vx.reshape(len(vx), -1), vy.reshape(len(vy), -1), start, *missing))
    counts = np.stack([piece[0] for piece in pieces]) if pieces else np.zeros((1, pixels), dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0))))
    columns = []
    for k, dtype in ((1, np.int32), (2, np.float32), (3, np.float32)):
        column = np.empty(offsets[-1], dtype=dtype)
        for c, piece in enumerate(pieces):
            merge_chunks(counts, offsets, piece[k], column, c)
        columns.append(column)
    partial = sum((piece[4] for piece in pieces), start=np.zeros(pixels, dtype=np.int32))
    for column, array in zip(columns[1:], arrays, strict=True):
        scale, shift = array.attrs.get("scale_factor", 1), array.attrs.get("add_offset", 0)
        if (scale, shift) != (1, 0):
            column *= float(scale)  # type: ignore[arg-type]
            column += float(shift)  # type: ignore[arg-type]
    pair, vx, vy = columns
    return PixelBlock(block=block, offsets=offsets, pair=pair, vx=vx, vy=vy, n_partial=partial)


def _fetch_plain(
    store: OpenStore, arrays: Sequence[zarr.Array], block: Block, n_chunks: int
) -> Iterator[tuple[NDArray | None, ...]]:
    """Fetch the chunks of a format 2 block as raw bytes, all at once, and decode them one by one.

    Going through zarr-python takes more than twice the CPU time of the decoding itself.
    """
    from numcodecs import Blosc, get_codec

    step, rows, cols = arrays[0].chunks
    at = (block.row0 // rows, block.col0 // cols)
    keys = [
        f"{array.basename}/" + array.metadata.dimension_separator.join(map(str, (t, *at)))  # type: ignore[union-attr]
        for t in range(n_chunks)
        for array in arrays
    ]
    packed = [_packed(array) for array in arrays]
    answers = store.fetch(keys)
    shape = block.shape
    for t in range(n_chunks):
        pair: list[NDArray | None] = []
        for i, array in enumerate(arrays):
            data, answers[2 * t + i] = answers[2 * t + i], None
            if data is None:
                pair.append(None)
                continue
            compressor = array.metadata.compressor  # type: ignore[union-attr]
            check_chunk(data, packed[i], f"chunk {keys[2 * t + i]} of {store.url}")
            try:
                if isinstance(compressor, Blosc):
                    _check_length(data)
                raw = data if compressor is None else get_codec(compressor.get_config()).decode(data)
                values = np.frombuffer(raw, dtype=array.dtype).reshape(array.chunks)
            except (RuntimeError, ValueError) as error:
                raise CubeError(
                    f"chunk {keys[2 * t + i]} of {store.url} is damaged ({error}):"
                    " use another copy of the datacube"
                ) from error
            layers = min(step, arrays[0].shape[0] - t * step)
            # Edge chunks are padded with anything, not with the missing value: cut before use.
            pair.append(_native(values[:layers, : shape[0], : shape[1]]))
        yield tuple(pair)


def _fetch_any(
    arrays: Sequence[zarr.Array], block: Block, starts: range
) -> Iterator[tuple[NDArray | None, ...]]:
    """Read a block through zarr-python, whatever the format; all its parts at the same time."""

    def read(part: tuple[int, zarr.Array]) -> NDArray | None:
        t, array = part
        where = (slice(t, t + starts.step), slice(block.row0, block.row1), slice(block.col0, block.col1))
        values = schema.read_values(array, where)
        # A chunk that was never written reads as the fill value. Where nobody chose one that is 0, and no
        # glacier stands still in every layer: that chunk is missing.
        unwritten = array.fill_value == 0 and 0 not in schema.missing_markers(array) and not values.any()
        return None if unwritten else _native(values)

    parts = [(t, array) for t in starts for array in arrays]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(read, parts)
        yield from zip(answers, answers, strict=True)


def _packed(array: zarr.Array) -> Packed:
    """Say what the chunks of an array of format 2 may unpack to."""
    compressor = array.metadata.compressor  # type: ignore[union-attr]
    size = int(np.prod(array.chunks)) * array.dtype.itemsize
    return Packed("" if compressor is None else str(compressor.codec_id), size)


def _native(values: NDArray) -> NDArray:
    """Give values in one piece and in the byte order of this machine, as compiled code wants them."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _check_length(data: bytes) -> None:
    """Refuse a Blosc chunk that was cut: decoding could read beyond its end."""
    if len(data) < 16:
        raise ValueError(f"it has {len(data)} bytes, less than a header")
    told = int.from_bytes(data[12:16], "little")
    if told != len(data):
        raise ValueError(f"it has {len(data):,} bytes instead of {told:,}")


def _is_plain(array: zarr.Array) -> bool:
    """Tell whether a chunk is just compressed C-order bytes (format 2, no filters)."""
    metadata = array.metadata
    return metadata.zarr_format == 2 and not metadata.filters and metadata.order == "C"


def _markers_for(array: zarr.Array) -> NDArray:
    """Return two missing-value markers of the stored type; twice the same if there is one."""
    floating = array.dtype.kind == "f"
    values = [
        marker
        for marker in schema.missing_markers(array)
        if floating
        or (marker.is_integer() and np.iinfo(array.dtype).min <= marker <= np.iinfo(array.dtype).max)
    ]
    if not values:
        # ITS_LIVE keeps velocities within +-32767 and has always used the lower limit for "missing".
        values = [np.nan if floating else -32767.0]
    return np.array((values * 2)[:2], dtype=array.dtype.newbyteorder("="))


def _nothing(pixels: int) -> tuple[NDArray, ...]:
    return (
        np.zeros(pixels, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.float32),
        np.empty(0, dtype=np.float32),
        np.zeros(pixels, dtype=np.int32),
    )
