"""Where the assets are: at the top of a clone, or beside these modules in an installed wheel."""

from __future__ import annotations

from pathlib import Path

__all__ = ["asset"]

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "assets", _HERE.parent / "assets")


def asset(name: str) -> Path:
    """Return the path of an asset.

    Parameters
    ----------
    name : str
        File name inside the assets folder.

    Raises
    ------
    FileNotFoundError
        If neither a clone nor a wheel carries it.
    """
    for folder in _FOLDERS:
        path = folder / name
        if path.exists():
            return path
    raise FileNotFoundError(f"the asset {name!r} is missing from the installation: install the package again")
