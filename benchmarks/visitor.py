"""A visitor of the dashboard without a browser: asks for the page, and speaks Bokeh's protocol on its socket.

It says what a browser would say (the document is ready, a widget was moved) and looks at what comes back. It
draws nothing, so that many of them leave the machine to the server.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Visitor", "server_url"]

_LARGEST = 100_000_000
"""Bytes of a message."""


def server_url(port: int) -> str:
    """Return the address of a server on this machine."""
    return f"http://localhost:{port}/"


class Visitor:
    """One session.

    Parameters
    ----------
    url : str
        Of the server, ending with a slash.
    query : str
        Of the address, with its question mark.
    """

    def __init__(self, url: str, query: str = "") -> None:
        self.url, self.query = url, query
        self.cookie = ""
        self.widgets: dict[str, str] = {}
        """Ids of what widgets are told, by CSS class."""
        self.sources: dict[str, str] = {}
        """Ids of the sources of drawn layers, by the name of the layer."""
        self.told: list[str] = []
        """Messages that were shown."""
        self.problems: list[str] = []
        """What a browser would not have understood."""
        self.bytes_received = 0
        self.learning = True
        """Take note of models that come; looking at each costs time."""
        self._numbers = itertools.count(1)
        self._socket: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._values: dict[str, list[asyncio.Future[float]]] = {}
        self._last: dict[str, dict[str, Any]] = {}

    async def open(self, *, patience: float = 300.0) -> None:
        """Ask for the page, connect, take the document, and say that it is shown.

        Parameters
        ----------
        patience : float
            Time for the page to be made [s].

        Raises
        ------
        tornado.httpclient.HTTPError
            If there is no page.
        """
        headers = {"Cookie": self.cookie} if self.cookie else {}
        asked = HTTPRequest(
            self.url + self.query, headers=headers, request_timeout=patience, connect_timeout=patience
        )
        answer = await AsyncHTTPClient().fetch(asked)
        self.cookie = "; ".join(one.split(";")[0] for one in answer.headers.get_list("Set-Cookie"))
        found = re.search(r'"token":"([^"]+)"', answer.body.decode())
        assert found, "the page has no session"
        await self.connect(found[1])
        self._learn(await self.ask("PULL-DOC-REQ", {}), {})
        await self.tell(
            {
                "kind": "MessageSent",
                "msg_type": "bokeh_event",
                "msg_data": {
                    "type": "event",
                    "name": "document_ready",
                    "values": {"type": "map", "entries": []},
                },
            }
        )

    async def connect(self, token: str) -> None:
        """Connect to the session of a token."""
        self._socket = await websocket_connect(
            HTTPRequest(
                self.url.replace("http", "ws", 1) + "ws",
                headers={"Origin": self.url.rstrip("/"), "Cookie": self.cookie},
                request_timeout=120.0,
                connect_timeout=120.0,
            ),
            subprotocols=["bokeh", token],
            compression_options={},
            max_message_size=_LARGEST,
        )
        assert (await self._read())[0]["msgtype"] == "ACK"
        self._reading = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._socket.close()
        if self._reading is not None:
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(self._reading, 30.0)  # until the server has said goodbye

    async def ask(self, kind: str, content: Any) -> dict[str, Any]:
        """Send a message, and wait for the answer."""
        number = str(next(self._numbers))
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        assert self._socket is not None
        for part in ({"msgid": number, "msgtype": kind}, {}, content):
            await self._socket.write_message(json.dumps(part))
        return await answer

    async def tell(self, event: dict[str, Any]) -> None:
        """Tell what happened in the page."""
        await self.ask("PATCH-DOC", {"events": [event]})

    async def move(self, widget: str, value: Any, attribute: str = "value") -> None:
        """Move a widget, which its CSS class names."""
        await self.tell(
            {
                "kind": "ModelChanged",
                "model": {"id": self.widgets[widget]},
                "attr": attribute,
                "new": value,
            }
        )

    async def press(self, widget: str) -> None:
        """Press a button."""
        data = {"type": "map", "entries": [["type", "click"]]}
        await self._happen("dom_event", widget, [["node", "click"], ["data", data]])

    async def upload(self, widget: str, name: str, content: bytes, *, parts: int = 1) -> None:
        """Send the content of a file, of which more parts are announced than come where that is asked."""
        for status in ("initializing", "upload_event", "finished"):
            data = [["type", "status"], ["status", status]]
            if status == "upload_event":
                packed = {"type": "bytes", "data": base64.b64encode(gzip.compress(content, 1)).decode()}
                data += [["chunk", 1], ["data", packed], ["name", name]]
                data += [["total_chunks", parts], ["mime_type", "application/octet-stream"]]
            await self._happen("data_event", widget, [["data", {"type": "map", "entries": data}]])

    async def _happen(self, event: str, widget: str, values: list[Any]) -> None:
        entries = [["model", {"id": self.widgets[widget + "!"]}], *values]
        said = {"type": "event", "name": event, "values": {"type": "map", "entries": entries}}
        await self.tell({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": said})

    def column(self, layer: str, column: str) -> NDArray[Any]:
        """Return the last column of a layer that was sent; empty where there was none."""
        return self._last.get(layer, {}).get(column, np.zeros(0))

    def expect(self, layer: str) -> asyncio.Future[float]:
        """Return what will hold the time at which the next data of a layer have come [s, monotonic]."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._values.setdefault(layer, []).append(future)
        return future

    async def until(self, condition: Callable[[], object], patience: float = 300.0) -> None:
        """Wait until something is true.

        Raises
        ------
        TimeoutError
        """
        end = time.monotonic() + patience
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.query} waits for {condition}; told: {self.told[-3:]}")
            if self._reading is not None and self._reading.done():
                raise TimeoutError(f"{self.query}: the connection is gone")
            await asyncio.sleep(0.05)

    async def _read(self) -> tuple[dict[str, Any], str, dict[str, bytes]]:
        """Read one message: its header, its content, and what stands apart from it."""

        async def part() -> Any:
            assert self._socket is not None
            found = await self._socket.read_message()
            if found is None:
                raise ConnectionError(self._socket.close_reason or "closed")
            self.bytes_received += len(found)
            return found

        header = json.loads(await part())
        await part()
        content = await part()
        buffers = {}
        for _ in range(header.get("num_buffers", 0)):
            name = json.loads(await part())["id"]
            buffers[name] = await part()
        return header, content, buffers

    async def _listen(self) -> None:
        while True:
            header, content, buffers = await self._read()
            if (number := header.get("reqid")) in self._waiting:
                answer = json.loads(content)
                if header["msgtype"] == "ERROR":
                    self.problems.append(str(answer)[:300])
                self._waiting.pop(number).set_result(answer)
            elif header["msgtype"] == "PATCH-DOC":
                self._take(content, buffers)

    def _take(self, content: str, buffers: dict[str, bytes]) -> None:
        if self.learning:
            self._learn(json.loads(content), buffers)
        events = None
        for layer, number in list(self.sources.items()):
            if f'"{number}"' not in content:
                continue
            events = events or json.loads(content)["events"]
            for event in events:
                if event.get("model", {}).get("id") == number and event.get("attr") == "data":
                    self._keep(layer, event["data"] if "data" in event else event["new"], buffers)
                    for future in self._values.pop(layer, []):
                        if not future.done():
                            future.set_result(time.monotonic())
        message = self.widgets.get("itslive-message")
        if message and f'"{message}"' in content:
            for event in json.loads(content)["events"]:
                if event.get("model", {}).get("id") == message and event.get("attr") == "title":
                    self.told += [str(event["new"])] if event["new"] else []

    def _keep(self, layer: str, data: Any, buffers: dict[str, bytes]) -> None:
        """Take in columns of a layer: all of them, or those that changed."""
        new = {name: _array(value, buffers) for name, value in data.get("entries", [])}
        self._last[layer] = {**self._last.get(layer, {}), **new}

    def _learn(self, tree: Any, buffers: dict[str, bytes]) -> None:
        for model in _models(tree):
            attributes = model.get("attributes", {})
            number = model.get("id", "")
            for name in attributes.get("css_classes") or ():
                if isinstance(name, str):
                    data = attributes.get("data")
                    self.widgets[name] = data["id"] if isinstance(data, dict) and "id" in data else number
                    self.widgets[name + "!"] = number
            if model.get("name") == "GlyphRenderer" and attributes.get("name"):
                source = attributes["data_source"]
                self.sources[attributes["name"]] = source["id"]
                if data := source.get("attributes", {}).get("data"):
                    self._keep(attributes["name"], data, buffers)


def _models(tree: Any) -> Iterator[dict[str, Any]]:
    """Walk through all models of a document, or of a part of one."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("type") == "object":
                yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _array(value: Any, buffers: dict[str, bytes]) -> NDArray[Any]:
    """Read a column as Bokeh writes it."""
    if not isinstance(value, dict) or value.get("type") != "ndarray":
        return np.array([np.nan if isinstance(one, dict) else one for one in value or []], dtype=object)
    held = value["array"]
    if isinstance(held, list):
        return np.array([np.nan if isinstance(one, dict) else one for one in held], dtype=object)
    data = held["data"]
    if isinstance(data, dict) and data["id"] not in buffers:
        return np.zeros(0)  # of the first document, which has nothing to show
    raw = buffers[data["id"]] if isinstance(data, dict) else base64.b64decode(data)
    return np.frombuffer(raw, value["dtype"]).reshape(value["shape"])
