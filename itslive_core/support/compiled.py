"""Compiled kernels, cached on disk by the content of the whole package.

numba notices a change of a kernel's own file, not of the kernels that it calls, nor of the constants that it
takes from other files: after an update a stale machine code would go on being used. So the cache folder bears
a digest of every source of the package, and of what compiled it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import platformdirs
from numba.core.event import Event, Listener, register, unregister

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMPILING", "kernel", "compiled_for", "kernel_folder", "watch_compilation"]

COMPILING = "Compiling, the first time only"
"""What somebody who waits for the compiler is told."""

_PACKAGE = __name__.partition(".")[0]


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
def kernel_folder() -> str:
    """Return the folder for this version of the kernels; empty if there is no place for one."""
    package = Path(str(sys.modules[_PACKAGE].__file__)).parent
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


def compiled_for() -> str:
    """Name what numba finds kernels by: the processor, and where and when the sources were written."""
    from numba.core.registry import cpu_target

    package = Path(str(sys.modules[_PACKAGE].__file__)).parent
    written = [(str(path), path.stat().st_mtime_ns) for path in sorted(package.rglob("*.py"))]
    made_for = cpu_target.target_context.codegen().magic_tuple(), written
    return hashlib.blake2b(repr(made_for).encode(), digest_size=6).hexdigest()


class _Watch(Listener):
    """Tells once when a kernel of this package is compiled, and not taken from the cache."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, event: Event) -> None:
        """Tell, unless that was done."""
        tell = self._tell
        if tell is not None and event.data["dispatcher"].py_func.__module__.startswith(_PACKAGE):
            self._tell = None
            tell()

    def on_end(self, event: Event) -> None:
        """Nothing is told at the end: more is compiled most of the time."""


def _log_compilation() -> None:
    """Tell whoever waits in a script or a notebook, where warnings of a log are shown."""
    logging.getLogger(_PACKAGE).warning("%s; it takes a while.", COMPILING)


_UNWATCHED = _Watch(_log_compilation)
register("numba:compile", _UNWATCHED)


@contextmanager
def watch_compilation(tell: Callable[[], None]) -> Iterator[None]:
    """Be told, at most once, when somebody waits because kernels are being compiled; nothing is logged then.

    Parameters
    ----------
    tell : callable
        Called on the thread that compiles; it must be quick.
    """
    watch = _Watch(tell)
    register("numba:compile", watch)
    before, _UNWATCHED._tell = _UNWATCHED._tell, None  # noqa: SLF001 - of this module
    try:
        yield
    finally:
        unregister("numba:compile", watch)
        _UNWATCHED._tell = before  # noqa: SLF001 - of this module


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
        folder = kernel_folder()
        config: Any = numba.config
        before = config.CACHE_DIR
        try:
            if folder:
                config.CACHE_DIR = folder  # read while decorating only; other packages keep theirs
            # Nothing calls kernels from C: that entry need not be compiled.
            njit: Any = numba.njit  # its annotations do not know all of its options
            compiled: Callable[..., Any] = njit(
                nogil=True, cache=bool(folder), no_cfunc_wrapper=True, **options
            )(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate
