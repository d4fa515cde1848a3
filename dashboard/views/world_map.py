"""The world in Web Mercator: where there are cubes, glaciers and points."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cartopy.crs as ccrs
import geoviews as gv
import holoviews as hv
import numpy as np
import shapely
from bokeh.models import ColumnDataSource, CustomJSTransform, TileRenderer, WMTSTileSource
from bokeh.transform import transform
from panel.viewable import Viewer

from dashboard.colours import ACCENT, COAST, LAND, OUTLINE
from dashboard.resources import asset
from dashboard.views.figures import Bounds, Hook, Limits, live, map_pane, weakly

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel as pn
    from numpy.typing import NDArray

    from dashboard.state.selection import Point

__all__ = [
    "EDGES",
    "GAP",
    "WorldMapView",
    "background",
    "geometry_path",
    "land_patch",
    "marks",
    "steps_of",
    "to_lonlat",
    "to_mercator",
]

MERCATOR = ccrs.GOOGLE_MERCATOR
_LIMIT = 20037508.342789244
_NEAR_EDGE = 0.97 * _LIMIT
EDGES = (20.036e6, 19.971e6)
"""Where the map ends in x and in y, less a little: what runs there is no coast [m]."""
GAP = -(2**31)
"""Stands for no coordinate among steps."""
_DECODE = """
let at = 0
const out = new Float64Array(xs.length)
for (let i = 0; i < xs.length; i += 1) {
  if (xs[i] == gap) { out[i] = NaN; continue }
  at += xs[i]
  out[i] = Math.abs(at * step) > most ? NaN : at * step
}
return out
"""
_COARSE, _FINE = 512.0, 64.0
"""To so many metres coasts and footprints are rounded: below what their sources can tell."""
_START: Bounds = (-_LIMIT, -9.0e6, _LIMIT, 1.6e7)
_IMAGERY = "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/{Z}/{Y}/{X}"
_CREDIT = "Imagery: Esri, Maxar, Earthstar Geographics"


def to_mercator(lon: Any, lat: Any) -> tuple[Any, Any]:
    """Longitude and latitude [degrees] -> Web Mercator x, y [m]; the poles are cut at 85.06 degrees.

    Longitudes run on past 180 degrees: what crosses there stays in one piece.
    """
    lat = np.radians(np.clip(lat, -85.06, 85.06))
    return np.asarray(lon) / 180.0 * _LIMIT, np.arctanh(np.sin(lat)) / np.pi * _LIMIT


def to_lonlat(x: float, y: float) -> tuple[float, float]:
    """Web Mercator [m] -> longitude, latitude [degrees]; copies of the world beside it count as the world."""
    lat = np.degrees(np.arcsin(np.tanh(y / _LIMIT * np.pi)))
    return float((x / _LIMIT * 180.0 + 180.0) % 360.0 - 180.0), float(lat)


def _mercator_geometry(geometry: Any) -> Any:
    return shapely.transform(geometry, lambda xy: np.column_stack(to_mercator(xy[:, 0], xy[:, 1])))


@lru_cache(maxsize=1)
def land_patch() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the land as one patch: pieces and the inland seas in them, separated by NaN [m].

    A polygon element would be split into its hundreds of islands in each session, which takes seconds; the
    browser draws one patch as it is, by the rule of even and odd.
    """
    with np.load(asset("land.npz")) as data:
        x, y = (np.concatenate([data[k], [np.nan], data[f"holes_{k}"]]) for k in ("x", "y"))
    for array in (x, y):
        array.setflags(write=False)
    return x, y


def steps_of(values: NDArray[np.float64], step: float) -> NDArray[np.int32]:
    """Write coordinates as steps from one to the next: a fourth of the bytes on the wire, once compressed.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Coordinates, NaN between pieces [m].
    step : float
        To so many metres they are rounded.

    Returns
    -------
    ndarray of int32, shape (n,)
        Steps, `GAP` where there is no coordinate.
    """
    finite = np.isfinite(values)
    out = np.full(len(values), GAP, dtype=np.int32)
    out[finite] = np.diff(np.round(values[finite] / step), prepend=0.0)
    return out


