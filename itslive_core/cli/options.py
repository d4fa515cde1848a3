"""Options that several commands share; `arguments` reads what was given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from itslive_core.settings import Choice, Flag, Number, ValueFilters

if TYPE_CHECKING:
    from itslive_core.settings import Kind, Settings

__all__ = [
    "all_of",
    "device_option",
    "filter_options",
    "like_option",
    "means_option",
    "options_of",
    "output_option",
    "point_options",
    "points_option",
    "quiet_option",
    "target_options",
    "work_options",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _NumberOrWord(click.ParamType):
    """A number from the least on, or one of some words."""

    def __init__(self, kind: Number) -> None:
        self._least, self._words = kind.low, kind.words
        self.name = "|".join((kind.metavar, *kind.words))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Turn the text of the option into its value."""
        if isinstance(value, float) or value in self._words:
            return value
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        # How far above zero is left to the settings, which say it.
        possible = number > 0 if self._least > 0 else number >= self._least
        if not (math.isfinite(number) and possible):
            least = "above 0" if self._least > 0 else f"from {self._least:g} on"
            *others, last = self._words
            words = f"{', '.join(others)} or {last}" if others else last
            self.fail(f"{value!r} is neither a number {least} nor {words}.", param, ctx)
        return number


class _Names(click.ParamType):
    """Names separated by commas."""

    name = "A,B,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Turn the text of the option into its value."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            self.fail(f"{value!r} holds no name.", param, ctx)
        return names


def all_of(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Join decorators into one that keeps their order in the help."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


point_options = all_of(
    click.option("--lon", type=float, metavar="LON", help="Longitude of the point, WGS 84 [degrees]."),
    click.option("--lat", type=float, metavar="LAT", help="Latitude of the point, WGS 84 [degrees]."),
    click.option("--x", type=float, metavar="X", help="Or: easting of the point in the cube's CRS [m]."),
    click.option("--y", type=float, metavar="Y", help="Northing of the point in the cube's CRS [m]."),
)

points_option = click.option(
    "--points",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Or: many points, a CSV with columns lon,lat or x,y and perhaps name; - for standard input.",
)

target_options = all_of(
    point_options,
    points_option,
    click.option(
        "--outline",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Or: the glacier outline in a file.",
    ),
    click.option("--layer", metavar="NAME", help="Layer of FILE, where it has several."),
    click.option(
        "--rgi-id",
        multiple=True,
        metavar="ID",
        help="Which glacier of FILE; alone: the outline of RGI, from GLIMS. Several of them are one area.",
    ),
    click.option("--all", "every", is_flag=True, help="All glaciers of FILE."),
    click.option(
        "--bbox",
        nargs=4,
        type=float,
        metavar="W S E N",
        help="Or: a box in longitude and latitude, WGS 84; W > E crosses 180 degrees.",
    ),
    click.option("--whole", is_flag=True, help="Or: every pixel of the cubes."),
)

filter_options = all_of(
    click.option("--start", metavar="DATE", help="Both images on this day or later (YYYY-MM-DD)."),
    click.option("--end", metavar="DATE", help="Both images on this day or earlier."),
    click.option("--mission", type=_Names(), metavar="S1,S2,...", help="Of: S1 S2 L4_5 L7 L8_9 NISAR other."),
    click.option(
        "--satellite", type=_Names(), metavar="2A,...", help="Both images from one of these satellites."
    ),
    click.option("--min-span", type=float, metavar="D", help="Shortest time between the two images [days]."),
    click.option("--max-span", type=float, metavar="D", help="Longest time between the two images [days]."),
    click.option(
        "--leave-out",
        type=_Names(),
        metavar="PAIR,...",
        help="Not these pairs (2A@2019-06-03T05:12/2B@2019-06-13T05:12) or images (2A@2019-06-03T05:12).",
    ),
)

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")

means_option = click.option(
    "--means",
    metavar="month|season|year|DATES",
    help="Average series over calendar periods, or from date to date (2015-01-01,2016-01-01,...), with the"
    " errors of the means.",
)

like_option = click.option(
    "--like",
    type=click.Path(path_type=Path),
    metavar="GRID",
    help="Bring an area to the grid of a .tif or .nc: means weighted with areas on coarser cells, the nearest"
    " pixel on finer ones.",
)

work_options = all_of(
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N", help="Threads for an area [one a core]."
    ),
    click.option("--dask", metavar="ADDRESS|local", help="Compute an area on a Dask cluster."),
    quiet_option,
)


def options_of(settings: type[Settings], *, first: tuple[str, ...] = ()) -> Callable[[Decorated], Decorated]:
    """Make the options of all settings of a class but the device.

    Defaults are named in the help but come from the preset, so that the library has the only copy of them.

    Parameters
    ----------
    settings : type
        A class below `Settings`.
    first : tuple of str
        Settings whose options head the list. The others follow in the order of the class, the filters on
        values last, and a choice of the preset where there are some.
    """
    kinds = settings.kinds()
    filters = [name for name in ValueFilters.kinds() if name in kinds]
    others = [name for name in kinds if name not in {*first, *filters, "device"}]
    options = [_option(name, kinds[name]) for name in (*first, *others, *filters)]
    if len(settings.presets) > 1:
        options.append(
            click.option(
                "--preset",
                type=click.Choice(list(settings.presets)),
                default="recommended",
                show_default=True,
                help="Settings to start from; the options above change them.",
            )
        )
    return all_of(*options)


def device_option(settings: type[Settings]) -> Callable[[Decorated], Decorated]:
    """Make the option that says where to compute, if the settings leave a choice."""
    kind = settings.kinds().get("device")
    options = []
    if isinstance(kind, Choice):
        options.append(click.option("--device", type=click.Choice(kind.choices), help=f"{kind.help}."))
    return all_of(*options)


def _option(name: str, kind: Kind) -> Callable[[Decorated], Decorated]:
    option = f"--{name.replace('_', '-')}"
    text = f"{kind.help} [{kind.usual}]."
    if isinstance(kind, Flag):
        dashed = name.replace("_", "-")
        usual = dashed if kind.default else f"no-{dashed}"
        return click.option(f"{option}/--no-{dashed}", default=None, help=f"{kind.help} [{usual}].")
    if isinstance(kind, Choice):
        return click.option(option, type=click.Choice([str(one) for one in kind.choices]), help=text)
    assert isinstance(kind, Number)
    if kind.words:
        numbers = _NumberOrWord(kind)
        return click.option(option, type=numbers, metavar=numbers.name, help=text)
    return click.option(option, type=int if kind.whole else float, metavar=kind.metavar, help=text)


def output_option(endings: str, *, required: bool = True) -> Callable[[Decorated], Decorated]:
    """Make the option that names the result.

    Parameters
    ----------
    endings : str
        What it may end in, for the help.
    required : bool
    """
    return click.option(
        "--output",
        "-o",
        required=required,
        type=click.Path(path_type=Path),
        metavar="OUT",
        help=f"Result: {endings}.",
    )
