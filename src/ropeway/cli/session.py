"""One connection after the other to the same server, whoever looks on."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from ..exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from .failures import FAILURES, failure
from .lines import Message
from .target import Target

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection

__all__ = ["Face", "Session", "look_at"]

FIRST_DELAY, LARGEST_DELAY = 1.0, 30.0
"""Seconds between attempts: somebody is waiting, so the first comes soon."""

SETTLING = 5.0
"""Seconds of silence after which no answer is expected any more."""

PATIENCE = 2.0
"""Seconds that closing may take when the command is interrupted."""


class Face(Protocol):
    """Who looks on: shows, or writes down, what happens."""

    async def opened(self, connection: ClientConnection) -> None:
        """The connection is open."""

    async def message(self, message: Message) -> None:
        """A message arrived. Returning late slows the server down."""

    async def sent(self, message: Message) -> None:
        """A message was sent."""

    async def closed(self, connection: ClientConnection, reason: str, code: int) -> None:
        """The connection is closed; ``code`` is what the command would exit with."""

    async def failed(self, reason: str, delay: float | None) -> None:
        """There is no connection; the next attempt comes after ``delay`` seconds, if not None."""


class Session:
    """A connection, or several in turn.

    Args:
        target: the server.
        face: who looks on.
        reconnect: whether to connect again when a connection fails or ends.
        greetings: messages to send first, on every connection.
        count: messages to receive before leaving, None for any number.
    """

    def __init__(
        self,
        target: Target,
        face: Face,
        *,
        reconnect: bool = False,
        greetings: Sequence[str] = (),
        count: int | None = None,
    ) -> None:
        self.target = target
        self.connection: ClientConnection | None = None
        self._face = face
        self._reconnect = reconnect
        self._greetings = greetings
        self._left = count
        self._is_open = asyncio.Event()
        self._leaving = False
        self._received = 0
        self._opened = False
        self._end: ConnectionClosed | None = None

    async def run(self) -> int:
        """Connect, and stay until it is over.

        Returns:
            The exit code.
        """
        try:
            return await self._run()
        finally:
            if self._end is None:
                self._end = ConnectionClosed(None, None)
            self._is_open.set()

    async def _run(self) -> int:
        delays = _delays()
        while True:
            try:
                connection = await self.target.connect()
            except FAILURES as exc:
                reason, code = failure(exc, self.target)
                again = self._reconnect and _is_temporary(exc) and not self._leaving
                delay = next(delays) if again else None
                await self._face.failed(reason, delay)
                if delay is None:
                    return code
                await asyncio.sleep(delay)
                continue
            # What opens and closes at once doesn't count as success.
            received = self._received
            code = await self._converse(connection)
            if self._leaving or not self._reconnect:
                return code
            if self._received > received:
                delays = _delays()
            await asyncio.sleep(next(delays))

    async def _converse(self, connection: ClientConnection) -> int:
        self.connection = connection
        self._opened = True
        try:
            async with connection:
                with contextlib.suppress(ConnectionClosed):
                    await self._face.opened(connection)
                    for greeting in self._greetings:
                        await connection.send(greeting)
                        await self._face.sent(greeting)
                    self._is_open.set()
                    await self._receive(connection)
        finally:
            self._is_open.clear()
            self.connection = None
        self._end = connection.protocol.close_exc
        reason, code = failure(self._end, self.target)
        await self._face.closed(connection, reason, code)
        return code

    async def _receive(self, connection: ClientConnection) -> None:
        if self._left == 0:
            return
        async for message in connection:
            self._received += 1
            await self._face.message(message)
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._leaving = True
                    return

    @property
    def was_open(self) -> bool:
        """Whether there was a connection at all."""
        return self._opened

    async def opened(self) -> ClientConnection:
        """Wait for an open connection.

        Raises:
            ConnectionClosed: when there is to be none any more.
        """
        await self._is_open.wait()
        if self.connection is None:
            assert self._end is not None
            raise self._end
        return self.connection

    async def send(self, message: Message) -> None:
        """Send a message; wait for a connection first, for another one if it is lost meanwhile.

        Raises:
            ConnectionClosed: when the connection is closed, and there is to be no other one.
        """
        while True:
            connection = await self.opened()
            try:
                await connection.send(message)
            except ConnectionClosed:
                if self._leaving or not self._reconnect:
                    raise
                # run() sees the end as well; until then this connection would be given again.
                self._is_open.clear()
            else:
                return

    async def settle(self) -> None:
        """Wait until the server has taken what was sent, and its answers are here.

        A pong comes behind everything that the server sent before it read the ping: once it is
        there, little is on its way that a close frame would cut off. Gives up when nothing arrives
        any more.

        Raises:
            ConnectionClosed: when the connection is closed meanwhile.
        """
        connection = await self.opened()
        pong = asyncio.ensure_future(await connection.ping())
        pong.add_done_callback(look_at)
        while not pong.done():
            received = self._received
            await asyncio.wait({pong}, timeout=SETTLING)
            if received == self._received:
                return
        pong.result()

    async def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection for good."""
        self._leaving = True
        if self.connection is not None:
            await self.connection.close(code, reason)

    async def hurry(self, code: int = 1001) -> None:
        """Close for good, without patience: somebody wants to be gone."""
        connection = self.connection
        self._leaving = True
        if connection is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await connection.close(code)
        except TimeoutError:
            connection.abort()


def look_at(pong: asyncio.Future[float]) -> None:
    """Look at how a ping ended, also when nobody waits for it any more."""
    if not pong.cancelled():
        pong.exception()


def _delays() -> Iterator[float]:
    delay = FIRST_DELAY
    while True:
        # Spread, so that all clients of a server that restarts don't come at once.
        yield delay * random.uniform(0.5, 1.0)
        delay = min(2 * delay, LARGEST_DELAY)


def _is_temporary(exc: BaseException) -> bool:
    """Tell whether trying again makes sense: not when the server is there and says no."""
    import ssl

    if isinstance(exc, ssl.SSLCertVerificationError):
        return False
    if isinstance(exc, InvalidStatus):
        return exc.response.status_code in (429, 500, 502, 503, 504)
    if isinstance(exc, InvalidMessage):
        return isinstance(exc.__cause__, EOFError)
    return isinstance(exc, (OSError, TimeoutError))
