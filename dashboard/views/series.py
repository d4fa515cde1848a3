"""The series of a pixel: image pairs as bars over their span, the estimate as a curve with its band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import holoviews as hv
import hvplot.pandas  # noqa: F401 - registers .hvplot
import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import HoverTool
from panel.viewable import Viewer

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS, POINT_COLOURS, REJECTED_COLOUR, REJECTED_LABEL
from dashboard.views.figures import Bounds, Limits, calm, live, named

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core import ImagePairs

__all__ = [
    "COMPONENTS",
    "Bars",
    "Curve",
    "SeriesView",
    "band",
    "curve",
    "limits_of",
    "other_curves",
    "pair_bars",
    "values_of",
]

COMPONENTS = {"Speed": "v", "vx": "vx", "vy": "vy"}
_TITLES = {
    "v": "Speed [m/yr]",
    "vx": "vx, along the grid's x axis [m/yr]",
    "vy": "vy, along the grid's y axis [m/yr]",
}
_Z95 = 1.959963984540054
_FONTS = {"labels": "13px", "ticks": "12px", "legend": "12px"}


@dataclass(frozen=True, eq=False)
class Bars:
    """Image pairs to draw.

    Parameters
    ----------
    pairs : ImagePairs
        What the filters on metadata leave.
    keep : ndarray of bool, shape (n,)
        False for those that the filter on values rejected: they are drawn in grey.
    """

    pairs: ImagePairs
    keep: NDArray[np.bool_]


@dataclass(frozen=True)
class Curve:
    """An estimate and the colour of its point."""

    dataset: xr.Dataset
    colour: str
    label: str = ""


def _dates(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Days since 1970 -> datetime64[ms]."""
    return np.round(np.asarray(days) * 86_400_000.0).astype("int64").astype("datetime64[ms]")


def values_of(pairs: ImagePairs, component: str) -> NDArray[np.float64]:
    """Return a component or the speed of image pairs [m/yr], shape (n,)."""
    return np.hypot(pairs.vx, pairs.vy) if component == "v" else np.asarray(getattr(pairs, component))


def _errors_of(pairs: ImagePairs, component: str) -> NDArray[np.float64]:
    if component in {"vx", "vy"}:
        return np.asarray(getattr(pairs, f"{component}_error"))
    return np.sqrt((np.square(pairs.vx_error) + np.square(pairs.vy_error)) / 2)


def pair_bars(bars: Bars | None, component: str, mission: str | None) -> hv.Segments:
    """Draw image pairs as bars from their first to their second image.

    Parameters
    ----------
    bars : Bars or None
        None gives an empty element.
    component : {"v", "vx", "vy"}
        What is drawn [m/yr].
    mission : str or None
        One of `itslive_core.MISSIONS`; None for the pairs that were rejected.
    """
    start = end = np.empty(0, "datetime64[ms]")
    value = span = error = np.empty(0)
    count = 0
    if bars is not None and len(bars.pairs):
        pairs, count = bars.pairs, len(bars.pairs)
        mine = bars.keep & (pairs.mission == mission) if mission else ~bars.keep
        start, end = _dates(pairs.start[mine]), _dates(pairs.end[mine])
        value, error = values_of(pairs, component)[mine], _errors_of(pairs, component)[mine]
        span = (pairs.end - pairs.start)[mine]
    # Thousands of bars must stay readable: fainter, the more there are.
    alpha = float(np.clip(24.0 / np.sqrt(max(count, 1)), 0.2, 0.75)) * (1.0 if mission else 0.6)
    return hv.Segments(
        (start, value, end, value, span, error),
        ["start", "value", "end", "value_end"],
        ["span", "error"],
        label=MISSION_LABELS[mission] if mission else REJECTED_LABEL,
    ).opts(alpha=alpha, color=MISSION_COLOURS[mission] if mission else REJECTED_COLOUR)


