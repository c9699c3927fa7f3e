"""What an application is told about a connection before it is accepted."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, unquote

from ..headers import parse_subprotocol
from ..http11 import Request


class Addresses:
    """Who speaks with whom.

    Args:
        transport: that of the connection.
    """

    __slots__ = ("client", "scheme", "server")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.scheme = "ws" if transport.get_extra_info("sslcontext") is None else "wss"
        self.client: tuple[str, int] | None = _host_and_port(transport.get_extra_info("peername"))
        sockname = transport.get_extra_info("sockname")
        self.server: tuple[str, int | None] | None
        if isinstance(sockname, str):  # of a Unix socket
            self.server = (sockname, None)
        else:
            self.server = _host_and_port(sockname)


def _host_and_port(address: Any) -> tuple[str, int] | None:
    if isinstance(address, (tuple, list)):  # of four with IPv6
        return str(address[0]), int(address[1])
    return None


def make_scope(request: Request, addresses: Addresses, root_path: str) -> dict[str, Any]:
    """Make the scope of a connection (ASGI, WebSocket), without what the server adds.

    Args:
        request: handshake request.
        addresses: who speaks with whom.
        root_path: where the application is mounted.

    """
    raw_path, _, query = request.path.partition("?")
    return {
        "type": "websocket",
        "http_version": "1.1",
        "scheme": addresses.scheme,
        "server": addresses.server,
        "client": addresses.client,
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": root_path.encode("ascii") + raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.raw_items()
        ],
        "subprotocols": [
            subprotocol
            for value in request.headers.get_all("Sec-WebSocket-Protocol")
            for subprotocol in parse_subprotocol(value)
        ],
        "extensions": {"websocket.http.response": {}},
    }


def name_of(client: tuple[str, int] | None) -> str:
    """Name a client for logs."""
    return f"{client[0]}:{client[1]}" if client else ""


def line_of(scope: dict[str, Any]) -> str:
    """Give path and query for logs."""
    path = quote(scope["path"])
    query = scope["query_string"]
    return f"{path}?{query.decode('ascii')}" if query else path
