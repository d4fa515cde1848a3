"""A Zarr store inside a zip archive, read where it is."""

from __future__ import annotations

import posixpath
import threading
import zipfile
import zlib
from typing import TYPE_CHECKING

from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ZipFiles"]

_LARGEST = 4_000_000_000
"""Bytes of one chunk that no datacube has, and a trap may."""


class ZipFiles:
    """The files of a zip archive below the folder that holds the Zarr group, as `Files` wants them.

    Parameters
    ----------
    path : Path
        The archive.
    url : str
        What its user called it, for messages.

    Raises
    ------
    CubeError
        If it cannot be read, or holds no Zarr group, or more than one.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        try:
            self._archive = zipfile.ZipFile(path)
            self._members = {_plain(one.filename): one for one in self._archive.infolist()}
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise CubeError(f"{url} cannot be unpacked ({error}): pack it again") from error
        ends = (".zgroup", "zarr.json", ".zmetadata")
        folders = {name.rpartition("/")[0] for name in self._members if name.rpartition("/")[2] in ends}
        top = {one for one in folders if not any(_is_inside(one, other) for other in folders if other != one)}
        if len(top) != 1:
            found = "several Zarr stores" if top else "no Zarr store"
            raise CubeError(f"{url} is an archive with {found}: pack one Zarr datacube, or unpack it")
        self._folder = top.pop()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Read a file, or a range of it."""
        name = f"{self._folder}/{path.lstrip('/')}".lstrip("/")
        if name not in self._members:
            raise FileNotFoundError(name)
        if self._members[name].file_size > _LARGEST:
            raise CubeError(f"{name} of {self._url} unpacks to more than {_LARGEST / 1e9:.0f} GB: unpack it")
        try:
            with self._lock:
                content = self._archive.read(self._members[name].filename)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise CubeError(f"{name} of {self._url} cannot be unpacked ({error}): pack it again") from error
        return content[start:end]


def _plain(name: str) -> str:
    """Write the name of a member as all write it: some archives have backslashes, or begin at the root."""
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/")


def _is_inside(folder: str, other: str) -> bool:
    return other == "" or folder.startswith(f"{other}/")
