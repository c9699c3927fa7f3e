"""What a connection tells about itself, whichever driver it lives on."""

from __future__ import annotations

import uuid
import warnings

from .._core.states import State
from .._core.stats import Stats
from ..http11 import Request, Response
from ..protocol import Protocol
from ..typing import BytesLike, DataLike, LoggerLike, Subprotocol

__all__ = ["Attributes", "control_payload", "size_of"]


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
    def logger(self) -> LoggerLike:
        """Where facts are logged, with the connection as ``websocket``."""
        return self.protocol.logger

    @logger.setter
    def logger(self, logger: LoggerLike) -> None:
        self.protocol.logger = logger

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


def control_payload(data: DataLike) -> bytes:
    """Give the payload of a ping or pong as bytes; TypeError when it can't be one."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, BytesLike):
        return bytes(data)
    raise TypeError("data must be str or bytes-like")


def size_of(message: DataLike) -> int:
    """Tell how many bytes a message has, as it goes out uncompressed."""
    if isinstance(message, str):
        return len(message) if message.isascii() else len(message.encode(errors="replace"))
    return memoryview(message).nbytes


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)
