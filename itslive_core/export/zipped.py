"""The store of an area as one file: a ZIP that Zarr and every archiver read, made while it is sent."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itslive_core.errors import OutputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["zip_store"]

_EPOCH_OF_ZIP = 315_532_800.0  # 1980-01-01: a ZIP knows no earlier time


class _Pieces(io.RawIOBase):
    """Takes what an archive writes until somebody fetches it; nothing can be sought in it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def fetch(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_store(
    store: str | os.PathLike[str],
    *,
    attributes: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> Iterator[bytes]:
    """Pack a Zarr store of format 2 into a ZIP, piece by piece; no more than one chunk is in memory.

    Its files are at the root of the archive, as ``zarr.storage.ZipStore`` has them, and stay as they are:
    chunks are compressed already.

    Parameters
    ----------
    store : path
        Of `itslive_core.run_glacier`.
    attributes : callable, optional
        Takes the attributes of the dataset and returns those that the archive shall have.

    Yields
    ------
    bytes

    Raises
    ------
    OutputError
        If there is no store.
    """
    store = Path(store)
    if not (store / ".zgroup").is_file():
        raise OutputError(f"there is no Zarr store {store}: name one that this program wrote")
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as archive:
        # Names of parts begin with a dot: what is only for a moment does not belong to the store.
        for path in sorted(one for one in store.rglob("*") if one.is_file() and one.suffix != ".partial"):
            name = path.relative_to(store).as_posix()
            content = path.read_bytes()
            if attributes is not None and name in (".zattrs", ".zmetadata"):
                content = _told(name, content, attributes)
            moment = time.gmtime(max(path.stat().st_mtime, _EPOCH_OF_ZIP))
            archive.writestr(zipfile.ZipInfo(name, moment[:6]), content)
            yield pieces.fetch()
    yield pieces.fetch()


def _told(name: str, content: bytes, attributes: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> bytes:
    """Write the attributes of a dataset anew."""
    known = json.loads(content)
    if name == ".zattrs":
        known = dict(attributes(known))
    else:
        known["metadata"][".zattrs"] = dict(attributes(known["metadata"][".zattrs"]))
    return json.dumps(known).encode()
