"""A real browser and a real server on the demo."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import milliseconds, seconds, until

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ("--static-dirs", "assets=assets", "--warm")
sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages

from support import Screen  # noqa: E402


def _chromium() -> str:
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    message = "no chromium found: install it, or set CHROMIUM to its path"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=seconds(60))
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    """`panel serve dashboard/app.py` with the options of `make serve`: its address and its process."""
    _chromium()
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log.txt"
    from itslive_core.demo import demo_path

    demo_path()
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "panel", "serve", "dashboard/app.py", "--port", str(port), *OPTIONS],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        url = f"http://localhost:{port}/app"
        try:
            until(lambda: _answers(url), usual=180, what=lambda: f"the server starts: {log.read_text()}")
            yield url, process
        finally:
            process.terminate()
            process.wait(seconds(10))
    assert "Traceback" not in log.read_text().replace("WebSocketClosedError", "").split("Task exception")[0]


@pytest.fixture(scope="session")
def server(serving) -> str:
    """The address of the server."""
    return serving[0]


class OwnServer:
    """`itslive-dashboard`, which can be stopped and started again at the same address."""

    def __init__(self, log: Path, *options: str) -> None:
        self.port, self._log, self._options = free_port(), log, options
        self.url = f"http://localhost:{self.port}/"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "dashboard.serve", *self._options, "--port", str(self.port)]
        with self._log.open("a") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        until(lambda: _answers(f"{self.url}health"), usual=180, what=self._log.read_text)

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        code, self._process = self._process.wait(seconds(30)), None
        return code


@contextmanager
def _running(folder: Path, *options: str):
    _chromium()
    from itslive_core.demo import demo_path

    demo_path()
    server = OwnServer(folder / "log.txt", "--results", str(folder / "results"), *options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def public_server(tmp_path):
    """A public server that runs."""
    with _running(tmp_path, "--public") as server:
        yield server


@pytest.fixture
def home_server(tmp_path):
    """A server of one's own that runs."""
    with _running(tmp_path) as server:
        yield server


@pytest.fixture
def busy(serving):
    """Make a context in which the server answers nothing, as while it draws; what comes meanwhile waits."""

    @contextmanager
    def hold():
        process = serving[1]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    return hold


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = _chromium()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_screen(browser, server):
    """Open one more browser session on the server: on the synthetic glacier, where nothing else is said."""
    contexts = []

    def make(query: str = "") -> Screen:
        if "example=" not in query:
            query = (query or "?") + "&example=synthetic&begin=map"
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        context.set_default_timeout(milliseconds(30))
        contexts.append(context)
        screen = Screen(context.new_page(), server + query)
        screen.ready()
        return screen

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def screen(open_screen) -> Screen:
    return open_screen()
