"""What pictures are made of: pairs, estimates and fields, with their colours and scales; no view is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias

import numpy as np

from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core import ImagePairs

__all__ = ["Bars", "Curve", "Kind", "Period", "PointSeries", "Raster", "nice_limit"]

Kind: TypeAlias = Literal["size", "change", "day"]


@dataclass(frozen=True, eq=False)
class Bars:
    """Image pairs to draw.

    Parameters
    ----------
    pairs : ImagePairs
        What the filters on metadata leave, and what was left out by hand.
    keep : ndarray of bool, shape (n,)
        False for those that the filter on values rejected: they are drawn in grey.
    by_hand : ndarray of bool, shape (n,), optional
        Those that were left out by hand; none of them is kept.
    """

    pairs: ImagePairs
    keep: NDArray[np.bool_]
    by_hand: NDArray[np.bool_] | None = None

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Which pairs were left out by hand, shape (n,)."""
        return np.zeros(len(self.pairs), dtype=bool) if self.by_hand is None else self.by_hand


@dataclass(frozen=True)
class Curve:
    """An estimate and the colour of its point."""

    dataset: xr.Dataset
    colour: str
    label: str = ""


@dataclass(frozen=True, eq=False)
class PointSeries:
    """What is drawn of a point.

    Parameters
    ----------
    key : int
        Of the point.
    label, colour : str
    bars : Bars
        Its pairs.
    curve : Curve or None
        Its estimate, where there is one.
    second : Curve or None
        Its Gaussian process, where `curve` is its inversion.
    """

    key: int
    label: str
    colour: str
    bars: Bars
    curve: Curve | None
    second: Curve | None = None


class Period(NamedTuple):
    """A time from a begin to an end."""

    begin: np.datetime64
    end: np.datetime64

    @classmethod
    def of_milliseconds(cls, begin: float, end: float) -> Self:
        """Make it of milliseconds since 1970."""
        return cls(*(np.datetime64(round(one), "ms").astype("datetime64[ns]") for one in (begin, end)))

    @property
    def milliseconds(self) -> tuple[float, float]:
        """Both ends in milliseconds since 1970."""
        begin, end = (float(one.astype("datetime64[ms]").astype(np.int64)) for one in self)
        return begin, end

    def __str__(self) -> str:
        """Name both days."""
        return " to ".join(np.datetime_as_string(one, "D") for one in self)


@dataclass(frozen=True)
class Raster:
    """A field on the pixels of a glacier.

    Parameters
    ----------
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres in the cube's CRS [m].
    values : ndarray, shape (ny, nx)
        What is shown; NaN where nothing is known yet.
    title : str
        What it is, in words.
    limit : float
        Upper end of the colour scale.
    kind : {"size", "change", "day"}
        A size from 0 on; a change, from -limit to limit; a day of the year, whose colours come round.
    name, unit : str
        What is told of a pixel.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    values: NDArray[np.floating]
    title: str = "Speed [m/yr]"
    limit: float = 100.0
    kind: Kind = "size"
    name: str = "Speed"
    unit: str = "m/yr"

    @property
    def range(self) -> tuple[float, float]:
        """Both ends of the colour scale."""
        if self.kind == "day":
            return 0.0, DAYS_PER_YEAR
        return (-self.limit if self.kind == "change" else 0.0), self.limit

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Edges of the outermost pixels: x0, y0, x1, y1 [m]."""
        half_x = abs(self.x[1] - self.x[0]) / 2 if len(self.x) > 1 else 60.0
        half_y = abs(self.y[1] - self.y[0]) / 2 if len(self.y) > 1 else 60.0
        return (
            float(self.x.min() - half_x),
            float(self.y.min() - half_y),
            float(self.x.max() + half_x),
            float(self.y.max() + half_y),
        )


def nice_limit(values: NDArray[np.floating], at_least: float = 0.0, smallest: float = 1.0) -> float:
    """Return a round upper end of the colour scale, so that it seldom changes while blocks come in.

    Parameters
    ----------
    values : ndarray
        Sizes; NaN is ignored.
    at_least : float
        The scale so far: it never shrinks while a glacier fills.
    smallest : float
        Least scale, a power of ten.
    """
    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 98.0)) if known.size else 10.0
    exponent = np.floor(np.log10(max(top, smallest)))
    steps = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]) * 10.0**exponent
    return max(float(steps[np.searchsorted(steps, top)]) if top <= steps[-1] else top, at_least)
