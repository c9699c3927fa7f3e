"""Handlers and shorthands for tests of the server's side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ..support.endpoints import port_of
from ..support.subject import connect, serve

__all__ = ["Visits", "echo", "idle", "port_of", "serving", "visiting"]

DEFAULTS: dict[str, Any] = {"ping_interval": None, "close_timeout": 5}


async def idle(connection: Any) -> None:
    """Handler: wait until the connection is closed."""
    await connection.wait_closed()


async def echo(connection: Any) -> None:
    """Handler: send every message back."""
    async for message in connection:
        await connection.send(message)


class Visits:
    """Handler that keeps its connections and ends when they are closed."""

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self.arrived = asyncio.Event()

    async def __call__(self, connection: Any) -> None:
        self.connections.append(connection)
        self.arrived.set()
        await connection.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[Any], Awaitable[None]] = idle, **options: Any
) -> AsyncIterator[Any]:
    """Serve on 127.0.0.1; leaving closes the server and waits for all of it."""
    async with serve(handler, "127.0.0.1", 0, **{**DEFAULTS, **options}) as server:
        yield server


def visiting(server: Any, path: str = "/", **options: Any) -> Any:
    """Connect to a server without keepalive."""
    return connect(f"ws://127.0.0.1:{port_of(server)}{path}", **{**DEFAULTS, **options})
