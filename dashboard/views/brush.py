"""Periods that a person brushes on the series: the tool that brushes, and the bands that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.events import SelectionGeometry
from bokeh.models import BoxAnnotation, BoxSelectTool, PanTool

from dashboard.colours import PERIOD_COLOURS
from dashboard.views.clicks import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.state.pictures import Period

__all__ = ["PeriodBrush", "on_brush", "width_brush"]


def width_brush(name: str) -> BoxSelectTool:
    """Make the tool that brushes along x; it selects nothing itself."""
    return BoxSelectTool(name=name, dimensions="width", renderers=[], description="Brush a period")


def on_brush(figure: Any, act: Callable[[float, float], None]) -> None:
    """Tell both ends of what was brushed along x, once it is whole."""

    def told(event: Any) -> None:
        if event.final and event.geometry.get("type") == "rect":
            x0, x1 = sorted((float(event.geometry["x0"]), float(event.geometry["x1"])))
            in_turn(lambda: act(x0, x1))

    figure.on_event(SelectionGeometry, told)


class PeriodBrush:
    """Brushes periods in a figure, where a person wants that, and shows them.

    Parameters
    ----------
    on_period : callable
        Told the begin and the end of what was brushed [milliseconds since 1970].
    """

    def __init__(self, on_period: Callable[[float, float], None]) -> None:
        self._act = on_period
        self._figure: Any = None
        self._brushes = False
        self._tool = width_brush("itslive-brush")
        self._bands = [
            BoxAnnotation(
                name=f"itslive-period-{number}",
                fill_color=colour,
                fill_alpha=0.14,
                line_color=colour,
                line_alpha=0.7,
                level="underlay",
                visible=False,
            )
            for number, colour in enumerate(PERIOD_COLOURS, start=1)
        ]

    def attach(self, figure: Any) -> None:
        """Come into a figure, once."""
        self._figure = figure
        if self._tool in figure.tools:
            return
        figure.add_tools(self._tool)
        for one in self._bands:
            figure.add_layout(one)
        on_brush(figure, self._act)
        self.switch(self._brushes)

    def switch(self, brushes: bool) -> None:
        """Let a drag brush, or move the axes."""
        self._brushes = brushes
        figure = self._figure
        if figure is not None:
            pan = next((tool for tool in figure.tools if isinstance(tool, PanTool)), "auto")
            figure.toolbar.active_drag = self._tool if brushes else pan

    def show(self, periods: tuple[Period | None, ...]) -> None:
        """Show periods as bands; None for none."""
        for one, period in zip(self._bands, periods, strict=True):
            limits = {} if period is None else dict(zip(("left", "right"), period.milliseconds, strict=True))
            one.update(visible=period is not None, **limits)
