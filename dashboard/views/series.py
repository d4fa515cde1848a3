"""The series of a pixel in one figure: image pairs, the estimate, its band, and what was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from panel.viewable import Viewer

from dashboard.colours import POINT_COLOURS
from dashboard.views.curves import (
    GRADES,
    band,
    band_outline,
    band_pieces,
    curve,
    curve_frame,
    curve_hover,
    gap_line,
    held,
    held_line,
    in_gaps,
    other_curves,
    second_band,
    second_line,
    without_gaps,
)
from dashboard.views.figures import AXIS_ROOM, Bounds, Limits, calm, live, named, pane_of
from dashboard.views.layers import colour_by_column, columns_of
from dashboard.views.legends import (
    METHOD_NAMES,
    calm_legend,
    lines_legend,
    reasons_legend,
    show_what_is_there,
)
from dashboard.views.pair_bars import (
    ALL,
    LAYERS,
    all_bars,
    all_columns,
    bar_alpha,
    bar_columns,
    bar_hover,
    pair_bars,
    values_of,
)
from dashboard.views.rejected import cross_columns, cross_hover, rejected_crosses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    import panel as pn
    from bokeh.models import Legend, Range1d

    from dashboard.state.pictures import Bars, Curve

__all__ = ["COMPONENTS", "SeriesView", "limits_of"]

COMPONENTS = {"Speed": "v", "vx": "vx", "vy": "vy"}
_TITLES = {
    "v": "Speed [m/yr]",
    "vx": "vx, along the grid's x axis [m/yr]",
    "vy": "vy, along the grid's y axis [m/yr]",
}
_SHORT = {"v": "Speed [m/yr]", "vx": "vx [m/yr]", "vy": "vy [m/yr]"}
_FONTS = {"labels": "13px", "ticks": "12px", "legend": "12px"}


def limits_of(bars: Bars, component: str, curves: Iterable[Curve] = ()) -> Bounds:
    """Return axis limits that hold nearly all pairs and all of the curves.

    Returns
    -------
    tuple of float
        Milliseconds since 1970, value, milliseconds, value.
    """
    pairs = bars.pairs
    value = values_of(pairs, component)
    low, high = np.nanpercentile(value[bars.keep] if bars.keep.any() else value, [1.0, 98.0])
    for one in curves:
        drawn = one.dataset[component].values
        if np.isfinite(drawn).any():
            low, high = min(low, float(np.nanmin(drawn))), max(high, float(np.nanmax(drawn)))
    pad = 0.08 * max(high - low, 1.0)
    low, high = low - pad, high + pad
    if component == "v":
        low = 0.0
    first, last = float(pairs.start.min()) * 86.4e6, float(pairs.end.max()) * 86.4e6
    room = 0.02 * max(last - first, 86.4e6)
    return first - room, float(low), last + room, float(high)


class SeriesView(Viewer):
    """One figure that stays; new data go into its sources, nothing is drawn anew.

    Parameters
    ----------
    name : str
        Of the figure.
    time : Range1d, optional
        Time axis that it shares with other figures [milliseconds since 1970].
    moves_time : bool
        Fit the time axis to each new point.
    slim : bool
        Small: all missions in one layer, no legend, no other points, short titles.
    """

    def __init__(
        self,
        name: str = "itslive-series",
        time: Range1d | None = None,
        *,
        moves_time: bool = True,
        slim: bool = False,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.component = "v"
        self._title, self._time, self._slim = name, time, slim
        self._layers = (ALL,) if slim else LAYERS
        self._shown: tuple[int, int] = (0, 0)
        self._bars: Bars | None = None
        self._others: list[Curve] = []
        self._rejected: pd.DataFrame | None = None
        self._limits = Limits(moves_x=moves_time)
        self._plots: dict[str, Any] = {}
        self._figure: Any = None
        self._reasons: Legend | None = None
        self._lines: Legend | None = None
        self._bars_pipe = hv.streams.Pipe(data=None)
        self._curve_pipe = hv.streams.Pipe(data=None)
        self._second_pipe = hv.streams.Pipe(data=None)
        self._others_pipe = hv.streams.Pipe(data=[])
        self._rejected_pipe = hv.streams.Pipe(data=None)
        self.pane = pane_of(self._overlay(), f"{name}-plot", min_height=120 if slim else 200)

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def present(
        self,
        key: int,
        bars: Bars | None,
        active: Curve | None,
        others: Sequence[Curve] = (),
        second: Curve | None = None,
    ) -> None:
        """Show a point, and send only what changed: pairs and axes only where the point or the filters did.

        Parameters
        ----------
        key : int
            Of the point; 0 for none.
        bars : Bars or None
            Its pairs.
        active : Curve or None
            Its estimate.
        others : sequence of Curve
            Estimates of other points, drawn as thin lines.
        second : Curve, optional
            Another estimate of the point, drawn as a dashed line.
        """
        self.show_others(list(others))
        version = (key, id(bars) if bars is not None else 0)
        if version == self._shown:
            if self._curve_pipe.data is None and active is not None:
                self._make_room(active)
            self.show_curve(active)
        else:
            moved = key != self._shown[0]
            self._shown = version
            self.show(bars, active, refit_axes=moved)
        self.show_second(second)

    def _make_room(self, active: Curve) -> None:
        """Widen the axes for the first estimate of a point that comes after its pairs, if it needs room."""
        bars, now = self._bars, self._limits.bounds
        if bars is None or now is None or not len(bars.pairs):
            return
        wanted = limits_of(bars, self.component, [active])
        if wanted[1] < now[1] or wanted[3] > now[3]:
            self._limits.set(wanted)
            self._limits.apply()

    def show(self, bars: Bars | None, active: Curve | None, *, refit_axes: bool = True) -> None:
        """Send another point: its pairs and its estimate; the axes follow only if asked."""
        self._bars = bars
        if bars is not None and len(bars.pairs) and refit_axes:
            curves = [*self._others, *([active] if active else [])]
            self._limits.set(limits_of(bars, self.component, curves))
        self._bars_pipe.update(data=bars)
        if self._direct:
            for layer in self._layers:
                handles = self._plots[f"bars {layer}"].handles
                handles["source"].data = self._columns(layer)
                handles["glyph"].line_alpha = bar_alpha(bars, layer)
            self._limits.apply()
            self._name_axis()
        else:
            hv.streams.Stream.trigger([self._bars_pipe])
        self.show_curve(active)

    def show_curve(self, active: Curve | None) -> None:
        """Send the estimate of the active point: the only thing that moves on a refit."""
        self._curve_pipe.update(data=active)
        if not self._direct:
            hv.streams.Stream.trigger([self._curve_pipe])
            return
        data = curve_frame(active.dataset if active else None, self.component)
        colour = active.colour if active else POINT_COLOURS[0]
        for grade in GRADES:
            handles = self._plots[f"band {grade}"].handles
            handles["glyph"].fill_color = colour
            handles["source"].data = band_outline(band_pieces(data, grade))
        for name, part in (("held", held(data)), ("gap", in_gaps(data)), ("curve", without_gaps(data))):
            self._write_line(name, part, colour)

    def show_second(self, second: Curve | None) -> None:
        """Send another estimate of the active point; None for none."""
        if second is None and self._second_pipe.data is None:
            return
        self._second_pipe.update(data=second)
        if not self._direct:
            hv.streams.Stream.trigger([self._second_pipe])
        else:
            data = curve_frame(second.dataset if second else None, self.component)
            colour = second.colour if second else POINT_COLOURS[0]
            for gaps in (True, False):
                handles = self._plots[_second_name(gaps)].handles
                handles["glyph"].fill_color = colour
                handles["source"].data = columns_of(second_band(second, self.component, gaps=gaps))
            self._write_line("second", data, colour)
        if self._lines is not None:
            self._lines.visible = second is not None

    def _write_line(self, name: str, data: pd.DataFrame, colour: str) -> None:
        handles = self._plots[name].handles
        handles["glyph"].line_color = colour
        handles["source"].data = {column: data[column].to_numpy() for column in ("time", "value", "std")}

    def _columns(self, layer: str | None) -> dict[str, Any]:
        """Return the source of a layer of pairs; HoloViews calls what colours come from color."""
        if layer != ALL:
            return bar_columns(self._bars, self.component, layer)
        columns = all_columns(self._bars, self.component)
        return {**columns, "color": columns["colour"]}

    @property
    def _direct(self) -> bool:
        """Whether a server shows the figure: then its sources are written directly.

        An update of the whole overlay through HoloViews takes 40 to 150 ms, this 3 ms. The pipes hold the
        same data, for whoever draws the figure anew; a notebook is served through them.
        """
        plot = self._plots.get("curve")
        document = plot.document if plot is not None else None
        return document is not None and document.session_context is not None

    def show_others(self, others: list[Curve]) -> None:
        """Send the estimates of the other points; a small figure shows none."""
        if not self._slim and (others or self._others):
            self._others = others
            self._others_pipe.send(others)

    def show_rejected(self, pairs: pd.DataFrame | None) -> None:
        """Send ``Diagnosis.pairs``, of which those that are not used are crossed out; None for no crosses."""
        if pairs is None and self._rejected is None:
            return
        self._rejected = pairs
        self._rejected_pipe.update(data=pairs)
        if self._direct:
            handles = self._plots["rejected"].handles
            columns = cross_columns(pairs, self.component)
            handles["source"].data = {**columns, "color": columns["colour"]}  # HoloViews calls it so
            self._name_axis()
        else:
            hv.streams.Stream.trigger([self._rejected_pipe])

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self.component = component
        self.show(self._bars, self._curve_pipe.data)
        self.show_second(self._second_pipe.data)
        self.show_others(self._others)
        self.show_rejected(self._rejected)

    def _keep(self, name: str) -> Any:
        """Make a hook that keeps the plot of a layer, and names it for scripts in the browser."""

        def hook(plot: Any, _element: Any) -> None:
            self._plots[name] = plot
            plot.handles["glyph_renderer"].name = name

        return hook

    def _overlay(self) -> hv.Overlay:
        def bars(layer: str | None) -> hv.DynamicMap:
            def draw(data: Bars | None) -> hv.Segments:
                if layer == ALL:
                    return all_bars(data, self.component)
                return pair_bars(data, self.component, layer)

            hooks = [self._keep(f"bars {layer}"), self._share_time, self._limits.hook, colour_by_column]
            style = {"line_width": 2, "apply_ranges": False, "muted_alpha": 0.02}
            return live(draw, self._bars_pipe).opts(
                hv.opts.Segments(tools=[bar_hover(layer)], hooks=hooks, **style)
            )

        def held_by(grade: int) -> hv.DynamicMap:
            drawn = live(lambda data: band(data, self.component, grade), self._curve_pipe)
            return drawn.opts(hv.opts.Area(hooks=[self._keep(f"band {grade}")], show_legend=False))

        def line(draw: Any, name: str, tools: list[Any]) -> hv.DynamicMap:
            drawn = live(lambda data: draw(data, self.component), self._curve_pipe)
            return drawn.opts(hv.opts.Curve(tools=tools, show_legend=False, hooks=[self._keep(name)]))

        def second_held(gaps: bool) -> hv.DynamicMap:
            drawn = live(lambda data: second_band(data, self.component, gaps=gaps), self._second_pipe)
            return drawn.opts(hv.opts.Area(hooks=[self._keep(_second_name(gaps))], show_legend=False))

        def second() -> hv.DynamicMap:
            drawn = live(lambda data: second_line(data, self.component), self._second_pipe)
            return drawn.opts(
                hv.opts.Curve(
                    tools=[curve_hover(METHOD_NAMES[1])], show_legend=False, hooks=[self._keep("second")]
                )
            )

        crosses = live(lambda data: rejected_crosses(data, self.component), self._rejected_pipe)
        others = live(lambda data: other_curves(data, self.component), self._others_pipe)
        layers = [
            *(bars(layer) for layer in self._layers),
            crosses.opts(
                hv.opts.Points(tools=[cross_hover()], hooks=[self._keep("rejected"), colour_by_column])
            ),
            second_held(True),
            second_held(False),
            *(held_by(grade) for grade in GRADES),
            *([] if self._slim else [others]),
            line(held_line, "held", []),
            second(),
            line(gap_line, "gap", [curve_hover("No pair here")]),
            line(curve, "curve", [curve_hover()]),
        ]
        return (
            hv.Overlay(layers)
            .collate()
            .opts(
                responsive=True,
                show_grid=True,
                xlabel="",
                ylabel="",
                show_legend=not self._slim,
                legend_position="top",
                legend_cols=len(LAYERS),
                fontsize=_FONTS,
                active_tools=["pan", "wheel_zoom"],
                hooks=[calm, named(self._title), self._dress],
                show_title=False,
            )
        )

    def _share_time(self, plot: Any, _element: Any) -> None:
        """Take over the common time axis before any limits are set; a hook."""
        if self._time is not None:
            plot.handles["plot"].x_range = self._time

    def _dress(self, plot: Any, _element: Any) -> None:
        """Keep the legend small, and name the axis; a hook."""
        self._figure = figure = plot.handles["plot"]
        if self._slim:
            figure.min_border_left = AXIS_ROOM
            figure.toolbar_location = None
            figure.xaxis[0].ticker.desired_num_ticks = 4
        for legend in self._missions_legends():
            calm_legend(legend)
        if self._reasons is None or self._reasons not in figure.center:
            self._reasons = reasons_legend(self._plots["rejected"].handles["glyph_renderer"])
            figure.add_layout(self._reasons)
        if not self._slim and (self._lines is None or self._lines not in figure.above):
            lines = [self._plots[name].handles["glyph_renderer"] for name in ("held", "second")]
            self._lines = lines_legend(*lines)
            self._lines.visible = self._second_pipe.data is not None
            figure.add_layout(self._lines, "above")
        # HoloViews takes the first legend for its own, and puts that last whenever it draws.
        figure.above = [one for one in figure.above if one is not self._lines] + [
            one for one in figure.above if one is self._lines
        ]
        self._name_axis()

    def _missions_legends(self) -> list[Legend]:
        return [legend for legend in self._figure.above if legend is not self._lines]

    def _name_axis(self) -> None:
        """Say on the axis what is shown, and in the legend only what is there."""
        self._figure.yaxis[0].axis_label = (_SHORT if self._slim else _TITLES)[self.component]
        for legend in self._missions_legends():
            show_what_is_there(legend, "start")
        if self._reasons is not None:
            self._reasons.visible = self._rejected is not None


def _second_name(gaps: bool) -> str:
    return "second band in gaps" if gaps else "second band"
