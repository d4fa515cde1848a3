"""The files of a cube, wherever they lie, and the patience with which they are fetched.

One budget of time holds for all layers: the libraries below try once and give up on a silent connection, and
what failed is tried again here, while there is time left. A file that arrives starts the time anew: a slow
network is waited for, a silent one is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fsspec

from itslive_core.errors import CubeError, SettingsError
from itslive_core.support.reach import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CONNECTIONS",
    "METADATA_NAMES",
    "USUAL_PATIENCE",
    "VARIABLE",
    "DeniedError",
    "Files",
    "Part",
    "default_patience",
    "first_line",
    "words_of_damage",
]

VARIABLE = "ITSLIVE_PATIENCE"
"""Environment variable: seconds after which a server that does not answer is given up."""

CONNECTIONS = 32
USUAL_PATIENCE = 45.0
"""Seconds, where nobody says otherwise."""
_ATTEMPTS = 4
_MISSING = (FileNotFoundError, NotADirectoryError, KeyError)
METADATA_NAMES = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")

Part = tuple[str, int | None, int | None]
"""A file, and the first and last byte + 1 of the range wanted; None: from its begin, to its end."""


def default_patience() -> float:
    """Give the seconds after which a server that does not answer is given up.

    Raises
    ------
    SettingsError
        If the environment names something else than seconds.
    """
    text = os.environ.get(VARIABLE, "").strip()
    try:
        seconds = float(text) if text else USUAL_PATIENCE
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= 3600.0:
        raise SettingsError(f"{VARIABLE} is {text!r}: give a number of seconds, such as 45")
    return seconds


class DeniedError(CubeError):
    """A server denies access: also to what is not there, where its files may not be listed."""


@dataclass(eq=False)
class Files:
    """The files below a folder of any file system; requests that fail are tried again.

    Parameters
    ----------
    url : str
        The folder as its user named it, for messages.
    filesystem : fsspec.AbstractFileSystem
        Or anything with its ``cat_file``.
    root : str
        The folder as the file system names it.
    patience : float
        Seconds without any file arriving after which it is given up.
    """

    url: str
    filesystem: Any
    root: str
    patience: float = USUAL_PATIENCE
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONNECTIONS))
    _given_up: bool = False

    @property
    def local(self) -> bool:
        """Whether no network is involved."""
        return "://" not in self.url or self.url.startswith("file://")

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Read a file or a range of it; None if there is no such file."""
        return self.fetch([(key, start, end)])[0]

    def fetch(self, wanted: Sequence[str | Part]) -> list[bytes | None]:
        """Read several files, or ranges of files, at the same time.

        Raises
        ------
        CubeError
            If one cannot be read, or does not exist although the store lists it.
        """
        parts: list[Part] = [(one, None, None) if isinstance(one, str) else one for one in wanted]
        found: dict[Part, bytes | None] = {}
        passing = _network_errors(self.url)
        last = time.monotonic()
        # A store that was silent is not waited for as long again, until it answers.
        patience = self.patience / 6 if self._given_up else self.patience
        attempts = 1 if self._given_up else _ATTEMPTS
        for number in range(1, attempts + 1):
            todo = [part for part in dict.fromkeys(parts) if part not in found]
            left = max(patience - (time.monotonic() - last), patience / 3)
            failed: tuple[Part, BaseException] | None = None
            for part, answer in zip(todo, self._attempt(todo, left), strict=True):
                if isinstance(answer, _MISSING):
                    found[part] = None
                elif isinstance(answer, BaseException):
                    failed = failed or (part, answer)
                else:
                    found[part] = answer
                    last = time.monotonic()
            if failed is None:
                break
            part, error = failed
            hopeless = self._explain(part, error, passing)
            late = time.monotonic() - last + patience / 3 > patience
            if hopeless or late or number == attempts:
                self._given_up = not hopeless
                raise CubeError(
                    f"cannot reach {self.url} ({first_line(error)}; it was {part[0]}):"
                    " check the network and the address, then try again"
                ) from error
            time.sleep(0.3 * 2 ** (number - 1) * (0.5 + random.random()))  # noqa: S311 - only jitter
        self._given_up = False
        self._check_missing([part[0] for part in parts if found[part] is None])
        return [found[part] for part in parts]

    def _explain(self, part: Part, error: BaseException, passing: tuple[type[BaseException], ...]) -> bool:
        """Raise what no second attempt would mend; tell whether others of its kind would be in vain."""
        if isinstance(error, HostError):
            raise CubeError(str(error)) from error
        status = getattr(error, "status", None)
        if isinstance(error, PermissionError) or status in (401, 403):
            raise DeniedError(
                f"access to {self.url} was denied: check the address and your permissions"
            ) from error
        if not isinstance(error, passing):
            raise error
        if self.local:
            raise CubeError(
                f"cannot read {part[0]} of {self.url} ({first_line(error)}): check the disk"
            ) from error
        return status is not None and 400 <= status < 500 and status not in (408, 429)

    def _attempt(self, parts: Sequence[Part], silence: float) -> list[Any]:
        """Read parts once; what fails is in the place of its bytes."""
        if not getattr(self.filesystem, "async_impl", False):
            return [self._read_once(part) for part in parts]
        from fsspec.asyn import sync

        answers: list[Any] = sync(self.filesystem.loop, self._gather, parts, silence)
        return answers

    def _read_once(self, part: Part) -> Any:
        key, start, end = part
        try:
            return self.filesystem.cat_file(f"{self.root}/{key}", start=start, end=end)
        except Exception as error:  # noqa: BLE001 - sorted by whoever asked
            return error

    async def _gather(self, parts: Sequence[Part], silence: float) -> list[Any]:
        """Read parts at the same time, and give up when none arrives for so many seconds."""
        gate = asyncio.Semaphore(CONNECTIONS)

        async def one(part: Part) -> bytes:
            key, start, end = part
            async with gate:
                content: bytes = await self.filesystem._cat_file(  # noqa: SLF001 - the name that fsspec gives it
                    f"{self.root}/{key}", start=start, end=end
                )
            return _cut(content, start, end)

        tasks = [asyncio.ensure_future(one(part)) for part in parts]
        pending: set[asyncio.Future[bytes]] = set(tasks)
        while pending:
            done, pending = await asyncio.wait(pending, timeout=silence, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        for task in pending:
            task.cancel()
        silent = fsspec.exceptions.FSTimeoutError(f"no answer within {silence:.0f} s")
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return [silent if isinstance(answer, asyncio.CancelledError) else answer for answer in answers]

    def _check_missing(self, keys: Sequence[str]) -> None:
        """Refuse chunks that are not found although the bucket lists them: they are no empty ones.

        Raises
        ------
        CubeError
            If there is one.
        """
        chunks = [key for key in dict.fromkeys(keys) if key.rpartition("/")[2] not in METADATA_NAMES]
        if not chunks or not hasattr(self.filesystem, "_call_s3"):
            return
        from fsspec.asyn import sync

        for key in sync(self.filesystem.loop, self._listed, chunks, self.patience):
            raise CubeError(
                f"chunk {key} of {self.url} is listed in the bucket, but answers 'not found':"
                " try again later, or use another copy of the datacube"
            )

    async def _listed(self, keys: Sequence[str], silence: float) -> list[str]:
        """Find the keys that the bucket lists; where it may not be listed, none."""
        bucket, _, folder = self.root.partition("/")
        gate = asyncio.Semaphore(CONNECTIONS)

        async def look(key: str) -> str | None:
            name = f"{folder}/{key}".lstrip("/")
            async with gate:
                listing = await self.filesystem._call_s3(  # noqa: SLF001 - the name that s3fs gives it
                    "list_objects_v2", Bucket=bucket, Prefix=name, MaxKeys=1
                )
            return key if any(one["Key"] == name for one in listing.get("Contents", ())) else None

        looks = [asyncio.wait_for(look(key), silence) for key in keys]
        answers = await asyncio.gather(*looks, return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, str)]


