"""What was given on the command line, read and checked: the place, the filters, the settings."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from itslive_core.settings import Choice, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.observations.selection import PairSelection

__all__ = [
    "STDOUT",
    "Point",
    "Target",
    "check_ending",
    "destination",
    "read_place",
    "read_point",
    "read_selection",
    "read_settings",
    "read_target",
    "source",
]

Chosen = TypeVar("Chosen", bound=Settings)
STDOUT = "-"
"""What stands for the standard output, or input."""
_FILTERS = ("start", "end", "mission", "satellite", "min_span", "max_span", "leave_out")


@dataclass(frozen=True)
class Point:
    """A place: lon and lat [degrees], or x and y in the CRS of the cube [m]."""

    lon: float | None = None
    lat: float | None = None
    x: float | None = None
    y: float | None = None

    @property
    def arguments(self) -> dict[str, float | None]:
        """What `Datacube.locate` and `Datacube.pairs_at` want."""
        return {"lon": self.lon, "lat": self.lat, "x": self.x, "y": self.y}

    def __str__(self) -> str:
        """Name the place the way it was given."""
        return f"x {self.x}, y {self.y}" if self.lon is None else f"lon {self.lon}, lat {self.lat}"

    def first_cube(self, cubes: tuple[str, ...], say: Callable[[str], None] | None = None) -> Datacube:
        """Open the cube that covers the place; of several the one to prefer, whatever their order.

        Parameters
        ----------
        cubes : tuple of str
            Paths or URLs.
        say : callable, optional
            Is told which one is used, and why, if several cover the place.

        Raises
        ------
        CoverageError
            If none does.
        CubeError
            If one cannot be opened.
        """
        from itslive_core import open_cube
        from itslive_core.cubes.preference import in_order_of_preference, words_of_choice
        from itslive_core.errors import CoverageError

        last: CoverageError | None = None
        covering = []
        for path in dict.fromkeys(cubes):
            cube = open_cube(path)
            try:
                cube.locate(**self.arguments)
            except CoverageError as error:
                last = error
            else:
                covering.append(cube)
        if covering:
            best = in_order_of_preference(covering)
            if len(best) > 1 and say is not None:
                say(f"{len(best)} datacubes cover the point: {words_of_choice(best)}")
            return best[0]
        if last is not None and len(cubes) == 1:
            raise last
        raise CoverageError(f"none of the {len(cubes)} datacubes covers {self}: see `itslive cubes --help`")


@dataclass(frozen=True)
class Target:
    """What to work on: a point, many points, outlines of glaciers, a box, or all that the cubes hold."""

    point: Point | None = None
    points: Path | None = None
    outline: Path | None = None
    rgi_ids: tuple[str, ...] = ()
    every: bool = False
    layer: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    whole: bool = False

    @property
    def is_area(self) -> bool:
        """Every pixel of an area is wanted."""
        return self.point is None and self.points is None


def check_ending(output: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Refuse a result whose name does not end as it should.

    Raises
    ------
    click.UsageError
        If it does not.
    """
    if str(output) == STDOUT:
        if ".csv" not in suffixes:
            raise _usage(f"-o -: {what} is written as {' or '.join(suffixes)}, to a file")
    elif output.suffix.lower() not in suffixes:
        raise _usage(f"-o {output}: {what} is written as {' or '.join(suffixes)}")


@contextmanager
def destination(output: Path) -> Iterator[Path]:
    """Give the file to write; where the standard output is meant one that is copied there in the end."""
    if str(output) != STDOUT:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="itslive-") as folder:
        path = Path(folder) / "out.csv"
        yield path
        with path.open(encoding="utf-8", newline="") as file:
            shutil.copyfileobj(file, sys.stdout, 1 << 20)


@contextmanager
def source(table: Path) -> Iterator[Path]:
    """Give the table to read; where the standard input is meant, a file that holds what comes from there."""
    if str(table) != STDOUT:
        yield table
        return
    with tempfile.TemporaryDirectory(prefix="itslive-") as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        yield path


