"""The client: one stay in a room, and the round trips of what is said."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from ..asyncio.client import ClientConnection, connect
from ..exceptions import ConnectionClosed
from .messages import (
    Event,
    Join,
    Joined,
    Left,
    Malformed,
    Person,
    Pulse,
    Rename,
    Renamed,
    Said,
    Say,
    Welcome,
    encode,
    parse_event,
)
from .summary import Samples

__all__ = ["Listener", "Visit", "endpoint", "visit"]

Listener = Callable[["Visit", Event, float | None], None]


class Visit:
    """A stay in a room.

    Args:
        connection: an open connection on which :class:`Join` was sent.
        welcome: the room's answer.
        listener: called with the visit, every later event just before ``people`` is brought up to
            date, and the round trip in seconds where the event echoes what this client said.
    """

    def __init__(
        self,
        connection: ClientConnection,
        welcome: Welcome,
        listener: Listener,
    ) -> None:
        self.you: int = welcome.you
        self.people: dict[int, Person] = {person.member: person for person in welcome.people}
        self.trips: Samples = Samples()
        self._connection = connection
        self._listener = listener
        self._ids = itertools.count()
        self._waiting: dict[int, tuple[float, asyncio.Future[float | None]]] = {}
        self.ended: asyncio.Task[None] = asyncio.create_task(self._listen())
        """Done when the connection is; raises what ended it, unless that was a normal closure."""

    @property
    def name(self) -> str:
        """What the room calls this client now."""
        return self.people[self.you].name

    async def say(self, text: str) -> asyncio.Future[float | None]:
        """Say something to everybody.

        Args:
            text: at most 2 000 characters.

        Returns:
            A future of the round trip in seconds, from here to the room and back, all included; of
            None if the connection ends before.

        Raises:
            ConnectionClosed: if the room is gone.
        """
        number = next(self._ids)
        echo: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = time.perf_counter(), echo
        try:
            await self._connection.send(encode(Say(text, number)))
        except BaseException:
            del self._waiting[number]
            raise
        return echo

    async def rename(self, name: str) -> None:
        """Ask for another name; the room answers with :class:`Renamed` to everybody."""
        await self._connection.send(encode(Rename(name)))

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                event = parse_event(message)
                self._listener(self, event, self._stop_watch(event))
                self._note(event)
        finally:
            for _, echo in self._waiting.values():
                if not echo.done():
                    echo.set_result(None)

    def _stop_watch(self, event: Event) -> float | None:
        """Return the round trip of an echo, and give it to whoever waits for it."""
        if not isinstance(event, Said) or event.member != self.you:
            return None
        since, echo = self._waiting.pop(event.id, (None, None))
        if since is None or echo is None:
            return None
        trip = time.perf_counter() - since
        self.trips.add(trip)
        if not echo.done():
            echo.set_result(trip)
        return trip

    def _note(self, event: Event) -> None:
        """Bring the picture up to date."""
        match event:
            case Joined(person):
                self.people[person.member] = person
            case Left(member):
                self.people.pop(member, None)
            case Renamed(member, name) if member in self.people:
                known = self.people[member]
                self.people[member] = Person(member, name, known.via, known.rtt)
            case Pulse(rtts):
                for member, known in self.people.items():
                    rtt = rtts.get(str(member), known.rtt)
                    self.people[member] = Person(member, known.name, known.via, rtt)


@contextlib.asynccontextmanager
async def visit(uri: str, name: str, via: str, listener: Listener) -> AsyncIterator[Visit]:
    """Join a room for the length of a ``with`` block.

    Args:
        uri: where the room is, see :func:`endpoint`.
        name: what to be called; the room may number it.
        via: "terminal" or "task".
        listener: see :class:`Visit`.

    Yields:
        The visit, welcomed.

    Raises:
        OSError: if there is no connection.
        WebSocketException: if there is no WebSocket, or the room closes it.
        Malformed: if what answers is not a room.
        TimeoutError: if it does not answer within 10 s.
    """
    # A proxy has no way to an address of this machine.
    proxy: Literal[True] | None = None if _is_loopback(uri) else True
    async with connect(uri, proxy=proxy) as connection:
        await connection.send(encode(Join(name, via)))
        async with asyncio.timeout(10):
            welcome = parse_event(await connection.recv())
        if not isinstance(welcome, Welcome):
            raise Malformed("the first event must be a welcome")
        here = Visit(connection, welcome, listener)
        try:
            yield here
        finally:
            await connection.close()
            with contextlib.suppress(ConnectionClosed, Malformed):
                await here.ended


def endpoint(uri: str) -> str:
    """Turn the address of the page, as it stands in a browser, into that of its room.

    Args:
        uri: ``ws``, ``wss``, ``http`` or ``https``.

    Returns:
        A WebSocket URI.
    """
    parts = urlsplit(uri)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = "/room" if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def _is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
