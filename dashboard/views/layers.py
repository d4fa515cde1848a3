"""Layers of a figure that are drawn from one stream of data, and follow it fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
from bokeh.models import Segment

from dashboard.views.curves import band_outline
from dashboard.views.figures import live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["LiveLayers", "colour_by_column", "columns_of"]

_LINES = {"x", "cross", "asterisk"}
"""Markers that are drawn with lines only."""


def columns_of(element: hv.Element) -> dict[str, NDArray[Any]]:
    """Return the columns of the Bokeh source that HoloViews would make of an element.

    Parameters
    ----------
    element : Curve, Points or Segments; or Area with limits ``low`` and ``high``, in pieces.
    """
    if isinstance(element, hv.Area):
        return band_outline(element.dframe())
    data = {dimension.name: element.dimension_values(dimension) for dimension in element.dimensions()}
    if "colour" in data:
        data["color"] = data["colour"]  # the name that HoloViews gives to what colours come from
    return data


class LiveLayers:
    """Elements that are drawn from the same data.

    Where a server shows the figure, new data go straight into its sources, which takes a few milliseconds; a
    notebook is served through HoloViews.

    Parameters
    ----------
    draw : mapping of str to callable
        By name, from the back to the front: takes the data and returns an element of one type, whose style
        does not depend on the data, but for colours: they come from a column ``colour``.
    data : object
        What is shown at first.
    """

    def __init__(self, draw: Mapping[str, Callable[[Any], hv.Element]], data: Any = None) -> None:
        self._draw = draw
        self._pipe = hv.streams.Pipe(data=data)
        self.plots: dict[str, Any] = {}

    @property
    def direct(self) -> bool:
        """Whether a server shows the figure."""
        if len(self.plots) < len(self._draw):
            return False
        document = next(iter(self.plots.values())).document
        return document is not None and document.session_context is not None

    def overlay(self) -> hv.Overlay:
        """Return the layers as one picture."""
        return hv.Overlay([self._layer(name) for name in self._draw]).collate()

    def send(self, data: Any) -> None:
        """Show other data."""
        self._pipe.update(data=data)
        if self.direct:
            for name, draw in self._draw.items():
                self.plots[name].handles["source"].data = columns_of(draw(data))
        else:
            hv.streams.Stream.trigger([self._pipe])

    def _layer(self, name: str) -> hv.DynamicMap:
        def keep(plot: Any, element: hv.Element) -> None:
            self.plots[name] = plot
            plot.handles["glyph_renderer"].name = name  # for scripts in the browser
            colour_by_column(plot, element)

        draw = self._draw[name]
        return live(lambda data: draw(data).opts(hooks=[keep]), self._pipe)


def colour_by_column(plot: Any, element: hv.Element) -> None:
    """Take colours from the source, also where at first all are the same or there are none; a hook.

    HoloViews would then fix the one colour, and data that are written into the source later would keep it.
    """
    if "colour" not in [dimension.name for dimension in element.dimensions()]:
        return
    glyph, source = plot.handles["glyph"], plot.handles["source"]
    source.data = columns_of(element)
    if isinstance(glyph, Segment) or glyph.marker in _LINES:
        glyph.line_color = "color"
    else:
        glyph.fill_color = "color"
