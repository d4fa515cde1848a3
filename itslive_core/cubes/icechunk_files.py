"""A snapshot of an icechunk repository, read as if it were a folder of Zarr format 3.

A repository changes and its snapshots do not: whatever is opened is pinned to one, whose id is part of the
cube's address from then on, and so of every file and link that is made of it.

A repository may hold its chunks in other files ("virtual" ones), and says itself where these are and through
which server they are read. Of that only the addresses are believed, and only of places that may be read: what
is allowed is decided here, never by the repository.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from itslive_core.errors import CubeError, SettingsError
from itslive_core.support.reach import HostError, any_host, check_url

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from itslive_core.cubes.files import Files

__all__ = ["FOLDERS", "IcechunkFiles", "Version", "is_repository", "open_repository", "split_version"]

FOLDERS = "ITSLIVE_CHUNK_FOLDERS"
"""Environment variable: folders below which repositories on this disk may hold their chunks."""

_VERSION = re.compile(r"^(?P<address>.+?)[#?](?P<kind>branch|tag|snapshot)=(?P<name>[^#?&=\s]+)$")
_BUCKET_FIRST = re.compile(r"(?P<bucket>[^/]+)\.s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com")
_BUCKET_LAST = re.compile(r"s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com")
_MARKS = ("refs/branch.main/ref.json", "repo")
"""Files of which every repository has one, by its version."""
_REGION = "us-west-2"
_PASSING = re.compile(r"time[d ]*out|connect|dispatch|temporar|reset|503|slow ?down", re.IGNORECASE)

Kind = Literal["branch", "tag", "snapshot"]
_T = TypeVar("_T")


class Version(NamedTuple):
    """Which state of a repository is wanted."""

    kind: Kind
    name: str


def split_version(url: str) -> tuple[str, Version | None]:
    """Take the version from an address such as ``repo#branch=main``, ``#tag=v1`` or ``#snapshot=ID``.

    Parameters
    ----------
    url : str
        Path or URL; a question mark may stand for the hash.

    Returns
    -------
    address : str
    version : Version or None
    """
    match = _VERSION.match(url)
    if match is None:
        return url, None
    kind: Any = match["kind"]
    return match["address"].rstrip("/"), Version(kind, unquote(match["name"]))


def is_repository(files: Files) -> bool:
    """Tell whether a folder without Zarr metadata is an icechunk repository.

    Raises
    ------
    CubeError
        If it cannot be reached.
    """
    if files.local:
        folder = Path(files.root)
        return (folder / "snapshots").is_dir() and ((folder / "refs").is_dir() or (folder / "repo").exists())
    return any(content is not None for content in files.fetch(_MARKS))


@dataclass(eq=False)
class IcechunkFiles:
    """The files of one snapshot, as `itslive_core.cubes.files.Files` wants them.

    Parameters
    ----------
    store : icechunk.IcechunkStore
        Of a session that only reads.
    url : str
        What its user called it, for messages.
    snapshot : str
        Its id.
    written : str
        When it was made.
    refused : tuple of str
        Where the repository has chunks that are not read.
    """

    store: Any
    url: str
    snapshot: str
    written: str
    refused: tuple[str, ...] = ()
    async_impl = True

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of events in which it is asked."""
        from fsspec.asyn import get_loop

        loop: asyncio.AbstractEventLoop = get_loop()
        return loop

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Read a file, or a range of it."""
        from zarr.abc.store import RangeByteRequest
        from zarr.core.buffer import default_buffer_prototype

        key = path.lstrip("/")
        try:
            part = None
            if start is not None or end is not None:
                # Its own ranges from the end are wrong for metadata, and crash where they are too long.
                size = await self.store.getsize(key)
                first = max(0, size + start) if start is not None and start < 0 else start or 0
                part = RangeByteRequest(first, size if end is None else min(end, size))
            content = await self.store.get(key, default_buffer_prototype(), part)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._explained(key, error) from error
        if content is None:
            raise FileNotFoundError(key)
        data: bytes = content.to_bytes()
        return data

    def _explained(self, key: str, error: Exception) -> Exception:
        """Put what went wrong into words; what may pass remains an error of the network."""
        text = str(error)
        if "virtual chunk" in text and self.refused:
            return CubeError(
                f"{self.url} holds its chunks in {self.refused[0]}, where this program does not read:"
                f" copy the datacube as a whole, or name a folder of this disk in {FOLDERS}"
            )
        if _PASSING.search(text):
            return OSError(_first_words(text))
        return CubeError(
            f"{key} of {self.url} cannot be read ({_last_words(text)}): use another snapshot, or another copy"
        )


def open_repository(
    files: Files, address: str, version: Version | None, options: Mapping[str, Any]
) -> IcechunkFiles:
    """Open a snapshot of a repository for reading.

    Parameters
    ----------
    files : Files
        Its folder.
    address : str
        Path or URL without a version.
    version : Version, optional
        By default the branch ``main``.
    options : mapping
        Storage options of its user, for s3.

    Raises
    ------
    CubeError
        If icechunk is not installed, there is no such version, or it cannot be opened.
    """
    icechunk = _library(address)
    version = version or Version("branch", "main")
    try:
        storage = _storage(icechunk, files, address, options)
        return _within(
            files.patience, address, lambda: _opened(icechunk, storage, files, address, version, options)
        )
    except icechunk.IcechunkError as error:
        raise CubeError(
            f"cannot open the icechunk repository {address} ({_last_words(str(error))}): check it"
        ) from error


def _opened(
    icechunk: Any, storage: Any, files: Files, address: str, version: Version, options: Mapping[str, Any]
) -> IcechunkFiles:
    stored = icechunk.Repository.fetch_config(storage)
    config = icechunk.RepositoryConfig.default()
    config.storage = icechunk.StorageSettings(retries=icechunk.StorageRetriesSettings(max_tries=2))
    refused, allowed = [], {}
    for prefix in (stored.virtual_chunk_containers or {}) if stored is not None else ():
        container = _container(icechunk, str(prefix), files, options)
        if container is None:
            refused.append(str(prefix))
            continue
        config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(str(prefix), container))
        allowed[str(prefix)] = _credentials(icechunk, options) if str(prefix).startswith("s3://") else None
    repository = icechunk.Repository.open(
        storage, config=config, authorize_virtual_chunk_access=icechunk.containers_credentials(allowed)
    )
    wanted = {"branch": "branch", "tag": "tag", "snapshot": "snapshot_id"}[version.kind]
    try:
        session = repository.readonly_session(**{wanted: version.name})
    except (icechunk.IcechunkError, ValueError) as error:
        raise CubeError(_no_version(repository, address, version)) from error
    snapshot = str(session.snapshot_id)
    written = repository.lookup_snapshot(snapshot).written_at.strftime("%Y-%m-%dT%H:%M:%S")
    return IcechunkFiles(session.store, address, snapshot, written, tuple(refused))


def _library(address: str) -> Any:
    try:
        icechunk = import_module("icechunk")
    except ImportError as error:
        raise CubeError(
            f"{address} is an icechunk repository: install what reads it with"
            " `pip install 'itslive-dashboard[icechunk]'`"
        ) from error
    icechunk.set_logs_filter("off")  # it would write into the output of the program
    return icechunk


def _storage(icechunk: Any, files: Files, address: str, options: Mapping[str, Any]) -> Any:
    if files.local:
        return icechunk.local_filesystem_storage(files.root)
    bucket, prefix, region = _bucket(address)
    given = _s3(options, region)
    return icechunk.s3_storage(
        bucket=bucket,
        prefix=prefix,
        network_stream_timeout_seconds=max(1, int(files.patience / 3)),
        **given,
        **_keys(options),
    )


def _bucket(address: str) -> tuple[str, str, str | None]:
    """Give bucket, prefix and region of an address in S3.

    Raises
    ------
    CubeError
        If it is on another server.
    """
    parts = urlsplit(address)
    path = unquote(parts.path).strip("/")
    if parts.scheme == "s3":
        return parts.netloc, path, None
    host = (parts.hostname or "").lower()
    if match := _BUCKET_FIRST.fullmatch(host):
        return match["bucket"], path, match["region"]
    if match := _BUCKET_LAST.fullmatch(host):
        bucket, _, path = path.partition("/")
        return bucket, path, match["region"]
    raise CubeError(
        f"{address} is an icechunk repository on a web server, which icechunk does not read: name its bucket"
        " with s3://, or download it"
    )


def _s3(options: Mapping[str, Any], region: str | None = None) -> dict[str, Any]:
    """Turn fsspec's options of s3 into those of icechunk."""
    client = dict(options.get("client_kwargs") or {})
    endpoint = options.get("endpoint_url") or client.get("endpoint_url")
    found: dict[str, Any] = {"region": client.get("region_name") or region or _REGION}
    if endpoint:
        plain = str(endpoint).startswith("http://")
        found |= {"endpoint_url": endpoint, "allow_http": plain, "force_path_style": True}
    return found


