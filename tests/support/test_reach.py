"""A server that asks named hosts only: by name, by address, and wherever a redirect leads."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import aiohttp
import pytest

import itslive_core as itslive
from itslive_core.errors import CubeError, ServiceError
from itslive_core.support.reach import HOSTS, VARIABLE, HostError, check_url, guarded, is_public
from itslive_core.support.web import Retry, fetch
from tests.loops import run_apart

ONCE = Retry(tries=1)


@pytest.fixture
def named(monkeypatch):
    """Name the hosts that may be asked."""
    return lambda *hosts: monkeypatch.setenv(VARIABLE, ",".join(hosts))


@contextmanager
def canary():
    """A port of this machine that counts who came, and what they said."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def listen():
            while True:
                try:
                    guest, _ = door.accept()
                except OSError:
                    return
                with guest:
                    guest.settimeout(0.3)
                    try:
                        heard.append(guest.recv(100))
                    except OSError:
                        heard.append(b"")

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield door.getsockname()[1], heard
        door.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "nonsense",
        "",
    ],
)
def test_addresses_behind_the_server_are_not_public(address):
    assert not is_public(address)


def test_addresses_of_the_internet_are():
    for address in ("52.218.0.1", "2600:1fa0:8000::1", "64:ff9b::34da:1"):
        assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/cube.zarr",
        "http://its-live-data.s3.amazonaws.com/cube.zarr",
        "https://its-live-data.s3.amazonaws.com@127.0.0.1/cube.zarr",
        "https://user:word@its-live-data.s3.amazonaws.com/cube.zarr",
        "https://its-live-data.s3.amazonaws.com.example.org/cube.zarr",
        "https://127.0.0.1/cube.zarr",
        "https://2130706433/cube.zarr",
        "https://0x7f000001/cube.zarr",
        "https://0177.0.0.1/cube.zarr",
        "https://[::ffff:127.0.0.1]/cube.zarr",
        "https://[::1]/cube.zarr",
        "https://localhost:5006/cube.zarr",
        "https://its-live-data.s3.amazonaws.com:99999/cube.zarr",
        "https://[broken/cube.zarr",
        "https:///cube.zarr",
        "s3://other-bucket/cube.zarr",
        "s3://its-live-data@other/cube.zarr",
    ],
)
def test_other_hosts_are_refused_however_they_are_written(named, url):
    named(*HOSTS)
    with pytest.raises(HostError, match="this server reads from"):
        check_url(url)
    with pytest.raises(CubeError, match=r"this server reads from|cannot open"):
        itslive.open_cube(url)


def test_hosts_that_are_named_and_those_of_a_program_at_home_are_not_refused(named, monkeypatch):
    named(*HOSTS)
    for url in ("https://its-live-data.s3.amazonaws.com/a", "s3://its-live-data/a", f"https://{HOSTS[2]}/x"):
        check_url(url)
    monkeypatch.delenv(VARIABLE)
    check_url("http://localhost/whatever")
    assert guarded({"a": 1}) == {"a": 1}


def test_a_redirect_to_another_host_is_not_followed(named):
    with canary() as (port, heard), socket.create_server(("127.0.0.1", 0)) as door:
        own = door.getsockname()[1]
        named("127.0.0.1")  # as the operator of a mirror would

        def redirect():
            guest, _ = door.accept()
            with guest:
                guest.recv(4000)
                head = f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{port}/secret\r\n"
                guest.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

        threading.Thread(target=redirect, daemon=True).start()
        with pytest.raises(ServiceError, match="this server reads from"):
            fetch(f"http://127.0.0.1:{own}/x", retry=ONCE)
        threading.Thread(target=redirect, daemon=True).start()
        with pytest.raises(CubeError, match="this server reads from"):
            itslive.open_cube(f"http://127.0.0.1:{own}/x")
        assert heard == []


def test_a_name_that_leads_into_the_own_network_is_not_spoken_to(named):
    """The address counts when the connection is made, whatever the name resolved to before."""
    with canary() as (port, heard):
        named(f"localhost:{port}", "localhost")
        with pytest.raises(ServiceError, match="is not available"):
            fetch(f"https://localhost:{port}/x", retry=ONCE)
    assert set(heard) <= {b""}  # a connection, and not a word


def test_a_cube_at_such_a_name_is_not_even_connected_to(named):
    with canary() as (port, heard):
        named("localhost")

        async def ask():
            async with await guarded({})["get_client"]() as client:
                await client.get(f"https://localhost:{port}/x")

        with pytest.raises(aiohttp.ClientError):
            run_apart(ask())
    assert heard == []
