"""What a person chose, step by step: the way back, and forth again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MOST_STEPS", "History"]

MOST_STEPS = 100
"""Steps that are kept."""
_TOGETHER = 1.0
"""Changes of the same things that follow each other as fast are one step: a slider being moved [s]."""


class History:
    """States of what a person chose; each is a mapping of names to values that are never changed.

    Parameters
    ----------
    now : mapping
        How it begins.
    clock : callable, optional
        Tells the time [s].
    """

    def __init__(self, now: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begin(now)

    def begin(self, now: Mapping[str, Any]) -> None:
        """Begin anew: there is no way back from here."""
        self.now = dict(now)
        self._past: list[dict[str, Any]] = []
        self._future: list[dict[str, Any]] = []
        self._moved: frozenset[str] = frozenset()
        self._when = -_TOGETHER

    @property
    def can_undo(self) -> bool:
        """Whether there is a step back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step forth."""
        return bool(self._future)

    def record(self, now: Mapping[str, Any]) -> None:
        """Take note of what a person has just chosen; nothing where that is what it was."""
        moved = frozenset(name for name in {*self.now, *now} if self.now.get(name) != now.get(name))
        if not moved:
            return
        when = self._clock()
        together = moved == self._moved and when - self._when < _TOGETHER and self.can_undo
        if not together:
            self._past = [*self._past, self.now][-MOST_STEPS:]
        self.now, self._future = dict(now), []
        self._moved, self._when = moved, when
        if together and self._past[-1] == self.now:
            self._past.pop()

    def undo(self) -> dict[str, Any]:
        """Go a step back, and return what was chosen then."""
        return self._go(self._past, self._future)

    def redo(self) -> dict[str, Any]:
        """Go a step forth again, and return what was chosen then."""
        return self._go(self._future, self._past)

    def _go(self, source: list[dict[str, Any]], other: list[dict[str, Any]]) -> dict[str, Any]:
        if source:
            other.append(self.now)
            self.now, self._moved = source.pop(), frozenset()
        return self.now
