"""The field that takes a reference, and the button that drops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.references import REFERENCE_SUFFIXES
from dashboard.screen.uploads import bound_upload

if TYPE_CHECKING:
    from dashboard.control.references import ReferenceControl
    from dashboard.control.session import Session

__all__ = ["ReferenceField"]


class ReferenceField(Viewer):
    """Takes the file of a reference, by a click or dropped.

    Parameters
    ----------
    session : Session
    control : ReferenceControl
    """

    def __init__(self, session: Session, control: ReferenceControl, **params: Any) -> None:
        super().__init__(**params)
        rules, messages = session.host.rules, session.messages
        self._upload = pmui.FileInput(
            label="Reference",
            description="Reference: a CSV with start, end (or time) and v, or vx and vy; of GNSS perhaps",
            accept=",".join(REFERENCE_SUFFIXES),
            multiple=False,
            variant="outlined",
            size="small",
            width=130,
            margin=(0, 3),
            css_classes=["itslive-upload-reference"],
        )
        bound_upload(self._upload, rules.upload, lambda name: messages.error(rules.too_large(name)))
        self._upload.param.watch(
            lambda event: control.upload(event.new, str(self._upload.filename or "")) if event.new else None,
            "value",
            onlychanged=False,
        )
        self._drop = pmui.IconButton(
            icon="close",
            size="small",
            description="Remove the reference",
            margin=0,
            visible=False,
            css_classes=["itslive-remove-reference"],
        )
        self._drop.on_click(lambda _: control.remove())
        self.layout = pmui.Row(self._upload, self._drop, margin=(0, 8), visible=False)

    def __panel__(self) -> pmui.Row:
        return self.layout

    def offer(self, shown: bool) -> None:
        """Offer the field, where there is a series."""
        self.layout.visible = shown

    def has(self, held: bool) -> None:
        """Say whether there is a reference to drop."""
        self._drop.visible = held