def _lines(
    x: NDArray[np.float64], y: NDArray[np.float64], step: float
) -> tuple[ColumnDataSource, Callable[[str, float], Any]]:
    """Make a source of lines as steps, and what turns its columns into coordinates."""
    source = ColumnDataSource({"x": steps_of(x, step), "y": steps_of(y, step)})

    def column(name: str, most: float) -> Any:
        decode = CustomJSTransform(args={"gap": GAP, "step": step, "most": most}, v_func=_DECODE)
        return transform(name, decode)

    return source, column


def background(edges: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Hook:
    """Make a hook that draws what never changes below everything else: land, coasts, footprints of cubes.

    Parameters
    ----------
    edges : tuple of ndarray, shape (n,)
        Footprints as one line: x and y in Web Mercator [m], NaN between the pieces; cheaper than polygons.
    """

    def hook(plot: Any, _element: Any) -> None:
        figure = plot.handles["plot"]
        if figure.select_one({"name": "itslive-land"}) is not None:
            return
        source, column = _lines(*land_patch(), _COARSE)
        anywhere, inside = (np.inf, np.inf), EDGES
        glyphs: tuple[tuple[str, Any, tuple[float, float], dict[str, Any]], ...] = (
            ("land", figure.patch, anywhere, {"fill_color": LAND, "fill_alpha": 0.25, "line_color": None}),
            ("coast", figure.line, inside, {"line_color": COAST, "line_alpha": 0.8, "line_width": 0.7}),
            ("cubes", figure.line, anywhere, {"line_color": ACCENT, "line_alpha": 0.4, "line_width": 0.7}),
        )
        for name, draw, most, style in glyphs:
            if name == "cubes":
                source, column = _lines(*edges, _FINE)
            places = [column(axis, limit) for axis, limit in zip("xy", most, strict=True)]
            draw(*places, source=source, level="image", name=f"itslive-{name}", **style)

    return hook


def geometry_path(geometries: list[Any]) -> hv.Curve:
    """Draw outlines or lines given in longitude and latitude."""
    pieces: list[NDArray[np.float64]] = []
    gap = np.full((1, 2), np.nan)
    for geometry in geometries:
        shape = _mercator_geometry(geometry)
        polygons = shapely.get_type_id(shape) in {3, 6}
        parts = shapely.get_rings(shapely.get_parts(shape)) if polygons else shapely.get_parts(shape)
        for part in parts:
            xy = shapely.get_coordinates(part)
            pieces += [xy, gap]
            # What crosses 180 degrees is seen at both edges of the map.
            beyond = float(np.max(np.abs(xy[:, 0]), initial=0.0)) > _LIMIT
            if beyond:
                turn = -2.0 * _LIMIT if xy[:, 0].max() > _LIMIT else 2.0 * _LIMIT
                pieces += [xy + np.array([turn, 0.0]), gap]
    return hv.Curve(np.concatenate([*pieces, gap]), "x", "y")


def marks(points: list[Point]) -> gv.Points:
    """Draw the selected points in the colours of their curves."""
    # Bokeh must always find the columns of colour and size, so an empty layer holds one point of no size.
    rows = []
    for point in points:
        x, y = (float(value) for value in to_mercator(point.lon, point.lat))
        rows.append((x, y, point.colour, 10))
        if abs(x) > _NEAR_EDGE:  # a glacier across 180 degrees is shown beyond the edge, too
            rows.append((x - np.sign(x) * 2.0 * _LIMIT, y, point.colour, 10))
    rows = rows or [(0.0, 0.0, ACCENT, 0)]
    return gv.Points(rows, ["x", "y"], ["colour", "size"], crs=MERCATOR)


class WorldMapView(Viewer):
    """One figure; a click is told in longitude and latitude.

    Parameters
    ----------
    edges : tuple of ndarray, shape (n,)
        Footprints of the cubes: x and y in Web Mercator [m], NaN between the pieces.
    on_click : callable
        Told the longitude and latitude of a click [degrees].
    """

    def __init__(self, edges: Any, on_click: Callable[[float, float], None], **params: Any) -> None:
        super().__init__(**params)
        self._limits = Limits(bounds=_START, equal=True)
        self._tiles: TileRenderer | None = None
        self._footprints_pipe = hv.streams.Pipe(data=[])
        self._known_pipe = hv.streams.Pipe(data=[])
        self._selected_pipe = hv.streams.Pipe(data=[])
        self._lines_pipe = hv.streams.Pipe(data=[])
        self._points_pipe = hv.streams.Pipe(data=[])

        def paths(pipe: hv.streams.Pipe, **style: Any) -> hv.DynamicMap:
            return live(geometry_path, pipe).opts(
                hv.opts.Curve(apply_ranges=False, hooks=[weakly(self._limits.hook)], **style)
            )

        overlay = (
            paths(self._footprints_pipe, color=ACCENT, line_width=1.8, alpha=0.9)
            * paths(self._known_pipe, color=OUTLINE, line_width=1.1, alpha=0.7)
            * paths(self._lines_pipe, color=ACCENT, line_width=1.2, line_dash="dashed")
            * paths(self._selected_pipe, color=OUTLINE, line_width=2.4)
            * live(marks, self._points_pipe).opts(
                hv.opts.Points(
                    color="colour", size="size", line_color="white", line_width=1.5, apply_ranges=False
                )
            )
        )
        self.pane = map_pane(
            overlay,
            "itslive-world-map",
            self._limits,
            lambda x, y, _: on_click(*to_lonlat(x, y)),
            background(edges),
            default_tools=["pan", "wheel_zoom", "reset"],
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show_known(self, geometries: list[Any]) -> None:
        """Send the outlines that are loaded [degrees]."""
        self._known_pipe.send(geometries)

    def show_footprints(self, geometries: list[Any]) -> None:
        """Send the edges of the cubes that are open [degrees]."""
        self._footprints_pipe.send(geometries)

    def show_lines(self, geometries: list[Any]) -> None:
        """Send centrelines [degrees]."""
        self._lines_pipe.send(geometries)

    def show_points(self, points: list[Point]) -> None:
        """Send the selected points."""
        self._points_pipe.send(points)

    def show_selected(self, geometries: list[Any], zoom: Bounds | None = None) -> None:
        """Send the outlines of the selected glaciers and zoom to a box [degrees: w, s, e, n]."""
        if zoom is not None:
            self.zoom(zoom)
        self._selected_pipe.send(geometries)

    def zoom(self, box: Bounds | None, margin: float = 0.35) -> None:
        """Zoom to a box [degrees: w, s, e, n], or out to the world, with the next update."""
        if box is None:
            self._limits.set(_START)
            return
        west, south, east, north = box
        east = east + 360.0 if east < west else east
        x, y = to_mercator(np.array([west, east]), np.array([south, north]))
        pad = margin * max(x[1] - x[0], y[1] - y[0], 2000.0)
        self._limits.set((x[0] - pad, y[0] - pad, x[1] + pad, y[1] + pad))

    def refresh(self) -> None:
        """Draw again what is selected, so that a pending zoom takes place."""
        self._selected_pipe.send(self._selected_pipe.data)

    def show_imagery(self, shown: bool) -> None:
        """Put satellite imagery from the internet below the map, or take it away."""
        figure = self._limits.figure
        if figure is None:
            return
        if self._tiles is None and shown:
            source = WMTSTileSource(url=_IMAGERY, attribution=_CREDIT)
            self._tiles = TileRenderer(tile_source=source, level="image", alpha=0.9)
            figure.renderers = [self._tiles, *figure.renderers]
        elif self._tiles is not None:
            self._tiles.visible = shown