def read_place(options: dict[str, Any]) -> Point | Path:
    """Take the point, or the file of many points, out of the options of a command.

    Raises
    ------
    click.UsageError
        If there is none, or both.
    """
    points: Path | None = options.pop("points")
    point = read_point(options, other="--points FILE" if points is not None else "")
    if point is not None and points is not None:
        raise _usage("one target is needed: a point, or --points FILE; got both")
    place = point or points
    assert place is not None
    return place


def read_point(options: dict[str, Any], *, other: str = "") -> Point | None:
    """Take the point out of the options of a command.

    Parameters
    ----------
    options : dict
        Of the command; lon, lat, x and y are removed.
    other : str
        What could be given instead of a point; without it a point is demanded.

    Returns
    -------
    Point or None

    Raises
    ------
    click.UsageError
        If it is missing, incomplete, or given twice.
    """
    values = {name: options.pop(name) for name in ("lon", "lat", "x", "y")}
    given = {name for name, value in values.items() if value is not None}
    if not given and other:
        return None
    if given not in ({"lon", "lat"}, {"x", "y"}):
        found = (
            f"got only {' '.join(f'--{name}' for name in values if name in given)}"
            if given
            else "none is given"
        )
        if len(given) > 2:
            found = "got both"
        raise _usage(f"a point is --lon LON --lat LAT, or --x X --y Y; {found}")
    if values["lat"] is not None and not -90 <= values["lat"] <= 90:
        raise _usage(f"--lat {values['lat']} is no latitude: give -90 to 90 (is it the longitude?)")
    if values["lon"] is not None and not -360 <= values["lon"] <= 360:
        raise _usage(f"--lon {values['lon']} is no longitude: give -180 to 180")
    return Point(**values)


def read_target(options: dict[str, Any]) -> Target:
    """Take the target out of the options of a command.

    Parameters
    ----------
    options : dict
        Of the command; those of the target are removed.

    Raises
    ------
    click.UsageError
        If there is none, or more than one.
    """
    other = "--points FILE, --outline FILE, --rgi-id ID, --bbox W S E N or --whole"
    point = read_point(options, other=other)
    points, outline, rgi_ids, bbox = (options.pop(name) for name in ("points", "outline", "rgi_id", "bbox"))
    every, layer, whole = (options.pop(name) for name in ("every", "layer", "whole"))
    kinds = [given is not None for given in (point, points, bbox)]
    kinds += [outline is not None or bool(rgi_ids), whole]
    if sum(kinds) != 1:
        found = "got more than one" if any(kinds) else "none is given"
        raise _usage(f"one target is needed: --lon LON --lat LAT, --x X --y Y, {other}; {found}")
    if bbox is not None:
        from itslive_core.places.boxes import check_box

        bbox = check_box(bbox)
    if outline is None and (every or layer is not None):
        raise _usage(f"{'--all' if every else f'--layer {layer}'} is of a file: name it with --outline FILE")
    if every and rgi_ids:
        raise _usage("--all means all glaciers of the file: leave out --rgi-id")
    return Target(point, points, outline, rgi_ids, every, layer, bbox, whole)


def read_selection(options: dict[str, Any]) -> PairSelection:
    """Take the filters on metadata out of the options of a command.

    Raises
    ------
    SettingsError
        If one is impossible.
    """
    from itslive_core.observations.selection import PairSelection

    return PairSelection(**{name: options.pop(name) for name in _FILTERS})


def read_settings(settings: type[Chosen], options: dict[str, Any]) -> Chosen:
    """Take the settings out of the options of a command: the preset, changed by what is given.

    Parameters
    ----------
    settings : type
        Class of the settings.
    options : dict
        Of the command; those of the settings are removed.

    Raises
    ------
    SettingsError
        If one is impossible.
    """
    from dataclasses import replace

    preset = settings.preset(options.pop("preset", "recommended"))
    given = {}
    for name, kind in settings.kinds().items():
        value = options.pop(name)
        if value is not None:
            # The shell gives words; a choice may be of numbers.
            given[name] = type(kind.default)(value) if isinstance(kind, Choice) else value
    return replace(preset, **given)


def _usage(message: str) -> click.UsageError:
    return click.UsageError(message, ctx=click.get_current_context(silent=True))
