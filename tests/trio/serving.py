"""Running tests in trio, and servers and connections for them."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio
import trio.testing

from ropeway.trio.client import ClientConnection, connect
from ropeway.trio.server import Server, ServerConnection, serve

from ..support.deadlines import DEADLINE

DEFAULTS: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 5}


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a coroutine function; no task may be left of it."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        async def main() -> None:
            before = trio.lowlevel.current_statistics().tasks_living
            with trio.fail_after(DEADLINE):
                await test(*arguments, **options)
                await trio.testing.wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living == before

        trio.run(main)

    return run


def with_mock_clock(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a coroutine function, in which time passes when nothing else happens."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        async def main() -> None:
            await test(*arguments, **options)

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    return run


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def uri(server: Server, scheme: str = "ws", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{server.listeners[0].socket.getsockname()[1]}/"


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[Any], Awaitable[None]] = echo, **options: Any
) -> AsyncIterator[Server]:
    """Serve in a nursery, which is empty at the end."""
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            functools.partial(serve, handler, 0, host="127.0.0.1", **{**DEFAULTS, **options})
        )
        try:
            yield server
        finally:
            with trio.move_on_after(math.inf, shield=True):
                await server.aclose()


def connecting(server: Server, **options: Any) -> connect:
    return connect(uri(server), **{"proxy": None, **DEFAULTS, **options})


class Handed:
    """A handler that hands its connection to the test, and lives as long as that says."""

    def __init__(self) -> None:
        self._give, self._take = trio.open_memory_channel[ServerConnection](math.inf)
        self.over = trio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        await self._give.send(connection)
        await self.over.wait()

    async def get(self) -> ServerConnection:
        return await self._take.receive()


@contextlib.asynccontextmanager
async def pair(
    *, server: dict[str, Any] | None = None, client: dict[str, Any] | None = None
) -> AsyncIterator[tuple[ClientConnection, ServerConnection]]:
    """Yield both ends of a connection; the server's handler does nothing."""
    handed = Handed()
    async with serving(handed, **(server or {})) as listening:
        try:
            async with connecting(listening, **(client or {})) as near:
                far = await handed.get()
                try:
                    yield near, far
                finally:
                    handed.over.set()
        finally:
            handed.over.set()