def _keys(options: Mapping[str, Any]) -> dict[str, Any]:
    if options.get("profile"):
        raise SettingsError(
            "icechunk knows no profiles: give key and secret, or anon=False with AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY in the environment"
        )
    if not options.get("key"):
        return {"from_env": True} if options.get("anon") is False else {"anonymous": True}
    names = {"access_key_id": "key", "secret_access_key": "secret", "session_token": "token"}
    return {name: options.get(own) for name, own in names.items()}


def _credentials(icechunk: Any, options: Mapping[str, Any]) -> Any:
    return icechunk.s3_credentials(**_keys(options))


def _container(icechunk: Any, prefix: str, files: Files, options: Mapping[str, Any]) -> Any:
    """Make what reads the chunks below an address; None where they are not read.

    The repository's own word on servers and folders is not taken: it could lead anywhere.
    """
    if prefix.startswith("s3://"):
        try:
            check_url(prefix)
        except HostError:
            return None
        return icechunk.s3_store(**_s3(options), anonymous=not options.get("key"), s3_compatible=True)
    if prefix.startswith("https://"):
        return icechunk.http_store() if any_host() else None  # it would follow redirects anywhere
    if prefix.startswith("file://") and files.local and any_host():
        folder = Path(unquote(prefix.removeprefix("file://")))
        if any(_is_below(folder, root) for root in _chunk_folders(files)):
            return icechunk.local_filesystem_store(str(folder))
    return None


