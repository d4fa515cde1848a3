"""One writer at a time: a lock beside a store that names who holds it and goes when that process is gone."""

from __future__ import annotations

import importlib
import json
import os
import platform
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from itslive_core.errors import OutputError
from itslive_core.jobs.scratch import unbroken
from itslive_core.support.processes import is_alive

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StoreLock"]

_TRIES = 100
# Windows has none: stores are not locked there.
_fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None


class StoreLock:
    """The right to write to a store, from `StoreLock.take` until `release`, or the end of the process.

    The system's lock on the file ``.<name>.lock`` beside the store decides, which ends with its process also
    when that is killed: a file that is left behind is no lock. Where a file system has no such locks, process
    and host that the file names decide.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self._end = weakref.finalize(self, _release, path, handle)

    @classmethod
    def take(cls, store: Path) -> StoreLock:
        """Take the lock of a store.

        Parameters
        ----------
        store : Path
            It need not be there yet.

        Raises
        ------
        OutputError
            If another process writes to the store; it is named.
        OSError
            If no file can be made beside the store.
        """
        # Told to end meanwhile, the program gives the lock back after it was taken, and leaves no file.
        return unbroken(lambda: cls._take(store))

    @classmethod
    def _take(cls, store: Path) -> StoreLock:
        path = store.with_name(f".{store.name}.lock")
        if _fcntl is None:
            return cls(path, None)
        for _ in range(_TRIES):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if not _lock(handle):
                    raise OutputError(_refusal(store, path, _owner(handle)))
                if not _is_there(handle, path):  # its holder removed it just now: that lock guards nothing
                    os.close(handle)
                    continue
                _write_owner(handle)
            except BaseException:
                with suppress(OSError):
                    os.close(handle)
                raise
            return cls(path, handle)
        raise OutputError(f"cannot lock {store}: remove {path} if no other process writes to it")

    @staticmethod
    def is_held(store: Path) -> bool:
        """Tell whether a process writes to a store; where stores are not locked, none does.

        Whoever takes the lock in the moment of asking may be refused: it tries again.
        """
        if _fcntl is None:
            return False
        try:
            handle = os.open(store.with_name(f".{store.name}.lock"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _lock(handle)
        finally:
            os.close(handle)

    def release(self) -> None:
        """Give the lock back, and remove its file."""
        self._end()


def _lock(handle: int) -> bool:
    """Take the system's lock; where there is none, tell whether nobody else alive is named."""
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        owner = _owner(handle)
        if not owner:
            return True
        return owner.get("host") == platform.node() and not is_alive(owner.get("pid"))
    return True


def _is_there(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    mine = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _owner(handle: int) -> dict[str, object]:
    try:
        known = json.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_owner(handle: int) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode(), 0)


def _refusal(store: Path, path: Path, owner: dict[str, object]) -> str:
    host, who = owner.get("host"), "another process"
    if "pid" in owner:
        who = f"process {owner['pid']} on {host}, since {owner.get('since')}"
    gone = f"; if that is gone, remove {path}" if host not in (None, platform.node()) else ""
    return f"{store} is being filled by {who}: wait until it is done, or choose another name{gone}"


def _release(path: Path, handle: int | None) -> None:
    if handle is None:
        return
    # Removed while it is still locked: whoever waits for this file finds that it is another one.
    with suppress(OSError):
        if _is_there(handle, path):
            path.unlink()
    with suppress(OSError):
        os.close(handle)
