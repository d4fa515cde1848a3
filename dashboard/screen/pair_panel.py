"""The card of the pair that was clicked, over the series, with what can be left out because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.colours import MISSION_LABELS
from dashboard.views.pair_card import left_out_words, pair_html, pair_title
from dashboard.views.parts import html, stylesheet

if TYPE_CHECKING:
    from dashboard.control.pair import PairControl
    from dashboard.state.filters import Filters
    from dashboard.state.picked import Picked

__all__ = ["LeftOutPanel", "PairPanel"]

_WIDTH = 380
_LISTED = 8
"""What is left out and listed; the newest come last, by date."""


class PairPanel(Viewer):
    """The card of a pair; hidden without one.

    Parameters
    ----------
    control : PairControl
    """

    def __init__(self, control: PairControl, **params: Any) -> None:
        super().__init__(**params)
        self._title = html("", "itslive-pair-title", sizing_mode="stretch_width", margin=(4, 10))
        self._text = html("", "itslive-pair", sizing_mode="stretch_width", margin=(2, 10, 6, 10))
        self._next = self._button("Next pair here", control.another, "itslive-pair-next")
        close = pmui.IconButton(
            icon="close", size="small", description="Close the card of the pair", margin=(2, 2, 0, 0),
            css_classes=["itslive-pair-close"],
        )  # fmt: skip
        close.on_click(lambda _: control.close())
        self._out = {
            what: self._button(what, lambda what=what: control.leave_out(what), f"itslive-leave-{what}")
            for what in ("pair", "first", "second", "mission")
        }
        self._back = self._button("Take back in", control.take_back, "itslive-take-back")
        self._leave = pn.FlexBox(*self._out.values(), margin=(0, 6), sizing_mode="stretch_width")
        self.layout = pmui.Paper(
            pn.Row(self._title, close, margin=0, sizing_mode="stretch_width"),
            self._leave,
            pn.Row(self._back, self._next, margin=(0, 6)),
            self._text,
            elevation=6,
            width=_WIDTH,
            visible=False,
            css_classes=["itslive-pair-card"],
            stylesheets=[stylesheet()],
        )
        control.param.watch(lambda event: self._show(event.new), "picked")

    def __panel__(self) -> pmui.Paper:
        return self.layout

    def _show(self, picked: Picked | None) -> None:
        self.layout.visible = picked is not None
        if picked is None:
            return
        self._title.object, self._text.object = pair_title(picked), pair_html(picked)
        away = {"left": "84px", "right": "auto"} if picked.late else {"left": "auto", "right": "12px"}
        self.layout.styles = away  # the pair itself stays in view
        first, second = (picked.count(name) for name in picked.images)
        labels = {
            "pair": "Leave out pair",
            "first": f"Earlier image, {_pairs(first)}",
            "second": f"Later image, {_pairs(second)}",
            "mission": f"All {MISSION_LABELS[picked.mission]}",
        }
        for what, label in labels.items():
            self._out[what].label = label
        self._leave.visible = not picked.is_out
        self._back.visible = picked.is_out
        self._next.param.update(
            visible=picked.of > 1, label=f"Next pair here ({picked.place + 1} of {picked.of})"
        )

    @staticmethod
    def _button(label: str, act: Any, name: str) -> pmui.Button:
        button = pmui.Button(label=label, size="small", variant="outlined", margin=3, css_classes=[name])
        button.on_click(lambda _: act())
        return button


class LeftOutPanel(Viewer):
    """What is left out by hand, each with a way back; hidden where that is nothing.

    Parameters
    ----------
    filters : Filters
    """

    def __init__(self, filters: Filters, **params: Any) -> None:
        super().__init__(**params)
        self._filters = filters
        self._list = pmui.Column(sizing_mode="stretch_width", margin=0)
        every = pmui.Button(
            label="Take all back in", size="small", variant="text", margin=(0, 10),
            css_classes=["itslive-take-all-back"],
        )  # fmt: skip
        every.on_click(lambda _: filters.take_back())
        self.layout = pmui.Column(
            self._list, every, sizing_mode="stretch_width", css_classes=["itslive-left-out"], visible=False
        )
        filters.param.watch(self._show, "leave_out")
        self._show()

    def __panel__(self) -> pmui.Column:
        return self.layout

    def _show(self, *_: Any) -> None:
        names = self._filters.leave_out
        more = len(names) - _LISTED
        head = f"Left out by hand: {len(names)}" + (f", of which {_LISTED} are listed" if more > 0 else "")
        self._list.objects = [
            pmui.Typography(head, variant="body2", margin=(4, 10)),
            *(self._row(name) for name in names[:_LISTED]),
        ]
        self.layout.visible = bool(names)

    def _row(self, name: str) -> pmui.Row:
        back = pmui.IconButton(
            icon="undo", size="small", description=f"Take {name} back in", margin=0,
            css_classes=["itslive-take-one-back"],
        )  # fmt: skip
        back.on_click(lambda _: self._filters.take_back(name))
        told = pmui.Typography(
            left_out_words(name),
            variant="caption",
            sizing_mode="stretch_width",
            margin=(4, 10),
        )
        return pmui.Row(told, back, sizing_mode="stretch_width", margin=0)


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"
