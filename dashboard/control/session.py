"""What belongs to one session and is handed to everything that acts in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import param

from dashboard.hosting.host import Host
from dashboard.hosting.secrets import hidden
from dashboard.state.choices import Choices
from dashboard.state.estimators import Estimators
from dashboard.state.filters import Filters
from dashboard.state.jobs import Jobs
from dashboard.state.lines import Lines
from dashboard.state.looks import Looks
from dashboard.state.selection import Selection
from dashboard.state.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.runner import JobRunner

__all__ = ["Messages", "Session"]


class Messages(param.Parameterized):
    """What the person is told: one sentence, and how far the long job is."""

    text = param.String(default="", doc="The last message; empty hides it.")
    severity = param.Selector(default="info", objects=["info", "success", "warning", "error"])
    activity = param.String(default="", doc="What is being done just now; empty when idle.")
    waiting = param.Integer(default=0, bounds=(0, None), doc="Jobs that wait for kernels to be compiled.")

    def tell(self, text: str, severity: str = "info") -> None:
        """Show a message, also where it is the same as before."""
        with param.parameterized.discard_events(self):
            self.text = ""
        self.param.update(text=hidden(text), severity=severity)

    def error(self, text: str) -> None:
        """Show an error."""
        self.tell(text, "error")

    def clear(self) -> None:
        """Hide the message."""
        self.text = ""

    def wait_for_kernels(self, begins: bool) -> None:
        """Count a job more, or one less, that waits for kernels to be compiled."""
        self.waiting = max(0, self.waiting + (1 if begins else -1))


@dataclass(eq=False)
class Session:
    """State, worker and messages of one session.

    Parameters
    ----------
    runner : JobRunner
        Where work is done.
    host : Host
        What it shares with other sessions, and what its visitor may do.
    """

    runner: JobRunner
    host: Host = field(default_factory=Host)
    selection: Selection = field(default_factory=Selection)
    lines: Lines = field(default_factory=Lines)
    filters: Filters = field(default_factory=Filters)
    settings: Settings = field(default_factory=Settings)
    estimators: Estimators = field(default_factory=Estimators)
    looks: Looks = field(default_factory=Looks)
    messages: Messages = field(default_factory=Messages)
    jobs: Jobs = field(default_factory=Jobs)
    _doing: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _tickets: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Say when work waits for kernels; what strangers begin ends with them, unless they ask otherwise."""
        self.jobs.keep = not self.host.rules.public
        self.runner.on_waiting = self.messages.wait_for_kernels

    def chosen(self) -> dict[str, tuple[param.Parameterized, tuple[str, ...]]]:
        """Return all that a person sets, by name: the state, and which of its parameters."""
        settings, estimators = self.settings, self.estimators
        return {
            "filters": (self.filters, self.filters.FIELDS),
            "settings": (settings, (*settings.fit_fields, "neighbours", "mu")),
            **{
                name: (state, tuple(state.kinds))
                for name, state in {"estimators": estimators, **estimators.others}.items()
            },
        }

    def choices(self) -> Choices | None:
        """Return settings and selection for the core; tells and returns None where they are impossible."""
        from itslive_core.errors import ItsliveError

        estimators = self.estimators
        try:
            settings = self.settings.to_core()
            return Choices(
                settings,
                self.filters.to_core(),
                estimators.inverts,
                estimators.second(settings),
                self.settings.spatial_smoothing,
            )
        except ItsliveError as error:
            self.messages.error(str(error))
            return None

    def begin(self, what: str, lane: str) -> Callable[[bool], None]:
        """Say what is being done in a lane; several may work at once, and the newest is told.

        Returns
        -------
        callable
            Says that it is done, unless something newer has begun in the lane: for `JobRunner.submit`.
        """
        ticket = self._tickets[lane] = self._tickets.get(lane, 0) + 1
        self._doing.pop(lane, None)
        self._doing[lane] = what
        self._tell_activity()
        return lambda _stopped: self.end(lane) if self._tickets[lane] == ticket else None

    def say(self, what: str, lane: str) -> None:
        """Say how far it is."""
        if lane in self._doing:
            self._doing[lane] = what
            self._tell_activity()

    def end(self, lane: str) -> None:
        """Say that nothing is being done in a lane any more."""
        self._doing.pop(lane, None)
        self._tell_activity()

    def _tell_activity(self) -> None:
        self.messages.activity = hidden(next(reversed(self._doing.values()), ""))
