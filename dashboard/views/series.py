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
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core import ImagePairs

__all__ = [
    "COMPONENTS",
    "Bars",
    "Curve",
    "SeriesView",
    "band",
    "band_outline",
    "bar_columns",
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
_LAYERS = (None, *MISSION_COLOURS)
"""From the back to the front: what was rejected, then each mission."""
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


def bar_columns(bars: Bars | None, component: str, mission: str | None) -> dict[str, NDArray[Any]]:
    """Return the columns of the bars of one mission, or of the rejected pairs where it is None.

    Returns
    -------
    dict of ndarray, shape (n,)
        start, end [datetime64]; value, value_end, error [m/yr]; span [days].
    """
    if bars is None or len(bars.pairs) == 0:
        empty, never = np.empty(0), np.empty(0, "datetime64[ms]")
        return {
            "start": never,
            "value": empty,
            "end": never,
            "value_end": empty,
            "span": empty,
            "error": empty,
        }
    pairs = bars.pairs
    mine = bars.keep & (pairs.mission == mission) if mission else ~bars.keep
    value = values_of(pairs, component)[mine]
    return {
        "start": _dates(pairs.start[mine]),
        "value": value,
        "end": _dates(pairs.end[mine]),
        "value_end": value,
        "span": (pairs.end - pairs.start)[mine],
        "error": _errors_of(pairs, component)[mine],
    }


def bar_alpha(bars: Bars | None, mission: str | None) -> float:
    """Return the opacity of bars: thousands must stay readable, so fainter, the more there are."""
    count = len(bars.pairs) if bars is not None else 0
    alpha = float(np.clip(35.0 / np.sqrt(max(count, 1)), 0.35, 0.9))
    return alpha if mission else 0.3 * alpha


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
    columns = bar_columns(bars, component, mission)
    return hv.Segments(
        tuple(columns.values()),
        ["start", "value", "end", "value_end"],
        ["span", "error"],
        label=MISSION_LABELS[mission] if mission else REJECTED_LABEL,
    ).opts(alpha=bar_alpha(bars, mission), color=MISSION_COLOURS[mission] if mission else REJECTED_COLOUR)


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


def band_outline(data: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the outline of a band as one patch, its pieces separated by NaN.

    Parameters
    ----------
    data : DataFrame
        Columns time, low, high; NaN in the gaps.
    """
    time, low, high = (data[name].to_numpy() for name in ("time", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    x: list[NDArray[Any]] = []
    y: list[NDArray[Any]] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        piece = slice(first, last)
        x += [time[piece], time[piece][::-1], time[first : first + 1]]
        y += [low[piece], high[piece][::-1], np.array([np.nan])]
    if not x:
        return {"x": time[:0], "y": low[:0]}
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


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

    def show(self, bars: Bars | None, active: Curve | None, *, refit_axes: bool = True) -> None:
        """Send another point: its pairs and its estimate; the axes follow only if asked."""
        self._bars = bars
        if bars is not None and len(bars.pairs) and refit_axes:
            curves = [*self._others, *([active] if active else [])]
            self._limits.set(limits_of(bars, self.component, curves))
        self._bars_pipe.update(data=bars)
        if self._direct:
            for mission in _LAYERS:
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
            data = _frame(active.dataset if active else None, self.component)
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
                    tools=[_hover(mission)],
                    apply_ranges=False,
                    hooks=[self._keep(mission), self._limits.hook],
                    muted_alpha=0.02,
                )
            )

        layers = [bars(mission) for mission in _LAYERS]
        area = live(lambda data: band(data, self.component), self._curve_pipe)
        layers.append(area.opts(hv.opts.Area(hooks=[self._keep("band")])))
        layers.append(live(lambda data: other_curves(data, self.component), self._others_pipe))
        line = live(lambda data: curve(data, self.component), self._curve_pipe)
        layers.append(
            line.opts(hv.opts.Curve(tools=[_curve_hover()], show_legend=False, hooks=[self._keep("curve")]))
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
                legend_cols=len(_LAYERS),
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
