"""Folders that exist only while something is made."""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from itslive_core.support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["remove_folder", "scratch_beside", "unbroken"]

_Result = TypeVar("_Result")

_TRIES, _PAUSE = 100, 0.02
_OWNER = "owner.json"


def unbroken(work: Callable[[], _Result]) -> _Result:
    """Do some work to its end, also if a signal ends the program meanwhile; the end then follows.

    Zarr goes on writing what it was given, though whoever waited for it was told to end: files would come
    into a folder that is removed.

    Parameters
    ----------
    work : callable
        Without arguments; done by another thread, which no signal reaches.
    """
    with ThreadPoolExecutor(1) as pool:  # left when the work is done, however that comes
        pool.submit(int).result()  # nobody waits for a thread during whose start a signal comes
        return pool.submit(work).result()


def remove_folder(path: Path) -> None:
    """Remove a folder, also while threads that were given up still write a last file into it."""
    for _ in range(_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_PAUSE)


@contextmanager
def scratch_beside(result: Path, job: str = "") -> Iterator[Path]:
    """Make a folder beside a result, where room was made for it, and remove it in the end.

    Parameters
    ----------
    result : Path
    job : str
        What is done, in text: where it was killed before, its folder is found again. Those that other jobs
        for the same result left when they were killed are removed.

    Yields
    ------
    Path
        An empty folder, or that of the same job.
    """
    here = f".itslive-{result.name}-"
    own = sha256(job.encode()).hexdigest()[:12]
    folder = result.parent / (here + own)
    for left in result.parent.glob(f"{glob.escape(here)}*"):
        if left != folder or not job:
            _remove_orphan(left)
    if not job or _is_taken(folder):
        folder = result.parent / f"{here}{os.getpid()}-{uuid4().hex[:8]}"
    try:  # from here on: a signal may come as soon as the folder is there
        folder.mkdir(exist_ok=True)
        (folder / _OWNER).write_text(json.dumps([platform.node(), os.getpid()]))
        yield folder
    finally:
        remove_folder(folder)


def _is_taken(folder: Path) -> bool:
    """Tell whether a process that may be alive works in a folder."""
    try:
        host, pid = json.loads((folder / _OWNER).read_text())
    except (OSError, ValueError):
        return False
    return bool(host != platform.node() or is_alive(pid))


def _remove_orphan(folder: Path) -> None:
    """Remove the folder of a process that is gone."""
    if (folder / _OWNER).exists() and not _is_taken(folder):
        remove_folder(folder)
