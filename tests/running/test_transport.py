"""The transport for stream sockets: what the contract of connections doesn't reach."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ropeway._driving.sockets import MOST_PLACES
from ropeway.asyncio.transport import SEPARATE, StreamTransport


class Recorder(asyncio.Protocol):
    """Notes what a transport tells its protocol."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.told: list[Any] = []
        self.keep_open = False
        self.over = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)
        self.over.set_result(None)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[StreamTransport, Recorder, socket.socket]]:
    """Give a transport, its protocol, and a socket that is its peer."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setblocking(False)
    transport = StreamTransport(asyncio.get_running_loop(), ours)
    recorder = Recorder()
    transport.start(recorder)
    try:
        yield transport, recorder, peer
    finally:
        transport.abort()
        if not recorder.over.done():
            await recorder.over
        peer.close()


async def read(peer: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(peer, 1 << 16)
        assert part, f"{len(data)} of {size} bytes"
        data += part
    return bytes(data)


@pytest.mark.parametrize("size", [1, SEPARATE - 1, SEPARATE, 3 << 20])
async def test_writes_keep_their_order(size: int) -> None:
    pieces = [bytes([number % 251]) * (size if number % 3 else 5) for number in range(12)]
    async with pair() as (transport, _, peer):
        transport.write(pieces[0])
        transport.writelines(pieces[1:6])
        for piece in pieces[6:9]:
            transport.write(piece)
        transport.writelines(iter(pieces[9:]))
        expected = b"".join(pieces)
        assert await read(peer, len(expected)) == expected
        assert transport.get_write_buffer_size() == 0


async def test_more_pieces_than_one_call_takes() -> None:
    generator = random.Random(7)
    pieces = [generator.randbytes(SEPARATE + number) for number in range(5 * MOST_PLACES)]
    async with pair() as (transport, _, peer):
        transport.writelines(pieces)
        expected = b"".join(pieces)
        assert await read(peer, len(expected)) == expected


async def test_small_pieces_that_wait_are_joined() -> None:
    async with pair() as (transport, _, peer):
        transport.write(bytes(4 << 20))
        waiting = transport.get_write_buffer_size()
        assert waiting
        tracemalloc.start()
        try:
            transport.writelines([b"small" for _ in range(5000)])
            assert tracemalloc.get_traced_memory()[0] < 2 * 25_000
        finally:
            tracemalloc.stop()
        assert transport.get_write_buffer_size() == waiting + 25_000
        assert await read(peer, (4 << 20) + 25_000) == bytes(4 << 20) + 5000 * b"small"


async def test_what_waits_may_change_afterwards() -> None:
    async with pair() as (transport, _, peer):
        data = bytearray(b"a" * (4 << 20))
        transport.write(data)
        assert transport.get_write_buffer_size() > 0
        data[:] = b"b" * len(data)
        assert await read(peer, len(data)) == b"a" * len(data)


async def test_water_marks() -> None:
    async with pair() as (transport, recorder, peer):
        transport.set_write_buffer_limits(high=1000, low=10)
        assert transport.get_write_buffer_limits() == (10, 1000)
        size = 8 << 20
        transport.write(b"x" * size)
        assert recorder.told == ["pause"]
        await read(peer, size)
        while "resume" not in recorder.told:
            await asyncio.sleep(0)
        assert recorder.told == ["pause", "resume"]
        with pytest.raises(ValueError, match="high .5. must be >= low .6."):
            transport.set_write_buffer_limits(high=5, low=6)


async def test_closing_writes_what_waits() -> None:
    async with pair() as (transport, recorder, peer):
        size = 8 << 20
        transport.write(b"x" * size)
        transport.close()
        assert transport.is_closing()
        assert await read(peer, size) == b"x" * size
        await recorder.over
        assert recorder.told[-1] is None
        transport.write(b"too late")
        transport.close()
        transport.abort()
        assert await asyncio.get_running_loop().sock_recv(peer, 10) == b""


async def test_aborting_drops_what_waits() -> None:
    async with pair() as (transport, recorder, _):
        transport.write(b"x" * (8 << 20))
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        await recorder.over
        assert recorder.told == ["pause", None]


async def test_half_closing_comes_after_what_waits() -> None:
    async with pair() as (transport, recorder, peer):
        size = 8 << 20
        transport.write(b"x" * size)
        transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            transport.write(b"y")
        await read(peer, size)
        assert await asyncio.get_running_loop().sock_recv(peer, 10) == b""
        peer.send(b"answer")
        while recorder.received != b"answer":
            await asyncio.sleep(0)


async def test_end_of_stream_closes_unless_the_protocol_keeps_it() -> None:
    async with pair() as (transport, recorder, peer):
        recorder.keep_open = True
        peer.shutdown(socket.SHUT_WR)
        while recorder.told != ["eof"]:
            await asyncio.sleep(0)
        transport.write(b"still here")
        assert await read(peer, 10) == b"still here"


async def test_paused_reading_leaves_data_in_the_kernel() -> None:
    async with pair() as (transport, recorder, peer):
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        peer.send(b"later")
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.received == b""
        transport.resume_reading()
        while recorder.received != b"later":
            await asyncio.sleep(0)


async def test_a_detached_socket_is_open() -> None:
    ours, peer = socket.socketpair()
    with peer:
        ours.setblocking(False)
        transport = StreamTransport(asyncio.get_running_loop(), ours)
        transport.start(Recorder())
        sock = transport.detach()
        with sock:
            assert sock is ours
            assert transport.is_closing()
            sock.send(b"mine")
            peer.setblocking(False)
            assert await read(peer, 4) == b"mine"


async def test_the_socket_of_a_lost_connection_is_gone() -> None:
    async with pair() as (transport, recorder, peer):
        peer.close()
        await recorder.over
        with pytest.raises(ConnectionResetError, match="lost before its socket"):
            transport.detach()


async def test_the_peer_is_known_after_a_reset() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
        sock.setblocking(False)
        transport = StreamTransport(loop, sock)
        recorder = Recorder()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        transport.start(recorder)
        await recorder.over
        assert isinstance(recorder.told[-1], ConnectionResetError)
        assert transport.get_extra_info("peername") == listener.getsockname()


async def test_a_transport_that_nobody_closed_says_so() -> None:
    ours, peer = socket.socketpair()
    with peer:
        transport = StreamTransport(asyncio.get_running_loop(), ours)
        with pytest.warns(ResourceWarning, match="unclosed transport <StreamTransport open"):
            del transport


async def test_a_protocol_that_fails_ends_the_connection() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    async with pair() as (_, recorder, peer):

        def fail(data: bytes) -> None:
            raise ZeroDivisionError(data)

        recorder.data_received = fail  # type: ignore[method-assign]
        peer.send(b"x")
        await recorder.over
        [context] = reported
        assert isinstance(context["exception"], ZeroDivisionError)
        assert recorder.told == [context["exception"]]
