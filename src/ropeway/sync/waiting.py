"""How a thread waits for a socket: with a time limit, or for room to write."""

from __future__ import annotations

import math
import select
import socket
from time import monotonic

# Without the flag (Windows) a call that would block does: none is made before select() allows it.
DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

NEVER = float("inf")

# What a thread waits for.
MESSAGE, FRAGMENT, OPENING, PONG, LOSS = range(5)

_has_poll = hasattr(select, "poll")


class TimeLimit:
    """How much time is left; for what takes several waits.

    Args:
        seconds: the whole time, None for any.
    """

    def __init__(self, seconds: float | None) -> None:
        self.ends: float = NEVER if seconds is None else monotonic() + seconds

    def left(self) -> float | None:
        """Give the seconds that are left, None for any number; TimeoutError when there are none."""
        if self.ends == NEVER:
            return None
        seconds = self.ends - monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds


def wait_readable(sock: socket.socket, ends: float) -> bool:
    """Wait until there is something to read; False when it is later than ``ends``."""
    return _wait(sock, ends, False)


def wait_writable(sock: socket.socket, ends: float) -> bool:
    """Wait until there is room to write; False when it is later than ``ends``."""
    return _wait(sock, ends, True)


def _wait(sock: socket.socket, ends: float, writing: bool) -> bool:
    seconds = None if ends == NEVER else max(0.0, ends - monotonic())
    if not _has_poll:
        sockets = [sock]
        readable = [] if writing else sockets
        return any(select.select(readable, sockets if writing else [], sockets, seconds))
    poller = select.poll()
    poller.register(sock, select.POLLOUT if writing else select.POLLIN)
    return bool(poller.poll(None if seconds is None else math.ceil(seconds * 1000)))
