"""Undo and redo over all that a person chooses: settings, filters, what is left out, points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import param

from dashboard.state.history import History

if TYPE_CHECKING:
    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session

__all__ = ["HistoryControl"]

_POINTS = "points"


class HistoryControl(param.Parameterized):
    """Takes note of what a person chooses, and goes back to it.

    What follows from other choices is no choice: the name of a preset, and lambda while it comes from the
    data. The first points belong to how it begins.

    Parameters
    ----------
    session : Session
    series : SeriesControl
        Reads points again that come back.
    """

    can_undo = param.Boolean(default=False, doc="There is a step back.")
    can_redo = param.Boolean(default=False, doc="There is a step forth.")

    def __init__(self, session: Session, series: SeriesControl, **params: Any) -> None:
        super().__init__(**params)
        self._session, self._series = session, series
        self._going = False
        self._history = History(self._chosen())
        for state, names in session.chosen().values():
            state.param.watch(self._changed, list(names))
        session.selection.param.watch(self._changed, _POINTS)

    def begin(self) -> None:
        """Begin with what is chosen now."""
        self._history.begin(self._chosen())
        self._tell()

    def undo(self) -> None:
        """Go a step back."""
        if self.can_undo:
            self._go(self._history.undo())

    def redo(self) -> None:
        """Go a step forth again."""
        if self.can_redo:
            self._go(self._history.redo())

    def _chosen(self) -> dict[str, Any]:
        """Return what is chosen, by name."""
        settings = self._session.settings
        found: dict[str, Any] = {_POINTS: tuple(self._session.selection.points)}
        for group, (state, names) in self._session.chosen().items():
            for name in names:
                if not (state is settings and name == "log_smoothing" and settings.auto_smoothing):
                    found[f"{group}.{name}"] = _plain(getattr(state, name))
        return found

    def _changed(self, *_: Any) -> None:
        if self._going:
            return
        chosen = self._chosen()
        if not self._history.now[_POINTS] and not self._history.can_undo:
            self._history.begin({**self._history.now, _POINTS: chosen[_POINTS]})
        self._history.record(chosen)
        self._tell()

    def _go(self, chosen: dict[str, Any]) -> None:
        self._going = True
        try:
            for group, (state, names) in self._session.chosen().items():
                there = {name: chosen[f"{group}.{name}"] for name in names if f"{group}.{name}" in chosen}
                moved = {
                    name: list(value) if isinstance(getattr(state, name), list) else value
                    for name, value in there.items()
                    if value != _plain(getattr(state, name))
                }
                if moved:
                    state.param.update(**moved)
            if chosen[_POINTS] != tuple(self._session.selection.points):
                self._session.selection.points = list(chosen[_POINTS])
                self._series.read_again()
        finally:
            self._going = False
        self._tell()

    def _tell(self) -> None:
        self.param.update(can_undo=self._history.can_undo, can_redo=self._history.can_redo)


def _plain(value: Any) -> Any:
    """Return a value as the history keeps it."""
    return tuple(value) if isinstance(value, list) else value
