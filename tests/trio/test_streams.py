"""Connections on streams that are no sockets, and time that is none."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from ropeway.client import ClientProtocol
from ropeway.exceptions import ConcurrencyError, ConnectionClosedError
from ropeway.protocol import Protocol, Side
from ropeway.trio.client import ClientConnection, connect
from ropeway.trio.connection import Connection
from ropeway.trio.server import Server, serve
from ropeway.uri import parse_uri

from .serving import echo, in_trio, with_mock_clock


@in_trio
async def test_connect_takes_a_stream_and_a_server_takes_another() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def start(*, task_status: trio.TaskStatus[Server]) -> None:
            await serve(echo, listeners=listeners, task_status=task_status)

        server: Server = await nursery.start(start)
        nursery.start_soon(server.handler, theirs)
        async with connect("ws://anywhere.test/", stream=ours) as connection:
            for message in ("text", b"binary", "x" * 100_000):
                await connection.send(message)
                assert await connection.recv() == message
            assert connection.local_address is None
            assert connection.remote_address is None
        await server.aclose()


@in_trio
async def test_a_stream_that_delivers_byte_by_byte() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        near = Connection(nursery, ours, Protocol(Side.CLIENT))
        far = Connection(nursery, theirs, Protocol(Side.SERVER))
        await near.send(["a", "b", "c"])
        assert await far.recv() == "abc"
        pong = await far.ping()
        await pong.wait()
        assert far.latency > 0
        await near.aclose()
        await far.wait_closed()


@in_trio
async def test_a_stream_without_halves_is_closed_as_a_whole() -> None:
    send, receive = trio.testing.memory_stream_one_way_pair()
    other_send, other_receive = trio.testing.memory_stream_one_way_pair()

    class Whole(trio.abc.Stream):
        def __init__(self, send: object, receive: object) -> None:
            self.inner = trio.StapledStream(send, receive)  # type: ignore[type-var]

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await self.inner.send_all(data)

        async def wait_send_all_might_not_block(self) -> None:
            await self.inner.wait_send_all_might_not_block()

        async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
            return await self.inner.receive_some(max_bytes)

        async def aclose(self) -> None:
            await self.inner.aclose()

    async with trio.open_nursery() as nursery:
        near = Connection(nursery, Whole(send, other_receive), Protocol(Side.CLIENT))
        far = Connection(nursery, Whole(other_send, receive), Protocol(Side.SERVER))
        await near.send("hello")
        assert await far.recv() == "hello"
        await near.aclose()
        await far.wait_closed()
        assert near.close_code == far.close_code == 1000


class Breaking(trio.abc.Stream):
    """A stream that breaks when it is read."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError from ConnectionResetError("it broke")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@in_trio
async def test_what_breaks_a_stream_is_the_cause() -> None:
    async with trio.open_nursery() as nursery:
        near = Connection(nursery, Breaking(), Protocol(Side.CLIENT))
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert isinstance(caught.value.__cause__, ConnectionResetError)


class Piecewise(Breaking):
    """A stream that has the next piece as soon as the last one was taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)
        self.begun = False
        self.written = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.written += data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.begun:
            await trio.lowlevel.checkpoint()
        else:  # only who waits for a message already may answer it before the next piece comes
            await trio.testing.wait_all_tasks_blocked()
        self.begun = True
        return next(self.pieces, b"")


@in_trio
async def test_a_message_is_answered_before_what_comes_next_breaks_the_connection() -> None:
    async def answer(connection: Connection) -> None:
        with pytest.raises(ConnectionClosedError):
            while True:
                await connection.send(await connection.recv())

    message, reserved = b"\x81\x05hello", b"\x83\x00"
    for _ in range(50):  # trio draws the order of its tasks by lot
        stream = Piecewise(message, reserved)
        async with trio.open_nursery() as nursery:
            near = Connection(nursery, stream, Protocol(Side.CLIENT))
            nursery.start_soon(answer, near)
        assert near.close_exc.sent is not None
        assert near.close_exc.sent.code == 1002
        # A header of two bytes, a masking key of four and the payload; then the close frame.
        assert stream.written[0] == 0x81
        assert stream.written[1] == 0x80 | 5
        assert stream.written[11] == 0x88


@with_mock_clock
async def test_a_silent_peer_is_found() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        near = Connection(
            nursery, ours, Protocol(Side.CLIENT), ping_interval=20, ping_timeout=10, close_timeout=5
        )
        near._start_keepalive()
        began = trio.current_time()
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert trio.current_time() - began == pytest.approx(20 + 10 + 5, abs=0.1)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011
        assert "keepalive ping timeout" in caught.value.sent.reason
        await theirs.aclose()


@with_mock_clock
async def test_a_peer_that_never_closes_is_left() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        near = Connection(nursery, ours, Protocol(Side.CLIENT), close_timeout=7)
        began = trio.current_time()
        await near.aclose()
        assert trio.current_time() - began == pytest.approx(7, abs=0.1)
        assert isinstance(near.close_exc.__cause__, TimeoutError)
        await theirs.aclose()


@with_mock_clock
async def test_an_opening_handshake_has_a_limit() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    began = trio.current_time()
    with pytest.raises(TimeoutError, match="timed out during opening handshake"):
        async with connect("ws://anywhere.test/", stream=ours, open_timeout=3):
            raise AssertionError
    assert trio.current_time() - began == pytest.approx(3, abs=0.1)
    await theirs.aclose()


@with_mock_clock
async def test_a_request_has_a_limit() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def start(*, task_status: trio.TaskStatus[Server]) -> None:
            await serve(echo, listeners=listeners, open_timeout=4, task_status=task_status)

        server: Server = await nursery.start(start)
        nursery.start_soon(server.handler, theirs)
        await ours.send_all(b"GET / HTTP/1.1\r\n")
        began = trio.current_time()
        answer = await ours.receive_some()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began == pytest.approx(4, abs=0.1)
        await ours.aclose()
        await server.aclose()


@in_trio
async def test_the_handshake_may_be_made_by_hand() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def start(*, task_status: trio.TaskStatus[Server]) -> None:
            await serve(echo, listeners=listeners, task_status=task_status)

        server: Server = await nursery.start(start)
        nursery.start_soon(server.handler, theirs)
        protocol = ClientProtocol(parse_uri("ws://anywhere.test/"))
        connection = ClientConnection(nursery, ours, protocol)
        await connection.handshake()
        await connection.send("by hand")
        assert await connection.recv() == "by hand"
        await connection.aclose()
        await server.aclose()


@in_trio
async def test_one_task_receives_at_a_time() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        near = Connection(nursery, ours, Protocol(Side.CLIENT))
        far = Connection(nursery, theirs, Protocol(Side.SERVER))
        nursery.start_soon(near.recv)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ConcurrencyError, match="cannot call recv while another coroutine"):
            await near.recv()
        with pytest.raises(ConcurrencyError, match="cannot call recv_streaming while another"):
            async for _ in near.recv_streaming():
                raise AssertionError
        await far.send("go")
        await far.aclose()