def _cut(content: bytes, start: int | None, end: int | None) -> bytes:
    """Give the range that was asked for, also where a server knows no ranges and sends all of a file."""
    if start is not None and start < 0:
        return content[start:] if len(content) > -start else content
    if start is not None and end is not None and len(content) > end - start:
        return content[start:end]
    return content


def _network_errors(url: str) -> tuple[type[BaseException], ...]:
    """List what a file system may raise for a connection that fails; its libraries are loaded by now."""
    errors: tuple[type[BaseException], ...] = (OSError, fsspec.exceptions.FSTimeoutError)
    if "://" in url:
        import aiohttp

        errors = (*errors, aiohttp.ClientError, asyncio.TimeoutError)
    if url.startswith("s3://"):
        from http.client import IncompleteRead

        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

        errors = (*errors, BotoCoreError, IncompleteRead, ResponseParserError)
    return errors


def first_line(error: BaseException) -> str:
    """Say what an error says, in one line."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]


def words_of_damage(error: BaseException) -> str:
    """Say what is wrong with metadata, in words rather than in those of Python."""
    if isinstance(error, json.JSONDecodeError):
        return "its metadata are no JSON"
    if isinstance(error, (AttributeError, IndexError, KeyError, RecursionError, TypeError)):
        own = str(error)
        python = ("object", "operand", "indices", "argument", "recursion")
        if isinstance(error, (IndexError, KeyError, RecursionError)) or any(word in own for word in python):
            return "its metadata are damaged"
    return first_line(error)
