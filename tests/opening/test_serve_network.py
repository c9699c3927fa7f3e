"""Where a server listens: hosts, ports, given sockets, Unix sockets, TLS; and its write limit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from ..support.endpoints import until
from ..support.http import request
from ..support.names import SERVER_LOG, exceptions
from ..support.subject import (
    ServerConnection,
    State,
    connect,
    only_ropeway,
    serve,
    unix_connect,
    unix_serve,
)
from .peers import raw_client
from .serving import Visits, echo, idle, port_of, serving, visiting


async def test_port_0_is_a_free_port() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        (sock,) = server.sockets
        host, port = sock.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        async with connect(f"ws://127.0.0.1:{port}/") as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"


async def test_host_and_port_by_name() -> None:
    async with serve(echo, host="127.0.0.1", port=0) as server:
        async with visiting(server):
            pass


async def test_several_hosts() -> None:
    async with serve(echo, ["127.0.0.1", "127.0.0.2"], 0) as server:
        addresses = {sock.getsockname() for sock in server.sockets}
        assert {host for host, _ in addresses} == {"127.0.0.1", "127.0.0.2"}
        for host, port in addresses:
            async with connect(f"ws://{host}:{port}/") as connection:
                assert connection.remote_address == (host, port)


async def test_a_given_socket() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    async with serve(echo, sock=sock) as server:
        assert port_of(server) == sock.getsockname()[1]
        async with visiting(server):
            pass


async def test_other_arguments_of_the_loop_are_passed_on() -> None:
    async with serving(backlog=5, reuse_address=True, family=socket.AF_INET) as server:
        assert {sock.family for sock in server.sockets} == {socket.AF_INET}


async def test_a_port_that_is_taken(unused_port: int) -> None:
    with pytest.raises(OSError):
        await serve(echo, "127.0.0.1", unused_port)


async def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        await serve(echo, "127.0.0.1", 0, colour="red")


@pytest.mark.parametrize("option", ["max_size", "max_queue", "write_limit", "ping_interval"])
async def test_options_that_no_handshake_shows_are_taken(option: str) -> None:
    async with serving(echo, **{option: 30}) as server, visiting(server) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


async def test_the_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving() as server:
        port = port_of(server)
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [f"server listening on 127.0.0.1:{port}", "server closing", "server closed"]


# Unix sockets


@pytest.mark.parametrize("kind", [str, Path])
async def test_a_unix_socket(socket_path: str, kind: Any) -> None:
    async with unix_serve(echo, kind(socket_path)):
        async with unix_connect(socket_path) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"


async def test_a_unix_socket_over_tls(socket_path: str, tls: Any) -> None:
    async with unix_serve(echo, socket_path, ssl=tls.server_context):
        async with unix_connect(socket_path, ssl=tls.client_context) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"


async def test_a_given_unix_socket(socket_path: str) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(socket_path)
    async with unix_serve(echo, sock=sock), unix_connect(socket_path):
        pass


async def test_the_path_of_a_unix_socket_is_logged(
    socket_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with unix_serve(echo, socket_path):
        pass
    assert caplog.records[0].getMessage() == f"server listening on {socket_path}"


async def test_the_options_of_serve_hold_for_unix_serve(socket_path: str) -> None:
    async with unix_serve(echo, socket_path, subprotocols=["a"], server_header="tests/1"):
        async with unix_connect(socket_path, subprotocols=["a"]) as connection:
            assert connection.subprotocol == "a"
            assert connection.response.headers["Server"] == "tests/1"


# TLS


async def test_tls(tls: Any) -> None:
    async with serving(echo, ssl=tls.server_context) as server:
        uri = f"wss://localhost:{port_of(server)}/"
        async with connect(uri, ssl=tls.client_context, host="127.0.0.1") as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"


async def test_a_client_certificate_is_shown_to_the_handler(tls: Any) -> None:
    seen: list[str] = []

    async def handler(connection: Any) -> None:
        certificate = connection.transport.get_extra_info("peercert")
        seen.append(certificate["subjectAltName"][0][1])

    async with serving(handler, ssl=tls.mutual_server_context) as server:
        uri = f"wss://127.0.0.1:{port_of(server)}/"
        async with connect(uri, ssl=tls.identified_client_context) as connection:
            await connection.wait_closed()
    assert seen == ["client@example.org"]


async def test_a_plain_client_does_not_disturb_a_tls_server(
    tls: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(echo, ssl=tls.server_context) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request())
            assert b"101" not in await client.rest()
        uri = f"wss://127.0.0.1:{port_of(server)}/"
        async with connect(uri, ssl=tls.client_context) as connection:
            assert connection.state is State.OPEN
    assert not [record for record in caplog.records if record.name == SERVER_LOG]


async def test_a_slow_tls_handshake_is_given_up(tls: Any) -> None:
    async with serving(echo, ssl=tls.server_context, open_timeout=0.1) as server:
        async with raw_client(port_of(server)) as client:
            assert await client.rest() == b""


async def test_the_tls_handshake_may_have_a_limit_of_its_own(tls: Any) -> None:
    async with serving(
        echo, ssl=tls.server_context, open_timeout=20, ssl_handshake_timeout=0.1
    ) as server:
        async with raw_client(port_of(server)) as client:
            assert await client.rest() == b""


async def test_a_slow_request_behind_tls_is_given_up(tls: Any) -> None:
    async with serving(echo, ssl=tls.server_context, open_timeout=0.2) as server:
        async with raw_client(
            port_of(server), tls=tls.client_context, server_hostname="localhost"
        ) as client:
            await client.send(b"GET / HTTP/1.1\r\n")
            assert b" 101 " not in await client.rest()


async def test_tls_without_a_close_notify(tls: Any) -> None:
    visits = Visits()
    async with serving(visits, ssl=tls.server_context) as server:
        connection = await connect(f"wss://127.0.0.1:{port_of(server)}/", ssl=tls.client_context)
        await visits.arrived.wait()
        connection.transport.abort()
        await visits.connections[0].wait_closed()
        assert visits.connections[0].close_code == 1006
        await connection.wait_closed()


async def test_versions_and_ciphers_are_the_contexts(tls: Any) -> None:
    old = ssl.create_default_context(cafile=tls.ca_file)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(echo, ssl=tls.server_context) as server:
        async with connect(f"wss://127.0.0.1:{port_of(server)}/", ssl=old) as connection:
            assert connection.transport.get_extra_info("ssl_object").version() == "TLSv1.2"


# Limits


@only_ropeway
async def test_max_connections_refuses_the_next_one() -> None:
    async with serving(idle, max_connections=2) as server:
        async with visiting(server) as first, visiting(server) as second:
            async with raw_client(port_of(server)) as client:
                await client.send(request())
                reply = await client.reply()
            assert reply.status == 503
            assert reply["Connection"] == "close"
            await first.close()
            await until(lambda: len(server.connections) == 1)
            async with visiting(server) as third:
                assert {first.state, second.state, third.state} == {State.CLOSED, State.OPEN}


@only_ropeway
async def test_max_connections_holds_for_openings_at_the_same_time() -> None:
    meeting = asyncio.Barrier(4)

    async def hook(*_: Any) -> None:
        await meeting.wait()

    async def attempt() -> Any:
        try:
            return await visiting(server)
        except exceptions.InvalidStatus as refusal:
            return refusal.response.status_code

    async with serving(idle, max_connections=1, process_request=hook) as server:
        results = await asyncio.gather(*(attempt() for _ in range(4)))
        opened = [result for result in results if result != 503]
        assert results.count(503) == 3
        assert len(opened) == len(server.connections) == 1
        await opened[0].close()


@only_ropeway
async def test_max_connections_holds_for_requests_in_one_turn() -> None:
    async with serving(idle, max_connections=2) as server, contextlib.AsyncExitStack() as stack:
        clients = []
        # They are all there before the loop looks.
        for _ in range(10):
            sock = socket.create_connection(("127.0.0.1", port_of(server)))
            sock.sendall(request())
            clients.append(sock)
        statuses = []
        for sock in clients:
            reader, writer = await asyncio.open_connection(sock=sock)
            stack.callback(writer.close)
            statuses.append((await reader.readline()).split()[1])
        assert statuses.count(b"101") == 2
        assert statuses.count(b"503") == 8


@only_ropeway
async def test_connections_that_do_not_open_do_not_use_up_max_connections() -> None:
    async with serving(idle, max_connections=1) as server:
        for _ in range(3):
            async with raw_client(port_of(server)) as client:
                await client.send(request(line="POST / HTTP/1.1"))
                assert (await client.reply()).status == 405
        async with visiting(server) as connection:
            assert connection.state is State.OPEN


async def test_many_at_once() -> None:
    async with serving(echo) as server:
        opened = await asyncio.gather(*(opening(server) for _ in range(50)))
        assert len(server.connections) == 50
        await asyncio.gather(*(connection.close() for connection in opened))


async def opening(server: Any) -> Any:
    return await visiting(server)


@only_ropeway
async def test_without_a_write_limit_there_is_the_default() -> None:
    class Mine(ServerConnection):  # type: ignore[misc, valid-type]
        pass

    async def handler(connection: Any) -> None:
        _, high = connection.transport.get_write_buffer_limits()
        await connection.send(str(high))

    for create in [None, Mine]:
        async with serving(handler, create_connection=create, write_limit=None) as server:
            async with visiting(server) as connection:
                assert await connection.recv() == str(2**15)
