"""Reading and writing a non-blocking socket, without waiting and without detours.

Compiled, these are the system calls and nothing around them: the methods of a socket object look at
its timeout, give up the interpreter's lock and make an exception where there is nothing to read,
which costs as much as parsing a frame. A call that never waits need not give up the lock.
"""

from __future__ import annotations

import socket
from typing import Final

from ..typing import BytesLike

__all__ = [
    "MOST_PLACES",
    "NOT_NOW",
    "receive",
    "receive_buffer",
    "receive_soon",
    "send",
    "send_several",
]

NOT_NOW: Final = -1
"""In place of a number of bytes: the call would have had to wait."""

MOST_PLACES: Final = 64
"""How many buffers one call writes: POSIX guarantees 16, Linux and the BSDs have 1024."""


def receive_buffer(size: int) -> bytearray:
    """Make a buffer to receive in, which compiled begins where the kernel's copying is fast.

    Args:
        size: of the buffer, in bytes.

    """
    return bytearray(size)


def receive(sock: socket.socket, fd: int, buffer: bytearray | memoryview) -> int:
    """Read what is there, up to the size of ``buffer``.

    Args:
        sock: a non-blocking socket.
        fd: its descriptor.
        buffer: where the bytes go.

    Returns:
        Number of bytes; 0 at the end of the stream; NOT_NOW when there are none yet.

    Raises:
        OSError: when the connection is broken.

    """
    try:
        return sock.recv_into(buffer)
    except (BlockingIOError, InterruptedError):
        return NOT_NOW


def receive_soon(
    sock: socket.socket, fd: int, buffer: bytearray | memoryview, patience: float
) -> int:
    """Read what is there or comes soon, asking again and again instead of sleeping until then.

    Interpreted, asking takes as long as being woken: then, this doesn't ask at all.

    Args:
        sock: a socket that nobody closes meanwhile.
        fd: its descriptor.
        buffer: where the bytes go.
        patience: for how long to ask, in seconds; others run meanwhile.

    Returns:
        Number of bytes; 0 at the end of the stream; NOT_NOW when none have come.

    Raises:
        OSError: when the connection is broken.

    """
    return NOT_NOW


def send(sock: socket.socket, fd: int, data: BytesLike) -> int:
    """Write as much of ``data`` as the kernel takes at once.

    Args:
        sock: a non-blocking socket.
        fd: its descriptor.
        data: what is to be written.

    Returns:
        Number of bytes; NOT_NOW when the kernel takes none.

    Raises:
        OSError: when the connection is broken.

    """
    try:
        return sock.send(data)
    except (BlockingIOError, InterruptedError):
        return NOT_NOW


def send_several(sock: socket.socket, fd: int, pieces: list[BytesLike], first: int) -> int:
    """Write as much of ``pieces[first : first + MOST_PLACES]`` as the kernel takes at once.

    Args:
        sock: a non-blocking socket.
        fd: its descriptor.
        pieces: what is to be written.
        first: index of the first piece that is.

    Returns:
        Number of bytes; NOT_NOW when the kernel takes none.

    Raises:
        OSError: when the connection is broken.

    """
    try:
        return sock.sendmsg(pieces[first : first + MOST_PLACES])
    except (BlockingIOError, InterruptedError):
        return NOT_NOW
