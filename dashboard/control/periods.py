"""Periods that are brushed on the series, on their way to the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import param

from dashboard.state.pictures import Period

if TYPE_CHECKING:
    from dashboard.control.area import AreaControl
    from dashboard.views.series_board import SeriesBoard

__all__ = ["DRAGS", "PeriodControl"]

DRAGS = {"Move": "move", "Period": "first", "Against": "second"}
"""What a drag on the series does."""


class PeriodControl(param.Parameterized):
    """Takes periods from the series to the map.

    Parameters
    ----------
    area : AreaControl
        Shows them.
    board : SeriesBoard
        Where they are brushed.
    """

    drag = param.Selector(default="move", objects=DRAGS, label="Drag", doc="What a drag on the series does.")

    ready = param.Boolean(default=False, doc="There are series of the glacier to average.")

    def __init__(self, area: AreaControl, board: SeriesBoard, **params: Any) -> None:
        super().__init__(**params)
        self._area, self._board = area, board
        self.param.watch(self._switch, "drag")
        area.param.watch(self._show, ["mode", "periods"])
        area.param.watch(lambda event: self.param.update(ready=event.new), "brushable")

    def brushed(self, begin: float, end: float) -> None:
        """Take a period [milliseconds since 1970]."""
        if self.drag != "move" and end > begin:
            self._area.choose_period(Period.of_milliseconds(begin, end), second=self.drag == "second")

    def _switch(self, *_: Any) -> None:
        self._board.brush(self.drag != "move")
        self._show()

    def _show(self, *_: Any) -> None:
        """Show the periods while they mean something: they are brushed, or the map shows them."""
        wanted = self.drag != "move" or self._area.mode in ("period", "period_change")
        self._board.show_periods(self._area.periods if wanted else (None, None))
