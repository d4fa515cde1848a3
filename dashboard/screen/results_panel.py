"""The list of estimates of whole glaciers: how each stands, and what can be done with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.hosting.secrets import nameless
from dashboard.screen.job_memory import JobMemory
from dashboard.state.jobs import words_of, words_of_age
from dashboard.views.parts import html

if TYPE_CHECKING:
    from dashboard.control.jobs import JobControl
    from dashboard.control.session import Session
    from dashboard.hosting.standing import Standing

__all__ = ["ResultsPanel"]

_SHOWN = 30
"""Rows of the list."""


class ResultsPanel(Viewer):
    """Rows with buttons to open, to go on, to stop and to delete.

    Parameters
    ----------
    session : Session
    jobs : JobControl
    """

    def __init__(self, session: Session, jobs: JobControl, **params: Any) -> None:
        super().__init__(**params)
        self._session, self._jobs, self._state = session, jobs, session.jobs
        self._rows: dict[str, _Row] = {}
        self._note = html("", "itslive-hint", margin=(4, 12), sizing_mode="stretch_width")
        self._list = pmui.Column(sizing_mode="stretch_width", margin=0, css_classes=["itslive-results"])
        self.layout = pmui.Column(self._list, self._note, sizing_mode="stretch_width", margin=0)
        if session.host.rules.public:
            self.layout.append(JobMemory(session.jobs))
        session.jobs.param.watch(lambda *_: session.runner.later("results", self.update), "listed")
        if session.host.rules.public:
            session.jobs.param.watch(lambda *_: jobs.refresh(), "known")
        self.update()

    def __panel__(self) -> pmui.Column:
        return self.layout

    def update(self) -> None:
        """Write the list anew; a row stays the same as long as its job is listed."""
        listed = self._state.listed[:_SHOWN]
        rows = {one.id: self._rows.get(one.id) or _Row(one.id, self._jobs) for one in listed}
        for one in listed:
            words = words_of(one)
            if self._session.host.rules.public and one.words:
                words = nameless(words, self._jobs.cubes_of(one.id))
            rows[one.id].show(one, words)
        if list(rows) != list(self._rows):
            self._list.objects = [row.layout for row in rows.values()]
        self._rows = rows
        self._note.object = f"<p>{escape(self._words(len(self._state.listed)))}</p>"

    def _words(self, count: int) -> str:
        rules = self._session.host.rules
        said = "" if count else "No estimate of a whole glacier yet: choose a glacier and press its button."
        if count > _SHOWN:
            said = f"The newest {_SHOWN} of {count}."
        if rules.days:
            said += f" Results stay for {rules.days:g} days; whoever has the address of one can open it."
        return said.strip()


class _Row:
    """A job in the list.

    Parameters
    ----------
    job : str
        Its id.
    jobs : JobControl
    """

    def __init__(self, job: str, jobs: JobControl) -> None:
        self._words = html("", "itslive-result", margin=(0, 0, 0, 12), sizing_mode="stretch_width")
        self._open = self._button("map", "Show on the map", "open", lambda: jobs.open(job))
        self._resume = self._button("play_arrow", "Resume", "resume", lambda: jobs.open(job, resume=True))
        self._stop = self._button("stop", "Stop", "stop", lambda: jobs.stop_one(job))
        self._delete = self._button("delete", "Delete", "delete", lambda: jobs.delete(job))
        self.layout = pmui.Row(
            self._words,
            self._open,
            self._resume,
            self._stop,
            self._delete,
            sizing_mode="stretch_width",
            margin=0,
            sx={"alignItems": "center"},
        )

    def show(self, standing: Standing, words: str) -> None:
        """Say how it stands."""
        text = f"<b>{escape(standing.name)}</b><br>{escape(words)} <i>{words_of_age(standing.created)}</i>"
        if text != self._words.object:
            self._words.object = text
        self._resume.visible = standing.state in ("stopped", "failed")
        self._stop.visible = standing.active
        for button, what in ((self._open, "Show on the map"), (self._delete, "Delete")):
            button.description = f"{what}: {standing.name}"

    @staticmethod
    def _button(icon: str, label: str, name: str, act: Any) -> pmui.IconButton:
        button = pmui.IconButton(
            icon=icon,
            size="small",
            description=label,
            margin=0,
            css_classes=[f"itslive-result-{name}"],
        )
        button.on_click(lambda _: act())
        return button
