"""What a connection tells about itself, whichever driver it lives on."""

from __future__ import annotations

import uuid
import warnings
from typing import Any

from .._core.inbox import Inbox
from .._core.states import State
from .._core.stats import Stats
from ..http11 import Request, Response
from ..protocol import Protocol
from ..typing import BytesLike, DataLike, LoggerLike, Subprotocol
from .terms import Terms

__all__ = ["Attributes", "control_payload", "set_up"]


class Attributes:
    """The attributes of every driver's ``Connection`` that are read from its ``protocol``."""

    __slots__ = ()

    protocol: Protocol
    request: Request | None
    response: Response | None

    @property
    def id(self) -> uuid.UUID:
        """Unique identifier of the connection, for logs."""
        return self.protocol.id

    @property
    def state(self) -> State:
        """State of the connection; rather than look at it, handle ConnectionClosed."""
        return self.protocol.state

    @property
    def subprotocol(self) -> Subprotocol | None:
        """Subprotocol that was negotiated, if any."""
        return self.protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """Close code from the peer; 1006 without one; None until the connection is closed."""
        return self.protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """Close reason from the peer; empty without one; None until the connection is closed."""
        return self.protocol.close_reason

    @property
    def latency(self) -> float:
        """Latest measured round-trip time, in seconds; 0.0 before the first measurement."""
        return self.protocol.keepalive.latency

    @property
    def stats(self) -> Stats:
        """Snapshot of what was counted on this connection; counting is free."""
        return self.protocol.stats()

    @property
    def closed(self) -> bool:
        """Whether the connection is closed; deprecated, use ``state``."""
        _warn("connection.closed is deprecated; use connection.state is State.CLOSED")
        return self.protocol.state is State.CLOSED

    @property
    def open(self) -> bool:
        """Whether the connection is open; deprecated, use ``state``."""
        _warn("connection.open is deprecated; use connection.state is State.OPEN")
        return self.protocol.state is State.OPEN


def set_up(
    connection: Any,
    protocol: Protocol,
    *,
    ping_interval: float | None,
    ping_timeout: float | None,
    close_timeout: float | None,
    max_queue: int | tuple[int | None, int | None] | None,
) -> tuple[LoggerLike, Inbox]:
    """Prepare ``protocol`` for a driver's connection.

    Args:
        connection: is named in log records, as ``websocket``; only referenced weakly.
        protocol: the engine; it gets the logger, the inbox and the timeouts.
        ping_interval: seconds between keepalive pings.
        ping_timeout: seconds of silence after a ping that fail the connection.
        close_timeout: seconds that the closing handshake may take.
        max_queue: marks of the receive queue, in frames.

    Returns:
        The connection's logger and its receive queue.

    """
    terms = Terms(ping_interval, ping_timeout, close_timeout, max_queue)
    inbox = terms.apply(connection, protocol)
    return protocol.logger, inbox


def control_payload(data: DataLike) -> bytes:
    """Give the payload of a ping or pong as bytes; TypeError when it can't be one."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, BytesLike):
        return bytes(data)
    raise TypeError("data must be str or bytes-like")


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)
