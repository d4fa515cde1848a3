"""Compiled kernels, cached on disk by the content of all of them.

numba notices a change of a kernel's own file, not of the kernels that it calls: after an update of one file
a stale machine code would go on being used. So the cache folder bears a digest of all files with kernels.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kernel"]

_MARK = b"itslive_core.support.compiled import"


@lru_cache(maxsize=1)
def _cache_folder() -> str:
    """Return the folder for this version of the kernels; empty if there is no place for one."""
    here = Path(__file__).parents[1]
    sources = [path.read_bytes() for path in sorted(here.rglob("*.py"))]
    digest = hashlib.sha256(b"\0".join(source for source in sources if _MARK in source)).hexdigest()[:12]
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
