"""The card of the glacier: its name, what its map shows and when, and the button that estimates it all."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.screen.job_strip import JobStrip
from dashboard.views.parts import Figure, card, hint, html, title_row

if TYPE_CHECKING:
    from dashboard.control.area import AreaControl
    from dashboard.control.session import Session
    from dashboard.views.glacier_map import GlacierMapView
    from itslive_core import Glacier

__all__ = ["GlacierCard"]


class GlacierCard(Viewer):
    """Head, map and slider over time.

    Parameters
    ----------
    session : Session
    area : AreaControl
    view : GlacierMapView
    """

    def __init__(self, session: Session, area: AreaControl, view: GlacierMapView, **params: Any) -> None:
        super().__init__(**params)
        self._area = area
        self._hint = hint(
            "The glacier appears here", "Click a glacier on the map to begin, or search for one."
        )
        self.figure = Figure(view.pane, self._hint)
        self._title = html("<h2>Glacier</h2>", "itslive-title", margin=(0, 12), sizing_mode="stretch_width")
        mode = pmui.Select.from_param(
            area.param.mode,
            label="Map shows",
            size="small",
            width=180,
            margin=(0, 6),
            css_classes=["itslive-mode"],
        )
        label, description = area.action
        self._invert = pmui.Button(
            label=label,
            description=description,
            icon="play_arrow",
            size="small",
            color="primary",
            variant="contained",
            width=113,
            margin=(0, 8),
            css_classes=["itslive-invert"],
            disabled=True,
        )
        self._invert.on_click(lambda _: area.invert())
        area.param.watch(self._rename, "action")
        self._note = html("", "itslive-note", margin=(2, 16), sizing_mode="stretch_width", visible=False)
        area.param.watch(self._beware, "note")
        self._side = pmui.RadioButtonGroup.from_param(
            area.param.side,
            label="",
            size="small",
            visible=False,
            margin=(2, 16),
            css_classes=["itslive-side", "itslive-quiet-label"],
            sx={"& .MuiToggleButton-root": {"padding": "2px 8px", "whiteSpace": "nowrap"}},
        )
        area.param.watch(lambda event: setattr(self._side, "visible", event.new), "comparable")
        self._date = pmui.IntSlider(
            label="Date",
            value=0,
            start=0,
            end=1,
            step=1,
            visible=False,
            sizing_mode="stretch_width",
            size="small",
            margin=(0, 24, 4, 24),
            show_value=False,
            css_classes=["itslive-date"],
        )
        self._date.param.watch(self._slid, "value")
        self._following = False
        area.param.watch(self._dates_changed, ["mode", "date", "times"])
        self.layout = card(
            title_row(self._title, mode, self._invert),
            JobStrip(session, area.jobs).layout,
            self.figure.layout,
            self._side,
            self._note,
            self._date,
            margin=(0, 0, 0, 10),
        )

    def __panel__(self) -> pmui.Paper:
        return self.layout

    def show(self, glacier: Glacier) -> None:
        """Show a glacier's name, and what can be done with it."""
        self._title.object = f"<h2>{escape(str(glacier.label))}</h2>"
        self._hint.visible = False
        self._invert.disabled = False

    def _rename(self, *_: Any) -> None:
        """Let the button say which method it uses."""
        label, description = self._area.action
        self._invert.param.update(label=label, description=description)

    def _beware(self, *_: Any) -> None:
        """Say below the map what to beware of in it."""
        self._note.param.update(object=f"<p>{escape(self._area.note)}</p>", visible=bool(self._area.note))

    def _dates_changed(self, *_: Any) -> None:
        """Show the slider over time where there is a time to choose."""
        canvas = self._area.canvas
        times = canvas.times if canvas is not None else None
        shown = self._area.mode == "date" and times is not None and len(times) > 1
        values: dict[str, Any] = {"visible": shown}
        if shown and times is not None:
            index = min(self._area.date, len(times) - 1)
            values.update(value=index, end=len(times) - 1, label=f"Date: {str(times[index])[:10]}")
        self._following = True
        try:
            self._date.param.update(**values)
        finally:
            self._following = False

    def _slid(self, event: Any) -> None:
        """Show the cell that a person moved the slider to; one that only follows asks for nothing."""
        if not self._following:
            self._area.choose_date(event.new)
