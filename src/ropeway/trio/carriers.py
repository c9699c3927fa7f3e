"""How bytes get to the peer and back: over a socket, or over any other stream of trio's."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import trio

from .._driving.sockets import NOT_NOW, receive, send
from ..typing import BytesLike

Room = Callable[[], bytearray | memoryview]

# POSIX guarantees 16 places for writev(), Linux and the BSDs have 1024.
MOST_PLACES = 64

READ_SIZE = 64 * 1024

# A stream may make copies of what it is given, as TLS does: of this much, not of a large message.
WRITE_SIZE = 256 * 1024

BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""What a stream raises when there is no getting through to the peer."""


class SocketCarrier:
    """A socket, which is read and written without waiting as long as the kernel lets us.

    Args:
        stream: a stream of trio's on a socket of the system's.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = stream.socket
        self._descriptor = stream.socket.fileno()
        # For the pure build, since the methods of trio's sockets wait.
        self._file: Any = _Descriptor(self._descriptor)

    async def receive(self, room: Room) -> bytes | bytearray | int:
        """Wait for bytes; give their number, 0 at the end, once they are in the ``room``."""
        await trio.lowlevel.wait_readable(self._descriptor)
        return self.receive_now(room)

    def receive_now(self, room: Room) -> int:
        """Give the number of bytes that are there, in the ``room``; NOT_NOW for none."""
        return receive(self._file, self._descriptor, room())

    def send_now(self, pieces: list[bytes]) -> list[BytesLike]:
        """Write what the kernel takes at once, and give the rest."""
        if len(pieces) == 1:
            sent = send(self._file, self._descriptor, pieces[0])
        else:
            try:
                sent = os.writev(self._descriptor, pieces[:MOST_PLACES])
            except BlockingIOError:
                sent = NOT_NOW
        if sent == NOT_NOW:
            return cast(list[BytesLike], pieces)
        return _without(pieces, sent)

    async def send(self, backlog: deque[BytesLike]) -> int:
        """Write some of the backlog, as soon as that is possible; give the number of bytes."""
        await trio.lowlevel.wait_writable(self._descriptor)
        places = [backlog.popleft() for _ in range(min(len(backlog), MOST_PLACES))]
        rest: list[BytesLike] = self.send_now(cast(list[bytes], places))
        backlog.extendleft(reversed(rest))
        return sum(map(len, places)) - sum(map(len, rest))

    async def end(self) -> None:
        """End our half of the stream."""
        with contextlib.suppress(OSError):  # the peer was faster; reading finds the same
            self._socket.shutdown(trio.socket.SHUT_WR)


class StreamCarrier:
    """Any stream; TLS, for one."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def receive(self, room: Room) -> bytes | bytearray | int:
        """Wait for bytes and give them; none at the end."""
        return await self._stream.receive_some(READ_SIZE)

    def receive_now(self, room: Room) -> int:
        """Give NOT_NOW: that can't be known here."""
        return NOT_NOW

    def send_now(self, pieces: list[bytes]) -> list[BytesLike]:
        """Give everything back: there is no writing without waiting here."""
        return cast(list[BytesLike], pieces)

    async def send(self, backlog: deque[BytesLike]) -> int:
        """Write the beginning of the backlog; give the number of bytes."""
        data = _take(backlog, WRITE_SIZE)
        await self._stream.send_all(data)
        return len(data)

    async def end(self) -> None:
        """End our half of the stream, or all of it where there are no halves.

        Below TLS, too: closing while the peer is still sending resets the connection, and that can
        take our close frame from it (RFC 6455, section 7.1.1).
        """
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        if isinstance(stream, trio.abc.HalfCloseableStream):
            # Busy is a stream on which TLS is answering the peer's TLS; reading finds the end.
            with contextlib.suppress(*BROKEN, trio.BusyResourceError):
                await stream.send_eof()
        else:
            await self._stream.aclose()


def carrier_of(stream: trio.abc.Stream) -> SocketCarrier | StreamCarrier:
    """Make the carrier for a stream."""
    # A program may have sockets of its own (trio.socket.set_custom_socket_factory).
    if type(stream) is trio.SocketStream and type(stream.socket) is _SOCKET and _BY_DESCRIPTOR:
        return SocketCarrier(stream)
    return StreamCarrier(stream)


def address_of(stream: trio.abc.Stream, ask: str) -> Any:
    """Ask the socket below a stream for an address; None where there is none."""
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    sock = getattr(stream, "socket", None)
    try:
        return None if sock is None else getattr(sock, ask)()
    except OSError:  # not connected any more
        return None


class _Descriptor:
    """The methods of a socket that never wait, for a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        return os.readv(self._descriptor, [buffer])

    def send(self, data: BytesLike) -> int:
        return os.write(self._descriptor, data)


def _take(backlog: deque[BytesLike], size: int) -> BytesLike:
    """Take up to ``size`` bytes from the front; of a large piece, a view of its beginning."""
    parts: list[BytesLike] = []
    while backlog and size:
        piece = backlog.popleft()
        if len(piece) > size:
            view = memoryview(piece)
            piece = view[:size]
            backlog.appendleft(view[size:])
        parts.append(piece)
        size -= len(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _without(pieces: list[bytes], sent: int) -> list[BytesLike]:
    rest: list[BytesLike] = []
    for piece in pieces:
        if sent >= len(piece):
            sent -= len(piece)
        else:
            rest.append(memoryview(piece)[sent:] if sent else piece)
            sent = 0
    return rest


def _socket_class() -> type:
    with socket.socket() as sock:
        return type(trio.socket.from_stdlib_socket(sock))


# On Windows, sockets are no descriptors.
_BY_DESCRIPTOR = hasattr(os, "readv")
_SOCKET = _socket_class()
