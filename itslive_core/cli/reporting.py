"""What the command line says while it works: on stderr, and nothing if it is asked to be quiet."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import click

from itslive_core.support.durations import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BlockProgress", "Reporter", "stop_on_interrupt"]

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_PRESSES = 0.5  # sooner, it is one Ctrl-C that came to us twice, by way of a parent process


class Reporter:
    """Says on stderr how far the work is.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Write one line."""
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Say so if kernels must be compiled meanwhile."""
        from itslive_core.support.compiled import COMPILING, watch_compilation

        with watch_compilation(lambda: self.say(f"{COMPILING}: it takes a while")):
            yield

    @contextmanager
    def blocks(self) -> Iterator[BlockProgress]:
        """Show the progress of blocks: a bar on a terminal, a line now and then elsewhere."""
        if self.quiet:
            yield BlockProgress()
        elif sys.stderr.isatty():
            with _Bar() as bar:
                yield bar
        else:
            yield _Lines()


class BlockProgress:
    """Progress of blocks that nobody looks at; base of those that are shown."""

    def update(self, done: int, total: int, what: str = "blocks") -> None:
        """Take note that so many blocks are done.

        Parameters
        ----------
        done, total : int
            Blocks.
        what : str
            What is counted; another count begins where it changes.
        """


class _Lines(BlockProgress):
    """A line of plain text when a tenth more is done, but not too often."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._first: int | None = None
        self._last = self._begin
        self._what = ""

    def update(self, done: int, total: int, what: str = "blocks") -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._first, self._begin = what, None, self._last if self._what else self._begin
        if self._first is None:
            self._first = done - 1  # a continued job starts with blocks that took no time now
        if done < total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = (now - self._begin) / (done - self._first) * (total - done)
        click.echo(f"{done} of {total} {what}, {clock(left)} left", err=True)


class _Bar(BlockProgress):
    """A bar with the time left."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress: Any = Progress(*columns, TextColumn("left"), console=Console(stderr=True))
        self._task = self._progress.add_task("blocks", total=None)
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, done: int, total: int, what: str = "blocks") -> None:
        self._progress.update(self._task, completed=done, total=total, description=what)


@contextmanager
def stop_on_interrupt(report: Reporter) -> Iterator[threading.Event]:
    """Let the first Ctrl-C ask for an orderly end, the second force it.

    Yields
    ------
    threading.Event
        Set by the first Ctrl-C.
    """
    stop = threading.Event()
    asked_at = 0.0

    def handle(*_: object) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if stop.is_set():
            if now - asked_at > _SECONDS_BETWEEN_PRESSES:
                raise KeyboardInterrupt
            return
        asked_at = now
        stop.set()
        report.say("Stopping when the blocks at work are done; press Ctrl-C again to stop at once.")

    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach the main thread only
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
