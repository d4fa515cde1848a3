"""The figure of how points differ from the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from panel.viewable import Viewer

from dashboard.state.pictures import nice_limit
from dashboard.views.clicks import on_tap
from dashboard.views.curves import GRADES, band, curve_frame, other_curves
from dashboard.views.figures import calm, live, named, pane_of, time_cursor, weakly, zero_line
from dashboard.views.hover import follow, hover_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel as pn
    from bokeh.models import Range1d

    from dashboard.state.pictures import Curve

__all__ = ["DifferenceView"]


class DifferenceView(Viewer):
    """Lines of all differences, and the band of the active one.

    Parameters
    ----------
    time : Range1d
        Its time axis [milliseconds since 1970].
    on_time : callable, optional
        Told the time of a click [milliseconds since 1970].
    """

    def __init__(self, time: Range1d, on_time: Callable[[float], None] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._time, self._on_time = time, on_time
        self.component = "v"
        self._curves: list[Curve] = []
        self._figure: Any = None
        self._cursor = time_cursor("itslive-time")
        self._pipe = hv.streams.Pipe(data=[])

        def layer(grade: int) -> hv.DynamicMap:
            return live(lambda curves: band(curves[-1] if curves else None, self._name, grade), self._pipe)

        layers = [layer(grade).opts(hv.opts.Area(show_legend=False)) for grade in GRADES]
        lines = live(lambda curves: other_curves(curves, self._name), self._pipe)
        self.pane = pane_of(
            hv.Overlay([*layers, lines])
            .collate()
            .opts(
                responsive=True,
                show_grid=True,
                xlabel="",
                ylabel="",
                show_legend=False,
                show_title=False,
                active_tools=["pan", "wheel_zoom"],
                fontsize={"labels": "13px", "ticks": "12px"},
                hooks=[calm, named("itslive-differences"), weakly(self._dress)],
            ),
            "itslive-differences-plot",
            min_height=160,
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    @property
    def _name(self) -> str:
        return f"d{self.component}"

    def show(self, curves: list[Curve]) -> None:
        """Send differences from `dashboard.state.differences.differences`."""
        self._curves = curves
        self._pipe.send(curves)
        self._fit()

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self.component = component
        self.show(self._curves)

    def show_time(self, moment: float | None) -> None:
        """Mark a time [milliseconds since 1970]; None for none."""
        self._cursor.update(visible=moment is not None, **({} if moment is None else {"location": moment}))

    def _fit(self) -> None:
        """Fit the axis of values, and name it."""
        if self._figure is None:
            return
        values = [np.abs(curve_frame(one.dataset, self._name)["value"].to_numpy()) for one in self._curves]
        reach = 1.15 * nice_limit(np.concatenate(values)) if values else 1.0
        self._figure.y_range.update(start=-reach, end=reach, reset_start=-reach, reset_end=reach)
        shown = "Speed" if self.component == "v" else self.component
        self._figure.yaxis[0].axis_label = f"{shown} less that of the first point [m/yr]"

    def _dress(self, plot: Any, _element: Any) -> None:
        """Share the time axis, mark zero and the time, and listen to clicks; a hook."""
        self._figure = figure = plot.handles["plot"]
        figure.x_range = self._time
        zero_line(figure, "width")
        if self._cursor not in figure.center:
            figure.add_layout(self._cursor)
            figure.add_layout(hover_line("height"))
            follow(figure, along=False)
        if self._on_time is not None:
            on_tap(plot, self._click)
        self._fit()

    def _click(self, x: float, _y: float, _shift: bool) -> None:
        if self._on_time is not None:
            self._on_time(float(x))
