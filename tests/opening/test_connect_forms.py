"""The three forms of connect, its time limit, its cancellation and its plain arguments."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from ..support.endpoints import listen, until
from ..support.http import response
from ..support.names import CLIENT_LOG, exceptions
from ..support.rawpeer import RawPeer
from ..support.subject import ClientConnection, State, connect
from .peers import Exchange, accepting, raw_server, silence


async def test_awaiting_gives_an_open_connection() -> None:
    async with raw_server(accepting) as server:
        connection = await connect(server.uri())
        assert isinstance(connection, ClientConnection)
        assert connection.state is State.OPEN
        assert connection.request.path == "/"
        assert connection.response.status_code == 101
        assert connection.remote_address == ("127.0.0.1", server.port)
        connection.transport.abort()
        await connection.wait_closed()


@pytest.mark.parametrize(("failing", "code"), [(False, 1000), (True, 1011)])
async def test_leaving_the_context_closes(failing: bool, code: int) -> None:
    with listen() as listener:
        accepted = asyncio.create_task(RawPeer.accept(listener))
        port = listener.getsockname()[1]

        async def visit() -> Any:
            async with connect(f"ws://127.0.0.1:{port}/", compression=None) as connection:
                if failing:
                    raise KeyError("from the body")
                return connection

        visiting = asyncio.create_task(visit())
        raw = await accepted
        assert await raw.answer_close() == (code, "")
        raw.close()
        if failing:
            with pytest.raises(KeyError, match="from the body"):
                await visiting
        else:
            assert (await visiting).state is State.CLOSED


async def test_one_connect_may_be_entered_again_only_after_it_was_left() -> None:
    async with raw_server(accepting_and_closing) as server:
        connecting = connect(server.uri())
        async with connecting:
            with pytest.raises(RuntimeError, match=r"connect\(\) isn't reentrant"):
                async with connecting:
                    pass
        async with connecting as second:
            assert second.state is State.OPEN
        assert server.connections == 2


async def accepting_and_closing(exchange: Exchange) -> None:
    exchange.writer.write(exchange.switching())
    await exchange.reader.read(100)
    exchange.writer.write(b"\x88\x02\x03\xe8")


async def test_a_silent_server_times_out() -> None:
    async with raw_server(silence) as server:
        with pytest.raises(TimeoutError) as caught:
            await connect(server.uri(), open_timeout=0.02)
        assert str(caught.value) == "timed out during opening handshake"


async def test_a_peer_that_never_accepts_times_out_in_the_tls_handshake(tls: Any) -> None:
    with listen() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TimeoutError) as caught:
            await connect(f"wss://localhost:{port}/", open_timeout=0.05, host="127.0.0.1")
        assert str(caught.value) == "timed out during opening handshake"


async def test_without_a_time_limit_a_slow_server_is_waited_for() -> None:
    release = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        await accepting(exchange)

    async with raw_server(slow) as server:
        connecting = asyncio.ensure_future(opened(server.uri(), open_timeout=None))
        await until(lambda: bool(server.requests))
        assert not connecting.done()
        release.set()
        connection = await connecting
        assert connection.state is State.OPEN
        connection.transport.abort()


async def opened(uri: str, **options: Any) -> Any:
    return await connect(uri, **options)


async def test_cancelling_the_opening_ends_its_tcp_connection() -> None:
    ended = asyncio.Event()

    async def watching(exchange: Exchange) -> None:
        try:
            await exchange.hold()
        finally:
            ended.set()

    async with raw_server(watching) as server:
        connecting = asyncio.ensure_future(opened(server.uri()))
        await until(lambda: bool(server.requests))
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_failed_opening_ends_its_tcp_connection() -> None:
    ended = asyncio.Event()

    async def refusing(exchange: Exchange) -> None:
        exchange.writer.write(response("403 Forbidden"))
        try:
            await exchange.hold()
        finally:
            ended.set()

    async with raw_server(refusing) as server:
        with pytest.raises(exceptions.InvalidStatus):
            await connect(server.uri())
        async with asyncio.timeout(10):
            await ended.wait()


BAD_URIS = [
    ("http://localhost/", "scheme isn't ws or wss"),
    ("localhost", "scheme isn't ws or wss"),
    ("ws:///path", "hostname isn't provided"),
    ("ws://localhost/#fragment", "fragment identifier is meaningless"),
    ("ws://user@localhost/", "username provided without password"),
]


@pytest.mark.parametrize(("uri", "why"), BAD_URIS)
async def test_a_bad_uri_is_refused_when_connect_is_called(uri: str, why: str) -> None:
    with pytest.raises(exceptions.InvalidURI) as caught:
        connect(uri)
    assert str(caught.value) == f"{uri} isn't a valid URI: {why}"


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"compression": "zstd"}, ValueError, "unsupported compression: zstd"),
    ({"subprotocols": "chat"}, TypeError, "subprotocols must be a list, not a str"),
    ({"ssl": True}, ValueError, "ssl argument is incompatible with a ws:// URI"),
]


@pytest.mark.parametrize(("options", "kind", "text"), BAD_ARGUMENTS)
async def test_a_bad_argument_is_refused_when_connect_is_called(
    options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        connect("ws://localhost/", **options)
    assert str(caught.value) == text


OPTIONS: list[dict[str, Any]] = [
    {"max_size": None},
    {"max_size": 1000},
    {"max_size": (1000, 100)},
    {"max_queue": None},
    {"max_queue": 4},
    {"max_queue": (4, 1)},
    {"write_limit": 1000},
    {"write_limit": (1000, 100)},
    {"ping_interval": None},
    {"ping_interval": 5, "ping_timeout": None},
    {"close_timeout": None},
]


@pytest.mark.parametrize("options", OPTIONS)
async def test_options_that_no_handshake_shows_are_taken(options: dict[str, Any]) -> None:
    async with raw_server(accepting) as server:
        connection = await connect(server.uri(), **options)
        assert connection.state is State.OPEN
        connection.transport.abort()
        await connection.wait_closed()


async def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        await connect("ws://127.0.0.1:1/", colour="red")


class Counted(ClientConnection):  # type: ignore[misc, valid-type]
    """A connection class of the user's own."""

    mark = "mine"


