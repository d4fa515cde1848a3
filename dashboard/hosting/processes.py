"""Several processes behind one door: each visitor stays with one of them, which a cookie names.

A session lives in the process that made its page. So the door reads the head of each request, finds the
process there, or takes the one with the fewest connections, and passes everything on as it is. A process that
dies is started again; its visitors get a new session from their address.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dashboard.hosting.life import PATIENCE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["Door", "Process", "head_for", "serve_with"]

_COOKIE = re.compile(rb"(?i)^cookie:.*?\bitslive_home=(\d+)", re.MULTILINE)
_FORWARDED = re.compile(rb"(?im)^(?:x-forwarded-[\w-]+|x-real-ip|x-scheme|forwarded|connection):[^\n]*\n")
_LONGEST_HEAD = 2_200_000
_SLOWEST_HEAD = 30.0
"""Time for the head of a request to come [s]."""


@dataclass(eq=False)
class Process:
    """One of the processes.

    Parameters
    ----------
    number : int
        Its name in the cookie.
    command : sequence of str
        What starts it.
    port : int
        Where it listens on loopback.
    """

    number: int
    command: Sequence[str]
    port: int
    running: subprocess.Popen[bytes] | None = None
    connections: int = 0
    started: float = field(default=0.0)

    def start(self) -> None:
        """Start it, or start it again."""
        self.started = time.monotonic()
        self.running = subprocess.Popen(self.command)  # noqa: S603 - this very program

    def look(self) -> None:
        """Start it again where it has ended, but not more than every few seconds."""
        if (
            self.running is not None
            and self.running.poll() is not None
            and time.monotonic() - self.started > 5
        ):
            self.start()


def head_for(head: bytes, guest: str, *, behind_proxy: bool) -> bytes:
    """Write the head of a request anew for a process.

    Parameters
    ----------
    head : bytes
        Up to and with the empty line.
    guest : str
        Address of who asks.
    behind_proxy : bool
        Believe what the request says of where it came from; else it is taken out.

    Returns
    -------
    bytes
        One request a connection, so that each can go to another process.
    """
    first, _, rest = head.partition(b"\r\n")
    upgrade = re.search(rb"(?im)^upgrade:\s*websocket", rest) is not None
    own = b"Connection: " + (b"Upgrade" if upgrade else b"close") + b"\r\n"
    if behind_proxy:
        rest = re.sub(rb"(?im)^connection:[^\n]*\n", b"", rest)
    else:
        rest = _FORWARDED.sub(b"", rest)
        own += b"X-Forwarded-For: " + guest.encode("ascii", "ignore") + b"\r\n"
    return first + b"\r\n" + own + rest


class Door:
    """Passes requests on to processes.

    Parameters
    ----------
    processes : sequence of Process
    behind_proxy : bool
        See `head_for`.
    """

    def __init__(self, processes: Sequence[Process], *, behind_proxy: bool) -> None:
        self.processes = processes
        self._behind_proxy = behind_proxy

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SLOWEST_HEAD)
            guest = writer.get_extra_info("peername")
            name = guest[0] if isinstance(guest, tuple) else ""
            await self._pass_on(head_for(head, name, behind_proxy=self._behind_proxy), reader, writer)
        writer.close()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for process in self._in_order(head):
            try:
                there, out = await asyncio.open_connection("127.0.0.1", process.port)
            except OSError:
                continue
            process.connections += 1
            try:
                out.write(head)
                ways = [asyncio.create_task(_copy(reader, out)), asyncio.create_task(_copy(there, writer))]
                # Who asked may stop talking; when the process has said all, the connection ends.
                await asyncio.wait(ways[1:])
                for way in ways:
                    way.cancel()
            finally:
                process.connections -= 1
                out.close()
            return
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    def _in_order(self, head: bytes) -> list[Process]:
        """Give the process that a cookie names first, then those with the fewest connections."""
        match = _COOKIE.search(head)
        home = int(match[1]) if match else -1
        return sorted(self.processes, key=lambda one: (one.number != home, one.connections))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _commands(options: argparse.Namespace, arguments: Sequence[str]) -> list[Process]:
    """Name the processes: as this one was started, with a share of what it may use."""
    n = options.num_procs
    kept, skip = [], False
    for argument in arguments:
        name, _, value = argument.partition("=")
        own = name in ("--num-procs", "--port", "--address", "--memory", "--sessions", "--use-xheaders")
        if not (own or skip):
            kept.append(argument)
        skip = own and not value and name != "--use-xheaders"
    more = ["--address", "127.0.0.1", "--use-xheaders"]
    if options.memory:
        more += ["--memory", str(max(1, options.memory // n))]
    if options.sessions:
        more += ["--sessions", str(max(1, options.sessions // n))]
    if not options.allow_websocket_origin:
        # What the door is called by those on this machine; the processes only see their own ports.
        for name in {"localhost", "127.0.0.1", options.address}:
            more += ["--allow-websocket-origin", f"{name}:{options.port}"]
    found = []
    for number in range(n):
        port = _free_port()
        command = [sys.executable, "-m", "dashboard.serve", *kept, *more]
        found.append(Process(number, [*command, "--port", str(port), "--home", str(number)], port))
    return found


def serve_with(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Serve by several processes until a signal comes.

    Parameters
    ----------
    options : argparse.Namespace
        With ``num_procs``.
    arguments : sequence of str
        Of the command line.

    Returns
    -------
    int
        Exit code: 0, or 1 if the port is taken.
    """
    os.environ.setdefault("BOKEH_SECRET_KEY", os.urandom(32).hex())  # one for all of them
    processes = _commands(options, arguments)

    async def serve() -> int:
        door = Door(processes, behind_proxy=options.use_xheaders)
        try:
            server = await asyncio.start_server(
                door.answer, options.address, options.port, limit=_LONGEST_HEAD, backlog=500
            )
        except OSError as error:
            reason = error.strerror or error
            told = f"error: cannot listen on port {options.port} ({reason}): choose another with --port"
            print(told, file=sys.stderr)  # noqa: T201 - a command
            return 1
        ended = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
        for process in processes:
            process.start()
        where = f"http://{options.address}:{server.sockets[0].getsockname()[1]}/{options.prefix.strip('/')}"
        print(f"Dashboard at {where} (stop with Ctrl+C)", flush=True)  # noqa: T201 - a command
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 1.0)
            if not ended.is_set():
                for process in processes:
                    process.look()
        server.close()
        return 0

    code = asyncio.run(serve())
    _end(processes)
    return code


def _end(processes: Sequence[Process]) -> None:
    """End all processes, kindly at first."""
    running = [one.running for one in processes if one.running is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + PATIENCE + 1.0
    for process in running:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
