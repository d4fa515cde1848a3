"""Folders that exist only while something is made."""

from __future__ import annotations

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["remove_folder", "scratch_beside", "unbroken"]

_Result = TypeVar("_Result")

_TRIES, _PAUSE = 100, 0.02


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
def scratch_beside(result: Path) -> Iterator[Path]:
    """Make a folder beside a result, where room was made for it, and remove it in the end.

    Yields
    ------
    Path
        An empty folder.
    """
    folder = Path(tempfile.mkdtemp(prefix=".itslive-", dir=result.parent))
    try:
        yield folder
    finally:
        remove_folder(folder)
