"""Several points: over each other in one figure, or side by side with one time axis."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.models import Range1d
from panel.viewable import Viewer

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS
from dashboard.state.differences import differences
from dashboard.views.differences import DifferenceView
from dashboard.views.legends import METHOD_NAMES
from dashboard.views.parts import html, stylesheet
from dashboard.views.series import SeriesView

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from dashboard.state.picked import Picked
    from dashboard.state.pictures import Period, PointSeries

__all__ = ["SeriesBoard", "legend_html", "points_html", "rows_of"]

_IN_A_ROW = 3


def rows_of(count: int) -> list[int]:
    """Return how many figures there are in each row: at most three, and rows as equal as can be."""
    rows = -(-count // _IN_A_ROW)
    return [count // rows + (row < count % rows) for row in range(rows)] if rows else []


def legend_html(points: list[PointSeries]) -> str:
    """Name the colours of the missions that any point has pairs of, and its lines where it has two."""
    there = {str(mission) for one in points for mission in set(one.bars.pairs.mission)}
    items = [
        f"<li><span style='background:{colour}'></span>{escape(MISSION_LABELS[mission])}</li>"
        for mission, colour in MISSION_COLOURS.items()
        if mission in there
    ]
    if any(one.second is not None for one in points):
        styles = zip(METHOD_NAMES, ("solid", "dashed"), strict=True)
        items += [f"<li><span class='line {style}'></span>{name}</li>" for name, style in styles]
    return f"<ul class='itslive-legend'>{''.join(items)}</ul>"


def points_html(points: list[PointSeries], *, to_first: bool = False) -> str:
    """Name the colours of the points, in the order in which they were selected; empty for a single one."""
    if len(points) < 2:
        return ""
    ordered = sorted(points, key=lambda one: one.key)
    items = [f"<li><span style='background:{one.colour}'></span>{escape(one.label)}</li>" for one in ordered]
    if to_first:
        items[0] = f"<li>Less {escape(ordered[0].label)}:</li>"
    return f"<ul class='itslive-legend'>{''.join(items)}</ul>"


class SeriesBoard(Viewer):
    """The figure of all points, and one small figure a point with linked time axes.

    Parameters
    ----------
    overlay : SeriesView, optional
        The figure of all points.
    on_time, on_pairs, on_period : callable, optional
        Told of clicks in that figure: see `SeriesView`.
    """

    def __init__(
        self,
        overlay: SeriesView | None = None,
        on_time: Callable[[float, bool], None] | None = None,
        on_pairs: Callable[[list[int]], None] | None = None,
        on_period: Callable[[float, float], None] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.overlay = overlay or SeriesView(on_time=on_time, on_pairs=on_pairs, on_period=on_period)
        self.mirror: SeriesView | None = None
        """Another figure that shows the active point, while somebody looks at it."""
        self._arrangement = "overlay"
        self._points: list[PointSeries] = []
        self._rejected: pd.DataFrame | None = None
        self._time = Range1d(0.0, 1.0)
        self._views: dict[int, SeriesView] = {}
        self._laid_out: list[int] = []
        self._legend = html("", "itslive-legend-pane", margin=(0, 12), sizing_mode="stretch_width")
        self._rows = pn.Column(sizing_mode="stretch_both", margin=0, scroll="y-auto")
        self._grid = pn.Column(self._legend, self._rows, sizing_mode="stretch_both", margin=0, visible=False)
        # A pane of HoloViews cannot be hidden once it is drawn; what it lies in can.
        self._over = pn.Column(self.overlay.pane, sizing_mode="stretch_both", margin=0)
        self.difference: DifferenceView | None = None
        """How points differ from the first one, once somebody has asked."""
        self._on_time = on_time
        self._apart = pn.Column(sizing_mode="stretch_both", margin=0, visible=False)
        self._named = html("", "itslive-points-pane", margin=(0, 12), sizing_mode="stretch_width")
        self._named.visible = False
        parts = (self._named, self._over, self._grid, self._apart)
        self.layout = pn.Column(*parts, sizing_mode="stretch_both", margin=0)

    def __panel__(self) -> pn.Column:
        return self.layout

    @property
    def component(self) -> str:
        """What is shown: v, vx or vy."""
        return self.overlay.component

    def show(self, points: list[PointSeries]) -> None:
        """Send all points; the last one is active."""
        self._points = points
        for view in (self.overlay, self.mirror):
            self._present(view)
        self._arrange()

    def reflect(self, view: SeriesView | None) -> None:
        """Let another figure show the active point from now on; None ends that."""
        self.mirror = view
        if view is not None and view.component != self.component:
            view.set_component(self.component)
        self._present(view)

    def arrange(self, arrangement: str) -> None:
        """Put several points over each other or side by side.

        Parameters
        ----------
        arrangement : {"overlay", "side", "difference"}
        """
        self._arrangement = arrangement
        self._arrange()

    def set_component(self, component: str) -> None:
        """Switch between speed and components."""
        for view in (self.overlay, self.mirror, *self._views.values(), self.difference):
            if view is not None:
                view.set_component(component)

    def show_time(self, moment: float | None) -> None:
        """Mark a time in all figures [milliseconds since 1970]; None for none."""
        for view in (self.overlay, self.mirror, *self._views.values(), self.difference):
            if view is not None:
                view.show_time(moment)

    def show_picked(self, picked: Picked | None) -> None:
        """Mark the pair that is chosen; None for none."""
        self.overlay.show_picked(picked)

    def brush(self, brushes: bool) -> None:
        """Let a drag brush a period, or move the axes."""
        if self.overlay.brush is not None:
            self.overlay.brush.switch(brushes)

    def show_periods(self, periods: tuple[Period | None, ...]) -> None:
        """Show periods as bands behind the series; None for none."""
        if self.overlay.brush is not None:
            self.overlay.brush.show(periods)

    def show_rejected(self, pairs: pd.DataFrame | None) -> None:
        """Cross out the pairs of the active point that are not used; None for no crosses."""
        self._rejected = pairs
        active = self._points[-1].key if self._points else 0
        self.overlay.show_rejected(pairs)
        for key, view in self._views.items():
            view.show_rejected(pairs if key == active else None)

    def _present(self, view: SeriesView | None) -> None:
        if view is None:
            return
        if not self._points:
            view.present(0, None, None)
            return
        *rest, active = self._points
        if view is not self.overlay:  # what the inversion rests on is told without another estimate
            view.present(active.key, active.bars, active.curve)
            return
        others = [one.curve for one in rest if one.curve]
        view.present(active.key, active.bars, active.curve, others, active.second)

    def _arrange(self) -> None:
        shown = self._arrangement if len(self._points) > 1 else "overlay"
        if shown == "side":
            self._show_each()
        elif shown == "difference":
            self._show_differences()
        names = points_html(self._points, to_first=shown == "difference") if shown != "side" else ""
        self._named.param.update(object=names, visible=bool(names))
        for name, place in (("overlay", self._over), ("side", self._grid), ("difference", self._apart)):
            place.visible = shown == name

    def _show_differences(self) -> None:
        if self.difference is None:
            told = self._on_time
            self.difference = DifferenceView(
                self._time, None if told is None else lambda moment: told(moment, False)
            )
            self.difference.component = self.component
            self._apart.objects = [self.difference.pane]
        self._fit_time()
        self.difference.show(differences(self._points))

    def _show_each(self) -> None:
        points = sorted(self._points, key=lambda one: one.key)  # a click must not change their places
        keys = [one.key for one in points]
        for key in set(self._views) - set(keys):
            del self._views[key]
        for one in points:
            if one.key not in self._views:
                view = SeriesView(f"itslive-series-{one.key}", self._time, moves_time=False, slim=True)
                view.component = self.component
                self._views[one.key] = view
            self._views[one.key].present(one.key, one.bars, one.curve, second=one.second)
        self.show_rejected(self._rejected)
        self._legend.object = legend_html(points)
        if keys != self._laid_out:
            self._laid_out = keys
            self._fit_time()
            self._lay_out(points)

    def _lay_out(self, points: list[PointSeries]) -> None:
        waiting = iter(points)
        self._rows.objects = [
            pn.Row(*(self._cell(next(waiting)) for _ in range(count)), sizing_mode="stretch_both", margin=0)
            for count in rows_of(len(points))
        ]

    def _cell(self, one: PointSeries) -> pn.Column:
        title = f"<h3><span style='background:{one.colour}'></span>{escape(one.label)}</h3>"
        return pn.Column(
            html(title, "itslive-small-title", margin=(0, 12), sizing_mode="stretch_width"),
            self._views[one.key].pane,
            sizing_mode="stretch_both",
            margin=0,
            css_classes=["itslive-small"],
            stylesheets=[stylesheet()],
        )

    def _fit_time(self) -> None:
        """Let the common time axis hold all points."""
        held = [one.bars.pairs for one in self._points if len(one.bars.pairs)]
        if held:
            first = min(float(pairs.start.min()) for pairs in held) * 86.4e6
            last = max(float(pairs.end.max()) for pairs in held) * 86.4e6
            room = 0.02 * max(last - first, 86.4e6)
            low, high = first - room, last + room
            self._time.update(start=low, end=high, reset_start=low, reset_end=high)
