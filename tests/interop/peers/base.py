"""What the interoperability tests ask of a peer, whatever library it is made of.

A peer plays one end of a connection whose other end is under test. It does as it is told, frame by
frame where its library can, and reports what it saw.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..authority import Credentials

Message = str | bytes


@dataclass(frozen=True)
class Deflate:
    """The permessage-deflate parameters that one end asks for (RFC 7692 section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | bool | None = None


@dataclass(frozen=True)
class PeerOptions:
    """How a peer opens its end."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to its request or response."""
    subprotocols: Sequence[str] = ()
    deflate: Deflate | None = None
    max_size: int = 4 * 1024 * 1024
    tls: Credentials | None = None
    refuse: int | None = None
    """Status with which a server refuses every handshake."""

    def where(self, port: int | None, unix: str | None) -> Where:
        """Where a server with these options is reached, given what it is bound to."""
        scheme = "wss" if self.tls else "ws"
        return Where(f"{scheme}://localhost/" if unix else f"{scheme}://127.0.0.1:{port}/", unix)


@dataclass(frozen=True)
class Where:
    """Where a server is reached."""

    url: str
    unix: str | None = None

    def at(self, target: str) -> Where:
        """The same server, and a path and query below its root."""
        return Where(self.url + target, self.unix)


class PeerClosedError(Exception):
    """The connection ended while the peer waited for a message."""


class PeerRefusedError(Exception):
    """The server under test refused the peer's handshake."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class PeerDistrustsError(Exception):
    """The certificate of the server under test did not convince the peer."""


class PeerConnection(abc.ABC):
    """A peer's end of an open connection."""

    target: str
    """Path and query of the request, as the server's end saw it; empty on a client's end."""
    headers: Mapping[str, str]
    """What the other end sent in its request or response, by lower-case name."""
    subprotocol: str | None

    @abc.abstractmethod
    async def send(self, message: Message) -> None: ...

    async def send_fragments(self, fragments: Sequence[Message], *, ping: bytes = b"") -> None:
        """Send one message in so many frames, with a ping before the last one if asked."""
        raise NotImplementedError

    async def send_empty_close(self) -> None:
        """Start the closing handshake with a close frame that has no code."""
        raise NotImplementedError

    @abc.abstractmethod
    async def recv(self) -> Message: ...

    @abc.abstractmethod
    async def ping(self, payload: bytes) -> None:
        """Send a ping and wait for the pong with the same payload."""

    @abc.abstractmethod
    async def close(self, code: int, reason: str) -> None:
        """Start the closing handshake and see it through."""

    @abc.abstractmethod
    async def closed(self) -> tuple[int, str]:
        """Wait for the end of the connection; return the code and reason that came, or 1006."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Drop the TCP connection without a closing handshake."""


class Accepting:
    """A listening peer."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.connections: asyncio.Queue[PeerConnection] = asyncio.Queue()


class Peer(abc.ABC):
    """A library to interoperate with, in both roles."""

    name: str

    @abc.abstractmethod
    def connect(
        self, where: Where, options: PeerOptions
    ) -> contextlib.AbstractAsyncContextManager[PeerConnection]: ...

    @abc.abstractmethod
    def serve(
        self, unix: str | None, options: PeerOptions
    ) -> contextlib.AbstractAsyncContextManager[Accepting]: ...


class Mailbox:
    """What a peer's reading task has received: messages, pongs that are waited for, the end."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def message(self, message: Message) -> None:
        self._messages.put_nowait(message)

    def pong(self, payload: bytes) -> None:
        if waiter := self._pongs.pop(payload, None):
            waiter.set_result(None)

    def end(self, code: int, reason: str) -> None:
        if self._end.done():
            return
        self._end.set_result((code, reason))
        self._messages.put_nowait(None)
        for waiter in self._pongs.values():
            waiter.set_exception(PeerClosedError(code, reason))
        self._pongs.clear()

    async def next_message(self) -> Message:
        message = await self._messages.get()
        if message is None:
            raise PeerClosedError(*self._end.result())
        return message

    async def pong_after(self, payload: bytes, send: Callable[[], Awaitable[object]]) -> None:
        waiter = self._pongs[payload] = asyncio.get_running_loop().create_future()
        await send()
        await waiter

    async def ended(self) -> tuple[int, str]:
        return await asyncio.shield(self._end)


@contextlib.asynccontextmanager
async def reading(loop_body: Awaitable[None]) -> AsyncIterator[None]:
    """Run a peer's reading task as long as its connection is in use."""
    task = asyncio.ensure_future(loop_body)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
