"""Small parts that the screen is made of: styled text, hints over empty figures, cards."""

from __future__ import annotations

from functools import cache
from typing import Any

import panel as pn
import panel_material_ui as pmui

from dashboard.resources import asset

__all__ = ["Figure", "card", "hint", "hint_text", "html", "stylesheet", "title_row"]

_GLACIER = (
    "<svg viewBox='0 0 48 48' fill='none' stroke='currentColor' stroke-width='2.5' stroke-linejoin='round' "
    "aria-hidden='true'><path d='M4 36 16 14l7 10 5-7 16 19z'/><path d='M12 42h24'/></svg>"
)


@cache
def stylesheet() -> str:
    """Return the dashboard's own style sheet. Read once a process."""
    return asset("dashboard.css").read_text(encoding="utf-8")


def html(text: str, name: str, **options: Any) -> pn.pane.HTML:
    """Make a piece of HTML that the style sheet knows by its class."""
    return pn.pane.HTML(text, css_classes=[name], stylesheets=[stylesheet()], **options)


def hint_text(title: str, text: str) -> str:
    """Write what an empty figure says: what comes here, and what to do for it."""
    return f"<div class='itslive-empty'>{_GLACIER}<h3>{title}</h3><p>{text}</p></div>"


def hint(title: str, text: str) -> pn.pane.HTML:
    """Make the hint that lies over a figure as long as it is empty."""
    return html(hint_text(title, text), "itslive-hint-pane", sizing_mode="stretch_both", margin=0)


class Figure:
    """The place of a figure with a hint over it; the figure itself comes once the page is up (`complete`).

    Parameters
    ----------
    plot : viewable
    over : HTML pane
        Made by `hint`.
    """

    def __init__(self, plot: Any, over: pn.pane.HTML) -> None:
        self._plot: Any = plot
        self.layout = pn.Column(
            over,
            sizing_mode="stretch_both",
            css_classes=["itslive-stack"],
            stylesheets=[stylesheet()],
            margin=0,
        )

    def complete(self) -> None:
        """Put the figure under its hint: the page is there sooner when it comes after it."""
        if self._plot is not None:
            self.layout.insert(0, self._plot)
            self._plot = None


def title_row(*objects: Any) -> pmui.Row:
    """Lay out the head of a card."""
    return pmui.Row(
        *objects, sizing_mode="stretch_width", margin=(6, 0), sx={"alignItems": "center", "flexWrap": "wrap"}
    )


def card(*objects: Any, **options: Any) -> pmui.Paper:
    """Make a card of the main area."""
    usual: dict[str, Any] = {"sizing_mode": "stretch_both", "margin": 0}
    return pmui.Paper(
        *objects,
        variant="outlined",
        css_classes=["itslive-card"],
        stylesheets=[stylesheet()],
        **{**usual, **options},
    )
