"""Chunks inside the shards of Zarr format 3: the index of a shard is read once, its chunks in few ranges.

Zarr's own reader fetches the index again for every block, and each chunk by itself.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from itslive_core.cubes.unpacking import Packed, check_chunk
from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import zarr
    from numpy.typing import NDArray

    from itslive_core.cubes.files import Part
    from itslive_core.cubes.stores import OpenStore
    from itslive_core.cubes.velocity import Velocity
    from itslive_core.observations.blocks import Block

__all__ = ["ShardReader"]

_NOTHING = 2**64 - 1
_GAP = 65_536
"""Bytes between two ranges that are fetched rather than asked for by themselves."""
_TAIL = 524_288
"""Bytes from the end of a shard that are fetched with its index: a small shard comes as a whole.

The six tails of a pixel, 3 MB, take about as long as the round to a distant server that they may spare."""
_KEPT = 64_000_000
"""Bytes of small shards that are kept for their other chunks."""
_CHECKSUM = 4

Place = tuple[int, int]


class _Shard(NamedTuple):
    """Where the chunks of a shard are: offsets and sizes, shape (chunks, 2); and all of it if it is small."""

    where: NDArray[np.uint64]
    content: bytes | None


@dataclass(eq=False)
class ShardReader:
    """Reads blocks of vx and vy that lie in shards; safe to share between threads.

    Parameters
    ----------
    store : OpenStore
    velocities : sequence of Velocity
        vx and vy, of one layout.
    """

    store: OpenStore
    velocities: Sequence[Velocity]
    _shards: dict[str, _Shard | None] = field(default_factory=dict)
    _kept: dict[str, int] = field(default_factory=dict)
    _ahead: dict[Place, dict[Place, list[bytes | None]]] = field(default_factory=dict)
    _expected: dict[Place, set[Place]] = field(default_factory=dict)
    _locks: dict[Place, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, store: OpenStore, velocities: Sequence[Velocity]) -> ShardReader | None:
        """Make a reader; None if the arrays have no shards, or such that only Zarr knows."""
        first, second = velocities
        alike = first.chunks == second.chunks and first.order == second.order
        same = first.array.shards == second.array.shards
        return cls(store, velocities) if alike and same and all(map(_is_known, velocities)) else None

    def expect(self, blocks: Iterable[Block]) -> None:
        """Take note of blocks that will be read: those of one shard then come together."""
        with self._lock:
            for block in blocks:
                place = self._place(block)
                self._expected.setdefault(self._of_shard(place), set()).add(place)

    def read(self, block: Block) -> Iterator[tuple[NDArray | None, ...]]:
        """Give vx and vy of a block as they are stored, chunk by chunk in time; None where there is none."""
        place = self._place(block)
        shard = self._of_shard(place)
        with self._lock:
            lock = self._locks.setdefault(shard, threading.Lock())
        with lock:
            ready = self._ahead.setdefault(shard, {})
            if place not in ready:
                with self._lock:
                    wanted = self._expected.pop(shard, set()) | {place}
                ready.update(self._fetch(shard, sorted(wanted)))
            found = ready.pop(place)
        layers, shape = self.velocities[0].shape[0], block.shape
        step = self.velocities[0].chunks[0]
        for t in range(-(-layers // step)):
            pair = []
            for data, one in zip(found[2 * t : 2 * t + 2], self.velocities, strict=True):
                values = None if data is None else self._decoded(one, data, t, place)
                if values is not None:
                    values = one.packing.stored(
                        values[: min(step, layers - t * step), : shape[0], : shape[1]]
                    )
                pair.append(values)
            yield tuple(pair)

    def _place(self, block: Block) -> Place:
        _, rows, cols = self.velocities[0].chunks
        return block.row0 // rows, block.col0 // cols

    @property
    def _inside(self) -> tuple[int, int, int]:
        """Chunks of a shard along time, y and x."""
        one = self.velocities[0]
        sizes = one.of_axes(one.array.shards)
        return sizes[0] // one.chunks[0], sizes[1] // one.chunks[1], sizes[2] // one.chunks[2]

    def _of_shard(self, place: Place) -> Place:
        _, rows, cols = self._inside
        return place[0] // rows, place[1] // cols

    def _fetch(self, shard: Place, wanted: Sequence[Place]) -> dict[Place, list[bytes | None]]:
        """Fetch the chunks of all layers at some places of one shard, of vx and vy by turns."""
        per_time, rows, cols = self._inside
        steps = -(-self.velocities[0].shape[0] // self.velocities[0].chunks[0])
        keys = {
            (t, v): one.key_of_shard(t, *shard)
            for t in range(-(-steps // per_time))
            for v, one in enumerate(self.velocities)
        }
        # Where most of a shard is wanted, it comes as a whole, without a look at its index before.
        self._load_indexes(list(keys.values()), whole=2 * len(wanted) >= rows * cols)
        ranges: dict[tuple[int, int, Place], tuple[str, int, int] | None] = {}
        for t, v, place in product(range(steps), range(2), wanted):
            key = keys[t // per_time, v]
            known = self._shards[key]
            number = self.velocities[v].number_in_shard(
                (t % per_time, place[0] % rows, place[1] % cols), self._inside
            )
            begin, size = (_NOTHING, 0) if known is None else map(int, known.where[number])
            ranges[t, v, place] = None if begin == _NOTHING else (key, begin, begin + size)
        pieces = self._fetch_ranges([one for one in ranges.values() if one is not None])
        # What was expected is taken out of a shard now, and large ones are not kept.
        self._keep(list(keys.values()), most=_TAIL if len(wanted) == 1 else 0)
        return {
            place: [
                None if (one := ranges[t, v, place]) is None else pieces[one]
                for t in range(steps)
                for v in range(2)
            ]
            for place in wanted
        }

    def _keep(self, keys: Sequence[str], *, most: int) -> None:
        """Keep what is in hand of shards up to a size, and forget what is in hand of older ones."""
        with self._lock:
            for key in keys:
                known = self._shards[key]
                if known is not None and known.content is not None:
                    self._kept[key] = len(known.content)
            large = [key for key in keys if self._kept.get(key, 0) > most]
            while large or sum(self._kept.values()) > _KEPT:
                key = large.pop() if large else next(iter(self._kept))
                del self._kept[key]
                known = self._shards[key]
                self._shards[key] = known and known._replace(content=None)

    def _load_indexes(self, keys: Sequence[str], *, whole: bool) -> None:
        """Read the indexes of shards that were not seen yet, with all of those that are small or wanted."""
        missing = [
            key
            for key in keys
            if key not in self._shards
            or (whole and (known := self._shards[key]) is not None and known.content is None)
        ]
        size = 16 * int(np.prod(self._inside)) + _CHECKSUM
        tail = max(size, _TAIL)
        parts: list[Part] = [(key, None, None) if whole else (key, -tail, None) for key in missing]
        for key, answer in zip(missing, self.store.fetch(parts), strict=True):
            if answer is None:
                self._shards[key] = None
                continue
            if len(answer) < size or _checksum(answer[-size:-_CHECKSUM]) != answer[-_CHECKSUM:]:
                raise CubeError(
                    f"the index of the shard {key} of {self.store.url} is damaged:"
                    " use another copy of the datacube"
                )
            index = np.frombuffer(answer[-size:-_CHECKSUM], dtype="<u8").reshape(-1, 2)
            ends = index.sum(axis=1)[index[:, 0] != _NOTHING]
            # A server may give less than was asked for.
            all_there = (whole or len(answer) < tail) and len(answer) - size >= ends.max(initial=0)
            self._shards[key] = _Shard(index, answer if all_there else None)

    def _fetch_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        """Fetch ranges of shards, those beside each other in one."""
        found: dict[tuple[str, int, int], bytes] = {}
        merged: list[tuple[str, int, int]] = []
        for key, begin, end in sorted(set(ranges)):
            known = self._shards[key]
            if known is not None and known.content is not None:
                found[key, begin, end] = known.content[begin:end]
            elif merged and merged[-1][0] == key and begin <= merged[-1][2] + _GAP:
                merged[-1] = (key, merged[-1][1], max(end, merged[-1][2]))
            else:
                merged.append((key, begin, end))
        answers = self.store.fetch(merged) if merged else []
        for one, answer in zip(merged, answers, strict=True):
            if answer is None or len(answer) != one[2] - one[1]:
                raise CubeError(
                    f"the shard {one[0]} of {self.store.url} does not hold what its index names:"
                    " try again later, or use another copy of the datacube"
                )
        at = 0
        for key, begin, end in sorted(set(ranges) - set(found)):
            while not (merged[at][0] == key and begin >= merged[at][1] and end <= merged[at][2]):
                at += 1
            answer = answers[at] or b""
            found[key, begin, end] = answer[begin - merged[at][1] : end - merged[at][1]]
        return found

    def _decoded(self, one: Velocity, data: bytes, t: int, place: Place) -> NDArray:
        try:
            dtype, raw = one.array.dtype, data
            for codec in reversed(_codecs(one.array)[1:]):
                size = 2 * int(np.prod(one.array.chunks)) * dtype.itemsize
                kind = str(codec.to_dict()["name"]).removeprefix("numcodecs.")
                check_chunk(raw, Packed(kind, size), f"chunk {(t, *place)} of {self.store.url}")
                raw = _decode(codec, raw)
            endian = getattr(_codecs(one.array)[0], "endian", None)
            if endian is not None:
                dtype = dtype.newbyteorder("<" if endian.value == "little" else ">")
            return one.of_cube(np.frombuffer(raw, dtype=dtype).reshape(one.array.chunks))
        except (RuntimeError, ValueError) as error:
            raise CubeError(
                f"chunk {(t, *place)} of {one.array.basename} in {self.store.url} is damaged ({error}):"
                " use another copy of the datacube"
            ) from error


def _codecs(array: zarr.Array) -> Sequence[Any]:
    """Give the codecs of the chunks inside the shards."""
    codecs: Sequence[Any] = array.metadata.codecs[0].codecs  # type: ignore[union-attr]
    return codecs


def _is_known(one: Velocity) -> bool:
    """Tell whether the shards of an array are laid out as those that are read here."""
    from zarr.codecs import BytesCodec, ShardingCodec

    array = one.array
    if array.metadata.zarr_format != 3 or array.shards is None or len(array.metadata.codecs) != 1:
        return False
    sharding = array.metadata.codecs[0]
    if not isinstance(sharding, ShardingCodec):
        return False
    index = [type(codec).__name__ for codec in sharding.index_codecs]
    return (
        index == ["BytesCodec", "Crc32cCodec"]
        and getattr(sharding.index_codecs[0], "endian", None) is not None
        and sharding.index_codecs[0].endian.value == "little"  # type: ignore[union-attr]
        and sharding.index_location.value == "end"
        and isinstance(sharding.codecs[0], BytesCodec)
        and all(type(codec).__name__ in _DECODERS for codec in sharding.codecs[1:])
    )


def _decode(codec: Any, data: bytes) -> bytes:
    decoded: bytes = _DECODERS[type(codec).__name__](data)
    return decoded


def _blosc(data: bytes) -> Any:
    from numcodecs import blosc

    if len(data) < 16 or int.from_bytes(data[12:16], "little") != len(data):
        raise ValueError("it is cut")  # decoding could read beyond its end
    return blosc.decompress(data)


def _zstd(data: bytes) -> Any:
    from numcodecs import zstd

    return zstd.decompress(data)


def _gzip(data: bytes) -> Any:
    import gzip
    import zlib

    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def _checked(data: bytes) -> bytes:
    if len(data) < _CHECKSUM or _checksum(data[:-_CHECKSUM]) != data[-_CHECKSUM:]:
        raise ValueError("its checksum is another")
    return data[:-_CHECKSUM]


def _checksum(data: bytes) -> bytes:
    from google_crc32c import value

    return struct.pack("<I", value(data))


_DECODERS = {"BloscCodec": _blosc, "ZstdCodec": _zstd, "GzipCodec": _gzip, "Crc32cCodec": _checked}
