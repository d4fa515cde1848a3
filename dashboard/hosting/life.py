"""The life of a server: its loop is watched, idle sessions are closed, and it ends in time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tornado.ioloop import PeriodicCallback

from itslive_core.errors import ItsliveError

if TYPE_CHECKING:
    from dashboard.hosting.host import Host

__all__ = ["PATIENCE", "close_idle", "run"]

PATIENCE = 8.0
"""Time that work is given to end when the process shall [s]; what is stored is stored."""
_LOOK = 1.0
"""Between two looks at the event loop [s]."""
_TIDY = 600.0
"""Between two looks for results that are too old [s]."""
_SWEEP = 15.0
"""Between two looks for idle sessions [s]."""


def run(server: Any, host: Host) -> None:
    """Serve until a signal comes, then end all work and return.

    Parameters
    ----------
    server : panel.io.server.Server
        That listens, and is not started.
    host : Host
        Its jobs are stopped.
    """
    loop = server.io_loop
    due = time.monotonic() + _LOOK

    def look() -> None:
        nonlocal due
        now = time.monotonic()
        host.lag = max(0.0, now - due)
        due = now + _LOOK

    def end() -> None:
        host.stop()
        _end_anyway()
        loop.add_callback(loop.stop)

    tasks = [PeriodicCallback(look, 1000 * _LOOK)]
    if host.rules.days or host.rules.quota:
        tasks.append(PeriodicCallback(lambda: _tidy(host), 1000 * _TIDY))
    if host.rules.idle:
        tasks.append(PeriodicCallback(lambda: close_idle(server, host), 1000 * _SWEEP))
    for name in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # on Windows
            loop.asyncio_loop.add_signal_handler(name, end)
    server.start()
    for task in tasks:
        task.start()
    try:
        loop.start()
    except KeyboardInterrupt:
        end()
    for task in tasks:
        task.stop()
    server.stop()
    host.jobs.wait(PATIENCE)


def _tidy(host: Host) -> None:
    """Delete results that are too old, beside the loop."""

    def work() -> None:
        with suppress(ItsliveError):
            host.jobs.results.make_room(0.0)

    threading.Thread(target=work, name="itslive-tidy", daemon=True).start()


def _end_anyway() -> None:
    """End the process after some time, whatever still works."""

    def wait() -> None:
        time.sleep(PATIENCE)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    threading.Thread(target=wait, name="itslive-end", daemon=True).start()


async def close_idle(server: Any, host: Host, *, now: float | None = None) -> int:
    """Close the sessions that nobody used for long and that have no work; return how many there were.

    Their pages open again when they are touched.
    """
    now = time.monotonic() if now is None else now
    working = {id(guest.document) for guest in host.guests if guest.working}
    closed = 0
    for session in list(server.get_sessions()):
        used = host.used.setdefault(session.document, now)
        if now - used < 60.0 * host.rules.idle or id(session.document) in working:
            continue
        for connection in list(session._subscribed_connections):  # noqa: SLF001 - Bokeh has no public way
            connection._socket.close(1000, "idle")  # noqa: SLF001
        session.request_expiration()
        host.tally.count("sessions_closed_idle")
        closed += 1
        await asyncio.sleep(0)
    return closed