def _frame(dataset: xr.Dataset | None, component: str) -> pd.DataFrame:
    if dataset is None:
        empty = np.empty(0)
        return pd.DataFrame(
            {"time": np.empty(0, "datetime64[ns]"), "value": empty, "low": empty, "high": empty, "std": empty}
        )
    value = np.asarray(dataset[component].values, dtype=float)
    name = f"{component}_std"
    std = np.asarray(dataset[name].values, dtype=float) if name in dataset else np.full_like(value, np.nan)
    low, high = value - _Z95 * std, value + _Z95 * std
    if component == "v":
        low = np.maximum(low, 0.0)
    return pd.DataFrame(
        {"time": dataset["time"].values, "value": value, "low": low, "high": high, "std": std}
    )


def band(one: Curve | None, component: str) -> hv.Area:
    """Draw the 95 % band of an estimate; gaps stay gaps."""
    data = _frame(one.dataset if one else None, component)
    colour = one.colour if one else POINT_COLOURS[0]
    return data.hvplot.area(x="time", y="low", y2="high", hover=False, responsive=True).opts(
        color=colour, alpha=0.25, line_alpha=0.0, apply_ranges=False
    )


def curve(one: Curve | None, component: str) -> hv.Curve:
    """Draw an estimate; cells without a pair are gaps."""
    data = _frame(one.dataset if one else None, component)
    colour = one.colour if one else POINT_COLOURS[0]
    return data.hvplot.line(x="time", y="value", hover_cols=["std"], hover=False, responsive=True).opts(
        color=colour, line_width=2.4, apply_ranges=False
    )


def other_curves(others: list[Curve], component: str) -> hv.Contours:
    """Draw the estimates of the points that are not active, as thin lines in their colours."""
    paths = []
    for one in others:
        data = _frame(one.dataset, component)
        paths.append(
            {"time": data["time"].to_numpy(), "value": data["value"].to_numpy(), "colour": one.colour}
        )
    if not paths:  # Bokeh must always find the column that colours come from
        paths = [
            {
                "time": np.array(["NaT"] * 2, "datetime64[ns]"),
                "value": np.full(2, np.nan),
                "colour": "#000000",
            }
        ]
    return hv.Contours(paths, ["time", "value"], "colour").opts(
        color=hv.dim("colour"), line_width=1.8, apply_ranges=False, show_legend=False
    )


def limits_of(bars: Bars, component: str, series: xr.Dataset | None = None) -> Bounds:
    """Return axis limits that hold nearly all pairs and all of the curve.

    Returns
    -------
    tuple of float
        Milliseconds since 1970, value, milliseconds, value.
    """
    pairs = bars.pairs
    value = values_of(pairs, component)
    low, high = np.nanpercentile(value[bars.keep] if bars.keep.any() else value, [1.0, 98.0])
    if series is not None and np.isfinite(series[component]).any():
        low, high = min(low, float(series[component].min())), max(high, float(series[component].max()))
    pad = 0.08 * max(high - low, 1.0)
    low, high = low - pad, high + pad
    if component == "v":
        low = 0.0
    first, last = float(pairs.start.min()) * 86.4e6, float(pairs.end.max()) * 86.4e6
    room = 0.02 * max(last - first, 86.4e6)
    return first - room, float(low), last + room, float(high)


def _hover(mission: str | None) -> HoverTool:
    return HoverTool(
        tooltips=[
            ("Image pair", MISSION_LABELS[mission] if mission else REJECTED_LABEL),
            ("From", "@start{%d %b %Y}"),
            ("To", "@end{%d %b %Y}"),
            ("Span", "@span{0.0} days"),
            ("Value", "@value{0,0} ± @error{0,0} m/yr"),
        ],
        formatters={"@start": "datetime", "@end": "datetime"},
        point_policy="follow_mouse",
        visible=False,
    )


