"""The bar at the top, which searches and says what is being done, and the message at the bottom."""

from __future__ import annotations

from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.util import edit_readonly
from panel.viewable import Viewer

from dashboard.views.parts import html, stylesheet
from itslive_core.places.gazetteer import gazetteer
from itslive_core.support.compiled import COMPILING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dashboard.control.session import Messages
    from dashboard.state.progress import Progress
    from itslive_core import Glacier

__all__ = ["Header", "MessageBar"]

_MOST_NAMES = 5000
_SOON = 0.3
"""Work that takes longer is told [s]."""
_SEARCH_STYLE: Mapping[str, Any] = MappingProxyType(
    {
        # The bar is dark in light and in dark; the box on it is light in both.
        "& .MuiInputBase-root": {"backgroundColor": "#FFFFFF", "color": "#17212B", "borderRadius": "8px"},
        "& .MuiInputBase-input::placeholder": {"color": "#51606B", "opacity": "1 !important"},
        # With a label, the placeholder would wait for the focus.
        "& label[data-shrink=false] + .MuiInputBase-formControl .MuiInputBase-input::placeholder": {
            "opacity": "1 !important"
        },
        "& .MuiAutocomplete-endAdornment .MuiSvgIcon-root": {"color": "#51606B"},
        # The label is for readers of the screen: it takes no room.
        "& .MuiInputLabel-root": {
            "position": "absolute",
            "width": "1px",
            "height": "1px",
            "overflow": "hidden",
            "clipPath": "inset(50%)",
        },
        "& .MuiOutlinedInput-notchedOutline": {"top": 0},
        "& .MuiOutlinedInput-notchedOutline legend": {"display": "none"},
    }
)


class Header(Viewer):
    """Search, activity, progress of the long job and the button that stops it.

    Parameters
    ----------
    messages : Messages
    progress : Progress
    on_search : callable
        Told the text that was searched for.
    on_stop : callable
        Called when the long job shall stop.
    after : callable
        Does something after some time: see `dashboard.runner.JobRunner.after`.
    paths : bool
        Offer paths of the server: its visitors are at home there.
    """

    def __init__(
        self,
        messages: Messages,
        progress: Progress,
        on_search: Callable[[str], None],
        on_stop: Callable[[], None],
        after: Callable[[float, str, Callable[[], None] | None], None],
        *,
        paths: bool = True,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._messages, self._progress, self._after = messages, progress, after
        self.search = pmui.AutocompleteInput(
            label="Search",
            value="",
            placeholder=f"Glacier, RGI id, lat, lon, or {'path' if paths else 'address'} of a cube",
            restrict=False,
            min_characters=1,
            size="small",
            search_strategy="includes",
            case_sensitive=False,
            width=330,
            margin=(4, 16),
            css_classes=["itslive-search"],
            sx=dict(_SEARCH_STYLE),
        )
        self._on_search = on_search
        self.search.param.watch(self._searched, "value")
        self.offer([])
        self._activity = html(
            "<span class='idle'>Ready</span>", "itslive-activity", margin=(0, 12), align="center"
        )
        self._bar = pmui.LinearProgress(
            value=0,
            variant="determinate",
            width=150,
            margin=(0, 8),
            visible=False,
            color="light",
            align="center",
            css_classes=["itslive-progress"],
        )
        self._stop = pmui.Button(
            label="Stop",
            icon="stop",
            size="small",
            color="error",
            variant="contained",
            visible=False,
            margin=(0, 8),
            align="center",
            css_classes=["itslive-stop"],
        )
        self._stop.on_click(lambda _: on_stop())
        messages.param.watch(self._tell, ["activity", "waiting"])
        progress.param.watch(self._tell, ["running", "stopping", "share", "text"])
        self.layout = pmui.Row(
            self.search,
            pn.layout.HSpacer(),
            self._activity,
            self._bar,
            self._stop,
            sizing_mode="stretch_width",
            margin=0,
            align="center",
            css_classes=["itslive-header"],
            sx={"alignItems": "center"},
        )

    def __panel__(self) -> pmui.Row:
        return self.layout

    def _searched(self, event: Any) -> None:
        """Search for what was typed, and keep it in the box, which would drop what it does not offer."""
        if event.new:
            with edit_readonly(self.search):
                self.search.value_input = event.new
            self._on_search(event.new)

    def offer(self, known: list[Glacier]) -> None:
        """Offer the names of the loaded outlines in the search box, beside those of the gazetteer."""
        names = {str(one.label) for one in known} | {str(one.rgi_id) for one in known if one.rgi_id}
        famous = {name for one in gazetteer() for name in (one.name, *one.aliases)}
        self.search.options = sorted(names)[:_MOST_NAMES] + sorted(famous - names)

    def _tell(self, *_: Any) -> None:
        """Say what is being done; work that is soon over is not worth a word, which every move would cost."""
        idle = "'idle'" in self._activity.object
        short = bool(self._messages.activity) and not (self._progress.running or self._messages.waiting)
        self._after(_SOON, "activity", self._show if idle and short else None)
        if not (idle and short):
            self._show()

    def _show(self) -> None:
        progress = self._progress
        text = progress.text if progress.running else self._messages.activity
        if self._messages.waiting:
            text = f"{COMPILING} …"
        idle = escape(progress.text or "Ready")  # how the long job ended stays until something else begins
        self._activity.object = (
            f"<span class='busy'>{escape(text)}</span>" if text else f"<span class='idle'>{idle}</span>"
        )
        self._bar.param.update(
            visible=progress.running,
            value=round(100 * progress.share),
        )
        self._stop.param.update(
            visible=progress.running,
            disabled=progress.stopping,
            label="Stopping" if progress.stopping else "Stop",
        )


class MessageBar(Viewer):
    """The last message, until it is closed.

    Parameters
    ----------
    messages : Messages
    """

    def __init__(self, messages: Messages, **params: Any) -> None:
        super().__init__(**params)
        self._messages = messages
        self.alert = pmui.Alert(
            object="",
            severity="info",
            closeable=True,
            visible=False,
            variant="filled",
            # Its text is the title: that is shown as it is, where the object would be taken for markup.
            sx={"& .MuiAlertTitle-root": {"margin": 0, "fontSize": "0.875rem", "lineHeight": 1.45}},
            css_classes=["itslive-message"],
            margin=0,
            stylesheets=[stylesheet()],
        )
        messages.param.watch(self._show, ["text", "severity"], onlychanged=False)
        self.alert.param.watch(lambda event: messages.clear() if event.new else None, "closed")

    def __panel__(self) -> pmui.Alert:
        return self.alert

    def _show(self, *_: Any) -> None:
        messages = self._messages
        self.alert.param.update(
            title=messages.text, severity=messages.severity, visible=bool(messages.text), closed=False
        )
