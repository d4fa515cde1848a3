"""Which hosts this process may ask: for a server whose visitors name addresses.

Without a list any host is asked, as its user wants. With one (``ITSLIVE_HOSTS``, names with commas) only the
hosts that it names are, over ``https`` or ``s3``, also where a server redirects; and what a name resolves to
must be a public address, so that no name leads into the network behind the server. The address is looked at
when the connection is made, not before: a name that changes its address meanwhile gains nothing.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from itslive_core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

__all__ = ["HOSTS", "VARIABLE", "HostError", "any_host", "check_url", "guarded", "is_public", "web_session"]

VARIABLE = "ITSLIVE_HOSTS"
"""Environment variable with the names of the only hosts that are asked."""

HOSTS = (
    "its-live-data.s3.amazonaws.com",
    "its-live-data.s3.us-west-2.amazonaws.com",
    "www.glims.org",
    "cluster.klima.uni-bremen.de",
)
"""What the dashboard asks: the bucket of ITS_LIVE, GLIMS for outlines, OGGM for centrelines."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class HostError(ServiceError):
    """A host that this server does not ask."""


def _named() -> frozenset[str] | None:
    """Return the hosts that may be asked, in lower case; None for any."""
    text = os.environ.get(VARIABLE, "").strip()
    return frozenset(one.strip().lower() for one in text.split(",") if one.strip()) if text else None


def any_host() -> bool:
    """Tell whether any host is asked: this process serves no strangers."""
    return _named() is None


def check_url(url: str) -> None:
    """Refuse an address whose host is not named, where only named hosts are asked.

    Raises
    ------
    HostError
        It tells no more than the address itself does.
    """
    named = _named()
    if named is None:
        return
    try:
        parts = urlsplit(url)
        host, user = (parts.hostname or "").lower(), parts.username or parts.password
        port = parts.port
    except ValueError:
        host = user = ""
        port, parts = None, urlsplit("")
    if parts.scheme == "s3":
        host = f"{host}.s3.amazonaws.com"
    known = host in named or (port is not None and f"{host}:{port}" in named)
    plain = parts.scheme == "http" and _is_literal(host)  # a mirror of the operator's, named by its address
    if not host or user or not known or not (parts.scheme in ("https", "s3") or plain):
        raise HostError(
            f"this server reads from {', '.join(sorted(named))} only, by https or s3 and without a password:"
            " open other data with your own installation"
        )


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, also where another is wrapped in it.

    Parameters
    ----------
    address : str
        As a socket gives it.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner: list[Any] = []
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return all(one.is_global and not one.is_multicast for one in (ip, *inner) if one is not None)


def _check_address(address: str) -> None:
    named = _named()
    if named is not None and address not in named and not is_public(address):
        raise OSError("the name of the host leads to an address that is not public")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def web_session() -> requests.Session:
    """Make a session of requests that looks at each host and address, on redirects too."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _looked_at(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _looked_at(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
            check_url(request.url or "")
            return super().send(request, *args, **options)

    session = requests.Session()
    if _named() is not None:
        session.mount("http://", Adapter())
        session.mount("https://", Adapter())
    return session


def _looked_at(connection: socket.socket) -> socket.socket:
    """Close a connection to an address that is not public, before anything is said."""
    try:
        _check_address(connection.getpeername()[0])
    except OSError:
        connection.close()
        raise
    return connection


def guarded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Add to fsspec's options of https what looks at each host and address, where hosts are named."""
    return dict(options) if _named() is None else {**options, "get_client": _client}


async def _client(**options: Any) -> Any:
    """Make a session of aiohttp that looks at each address that it connects to, and at each redirect."""
    import aiohttp
    from yarl import URL

    def connection(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        _check_address(address[0])
        return socket.socket(family, kind, protocol)

    async def redirected(_session: Any, _context: Any, params: Any) -> None:
        where = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
        check_url(str(params.url.join(URL(where))))

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(redirected)
    connector = aiohttp.TCPConnector(socket_factory=connection)
    return aiohttp.ClientSession(connector=connector, trace_configs=[trace], **options)
