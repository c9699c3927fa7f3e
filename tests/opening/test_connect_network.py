"""Where connect leads: given sockets, other hosts and ports, local addresses, Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.http import response
from ..support.names import exceptions
from ..support.subject import State, connect, only_ropeway, unix_connect
from .peers import RawServer, accepting, raw_server


@contextlib.asynccontextmanager
async def opened(uri: str, **options: Any) -> AsyncIterator[Any]:
    connection = await connect(uri, **options)
    assert connection.state is State.OPEN
    try:
        yield connection
    finally:
        connection.transport.abort()
        await connection.wait_closed()


async def test_a_given_socket_is_used() -> None:
    async with raw_server(accepting) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        local = sock.getsockname()
        async with opened("ws://elsewhere.example/chat", sock=sock) as connection:
            assert connection.local_address == local
    assert server.requests[0]["Host"] == "elsewhere.example"
    assert server.requests[0].path == "/chat"


async def test_one_end_of_a_socket_pair_is_used() -> None:
    near, far = socket.socketpair()
    server = RawServer(accepting)
    reader, writer = await asyncio.open_connection(sock=far)
    server.accept(reader, writer)
    async with opened("ws://localhost/", sock=near):
        pass
    await server.close()
    assert server.requests[0]["Host"] == "localhost"


@pytest.mark.parametrize("override", ["host", "port", "both"])
async def test_host_and_port_lead_elsewhere(override: str) -> None:
    async with raw_server(accepting) as server:
        uri, options = {
            "host": (f"ws://name.example:{server.port}/", {"host": "127.0.0.1"}),
            "port": ("ws://127.0.0.1:1/", {"port": server.port}),
            "both": ("ws://name.example/", {"host": "127.0.0.1", "port": server.port}),
        }[override]
        async with opened(uri, **options) as connection:
            assert connection.remote_address == ("127.0.0.1", server.port)


async def test_the_local_address_can_be_chosen() -> None:
    async with raw_server(accepting) as server:
        async with opened(server.uri(), local_addr=("127.0.0.3", 0)) as connection:
            assert connection.local_address[0] == "127.0.0.3"


async def test_other_arguments_of_the_loop_are_passed_on() -> None:
    async with raw_server(accepting) as server:
        async with opened(server.uri(host="localhost"), family=socket.AF_INET) as connection:
            assert connection.transport.get_extra_info("socket").family == socket.AF_INET


@contextlib.contextmanager
def black_hole(port: int) -> Iterator[str]:
    """Make an address on which connecting neither succeeds nor fails: its backlog is full."""
    address = "127.0.0.2"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield address


@contextlib.asynccontextmanager
async def two_addresses() -> AsyncIterator[str]:
    """Yield a URI whose name leads to a black hole first and to a server second."""
    loop = asyncio.get_running_loop()
    if type(loop).__module__.startswith("uvloop"):
        pytest.skip("uvloop resolves names out of a test's reach")
    async with raw_server(accepting) as server:
        with black_hole(server.port) as hole:

            async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
                kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
                return [(*kind, (address, port)) for address in [hole, "127.0.0.1"]]

            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
            yield server.uri(host="both.example")


async def test_with_a_delay_the_next_address_is_tried_meanwhile() -> None:
    async with two_addresses() as uri:
        async with opened(uri, happy_eyeballs_delay=0.01, open_timeout=5) as connection:
            assert connection.remote_address[0] == "127.0.0.1"


@only_ropeway
async def test_the_next_address_is_tried_meanwhile_by_default() -> None:
    async with two_addresses() as uri:
        async with opened(uri, open_timeout=5) as connection:
            assert connection.remote_address[0] == "127.0.0.1"


async def test_without_the_delay_addresses_are_tried_in_turn() -> None:
    async with two_addresses() as uri:
        with pytest.raises(TimeoutError):
            await connect(uri, happy_eyeballs_delay=None, open_timeout=0.5)


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{taken.getsockname()[1]}/")


async def test_an_unknown_name() -> None:
    with pytest.raises(OSError):
        await connect("ws://name.invalid/")


# Unix sockets


async def test_unix_connect(socket_path: str) -> None:
    async with raw_server(accepting, path=socket_path) as server:
        connection = await unix_connect(socket_path)
        assert connection.state is State.OPEN
        connection.transport.abort()
        await connection.wait_closed()
    assert server.requests[0]["Host"] == "localhost"
    assert server.requests[0].path == "/"


async def test_unix_connect_with_a_uri(socket_path: str) -> None:
    async with raw_server(accepting, path=socket_path) as server:
        for options in [{"path": socket_path}, {"path": Path(socket_path)}]:
            connection = await unix_connect(
                **options, uri="ws://name.example/chat?x=1", subprotocols=["a"]
            )
            connection.transport.abort()
            await connection.wait_closed()
    for request in server.requests:
        assert request["Host"] == "name.example"
        assert request.path == "/chat?x=1"
        assert request["Sec-WebSocket-Protocol"] == "a"


async def test_unix_connect_with_a_socket(socket_path: str) -> None:
    async with raw_server(accepting, path=socket_path) as server:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(socket_path)
        connection = await unix_connect(sock=sock)
        connection.transport.abort()
        await connection.wait_closed()
    assert server.connections == 1


async def test_unix_connect_as_a_context_and_as_an_iterator(socket_path: str) -> None:
    async with raw_server(accepting, path=socket_path):
        async with unix_connect(socket_path) as connection:
            connection.transport.abort()
        async for connection in unix_connect(socket_path):
            connection.transport.abort()
            break


async def test_unix_connect_over_tls(socket_path: str, tls: Any) -> None:
    async with raw_server(accepting, path=socket_path, tls=tls.server_context) as server:
        connection = await unix_connect(socket_path, ssl=tls.client_context)
        assert connection.transport.get_extra_info("ssl_object").server_hostname == "localhost"
        connection.transport.abort()
        await connection.wait_closed()
    assert server.requests[0]["Host"] == "localhost"


async def test_no_unix_socket_there(socket_path: str) -> None:
    with pytest.raises(FileNotFoundError):
        await unix_connect(socket_path)


async def test_a_unix_socket_ignores_the_proxy_settings(
    socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with raw_server(response("403 Forbidden"), path=socket_path):
        with pytest.raises(exceptions.InvalidStatus):
            await unix_connect(socket_path)
