"""Opening a Zarr store wherever it lies, with as few requests as the format allows.

The consolidated metadata of a cube are fetched once and answer every later question about arrays and
attributes, so that opening costs one request; chunks of the big arrays are fetched as raw bytes, many at a
time. Zarr's own reader serves everything else, through the same connections and with the same patience.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.errors import ContainsArrayError
from zarr.storage import MemoryStore, WrapperStore

from itslive_core.cubes.files import (
    CONNECTIONS,
    METADATA_NAMES,
    USUAL_PATIENCE,
    Files,
    default_patience,
    first_line,
    words_of_damage,
)
from itslive_core.cubes.foreign_files import (
    opened_file,
    refuse_remote_file,
    refused_folder,
)
from itslive_core.cubes.formats import check_document, find_metadata
from itslive_core.cubes.icechunk_files import (
    IcechunkFiles,
    Version,
    is_repository,
    open_repository,
    split_version,
)
from itslive_core.cubes.unpacking import Packed, check_chunk, packed_of
from itslive_core.errors import CubeError
from itslive_core.support.reach import HostError, check_url, guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

    from itslive_core.cubes.files import Part

__all__ = ["OpenStore", "open_store"]

_PROTOCOLS = ("https://", "http://", "s3://", "file://")
_NO_ZARR = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    FileNotFoundError,
    RecursionError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)
"""What Zarr raises for metadata that are damaged, or of another kind."""


class _CubeStore(WrapperStore["Store"]):
    """A store as zarr wants it, which reads through `Files`.

    Metadata documents that are in hand are not asked for again.
    """

    def __init__(
        self,
        store: Store,
        files: Files,
        documents: dict[str, bytes | None],
        complete: bool,
        ahead: dict[str, bytes | None] | None = None,
    ) -> None:
        super().__init__(store)
        self._files = files
        self._documents = documents
        self._complete = complete
        self._ahead: dict[str, bytes | None] = {} if ahead is None else ahead
        self._packed: dict[str, Packed | None] = {}
        for key, document in documents.items():
            if document is not None:
                self._note(key, document)

    def fetch_ahead(self, keys: Sequence[str]) -> None:
        """Fetch files at the same time that will be asked for one by one, and once each."""
        self._ahead.update(zip(keys, self._files.fetch(keys), strict=True))

    def _with_store(self, store: Store) -> _CubeStore:
        return type(self)(store, self._files, self._documents, self._complete, self._ahead)

    def _note(self, key: str, document: bytes) -> None:
        """Remember how the arrays that a document describes are packed."""
        folder, _, name = key.rpartition("/")
        if name not in (".zarray", "zarr.json"):
            return
        metadata = json.loads(document)
        self._packed[folder] = packed_of(metadata, self._files.url)
        members = metadata.get("consolidated_metadata") if isinstance(metadata, dict) else None
        members = members.get("metadata") if isinstance(members, dict) else None
        for path, member in members.items() if isinstance(members, dict) else ():
            self._packed[f"{folder}/{path}".strip("/")] = packed_of(member, self._files.url)

    def _check(self, key: str, content: bytes, *, whole: bool) -> None:
        """Look at a chunk before it is unpacked."""
        folder = key.partition("/c/")[0] if "/c/" in key else key.rpartition("/")[0]
        while folder and folder not in self._packed:  # chunks may lie in folders of their own
            folder = folder.rpartition("/")[0]
        packed = self._packed.get(folder)
        if whole and packed is not None:
            check_chunk(content, packed, f"chunk {key} of {self._files.url}")

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        is_metadata = key.rsplit("/", 1)[-1] in METADATA_NAMES
        if is_metadata and (self._complete or key in self._documents):
            content = self._documents.get(key)
        elif byte_range is None and key in self._ahead:
            content = self._ahead.pop(key)
            if content is not None:
                self._check(key, content, whole=True)
        else:
            # The synchronous file system has an event loop of its own, and connections that belong to it.
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(
                self._files.pool, self._files.read, key, *_limits(byte_range)
            )
            if is_metadata:
                if content is not None:
                    check_document(content, self._files.url)
                    self._note(key, content)
                self._documents[key] = content
            elif content is not None:
                self._check(key, content, whole=byte_range is None)
        return None if content is None else prototype.buffer.from_bytes(content)


def _limits(byte_range: ByteRequest | None) -> tuple[int | None, int | None]:
    match byte_range:
        case RangeByteRequest(start, end):
            return start, end
        case OffsetByteRequest(offset):
            return offset, None
        case SuffixByteRequest(suffix):
            return -suffix, None
        case _:
            return None, None


@dataclass(frozen=True, eq=False)
class OpenStore:
    """An open Zarr group, and the raw bytes of its chunks.

    Parameters
    ----------
    url : str
        The path or URL as it was given.
    group : zarr.Group
    files : Files
        What lies below the group.
    storage_options, patience
        As they were given, to open the store again elsewhere.
    store : _CubeStore
        What the group reads through.
    written : str, optional
        When the snapshot of a repository was made.
    """

    url: str
    group: zarr.Group
    files: Files
    storage_options: Mapping[str, Any]
    patience: float
    store: _CubeStore
    written: str | None = None

    def fetch_ahead(self, arrays: Iterable[zarr.Array]) -> None:
        """Fetch all chunks of some small arrays in one round: each will be read once, as a whole.

        Parameters
        ----------
        arrays : iterable of zarr.Array
            Below the group.

        Raises
        ------
        CubeError
            If the store cannot be reached.
        """
        if self.files.local:
            return
        keys = []
        for array in arrays:
            sizes = array.shards or array.chunks
            places = product(*(range(-(-n // size)) for n, size in zip(array.shape, sizes)))
            keys += [f"{array.path}/{array.metadata.encode_chunk_key(place)}" for place in places]
        self.store.fetch_ahead(keys)

    def fetch(self, keys: Sequence[str | Part]) -> list[bytes | None]:
        """Fetch chunks, or ranges of bytes, concurrently.

        Parameters
        ----------
        keys : sequence of str or Part
            Keys below the group, such as ``vx/0.3.4``; or keys with the ends of a range.

        Returns
        -------
        list of bytes or None
            None where the chunk does not exist.

        Raises
        ------
        CubeError
            If the store cannot be reached after several attempts.
        """
        return self.files.fetch(keys)


def open_store(
    path_or_url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    patience: float | None = None,
) -> OpenStore:
    """Open a Zarr group of format 2 or 3, local or remote.

    Parameters
    ----------
    path_or_url : str or path
        A folder (``file://`` too), a zip archive of one, a NetCDF file, or an address: ``https://``,
        ``s3://``, ``http://``; an icechunk repository perhaps with ``#branch=``, ``#tag=`` or ``#snapshot=``.
        Protocols that read other things on the way (references, archives, caches) are refused: what they read
        is up to the cube.
    storage_options : mapping, optional
        Passed to fsspec; for ``s3://`` the default is anonymous access in us-west-2.
    patience : float, optional
        Seconds after which a server that does not answer is given up; by default what ``ITSLIVE_PATIENCE``
        names, else 45.

    Returns
    -------
    OpenStore

    Raises
    ------
    CubeError
        If there is nothing, no Zarr group, or no way to reach it.
    """
    url, version = split_version(os.fspath(path_or_url).rstrip("/"))
    if not url or f"{url}//" in _PROTOCOLS:
        raise CubeError("no datacube was named: give a path or a URL")
    if "::" in url or ("://" in url and not url.startswith(_PROTOCOLS)):
        raise CubeError(f"cannot open {url}: a datacube is a folder, or an address with https:// or s3://")
    if "://" in url and not url.startswith("file://"):
        refuse_remote_file(url)
        try:
            check_url(url)
        except HostError as error:
            raise CubeError(str(error)) from error
    patience = default_patience() if patience is None else patience
    options = _options(url, storage_options, patience)
    try:
        if "://" in url and not url.startswith("file://"):
            filesystem, root = url_to_fs(url, **options)
            # It would try again on its own, five times at each of two levels.
            if hasattr(filesystem, "retries"):
                filesystem.retries = 1
        else:  # fsspec would look for a protocol in some names of folders
            filesystem = LocalFileSystem(**options)
            root = str(Path(url.removeprefix("file://")).expanduser().absolute())
    except (ValueError, ImportError, TypeError, RuntimeError) as error:
        raise CubeError(f"cannot open {url}: {first_line(error)}") from error
    files = Files(url, filesystem, root, patience)
    if files.local and not _is_folder(root):
        files = Files(url, opened_file(Path(root), url), "", patience)
    snapshot: IcechunkFiles | None = None
    # Never asked: all that is read is read through the files above.
    base: Store = MemoryStore(read_only=True)
    try:
        found = None if version else find_metadata(files)
        if found is None and is_repository(files):
            snapshot = open_repository(files, url, version, options)
            url = f"{url}#snapshot={snapshot.snapshot}"
            files = Files(url, snapshot, "", patience)
            found = find_metadata(files)
        if found is None:
            raise _no_cube(files, version)
        zarr_format, documents, complete = found
        store = _CubeStore(base, files, documents, complete)
        group = zarr.open_group(
            store, mode="r", zarr_format=zarr_format, use_consolidated=None if zarr_format == 3 else False
        )
    except _NO_ZARR as error:
        if isinstance(error, ContainsArrayError):
            raise CubeError(f"{url} is a single Zarr array: name the folder that holds vx and vy") from error
        raise CubeError(f"{url} is not a readable Zarr datacube: {words_of_damage(error)}") from error
    written = None if snapshot is None else snapshot.written
    return OpenStore(url, group, files, dict(storage_options or {}), patience, store, written)


def _is_folder(root: str) -> bool:
    try:
        return Path(root).is_dir()
    except (OSError, ValueError):  # a name that is too long, or with a zero byte in it
        return False


def _no_cube(files: Files, version: Version | None) -> CubeError:
    if version is not None:
        return CubeError(
            f"{files.url} is no icechunk repository: leave out #{version.kind}={version.name}, or check the"
            " address"
        )
    if files.local and files.root:
        return refused_folder(Path(files.root), files.url)
    return CubeError(f"there is no Zarr datacube at {files.url}: check the address")


def _options(url: str, given: Mapping[str, Any] | None, patience: float = USUAL_PATIENCE) -> dict[str, Any]:
    """Add what ITS_LIVE's bucket needs to the options of the caller, who has the last word."""
    options = dict(given or {})
    silence, connect = patience / 3, min(10.0, patience / 3)
    if url.startswith("s3://"):
        if not options.keys() & {"key", "secret", "token", "profile"}:
            options.setdefault("anon", True)
        client = dict(options.get("client_kwargs", {}))
        client.setdefault("region_name", "us-west-2")
        options["client_kwargs"] = client
        # With more, s3fs asks for the size of every file before it reads it: twice the requests.
        options.setdefault("max_concurrency", 1)
        config = {
            "connect_timeout": connect,
            "read_timeout": silence,
            "max_pool_connections": CONNECTIONS,
            "retries": {"total_max_attempts": 1},  # `Files` does that, and knows when to stop
        }
        options["config_kwargs"] = {**config, **options.get("config_kwargs", {})}
    elif url.startswith(("http://", "https://")) and "client_kwargs" not in options:
        import aiohttp

        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=300, sock_connect=connect, sock_read=silence)
        }
    return guarded(options) if url.startswith(("http://", "https://")) else options
