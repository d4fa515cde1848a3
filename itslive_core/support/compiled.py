"""Compiled kernels, cached on disk by the content of the whole package.

numba notices a change of a kernel's own file, not of the kernels that it calls, nor of the constants that it
takes from other files: after an update a stale machine code would go on being used. So the cache folder bears
a digest of every source of the package, and of what compiled it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kernel"]


def _digest(package: Path) -> str:
    """Sum up the sources below a folder, their names, and the versions of numba and Python."""
    digest = hashlib.blake2b(f"numba {numba.__version__}, Python {platform.python_version()}".encode())
    for folder, folders, files in os.walk(package):  # three times as fast as Path.rglob
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(name for name in files if name.endswith(".py")):
            path = os.path.join(folder, name)  # noqa: PTH118 - as os.walk is used
            digest.update(f"\0{os.path.relpath(path, package)}\0".encode())
            with open(path, "rb") as file:  # noqa: PTH123 - as os.walk is used
                digest.update(file.read())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def _cache_folder() -> str:
    """Return the folder for this version of the kernels; empty if there is no place for one."""
    package = Path(str(sys.modules[__name__.partition(".")[0]].__file__)).parent
    digest = _digest(package)
    named = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(named) if named else platformdirs.user_cache_path("itslive", appauthor=False) / "kernels"
    folder = base / f"itslive-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    return str(folder) if usable else ""


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function with numba when it is first called, without Python's global lock.

    Parameters
    ----------
    **options
        Passed to `numba.njit`.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        folder = _cache_folder()
        config: Any = numba.config
        before = config.CACHE_DIR
        try:
            if folder:
                config.CACHE_DIR = folder  # read while decorating only; other packages keep theirs
            compiled: Callable[..., Any] = numba.njit(nogil=True, cache=bool(folder), **options)(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate
