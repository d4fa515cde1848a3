"""The series of a pixel in one figure: image pairs, the estimate, and its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from panel.viewable import Viewer

from dashboard.colours import POINT_COLOURS
from dashboard.views.curves import Curve, band, band_outline, curve, curve_frame, curve_hover, other_curves
from dashboard.views.figures import Bounds, Limits, calm, live, named, pane_of
from dashboard.views.pair_bars import LAYERS, Bars, bar_alpha, bar_columns, bar_hover, pair_bars, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import panel as pn

__all__ = ["COMPONENTS", "SeriesView", "limits_of"]

COMPONENTS = {"Speed": "v", "vx": "vx", "vy": "vy"}
_TITLES = {
    "v": "Speed [m/yr]",
    "vx": "vx, along the grid's x axis [m/yr]",
    "vy": "vy, along the grid's y axis [m/yr]",
}
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


def _legend(plot: Any, _element: Any) -> None:
    """Keep the legend small, and let a click on a name hide its layer."""
    figure = plot.handles["plot"]
    for legend in figure.legend:
        legend.click_policy = "hide"
        legend.label_text_font_size = "12px"
        legend.spacing = 12
        legend.padding = 2
        legend.background_fill_alpha = 0.75
        legend.border_line_alpha = 0.0


class SeriesView(Viewer):
    """One figure for the whole session; new data go into its sources, nothing is drawn anew."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.component = "v"
        self._bars: Bars | None = None
        self._others: list[Curve] = []
        self._limits = Limits()
        self._plots: dict[str | None, Any] = {}
        self._bars_pipe = hv.streams.Pipe(data=None)
        self._curve_pipe = hv.streams.Pipe(data=None)
        self._others_pipe = hv.streams.Pipe(data=[])
        self.pane = pane_of(self._overlay(), "itslive-series-plot")

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show(self, bars: Bars | None, active: Curve | None, *, refit_axes: bool = True) -> None:
        """Send another point: its pairs and its estimate; the axes follow only if asked."""
        self._bars = bars
        if bars is not None and len(bars.pairs) and refit_axes:
            curves = [*self._others, *([active] if active else [])]
            self._limits.set(limits_of(bars, self.component, curves))
        self._bars_pipe.update(data=bars)
        if self._direct:
            for mission in LAYERS:
                plot = self._plots[mission]
                plot.handles["source"].data = bar_columns(bars, self.component, mission)
                plot.handles["glyph"].line_alpha = bar_alpha(bars, mission)
            self._limits.apply()
            self._name_axis()
        else:
            hv.streams.Stream.trigger([self._bars_pipe])
        self.show_curve(active)

    def show_curve(self, active: Curve | None) -> None:
        """Send the estimate of the active point: the only thing that moves on a refit."""
        self._curve_pipe.update(data=active)
        if self._direct:
            data = curve_frame(active.dataset if active else None, self.component)
            colour = active.colour if active else POINT_COLOURS[0]
            area, line = self._plots["band"].handles, self._plots["curve"].handles
            area["glyph"].fill_color = line["glyph"].line_color = colour
            area["source"].data = band_outline(data)
            line["source"].data = {name: data[name].to_numpy() for name in ("time", "value", "std")}
        else:
            hv.streams.Stream.trigger([self._curve_pipe])

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
        """Send the estimates of the other points."""
        if others or self._others:
            self._others = others
            self._others_pipe.send(others)

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self.component = component
        self.show(self._bars, self._curve_pipe.data)
        self._others_pipe.send(self._others)

    def _keep(self, name: str | None) -> Any:
        """Make a hook that keeps the plot of a layer."""

        def hook(plot: Any, _element: Any) -> None:
            self._plots[name] = plot

        return hook

    def _overlay(self) -> hv.Overlay:
        def bars(mission: str | None) -> hv.DynamicMap:
            drawn = live(lambda data: pair_bars(data, self.component, mission), self._bars_pipe)
            return drawn.opts(
                hv.opts.Segments(
                    line_width=2,
                    tools=[bar_hover(mission)],
                    apply_ranges=False,
                    hooks=[self._keep(mission), self._limits.hook],
                    muted_alpha=0.02,
                )
            )

        layers = [bars(mission) for mission in LAYERS]
        area = live(lambda data: band(data, self.component), self._curve_pipe)
        layers.append(area.opts(hv.opts.Area(hooks=[self._keep("band")])))
        layers.append(live(lambda data: other_curves(data, self.component), self._others_pipe))
        line = live(lambda data: curve(data, self.component), self._curve_pipe)
        layers.append(
            line.opts(hv.opts.Curve(tools=[curve_hover()], show_legend=False, hooks=[self._keep("curve")]))
        )
        return (
            hv.Overlay(layers)
            .collate()
            .opts(
                responsive=True,
                show_grid=True,
                xlabel="",
                ylabel="",
                legend_position="top",
                legend_cols=len(LAYERS),
                fontsize=_FONTS,
                active_tools=["pan", "wheel_zoom"],
                hooks=[calm, named("itslive-series"), _legend, self._titles],
                show_title=False,
            )
        )

    def _titles(self, plot: Any, _element: Any) -> None:
        self._figure = plot.handles["plot"]
        self._name_axis()

    def _name_axis(self) -> None:
        """Say on the axis what is shown, and in the legend only what is there."""
        self._figure.yaxis[0].axis_label = _TITLES[self.component]
        for legend in self._figure.legend:
            for item in legend.items:
                item.visible = any(len(one.data_source.data.get("start", ())) for one in item.renderers)
