"""What follows the pointer in several figures at once, in the browser alone: no server is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bokeh.events import MouseLeave, MouseMove
from bokeh.models import CustomJS, Span

from dashboard.colours import GROUP_COLOUR

if TYPE_CHECKING:
    from typing import Any

__all__ = ["HOVER_PLACE", "HOVER_TRACK", "follow", "hover_line"]

HOVER_PLACE = "itslive-hover-place"
"""Name of the source of the mark on a map: columns x, y."""
HOVER_TRACK = "itslive-hover-track"
"""Name of the source of the line on a map: columns x, y, distance."""
_TIME = "itslive-hover-time"
_ALONG = "itslive-hover-along"

# Models are found by name: the figures are drawn one by one, and none knows the others. Nothing is synced.
_FOLLOW = """
const doc = cb_obj.origin.document
if (doc == null) { return }
const quiet = {sync: false}
const inside = cb_obj.event_name == "mousemove"
const named = (name) => Array.from(doc._all_models.values()).filter((one) => one.name == name)
for (const line of named("itslive-hover-time")) {
  line.setv({visible: inside, location: inside ? cb_obj.x : line.location}, quiet)
}
if (!along) { return }
for (const line of named("itslive-hover-along")) {
  line.setv({visible: inside, location: inside ? cb_obj.y : line.location}, quiet)
}
const [place] = named("itslive-hover-place"), [track] = named("itslive-hover-track")
if (place == null || track == null) { return }
const {x, y, distance} = track.data
let best = -1, least = Infinity
for (let i = 0; inside && i < distance.length; i += 1) {
  const off = Math.abs(distance[i] - cb_obj.y)
  if (off < least) { least = off; best = i }
}
place.setv({data: best < 0 ? {x: [], y: []} : {x: [x[best]], y: [y[best]]}}, quiet)
"""


def hover_line(dimension: str) -> Span:
    """Make the thin line that marks what is under the pointer in another figure; hidden at first.

    Parameters
    ----------
    dimension : {"height", "width"}
        Upright, at a time; or lying, at a place along a line.
    """
    return Span(
        name=_TIME if dimension == "height" else _ALONG,
        location=0.0,
        dimension=dimension,
        line_color=GROUP_COLOUR,
        line_width=1,
        visible=False,
    )


def follow(figure: Any, *, along: bool) -> None:
    """Let the lines and the mark on the map follow the pointer in a figure over time; once.

    Parameters
    ----------
    figure : Bokeh figure
    along : bool
        Its y axis is the distance along the line.
    """
    if "mousemove" in figure.js_event_callbacks:
        return
    act = CustomJS(args={"along": along}, code=_FOLLOW)
    figure.js_on_event(MouseMove, act)
    figure.js_on_event(MouseLeave, act)
