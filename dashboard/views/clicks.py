"""Clicks on figures: what counts as one, and when it is taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.events import DoubleTap, Press, Tap

from dashboard.views.on_page import on_page

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_turn", "on_tap"]

_STILL = 5.0
"""How far a pointer may move and still be at one place, as Bokeh sees it [pixels]."""


class _Clicks:
    """The clicks of a figure.

    Bokeh calls a click a tap only if the button was held for less than 0.3 s, as the page saw it, and if no
    other came in the 0.3 s before, wherever that was. A page that is at work sees a short click as a long
    one, and who draws a line clicks at two places in no time: both would be lost. A second click at the same
    place is one with the first.
    """

    def __init__(self, act: Callable[[float, float, bool], None]) -> None:
        self._act = act
        self._last: tuple[float, float] | None = None

    def click(self, event: Any) -> None:
        """Take in a tap or a press."""
        self._last = (event.sx, event.sy)
        in_turn(lambda: self._act(event.x, event.y, _shifted(event)))

    def again(self, event: Any) -> None:
        """Take in a click that came soon after another one."""
        moved = (
            self._last is None or max(abs(event.sx - self._last[0]), abs(event.sy - self._last[1])) > _STILL
        )
        if moved:
            self.click(event)


def on_tap(plot: Any, act: Callable[[float, float, bool], None]) -> None:
    """Tell a click in the figure's coordinates, at once (a stream would wait 50 ms).

    Parameters
    ----------
    plot : HoloViews plot
    act : callable
        Told x, y and whether the shift key was held.
    """
    figure = plot.handles["plot"]
    if Tap.event_name not in figure._event_callbacks:  # noqa: SLF001 - Bokeh has no public way to ask
        clicks = _Clicks(act)
        figure.on_event(Tap, clicks.click)
        figure.on_event(Press, clicks.click)
        figure.on_event(DoubleTap, clicks.again)


def _shifted(event: Any) -> bool:
    """Whether the shift key was held."""
    held = event.modifiers
    return bool(held.get("shift") if isinstance(held, dict) else getattr(held, "shift", False))


def in_turn(act: Callable[[], None]) -> None:
    """Do something once all that a person changed in widgets before it is taken in.

    Panel lets a change of a widget wait 50 ms for others, and takes in what waits before an event of its own.
    It does not know of the events of a figure: on a busy server a click would overtake a switch.
    """
    document = pn.state.curdoc
    changes = pn.state._change_callbacks  # noqa: SLF001 - Panel has no public way to ask
    waiting = list(changes[document].values()) if document is not None and document in changes else []
    if not waiting:
        act()
        return

    async def after() -> None:
        for change in waiting:
            await change()
        with on_page(document):
            act()

    pn.state.execute(after, schedule=True)
