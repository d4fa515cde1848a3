"""How large the chunks of a cube are when they are unpacked: looked at before any memory is used for them.

Some hundred bytes can unpack to gigabytes. An array says how many values a chunk has; what would unpack to
more is refused. Chunks inside shards of format 3 are not looked at: only the limit of a whole chunk holds.
"""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LARGEST_CHUNK", "Packed", "check_chunk", "packed_of"]

LARGEST_CHUNK = 1_000_000_000
"""Bytes of a chunk in memory; those of ITS_LIVE have 4 million."""

_WIDEST = 16
"""Bytes that a value may have on its way: filters may store it in another type."""
_SLACK = 1 << 16
_STEP = 1 << 20
_COMPRESSIONS = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "pcodec", "zfpy", "zlib", "zstd"})


class Packed(NamedTuple):
    """What is known of the chunks of an array.

    Parameters
    ----------
    codec : str
        Name of its compression; empty for none.
    limit : int
        Bytes that a chunk may unpack to.
    """

    codec: str
    limit: int


def packed_of(metadata: Any, url: str) -> Packed | None:
    """Read from its metadata how an array is packed; None of what is no array.

    Parameters
    ----------
    metadata : Any
        The parsed JSON of a ``.zarray`` or ``zarr.json``.
    url : str
        The cube, for messages.

    Raises
    ------
    CubeError
        If a chunk is larger than `LARGEST_CHUNK`, or compressed more than once.
    """
    if not isinstance(metadata, dict):
        return None
    if "chunks" in metadata:
        shape, kind = metadata["chunks"], metadata.get("dtype")
        codecs = [metadata.get("compressor"), *(metadata.get("filters") or [])]
    elif "chunk_grid" in metadata:
        shape = metadata["chunk_grid"].get("configuration", {}).get("chunk_shape", [])
        kind, codecs = metadata.get("data_type"), metadata.get("codecs") or []
    else:
        return None
    try:
        values, width = math.prod(max(1, int(size)) for size in shape), _width(kind)
    except (TypeError, ValueError):
        return None  # Zarr will say what is wrong with it
    if values * width > LARGEST_CHUNK:
        raise CubeError(
            f"{url} has chunks of {values * width / 1e9:.1f} GB, more than this program unpacks"
            f" ({LARGEST_CHUNK / 1e9:.0f} GB): use a copy of the datacube with smaller chunks"
        )
    names = [name for codec in codecs if (name := _name(codec)) in _COMPRESSIONS]
    if len(names) > 1:
        raise CubeError(
            f"{url} has an array that is compressed twice: use a copy that is compressed with blosc or zstd"
        )
    return Packed(names[0] if names else "", values * max(width, _WIDEST) + _SLACK)


def check_chunk(data: bytes, packed: Packed, name: str) -> None:
    """Refuse a chunk that would unpack to more than its array holds.

    Parameters
    ----------
    data : bytes
        As it is stored.
    packed : Packed
    name : str
        Of the chunk and the cube, for the message.

    Raises
    ------
    CubeError
    """
    size = _SIZES.get(packed.codec)
    if size is not None and size(data, packed.limit) > packed.limit:
        raise CubeError(f"{name} unpacks to more than its array holds: use another copy of the datacube")


def _name(codec: Any) -> str:
    if isinstance(codec, dict):
        codec = codec.get("id", codec.get("name"))
    return str(codec).removeprefix("numcodecs.")


def _width(kind: Any) -> int:
    """Bytes of a value; of one whose length varies, as many as a name has."""
    try:
        return max(1, np.dtype(kind).itemsize) if np.dtype(kind) != object else 64
    except TypeError:
        return 64


def _of_blosc(data: bytes, _limit: int) -> int:
    return int.from_bytes(data[4:8], "little") if len(data) >= 16 else 0


def _of_lz4(data: bytes, _limit: int) -> int:
    return int.from_bytes(data[:4], "little")


def _of_zstd(data: bytes, limit: int) -> int:
    """Read the size that the header of a frame gives (RFC 8878, 3.1.1.1); without one it is too large."""
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        return 0  # damaged; the decoder says so
    described = data[4]
    single, width = bool(described & 0x20), (0, 2, 4, 8)[described >> 6]
    width = width or (1 if single else 0)
    if width == 0:
        return limit + 1
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[described & 3]
    return int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)


def _unpacking(make: Callable[[], Any]) -> Callable[[bytes, int], int]:
    """Count by unpacking piece by piece, and keeping none of it."""

    def size(data: bytes, limit: int) -> int:
        decoder, count, rest = make(), 0, data
        try:
            while count <= limit and not decoder.eof:
                piece = decoder.decompress(rest, _STEP)
                count += len(piece)
                rest = getattr(decoder, "unconsumed_tail", b"")
                if not piece and not rest:
                    break
        except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
            return 0  # damaged; the decoder says so
        return count

    return size


_SIZES: dict[str, Callable[[bytes, int], int]] = {
    "blosc": _of_blosc,
    "lz4": _of_lz4,
    "zstd": _of_zstd,
    "zlib": _unpacking(lambda: zlib.decompressobj(zlib.MAX_WBITS | 32)),
    "gzip": _unpacking(lambda: zlib.decompressobj(zlib.MAX_WBITS | 32)),
    "bz2": _unpacking(bz2.BZ2Decompressor),
    "lzma": _unpacking(lambda: lzma.LZMADecompressor(memlimit=200_000_000)),
}