def _curve_hover() -> HoverTool:
    return HoverTool(
        tooltips=[
            ("Estimate", "@value{0,0.0} m/yr"),
            ("± 1 std", "@std{0,0.0} m/yr"),
            ("Cell", "@time{%d %b %Y}"),
        ],
        formatters={"@time": "datetime"},
        visible=False,
        line_policy="nearest",
    )


def _legend(plot: Any, _element: Any) -> None:
    """Show only what is drawn, and let a click on a name hide it."""
    figure = plot.handles["plot"]
    for legend in figure.legend:
        legend.click_policy = "hide"
        legend.spacing = 2
        legend.padding = 6
        legend.background_fill_alpha = 0.75
        legend.border_line_alpha = 0.0
        for item in legend.items:
            sources = [renderer.data_source for renderer in item.renderers]
            item.visible = any(len(source.data.get("start", ())) for source in sources)


class SeriesView(Viewer):
    """One figure for the whole session; new data go into its sources, nothing is drawn anew."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.component = "v"
        self._bars: Bars | None = None
        self._active: Curve | None = None
        self._others: list[Curve] = []
        self._limits = Limits()
        self._pairs_pipe = hv.streams.Pipe(data=None)
        self._curve_pipe = hv.streams.Pipe(data=None)
        self._others_pipe = hv.streams.Pipe(data=[])
        self.pane = pn.pane.HoloViews(
            self._overlay(),
            sizing_mode="stretch_both",
            min_height=200,
            css_classes=["itslive-series-plot"],
            theme=None,
            linked_axes=False,
        )

    def __panel__(self) -> pn.pane.HoloViews:
        return self.pane

    def show_pairs(
        self, bars: Bars | None, *, series: xr.Dataset | None = None, refit_axes: bool = True
    ) -> None:
        """Send image pairs; the axes follow them only if asked."""
        self._bars = bars
        if bars is not None and len(bars.pairs) and refit_axes:
            self._limits.set(limits_of(bars, self.component, series))
        self._pairs_pipe.send(bars)

    def show_curve(self, active: Curve | None) -> None:
        """Send the estimate of the active point: the only thing that moves on a refit."""
        self._active = active
        self._curve_pipe.send(active)

    def show_others(self, others: list[Curve]) -> None:
        """Send the estimates of the other points."""
        if others or self._others:
            self._others = others
            self._others_pipe.send(others)

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self.component = component
        self.show_pairs(self._bars, series=self._active.dataset if self._active else None)
        self.show_curve(self._active)
        self._others_pipe.send(self._others)

    def _overlay(self) -> hv.Overlay:
        def bars(mission: str | None) -> hv.DynamicMap:
            drawn = live(lambda data: pair_bars(data, self.component, mission), self._pairs_pipe)
            return drawn.opts(
                hv.opts.Segments(
                    line_width=2,
                    tools=[_hover(mission)],
                    apply_ranges=False,
                    hooks=[self._limits.hook],
                    muted_alpha=0.02,
                )
            )

        layers = [bars(mission) for mission in (None, *MISSION_COLOURS)]
        layers.append(live(lambda data: band(data, self.component), self._curve_pipe))
        layers.append(live(lambda data: other_curves(data, self.component), self._others_pipe))
        line = live(lambda data: curve(data, self.component), self._curve_pipe)
        layers.append(line.opts(hv.opts.Curve(tools=[_curve_hover()], show_legend=False)))
        return (
            hv.Overlay(layers)
            .collate()
            .opts(
                responsive=True,
                show_grid=True,
                xlabel="",
                ylabel="",
                legend_position="top_left",
                fontsize=_FONTS,
                active_tools=["pan", "wheel_zoom"],
                hooks=[calm, named("itslive-series"), self._titles, _legend],
                show_title=False,
            )
        )

    def _titles(self, plot: Any, _element: Any) -> None:
        figure = plot.handles["plot"]
        if figure.yaxis:
            figure.yaxis[0].axis_label = _TITLES[self.component]
