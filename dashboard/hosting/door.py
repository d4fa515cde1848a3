"""The door of a server: who comes in, how large what they send may be, and what goes over the wire."""

from __future__ import annotations

import base64
import threading
import time
import zlib
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from bokeh.core.serialization import Deserializer
from bokeh.server.util import check_allowlist
from bokeh.settings import settings
from bokeh.util.token import get_session_id
from numcodecs import zstd
from panel.io.server import AutoloadJsHandler, DocHandler, WSHandler
from panel.util import parse_query
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.web import GZipContentEncoding

if TYPE_CHECKING:
    from dashboard.hosting.host import Host

__all__ = ["LONGEST_QUERY", "Page", "Socket", "open_door"]

LONGEST_QUERY = 4000
"""Characters of a query that are taken; a longer one is cut, so that no address blanks the page."""
COMPRESSION = 6
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
_CUT = "X-Itslive-Cut"
"""Tells the pages that the query of a request was cut."""
_COMPONENTS = ("bokeh", "bokeh-widgets", "bokeh-tables")
"""Parts of Bokeh that the page and Panel's script need: neither WebGL nor formulas."""
_WHOLE = Deserializer._decode_bytes  # noqa: SLF001 - before it is bounded
_FILE_LEVEL = 19
"""Of zstd, for files that are packed once; one of a megabyte takes a second."""
_MOST_FILES = 200
"""Files that are kept compressed."""

_WORDS = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">{more}
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>"""


def words(title: str, text: str, *, again: int = 0) -> str:
    """Make a plain page of a sentence.

    Parameters
    ----------
    title, text : str
        Plain text.
    again : int
        Seconds after which the browser asks again; 0 for never.
    """
    more = f'<meta http-equiv="refresh" content="{again}">' if again else ""
    return _WORDS.format(title=escape(title), text=escape(text), more=more)


def sensible(query: str) -> str | None:
    """Return the part of a query that can be read; None where all of it can.

    Panel turns values into numbers, and Python refuses those of thousands of digits.
    """
    if len(query) <= LONGEST_QUERY:
        try:
            parse_query(f"?{query}")
        except (ValueError, RecursionError, MemoryError):
            pass
        else:
            return None
    kept: list[str] = []
    room = (
        LONGEST_QUERY // 2
    )  # what is kept must be sensible itself, or the browser would be sent in a circle
    for key, value in parse_qsl(query[: 10 * LONGEST_QUERY]):
        piece = urlencode({key: value})
        if len(piece) >= min(room, LONGEST_QUERY // 8):
            continue
        try:
            parse_query(f"?{piece}")
        except (ValueError, RecursionError, MemoryError):
            continue
        kept.append(piece)
        room -= len(piece) + 1
    return "&".join(kept)


class _AtTheDoor:
    """A request for a new session: with a query of any length, and while there is room."""

    async def prepare(self: Any) -> None:
        """Look at the request before a session is made for it."""
        await super().prepare()  # type: ignore[misc]
        if self._finished:
            return
        host: Host = self.application.settings["itslive_host"]
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        if _CUT in self.request.headers:
            self.redirect(self.request.uri)
        elif not _is_called_so(self.request, self.application):
            host.tally.count("origins_refused")
            self.set_status(403)
            self.finish(
                words(
                    "This server goes by another name",
                    f"It was not told that it is called {self.request.host}. Whoever runs it starts it with"
                    f" --allow-websocket-origin {self.request.host}",
                )
            )
        elif is_full(host, self.application):
            host.tally.count("sessions_refused")
            self.set_status(503)
            self.set_header("Retry-After", "60")
            self.finish(
                words(
                    "Every place is taken",
                    f"{host.rules.sessions} people use this server now. This page tries again each minute;"
                    " your address, with all settings, is kept.",
                    again=60,
                )
            )
        else:
            home = self.application.settings.get("itslive_home")
            if home is not None:
                self.set_cookie(
                    "itslive_home", home, httponly=True, samesite="Lax", path=f"{self.application.prefix}/"
                )


class Page(_AtTheDoor, DocHandler):
    """The page of a new session."""


class Script(_AtTheDoor, AutoloadJsHandler):
    """The script that puts a new session into the page of somebody else."""


class Socket(WSHandler):
    """The socket of a session: compressed, its last message known, no way round the limit of sessions."""

    async def prepare(self) -> None:
        """Refuse a session that was never given a page where there is no room for it."""
        await super().prepare()
        if self._finished:
            return
        host: Host = self.application.settings["itslive_host"]
        if is_full(host, self.application) and not self._is_known():
            self.set_status(503)
            self.finish()

    def _is_known(self) -> bool:
        protocols = [one.strip() for one in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        try:
            name = get_session_id(protocols[1])
            self.application_context.get_session(name)
        except Exception:  # noqa: BLE001 - whatever is wrong with a token, it names no session
            return False
        return True

    async def on_message(self, fragment: Any) -> None:
        """Note that the session is in use."""
        connection = self.connection
        if connection is not None:
            self.application.settings["itslive_host"].used[connection.session.document] = time.monotonic()
        await super().on_message(fragment)

    def get_compression_options(self) -> dict[str, Any]:
        """Compress what is sent."""
        return {"compression_level": COMPRESSION, "mem_level": 8}


def _is_called_so(request: Any, application: Any) -> bool:
    """Tell whether the socket of a page at this address would be let in; behind a proxy nobody can tell."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return True
    allowed = set(settings.allowed_ws_origin()) or application.websocket_origins
    return bool(check_allowlist(request.host.lower(), allowed))


