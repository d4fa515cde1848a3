"""Folders that exist only while something is made."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["remove_folder", "scratch_beside"]

_TRIES, _PAUSE = 100, 0.02


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
