"""Reading blocks of velocities: chunks in, packed observations out, and a cache of what was read lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from itslive_core.cubes.packing import read_values
from itslive_core.cubes.unpacking import Packed, check_chunk
from itslive_core.errors import CubeError
from itslive_core.observations.blocks import Block, PixelBlock, gather_chunk, merge_chunks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    import zarr
    from numpy.typing import NDArray

    from itslive_core.cubes.shards import ShardReader
    from itslive_core.cubes.stores import OpenStore
    from itslive_core.cubes.velocity import Velocity

__all__ = ["BlockCache", "heads_of_block", "read_pixels"]

_HEAD, _TAIL = 4096, 64
"""Bytes of a chunk that tell it from another one: Blosc begins with the sizes of a chunk and of all its
blocks, zlib and gzip end with a checksum."""


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


def read_pixels(
    store: OpenStore, velocities: Sequence[Velocity], block: Block, shards: ShardReader | None = None
) -> PixelBlock:
    """Read vx and vy of a chunk-aligned block and pack their valid observations.

    Parameters
    ----------
    store : OpenStore
    velocities : sequence of Velocity
        vx and vy, of one shape (T, ny, nx).
    block : Block
    shards : ShardReader, optional
        Reads them where they lie in shards.

    Raises
    ------
    CubeError
        If the store cannot be reached or a chunk is damaged.
    """
    step = velocities[0].chunks[0]
    starts = range(0, velocities[0].shape[0], step)
    pieces: list[tuple[NDArray, ...]] = []
    limits = [one.packing.limits_of_velocity() for one in velocities]
    heads = list[str]()
    if shards is not None:
        chunks = shards.read(block)
    elif _is_plain(velocities):
        chunks = _fetch_plain(store, velocities, block, len(starts), heads)
    else:
        chunks = _fetch_any(velocities, block, starts)
    pixels = block.shape[0] * block.shape[1]
    for start, (vx, vy) in zip(starts, chunks, strict=True):
        if vx is None and vy is None:
            pieces.append(_nothing(pixels))
            continue
        # Where only one of the two chunks exists, its observations are counted as lacking a component.
        if vx is None:
            vx = np.full(vy.shape, limits[0][0])  # type: ignore[union-attr]
        if vy is None:
            vy = np.full(vx.shape, limits[1][0])
        pieces.append(gather_chunk(vx.reshape(len(vx), -1), vy.reshape(len(vy), -1), start, *limits))
    counts = np.stack([piece[0] for piece in pieces]) if pieces else np.zeros((1, pixels), dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0))))
    columns = []
    for k, dtype in ((1, np.int32), (2, np.float32), (3, np.float32)):
        column = np.empty(offsets[-1], dtype=dtype)
        for c, piece in enumerate(pieces):
            merge_chunks(counts, offsets, piece[k], column, c)
        columns.append(column)
    partial = sum((piece[4] for piece in pieces), start=np.zeros(pixels, dtype=np.int32))
    for column, one in zip(columns[1:], velocities, strict=True):
        if not one.packing.plain:
            column *= one.packing.scale
            column += one.packing.offset
    pair, vx, vy = columns
    return PixelBlock(block, offsets, pair, vx, vy, partial, heads="".join(heads))


def heads_of_block(store: OpenStore, velocities: Sequence[Velocity], block: Block) -> str:
    """Read so much of the chunks of a block that one can tell whether they have changed.

    Parameters
    ----------
    store : OpenStore
    velocities : sequence of Velocity
        vx and vy.
    block : Block

    Returns
    -------
    str
        What `PixelBlock.heads` is of this block; empty where its chunks are no files of their own.

    Raises
    ------
    CubeError
        If the store cannot be reached.
    """
    if not _is_plain(velocities):
        return ""
    keys = _keys(velocities, block)
    ends = store.fetch([part for key in keys for part in ((key, 0, _HEAD), (key, -_TAIL, None))])
    return _digest(zip(ends[::2], ends[1::2], strict=True))


def _digest(ends: Iterable[tuple[bytes | None, bytes | None]]) -> str:
    """Sum up first and last bytes of chunks; those that are not there count too."""
    found = 0
    for head, tail in ends:
        found = crc32(b"-" if head is None else head[:_HEAD], found)
        found = crc32(b"-" if tail is None else tail[-_TAIL:], found)
    return f"{found:08x}"


def _is_plain(velocities: Sequence[Velocity]) -> bool:
    return all(one.is_plain for one in velocities) and velocities[0].chunks == velocities[1].chunks


def _keys(velocities: Sequence[Velocity], block: Block) -> list[str]:
    """Name the chunks of a block, vx and vy in turns."""
    step, rows, cols = velocities[0].chunks
    count = -(-velocities[0].shape[0] // step)
    at = (block.row0 // rows, block.col0 // cols)
    return [one.key(t, *at) for t in range(count) for one in velocities]


def _fetch_plain(
    store: OpenStore, velocities: Sequence[Velocity], block: Block, n_chunks: int, heads: list[str]
) -> Iterator[tuple[NDArray | None, ...]]:
    """Fetch the chunks of a format 2 block as raw bytes, all at once, and decode them one by one.

    Going through zarr-python takes more than twice the CPU time of the decoding itself. `heads` gets their
    digest.
    """
    from numcodecs import Blosc, get_codec

    step = velocities[0].chunks[0]
    keys = _keys(velocities, block)
    packed = [_packed(one.array) for one in velocities]
    answers = store.fetch(keys)
    heads.append(_digest((data, data) for data in answers))
    shape = block.shape
    for t in range(n_chunks):
        pair: list[NDArray | None] = []
        for i, one in enumerate(velocities):
            data, answers[2 * t + i] = answers[2 * t + i], None
            if data is None:
                pair.append(None)
                continue
            compressor = one.array.metadata.compressor  # type: ignore[union-attr]
            check_chunk(data, packed[i], f"chunk {keys[2 * t + i]} of {store.url}")
            try:
                if isinstance(compressor, Blosc):
                    _check_length(data)
                raw = data if compressor is None else get_codec(compressor.get_config()).decode(data)
                values = one.of_cube(np.frombuffer(raw, dtype=one.array.dtype).reshape(one.array.chunks))
            except (RuntimeError, ValueError) as error:
                raise CubeError(
                    f"chunk {keys[2 * t + i]} of {store.url} is damaged ({error}):"
                    " use another copy of the datacube"
                ) from error
            layers = min(step, velocities[0].shape[0] - t * step)
            # Edge chunks are padded with anything, not with the missing value: cut before use.
            pair.append(one.packing.stored(values[:layers, : shape[0], : shape[1]]))
        yield tuple(pair)


def _fetch_any(
    velocities: Sequence[Velocity], block: Block, starts: range
) -> Iterator[tuple[NDArray | None, ...]]:
    """Read a block through zarr-python, whatever the format; all its parts at the same time."""

    def read(part: tuple[int, Velocity]) -> NDArray | None:
        t, one = part
        where = (slice(t, t + starts.step), slice(block.row0, block.row1), slice(block.col0, block.col1))
        values = one.of_cube(read_values(one.array, one.as_stored(where)))
        # A chunk that was never written reads as the fill value. Where nobody chose one that is 0, and no
        # glacier stands still in every layer: that chunk is missing.
        unwritten = one.zero_may_be_missing and not values.any()
        return None if unwritten else one.packing.stored(values)

    parts = [(t, one) for t in starts for one in velocities]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(read, parts)
        yield from zip(answers, answers, strict=True)


def _packed(array: zarr.Array) -> Packed:
    """Say what the chunks of an array of format 2 may unpack to."""
    compressor = array.metadata.compressor  # type: ignore[union-attr]
    size = int(np.prod(array.chunks)) * array.dtype.itemsize
    return Packed("" if compressor is None else str(compressor.codec_id), size)


def _check_length(data: bytes) -> None:
    """Refuse a Blosc chunk that was cut: decoding could read beyond its end."""
    if len(data) < 16:
        raise ValueError(f"it has {len(data)} bytes, less than a header")
    told = int.from_bytes(data[12:16], "little")
    if told != len(data):
        raise ValueError(f"it has {len(data):,} bytes instead of {told:,}")


def _nothing(pixels: int) -> tuple[NDArray, ...]:
    return (
        np.zeros(pixels, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.float32),
        np.empty(0, dtype=np.float32),
        np.zeros(pixels, dtype=np.int32),
    )
