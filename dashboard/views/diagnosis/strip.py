"""Where in time the estimate is held by data, and how long it averages there: a strip below a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd
from bokeh.models import FixedTicker, HoverTool
from panel.viewable import Viewer

from dashboard.colours import ACCENT
from dashboard.views.curves import support
from dashboard.views.figures import AXIS_ROOM, calm, named, pane_of, weakly
from dashboard.views.layers import LiveLayers

if TYPE_CHECKING:
    import panel as pn
    from bokeh.models import Range1d

    from itslive_core import Diagnosis

__all__ = ["StripView", "held_bars", "resolution_curve", "strip_frame"]

_TICKS = {30.0: "1 month", 365.25: "1 year", 3652.5: "10 years"}
_LOW, _HIGH = 4.0, 8000.0
_BAR = 5.6
"""Place of the bar of coverage on the axis [days]."""
_COLOURS = {1: f"{ACCENT}2A", 2: f"{ACCENT}70", 3: f"{ACCENT}F0"}


def strip_frame(diagnosis: Diagnosis | None) -> pd.DataFrame:
    """Return what the strip shows of each cell.

    Returns
    -------
    DataFrame
        time, begin, end [datetime64], resolution [days], coverage [%], n_pairs, grade of support.
    """
    if diagnosis is None:
        dates, numbers = np.empty(0, "datetime64[ns]"), np.empty(0)
        return pd.DataFrame(
            {
                **dict.fromkeys(("time", "begin", "end"), dates),
                **dict.fromkeys(("resolution", "coverage", "n_pairs", "grade"), numbers),
            }
        )
    series = diagnosis.series
    begin, end = series["time_bnds"].values.T
    return pd.DataFrame(
        {
            "time": series["time"].values,
            "begin": begin,
            "end": end,
            "resolution": np.clip(diagnosis.resolution.values, _LOW, _HIGH),
            "coverage": 100.0 * series["coverage"].values,
            "n_pairs": series["n_pairs"].values,
            "grade": support(series),
        }
    )


def held_bars(diagnosis: Diagnosis | None) -> hv.Segments:
    """Draw a bar for each run of cells that are equally well held by data; gaps stay empty."""
    data = strip_frame(diagnosis)
    grade = data["grade"].to_numpy()
    starts = np.flatnonzero(np.diff(grade, prepend=-1))
    ends = (np.append(starts[1:], len(grade)) - 1)[: len(starts)]
    seen = grade[starts] > 0
    starts, ends = starts[seen], ends[seen]
    place = np.full(len(starts), _BAR)
    colour = np.array([_COLOURS[int(one)] for one in grade[starts]], dtype=object)
    columns = (data["begin"].to_numpy()[starts], place, data["end"].to_numpy()[ends], place, colour)
    return hv.Segments(columns, ["begin", "y0", "end", "y1"], ["colour"]).opts(
        color="colour", line_width=9, apply_ranges=False, show_legend=False
    )


def resolution_curve(diagnosis: Diagnosis | None) -> hv.Curve:
    """Draw the time over which each cell averages; gaps stay gaps."""
    data = strip_frame(diagnosis)
    return data.hvplot.line(
        x="time", y="resolution", hover_cols=["coverage", "n_pairs"], hover=False, responsive=True
    ).opts(color=ACCENT, line_width=1.6, apply_ranges=False, show_legend=False)


class StripView(Viewer):
    """A low figure on the time axis of a series.

    Parameters
    ----------
    time : Range1d
        The axis.
    """

    def __init__(self, time: Range1d, **params: Any) -> None:
        super().__init__(**params)
        self._time = time
        hover = HoverTool(
            tooltips=[
                ("Cell", "@time{%d %b %Y}"),
                ("Averages over", "@resolution{0,0} days"),
                ("Covered", "@coverage{0} %"),
                ("Pairs", "@n_pairs{0,0}"),
            ],
            formatters={"@time": "datetime"},
            mode="vline",
            visible=False,
        )
        self._layers = LiveLayers(
            {"held": held_bars, "resolution": lambda found: resolution_curve(found).opts(tools=[hover])}
        )
        self.pane = pane_of(
            self._layers.overlay().opts(
                responsive=True,
                logy=True,
                ylim=(_LOW, _HIGH),
                xaxis=None,
                ylabel="",
                show_grid=True,
                default_tools=["xpan", "xwheel_zoom"],
                fontsize={"labels": "12px", "ticks": "11px"},
                show_title=False,
                hooks=[calm, named("itslive-strip"), weakly(self._dress)],
            ),
            "itslive-strip",
            sizing_mode="stretch_width",
            height=84,
            min_height=84,
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, diagnosis: Diagnosis | None) -> None:
        """Send a diagnosis."""
        self._layers.send(diagnosis)

    def _dress(self, plot: Any, _element: Any) -> None:
        """Share the time axis, and label the other one in words; a hook."""
        figure = plot.handles["plot"]
        figure.x_range = self._time
        figure.toolbar_location = None
        figure.min_border_left = AXIS_ROOM
        figure.yaxis[0].ticker = FixedTicker(ticks=list(_TICKS))
        figure.yaxis[0].major_label_overrides = dict(_TICKS)
