"""The button that copies the address of the page, which leads back to what is on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel_material_ui as pmui

from dashboard.screen.clipboard import copying

if TYPE_CHECKING:
    from dashboard.control.session import Messages

__all__ = ["share_button"]


def share_button(messages: Messages) -> pmui.IconButton:
    """Make the button; it says that there is something to be pasted now."""
    button = pmui.IconButton(
        icon="share",
        description="Copy a link to what is on the screen",
        size="small",
        margin=(0, 2),
        align="center",
        css_classes=["itslive-share"],
        sx={"color": "inherit"},
    )
    button.js_on_click(code=copying("const text = window.location.href"))
    button.on_click(
        lambda _: messages.tell("The link to what is on the screen is copied: paste it anywhere.", "success")
    )
    return button
