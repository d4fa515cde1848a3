"""The door of a real server on loopback: long queries, room for so many, compression, health, numbers."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import re
import threading
import time
import urllib.error
import urllib.request

import panel as pn
import pytest
from bokeh.core.serialization import DeserializationError, Deserializer
from bokeh.util.token import generate_jwt_token
from numcodecs import zstd
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from dashboard.address import query_in
from dashboard.hosting.door import LONGEST_QUERY, open_door, sensible, sessions_of
from dashboard.hosting.host import Host
from dashboard.hosting.life import close_idle
from dashboard.hosting.rules import Rules
from dashboard.hosting.watch import JsonLines, patterns
from tests.waiting import seconds, until

ROOM = 3
PLAIN = urllib.request.build_opener()


class Served:
    """A server with a page of a sentence, on a thread of its own."""

    def __init__(self, rules: Rules) -> None:
        self.host, self.server, self.loop = Host(rules), None, None
        self.searches: list[str] = []
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(seconds(30))
        self.url = f"http://localhost:{self.server.port}/"

    def _run(self) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())

        def app():
            self.searches.append(pn.state.location.search)
            return pn.pane.HTML("Ice. " * 1000)

        self.server = pn.serve(
            {"/": app},
            address="localhost",
            port=0,
            show=False,
            start=False,
            verbose=False,
            extra_patterns=patterns(self.host),
            sign_sessions=True,
            secret_key=b"secret",
            http_server_kwargs={"max_header_size": 2_200_000},
            unused_session_lifetime_milliseconds=60_000,
        )
        open_door(self.server, self.host, home="2")
        self.loop = self.server.io_loop
        self.server.start()
        self.loop.add_callback(self.ready.set)
        self.loop.start()

    def get(self, path: str = "", **headers: str):
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            return PLAIN.open(request, timeout=seconds(30))
        except urllib.error.HTTPError as error:
            return error

    async def connect(self, token: str):
        """Open the socket of a session."""
        request = HTTPRequest(self.url.replace("http", "ws") + "ws", headers={"Origin": self.url[:-1]})
        return await websocket_connect(request, subprotocols=["bokeh", token])

    def on_loop(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop.asyncio_loop).result(seconds(30))

    def close(self) -> None:
        self.loop.add_callback(self.loop.stop)
        self.thread.join(seconds(30))
        self.server.stop()


@pytest.fixture
def served():
    server = Served(Rules(public=True, sessions=ROOM, idle=30.0, metrics=True))
    yield server
    server.close()
    pn.state.reset()


QUERIES = [
    "lambda=" + "9" * 60_000,
    "lambda=" + "9" * 5000 + "&h=12",
    "a=" + "x" * 1_000_000,
    "&".join(f"k{n}=1" for n in range(5000)),
    "lambda=%C2%B2",
    "a=%7B" * 3000,
    "a=" + "%5B" * 900,
    "a=1_000",
    "%00=%00",
    "lambda=1e400&lon=nan",
    "cube=![x](http://127.0.0.1/)",
    "&".join(f"k{n}=" + "%C3%A9" * 150 for n in range(60)),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:12])
def test_no_query_blanks_the_page(served, query):
    answer = served.get(f"?{query}")
    assert answer.status == 200
    assert b"bokeh" in answer.read()
    assert served.searches
    assert len(served.searches[-1]) <= LONGEST_QUERY + 1


def test_what_is_sensible_of_a_query_is_kept():
    assert sensible("h=12&lambda=30") is None
    assert sensible("") is None
    assert sensible("h=12&lambda=" + "9" * 5000) == "h=12"
    for query in QUERIES:
        cut = sensible(query)
        assert cut is None or sensible(cut) is None  # nobody is sent in a circle
    assert query_in("?h=12&a=%20b") == {"h": "12", "a": " b"}
    assert query_in("?" + "&".join(f"k{n}=1" for n in range(900))) == {}
    assert query_in("") == {}


def test_there_is_room_for_so_many_and_words_for_the_next(served):
    for _ in range(ROOM):
        assert served.get().status == 200
    full = served.get()
    assert full.status == 503
    assert "Every place is taken" in full.read().decode()
    assert served.get("autoload.js?bokeh-autoload-element=1").status == 503
    assert served.host.tally.counts["sessions_refused"] == 2

    # A token of one's own making, or a real one of a session that never was, gets no place either.
    tokens = [
        generate_jwt_token("mine", secret_key=None, signed=False),
        generate_jwt_token("mine2", secret_key=b"secret", signed=True),
        "nonsense",
    ]
    for token in tokens:
        with pytest.raises(Exception, match="503"):
            served.on_loop(served.connect(token))
    assert sessions_of(served.server._tornado) == ROOM


def test_a_wrong_name_says_what_to_set(served):
    answer = served.get(Host="ice.example.org:80")
    assert answer.status == 403
    assert "--allow-websocket-origin ice.example.org:80" in answer.read().decode()
    assert served.get(Host="ice.example.org", **{"X-Forwarded-For": "9.9.9.9"}).status == 200


def test_answers_are_compressed_and_files_once(served):
    page = served.get(**{"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert b"<!DOCTYPE html>" in gzip.decompress(page.read())
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "itslive_home=2" in page.headers["Set-Cookie"]
    path = "static/js/bokeh.min.js"
    plain = served.get(path).read()
    packed = served.get(path, **{"Accept-Encoding": "gzip"})
    content = packed.read()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(content) < len(plain) / 2
    assert gzip.decompress(content) == plain
    browser = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    until(lambda: served.get(path, **browser).headers["Content-Encoding"] == "zstd", usual=30)
    packed = served.get(path, **browser)
    better = packed.read()
    assert packed.headers["Content-Length"] == str(len(better))
    assert len(better) < 0.9 * len(content)
    assert zstd.decompress(better) == plain
    assert served.get(path).read() == plain
    again = served.get(path, **browser, **{"If-None-Match": packed.headers["Etag"]})
    assert (again.status, again.read()) == (304, b"")


def test_health_and_numbers(served):
    assert json.load(served.get("health")) == {"status": "ok"}
    served.get()
    with served.host.tally.timed("fit"):
        pass
    text = served.get("metrics").read().decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["itslive_sessions"] == "1"
    assert values["itslive_sessions_limit"] == str(ROOM)
    assert float(values["itslive_memory_bytes"]) > 1e7
    assert values['itslive_job_seconds_bucket{lane="fit",le="+Inf"}'] == "1"
    served.host.closing = True
    assert served.get("health").status == 503


def test_numbers_are_not_for_strangers_unless_asked_for():
    names = [pattern for pattern, _ in patterns(Host(Rules(public=True)))]
    assert names == ["/health"]


def test_packed_bytes_of_a_message_are_not_unpacked_into_gigabytes(served):
    most = 2 * served.host.rules.upload

    def decode(content: bytes) -> bytes:
        packed = base64.b64encode(gzip.compress(content)).decode()
        return Deserializer([]).decode({"type": "bytes", "data": packed})

    assert decode(b"ice") == b"ice"
    with pytest.raises(DeserializationError, match="bytes in a message"):
        decode(bytes(most + 1))


def test_idle_sessions_are_closed_and_those_in_use_are_not(served):
    token = re.search(r'"token":"([^"]+)"', served.get().read().decode())[1]
    guest = served.on_loop(served.connect(token))

    async def first():
        return await guest.read_message()

    assert "ACK" in str(served.on_loop(first()))
    now = time.monotonic()
    assert served.on_loop(close_idle(served.server, served.host, now=now)) == 0
    assert served.on_loop(close_idle(served.server, served.host, now=now + 29 * 60)) == 0
    assert served.on_loop(close_idle(served.server, served.host, now=now + 31 * 60)) == 1

    async def end():
        while await guest.read_message() is not None:
            pass
        reason = guest.close_reason
        guest.close()
        return reason

    assert served.on_loop(end()) == "idle"
    assert served.host.tally.counts["sessions_closed_idle"] == 1


def test_logs_are_lines_without_secrets():
    record = logging.LogRecord("a", 30, "f", 1, "opened %s", ("https://me:word@h/x?token=abc",), None)
    line = json.loads(JsonLines().format(record))
    assert line["message"] == "opened https://…@h/x?token=…"
    assert line["level"] == "warning"
    try:
        raise ValueError("https://me:word@h/")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    assert "word" not in json.dumps(json.loads(JsonLines().format(record)))
