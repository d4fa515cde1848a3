"""What the dashboard opens when nobody names a cube: a real glacier where it is there, or a synthetic one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from itslive_core import Datacube, Glacier

    Opener = Callable[[Path], Datacube]

__all__ = ["EXAMPLES", "Example", "Opened", "available", "example_of"]

_FOLDER = Path(__file__).resolve().parents[2] / "examples" / "data"


@dataclass(frozen=True)
class Opened:
    """An example that is open.

    Parameters
    ----------
    cubes : list of Datacube
    glaciers : list of Glacier
        The one to begin with first.
    lines : list
        Centrelines [degrees].
    """

    cubes: list[Datacube]
    glaciers: list[Glacier]
    lines: list[Any]


@dataclass(frozen=True)
class Example:
    """Something to begin with.

    Parameters
    ----------
    key : str
        Its name in a link.
    title : str
        Its name for a person.
    words : str
        What it is, in one sentence that stands on the screen.
    read : callable
        Opens it, given what opens a cube, which a host shares with other sessions; runs on a worker.
    needs : tuple of Path
        Files without which it is not there.
    first : tuple of float or None
        Longitude and latitude of its fastest well observed pixel, where that is known beforehand.
    """

    key: str
    title: str
    words: str
    read: Callable[[Opener], Opened] = field(repr=False)
    needs: tuple[Path, ...] = ()
    first: tuple[float, float] | None = None

    @property
    def there(self) -> bool:
        """Whether its files are there."""
        return all(path.exists() for path in self.needs)


def _open_parlung(open_cube: Opener) -> Opened:
    from itslive_core import Glacier

    return Opened([open_cube(_PARLUNG[0])], Glacier.list_from_file(_PARLUNG[1]), [])


def _open_synthetic(open_cube: Opener) -> Opened:
    from itslive_core import Glacier
    from itslive_core.demo import demo_path

    files = demo_path()
    glaciers = Glacier.list_from_file(files.outlines)
    lines = list(glaciers[0].centrelines(files.centreline).geometry) if glaciers else []
    return Opened([open_cube(path) for path in files.cubes], glaciers, lines)


_PARLUNG = (_FOLDER / "parlung.zarr", _FOLDER / "parlung_outline.geojson")
EXAMPLES = (
    Example(
        "parlung",
        "Parlung",
        "Real data: a glacier of 10 km² in the Parlung Zangbo basin, south-east Tibet (ITS_LIVE, CC0)",
        _open_parlung,
        _PARLUNG,
        (95.96625, 29.90924),
    ),
    Example(
        "synthetic",
        "Synthetic demo",
        "Synthetic demo: two glaciers that do not exist, with a known truth",
        _open_synthetic,
    ),
)
"""The one that is opened where nothing is asked for comes first."""


def available() -> tuple[Example, ...]:
    """Return the examples whose files are there: the wheel carries no real one."""
    return tuple(one for one in EXAMPLES if one.there)


def example_of(key: str | None) -> Example:
    """Return an example by its name in a link; the first one there is where there is none of that name."""
    every = available()
    return next((one for one in every if one.key == key), every[0])
