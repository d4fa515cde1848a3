"""The map of one glacier in its cube's projection: a raster that fills block by block, outline and points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.xarray  # noqa: F401 - registers .hvplot
import numpy as np
import shapely
import xarray as xr
from bokeh.models import HoverTool
from panel.viewable import Viewer

from dashboard.colours import OUTLINE, SPEED_MAP
from dashboard.views.figures import Bounds, Limits, live, map_pane

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel as pn
    from numpy.typing import NDArray

    from dashboard.state.selection import Point

__all__ = ["GlacierMapView", "Raster", "nice_limit", "outline_lines", "point_marks", "speed_image"]


# Bokeh must always find the columns that colours and sizes come from, so an
# empty layer holds one point that is nowhere.
_NOWHERE = (np.nan, np.nan, OUTLINE, 1, "")


@dataclass(frozen=True)
class Raster:
    """A field on the pixels of a glacier.

    Parameters
    ----------
    x, y : ndarray, shape (nx,), (ny,)
        Pixel centres in the cube's CRS [m].
    values : ndarray, shape (ny, nx)
        What is shown [m/yr]; NaN where nothing is known yet.
    title : str
        What it is, in words.
    limit : float
        Upper end of the colour scale.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    values: NDArray[np.floating]
    title: str = "Speed [m/yr]"
    limit: float = 100.0

    @property
    def bounds(self) -> Bounds:
        """Edges of the outermost pixels."""
        half_x = abs(self.x[1] - self.x[0]) / 2 if len(self.x) > 1 else 60.0
        half_y = abs(self.y[1] - self.y[0]) / 2 if len(self.y) > 1 else 60.0
        return (
            float(self.x.min() - half_x),
            float(self.y.min() - half_y),
            float(self.x.max() + half_x),
            float(self.y.max() + half_y),
        )


def nice_limit(values: NDArray[np.floating], at_least: float = 0.0) -> float:
    """Return a round upper end of the colour scale, so that it seldom changes while blocks come in.

    Parameters
    ----------
    values : ndarray
        Speeds [m/yr]; NaN is ignored.
    at_least : float
        The scale so far: it never shrinks while a glacier fills.
    """
    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 98.0)) if known.size else 10.0
    exponent = np.floor(np.log10(max(top, 1.0)))
    steps = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]) * 10.0**exponent
    return max(float(steps[np.searchsorted(steps, top)]) if top <= steps[-1] else top, at_least)


def speed_image(raster: Raster | None) -> hv.Image:
    """Draw a field; pixels without a value are transparent."""
    if raster is None:
        raster = Raster(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.full((2, 2), np.nan))
    data = xr.DataArray(
        raster.values,
        coords={"y": raster.y, "x": raster.x},
        dims=("y", "x"),
        name="speed",
        attrs={"units": "m/yr"},
    )
    image = data.hvplot.image(
        x="x",
        y="y",
        cmap=SPEED_MAP,
        clim=(0.0, raster.limit),
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


class GlacierMapView(Viewer):
    """One figure in the projection of the cube that is open.

    Parameters
    ----------
    on_click : callable
        Told the x, y of a click [m, cube's CRS].
    """

    def __init__(self, on_click: Callable[[float, float], None], **params: Any) -> None:
        super().__init__(**params)
        self._limits = Limits(bounds=(0.0, 0.0, 1.0, 1.0), equal=True)
        self.raster: Raster | None = None
        self._raster_pipe = hv.streams.Pipe(data=None)
        self._outline_pipe = hv.streams.Pipe(data=None)
        self._points_pipe = hv.streams.Pipe(data=[])
        hover = HoverTool(tooltips=[("Speed", "@image{0,0} m/yr")], visible=False)
        image = live(speed_image, self._raster_pipe).opts(
            hv.opts.Image(tools=[hover], colorbar_opts={"width": 10, "padding": 4})
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
                    hooks=[self._limits.hook],
                )
            )
        )
        self.pane = map_pane(
            overlay,
            "itslive-glacier-map",
            self._limits,
            on_click,
            scalebar=True,
            scalebar_opts={"background_fill_alpha": 0.6, "border_line_alpha": 0.0},
            fontsize={"clabel": "12px", "cticks": "12px"},
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

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
