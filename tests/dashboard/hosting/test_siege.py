"""A visitor who means harm, on the socket of a served page.

There are sentences, no request to the server's own network, nothing of its files, and the others are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks.visitor import Visitor
from tests.loops import run_apart
from tests.waiting import seconds, until

ROOT = Path(__file__).resolve().parents[3]
SECRET = "tulip-of-the-server"


class Canary:
    """A server on loopback that nobody may speak to."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self._socket.accept()
                with guest:
                    guest.settimeout(1.0)
                    self.heard.append(guest.recv(100))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def canary():
    bird = Canary()
    yield bird
    bird.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """`itslive-dashboard --public`: its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("siege") / "log.txt"
    options = ["--public", "--metrics", "--no-demo", "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.serve", *options], stdout=out, stderr=out, cwd=ROOT
        )
    url = f"http://localhost:{port}/"

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}health", timeout=seconds(30)).status == 200
        return False

    try:
        until(answers, usual=120, what=log.read_text)
        yield url, process
    finally:
        process.terminate()
        process.wait(seconds(30))


def hostile(port: int, secret: Path) -> list[tuple[str, str]]:
    """Return what is typed, and where."""
    there = [
        *(f"{scheme}://{host}:{port}/x.zarr" for scheme in ("http", "https") for host in LOOPBACK),
        f"s3://127.0.0.1:{port}/x",
        f"https://its-live-data.s3.amazonaws.com@127.0.0.1:{port}/x.zarr",
        f"https://its-live-data.s3.amazonaws.com.127.0.0.1.nip.io:{port}/x.zarr",
        f"reference://{secret}",
        f"simplecache::http://127.0.0.1:{port}/x",
        f"zip://x::http://127.0.0.1:{port}/x.zip",
        f"WFS:http://127.0.0.1:{port}/",
        f"/vsicurl/http://127.0.0.1:{port}/x",
        f"filecache::file://{secret}",
        f"file://{secret}",
        f"FILE://{secret}",
        str(secret),
        f"../../../../../../..{secret}",
        f"{secret}\x00.zarr",
        "memory://x.zarr",
        "gs://bucket/x.zarr",
        "github://a:b@c/x.zarr",
        "https://169.254.169.254/latest/meta-data",
        "s3://somebody-else/cube.zarr",
    ]
    outlines = [str(secret), f"WFS:http://127.0.0.1:{port}/", f"/vsizip/{secret}", f"file://{secret}"]
    return [
        *(("itslive-cube", one) for one in there),
        *(("itslive-search", one) for one in there if "/" in one and not one.startswith("..")),
        *(("itslive-outlines-path", one) for one in outlines),
    ]


LOOPBACK = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]")


def vrt(port: int, secret: Path) -> bytes:
    """A table of GDAL that leads to other places."""
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer>'
        f"<OGRVRTLayer name='b'><SrcDataSource>/vsicurl/http://127.0.0.1:{port}/x</SrcDataSource></OGRVRTLayer>"
        "</OGRVRTDataSource>"
    ).encode()


@pytest.mark.slow
def test_a_visitor_who_means_harm_gets_sentences(served, canary, tmp_path):
    url, _ = served
    secret = tmp_path / "secret.geojson"
    secret.write_text(json.dumps({"version": 1, "refs": {".zgroup": SECRET}}))
    inputs = hostile(canary.port, secret)
    assert len(inputs) >= 40

    async def attack() -> tuple[list[str], Visitor]:
        visitor = Visitor(url)
        await visitor.open(patience=seconds(120))
        for widget, text in inputs:
            before = len(visitor.told)
            await visitor.move(widget, text)
            await visitor.until(lambda before=before: len(visitor.told) > before, seconds(20))
            await visitor.move("itslive-message", True, "closed")  # the same sentence would not be sent again
        for name in ("a.gpkg", "a.geojson", "a.zip"):
            before = len(visitor.told)
            await visitor.upload("itslive-upload", name, vrt(canary.port, secret))
            await visitor.until(lambda before=before: len(visitor.told) > before, seconds(20))
            await visitor.move("itslive-message", True, "closed")
        sentences = list(visitor.told)
        # More parts are announced than there is room for: they are not kept.
        before = len(visitor.told)
        for _ in range(2):
            await visitor.upload("itslive-upload", "parts.zip", os.urandom(6_000_000), parts=1000)
        await visitor.until(lambda: len(visitor.told) > before, seconds(20))
        assert "larger than 10 MB" in visitor.told[-1]
        await visitor.close()
        return sentences, visitor

    sentences, visitor = run_apart(attack())
    assert canary.heard == []
    assert visitor.problems == []
    for sentence in sentences:
        assert SECRET not in sentence
        assert "unexpected" not in sentence
        assert "Traceback" not in sentence


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that were refused
def test_broken_messages_and_quick_connections_leave_the_others_alone(served):
    url, process = served
    chance = random.Random(7)

    async def attack() -> None:
        other = Visitor(url)
        await other.open(patience=seconds(120))
        thrower = Visitor(url)
        await thrower.open(patience=seconds(120))
        broken = [
            lambda: "{",
            lambda: "[" * 20_000,
            lambda: json.dumps({"msgid": "1", "msgtype": chance.choice(["", "PATCH-DOC", "x" * 100])}),
            lambda: json.dumps(chance.random()),
            lambda: chance.randbytes(200),
            lambda: json.dumps({"msgid": 5, "msgtype": ["PULL-DOC-REQ"], "num_buffers": 10**9}),
            lambda: '{"a": ' + "9" * 10_000 + "}",
        ]
        for _ in range(100):
            request = HTTPRequest(
                url.replace("http", "ws", 1) + "ws",
                headers={"Origin": url.rstrip("/")},
                request_timeout=seconds(60),
            )
            with contextlib.suppress(Exception):
                guest = await websocket_connect(request, subprotocols=["bokeh", "nonsense"])
                guest.close()
            assert thrower._socket is not None
            with contextlib.suppress(Exception):
                await thrower._socket.write_message(chance.choice(broken)())
        for _ in range(300):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("localhost", int(url.split(":")[2].strip("/")))
                writer.write(b"GET / HTTP/1.1\r\n"[: chance.randrange(16)])
                writer.close()
        await other.move("itslive-lambda", 3.0)
        assert other.problems == []
        for one in (other, thrower):
            await one.close()

    run_apart(attack())
    assert process.poll() is None
    assert urllib.request.urlopen(f"{url}health", timeout=seconds(60)).status == 200
