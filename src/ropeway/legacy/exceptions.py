"""Exceptions that only the legacy API raises, or takes from its subclasses."""

from __future__ import annotations

from ..datastructures import Headers, HeadersLike
from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidUpgrade,
    NegotiationError,
    SecurityError,
)
from ..exceptions import ProtocolError as WebSocketProtocolError
from ..typing import StatusLike

__all__ = [
    "AbortHandshake",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidStatusCode",
    "InvalidUpgrade",
    "NegotiationError",
    "RedirectHandshake",
    "SecurityError",
    "WebSocketProtocolError",
]


class InvalidStatusCode(InvalidHandshake):
    """Raised when a server doesn't answer the handshake with 101; now ``InvalidStatus``.

    Args:
        status_code: status code of the response.
        headers: headers of the response.
    """

    def __init__(self, status_code: int, headers: Headers) -> None:
        self.status_code = status_code
        self.headers = headers

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.status_code}"


class AbortHandshake(InvalidHandshake):
    """Raised by a server's hooks to answer a handshake with a plain HTTP response.

    Args:
        status: status code of the response.
        headers: its headers, to which those that HTTP demands are added.
        body: its body.
    """

    def __init__(self, status: StatusLike, headers: HeadersLike, body: bytes = b"") -> None:
        self.status = status
        self.headers: Headers = Headers(headers)
        self.body = body

    def __str__(self) -> str:
        return f"HTTP {self.status:d}, {len(self.headers)} headers, {len(self.body)} bytes"


class RedirectHandshake(InvalidHandshake):
    """Raised by a client's ``handshake`` to connect to another URI instead.

    Args:
        uri: where to connect.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __str__(self) -> str:
        return f"redirect to {self.uri}"
