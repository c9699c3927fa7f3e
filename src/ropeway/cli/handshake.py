"""The opening handshake as it may be shown: without what authenticates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .text import printable

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection
    from ..datastructures import Headers

__all__ = ["exchange"]

SECRET = frozenset(
    ("authorization", "cookie", "proxy-authorization", "set-cookie", "sec-websocket-key")
)


def exchange(connection: ClientConnection) -> Iterator[str]:
    """Yield the request and the response, a printable line each."""
    request, response = connection.request, connection.response
    assert request is not None and response is not None
    yield printable(f"> GET {request.path} HTTP/1.1")
    yield from _headers(request.headers, "> ")
    yield printable(f"< HTTP/1.1 {response.status_code} {response.reason_phrase}")
    yield from _headers(response.headers, "< ")


def _headers(headers: Headers, mark: str) -> Iterator[str]:
    for name, value in headers.raw_items():
        if name.lower() in SECRET:
            value = "***"
        yield printable(f"{mark}{name}: {value}")
