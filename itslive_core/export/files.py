"""Where a result may be written, and how a file comes into being all at once."""

from __future__ import annotations

import glob
import os
import platform
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.errors import OutputError
from itslive_core.export.geoparquet import is_parquet, require_parquet
from itslive_core.support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AREA_SUFFIXES",
    "FIGURE_SUFFIXES",
    "PAIRS_SUFFIXES",
    "PROFILE_SUFFIXES",
    "SEASON_SUFFIXES",
    "SERIES_SUFFIXES",
    "check_output",
    "replacing",
]

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
PAIRS_SUFFIXES = (".csv", ".parquet")
SEASON_SUFFIXES = (".csv",)
PROFILE_SUFFIXES = (".nc", ".csv")
SERIES_SUFFIXES = (".nc", ".csv", ".parquet")
AREA_SUFFIXES = (".zarr", ".tif", ".nc")


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> Path:
    """Find out before a long computation whether its result can be written.

    Parameters
    ----------
    path : path
        File, or Zarr store, to be written.
    suffixes : tuple of str
        The endings that fit this kind of result.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OutputError
        If the ending does not fit, the folder is missing or cannot be written to, or a folder is in the way.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {str(path)!r}: end its name in {' or '.join(suffixes)}")
    if is_parquet(path):
        require_parquet()
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: its folder {str(folder)!r} is missing, make it first")
    is_store = path.suffix.lower() == ".zarr"
    if path.is_dir() and not is_store:
        raise OutputError(f"cannot write {str(path)!r}: it is a folder, choose another name")
    if path.is_file() and is_store:
        raise OutputError(f"cannot write {str(path)!r}: it is a file and no Zarr store, choose another name")
    try:
        # Asking the permission bits is not enough: root passes them on a read-only file system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(_why(path, error)) from error
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file to write beside another, and rename it over that one if all goes well.

    Parameters
    ----------
    path : pathlib.Path
        The file to come into being; what was there stays until then, and after a failure.

    Yields
    ------
    pathlib.Path
        Same folder, same ending.

    Raises
    ------
    OutputError
        If writing or renaming fails in the file system.
    """
    here = f".{path.stem}.{platform.node()}"
    partial = path.with_name(f"{here}.{os.getpid()}.partial{path.suffix}")
    try:
        for left in path.parent.glob(f"{glob.escape(here)}.*.partial{path.suffix}"):
            number = left.name[len(here) + 1 :].partition(".")[0]
            if number.isdigit() and not is_alive(int(number)):  # of one that was killed
                left.unlink(missing_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(_why(path, error)) from error
    finally:
        partial.unlink(missing_ok=True)


def _why(path: Path, error: OSError) -> str:
    reason = error.strerror or error
    return f"cannot write {str(path)!r}: {reason}; choose a folder with free space and write permission"
