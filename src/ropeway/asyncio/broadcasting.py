"""One message to many connections."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable
from time import monotonic

from .._core.engine import Engine
from .._core.rules import DEFAULT_SLOW_LIMIT, DEFAULT_SLOW_TIMEOUT, SlowConsumer, Slowness
from .._core.shared import SharedMessage
from .._core.states import OPEN
from .._core.writer import Writer
from .._driving.sharing import Failures, may_have, share, slowness_of
from ..typing import DataLike
from .connection import Connection
from .link import Link
from .per_loop import PerLoop
from .transport import StreamTransport

__all__ = ["broadcast"]

# Seconds that a call of broadcast(), or one turn of those that wait, may hold the loop.
SLICE = 0.0005


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
    slow_consumer: SlowConsumer | None = None,
    slow_limit: int = DEFAULT_SLOW_LIMIT,
    slow_timeout: float | None = DEFAULT_SLOW_TIMEOUT,
) -> None:
    """Send a message to many connections, without waiting for any.

    Connections that aren't open are skipped. There is no backpressure: to a peer that doesn't read,
    messages pile up until keepalive finds it dead, unless ``slow_consumer`` says otherwise, here or
    in :func:`serve`.

    Args:
        connections: to whom.
        message: str for a text message, bytes-like for a binary one.
        text: True sends bytes as text, False sends str as binary.
        raise_exceptions: raise failures, instead of logging them as warnings.
        slow_consumer: what to do about peers that don't keep up: "wait" queues the message, "drop"
            leaves it out, "close" closes the connection with code 1013; None for what the
            connection's server says.
        slow_limit: bytes that may wait to be written to a connection.
        slow_timeout: seconds in which a peer has to take something; None for any.

    Raises:
        TypeError: when the message is neither str nor bytes-like.
        ValueError: when what is said of slow consumers is out of its range.
        UnicodeError: when what is to be sent as text can't be UTF-8; nothing is sent.
        ExceptionGroup: with the failures, once all others have been served.

    """
    slowness = slowness_of(slow_consumer, slow_limit, slow_timeout)
    _send(connections, share(message, text), slowness, Failures(raise_exceptions))


def _send(
    connections: Iterable[Connection],
    message: SharedMessage,
    slowness: Slowness | None,
    failures: Failures,
) -> None:
    """Queue the message on all connections, and begin to write."""
    shared: PerLoop | None = None
    broadcasts: Broadcasts | None = None
    waiting: list[Connection] = []
    try:
        for connection in connections:
            protocol = connection.protocol
            if protocol._state is not OPEN:
                continue
            if connection._fragmenting is not None:
                failures.add_fragmented(connection)
                continue
            try:
                if (slowness is not None or protocol.guard is not None) and not may_have(
                    connection, message, slowness, monotonic()
                ):
                    continue
                Engine.send_shared(protocol, message)
            except Exception as exc:
                failures.add(connection, exc)
                continue
            if connection._corked or connection._joining or connection._broadcasting:
                # It is about to be written to; what exceeds its buffer must not pile up first.
                if protocol.writer.size > connection._write_limit and not connection._broadcasting:
                    Link._flush(connection)
                continue
            if broadcasts is None or connection._shared is not shared:
                if broadcasts is not None:
                    broadcasts.add(waiting)
                    waiting = []
                shared = connection._shared
                broadcasts = _broadcasts(shared)
            if broadcasts.writing:
                _write(connection)
                broadcasts.look_at_clock()
            else:
                connection._broadcasting = True
                waiting.append(connection)
    finally:
        if broadcasts is not None:
            broadcasts.add(waiting)
    failures.raise_all()


def _write(connection: Connection) -> None:
    """Write what is to be sent on a connection, which is most often one shared message."""
    connection._broadcasting = False
    try:
        stream = connection._stream_transport
        if stream is not None and not stream._closing:
            data = Writer.take_shared(connection.protocol.writer)
            if data is not None:
                StreamTransport.write(stream, data)
                return
        Link._flush(connection)
    except Exception as exc:
        # It can't get the message, and must not go on as if it had.
        connection._note(exc)
        connection._transport.abort()


class Broadcasts:
    """What of the broadcasts on one loop is still to be written.

    All connections are queued on at once. They are written to for a slice of time, then the loop
    has its turn. What is sent to a connection meanwhile goes out behind, but at once.

    It lives as long as something waits: what the loop has scheduled is what refers to it.

    Invariants: while ``_waiting`` isn't empty, ``_write_some`` is scheduled; it holds no empty
    list; ``writing`` says that time is left in this turn of the loop.
    """

    def __init__(self) -> None:
        # A list for each broadcast, the next connection last. They take turns, so that a room of
        # three need not wait for one of thousands.
        self._waiting: deque[list[Connection]] = deque()
        self._scheduled = False
        self.writing: bool = True
        self._slice_ends = monotonic() + SLICE

    def look_at_clock(self) -> None:
        """Stop writing when the slice is over."""
        if monotonic() > self._slice_ends:
            self.writing = False

    def add(self, waiting: list[Connection]) -> None:
        """Write to these when it is their turn."""
        self.writing = False
        if waiting:
            waiting.reverse()
            self._waiting.append(waiting)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._waiting[0][-1].loop.call_soon(self._write_some)

    def _write_some(self) -> None:
        self._scheduled = False
        slice_ends = monotonic() + SLICE
        waiting = self._waiting
        try:
            while waiting:
                connections = waiting[0]
                connection = connections.pop()
                if not connections:
                    waiting.popleft()
                elif len(waiting) > 1:
                    waiting.rotate(-1)
                _write(connection)
                if monotonic() > slice_ends:
                    break
        finally:
            self._schedule()


def _broadcasts(shared: PerLoop) -> Broadcasts:
    """Give those that are going on on a loop, or begin."""
    broadcasts: Broadcasts | None = None
    if shared.broadcasts is not None:
        broadcasts = shared.broadcasts()
    if broadcasts is None:
        broadcasts = Broadcasts()
        shared.broadcasts = weakref.ref(broadcasts)
    return broadcasts


# It is documented and imported as the server's.
broadcast.__module__ = f"{__package__}.server"
