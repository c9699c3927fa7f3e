"""Opening handshakes on any front end, of which the test speaks one side by hand."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ..support.fronts import Front, listening
from ..support.http import Asked, Reply
from ..support.names import exceptions
from ..support.rawpeer import RawPeer

DEFAULTS = {"compression": "deflate"}
"""As in a program: what is negotiated is what these tests are about."""

FAILED = "Failed to open a WebSocket connection"


def uri_to(port: Any, path: str = "/", user: str = "") -> str:
    return f"ws://{user}127.0.0.1:{port}{path}"


# The server by hand


@dataclass
class Exchange(Asked):
    """A client's request, and the peer that answers it."""

    peer: Any = None

    async def say(self, *chunks: bytes) -> None:
        await self.peer.send(*chunks)

    async def hold(self) -> None:
        """Wait until the client leaves."""
        with contextlib.suppress(ConnectionError):
            await self.peer.recv_eof()


Script = Callable[[Exchange], Awaitable[None]]
Answer = bytes | Callable[[Exchange], bytes]


class RawServer:
    """A server that sees to one client at a time; ``requests`` keeps what they asked."""

    def __init__(self, front: Front, script: Script, listener: socket.socket) -> None:
        self.requests: list[Exchange] = []
        self.connections = 0
        self.port: int = listener.getsockname()[1]
        self._front = front
        self._script = script
        self._listener = listener
        self._over = False

    def uri(self, path: str = "/", user: str = "") -> str:
        return uri_to(self.port, path, user)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def run(self) -> None:
        calls = self._front.peer.calls
        while True:
            sock = await calls.accept(self._listener)
            if self._over:
                sock.close()
                return
            calls.prepare(sock)
            self.connections += 1
            with sock:
                await self._exchange(self._front.peer(sock, masks=False))

    async def _exchange(self, peer: RawPeer) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            exchange = Exchange(await peer.recv_until(b"\r\n\r\n"), peer=peer)
            self.requests.append(exchange)
            await self._script(exchange)

    def end(self) -> None:
        """Let it return from waiting for a client."""
        self._over = True
        socket.create_connection(("127.0.0.1", self.port)).close()


@contextlib.asynccontextmanager
async def raw_server(front: Front, script: Script | bytes) -> AsyncIterator[RawServer]:
    """Serve a script, or one fixed answer."""
    with listening(front, 0) as listener:
        made = answering(script) if isinstance(script, bytes) else script
        server = RawServer(front, made, listener)
        running = front.start(server.run)
        try:
            yield server
        finally:
            server.end()
            await running.ended()
        await running.result()


def answering(answer: Answer) -> Script:
    """Return a script that writes an answer and ends the connection."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(answer if isinstance(answer, bytes) else answer(exchange))

    return script


def holding(answer: Answer) -> Script:
    """Return a script that writes an answer and waits for the client to leave."""

    async def script(exchange: Exchange) -> None:
        await answering(answer)(exchange)
        await exchange.hold()

    return script


def switching(*lines: str, **options: Any) -> Callable[[Exchange], bytes]:
    return lambda exchange: exchange.switching(*lines, **options)


accepting = holding(switching())
silence = holding(b"")


async def visit(front: Front, uri: str, **options: Any) -> Any:
    """Open a connection, drop it, and return it."""
    async with front.opening(uri, **{**DEFAULTS, **options}) as ws:
        front.abort(ws)
    return ws


async def failure(
    front: Front, uri: str, kind: Any = exceptions.InvalidHandshake, **options: Any
) -> Any:
    """Return the exception with which the opening fails."""
    with pytest.raises(kind) as caught:
        async with front.opening(uri, **{**DEFAULTS, **options}):
            pass
    return caught.value


# The client by hand


async def idle(ws: Any) -> None:
    """Handler: wait until the connection is closed."""
    await ws.wait_closed()


async def never(ws: Any) -> None:
    """Handler of a server that opens nothing."""
    raise AssertionError("the handler was called")


@contextlib.asynccontextmanager
async def knocking(front: Front, port: Any) -> AsyncIterator[RawPeer]:
    """Yield a client that has said nothing."""
    peer = await front.peer.knock(port)
    with peer.sock:
        yield peer


async def rest(peer: RawPeer) -> bytes:
    """Read to the end of the stream, be it a FIN or a reset."""
    with contextlib.suppress(ConnectionError):
        return await peer.recv_eof()
    return bytes(peer.buffer)


async def ask(front: Front, port: Any, *data: bytes) -> Reply:
    """Send a request that will be refused, and return all that comes back."""
    async with knocking(front, port) as peer:
        await peer.send(*data)
        return Reply(await rest(peer))


async def head_of(front: Front, port: Any, *data: bytes) -> Reply:
    """Send a request, and return the head of what comes back."""
    async with knocking(front, port) as peer:
        await peer.send(*data)
        return Reply(await peer.recv_until(b"\r\n\r\n"))


async def opened(front: Front, data: bytes, **options: Any) -> Reply:
    """Return the head with which a server answers this request."""
    async with front.serving(idle, **{**DEFAULTS, **options}) as port:
        return await head_of(front, port, data)


async def refused(front: Front, data: bytes, **options: Any) -> Reply:
    """Return the answer of a server whose handler must not run."""
    async with front.serving(never, **{**DEFAULTS, **options}) as port:
        return await ask(front, port, data)
