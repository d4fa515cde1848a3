"""Opening a Zarr store wherever it lies, with as few requests as the format allows.

The consolidated metadata of a cube are fetched once and answer every later question about arrays and
attributes, so that opening costs one request; chunks of the big arrays are fetched as raw bytes, many at a
time. Zarr's own reader serves everything else, through the same connections and with the same patience.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec
import zarr
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from itslive_core.cubes.codecs import check_codecs
from itslive_core.cubes.unpacking import Packed, check_chunk, packed_of
from itslive_core.errors import CubeError
from itslive_core.support.reach import HostError, check_url, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["OpenStore", "open_store"]

T = TypeVar("T")

_PROTOCOLS = ("https://", "http://", "s3://", "file://")
_METADATA_NAMES = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")
_ATTEMPTS = 4
_PATIENCE = 40.0
"""Seconds after which a request that failed is not tried again."""
_CONNECTIONS = 32
_MISSING = (FileNotFoundError, NotADirectoryError, KeyError)


@dataclass(frozen=True, eq=False)
class _Files:
    """The files below a folder of any file system; requests that fail are tried again.

    Parameters
    ----------
    url : str
        The folder as its user named it, for messages.
    filesystem : fsspec.AbstractFileSystem
    root : str
        The folder as the file system names it.
    """

    url: str
    filesystem: Any
    root: str
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_CONNECTIONS))

    @property
    def local(self) -> bool:
        """Whether no network is involved."""
        return "://" not in self.url or self.url.startswith("file://")

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Read a file or a range of it; None if there is no such file."""

        def attempt() -> bytes | None:
            try:
                content: bytes = self.filesystem.cat_file(f"{self.root}/{key}", start=start, end=end)
            except _MISSING:
                return None
            return content

        return self._patiently(attempt)

    def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read several files at the same time."""
        paths = {key: f"{self.root}/{key}" for key in keys}
        found: dict[str, bytes | None] = {}

        def attempt() -> None:
            todo = {path: key for key, path in paths.items() if key not in found}
            answers = self.filesystem.cat(list(todo), on_error="return") if todo else {}
            failure: BaseException | None = None
            for path, answer in answers.items():
                if isinstance(answer, _MISSING):
                    found[todo[path]] = None
                elif isinstance(answer, BaseException):
                    failure = answer
                else:
                    found[todo[path]] = answer
            if failure is not None:
                raise failure

        self._patiently(attempt)
        return [found.get(key) for key in keys]

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Try a request a few times with growing, jittered pauses."""
        passing = _network_errors(self.url)
        began = time.monotonic()
        for number in range(1, _ATTEMPTS + 1):
            try:
                return attempt()
            except HostError as error:
                raise CubeError(str(error)) from error
            except PermissionError as error:
                raise CubeError(
                    f"access to {self.url} was denied: check the address and your permissions"
                ) from error
            except passing as error:
                words = _first_line(error)
                status = getattr(error, "status", None)
                if status in (401, 403):
                    raise CubeError(
                        f"access to {self.url} was denied: check the address and your permissions"
                    ) from error
                if self.local:
                    raise CubeError(f"cannot read {self.url} ({words}): check the disk") from error
                hopeless = status is not None and 400 <= status < 500 and status not in (408, 429)
                if hopeless or number == _ATTEMPTS or time.monotonic() - began > _PATIENCE:
                    raise CubeError(
                        f"cannot reach {self.url} ({words}): check the network and the address,"
                        " then try again"
                    ) from error
            time.sleep(0.3 * 2 ** (number - 1) * (0.5 + random.random()))  # noqa: S311 - only jitter
        raise AssertionError("unreachable")


class _CubeStore(WrapperStore["Store"]):
    """A store as zarr wants it, which reads through `_Files`.

    Metadata documents that are in hand are not asked for again.
    """

    def __init__(
        self, store: Store, files: _Files, documents: dict[str, bytes | None], complete: bool
    ) -> None:
        super().__init__(store)
        self._files = files
        self._documents = documents
        self._complete = complete
        self._packed: dict[str, Packed | None] = {}
        for key, document in documents.items():
            if document is not None:
                self._note(key, document)

    def _with_store(self, store: Store) -> _CubeStore:
        return type(self)(store, self._files, self._documents, self._complete)

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
        is_metadata = key.rsplit("/", 1)[-1] in _METADATA_NAMES
        if is_metadata and (self._complete or key in self._documents):
            content = self._documents.get(key)
        elif self._files.local:
            buffer = await self._store.get(key, prototype, byte_range)
            if buffer is not None:
                content = buffer.to_bytes()
                if is_metadata:
                    _check_document(content, self._files.url)
                    self._note(key, content)
                else:
                    self._check(key, content, whole=byte_range is None)
            return buffer
        else:
            # The synchronous file system has an event loop of its own, and connections that belong to it.
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(
                self._files.pool, self._files.read, key, *_limits(byte_range)
            )
            if is_metadata:
                if content is not None:
                    _check_document(content, self._files.url)
                    self._note(key, content)
                self._documents[key] = content
            elif content is not None:
                self._check(key, content, whole=byte_range is None)
        return None if content is None else prototype.buffer.from_bytes(content)