async def test_create_connection_makes_the_connection() -> None:
    made: list[Any] = []

    def factory(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return Counted(*args, **kwargs)

    async with raw_server(accepting) as server:
        for create in [Counted, factory]:
            connection = await connect(
                server.uri(), create_connection=create, ping_interval=None, max_queue=3
            )
            assert isinstance(connection, Counted)
            assert connection.mark == "mine"
            connection.transport.abort()
    (options,) = made
    assert options["ping_interval"] is None
    assert options["max_queue"] == 3


async def test_the_logger_hears_the_whole_handshake(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mine = logging.getLogger("tests.mine")
    async with raw_server(accepting) as server:
        connection = await connect(server.uri("/path?x=1"), logger=mine)
        connection.transport.abort()
        await connection.wait_closed()
    lines = [record.getMessage() for record in caplog.records if record.name == mine.name]
    assert "> GET /path?x=1 HTTP/1.1" in lines
    assert f"> Host: 127.0.0.1:{server.port}" in lines
    assert "< HTTP/1.1 101 Switching Protocols" in lines
    assert "< Upgrade: websocket" in lines
    assert not [record for record in caplog.records if record.name == CLIENT_LOG]


async def test_the_default_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=CLIENT_LOG)
    async with raw_server(accepting) as server:
        connection = await connect(server.uri())
        connection.transport.abort()
        await connection.wait_closed()
    assert "> GET / HTTP/1.1" in [r.getMessage() for r in caplog.records if r.name == CLIENT_LOG]
    (record,) = [r for r in caplog.records if r.getMessage() == "> GET / HTTP/1.1"]
    assert record.websocket.id == connection.id  # type: ignore[attr-defined]


# Redirects


@pytest.mark.parametrize("override", ["host", "port"])
async def test_an_override_holds_for_one_origin_only(override: str) -> None:
    targets = {"/near": "/new", "/far": "ws://elsewhere.example/new"}

    async def directions(exchange: Exchange) -> None:
        if exchange.path in targets:
            location = f"Location: {targets[exchange.path]}"
            exchange.writer.write(response("302 Found", location))
        else:
            await accepting(exchange)

    async with raw_server(directions) as server:
        options = {"host": "127.0.0.1"} if override == "host" else {"port": server.port}
        connection = await connect(server.uri("/near"), **options)
        connection.transport.abort()
        await connection.wait_closed()
        with pytest.raises(ValueError) as caught:
            await connect(server.uri("/far"), **options)
    assert str(caught.value) == (
        "cannot follow cross-origin redirect to ws://elsewhere.example/new "
        "with an explicit host or port"
    )
    assert [exchange.path for exchange in server.requests] == ["/near", "/new", "/far"]
