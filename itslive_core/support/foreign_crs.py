"""Coordinate systems that a file or a server names: understood, but no file that they name is opened."""

from __future__ import annotations

import re
from typing import Any

from pyproj import CRS
from pyproj.exceptions import ProjError

__all__ = ["foreign_crs"]

_NAMES_FILE = re.compile(
    r"""PARAMETERFILE\s*[\[(][^\])]*[/\\]   # a grid of WKT, by its path
    | \+?\b\w*(?:grids?|init|file|datum)\s*=\s*@?[^\s"]*[/\\]  # PROJ: +nadgrids=, +init=, +file=
    | \+init= """,
    re.VERBOSE | re.IGNORECASE,
)


def foreign_crs(named: Any) -> CRS:
    """Understand the name of a coordinate system that this program did not choose.

    PROJ opens the files that a definition names: grids of datum shifts, and lists of definitions. Those that
    come with PROJ are named without a folder; a name with one is refused.

    Parameters
    ----------
    named
        Authority and code, WKT, PROJ text, PROJJSON or a `pyproj.CRS`.

    Returns
    -------
    pyproj.CRS

    Raises
    ------
    ValueError
        If it is unknown, or would read a file by its path.
    """
    if not isinstance(named, CRS):
        _check(str(named))
    try:
        system = CRS.from_user_input(named)
    except ProjError as error:
        raise ValueError("it is not known to PROJ") from error
    _check(system.to_wkt())
    return system


def _check(text: str) -> None:
    if _NAMES_FILE.search(text):
        raise ValueError("it names a file")
