"""The life of a server: starting, serving, closing in every order, waiting for it all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.endpoints import until
from ..support.http import request
from ..support.names import exceptions
from ..support.subject import Server, State, connect, serve
from .peers import raw_client
from .serving import Visits, echo, idle, port_of, serving, visiting


async def test_awaiting_serve() -> None:
    server = await serve(echo, "127.0.0.1", 0)
    assert isinstance(server, Server)
    assert server.is_serving()
    assert server.get_loop() is asyncio.get_running_loop()
    async with visiting(server):
        pass
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    assert list(server.sockets) == []


async def test_the_context_closes_the_server() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        assert server.is_serving()
        port = port_of(server)
    assert not server.is_serving()
    with pytest.raises(OSError):
        await connect(f"ws://127.0.0.1:{port}/")


async def test_the_context_closes_the_server_after_an_exception() -> None:
    with pytest.raises(KeyError):
        async with serve(echo, "127.0.0.1", 0) as server:
            raise KeyError
    assert not server.is_serving()


async def test_a_server_that_was_awaited_may_be_entered() -> None:
    async with await serve(echo, "127.0.0.1", 0) as server:
        async with visiting(server):
            pass


async def test_starting_later() -> None:
    server = await serve(echo, "127.0.0.1", 0, start_serving=False)
    assert not server.is_serving()
    await server.start_serving()
    assert server.is_serving()
    async with visiting(server):
        pass
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("start", [True, False])
async def test_serve_forever_until_it_is_cancelled(start: bool) -> None:
    server = await serve(idle, "127.0.0.1", 0, start_serving=start)
    serving_forever = asyncio.create_task(server.serve_forever())
    await until(server.is_serving)
    async with visiting(server) as connection:
        serving_forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving_forever
        assert not server.is_serving()
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_serve_forever_until_close() -> None:
    server = await serve(idle, "127.0.0.1", 0)
    serving_forever = asyncio.create_task(server.serve_forever())
    async with visiting(server):
        server.close()
        await serving_forever
    assert not server.is_serving()


# Closing


async def closed_with(**options: Any) -> tuple[int, str]:
    async with serving() as server, visiting(server) as connection:
        server.close(**options)
        await server.wait_closed()
        await connection.wait_closed()
        return connection.close_code, connection.close_reason


CLOSINGS: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({}, (1001, "")),
    ({"code": 1012}, (1012, "")),
    ({"code": 1012, "reason": "back soon"}, (1012, "back soon")),
    ({"close_connections": True, "reason": "bye"}, (1001, "bye")),
]


@pytest.mark.parametrize(("options", "expected"), CLOSINGS)
async def test_close_tells_the_clients(options: dict[str, Any], expected: tuple[int, str]) -> None:
    assert await closed_with(**options) == expected


async def test_close_may_leave_the_connections_alone() -> None:
    async with serving(echo) as server:
        async with visiting(server) as connection:
            port = port_of(server)
            server.close(close_connections=False)
            await until(lambda: not server.is_serving())
            with pytest.raises(OSError):
                await connect(f"ws://127.0.0.1:{port}/")
            await connection.send("still there?")
            assert await connection.recv() == "still there?"
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting


async def test_close_is_idempotent() -> None:
    async with serving() as server, visiting(server) as connection:
        server.close(code=1012)
        server.close(code=1013)
        await server.wait_closed()
        server.close()
        await server.wait_closed()
        await connection.wait_closed()
        assert connection.close_code == 1012


async def test_wait_closed_waits_for_the_handlers() -> None:
    release = asyncio.Event()
    ended = False

    async def slow(connection: Any) -> None:
        nonlocal ended
        await connection.wait_closed()
        await release.wait()
        ended = True

    async with serving(slow) as server:
        async with visiting(server) as connection:
            server.close()
            await connection.wait_closed()
            waiting = asyncio.create_task(server.wait_closed())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
            release.set()
            await waiting
            assert ended


async def test_cancelling_wait_closed_does_not_stop_the_closing() -> None:
    async with serving() as server, visiting(server) as connection:
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.close()
        await server.wait_closed()
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_a_client_that_does_not_answer_the_close_is_dropped() -> None:
    async with serving(close_timeout=0.1) as server, raw_client(port_of(server)) as client:
        await client.send(request())
        await client.head()
        await until(lambda: bool(server.connections))
        server.close()
        await server.wait_closed()
        assert await client.rest() == b"\x88\x02\x03\xe9"


async def test_a_handshake_during_the_closing_gets_a_503() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def hook(*_: Any) -> None:
        entered.set()
        await release.wait()

    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    async with serving(never, process_request=hook) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request())
            await entered.wait()
            server.close()
            await until(lambda: not server.is_serving())
            release.set()
            reply = await client.reply()
    assert reply.start == "HTTP/1.1 503 Service Unavailable"
    assert reply.body == b"Server is shutting down.\n"
    assert reply["Connection"] == "close"


async def is_accepted(server: Any) -> None:
    """Wait until the server has accepted every connection made so far: it does so in turn."""
    async with visiting(server):
        pass


async def test_a_request_that_arrives_during_the_closing_gets_a_503() -> None:
    async with serving() as server, raw_client(port_of(server)) as client:
        await client.send(request()[:20])
        await is_accepted(server)
        server.close()
        await until(lambda: not server.is_serving())
        await client.send(request()[20:])
        assert (await client.reply()).status == 503


async def test_a_client_sees_the_503() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def hook(*_: Any) -> None:
        entered.set()
        await release.wait()

    async def opening(server: Any) -> Any:
        return await visiting(server)

    async with serving(process_request=hook) as server:
        connecting = asyncio.create_task(opening(server))
        await entered.wait()
        server.close()
        await until(lambda: not server.is_serving())
        release.set()
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await connecting
    assert caught.value.response.status_code == 503


async def test_closing_waits_for_a_handshake_that_never_ends_no_longer_than_its_limit() -> None:
    async with serving(open_timeout=0.2, close_timeout=0.1) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(b"GET ")
            await is_accepted(server)
            server.close()
            await server.wait_closed()


# connections


async def test_the_set_of_connections() -> None:
    visits = Visits()
    async with serving(visits) as server:
        assert server.connections == set()
        async with visiting(server) as first:
            async with visiting(server):
                await until(lambda: len(visits.connections) == 2)
                assert server.connections == set(visits.connections)
                snapshot = server.connections
                snapshot.clear()
                assert len(server.connections) == 2
            await until(lambda: len(server.connections) == 1)
            (left,) = server.connections
            assert left.remote_address == first.local_address
        await until(lambda: not server.connections)


async def test_the_connection_is_in_the_set_when_its_handler_starts() -> None:
    seen: list[bool] = []

    async def handler(connection: Any) -> None:
        seen.append(connection in connection.server.connections)

    async with serving(handler) as server, visiting(server) as connection:
        await connection.wait_closed()
    assert seen == [True]


async def test_a_connection_that_is_closing_is_not_in_the_set() -> None:
    async with serving() as server, raw_client(port_of(server)) as client:
        await client.send(request())
        await client.head()
        await until(lambda: bool(server.connections))
        (connection,) = server.connections
        closing = asyncio.create_task(connection.close())
        await client.exactly(4)
        assert connection.state is State.CLOSING
        assert server.connections == set()
        client.writer.transport.abort()
        await closing


# Handlers


async def test_the_connection_is_closed_when_the_handler_returns() -> None:
    async def handler(connection: Any) -> None:
        await connection.send("one")

    async with serving(handler) as server, visiting(server) as connection:
        assert await connection.recv() == "one"
        with pytest.raises(exceptions.ConnectionClosedOK):
            await connection.recv()
        assert (connection.close_code, connection.close_reason) == (1000, "")


async def test_a_handler_that_fails_closes_with_1011() -> None:
    async def handler(connection: Any) -> None:
        raise KeyError("in the handler")

    async with serving(handler) as server, visiting(server) as connection:
        with pytest.raises(exceptions.ConnectionClosedError):
            await connection.recv()
        assert (connection.close_code, connection.close_reason) == (1011, "")


async def test_a_handler_may_close_with_a_code_of_its_own() -> None:
    async def handler(connection: Any) -> None:
        await connection.close(4000, "mine")

    async with serving(handler) as server, visiting(server) as connection:
        await connection.wait_closed()
        assert (connection.close_code, connection.close_reason) == (4000, "mine")


async def test_one_handler_that_fails_does_not_disturb_the_others() -> None:
    async def handler(connection: Any) -> None:
        if connection.request.path == "/bad":
            raise KeyError("in the handler")
        await echo(connection)

    async with serving(handler) as server, visiting(server) as good:
        async with visiting(server, "/bad") as bad:
            await bad.wait_closed()
        await good.send("hello")
        assert await good.recv() == "hello"


async def test_each_connection_has_a_task_of_its_own() -> None:
    meeting = asyncio.Barrier(3)

    async def handler(connection: Any) -> None:
        await meeting.wait()
        await connection.send("met")

    async with serving(handler) as server:
        async with visiting(server) as first, visiting(server) as second:
            await meeting.wait()
            assert [await first.recv(), await second.recv()] == ["met", "met"]
