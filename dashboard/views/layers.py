"""Layers of a figure that are drawn from one stream of data, and follow it fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import holoviews as hv
import numpy as np
from bokeh.models import Segment

from dashboard.views.curves import band_outline
from dashboard.views.figures import live, weakly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Columns: TypeAlias = Mapping[str, NDArray[Any]]

__all__ = ["LiveLayers", "colour_by_column", "columns_of", "fill"]

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
    return _with_colours(
        {dimension.name: element.dimension_values(dimension) for dimension in element.dimensions()}
    )


def _with_colours(columns: Columns) -> dict[str, NDArray[Any]]:
    """Give what colours come from the name by which HoloViews calls it, too."""
    return {**columns, "color": columns["colour"]} if "colour" in columns else dict(columns)


def fill(source: Any, columns: Columns) -> None:
    """Put other columns into a source; those that stay as they are are not sent again.

    Parameters
    ----------
    source : ColumnDataSource
    columns : mapping of str to ndarray
        All of them.
    """
    before = source.data
    if set(before) != set(columns) or any(len(before[name]) != len(new) for name, new in columns.items()):
        source.data = dict(columns)
        return
    changed = {name: new for name, new in columns.items() if not _same(before[name], new)}
    if changed:
        before.update(changed)  # the source notices


def _same(one: Any, other: NDArray[Any]) -> bool:
    if not isinstance(one, np.ndarray) or one.dtype != other.dtype:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fM"))


class LiveLayers:
    """Elements that are drawn from the same data.

    Where a server shows the figure, new data go straight into its sources. That takes a few milliseconds; an
    update through HoloViews, which serves a notebook, takes 40 to 150.

    Parameters
    ----------
    draw : mapping of str to callable
        By name, from the back to the front: takes the data and returns an element of one type, whose style
        does not depend on the data, but for `style`, and for colours that come from a column ``colour``.
    data : object
        What is shown at first.
    sources : callable, optional
        Takes the data and returns the columns of the source of each layer by name, where that is quicker than
        by way of its element.
    style : callable, optional
        Takes the name of a layer and the data, and returns properties of its glyph that depend on the data.
    hooks : sequence of callable
        More hooks of each element.
    """

    def __init__(
        self,
        draw: Mapping[str, Callable[[Any], hv.Element]],
        data: Any = None,
        *,
        sources: Callable[[Any], Mapping[str, Columns]] | None = None,
        style: Callable[[str, Any], Mapping[str, Any]] | None = None,
        hooks: Sequence[Callable[[Any, Any], None]] = (),
    ) -> None:
        self._draw, self._sources, self._style = draw, sources, style
        self._hooks = list(hooks)
        self._pipe = hv.streams.Pipe(data=data)
        self.plots: dict[str, Any] = {}

    @property
    def data(self) -> Any:
        """What is shown."""
        return self._pipe.data

    @property
    def direct(self) -> bool:
        """Whether a server shows the figure."""
        if len(self.plots) < len(self._draw):
            return False
        document = next(iter(self.plots.values())).document
        return document is not None and document.session_context is not None

    def layer(self, name: str) -> hv.DynamicMap:
        """Return one layer, for a figure that puts others between them."""
        draw, hooks = self._draw[name], [weakly(self._keep, name), *self._hooks]
        return live(lambda data: draw(data).opts(hooks=hooks), self._pipe)

    def _keep(self, name: str, plot: Any, element: hv.Element) -> None:
        """Keep the plot of a layer; a hook."""
        self.plots[name] = plot
        plot.handles["glyph_renderer"].name = name  # for scripts in the browser
        colour_by_column(plot, element)

    def overlay(self) -> hv.Overlay:
        """Return the layers as one picture."""
        return hv.Overlay([self.layer(name) for name in self._draw]).collate()

    def send(self, data: Any) -> None:
        """Show other data."""
        self._pipe.update(data=data)
        if not self.direct:
            hv.streams.Stream.trigger([self._pipe])
            return
        known = self._sources(data) if self._sources is not None else {}
        for name, draw in self._draw.items():
            handles = self.plots[name].handles
            if self._style is not None:
                handles["glyph"].update(**self._style(name, data))
            columns = _with_colours(known[name]) if name in known else columns_of(draw(data))
            fill(handles["source"], columns)


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
