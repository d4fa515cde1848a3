"""Codecs that a datacube may use; all others are refused before anything is decoded.

A codec is code that the author of a cube chooses by its name: some run what is stored (pickle), and any
package that is installed may bring more. Those named here turn bytes into numbers or plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KNOWN_CODECS", "check_codecs"]

KNOWN_CODECS = frozenset(
    {
        # compression
        *("blosc", "bz2", "gzip", "lz4", "lzma", "pcodec", "zfpy", "zlib", "zstd"),
        # checksums
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),
        # numbers
        *("astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"),
        # text
        *("vlen-utf8", "vlen-bytes"),
        # layout, of format 3
        *("bytes", "endian", "sharding_indexed", "transpose"),
    }
)
"""Names of codecs, as formats 2 and 3 write them; format 3 may put ``numcodecs.`` before one."""


def check_codecs(metadata: Any, url: str) -> None:
    """Refuse an array or a group whose metadata name a codec that is not known.

    Parameters
    ----------
    metadata : Any
        The parsed JSON of a ``.zarray`` or ``zarr.json``; of a group, the metadata of all arrays in it are
        looked at. What is no such metadata passes: Zarr will say what is wrong with it.
    url : str
        The cube, for messages.

    Raises
    ------
    CubeError
        If there is such a codec.
    """
    unknown = sorted(set(_names_in_node(metadata)) - KNOWN_CODECS)
    if unknown:
        raise CubeError(
            f"{url} is stored with the codec {unknown[0]!r}, which is not among those that only hold data:"
            " use a copy of the datacube that is compressed with blosc, zstd or gzip"
        )


def _names_in_node(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    for key in ("compressor", "filters", "codecs"):
        yield from _names(node.get(key))
    consolidated = node.get("consolidated_metadata")
    members = consolidated.get("metadata") if isinstance(consolidated, dict) else None
    for member in members.values() if isinstance(members, dict) else ():
        yield from _names_in_node(member)


def _names(codecs: Any) -> Iterator[str]:
    """Name codecs, and those inside the configuration of others."""
    for codec in codecs if isinstance(codecs, list) else [codecs]:
        if codec is None:
            continue
        if not isinstance(codec, dict):
            yield _plain(codec)
            continue
        # Format 2 says "id", format 3 "name"; what has both is asked for both.
        yield from (_plain(codec[key]) for key in ("id", "name") if key in codec)
        configuration = codec.get("configuration")
        if isinstance(configuration, dict):
            for key in ("codecs", "index_codecs"):
                yield from _names(configuration.get(key))


def _plain(name: Any) -> str:
    return str(name).removeprefix("numcodecs.")
