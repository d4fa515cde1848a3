"""Real servers on loopback that count every request, answer late, or misbehave on demand.

`LocalServer` speaks HTTP; what it answers comes from a folder (`folder`) or from another server (`forward`),
such as moto's S3 (`s3_server`).
"""

from __future__ import annotations

import http.client
import logging
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Literal, Self
from urllib.parse import unquote, urlsplit

from tests.waiting import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["BUCKET", "LocalServer", "Request", "closed_port", "folder", "forward", "moto_server", "upload"]

BUCKET = "its-live-data"

Answer = tuple[int, dict[str, str], bytes]
Trouble = int | Literal["reset", "cut", "silent"] | None


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    signed: bool
    status: int
    size: int
    moment: float
    """When it arrived [s]."""


class LocalServer:
    """An HTTP/1.1 server on 127.0.0.1; use it as a context manager.

    Parameters
    ----------
    answer : callable
        Turns (method, path, headers) into (status, headers, body).
    """

    def __init__(self, answer: Callable[[str, str, Mapping[str, str]], Answer]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.trouble: Callable[[str], Trouble] = lambda _path: None
        """Asked for every path; a status, "reset" the connection, "cut" the body short, be "silent"."""
        self.delay = 0.0
        """Seconds to wait before every answer."""
        self.released = threading.Event()
        """Set when those who wait for a silent answer may go."""
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def note(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    @contextmanager
    def counting(self) -> Iterator[list[Request]]:
        """Collect the requests made within the context."""
        before = len(self.requests)
        new: list[Request] = []
        yield new
        with self._lock:
            new += self.requests[before:]

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Answer late within the context, as a distant server does."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    @contextmanager
    def failing(self, trouble: Callable[[str], Trouble]) -> Iterator[None]:
        """Misbehave within the context."""
        before, self.trouble = self.trouble, trouble
        self.released.clear()
        try:
            yield
        finally:
            self.trouble = before
            self.released.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients hang up when a test ends."""


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[LocalServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body leave separately; do not wait between them

    def do_GET(self) -> None:
        owner, path = self.owner, unquote(urlsplit(self.path).path)
        self.arrived = time.perf_counter()
        if owner.delay:
            time.sleep(owner.delay)
        trouble = owner.trouble(path)
        if trouble == "silent":
            self._note(path, 0, 0)
            owner.released.wait(seconds(60))
            self.close_connection = True
            return
        if trouble == "reset":
            self._note(path, 0, 0)
            # Linger 0 makes closing send a reset instead of a polite end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()
            self.close_connection = True
            return
        if isinstance(trouble, int):
            status, headers, body = trouble, {"Content-Type": "application/xml"}, _error_document(trouble)
        else:
            status, headers, body = owner.answer(self.command, self.path, dict(self.headers))
        self._note(path, status, len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD" or "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if trouble == "cut" else body)
        if trouble == "cut":
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def _note(self, path: str, status: int, size: int) -> None:
        signed = "Authorization" in self.headers or "X-Amz-Signature" in self.path
        self.owner.note(Request(self.command, path, signed, status, size, self.arrived))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _error_document(status: int) -> bytes:
    code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(status, "InternalError")
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()


def folder(root: Path) -> Callable[[str, str, Mapping[str, str]], Answer]:
    """Serve the files of a folder, whole or in ranges."""

    def answer(_method: str, path: str, headers: Mapping[str, str]) -> Answer:
        file = root / unquote(urlsplit(path).path).lstrip("/")
        if not file.is_file():
            return 404, {"Content-Type": "text/html"}, b"<h1>not found</h1>"
        body = file.read_bytes()
        wanted = headers.get("Range", "")
        if not wanted.startswith("bytes="):
            return 200, {"Accept-Ranges": "bytes"}, body
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        stop = min(int(last) + 1, len(body)) if first and last else len(body)
        return 206, {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}, body[start:stop]

    return answer


def forward(host: str, port: int) -> Callable[[str, str, Mapping[str, str]], Answer]:
    """Pass every request on to another server on this machine."""

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(host, port, timeout=seconds(30))
        try:
            connection.request(method, path, headers={**headers, "Connection": "close"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        drop = {"connection", "transfer-encoding", "date", "server"} | (
            set() if method == "HEAD" else {"content-length"}
        )
        return response.status, {k: v for k, v in response.getheaders() if k.lower() not in drop}, body

    return answer


@contextmanager
def moto_server() -> Iterator[tuple[str, int]]:
    """Run moto's S3 server; gives its host and port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()
    finally:
        server.stop()


def upload(root: Path, address: tuple[str, int], prefix: str = "") -> None:
    """Put all files of a folder into the bucket, below the prefix; made in need."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url="http://{}:{}".format(*address),
        region_name="us-west-2",
        aws_access_key_id="writer",
        aws_secret_access_key="writer",
    )
    region = {"LocationConstraint": "us-west-2"}
    if BUCKET not in {one["Name"] for one in client.list_buckets()["Buckets"]}:  # of another server, too
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region, ACL="public-read")
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        key = f"{prefix}/{file.relative_to(root).as_posix()}".lstrip("/")
        client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
    client.close()


def closed_port() -> int:
    """Find a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
