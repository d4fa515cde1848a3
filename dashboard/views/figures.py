"""What the figures share: axis limits set once, true proportions, quiet toolbars, the pane round them."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import ismethod
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakMethod

import holoviews as hv
import panel as pn
from bokeh.models import CustomJS, Span

from dashboard.colours import GROUP_COLOUR, MARKER
from dashboard.views.clicks import on_tap

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AXIS_ROOM",
    "Bounds",
    "Hook",
    "Limits",
    "calm",
    "equal_scale",
    "fit_box",
    "live",
    "map_pane",
    "named",
    "pane_of",
    "pixel_size",
    "time_cursor",
    "weakly",
    "zero_line",
]

Bounds: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

Hook: TypeAlias = "Callable[[Any, Any], None]"
"""Of a HoloViews element: takes the plot and the element."""

AXIS_ROOM = 72
"""Room left of the frame of figures that stand below each other and share a time axis [pixels]."""

# A map keeps one scale on both axes: when its frame changes, both ranges grow to hold what was in view.
_KEEP_SCALE = """
const w = fig.inner_width, h = fig.inner_height
if (!(w > 1 && h > 1)) { return }
const x = fig.x_range, y = fig.y_range
const target = fig.tags[0]
let [x0, y0, x1, y1] = [x.start, y.start, x.end, y.end]
if (target != null && target.length == 4 && target.join() != fig._itslive_target) {
  fig._itslive_target = target.join();
  [x0, y0, x1, y1] = target
}
const scale = Math.max((x1 - x0) / w, (y1 - y0) / h)
const xc = (x0 + x1) / 2, yc = (y0 + y1) / 2
if (!isFinite(scale) || scale <= 0) { return }
x.setv({start: xc - scale * w / 2, end: xc + scale * w / 2})
y.setv({start: yc - scale * h / 2, end: yc + scale * h / 2})
"""


def fit_box(bounds: Bounds, width: float, height: float, margin: float = 0.08) -> Bounds:
    """Return the smallest box around `bounds` with the proportions of a frame.

    Parameters
    ----------
    bounds : tuple of float
        x0, y0, x1, y1 of what should be seen.
    width, height : float
        Size of the frame [pixels].
    margin : float
        Room on every side, as a fraction of the larger extent.
    """
    x0, y0, x1, y1 = bounds
    pad = margin * max(x1 - x0, y1 - y0)
    scale = max((x1 - x0 + 2 * pad) / max(width, 1), (y1 - y0 + 2 * pad) / max(height, 1))
    xc, yc = (x0 + x1) / 2, (y0 + y1) / 2
    return xc - scale * width / 2, yc - scale * height / 2, xc + scale * width / 2, yc + scale * height / 2


@dataclass
class Limits:
    """Axis limits that the next update of a figure takes over, once.

    Nothing else moves the axes, neither new data nor a refit: nothing jumps, and a person's zoom stays.

    Parameters
    ----------
    bounds : tuple of float, optional
        What is in view.
    equal : bool
        Keep one scale on both axes.
    moves_x : bool
        False leaves the x axis to somebody else.
    on_click : callable, optional
        Told x and y of a click in the figure, and whether the shift key was held.
    """

    bounds: Bounds | None = None
    equal: bool = False
    moves_x: bool = True
    on_click: Callable[[float, float, bool], None] | None = field(default=None, repr=False)
    figure: Any = field(default=None, repr=False)
    _pending: bool = True

    def set(self, bounds: Bounds) -> None:
        """Show other limits from the next update on."""
        self.bounds = bounds
        self._pending = True

    def hook(self, plot: Any, _element: Any) -> None:
        """Take over pending limits; a hook of a HoloViews element."""
        figure = plot.handles["plot"]
        drawn_anew = figure is not self.figure
        self.figure = figure
        if (self._pending or drawn_anew) and self.bounds is not None:
            self.apply()
        if self.on_click is not None:
            on_tap(plot, self.on_click)

    def apply(self, *, values_only: bool = False) -> None:
        """Write the limits into the figure, or those of its y axis alone."""
        figure = self.figure
        if figure is None or self.bounds is None:
            return
        x0, y0, x1, y1 = self.bounds
        if self.equal:
            figure.tags = [list(self.bounds)]
            width, height = _inner_size(figure)
            x0, y0, x1, y1 = fit_box(self.bounds, width, height, margin=0.0)
        if self.moves_x and not values_only:
            figure.x_range.update(start=x0, end=x1, reset_start=x0, reset_end=x1)
        figure.y_range.update(start=y0, end=y1, reset_start=y0, reset_end=y1)
        self._pending = False


def _inner_size(figure: Any) -> tuple[float, float]:
    """Size of the frame as the browser last reported it, or a guess before it did."""
    try:
        width, height = float(figure.inner_width), float(figure.inner_height)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return 600.0, 360.0
    return (width, height) if width > 1 and height > 1 else (600.0, 360.0)


def pixel_size(figure: Any) -> tuple[float, float]:
    """Return the size of a pixel of the screen in the units of both axes of a figure."""
    width, height = _inner_size(figure)
    x, y = figure.x_range, figure.y_range
    return float(x.end - x.start) / width, float(y.end - y.start) / height


def equal_scale(plot: Any, _element: Any) -> None:
    """Keep true proportions whatever the size of the frame; a hook."""
    figure = plot.handles["plot"]
    if any("change:inner_width" in key for key in figure.js_property_callbacks):
        return
    keep = CustomJS(args={"fig": figure}, code=_KEEP_SCALE)
    figure.js_on_change("inner_width", keep)
    figure.js_on_change("inner_height", keep)
    figure.js_on_change("tags", keep)


def calm(plot: Any, _element: Any) -> None:
    """Hide what is not needed all the time; a hook."""
    figure = plot.handles["plot"]
    # Reading the picture back from WebGL takes seconds where that runs in software; a canvas is quick.
    figure.output_backend = "canvas"
    figure.toolbar.autohide = True
    figure.toolbar.logo = None
    figure.min_border = 4
    # The card shows through, so that light and dark need no colours of their own here.
    figure.border_fill_alpha = 0.0
    figure.background_fill_alpha = 0.0
    figure.outline_line_alpha = 0.0


def named(name: str) -> Any:
    """Make a hook that names the figure, so that scripts in the browser find it."""

    def hook(plot: Any, _element: Any) -> None:
        plot.handles["plot"].name = name

    return hook


def zero_line(figure: Any, dimension: str) -> None:
    """Draw the line of zero behind everything, once.

    Parameters
    ----------
    figure : Bokeh figure
    dimension : {"width", "height"}
        Along x or along y.
    """
    if figure.select_one({"name": "itslive-zero"}) is None:
        line = Span(name="itslive-zero", location=0.0, dimension=dimension, level="underlay")
        line.line_color = GROUP_COLOUR
        figure.add_layout(line)


def weakly(method: Any, *first: Any) -> Hook:
    """Make a hook of a method that does not keep its owner alive.

    HoloViews keeps the options of an element, its hooks among them, until the element is gone. A hook that
    leads to a view leads to its element, too: neither would ever go, nor the session that they belong to.

    Parameters
    ----------
    method : callable
        Takes a plot and an element. The owner of a bound method outlives the figure; a function has none, and
        is kept.
    *first
        What it takes before these.
    """
    known = WeakMethod(method) if ismethod(method) else lambda: method

    def hook(plot: Any, element: Any) -> None:
        act = known()
        if act is not None:
            act(*first, plot, element)

    return hook


def time_cursor(name: str) -> Span:
    """Make the upright line that marks a time; hidden at first."""
    return Span(
        name=name,
        location=0.0,
        dimension="height",
        line_color=MARKER,
        line_width=1.5,
        line_dash="dashed",
        visible=False,
    )


def live(draw: Callable[[Any], Any], pipe: hv.streams.Pipe) -> hv.DynamicMap:
    """Draw again whatever is sent into a pipe."""
    # HoloViews wants an argument of this name
    return hv.DynamicMap(lambda data: draw(data), streams=[pipe])  # noqa: PLW0108


def pane_of(plot: Any, name: str, **options: Any) -> pn.pane.HoloViews:
    """Make the pane of a figure; it fills what there is and shares no axis unless told.

    Parameters
    ----------
    plot : HoloViews object
    name : str
        Its class in the page.
    **options
        Of the pane, instead of the usual ones.
    """
    usual: dict[str, Any] = {"sizing_mode": "stretch_both", "min_height": 200}
    return pn.pane.HoloViews(plot, css_classes=[name], theme=None, linked_axes=False, **{**usual, **options})


def map_pane(
    overlay: hv.Overlay,
    name: str,
    limits: Limits,
    on_click: Callable[[float, float, bool], None],
    *hooks: Any,
    **options: Any,
) -> pn.pane.HoloViews:
    """Make the pane of a map: no axes, true proportions, a click is told in the map's coordinates.

    Parameters
    ----------
    overlay : Overlay
    name : str
        Name of the figure, and its class in the page.
    limits : Limits
        What is in view.
    on_click : callable
        Told x, y and whether the shift key was held.
    *hooks
        More hooks of the figure.
    **options
        More options of the overlay.
    """
    limits.on_click = on_click
    drawn = overlay.opts(
        responsive=True,
        xaxis=None,
        yaxis=None,
        active_tools=["pan", "wheel_zoom"],
        show_title=False,
        show_legend=False,
        hooks=[calm, equal_scale, named(name), *hooks, weakly(limits.hook)],
        **options,
    )
    return pane_of(drawn, name)
