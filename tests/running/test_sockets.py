"""Reading and writing without waiting: the same in both builds."""

from __future__ import annotations

import ctypes
import importlib
import signal
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

import ropeway
from ropeway.asyncio.polling import MOST_EVENTS

from ..support.pure import load_pure


@pytest.fixture(params=["here", "pure"])
def sockets(request: pytest.FixtureRequest) -> ModuleType:
    """The module in the build that runs, and in the pure one."""
    package = ropeway if request.param == "here" else load_pure()
    return importlib.import_module(f"{package.__name__}._driving.sockets")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection; the first doesn't block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("kind", [bytearray, lambda size: memoryview(bytearray(size))])
def test_receives_what_is_there(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket], kind: type
) -> None:
    ours, theirs = pair
    buffer = kind(4)
    assert sockets.receive(ours, ours.fileno(), buffer) == sockets.NOT_NOW
    theirs.sendall(b"chair")
    # Loopback delivers within the call that sends.
    assert sockets.receive(ours, ours.fileno(), buffer) == 4
    assert bytes(buffer) == b"chai"
    assert sockets.receive(ours, ours.fileno(), buffer) == 1
    assert bytes(buffer) == b"rhai"
    theirs.close()
    assert sockets.receive(ours, ours.fileno(), buffer) == 0


def test_asks_until_something_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    sockets = importlib.import_module("ropeway._driving.sockets")
    ours, theirs = pair
    buffer = bytearray(4)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(sockets.receive_soon, ours, ours.fileno(), buffer, 60)
        if ropeway.build == "pure":
            assert asking.result() == sockets.NOT_NOW
            return
        theirs.sendall(b"chair")
        assert asking.result() == 4
    assert bytes(buffer) == b"chai"
    assert sockets.receive_soon(ours, ours.fileno(), buffer, 0) == 1
    assert sockets.receive_soon(ours, ours.fileno(), buffer, 1e-5) == sockets.NOT_NOW
    reset(theirs)
    with pytest.raises(ConnectionResetError):
        sockets.receive_soon(ours, ours.fileno(), buffer, 1e-5)


def test_a_signal_while_asking_is_not_lost(pair: tuple[socket.socket, socket.socket]) -> None:
    """It would have to interrupt the wait that follows, and can't any more."""
    if ropeway.build == "pure":
        pytest.skip("interpreted, nothing is asked")
    sockets = importlib.import_module("ropeway._driving.sockets")
    ours, _ = pair

    def handler(*_: object) -> None:
        raise InterruptedError("by hand")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(InterruptedError, match="by hand"):
            sockets.receive_soon(ours, ours.fileno(), bytearray(4), 0.5)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_refuses_to_receive_into_what_cannot_be_written(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    with pytest.raises((TypeError, BufferError)):
        sockets.receive(pair[0], pair[0].fileno(), b"fixed")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sends_as_much_as_there_is_room_for(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket], kind: type
) -> None:
    ours, theirs = pair
    data = kind(bytes(range(256)) * 4096)
    sent = 0
    while (size := sockets.send(ours, ours.fileno(), data)) != sockets.NOT_NOW:
        assert 0 < size <= len(data)
        sent += size
        assert sent < 1 << 30
    got = 0
    while got < sent:
        part = theirs.recv(1 << 20)
        assert part
        got += len(part)
    assert got == sent
    assert sockets.send(ours, ours.fileno(), kind(b"on")) == 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sends_several_in_order(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket], kind: type
) -> None:
    ours, theirs = pair
    pieces = [b"not this", kind(b"first "), kind(b""), b"second"]
    pieces += [bytes([number]) for number in range(sockets.MOST_PLACES)]
    # As many as one call takes, from the second on.
    expected = b"".join(pieces[1 : 1 + sockets.MOST_PLACES])
    assert sockets.send_several(ours, ours.fileno(), pieces, 1) == len(expected)
    assert theirs.recv(1000) == expected
    assert sockets.send_several(ours, ours.fileno(), pieces, len(pieces) - 1) == 1
    assert theirs.recv(1000) == pieces[-1]


def test_sends_several_as_far_as_there_is_room(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    pieces = [bytes([number]) * 300_000 for number in range(10)]
    sent = 0
    while (size := sockets.send_several(ours, ours.fileno(), pieces, 0)) != sockets.NOT_NOW:
        assert 0 < size <= 3_000_000
        sent += size
        assert sent < 1 << 30
    while sent:
        sent -= len(theirs.recv(1 << 20))


def test_tells_of_a_connection_that_is_broken(
    sockets: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    reset(theirs)
    with pytest.raises(ConnectionResetError):
        sockets.receive(ours, ours.fileno(), bytearray(10))
    with pytest.raises(BrokenPipeError):
        sockets.send(ours, ours.fileno(), b"gone")
    with pytest.raises(BrokenPipeError):
        sockets.send_several(ours, ours.fileno(), [b"go", b"ne"], 0)


async def test_all_of_many_connections_are_served() -> None:
    """More than the poller asks for at a time are ready at once."""

    async def echo(ws: ropeway.ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    many = 2 * MOST_EVENTS + 5
    async with ropeway.serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        clients = [await ropeway.connect(f"ws://127.0.0.1:{port}") for _ in range(many)]
        try:
            for number, ws in enumerate(clients):
                await ws.send(str(number))
            assert [await ws.recv() for ws in clients] == [str(n) for n in range(many)]
        finally:
            for ws in clients:
                await ws.close()


@pytest.mark.parametrize("size", [64 * 1024, 256 * 1024])
def test_a_receive_buffer_is_all_there_and_begins_a_page(sockets: ModuleType, size: int) -> None:
    buffer = sockets.receive_buffer(size)
    assert type(buffer) is bytearray
    assert buffer == bytes(size)
    if sockets.__name__.startswith("ropeway.") and ropeway.build == "compiled":
        assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % 4096 == 0
