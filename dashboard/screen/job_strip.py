"""The line under the head of the glacier's card: how large the estimate is, how it stands, and its files."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.hosting.downloads import FORMATS, file_name, pieces_of
from dashboard.state.jobs import words_of
from dashboard.views.parts import html

if TYPE_CHECKING:
    from dashboard.control.jobs import JobControl
    from dashboard.control.session import Session

__all__ = ["JobStrip"]

_MOST = 500_000_000
"""Bytes of a result that is sent through the page where the server has no address for it."""


class JobStrip(Viewer):
    """Size and time before, pixels during, files after.

    Parameters
    ----------
    session : Session
    jobs : JobControl
    """

    def __init__(self, session: Session, jobs: JobControl, **params: Any) -> None:
        super().__init__(**params)
        self._session, self._jobs, self._state = session, jobs, session.jobs
        self._text = html(
            "", "itslive-job", margin=(0, 4, 0, 14), sizing_mode="stretch_width", align="center"
        )
        self._resume = pmui.Button(
            label="Resume",
            description="Resume: estimate the pixels that are left",
            icon="play_arrow",
            size="small",
            variant="text",
            visible=False,
            margin=(0, 3),
            css_classes=["itslive-resume"],
        )
        self._resume.on_click(self._go_on)
        self._keep = pmui.Checkbox.from_param(
            self._state.param.keep,
            label="Keep running",
            description="It goes on when this page is closed; else it ends with the page",
            size="small",
            margin=(0, 6),
            css_classes=["itslive-keep"],
        )
        self._links = html("", "itslive-files", margin=(0, 10), align="center", visible=False)
        self._files = [] if session.host.downloads else [self._file(suffix) for suffix in FORMATS]
        self.layout = pmui.Row(
            self._text,
            self._resume,
            self._keep,
            self._links,
            *self._files,
            sizing_mode="stretch_width",
            margin=0,
            visible=False,
            css_classes=["itslive-job-strip"],
            sx={"alignItems": "center", "flexWrap": "wrap"},
        )
        self._state.param.watch(self._show, ["current", "size"])

    def __panel__(self) -> pmui.Row:
        return self.layout

    def _show(self, *_: Any) -> None:
        now = self._state.current
        if now is None:
            self._text.object = f"<span>{escape(self._state.size)}</span>" if self._state.size else ""
        else:
            self._text.object = f"<span>{escape(words_of(now))}</span>"
        there = now is not None and now.done > 0 and not now.active
        self._resume.visible = now is not None and now.state in ("stopped", "failed")
        self._keep.visible = now is None or now.active
        if self._session.host.downloads:
            links = (
                (
                    f"<a href='results/{now.id}.{suffix}' download>{label}</a>"
                    for suffix, label in FORMATS.items()
                )
                if now is not None
                else ()
            )
            self._links.param.update(object=" ".join(links) if there else "", visible=there)
        for suffix, button in zip(FORMATS, self._files):
            button.visible = there
            if there and now is not None:
                button.filename = file_name(self._session.host, now.id, suffix)
        self.layout.visible = bool(self._text.object)

    def _go_on(self, *_: Any) -> None:
        if self._state.current is not None:
            self._jobs.show(self._state.current.id, resume=True)

    def _file(self, suffix: str) -> pmui.FileDownload:
        return pmui.FileDownload(
            label=FORMATS[suffix],
            filename=f"glacier.{suffix}",
            callback=lambda: self._content(suffix),
            embed=False,
            auto=True,
            size="small",
            icon="",
            visible=False,
            margin=(0, 3),
            css_classes=[f"itslive-area-{suffix}"],
        )

    def _content(self, suffix: str) -> io.BytesIO:
        """Make a file that goes through the page."""
        now, host = self._state.current, self._session.host
        if now is None:
            return io.BytesIO()
        if host.jobs.results.bytes(now.id) > _MOST:
            self._session.messages.error(
                f"This result is larger than {_MOST / 1e6:.0f} MB: start the server with itslive-dashboard,"
                f" which sends it, or take it from {host.jobs.results.store(now.id)}"
            )
            return io.BytesIO()
        return io.BytesIO(b"".join(pieces_of(host, now.id, suffix)))
