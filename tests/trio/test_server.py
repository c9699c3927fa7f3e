"""Servers on trio: what they listen on, whom they let in, and how they end."""

from __future__ import annotations

import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from ropeway.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
)
from ropeway.extensions import ClientExtensionFactory, Extension, ServerExtensionFactory
from ropeway.frames import Frame
from ropeway.protocol import State
from ropeway.trio.client import connect, unix_connect
from ropeway.trio.server import (
    Server,
    ServerConnection,
    broadcast,
    serve,
    unix_serve,
)
from ropeway.typing import ExtensionName

from ..support.tls import TLS
from .serving import Handed, connecting, echo, in_trio, pair, serving, uri

SOURCES = Path(__file__).parents[2] / "src"


# Ends


@in_trio
async def test_aclose_closes_connections_and_serve_returns() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(functools.partial(serve, echo, 0, host="127.0.0.1"))
        near = await connecting(server).connect(nursery)
        assert server.is_serving()
        (far,) = server.connections
        assert far.server is server
        await server.aclose()
        assert not server.is_serving()
        assert server.connections == server.all_connections == set()
        with pytest.raises(ConnectionClosedOK) as caught:
            await near.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
        await server.aclose()  # once more changes nothing


@in_trio
async def test_aclose_with_a_code_and_a_reason() -> None:
    async with serving() as server, connecting(server) as near:
        with pytest.raises(Exception, match="invalid"):
            await server.aclose(code=1006)
        await server.aclose(code=1012, reason="restart")
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1012, "restart")


@in_trio
async def test_aclose_may_leave_connections_open() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(functools.partial(serve, echo, 0, host="127.0.0.1"))
        near = await connecting(server).connect(nursery)
        nursery.start_soon(functools.partial(server.aclose, close_connections=False))
        with pytest.raises(OSError, match="all attempts"):
            while True:
                async with connecting(server):
                    pass
        await near.send("still")
        assert await near.recv() == "still"
        await near.aclose()


@in_trio
async def test_a_handler_cannot_close_the_server_that_waits_for_it() -> None:
    errors = []

    async def handler(connection: ServerConnection) -> None:
        with pytest.raises(RuntimeError, match="called by a connection handler") as caught:
            await connection.server.aclose()
        errors.append(caught.value)

    async with serving(handler) as server, connecting(server) as near:
        await near.wait_closed()
    assert len(errors) == 1


@in_trio
async def test_who_is_in_the_opening_handshake_gets_503() -> None:
    async with serving() as server:
        address = server.listeners[0].socket.getsockname()
        stream = await trio.open_tcp_stream(*address)
        async with connecting(server):
            await server.aclose()
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 503 ")
        await stream.aclose()


def run(program: str, *, interrupt: bool = False) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if interrupt:
        process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, line + output, errors)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C can't be sent there")
def test_ctrl_c_ends_a_server_with_connections() -> None:
    done = run(
        """
        import trio
        from ropeway.trio.client import connect
        from ropeway.trio.server import serve

        async def echo(connection):
            async for message in connection:
                await connection.send(message)

        async def main():
            async with trio.open_nursery() as nursery:
                server = await nursery.start(serve, echo, 0)
                port = server.listeners[0].socket.getsockname()[1]
                async with connect(f"ws://127.0.0.1:{port}/") as connection:
                    await connection.send("ready")
                    print(await connection.recv(), flush=True)
                    await connection.recv()

        try:
            trio.run(main)
        except* KeyboardInterrupt:
            print("interrupted")
        """,
        interrupt=True,
    )
    assert done.stdout == "ready\ninterrupted\n", done.stderr
    assert done.returncode == 0


# What it listens on


@in_trio
async def test_listeners_of_the_caller() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve, echo, listeners=listeners))
        async with connecting(server) as near:
            await near.send("hello")
            assert await near.recv() == "hello"
        await server.aclose()


@in_trio
async def test_where_to_listen_must_be_said_once() -> None:
    with pytest.raises(ValueError, match="missing port argument"):
        await serve(echo)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with pytest.raises(ValueError, match="incompatible with listeners"):
        await serve(echo, 1, listeners=listeners)
    await listeners[0].aclose()
    with pytest.raises(ValueError, match="ping_interval is -1 seconds, below 0"):
        await serve(echo, 0, ping_interval=-1)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@in_trio
async def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(unix_serve, echo, path)
        async with unix_connect(path, "ws://localhost/path", proxy=None) as near:
            await near.send("hello")
            assert await near.recv() == "hello"
        with pytest.raises(OSError, match="in use"):
            await unix_serve(echo, path)
        await server.aclose()
    assert not path.exists()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@in_trio
async def test_a_path_that_somebody_else_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(unix_serve, echo, path)
        path.unlink()
        await server.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="needs abstract addresses")
