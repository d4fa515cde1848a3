"""The Decomposition tab: trend, season and rest of the Gaussian process, and what was found, in sentences."""

from __future__ import annotations

import re
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from bokeh.models import Range1d
from panel.viewable import Viewer

from dashboard.colours import MISSION_LABELS, POINT_COLOURS
from dashboard.state.pictures import Curve, nice_limit
from dashboard.views.curves import GRADES, band, curve, curve_hover, curve_sources, curve_style, gap_line
from dashboard.views.figures import AXIS_ROOM, Bounds, Limits, calm, named, pane_of, weakly, zero_line
from dashboard.views.layers import LiveLayers
from dashboard.views.parts import hint, hint_text, html, stylesheet
from itslive_core.support.band_level import BAND_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from dashboard.state.fit import Process

__all__ = ["PARTS", "DecompositionView", "findings_html", "part_limits", "sentences", "time_limits"]

PARTS = {"trend": "Trend", "season": "Season", "roughness": "Rest"}
"""Parts of the series along the flow, from top to bottom."""
_LEAST_HEIGHT = 80
_AXIS_HEIGHT = 24
_ROOM = AXIS_ROOM + 10
"""Room left of the frames: wider than any labels of the axes, so that the frames line up [pixels]."""
_EMPTY = (
    "No decomposition yet",
    "Choose Gaussian process or Both under Estimate, Method: it splits the series in trend, season and rest.",
)
_NO_POINT = ("No decomposition yet", "Click a glacier on the map, then a pixel of the glacier.")
_WAITING = ("One moment", "The Gaussian process is being fitted.")


def sentences(text: str) -> list[str]:
    """Split what the fit found into its sentences; a decimal point ends none."""
    return [one for one in re.split(r"(?<=\.)\s+(?=[A-Z])", text.strip()) if one]


def part_limits(series: xr.Dataset, part: str) -> tuple[float, float]:
    """Return round limits of an axis that hold a part and most of its band.

    Parameters
    ----------
    series : Dataset
        With `part` and its ``_std`` [m/yr].
    part : {"trend", "season", "roughness"}
        All but the trend are about zero, and so is their axis.
    """
    value, std = series[part].values, series[f"{part}_std"].values
    seen = series["coverage"].values > 0
    std = np.where(seen | ~seen.any(), std, 0.0)
    low, high = float(np.min(value - 2 * std)), float(np.max(value + 2 * std))
    if part != "trend":
        reach = nice_limit(np.array([max(-low, high)]))
        return -reach, reach
    step = nice_limit(np.array([high - low])) / 4
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step)


def time_limits(series: xr.Dataset) -> tuple[float, float]:
    """Return the begin and the end of a series with some room [milliseconds since 1970]."""
    bounds = series["time_bnds"].values.astype("datetime64[ms]").astype(float)
    first, last = float(bounds.min()), float(bounds.max())
    room = 0.02 * (last - first)
    return first - room, last + room


class PartView(Viewer):
    """One part over time, with its band; faint and dotted where there is no pair.

    Parameters
    ----------
    part : {"trend", "season", "roughness"}
    time : Range1d
        Time axis that it shares with the others.
    axis : bool
        Show the time axis.
    """

    def __init__(self, part: str, time: Range1d, *, axis: bool, **params: Any) -> None:
        super().__init__(**params)
        self._part, self._time = part, time
        self._limits = Limits(moves_x=False)
        name, room = f"itslive-{part}", _AXIS_HEIGHT if axis else 0
        self._layers = LiveLayers(
            {
                **{f"band {grade}": partial(band, component=part, grade=grade) for grade in GRADES},
                "gap": lambda one: gap_line(one, part).opts(tools=[curve_hover("No pair here")]),
                "curve": lambda one: curve(one, part).opts(tools=[curve_hover(PARTS[part])]),
            },
            sources=partial(curve_sources, component=part),
            style=curve_style,
        )
        self.pane = pane_of(
            self._layers.overlay().opts(
                responsive=True,
                show_grid=True,
                xlabel="",
                ylabel=PARTS[part],
                xaxis="bottom" if axis else None,
                show_legend=False,
                default_tools=["xpan", "xwheel_zoom", "reset"],
                active_tools=["xpan", "xwheel_zoom"],
                fontsize={"labels": "12px", "ticks": "11px"},
                show_title=False,
                hooks=[calm, named(name), weakly(self._dress)],
            ),
            name,
            min_height=_LEAST_HEIGHT + room,
        )
        self.place = pn.Column(sizing_mode="stretch_both", min_height=_LEAST_HEIGHT + room, margin=0)

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, one: Curve) -> None:
        """Send the part of another estimate."""
        low, high = part_limits(one.dataset, self._part)
        bounds: Bounds = (self._time.start, low, self._time.end, high)
        if self._limits.bounds is None or self._limits.bounds[1::2] != (low, high):
            self._limits.set(bounds)
        self._layers.send(one)
        if self._layers.direct:
            self._limits.apply()

    def _dress(self, plot: Any, element: Any) -> None:
        """Share the time axis, and line the frames up; a hook."""
        figure = plot.handles["plot"]
        figure.x_range = self._time
        figure.toolbar_location = None
        figure.min_border_left = _ROOM
        figure.yaxis[0].ticker.desired_num_ticks = 4
        if self._part != "trend":
            zero_line(figure, "width")
        self._limits.hook(plot, element)


