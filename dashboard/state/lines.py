"""The lines that a person has put on the ice, and what is looked at along them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import param

from itslive_core.errors import SettingsError
from itslive_core.places.lines import length_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["MAX_LINES", "POINTS", "QUANTITIES", "Line", "Lines", "spacing_of"]

MAX_LINES = 8
"""Lines that are kept; the oldest goes first."""
POINTS = (50, 100, 200, 400)
"""Points along a line, at most: what a person can choose."""
QUANTITIES = {"Speed": "speed", "Anomaly": "anomaly"}


@dataclass(frozen=True, eq=False)
class Line:
    """A line on the ice.

    Parameters
    ----------
    label : str
    vertices : ndarray, shape (n, 2)
        Longitude and latitude [degrees].
    key : int
        Unique within the session.
    """

    label: str
    vertices: NDArray[np.float64]
    key: int = field(default=0)

    @property
    def length(self) -> float:
        """On the ellipsoid [m]."""
        return length_of(self.vertices)


def spacing_of(line: Line, points: int, pixel: float) -> float:
    """Give the distance between points of a line, so that there are no more than so many [m].

    Parameters
    ----------
    line : Line
    points : int
    pixel : float
        Size of a pixel: closer points would tell the same twice [m].

    Raises
    ------
    SettingsError
        If the line is too short.
    """
    if line.length < pixel:
        raise SettingsError(
            f"the line is {line.length:.0f} m long, less than a pixel of {pixel:.0f} m: make it longer"
        )
    return max(pixel, line.length / (points - 1) * (1.0 - 1e-9))


class Lines(param.Parameterized):
    """Lines, the one that is looked at, and how. Lists are replaced, never changed in place."""

    lines = param.List(default=[], doc="The newest last.")
    active = param.ClassSelector(class_=Line, default=None, allow_None=True, doc="The one that is looked at.")
    quantity = param.Selector(default="speed", objects=QUANTITIES, label="Show")
    points = param.Selector(default=100, objects=list(POINTS), label="Points")
    drawing = param.Boolean(default=False, doc="Clicks on a map are vertices of a new line.")
    sketch = param.List(default=[], doc="Vertices of it so far: longitude and latitude [degrees].")
    measuring = param.Boolean(default=False, doc="Clicks are sightings of a front.")
    place = param.Number(default=None, allow_None=True, doc="Distance along the line that is marked [m].")

    def __init__(self, **params: Any) -> None:
        self._keys = count(1)
        super().__init__(**params)

    def add(self, found: Iterable[tuple[str, NDArray[np.float64]]]) -> None:
        """Add lines by their names, and look at the first of them; those that are there already stay.

        Of more than there is room for, the first count.
        """
        new = []
        for label, vertices in list(found)[:MAX_LINES]:
            known = next((one for one in self.lines if np.array_equal(one.vertices, vertices)), None)
            new.append(known or Line(label, vertices, next(self._keys)))
        if new:
            rest = [one for one in self.lines if one not in new]
            kept = [*rest, *new][-MAX_LINES:]
            self.param.update(lines=kept, active=new[0], place=None)

    def remove(self, line: Line) -> None:
        """Take a line off the list."""
        rest = [one for one in self.lines if one is not line]
        active = self.active if self.active is not line else (rest[-1] if rest else None)
        self.param.update(lines=rest, active=active, place=None)

    def begin(self) -> None:
        """Begin to draw a line."""
        self.param.update(drawing=True, sketch=[], measuring=False)

    def put(self, lon: float, lat: float) -> None:
        """Put the next vertex of the line that is drawn; a second click at the same place adds none."""
        if not self.sketch or self.sketch[-1] != (lon, lat):
            self.sketch = [*self.sketch, (lon, lat)]

    def take_back(self) -> None:
        """Take the last vertex back."""
        self.sketch = self.sketch[:-1]

    def finish(self) -> None:
        """Take the line that was drawn, where it has a length; end drawing."""
        vertices = np.array(self.sketch, dtype=float)
        self.param.update(drawing=False, sketch=[])
        if len(vertices) > 1:
            number = 1 + sum(one.label.startswith("Drawn") for one in self.lines)
            self.add([(f"Drawn {number}", vertices)])
