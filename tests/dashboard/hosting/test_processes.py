"""Several processes behind one door: visitors stay where their session is, heads of requests are clean."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.hosting.processes import Door, Process, _commands, head_for
from dashboard.serve import parse
from tests.loops import run_apart

GET = b"GET /x HTTP/1.1\r\nHost: ice\r\n"


def test_a_visitor_cannot_say_where_it_comes_from():
    head = (
        GET
        + b"X-Forwarded-For: 1.2.3.4\r\nx-real-ip: 5\r\nForwarded: for=6\r\nConnection: keep-alive\r\n\r\n"
    )
    clean = head_for(head, "9.9.9.9", behind_proxy=False)
    assert clean == b"GET /x HTTP/1.1\r\nConnection: close\r\nX-Forwarded-For: 9.9.9.9\r\nHost: ice\r\n\r\n"
    believed = head_for(head, "9.9.9.9", behind_proxy=True)
    assert b"X-Forwarded-For: 1.2.3.4" in believed
    assert believed.count(b"Connection:") == 1


def test_sockets_stay_sockets():
    head = GET + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert b"Connection: Upgrade\r\n" in head_for(head, "::1", behind_proxy=False)


@pytest.mark.parametrize(
    ("cookie", "answers"),
    [
        (b"", "0"),  # the one with the fewest connections
        (b"Cookie: a=b; itslive_home=1; c=d\r\n", "1"),
        (b"cookie: itslive_home=2\r\n", "0"),  # it is gone
        (b"Cookie: itslive_home=99999999999999999999\r\n", "0"),
        (b"X: itslive_home=1\r\n", "0"),
    ],
)
def test_who_has_a_home_goes_there(cookie, answers):
    async def ask():
        def says(name):
            async def answer(reader, writer):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + name)
                writer.close()

            return answer

        servers = [await asyncio.start_server(says(name), "127.0.0.1", 0) for name in (b"0", b"1")]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        gone = await asyncio.start_server(says(b"2"), "127.0.0.1", 0)
        ports.append(gone.sockets[0].getsockname()[1])
        gone.close()
        processes = [Process(number, [], port) for number, port in enumerate(ports)]
        processes[1].connections = 3
        processes[2].connections = 5
        door = await asyncio.start_server(Door(processes, behind_proxy=False).answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.sockets[0].getsockname()[1])
        writer.write(GET + cookie + b"\r\n")
        found = await reader.read()
        writer.close()
        for server in (*servers, door):
            server.close()
        return found

    assert run_apart(ask()).decode()[-1] == answers


def test_without_any_process_the_answer_is_a_status():
    async def ask():
        door = await asyncio.start_server(Door([], behind_proxy=False).answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.sockets[0].getsockname()[1])
        writer.write(GET + b"\r\n")
        found = await reader.read()
        writer.close()
        door.close()
        return found

    assert run_apart(ask()).startswith(b"HTTP/1.1 503")


def test_processes_share_what_one_may_use():
    arguments = [
        "--public",
        "--num-procs",
        "2",
        "--memory=2G",
        "--sessions",
        "40",
        "--port",
        "5010",
        "--prefix=/ice",
    ]
    found = _commands(parse(arguments), arguments)
    for number, process in enumerate(found):
        own = parse(process.command[3:])
        assert (own.public, own.num_procs, own.memory, own.sessions) == (True, 1, 10**9, 20)
        assert (own.port, own.home, own.prefix, own.address) == (
            process.port,
            str(number),
            "/ice",
            "127.0.0.1",
        )
        assert "localhost:5010" in own.allow_websocket_origin
