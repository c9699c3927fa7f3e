"""Local fakes of services, and a record of what each program said to them.

The fakes stand on the original websockets: what they saw is the word of an independent peer. The
record is compared along with what the program prints, so that a header, a message or a close code
that differs is found even where the program does not show it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

OWN = {
    "connection",
    "date",
    "host",
    "sec-websocket-key",
    "sec-websocket-version",
    "upgrade",
    "user-agent",
}
"""Headers that say nothing about the program, or in which the two packages name themselves."""

PASSING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|127\.0\.0\.1:\d+"
    r"|\b\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|\+00:00)?"
)
"""What is another in each run: identifiers, ports, times."""


def lasting(text: str) -> str:
    """Leave out what is another in each run."""
    return PASSING.sub("…", text)


@dataclass
class Visit:
    """One connection of a program to a service, and what it said on it."""

    connection: Any
    number: int
    """The how manyth of this program it is, from 1."""
    lines: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return urlsplit(self.connection.request.path).path

    @property
    def query(self) -> str:
        return urlsplit(self.connection.request.path).query

    async def recv(self) -> Any:
        """Receive a message and note it."""
        message = await self.connection.recv()
        if isinstance(message, str):
            shown = message
        else:
            shown = f"{len(message)} bytes, {message[:60].hex()}"
        self.lines.append(f"  < {lasting(shown)}")
        return message

    async def send(self, message: Any) -> None:
        await self.connection.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.connection.close(code, reason)

    def __aiter__(self) -> Visit:
        return self

    async def __anext__(self) -> Any:
        from websockets.exceptions import ConnectionClosedOK

        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None


@dataclass
class Record:
    """All that programs said to a service, in the order in which their connections were opened."""

    visits: list[Visit] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def admit(self, connection: Any) -> Visit:
        request = connection.request
        visit = Visit(connection, len(self.visits) + 1, [request.path])
        headers = sorted((name.lower(), value) for name, value in request.headers.raw_items())
        visit.lines += [
            f"  {name}: {lasting(value)}"
            for name, value in headers
            if name not in OWN or (name == "user-agent" and "Python/" not in value)
        ]
        self.visits.append(visit)
        return visit

    def text(self) -> str:
        return "\n".join([*(line for visit in self.visits for line in visit.lines), *self.refused])


Handle = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """How a fake answers: its handler, options for ``serve``, and whether it wants TLS."""

    handle: Handle
    options: dict[str, Any] = field(default_factory=dict)
    tls: bool = False

    def handler(self, record: Record) -> Callable[[Any], Awaitable[None]]:
        from websockets.exceptions import ConnectionClosed

        async def handler(connection: Any) -> None:
            visit = record.admit(connection)
            try:
                await self.handle(visit)
            except ConnectionClosed:
                pass
            await connection.wait_closed()
            visit.lines.append(f"  closed: {connection.close_code} {connection.close_reason!r}")

        return handler

    def process_request(self, record: Record) -> Callable[[Any, Any], Any]:
        def process_request(connection: Any, request: Any) -> Any:
            if "forbidden" in request.path:
                record.refused.append(f"refused {request.path}")
                return connection.respond(403, "no way up\n")
            if "elsewhere" in request.path:
                response = connection.respond(302, "not here\n")
                response.headers["Location"] = "ws://127.0.0.1:1/"
                return response
            return None

        return process_request
