"""Open connections for the contract tests: against a raw peer, or between both ends under test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from .drivers import connect, serve
from .rawpeer import RawPeer
from .subject import State

both_roles = pytest.mark.parametrize("role", ["client", "server"])

DEFAULTS: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 5}
"""A test that is about compression, keepalive or the close timeout sets its own."""


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


def port_of(server: Any) -> int:
    return next(iter(server.sockets)).getsockname()[1]


@contextlib.asynccontextmanager
async def serving(handler: Callable[[Any], Awaitable[None]], **options: Any) -> AsyncIterator[Any]:
    async with serve(handler, "127.0.0.1", 0, **{**DEFAULTS, **options}) as server:
        yield server


def connecting(port: int, **options: Any) -> Any:
    origin = f"wss://localhost:{port}" if "ssl" in options else f"ws://127.0.0.1:{port}"
    return connect(f"{origin}/", **{"proxy": None, **DEFAULTS, **options})


class Handed:
    """A server handler that hands its connection to the test and lives as long as the test."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Any] = asyncio.Queue()
        self.over = asyncio.Event()

    async def __call__(self, connection: Any) -> None:
        self.connections.put_nowait(connection)
        await self.over.wait()


@contextlib.asynccontextmanager
async def against_raw(
    role: str,
    *,
    headers: str = "",
    early: bytes = b"",
    receive_buffer: int = 0,
    **options: Any,
) -> AsyncIterator[tuple[Any, RawPeer]]:
    """Yield the connection under test, which plays ``role``, and its raw peer.

    ``headers`` are added to the raw peer's request or response, ``early`` bytes follow it in the
    same packet; ``receive_buffer`` limits what its kernel takes in while it does not read.
    """
    options = {**DEFAULTS, **options}
    if role == "client":
        with listen() as listener:
            if receive_buffer:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            port = listener.getsockname()[1]
            accepting = asyncio.create_task(RawPeer.accept(listener, headers=headers, early=early))
            connection = await connecting(port, **options)
            raw = await accepting
        try:
            yield connection, raw
        finally:
            await discard(connection, raw)
    else:
        handed = Handed()
        async with serving(handed, **options) as server:
            raw = await RawPeer.open(
                port_of(server), headers=headers, early=early, receive_buffer=receive_buffer
            )
            connection = await handed.connections.get()
            try:
                yield connection, raw
            finally:
                await discard(connection, raw)
                handed.over.set()


async def discard(connection: Any, raw: RawPeer) -> None:
    raw.close()
    # asyncio's transport can't be aborted any more once its close() has flushed what it held.
    if connection.state is not State.CLOSED:
        connection.transport.abort()
    await connection.wait_closed()


@contextlib.asynccontextmanager
async def pair(
    *, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a client and a server connection, both under test, that talk to each other."""
    handed = Handed()
    async with serving(handed, **options, **(server or {})) as listening:
        async with connecting(port_of(listening), **options, **(client or {})) as near:
            far = await handed.connections.get()
            try:
                yield near, far
            finally:
                handed.over.set()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until a condition holds that nothing announces."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def settle(turns: int = 5) -> None:
    """Let what is ready on the loop run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def fill(ws: Any, size: int = 1 << 16) -> tuple[int, asyncio.Task[None]]:
    """Send to a peer that does not read until a send waits.

    Return the number of messages that went out before, and the task of the send that waits.
    """
    count = 0
    while True:
        sending = asyncio.create_task(ws.send(bytes(size)))
        await settle()
        buffered = polls = 0
        # The kernels take what they can while the loop polls; after that, nothing changes any more.
        while not sending.done() and polls < 20:
            await asyncio.sleep(0.005)
            now = ws.transport.get_write_buffer_size()
            polls = polls + 1 if now == buffered else 0
            buffered = now
        if not sending.done():
            return count, sending
        await sending
        count += 1
