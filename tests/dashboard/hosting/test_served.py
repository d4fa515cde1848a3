"""The whole of it: a door and two processes, with visitors on real sockets; one process is killed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from benchmarks.visitor import Visitor
from tests.loops import run_apart
from tests.waiting import seconds, until

ROOT = Path(__file__).resolve().parents[3]
PLAIN = urllib.request.build_opener()


class Served:
    """`itslive-dashboard --public` with two processes."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url, self.log = f"http://localhost:{port}/", log
        options = ["--public", "--metrics", "--no-demo", "--num-procs", "2", "--port", str(port)]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dashboard.serve", *options], stdout=out, stderr=out, cwd=ROOT
            )

    def get(self, path: str, home: int | None = None):
        """Ask for something, as one who has a home; None where nobody answers."""
        headers = {} if home is None else {"Cookie": f"itslive_home={home}"}
        try:
            return PLAIN.open(urllib.request.Request(self.url + path, headers=headers), timeout=seconds(60))
        except (urllib.error.URLError, ConnectionError):
            return None

    def number(self, name: str, home: int) -> float:
        """Return a number that a process gives."""
        answer = self.get("metrics", home)
        found = re.search(rf"^itslive_{name} (\S+)$", answer.read().decode(), re.M) if answer else None
        return float(found[1]) if found else -1.0

    def child(self, home: int) -> psutil.Process:
        """Return a process behind the door."""
        ours = psutil.Process(self.process.pid).children()
        return next(one for one in ours if one.cmdline()[-2:] == ["--home", str(home)])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    server = Served(tmp_path_factory.mktemp("served") / "log.txt")
    try:
        for home in (0, 1):
            # Both have to be up: who has its home in one that is not gets the other.
            until(
                lambda home=home: server.number("up_seconds", home) >= 0, usual=120, what=server.log.read_text
            )
            until(lambda home=home: listens(server.child(home)), usual=120, what=server.log.read_text)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(seconds(30))


def listens(process: psutil.Process) -> bool:
    return any(one.status == psutil.CONN_LISTEN for one in process.net_connections("inet"))


async def visit(url: str, home: int | None = None) -> Visitor:
    visitor = Visitor(url)
    visitor.cookie = "" if home is None else f"itslive_home={home}"
    await visitor.open(patience=seconds(120))
    return visitor


async def stay(served: Served, homes: list[int]) -> tuple[list[str], list[float], list[str]]:
    """Visit processes, and move lambda: the cookies, sessions by process, and what went wrong."""
    visitors = [await visit(served.url, home) for home in homes]
    counts = [await asyncio.to_thread(served.number, "sessions", home) for home in sorted(set(homes))]
    for one in visitors:
        await one.move("itslive-lambda", 3.0)
    for one in visitors:
        await one.close()
    return [one.cookie for one in visitors], counts, [problem for one in visitors for problem in one.problems]


@pytest.mark.slow
def test_visitors_stay_with_their_process_and_a_killed_one_comes_again(served):
    homes, counts, problems = run_apart(stay(served, [0, 1]))
    assert homes == [f"itslive_home={home}" for home in (0, 1)]
    assert counts == [1, 1]
    assert problems == []

    first = served.child(0)
    first.kill()
    first.wait(seconds(10))
    # Whose home is gone is taken in by the other; then there is another process of this name.
    page = served.get("", home=0)
    assert page.status == 200
    assert page.headers["Set-Cookie"].startswith("itslive_home=")
    until(lambda: psutil.pid_exists(served.process.pid) and again(served, first.pid), usual=60)
    until(lambda: listens(served.child(0)), usual=120, what=served.log.read_text)
    until(lambda: 0 <= served.number("up_seconds", 0) < served.number("up_seconds", 1), usual=60)
    assert json.load(served.get("health", home=0)) == {"status": "ok"}
    assert run_apart(stay(served, [0]))[:2] == (["itslive_home=0"], [1])

    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(seconds(15)) == 0


def again(served: Served, before: int) -> bool:
    """Tell whether there is another process in place of one."""
    try:
        return served.child(0).pid != before
    except (StopIteration, psutil.NoSuchProcess, IndexError):
        return False
