"""The series of a pixel in one figure: image pairs, the estimate, its band, and what was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from panel.viewable import Viewer

from dashboard.views.brush import PeriodBrush
from dashboard.views.clicks import on_tap
from dashboard.views.curves import (
    GRADES,
    band,
    curve,
    curve_hover,
    curve_sources,
    curve_style,
    gap_line,
    held_line,
    other_curves,
    second_band,
    second_line,
    second_sources,
)
from dashboard.views.figures import (
    AXIS_ROOM,
    Bounds,
    Limits,
    calm,
    live,
    named,
    pane_of,
    pixel_size,
    time_cursor,
    weakly,
)
from dashboard.views.hover import follow, hover_line
from dashboard.views.layers import LiveLayers
from dashboard.views.legends import (
    METHOD_NAMES,
    calm_legend,
    lead_with_estimate,
    lines_legend,
    reasons_legend,
    show_what_is_there,
)
from dashboard.views.pair_bars import (
    ALL,
    LAYERS,
    all_bars,
    bar_alpha,
    bar_hover,
    bar_name,
    bar_sources,
    pair_bars,
    rows_of_layer,
    values_of,
)
from dashboard.views.picking import chosen_bar, chosen_columns, pairs_near
from dashboard.views.references import ReferenceMarks
from dashboard.views.rejected import cross_columns, cross_hover, rejected_crosses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    import panel as pn
    from bokeh.models import Legend, Range1d

    from dashboard.state.picked import Picked
    from dashboard.state.pictures import Bars, Curve

__all__ = ["SeriesView", "limits_of"]

_TITLES = {
    "v": "Speed [m/yr]",
    "vx": "vx, along the grid's x axis [m/yr]",
    "vy": "vy, along the grid's y axis [m/yr]",
}
_SHORT = {"v": "Speed [m/yr]", "vx": "vx [m/yr]", "vy": "vy [m/yr]"}
_CURSOR = "itslive-time"
_FLAT = 0.4
"""Share of the values' axis below which what is drawn there lies flat."""
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
    on_time : callable, optional
        Told the time of a click [milliseconds since 1970], and whether it meant a pair.
    on_pairs : callable, optional
        Told the rows of the pairs that a click may mean, the nearest first.
    on_period : callable, optional
        Told the begin and the end of a period that was brushed [milliseconds since 1970].
    """

    def __init__(
        self,
        name: str = "itslive-series",
        time: Range1d | None = None,
        *,
        moves_time: bool = True,
        slim: bool = False,
        on_time: Callable[[float, bool], None] | None = None,
        on_pairs: Callable[[list[int]], None] | None = None,
        on_period: Callable[[float, float], None] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.component = "v"
        self.reference = ReferenceMarks()
        self._cursor = time_cursor(_CURSOR)
        self._on_time, self._on_pairs = on_time, on_pairs
        self.brush = None if on_period is None else PeriodBrush(on_period)
        self._title, self._time, self._slim = name, time, slim
        self._layers = (ALL,) if slim else LAYERS
        self._shown: tuple[int, int] = (0, 0)
        self._bars: Bars | None = None
        self._others: list[Curve] = []
        self._rejected: pd.DataFrame | None = None
        self._limits = Limits(moves_x=moves_time)
        self._figure: Any = None
        self._reasons: Legend | None = None
        self._lines: Legend | None = None
        self._pairs = self._of_pairs()
        self._first = self._of_first()
        self._second = self._of_second()
        self._crosses = LiveLayers(
            {"rejected": lambda data: rejected_crosses(data, self.component).opts(tools=[cross_hover()])},
            sources=lambda data: {"rejected": cross_columns(data, self.component)},
        )
        self._chosen = LiveLayers(
            {"chosen": lambda picked: chosen_bar(picked, self.component)},
            sources=lambda picked: {"chosen": chosen_columns(picked, self.component)},
        )
        self._others_pipe = hv.streams.Pipe(data=[])
        self.pane = pane_of(self._overlay(), f"{name}-plot", min_height=120 if slim else 160)

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
            self._make_room(active)
            self.show_curve(active)
        else:
            moved = key != self._shown[0]
            self._shown = version
            self.show(bars, active, refit_axes=moved)
            if not moved:
                self._make_room(active)
        self.show_second(second)

    def _make_room(self, active: Curve | None) -> None:
        """Fit the values' axis to a new estimate of the same point, where that is cut off or lies flat.

        What fits stays as it is, and so does an axis that a person has moved.
        """
        bars, now = self._bars, self._limits.bounds
        if bars is None or now is None or active is None or not len(bars.pairs) or self._moved_by_hand(now):
            return
        low, high = limits_of(bars, self.component, [active])[1::2]
        flat = high - low < _FLAT * (now[3] - now[1])
        drawn = active.dataset[self.component].values
        if flat or (drawn < now[1]).any() or (drawn > now[3]).any():
            if not flat:
                low, high = min(low, now[1]), max(high, now[3])
            self._limits.set((now[0], low, now[2], high))
            self._limits.apply(values_only=True)

    def _moved_by_hand(self, now: Bounds) -> bool:
        """Whether a person has moved the values' axis."""
        figure = self._limits.figure
        if figure is None or not isinstance(figure.y_range.start, (int, float)):
            return False
        shown = np.array([figure.y_range.start, figure.y_range.end], dtype=float)
        return not np.allclose(shown, [now[1], now[3]], atol=1e-6 * max(now[3] - now[1], 1.0))

    def show(self, bars: Bars | None, active: Curve | None, *, refit_axes: bool = True) -> None:
        """Send another point: its pairs and its estimate; the axes follow only if asked."""
        self._bars = bars
        if bars is not None and len(bars.pairs) and refit_axes:
            curves = [*self._others, *([active] if active else [])]
            self._limits.set(limits_of(bars, self.component, curves))
        self._pairs.send(bars)
        if self._pairs.direct:
            self._limits.apply()
            self._name_axis()
        self.show_curve(active)

    def show_curve(self, active: Curve | None) -> None:
        """Send the estimate of the active point: the only thing that moves on a refit."""
        self._first.send(active)
        if self._first.direct:
            self._name_axis()

    def show_second(self, second: Curve | None) -> None:
        """Send another estimate of the active point; None for none."""
        if second is None and self._second.data is None:
            return
        self._second.send(second)
        if self._lines is not None:
            self._lines.visible = second is not None
            self._name_axis()

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
        self._crosses.send(pairs)
        if self._crosses.direct:
            self._name_axis()

    def show_picked(self, picked: Picked | None) -> None:
        """Mark the pair that is chosen; None for none."""
        if picked is not None or self._chosen.data is not None:
            self._chosen.send(picked)

    def show_time(self, moment: float | None) -> None:
        """Mark a time [milliseconds since 1970]; None for none."""
        self._cursor.update(visible=moment is not None, **({} if moment is None else {"location": moment}))

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        self.component = component
        self.reference.set_component(component)
        self.show(self._bars, self._first.data)
        self.show_second(self._second.data)
        self.show_others(self._others)
        self.show_rejected(self._rejected)
        self.show_picked(self._chosen.data)

    def _of_pairs(self) -> LiveLayers:
        """Make the layers of the image pairs."""

        def layer(mission: str | None) -> Any:
            hover = bar_hover(mission)

            def draw(bars: Bars | None) -> hv.Segments:
                drawn = (
                    all_bars(bars, self.component)
                    if mission == ALL
                    else pair_bars(bars, self.component, mission)
                )
                return drawn.opts(tools=[hover], line_width=2, apply_ranges=False, muted_alpha=0.02)

            return draw

        named_so = {bar_name(mission): mission for mission in self._layers}
        return LiveLayers(
            {name: layer(mission) for name, mission in named_so.items()},
            sources=lambda bars: bar_sources(bars, self.component, self._layers),
            style=lambda name, bars: {"line_alpha": bar_alpha(bars, named_so[name])},
            hooks=[weakly(self._share_time), weakly(self._limits.hook)],
        )

    def _of_first(self) -> LiveLayers:
        """Make the layers of the estimate."""
        said, in_gap = curve_hover(), curve_hover("No pair here")

        def held_by(grade: int) -> Any:
            return lambda one: band(one, self.component, grade).opts(show_legend=False)

        return LiveLayers(
            {
                **{f"band {grade}": held_by(grade) for grade in GRADES},
                "held": lambda one: held_line(one, self.component).opts(show_legend=False),
                "gap": lambda one: gap_line(one, self.component).opts(tools=[in_gap], show_legend=False),
                "curve": lambda one: curve(one, self.component).opts(tools=[said], show_legend=False),
            },
            sources=lambda one: curve_sources(one, self.component),
            style=curve_style,
        )

    def _of_second(self) -> LiveLayers:
        """Make the layers of another estimate of the point."""
        hover = curve_hover(METHOD_NAMES[1])

        def held_by(*, gaps: bool) -> Any:
            return lambda one: second_band(one, self.component, gaps=gaps).opts(show_legend=False)

        return LiveLayers(
            {
                "second band in gaps": held_by(gaps=True),
                "second band": held_by(gaps=False),
                "second": lambda one: second_line(one, self.component).opts(tools=[hover], show_legend=False),
            },
            sources=lambda one: second_sources(one, self.component),
            style=curve_style,
        )

    def _overlay(self) -> hv.Overlay:
        others = live(lambda data: other_curves(data, self.component), self._others_pipe)
        first, second = self._first.layer, self._second.layer
        layers = [
            *(self._pairs.layer(bar_name(mission)) for mission in self._layers),
            self._crosses.layer("rejected"),
            *([] if self._slim else [self._chosen.layer("chosen")]),
            second("second band in gaps"),
            second("second band"),
            *(first(f"band {grade}") for grade in GRADES),
            *([] if self._slim else [others]),
            first("held"),
            second("second"),
            first("gap"),
            first("curve"),
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
                legend_cols=len(LAYERS) + 2,  # the estimate and its band lead
                fontsize=_FONTS,
                active_tools=["pan", "wheel_zoom"],
                hooks=[calm, named(self._title), weakly(self._dress), weakly(self.reference.hook)],
                show_title=False,
            )
        )

    def _share_time(self, plot: Any, _element: Any) -> None:
        """Take over the common time axis before any limits are set; a hook."""
        if self._time is not None:
            plot.handles["plot"].x_range = self._time

    def _dress(self, plot: Any, _element: Any) -> None:
        """Keep the legend small, name the axis, and listen to clicks; a hook."""
        self._figure = figure = plot.handles["plot"]
        if self._on_time is not None or self._on_pairs is not None:
            on_tap(plot, self._click)
        if self.brush is not None:
            self.brush.attach(figure)
        if self._slim:
            figure.min_border_left = AXIS_ROOM
            figure.toolbar_location = None
            figure.xaxis[0].ticker.desired_num_ticks = 4
        if self._cursor not in figure.center:
            figure.add_layout(self._cursor)
            figure.add_layout(hover_line("height"))
            follow(figure, along=False)
        for legend in self._missions_legends():
            calm_legend(legend)
            lead_with_estimate(
                legend,
                [_drawn_by(self._first, name) for name in ("held", "curve", "gap")],
                [_drawn_by(self._first, f"band {grade}") for grade in reversed(GRADES)],
            )
        if self._reasons is None or self._reasons not in figure.center:
            self._reasons = reasons_legend(_drawn_by(self._crosses, "rejected"))
            figure.add_layout(self._reasons)
        if not self._slim and (self._lines is None or self._lines not in figure.above):
            self._lines = lines_legend(_drawn_by(self._first, "held"), _drawn_by(self._second, "second"))
            self._lines.visible = self._second.data is not None
            figure.add_layout(self._lines, "above")
        # HoloViews takes the first legend for its own, and puts that last whenever it draws.
        figure.above = [one for one in figure.above if one is not self._lines] + [
            one for one in figure.above if one is self._lines
        ]
        self._name_axis()

    def _click(self, x: float, y: float, _shift: bool) -> None:
        """Tell which pairs a click may mean, and its time."""
        rows = self._pairs_under(float(x), float(y)) if self._on_pairs is not None else []
        if rows and self._on_pairs is not None:
            self._on_pairs(rows)
        if self._on_time is not None:
            self._on_time(float(x), bool(rows))

    def _pairs_under(self, x: float, y: float) -> list[int]:
        """Find the pairs under a click, of those that a person has not hidden."""
        bars = self._bars
        if bars is None:
            return []
        seen = np.zeros(len(bars.pairs), dtype=bool)
        for layer in self._layers:
            if _drawn_by(self._pairs, bar_name(layer)).visible:
                seen |= rows_of_layer(bars, layer)
        return pairs_near(bars, self.component, (x, y), pixel_size(self._figure), seen)

    def _missions_legends(self) -> list[Legend]:
        return [legend for legend in self._figure.above if legend is not self._lines]

    def _name_axis(self) -> None:
        """Say on the axis what is shown, and in the legend only what is there."""
        self._figure.yaxis[0].axis_label = (_SHORT if self._slim else _TITLES)[self.component]
        for legend in self._missions_legends():
            show_what_is_there(legend, of_two=self._second.data is not None)
        if self._reasons is not None:
            self._reasons.visible = self._rejected is not None


def _drawn_by(layers: LiveLayers, name: str) -> Any:
    """Return what draws a layer in the figure."""
    return layers.plots[name].handles["glyph_renderer"]