def _chunk_folders(files: Files) -> Iterable[Path]:
    """Give the folders below which chunks are read: what holds the repository, and what its user named."""
    yield Path(files.root).parent
    yield from (
        Path(one).expanduser() for one in os.environ.get(FOLDERS, "").split(os.pathsep) if one.strip()
    )


def _is_below(folder: Path, root: Path) -> bool:
    try:
        return folder.resolve().is_relative_to(root.resolve())
    except OSError:
        return False


def _no_version(repository: Any, address: str, version: Version) -> str:
    name = version.name[:60]
    if version.kind == "snapshot":
        return f"{address} has no snapshot {name!r}: name another, or a branch such as #branch=main"
    known = sorted(repository.list_branches() if version.kind == "branch" else repository.list_tags())
    shown = ", ".join(known[:6]) + (" ..." if len(known) > 6 else "") or "none"
    plural = "branches" if version.kind == "branch" else "tags"
    return f"{address} has no {version.kind} {name!r}: its {plural} are {shown}"


def _within(seconds: float, address: str, action: Callable[[], _T]) -> _T:
    """Do something, and give up when it takes too long."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(action).result(timeout=seconds)
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of a library in Rust that met damage: no Exception
            raise CubeError(f"{address} is damaged: use another copy") from error
        if not isinstance(error, TimeoutError):
            raise
        raise CubeError(
            f"cannot reach {address} (no answer within {seconds:.0f} s): check the network, then try again"
        ) from error
    finally:
        pool.shutdown(wait=False)


def _first_words(text: str) -> str:
    return " ".join(text.split())[:160]


def _last_words(text: str) -> str:
    """Give the cause of an error of icechunk, which comes last in its tree of contexts."""
    lines = [line.strip(" |`->x") for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), type(text).__name__)[:160]
