"""What a section of the Diagnostics tab is: a title, what lies below it, and how a diagnosis reaches it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn

from dashboard.views.parts import html, stylesheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from bokeh.models import Range1d

    from dashboard.state.settings import Settings
    from dashboard.views.series import SeriesView
    from itslive_core import Diagnosis

__all__ = ["Look", "Section", "Shared", "note"]


@dataclass(frozen=True, eq=False)
class Shared:
    """What the tab lends its sections.

    Parameters
    ----------
    settings : Settings
        Of the inversion.
    later : callable
        Takes a name and what can wait until what is urgent has been done.
    time : Range1d
        The time axis of the tab.
    series : SeriesView
        The figure of the active point on that axis.
    """

    settings: Settings
    later: Callable[[str, Callable[[], None]], None]
    time: Range1d
    series: SeriesView


@dataclass(frozen=True, eq=False)
class Look:
    """What is looked into.

    Parameters
    ----------
    diagnosis : Diagnosis
    offsets : bool
        Offsets between missions were asked for.
    """

    diagnosis: Diagnosis
    offsets: bool


class Section(ABC):
    """A section of the tab. A new one is a subclass in a module of its own, and a line in `tab.SECTIONS`.

    Parameters
    ----------
    shared : Shared
    """

    title: ClassVar[str]
    about: ClassVar[str] = ""
    """What the pictures below the title are, in a sentence."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.waiting: list[tuple[pn.Column, Any]] = []
        """Figures that are not drawn yet, and their places."""

    @abstractmethod
    def contents(self) -> list[Any]:
        """Return what lies below the title, from top to bottom; called once."""

    @abstractmethod
    def show(self, look: Look) -> None:
        """Show another diagnosis."""

    def layout(self) -> pn.Column:
        """Lay the section out."""
        return pn.Column(
            html(f"<h3>{self.title}</h3>", "itslive-section-title", sizing_mode="stretch_width", margin=0),
            *([html(f"<p>{self.about}</p>", "itslive-note", margin=0)] if self.about else []),
            *self.contents(),
            sizing_mode="stretch_width",
            margin=0,
            css_classes=["itslive-section"],
            stylesheets=[stylesheet()],
        )

    def place(self, pane: Any = None) -> pn.Column:
        """Make the place of a figure, which is drawn once the words are there; without a figure it is empty.

        A pane of HoloViews cannot be hidden once it is drawn; its place can.
        """
        made = pn.Column(sizing_mode="stretch_width", margin=0)
        if pane is not None:
            self.waiting.append((made, pane))
        return made


def note(margin: Any = 0) -> pn.pane.HTML:
    """Make a sentence that is written later."""
    return html("", "itslive-note", sizing_mode="stretch_width", margin=margin)
