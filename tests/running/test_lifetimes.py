"""No connection outlives its use: reference counting alone frees it, however it ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from ropeway.asyncio.client import ClientConnection, connect
from ropeway.exceptions import InvalidHandshake
from ropeway.utils import accept_key

from ..support.loops import Run
from .waiting import until

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Watched:
    """Makes connections, and tells whether they are still there."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[ClientConnection]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> ClientConnection:
        connection = ClientConnection(*args, **kwargs)
        self.made.append(weakref.ref(connection))
        return connection

    def gone(self) -> bool:
        assert self.made, "no connection was made"
        return all(made() is None for made in self.made)


@contextlib.asynccontextmanager
async def listening(peer: Peer) -> AsyncIterator[str]:
    """Listen on loopback, read each request's head and leave the rest to ``peer``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await peer(reader, writer, await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    key = head.partition(b"Sec-WebSocket-Key: ")[2][:24].decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n\x88\x02\x03\xe8"
    )
    await reader.readexactly(8)  # a close frame with a code, masked


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"220 smtp.example\r\n\r\n")
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: bytes) -> None:
    pass


async def keep_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: bytes) -> None:
    await reader.read()


def test_a_connection_that_was_closed(run: Run[Any]) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(accept) as uri:
            async with connect(uri, create_connection=watched, compression=None) as connection:
                await connection.wait_closed()
            del connection
            await until(watched.gone)

    run(main())


def test_connections_of_a_loop(run: Run[Any]) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(accept) as uri:
            async for connection in connect(uri, create_connection=watched):
                await connection.wait_closed()
                del connection
                if len(watched.made) == 3:
                    break
            await until(watched.gone)

    run(main())


@pytest.mark.parametrize("peer", [refuse, babble, hang_up])
def test_a_handshake_that_failed(run: Run[Any], peer: Peer) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(peer) as uri:
            with contextlib.suppress(InvalidHandshake):
                await connect(uri, create_connection=watched)
            await until(watched.gone)

    run(main())


def test_a_handshake_that_failed_while_its_exception_is_looked_at(run: Run[Any]) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(refuse) as uri:
            try:
                await connect(uri, create_connection=watched)
            except InvalidHandshake:
                await until(watched.gone)

    run(main())


def test_an_opening_that_timed_out(run: Run[Any]) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(keep_silent) as uri:
            with contextlib.suppress(TimeoutError):
                await connect(uri, create_connection=watched, open_timeout=0.05)
            await until(watched.gone)

    run(main())


def test_an_opening_that_was_cancelled(run: Run[Any]) -> None:
    watched = Watched()

    async def main() -> None:
        async with listening(keep_silent) as uri:
            opening = asyncio.ensure_future(connect(uri, create_connection=watched).connect())
            await until(lambda: watched.made)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            del opening
            await until(watched.gone)

    run(main())