def is_full(host: Host, application: Any) -> bool:
    """Tell whether there is no room for another session."""
    return bool(host.rules.sessions) and sessions_of(application) >= host.rules.sessions


def sessions_of(application: Any) -> int:
    """Count the sessions of a server, those included that are being made."""
    return sum(
        len(context._sessions) + len(context._pending_sessions)  # noqa: SLF001 - `sessions` has no length
        for context in application._applications.values()  # noqa: SLF001 - Bokeh has no public way
    )


def _packing(kept: dict[tuple[str, str], bytes]) -> type[GZipContentEncoding]:
    """Make what compresses answers: pages as they are written, files once for all visitors, and better.

    Whoever asks for a file first gets it as fast as it goes; meanwhile a thread packs it well.

    Parameters
    ----------
    kept : dict
        Packed files by path and version; filled as they are asked for.
    """

    def pack(name: tuple[str, str], content: bytes) -> None:
        def work() -> None:
            kept[name] = zstd.compress(content, _FILE_LEVEL)

        threading.Thread(target=work, name="itslive-pack", daemon=True).start()

    class Packing(GZipContentEncoding):
        def __init__(self, request: Any) -> None:
            super().__init__(request)
            self._path, self._file = request.path, ("", "")
            self._ready: bytes | None = None
            self._length = -1
            self._zstd = "zstd" in request.headers.get("Accept-Encoding", "")
            self._parts: list[bytes] = []

        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> tuple[int, Any, bytes]:
            if status_code == 200 and "Etag" in headers and "Last-Modified" in headers:
                self._file = (self._path, headers["Etag"])
                self._ready = kept.get(self._file) if self._zstd else None
                self._length = int(headers.get("Content-Length", -1))
            if self._ready is not None:
                headers["Vary"] = "Accept-Encoding"
                headers["Content-Encoding"] = "zstd"
                headers["Content-Length"] = str(len(self._ready))
                return status_code, headers, self._ready
            return super().transform_first_chunk(status_code, headers, chunk, finishing)

        def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
            if self._ready is not None:
                return b""
            if self._file[1] and self._gzipping and self._file not in kept and len(kept) < _MOST_FILES:
                self._parts.append(chunk)
                # A visitor who left in the middle got a part only.
                if finishing and sum(map(len, self._parts)) == self._length:
                    pack(self._file, b"".join(self._parts))
            return super().transform_chunk(chunk, finishing)

    return Packing


class _Cutting(HTTPServerConnectionDelegate):
    """Cuts the query of each request, before it is taken apart.

    Parameters
    ----------
    application : tornado.web.Application
        That answers.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Begin to read a request."""
        return _Cut(self._application.start_request(server_conn, request_conn))

    def on_close(self, server_conn: object) -> None:
        """Tell that a connection is gone."""
        self._application.on_close(server_conn)


class _Cut(HTTPMessageDelegate):
    def __init__(self, inner: HTTPMessageDelegate) -> None:
        self._inner = inner
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        path, _, query = start_line.path.partition("?")
        headers.pop(_CUT, None)
        if (better := sensible(query)) is not None:
            headers[_CUT] = "1"
            start_line = start_line._replace(path=path + (f"?{better}" if better else ""))
        return self._inner.headers_received(start_line, headers)


def bound_packed_bytes(most: int) -> None:
    """Let Bokeh unpack no more than so many bytes of a message's packed bytes.

    A browser may pack bytes inside a message, and Bokeh would unpack a few of them into gigabytes. Of several
    servers in a process the last one's limit holds.
    """
    whole = _WHOLE

    def decode(self: Any, obj: Any) -> Any:
        data = obj["data"]
        packed = base64.b64decode(data) if isinstance(data, str) else b""
        if not packed.startswith(b"\x1f\x8b"):
            return whole(self, obj)
        found = zlib.decompressobj(wbits=31).decompress(packed, most + 1)
        if len(found) > most:
            self.error(f"more than {most} bytes in a message")
        return found

    Deserializer._decode_bytes = decode  # noqa: SLF001 - Bokeh has no limit of its own


def open_door(server: Any, host: Host, *, home: str | None = None) -> None:
    """Put this door before the pages of a server.

    Parameters
    ----------
    server : panel.io.server.Server
    host : Host
    home : str, optional
        Name of this process among others of one server.
    """
    application = server._tornado  # noqa: SLF001 - Bokeh has no public way to its handlers
    server._http.request_callback = _Cutting(application)  # noqa: SLF001
    bound_packed_bytes(2 * host.rules.upload)
    application.settings.update(itslive_host=host, itslive_home=home)
    ours = {DocHandler: Page, AutoloadJsHandler: Script, WSHandler: Socket}
    whole = application.resources

    def resources(absolute_url: str | None = None) -> Any:
        found = whole(absolute_url)
        found.components = list(_COMPONENTS)
        return found

    application.resources = resources
    for rule in application.wildcard_router.rules:
        rule.target = ours.get(rule.target, rule.target)
    application.transforms.append(_packing({}))
