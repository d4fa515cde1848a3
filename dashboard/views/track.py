"""The lines on a map: those that were put there, the one that is being drawn, and marked places on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource

from dashboard.colours import ACCENT, GROUP_COLOUR, MARKER
from dashboard.views.hover import HOVER_PLACE, HOVER_TRACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vertices = NDArray[np.float64]

__all__ = ["TrackMarks", "with_gaps"]

_HALO = {"line_color": "white", "line_width": 4.5, "line_alpha": 0.75}


def with_gaps(lines: Sequence[Vertices]) -> dict[str, NDArray[np.float64]]:
    """Return lines of shape (n, 2) as columns x and y, NaN between them."""
    gap = np.full((1, 2), np.nan)
    pieces = [piece for line in lines for piece in (np.asarray(line, dtype=float).reshape(-1, 2), gap)]
    xy = np.concatenate(pieces) if pieces else np.empty((0, 2))
    return {"x": xy[:, 0], "y": xy[:, 1]}


class TrackMarks:
    """Layers of a map's figure, in its coordinates."""

    def __init__(self) -> None:
        empty = with_gaps([])
        self._others = ColumnDataSource(dict(empty))
        self._track = ColumnDataSource({**empty, "distance": np.empty(0)}, name=HOVER_TRACK)
        self._sketch = ColumnDataSource(dict(empty))
        self._marked = ColumnDataSource(dict(empty))
        self._hovered = ColumnDataSource(dict(empty), name=HOVER_PLACE)

    def hook(self, plot: Any, _element: Any) -> None:
        """Draw the layers, once; a hook."""
        figure = plot.handles["plot"]
        if figure.select_one({"name": "itslive-track"}) is not None:
            return
        figure.line("x", "y", source=self._others, line_color=GROUP_COLOUR, line_width=1.6, line_dash=[5, 3])
        figure.line("x", "y", source=self._track, **_HALO)
        figure.line("x", "y", source=self._track, line_color=ACCENT, line_width=2.4, name="itslive-track")
        figure.line("x", "y", source=self._sketch, **_HALO)
        figure.line("x", "y", source=self._sketch, line_color=MARKER, line_width=2.2, name="itslive-sketch")
        for source, size, colour in (
            (self._sketch, 7, MARKER),
            (self._marked, 12, MARKER),
            (self._hovered, 9, GROUP_COLOUR),
        ):
            figure.scatter(
                "x", "y", source=source, size=size, fill_color=colour, line_color="white", line_width=1.5
            )

    def show(self, track: Vertices, distance: NDArray[np.float64], others: Sequence[Vertices] = ()) -> None:
        """Show the line that is looked at, and others.

        Parameters
        ----------
        track : ndarray, shape (n, 2)
            The points of the line.
        distance : ndarray, shape (n,)
            Of each along it [m].
        others : sequence of ndarray, shape (n, 2)
        """
        xy = np.asarray(track, dtype=float).reshape(-1, 2)
        self._track.data = {"x": xy[:, 0], "y": xy[:, 1], "distance": np.asarray(distance, dtype=float)}
        self._others.data = dict(with_gaps(others))

    def sketch(self, vertices: Vertices) -> None:
        """Show the line that is being drawn, shape (n, 2)."""
        xy = np.asarray(vertices, dtype=float).reshape(-1, 2)
        self._sketch.data = {"x": xy[:, 0], "y": xy[:, 1]}

    def mark(self, place: tuple[float, float] | None) -> None:
        """Mark a place; None for none."""
        x, y = ([], []) if place is None else ([place[0]], [place[1]])
        self._marked.data = {"x": np.array(x, dtype=float), "y": np.array(y, dtype=float)}
