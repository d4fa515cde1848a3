"""Undo and redo: two buttons, and the keys that everybody knows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import panel_material_ui as pmui
import param
from panel.custom import JSComponent
from panel.viewable import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.history import HistoryControl

__all__ = ["HistoryButtons", "HistoryKeys"]

# A field of text has its own undo, which a browser does for it.
_SCRIPT = """
export function render({ model }) {
  const typing = (target) =>
    target.isContentEditable || target.tagName == "TEXTAREA" ||
    (target.tagName == "INPUT" && !["range", "checkbox", "radio", "button"].includes(target.type))
  const listen = (event) => {
    const key = event.key.toLowerCase()
    if (!(event.ctrlKey || event.metaKey) || event.altKey || !["z", "y"].includes(key)) { return }
    if (typing(event.composedPath()[0])) { return }
    event.preventDefault()
    if (key == "y" || event.shiftKey) { model.redone += 1 } else { model.undone += 1 }
  }
  document.addEventListener("keydown", listen)
  model.on("remove", () => document.removeEventListener("keydown", listen))
  return document.createElement("span")
}
"""


class HistoryKeys(JSComponent):
    """Ctrl+Z goes a step back; Ctrl+Shift+Z and Ctrl+Y go a step forth.

    Parameters
    ----------
    control : HistoryControl
    """

    undone = param.Integer(default=0, doc="How often a step back was asked for.")
    redone = param.Integer(default=0, doc="How often a step forth was asked for.")

    _esm: ClassVar[str] = _SCRIPT

    def __init__(self, control: HistoryControl) -> None:
        super().__init__(width=0, height=0, margin=0)
        for name, act in {"undone": control.undo, "redone": control.redo}.items():
            self.param.watch(partial(_repeat, act), name)


def _repeat(act: Callable[[], None], event: Any) -> None:
    """Do something as often as it was asked for."""
    for _ in range(event.old, event.new):
        act()


class HistoryButtons(Viewer):
    """A step back, a step forth.

    Parameters
    ----------
    control : HistoryControl
    """

    def __init__(self, control: HistoryControl, **params: Any) -> None:
        super().__init__(**params)
        self._control = control
        undo = self._button("undo", "Undo (Ctrl+Z)", control.undo)
        redo = self._button("redo", "Redo (Ctrl+Shift+Z)", control.redo)
        self._buttons = {"can_undo": undo, "can_redo": redo}
        control.param.watch(self._follow, list(self._buttons))
        self.layout = pmui.Row(undo, redo, margin=0, align="center")

    def __panel__(self) -> pmui.Row:
        return self.layout

    def _follow(self, *_: Any) -> None:
        for name, button in self._buttons.items():
            button.disabled = not getattr(self._control, name)

    @staticmethod
    def _button(icon: str, description: str, act: Any) -> pmui.IconButton:
        button = pmui.IconButton(
            icon=icon,
            description=description,
            size="small",
            disabled=True,
            margin=(0, 2),
            css_classes=[f"itslive-{icon}"],
            sx={"color": "#FFFFFF", "&.Mui-disabled": {"color": "rgba(255, 255, 255, 0.45)"}},
        )
        button.on_click(lambda _: act())
        return button
