"""Opening a Zarr store wherever it lies, with as few requests as the format allows.

The consolidated metadata of a format 2 cube are fetched once and answer every later question about arrays
and attributes, so that opening costs one request; chunks of the big arrays are fetched as raw bytes, many
at a time. Zarr's own reader serves everything else.
"""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec
import zarr
from fsspec.core import url_to_fs
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from itslive_core.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["OpenStore", "open_store"]

T = TypeVar("T")

_METADATA_NAMES = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")
_ATTEMPTS = 4


class _KnownMetadata(WrapperStore["Store"]):
    """A store whose metadata documents are already in hand; only chunks are fetched."""

    def __init__(self, store: Store, documents: Mapping[str, bytes]) -> None:
        super().__init__(store)
        self._documents = dict(documents)

    def _with_store(self, store: Store) -> _KnownMetadata:
        return type(self)(store, self._documents)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key.rsplit("/", 1)[-1] in _METADATA_NAMES:
            document = self._documents.get(key)
            return None if document is None else prototype.buffer.from_bytes(document)
        return await self._store.get(key, prototype, byte_range)


@dataclass(frozen=True, eq=False)
class OpenStore:
    """An open Zarr group, and the raw bytes of its chunks.

    Parameters
    ----------
    url : str
        The path or URL as it was given.
    group : zarr.Group
    filesystem : fsspec.AbstractFileSystem
    root : str
        The group's folder on the file system.
    storage_options : mapping
        As they were given, to open the store again elsewhere.
    """

    url: str
    group: zarr.Group
    filesystem: Any
    root: str
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
        paths = {key: f"{self.root}/{key}" for key in keys}
        found: dict[str, bytes | None] = {}

        def attempt() -> None:
            todo = [path for key, path in paths.items() if key not in found]
            answers = self.filesystem.cat(todo, on_error="return") if todo else {}
            failure: BaseException | None = None
            for key, path in paths.items():
                if key in found or path not in answers:
                    continue
                answer = answers[path]
                if isinstance(answer, (FileNotFoundError, KeyError)):
                    found[key] = None
                elif isinstance(answer, BaseException):
                    failure = answer
                else:
                    found[key] = answer
            if failure is not None:
                raise failure

        _retry(attempt, self.url)
        return [found[key] for key in keys]


def open_store(
    path_or_url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> OpenStore:
    """Open a Zarr group of format 2 or 3, local or remote.

    Parameters
    ----------
    path_or_url : str or path
        A folder, or a URL that fsspec knows (``https://``, ``s3://`` ...).
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
    options = _options(url, storage_options)
    try:
        filesystem, root = url_to_fs(url, **options)
    except (ValueError, ImportError, TypeError) as error:
        raise CubeError(f"cannot open {url}: {error}") from error
    local = "://" not in url or url.startswith("file://")
    if local and not filesystem.isdir(root):
        if filesystem.exists(root):
            raise CubeError(f"{url} is a file, not a Zarr datacube: name the folder that holds it")
        raise CubeError(f"{url} does not exist: check the path of the datacube")

    def read(name: str) -> bytes | None:
        def attempt() -> bytes | None:
            try:
                return filesystem.cat_file(f"{root}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                return None

        return _retry(attempt, url)

    base: Store = (
        LocalStore(Path(root), read_only=True)
        if local
        else FsspecStore.from_url(url, storage_options=options, read_only=True)
    )
    consolidated = read(".zmetadata")
    try:
        if consolidated is not None:
            documents = {
                key: json.dumps(value).encode() for key, value in json.loads(consolidated)["metadata"].items()
            }
            if not any(key.endswith(".zarray") for key in documents):
                consolidated = None
            else:
                documents.setdefault(".zgroup", b'{"zarr_format": 2}')
                base = _KnownMetadata(base, documents)
                group = zarr.open_group(base, mode="r", zarr_format=2, use_consolidated=False)
        if consolidated is None:
            if read("zarr.json") is not None:
                group = zarr.open_group(base, mode="r", zarr_format=3)
            elif read(".zgroup") is not None:
                group = zarr.open_group(base, mode="r", zarr_format=2, use_consolidated=False)
            else:
                raise CubeError(f"{url} is not a Zarr datacube: it has no Zarr metadata")
    except (KeyError, ValueError, TypeError, FileNotFoundError) as error:
        raise CubeError(f"{url} is not a readable Zarr datacube: {_first_line(error)}") from error
    return OpenStore(
        url=url, group=group, filesystem=filesystem, root=root, storage_options=dict(storage_options or {})
    )


def _options(url: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add what ITS_LIVE's bucket needs to the options of the caller, who has the last word."""
    options = dict(given or {})
    if url.startswith(("s3://", "s3a://")):
        if not options.keys() & {"key", "secret", "token", "profile"}:
            options.setdefault("anon", True)
        client = dict(options.get("client_kwargs", {}))
        client.setdefault("region_name", "us-west-2")
        options["client_kwargs"] = client
        options.setdefault("config_kwargs", {"connect_timeout": 20, "read_timeout": 60})
    elif url.startswith(("http://", "https://")) and "client_kwargs" not in options:
        import aiohttp

        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=300, sock_connect=20, sock_read=60)
        }
    return options


def _retry(attempt: Callable[[], T], url: str) -> T:
    """Try a request a few times with growing, jittered pauses."""
    transient: tuple[type[BaseException], ...] = (OSError, TimeoutError, fsspec.exceptions.FSTimeoutError)
    if "://" in url:
        import aiohttp

        transient = (*transient, aiohttp.ClientError)
    for left in range(_ATTEMPTS - 1, -1, -1):
        try:
            return attempt()
        except PermissionError as error:
            raise CubeError(f"access to {url} was denied: check the address and your permissions") from error
        except transient as error:
            if left == 0 or "://" not in url:
                raise CubeError(
                    f"cannot reach {url} ({_first_line(error)}): check the network and the address,"
                    " then try again"
                ) from error
            time.sleep(0.3 * 2 ** (_ATTEMPTS - 1 - left) * (0.5 + random.random()))  # noqa: S311 - only jitter
    raise AssertionError("unreachable")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]
