"""The map of one glacier in its cube's projection: a raster that fills block by block, outline and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import colorcet
import holoviews as hv
import hvplot.xarray  # noqa: F401 - registers .hvplot
import numpy as np
import shapely
import xarray as xr
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool
from panel.viewable import Viewer

from dashboard.colours import ACCENT, OUTLINE, SPEED_MAP
from dashboard.state.pictures import Raster
from dashboard.views.figures import Bounds, Limits, live, map_pane, weakly
from dashboard.views.track import TrackMarks

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel as pn

    from dashboard.state.pictures import Kind
    from dashboard.state.selection import Point

__all__ = ["GlacierMapView", "colour_labels", "field_image", "outline_lines", "point_marks", "point_names"]

_PALETTES: dict[Kind, Any] = {
    "size": SPEED_MAP,
    # Kovesi (2015), "Good colour maps: how to design them", made for the common colour vision deficiencies.
    "change": list(colorcet.CET_CBD1),
    "day": list(colorcet.CET_CBC1),
}
_FORMATS: dict[Kind, str] = {"size": "@image{0,0.[0]}", "change": "@image{+0,0.[00]}", "day": "day @image{0}"}
_QUARTERS = {0.0: "Jan", 91.3: "Apr", 182.6: "Jul", 273.9: "Oct", 365.25: "Jan"}


# Bokeh must always find the columns that colours and sizes come from, so an
# empty layer holds one point that is nowhere.
_NOWHERE = (np.nan, np.nan, OUTLINE, 1, "")


def colour_labels(raster: Raster) -> dict[float, str]:
    """Return where the colour scale is labelled, and how: round numbers, or the quarters of the year."""
    if raster.kind == "day":
        return dict(_QUARTERS)
    low, high = raster.range
    leading = round(high / 10.0 ** np.floor(np.log10(high)), 1)
    parts = {1.5: 3, 3.0: 3, 6.0: 3, 2.0: 4, 4.0: 4, 8.0: 4}.get(leading, 5)
    places = np.linspace(0.0, high, parts + 1)
    if low < 0:
        places = np.concatenate([-places[:0:-1], places])
    return {float(place): f"{place:,.6g}".replace("-", "−") for place in places}


def field_image(raster: Raster | None) -> hv.Image:
    """Draw a field; pixels without a value are transparent."""
    if raster is None:
        raster = Raster(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.full((2, 2), np.nan))
    data = xr.DataArray(
        raster.values,
        coords={"y": raster.y, "x": raster.x},
        dims=("y", "x"),
        name="image",
    )
    image = data.hvplot.image(
        x="x",
        y="y",
        cmap=_PALETTES[raster.kind],
        clim=raster.range,
        colorbar=True,
        hover=False,
        responsive=True,
        title="",
    )
    return image.opts(apply_ranges=False, clabel=raster.title, framewise=True)


def outline_lines(geometry: Any) -> hv.Curve:
    """Draw the rings of an outline that is already in the map's CRS."""
    rings = [] if geometry is None else shapely.get_rings(shapely.get_parts(geometry))
    gap = np.full((1, 2), np.nan)
    pieces = [piece for ring in rings for piece in (shapely.get_coordinates(ring), gap)]
    return hv.Curve(np.concatenate([*pieces, gap]), "x", "y")


def point_marks(points: list[Point]) -> hv.Points:
    """Draw the selected points in the colours of their curves, the active one larger."""
    rows = [(p.x, p.y, p.colour, 15 if p is points[-1] else 10, p.label) for p in points] or [_NOWHERE]
    return hv.Points(rows, ["x", "y"], ["colour", "size", "place"])


def point_names(points: list[Point]) -> dict[str, list[Any]]:
    """Return where the number of each point is written, where there are several: columns x, y, number."""
    named = points if len(points) > 1 else []
    return {
        "x": [point.x for point in named],
        "y": [point.y for point in named],
        "number": [str(point.number) for point in named],
    }


class GlacierMapView(Viewer):
    """One figure in the projection of the cube that is open.

    Parameters
    ----------
    on_click : callable
        Told the x, y of a click [m, cube's CRS], and whether the shift key was held.
    """

    def __init__(self, on_click: Callable[[float, float, bool], None], **params: Any) -> None:
        super().__init__(**params)
        self._limits = Limits(bounds=(0.0, 0.0, 1.0, 1.0), equal=True)
        self.raster: Raster | None = None
        self.track = TrackMarks()
        """Lines on the map, in its coordinates."""
        self._names = ColumnDataSource(point_names([]))
        self._raster_pipe = hv.streams.Pipe(data=None)
        self._outline_pipe = hv.streams.Pipe(data=None)
        self._points_pipe = hv.streams.Pipe(data=[])
        self._hover = HoverTool(tooltips=[], visible=False)
        image = live(field_image, self._raster_pipe).opts(
            hv.opts.Image(
                tools=[self._hover], colorbar_opts={"width": 10, "padding": 4}, hooks=[weakly(self._explain)]
            )
        )
        overlay = (
            image
            * live(outline_lines, self._outline_pipe).opts(
                hv.opts.Curve(color=OUTLINE, line_width=1.6, apply_ranges=False)
            )
            * live(point_marks, self._points_pipe).opts(
                hv.opts.Points(
                    color="colour",
                    size="size",
                    line_color="white",
                    line_width=2,
                    apply_ranges=False,
                    hooks=[weakly(self._limits.hook)],
                )
            )
        )
        self.pane = map_pane(
            overlay,
            "itslive-glacier-map",
            self._limits,
            on_click,
            weakly(self.track.hook),
            weakly(self._write_names),
            scalebar=True,
            scalebar_opts={"background_fill_alpha": 0.6, "border_line_alpha": 0.0},
            fontsize={"clabel": "12px", "cticks": "12px"},
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def _write_names(self, plot: Any, _element: Any) -> None:
        """Write the numbers of points beside their marks, once; a hook."""
        figure = plot.handles["plot"]
        if figure.select_one({"name": "itslive-point-names"}) is None:
            figure.text(
                "x",
                "y",
                "number",
                source=self._names,
                x_offset=8,
                y_offset=-5,
                text_color=ACCENT,
                text_outline_color="white",
                text_font_size="13px",
                text_font_style="bold",
                name="itslive-point-names",
            )

    def _explain(self, plot: Any, _element: Any) -> None:
        """Label the colours, and tell of a pixel what is shown; a hook."""
        raster = self.raster or Raster(np.empty(0), np.empty(0), np.empty((0, 0)))
        self._hover.tooltips = [(raster.name, f"{_FORMATS[raster.kind]} {raster.unit}")]
        bar = plot.handles.get("colorbar")
        if bar is None:
            return
        # The browser takes over neither another ticker nor the loss of a label; it does follow these.
        if not isinstance(bar.ticker, FixedTicker):
            bar.ticker = FixedTicker()
        labels = colour_labels(raster)
        bar.ticker.ticks = list(labels)
        bar.update(title=raster.title, major_label_overrides=labels)

    def show_place(self, bounds: Bounds, outline: Any) -> None:
        """Turn to another glacier: empty raster, its outline, its bounds."""
        self._limits.set(bounds)
        self.raster = None
        self._raster_pipe.send(None)
        self._outline_pipe.send(outline)

    def show_raster(self, raster: Raster) -> None:
        """Send a new state of the raster; the axes stay."""
        self.raster = raster
        self._raster_pipe.send(raster)

    def show_points(self, points: list[Point]) -> None:
        """Send the selected points of this cube."""
        self._points_pipe.send(points)
        self._names.data = point_names(points)
