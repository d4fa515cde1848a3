"""What is selected: the cube, the glaciers and the points."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import param

from dashboard.colours import POINT_COLOURS

if TYPE_CHECKING:
    from itslive_core import Datacube, Glacier

__all__ = ["MAX_POINTS", "Point", "Selection"]

MAX_POINTS = len(POINT_COLOURS)
"""More curves than this cannot be told apart by colour."""


@dataclass(frozen=True)
class Point:
    """A pixel that a person clicked.

    Parameters
    ----------
    lon, lat : float
        Position asked for [degrees, WGS 84].
    x, y : float
        Centre of the nearest pixel in the cube's CRS [m].
    cube_url : str
        The cube it is read from.
    slot : int
        Index of its colour, which it keeps as long as it is selected.
    key : int
        Unique within the session.
    """

    lon: float
    lat: float
    x: float
    y: float
    cube_url: str
    slot: int = 0
    key: int = field(default=0, compare=False)

    @property
    def colour(self) -> str:
        """Colour of its curve and of its marks on the maps."""
        return POINT_COLOURS[self.slot]

    @property
    def number(self) -> int:
        """What it is called beside its mark; it stays as long as the point is selected."""
        return self.slot + 1

    @property
    def label(self) -> str:
        """Position in degrees, as a person reads it."""
        north, east = ("N" if self.lat >= 0 else "S"), ("E" if self.lon >= 0 else "W")
        return f"{abs(self.lat):.4f}° {north}, {abs(self.lon):.4f}° {east}"


class Selection(param.Parameterized):
    """The single source of truth for what the views show. Lists are replaced, never changed in place."""

    cube: Datacube | None = param.Parameter(default=None, doc="The cube that is open.")
    cubes = param.List(default=[], doc="All cubes that are open.")
    known = param.List(default=[], doc="Glaciers whose outlines are loaded.")
    glaciers = param.List(default=[], doc="Glaciers that are selected; the last one is active.")
    points = param.List(default=[], doc="Points that are selected; the last one is active.")
    compare = param.Boolean(
        default=False, label="Compare points", doc="Keep the points when another one is clicked."
    )

    def __init__(self, **params: Any) -> None:
        self._keys = count(1)
        super().__init__(**params)

    @property
    def glacier(self) -> Glacier | None:
        """The active glacier."""
        return self.glaciers[-1] if self.glaciers else None

    @property
    def point(self) -> Point | None:
        """The active point."""
        return self.points[-1] if self.points else None

    def glacier_at(self, lon: float, lat: float) -> Glacier | None:
        """Return the smallest loaded glacier that contains a position, or None."""
        hits = [glacier for glacier in self.known if glacier.covers(lon, lat)]
        return min(hits, key=lambda glacier: glacier.outline.area) if hits else None

    def select_glacier(self, glacier: Glacier) -> None:
        """Make a glacier the active one, adding it where it is new."""
        if self.glacier is not glacier:
            self.glaciers = [one for one in self.glaciers if one is not glacier] + [glacier]

    def remove_glacier(self, glacier: Glacier) -> None:
        """Take a glacier off the list; its outline stays loaded."""
        self.glaciers = [one for one in self.glaciers if one is not glacier]

    def learn(self, glaciers: list[Glacier]) -> None:
        """Add outlines to those that are loaded."""
        self.known = [*self.known, *glaciers]

    def add_point(self, point: Point, *, keep: bool = False) -> Point:
        """Select a point: beside the others when comparing, else in place of them.

        Parameters
        ----------
        point : Point
        keep : bool
            Keep the others also where points are not compared.

        Returns
        -------
        Point
            The point with its colour and key. Where it was selected already, that one, now active.
        """
        keep = keep or self.compare
        same = next((one for one in self.points if one == replace(point, slot=one.slot)), None)
        if same is not None:
            rest = [one for one in self.points if one is not same]
            if keep and rest:
                self.points = [*rest, same]
                return same
        kept = self.points[-(MAX_POINTS - 1) :] if keep else []
        used = {one.slot for one in kept}
        slot = next(index for index in range(MAX_POINTS) if index not in used)
        new = replace(point, slot=slot, key=next(self._keys))
        self.points = [*kept, new]
        return new

    def restore(self, points: list[Point]) -> None:
        """Select points that a link names, each with its colour, in place of all others."""
        self.points = [replace(point, key=next(self._keys)) for point in points]

    def remove_point(self, point: Point) -> None:
        """Take a point off the list."""
        self.points = [one for one in self.points if one is not point]