def _check_document(content: bytes, url: str) -> None:
    """Look at the codecs of metadata before Zarr does."""
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata are damaged ({_first_line(error)})") from error
    check_codecs(metadata, url)


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
    files : _Files
        What lies below the group.
    storage_options : mapping
        As they were given, to open the store again elsewhere.
    """

    url: str
    group: zarr.Group
    files: _Files
    storage_options: Mapping[str, Any]

    def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        """Fetch chunks concurrently.

        Parameters
        ----------
        keys : sequence of str
            Keys below the group, such as ``vx/0.3.4``.

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
    path_or_url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> OpenStore:
    """Open a Zarr group of format 2 or 3, local or remote.

    Parameters
    ----------
    path_or_url : str or path
        A folder (``file://`` too), or an address: ``https://``, ``s3://``, ``http://``. Protocols that read
        other things on the way (references, archives, caches) are refused: what they read is up to the cube.
    storage_options : mapping, optional
        Passed to fsspec; for ``s3://`` the default is anonymous access in us-west-2.

    Returns
    -------
    OpenStore

    Raises
    ------
    CubeError
        If there is nothing, no Zarr group, or no way to reach it.
    """
    url = os.fspath(path_or_url).rstrip("/")
    if not url:
        raise CubeError("no datacube was named: give a path or a URL")
    if "::" in url or ("://" in url and not url.startswith(_PROTOCOLS)):
        raise CubeError(f"cannot open {url}: a datacube is a folder, or an address with https:// or s3://")
    if "://" in url and not url.startswith("file://"):
        try:
            check_url(url)
        except HostError as error:
            raise CubeError(str(error)) from error
    options = _options(url, storage_options)
    try:
        if "://" in url and not url.startswith("file://"):
            filesystem, root = url_to_fs(url, **options)
        else:  # fsspec would look for a protocol in some names of folders
            filesystem = LocalFileSystem(**options)
            root = str(Path(url.removeprefix("file://")).expanduser().absolute())
    except (ValueError, ImportError, TypeError) as error:
        raise CubeError(f"cannot open {url}: {_first_line(error)}") from error
    files = _Files(url, filesystem, root)
    if files.local and not filesystem.isdir(root):
        if filesystem.exists(root):
            raise CubeError(f"{url} is a file, not a Zarr datacube: name the folder that holds it")
        raise CubeError(f"{url} does not exist: check the path of the datacube")
    base: Store = (
        LocalStore(Path(root), read_only=True)
        if files.local
        else FsspecStore.from_url(url, storage_options=options, read_only=True)
    )
    try:
        zarr_format, documents, complete = _metadata(files)
        store = _CubeStore(base, files, documents, complete)
        group = zarr.open_group(
            store, mode="r", zarr_format=zarr_format, use_consolidated=None if zarr_format == 3 else False
        )
    except (KeyError, ValueError, TypeError, AttributeError, FileNotFoundError, RecursionError) as error:
        raise CubeError(f"{url} is not a readable Zarr datacube: {_first_line(error)}") from error
    return OpenStore(url=url, group=group, files=files, storage_options=dict(storage_options or {}))


def _metadata(files: _Files) -> tuple[Any, dict[str, bytes | None], bool]:
    """Fetch what says which format this is: the format, the documents found, and whether these are all."""
    found = files.read(".zmetadata")
    if found is not None:
        metadata = json.loads(found)["metadata"]
        for key, value in metadata.items():
            if key.endswith(".zarray"):
                check_codecs(value, files.url)
        documents: dict[str, bytes | None] = {
            key: json.dumps(value).encode() for key, value in metadata.items()
        }
        if any(key.endswith(".zarray") for key in documents):
            documents.setdefault(".zgroup", b'{"zarr_format": 2}')
            return 2, documents, True
    found = files.read("zarr.json")
    if found is not None:
        group = json.loads(found)
        check_codecs(group, files.url)
        return 3, {"zarr.json": found}, bool(group.get("consolidated_metadata"))
    found = files.read(".zgroup")
    if found is not None:
        return 2, {".zgroup": found}, False
    if files.local:
        raise CubeError(f"{files.url} is not a Zarr datacube: it has no Zarr metadata")
    raise CubeError(f"there is no Zarr datacube at {files.url}: check the address")


def _options(url: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add what ITS_LIVE's bucket needs to the options of the caller, who has the last word."""
    options = dict(given or {})
    if url.startswith("s3://"):
        if not options.keys() & {"key", "secret", "token", "profile"}:
            options.setdefault("anon", True)
        client = dict(options.get("client_kwargs", {}))
        client.setdefault("region_name", "us-west-2")
        options["client_kwargs"] = client
        # With more, s3fs asks for the size of every file before it reads it: twice the requests.
        options.setdefault("max_concurrency", 1)
        config = {
            "connect_timeout": 10,
            "read_timeout": 30,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"total_max_attempts": 1},  # `_Files` does that, and knows when to stop
        }
        options["config_kwargs"] = {**config, **options.get("config_kwargs", {})}
    elif url.startswith(("http://", "https://")) and "client_kwargs" not in options:
        import aiohttp

        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
        }
    return guarded(options) if url.startswith(("http://", "https://")) else options


def _network_errors(url: str) -> tuple[type[BaseException], ...]:
    """List what a file system may raise for a connection that fails; its libraries are loaded by now."""
    errors: tuple[type[BaseException], ...] = (OSError, fsspec.exceptions.FSTimeoutError)
    if "://" in url:
        import aiohttp

        errors = (*errors, aiohttp.ClientError)
    if url.startswith("s3://"):
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        errors = (*errors, BotoCoreError)
    return errors


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]
