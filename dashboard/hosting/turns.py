"""Turns: so many jobs at a time, the others wait in the order of their coming."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from itslive_core.errors import ItsliveError
from itslive_core.support.stopping import check_stop

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BusyError", "Turns"]


class BusyError(ItsliveError):
    """Too many wait already."""


class Turns:
    """Lets so many work at a time.

    Who comes again goes to the end: with one job a session, sessions take turns.

    Parameters
    ----------
    places : int
        Jobs at a time; 0 for any number.
    queue : int
        Jobs that may wait; 0 for any number.
    """

    def __init__(self, places: int = 0, queue: int = 0) -> None:
        self._places, self._queue = places, queue
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self.working = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def turn(self) -> Iterator[Iterator[int]]:
        """Hold a place: go through what is given, which says how many are before, until one's turn comes.

        Raises
        ------
        BusyError
            If too many wait.
        StoppedError
            While it is gone through, if the work is to stop.
        """
        me = object()
        with self._changed:
            if self._queue and len(self._waiting) >= self._queue:
                raise BusyError(f"{len(self._waiting)} jobs wait for this server already: try again later")
            self._waiting.append(me)
        try:
            yield self._waits(me)
        finally:
            with self._changed:
                if me in self._waiting:
                    self._waiting.remove(me)
                else:
                    self.working -= 1
                self._changed.notify_all()

    def _waits(self, me: object) -> Iterator[int]:
        last = -1
        while True:
            with self._changed:
                before = self._waiting.index(me)
                if before == 0 and (not self._places or self.working < self._places):
                    self._waiting.remove(me)
                    self.working += 1
                    self._changed.notify_all()
                    return
                self._changed.wait(0.0 if before != last else 0.2)
            check_stop()
            if before != last:
                yield before
                last = before
