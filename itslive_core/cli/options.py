"""Options that several commands share; `arguments` reads what was given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "estimate_options",
    "filter_options",
    "output_option",
    "point_options",
    "quiet_option",
    "rejection_options",
    "target_options",
    "work_options",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _AutoOrNumber(click.ParamType):
    """A number above zero, or the name of a way to choose one."""

    name = "X|auto|evidence|gcv"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Turn the text of the option into its value."""
        if isinstance(value, float) or value in ("auto", "evidence", "gcv"):
            return value
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value!r} is neither a number above 0 nor auto, evidence or gcv.", param, ctx)
        return number


class _AutoOrCoupling(click.ParamType):
    """A number from zero on, or auto."""

    name = "X|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Turn the text of the option into its value."""
        if isinstance(value, float) or value == "auto":
            return value
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            self.fail(f"{value!r} is neither a number from 0 on nor auto.", param, ctx)
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


def _all_of(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Join decorators into one that keeps their order in the help."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


point_options = _all_of(
    click.option("--lon", type=float, metavar="LON", help="Longitude of the point, WGS 84 [degrees]."),
    click.option("--lat", type=float, metavar="LAT", help="Latitude of the point, WGS 84 [degrees]."),
    click.option("--x", type=float, metavar="X", help="Or: easting of the point in the cube's CRS [m]."),
    click.option("--y", type=float, metavar="Y", help="Northing of the point in the cube's CRS [m]."),
)

target_options = _all_of(
    point_options,
    click.option(
        "--outline",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Or: the glacier outline in a file.",
    ),
    click.option(
        "--rgi-id", metavar="ID", help="Which glacier of FILE; alone: the outline of RGI, from GLIMS."
    ),
    click.option(
        "--bbox", nargs=4, type=float, metavar="W S E N", help="Or: a box in longitude and latitude, WGS 84."
    ),
)

filter_options = _all_of(
    click.option("--start", metavar="DATE", help="Both images on this day or later (YYYY-MM-DD)."),
    click.option("--end", metavar="DATE", help="Both images on this day or earlier."),
    click.option("--mission", type=_Names(), metavar="S1,S2,...", help="Of: S1 S2 L4_5 L7 L8_9 other."),
    click.option(
        "--satellite", type=_Names(), metavar="2A,...", help="Both images from one of these satellites."
    ),
    click.option("--min-span", type=float, metavar="D", help="Shortest time between the two images [days]."),
    click.option("--max-span", type=float, metavar="D", help="Longest time between the two images [days]."),
)

rejection_options = _all_of(
    click.option(
        "--max-error", type=float, metavar="M/YR", help="Drop pairs with a larger formal error [off]."
    ),
    click.option(
        "--max-angle",
        type=float,
        metavar="DEG",
        help="Drop pairs that differ more in direction from the median flow [off].",
    ),
    click.option(
        "--max-deviation",
        type=float,
        metavar="Z",
        help="Drop pairs that differ more from what the others say over the same span: a modified z-score,"
        " 3.5 is usual [off].",
    ),
)

# Defaults are named in the help but come from the preset, so that the library has the only copy of them.
estimate_options = _all_of(
    click.option(
        "--smoothing",
        type=_AutoOrNumber(),
        metavar="X|auto|evidence|gcv",
        help="Weight of the smoothness, lambda; or how the pairs decide: by evidence, by cross-validation, or"
        " the larger of both [auto].",
    ),
    click.option(
        "--derivative",
        type=click.Choice(["1", "2"]),
        help="Which derivative is kept small: 1 the slope, 2 the bend [2].",
    ),
    click.option("--interval", type=float, metavar="DAYS", help="Length of a cell of the series [12 days]."),
    click.option(
        "--weights",
        type=click.Choice(["none", "span", "error"]),
        help="What a pair counts: all alike, by its span, or by its formal error [error].",
    ),
    click.option(
        "--noise",
        type=click.Choice(["auto", "formal", "learnt"]),
        help="Size of the noise: as formal errors say, or learnt for each mission; auto learns it where the"
        " smoothing is automatic [auto].",
    ),
    click.option(
        "--offsets",
        type=click.Choice(["auto", "none", "mission"]),
        help="Estimate offsets between missions; auto does where the smoothing is automatic [auto].",
    ),
    click.option(
        "--smoothing-in-time",
        type=click.Choice(["auto", "constant", "varying"]),
        help="One smoothing, or one that changes by years and months; auto varies an automatic one [auto].",
    ),
    click.option(
        "--spatial-smoothing",
        type=_AutoOrCoupling(),
        metavar="X|auto",
        help="Coupling of neighbouring pixels of an area, mu; auto: what predicts held-out pairs best [0].",
    ),
    click.option(
        "--robust/--no-robust", default=None, help="Turn down pairs that contradict others [robust]."
    ),
    click.option("--uncertainty/--no-uncertainty", default=None, help="Standard deviations [uncertainty]."),
    click.option(
        "--outliers",
        type=click.Choice(["none", "auto"]),
        help="Drop long pairs that lock on to what does not move [auto].",
    ),
    rejection_options,
    click.option(
        "--preset",
        type=click.Choice(["recommended", "surging glacier", "slow glacier", "ice sheet", "itslive-tool"]),
        default="recommended",
        show_default=True,
        help="Settings to start from; the options above change them.",
    ),
)

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")

work_options = _all_of(
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute."),
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N", help="Threads for an area [one a core]."
    ),
    click.option("--dask", metavar="ADDRESS|local", help="Compute an area on a Dask cluster."),
    quiet_option,
)


def output_option(endings: str) -> Callable[[Decorated], Decorated]:
    """Make the option that names the result.

    Parameters
    ----------
    endings : str
        What it may end in, for the help.
    """
    return click.option(
        "--output",
        "-o",
        required=True,
        type=click.Path(path_type=Path),
        metavar="OUT",
        help=f"Result: {endings}.",
    )
