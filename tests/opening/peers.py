"""Clients and servers that speak HTTP by hand on asyncio, to say what no library would say."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..support.http import Asked, Reply

PATIENCE = 60
"""Seconds after which a peer that waits in vain fails its test."""


# A server by hand


@dataclass
class Exchange(Asked):
    """One client's request, and the stream on which to answer it."""

    reader: Any = None
    writer: Any = None

    async def hold(self) -> bytes:
        """Wait until the client ends the connection; return what it sent before that."""
        return await self.reader.read()


Script = Callable[[Exchange], Awaitable[None]]


class RawServer:
    """A server that runs ``script`` on each request; ``requests`` keeps their heads."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Exchange] = []
        self.failures: list[BaseException] = []
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def uri(self, path: str = "/", scheme: str = "ws", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._exchange(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step runs no finally of its own.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                head = await reader.readuntil(b"\r\n\r\n")
                exchange = Exchange(head, reader=reader, writer=writer)
                self.requests.append(exchange)
                await self.script(exchange)
        except Exception as failure:
            self.failures.append(failure)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def close(self) -> None:
        # A connection that the kernel has accepted may still be on its way through the loop.
        for _ in range(5):
            await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        if self.failures:
            raise ExceptionGroup("a raw server's script failed", self.failures)


@contextlib.asynccontextmanager
async def raw_server(
    script: Script | bytes, *, tls: ssl.SSLContext | None = None, path: str | None = None
) -> AsyncIterator[RawServer]:
    """Serve a script, or one fixed answer, on 127.0.0.1 or on a Unix socket at ``path``."""
    server = RawServer(answering(script) if isinstance(script, bytes) else script)
    if path is not None:
        listening = await asyncio.start_unix_server(server.accept, path, ssl=tls)
    else:
        listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
        server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.close()


def answering(answer: bytes | Callable[[Exchange], bytes]) -> Script:
    """Return a script that writes an answer and ends the connection."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(answer if isinstance(answer, bytes) else answer(exchange))
        await exchange.writer.drain()

    return script


async def accepting(exchange: Exchange) -> None:
    """Script: complete the handshake and wait for the client to leave."""
    exchange.writer.write(exchange.switching())
    await exchange.hold()


async def silence(exchange: Exchange) -> None:
    """Script: never answer."""
    await exchange.hold()


# A client by hand


class RawClient:
    """One TCP, TLS or Unix connection to the server under test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Reply:
        """Read the head of a response, and nothing behind it."""
        async with asyncio.timeout(PATIENCE):
            return Reply(await self.reader.readuntil(b"\r\n\r\n"))

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read to the end of the stream, be it a FIN or a reset."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    received += data
        return bytes(received)

    async def reply(self) -> Reply:
        """Read a whole response to the end of the stream."""
        return Reply(await self.rest())


@contextlib.asynccontextmanager
async def raw_client(
    port: int = 0, *, tls: ssl.SSLContext | None = None, path: str | None = None, **options: Any
) -> AsyncIterator[RawClient]:
    if path is not None:
        reader, writer = await asyncio.open_unix_connection(path, ssl=tls, **options)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, **options)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


async def ask(port: int, data: bytes) -> Reply:
    """Send bytes to a server that will refuse them, and return all that comes back."""
    async with raw_client(port) as client:
        await client.send(data)
        return await client.reply()


async def in_pieces(writer: asyncio.StreamWriter, *pieces: bytes) -> None:
    """Write each piece in a packet of its own, letting the other end read in between."""
    for piece in pieces:
        if piece:
            writer.write(piece)
            await writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)
