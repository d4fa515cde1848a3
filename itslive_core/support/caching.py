"""Where downloads are kept between runs, and how files get there whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

__all__ = ["CACHE_VARIABLE", "cache_folder", "write_atomically"]

CACHE_VARIABLE = "ITSLIVE_CACHE"
"""Environment variable that names another cache folder than the user's."""


def cache_folder(name: str) -> Path:
    """Return a folder for cached files, made if it is missing.

    Parameters
    ----------
    name
        What is kept there, e.g. ``"outlines"``.

    Returns
    -------
    Path
        ``$ITSLIVE_CACHE/name``, or ``name`` in the cache folder that the operating system gives to this user.

    Raises
    ------
    OSError
        If the folder cannot be made. Callers go on without a cache.
    """
    named = os.environ.get(CACHE_VARIABLE)
    base = Path(named).expanduser() if named else platformdirs.user_cache_path("itslive", appauthor=False)
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a second writer, never sees half of it.

    Parameters
    ----------
    path
        The file; its folder must exist.
    content
        All of what it shall hold.

    Raises
    ------
    OSError
        If it cannot be written; what was there before stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