class DecompositionView(Viewer):
    """The parts below each other with one time axis, and beside them what was found.

    Parameters
    ----------
    later : callable
        Takes a name and what can wait until what is urgent has been done.
    """

    def __init__(self, later: Callable[[str, Callable[[], None]], None], **params: Any) -> None:
        super().__init__(**params)
        self._later = later
        self._time = Range1d(0.0, 1.0)
        self._of: int | None = None
        last = list(PARTS)[-1]
        self.parts = {name: PartView(name, self._time, axis=name == last) for name in PARTS}
        self._waiting = list(self.parts.values())
        self._note = html("", "itslive-note", sizing_mode="stretch_width", margin=0)
        self._found = html("", "itslive-findings-pane", sizing_mode="stretch_width", margin=0)
        self._hint = hint(*_NO_POINT)
        plots = pn.Column(
            *(part.place for part in self.parts.values()), sizing_mode="stretch_both", margin=0, min_width=300
        )
        words = pn.Column(
            self._note,
            self._found,
            width=290,
            sizing_mode="stretch_height",
            margin=0,
            css_classes=["itslive-words"],
            stylesheets=[stylesheet()],
        )
        inside = pn.Row(
            plots,
            words,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-parts"],
            stylesheets=[stylesheet()],
        )
        self.layout = pn.Column(
            inside,
            self._hint,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-stack", "itslive-decomposition"],
            stylesheets=[stylesheet()],
        )

    def __panel__(self) -> pn.Column:
        return self.layout

    def complete(self) -> None:
        """Draw the figures, one after the other."""
        if self._waiting:
            part = self._waiting.pop(0)
            part.place.append(part.pane)
            self._later("decomposition figures", self.complete)

    def show(self, process: Process | None, *, point: int | None, colour: str = POINT_COLOURS[0]) -> None:
        """Show the parts of a Gaussian process, or say what to do for them.

        Parameters
        ----------
        process : Process or None
        point : int or None
            Key of the point; None without one. The time axis moves only with it.
        colour : str
            Of its curves.
        """
        series = process.series if process is not None else None
        drawable = series is not None and series.sizes["time"] > 0 and "roughness" in series
        if process is None or series is None or not drawable:
            self._hint.object = hint_text(*_why_empty(process, point))
            self._hint.visible = True
            return
        if point != self._of:
            self._of = point
            first, last = time_limits(series)
            self._time.update(start=first, end=last, reset_start=first, reset_end=last)
        for name, part in self.parts.items():
            part.place.visible = name in series
            if name in series:
                part.show(Curve(series, colour))
        state = f"{process.words.capitalize()} " if process.pending else ""
        what = f"Speed along the flow [m/yr] with {BAND_WORDS} bands"
        self._note.object = f"<p>{state}{what}; dotted where no pair holds it.</p>"
        self._found.object = findings_html(series)
        self._hint.visible = False


def findings_html(series: xr.Dataset) -> str:
    """Write what the fit found as a list, missions by name; the reason of a fall-back is marked."""
    text = str(series.attrs.get("findings", ""))
    for mission, label in MISSION_LABELS.items():
        text = text.replace(f"Pairs of {mission} are", f"Pairs of {label} are")
    found = sentences(text)
    marked = " class='reason'" if series.attrs.get("reason") else ""
    items = [f"<li{marked if number == 0 else ''}>{escape(one)}</li>" for number, one in enumerate(found)]
    return f"<ul class='itslive-findings'>{''.join(items)}</ul>"


def _why_empty(process: Process | None, point: int | None) -> tuple[str, str]:
    """Say why there is nothing to show, and what to do."""
    if point is None:
        return _NO_POINT
    if process is None:
        return _EMPTY
    if process.pending:
        return _WAITING
    told = process.series.attrs.get("reason", "") if process.series is not None else ""
    return "There is no decomposition", escape(process.problem or str(told))