@in_trio
async def test_abstract_unix_sockets() -> None:
    path = f"\0ropeway-{os.getpid()}"
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(unix_serve, echo, path)
        async with unix_connect(path, proxy=None) as near:
            await near.send("hello")
            assert await near.recv() == "hello"
        await server.aclose()


def test_unix_connect_wants_one_place() -> None:
    with pytest.raises(ValueError, match="missing path argument"):
        unix_connect()


@in_trio
async def test_tls(tls: TLS) -> None:
    async with serving(ssl=tls.server_context) as server:
        secure = uri(server, "wss", "localhost")
        async with connect(secure, ssl=tls.client_context, proxy=None, host="127.0.0.1") as near:
            for message in ("hello", "x" * 1_000_000):
                await near.send(message)
                assert await near.recv() == message
            assert near.remote_address == server.listeners[0].socket.getsockname()
        assert near.close_code == 1000
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            async with connect(secure, ssl=tls.untrusted_client_context, proxy=None):
                raise AssertionError
        # One who speaks no TLS harms nobody.
        stream = await trio.open_tcp_stream("127.0.0.1", near.remote_address[1])
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in await stream.receive_some()
        await stream.aclose()


# Whom it lets in


@in_trio
async def test_max_connections() -> None:
    async with serving(max_connections=1) as server:
        async with connecting(server):
            with pytest.raises(InvalidStatus) as caught:
                async with connecting(server):
                    raise AssertionError
            assert caught.value.response.status_code == 503
        while server.opened:
            await trio.lowlevel.checkpoint()
        async with connecting(server):
            pass


@in_trio
async def test_a_connection_that_goes_wrong_does_not_end_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Extension):
        name = ExtensionName("broken")

        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            raise KeyError("decode")

        def encode(self, frame: Frame) -> Frame:
            return frame

    class Factory(ServerExtensionFactory):
        name = ExtensionName("broken")

        def process_request_params(self, params: object, accepted: object) -> Any:
            return [], Broken()

    class Offer(ClientExtensionFactory):
        name = ExtensionName("broken")

        def get_request_params(self) -> Any:
            return []

        def process_response_params(self, params: object, accepted: object) -> Any:
            return Extension()

    def create(*arguments: Any, **options: Any) -> ServerConnection:
        made.append(None)
        if len(made) == 1:
            raise KeyError("create")
        return ServerConnection(*arguments, **options)

    made: list[None] = []
    async with serving(create_connection=create, extensions=[Factory()]) as server:
        with pytest.raises(InvalidHandshake):
            async with connecting(server):
                raise AssertionError
        async with connecting(server, extensions=[Offer()]) as near:
            near.protocol.extensions = []
            await near.send("hello")
            with pytest.raises(ConnectionClosedError):
                await near.recv()
        async with connecting(server) as near:
            await near.send("hello")
            assert await near.recv() == "hello"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "connection failed" in [record.getMessage() for record in errors]


# Many


@in_trio
async def test_broadcast() -> None:
    handed = Handed()
    async with serving(handed) as server:
        async with connecting(server) as one, connecting(server) as two:
            far = await handed.get()
            await handed.get()
            await broadcast(server.connections, "to all")
            assert await one.recv() == await two.recv() == "to all"
            with pytest.raises(TypeError, match="data must be str or bytes"):
                await broadcast(server.connections, 7)  # type: ignore[arg-type]
            await far.aclose()
            await broadcast([far], "to nobody")
            handed.over.set()


@in_trio
async def test_many_senders_to_a_slow_reader_lose_nothing() -> None:
    async with pair(client={"max_queue": 1, "max_size": None}) as (near, far):
        received: list[bytes] = []

        async def send(number: int) -> None:
            for _ in range(10):
                await far.send(bytes([number]) * (1 << 18))

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(send, number)
            await trio.testing.wait_all_tasks_blocked(0.02)
            while len(received) < 100:
                received.append(await near.recv(decode=False))
        assert sorted(message[0] for message in received) == [
            n for n in range(10) for _ in range(10)
        ]
        assert far._queued == 0


@in_trio
async def test_a_send_that_waits_when_the_connection_is_lost_says_so() -> None:
    async with pair(client={"max_queue": 1}) as (near, far):
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(ConnectionClosedError):
                    while True:
                        await far.send(bytes(1 << 20))

            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked(0.02)
            near.abort()
        assert far._queued == 0


@in_trio
async def test_a_slow_reader_holds_up_only_its_own_sender() -> None:
    async with pair(client={"max_queue": 1}) as (near, far):
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await far.send(bytes(1 << 16))
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            before = -1
            while sent != before:
                before = sent
                await trio.testing.wait_all_tasks_blocked(0.02)
            assert far._queued < 1 << 18
            for _ in range(sent):
                await near.recv()
            while sent == before:
                await near.recv()
            nursery.cancel_scope.cancel()
        near.abort()
        await far.wait_closed()
        assert far.state is State.CLOSED
