"""The server: who is here, what is said, how long a ping takes.

It never waits for a listener: what is said goes to everybody in one ``broadcast``, and a
connection that is read so slowly that megabytes wait for it is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..asyncio.server import Server, ServerConnection, broadcast, serve
from ..exceptions import ConnectionClosed
from ..http11 import Request, Response
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
    Welcome,
    encode,
    parse_request,
)
from .page import page
from .summary import Tally
from .text import clean_name

__all__ = ["Room", "open_room"]

PATH = "/room"
"""Where the WebSocket endpoint is; the page is at the root."""

LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
VIAS = ("browser", "terminal", "task")
JOIN_TIMEOUT = 10.0
"""Seconds that a new connection has to say who it is."""
MAX_MESSAGE = 32 * 1024
"""Bytes of a request; 2 000 characters take at most 24 000 in JSON."""
MAX_WAITING = 4 * 1024 * 1024
"""Bytes that may wait for one who does not read."""
MAX_CONNECTIONS = 256
REMEMBERED = 30
"""Messages that a newcomer is shown."""


@dataclass(eq=False, slots=True)
class Member:
    """Somebody in the room, on a connection of his own."""

    number: int
    name: str
    via: str
    connection: ServerConnection
    rtt: float | None = None
    """The last measured round trip of a ping, in seconds."""

    @property
    def person(self) -> Person:
        rtt = None if self.rtt is None else round(self.rtt * 1000, 3)
        return Person(self.number, self.name, self.via, rtt)


class Room:
    """One room; any number of connections.

    Args:
        ping_every: seconds between two measurements of a member's round trip.
    """

    def __init__(self, ping_every: float = 1.0) -> None:
        self.tally: Tally = Tally()
        self._ping_every = ping_every
        self._members: dict[int, Member] = {}
        self._numbers = itertools.count(1)
        self._said: deque[Said] = deque(maxlen=REMEMBERED)

    def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer HTTP requests on the same port: the page, or nothing; let the endpoint through."""
        path = request.path.partition("?")[0]
        if path == PATH:
            return None
        if path == "/":
            return page()
        return connection.respond(
            404, f"There is nothing here. The page is at /, the room {PATH}\n"
        )

    async def handler(self, connection: ServerConnection) -> None:
        """Serve one connection from its first message to its end."""
        try:
            member = await self._admit(connection)
            pinging = asyncio.create_task(self._measure(member))
            try:
                async for message in connection:
                    self._obey(member, message)
            finally:
                pinging.cancel()
                self._leave(member)
        except ConnectionClosed:
            pass
        except Malformed as exc:
            await connection.close(1008, str(exc))
        except TimeoutError:
            await connection.close(1008, f"no join within {JOIN_TIMEOUT:g} s")

    async def beat(self) -> None:
        """Tell everybody once a second what was measured; runs as long as the server."""
        while True:
            await asyncio.sleep(1)
            members = self._members.values()
            rtts = {str(m.number): m.person.rtt for m in members}
            rate = self.tally.second()
            self._tell(Pulse({n: rtt for n, rtt in rtts.items() if rtt is not None}, rate))

    async def _admit(self, connection: ServerConnection) -> Member:
        async with asyncio.timeout(JOIN_TIMEOUT):
            wish = parse_request(await connection.recv())
        if not isinstance(wish, Join) or wish.via not in VIAS:
            raise Malformed("the first message must be a join")
        name = self._free(clean_name(wish.name))
        member = Member(next(self._numbers), name, wish.via, connection)
        self._tell(Joined(member.person))
        self._members[member.number] = member
        self.tally.entered()
        people = tuple(m.person for m in self._members.values())
        # In the same turn of the loop: nobody can say anything between this picture and the next.
        broadcast([connection], encode(Welcome(member.number, people, tuple(self._said))))
        return member

    def _leave(self, member: Member) -> None:
        del self._members[member.number]
        self.tally.left()
        self._tell(Left(member.number))

    def _obey(self, member: Member, message: str | bytes) -> None:
        wish = parse_request(message)
        if isinstance(wish, Join):
            raise Malformed("joined already")
        if isinstance(wish, Rename):
            member.name = self._free(clean_name(wish.name), member)
            self._tell(Renamed(member.number, member.name))
        else:
            said = Said(member.number, member.name, wish.text, wish.id, round(time.time(), 3))
            self._said.append(said)
            self.tally.received += 1
            self.tally.delivered += self._tell(said)

    def _tell(self, event: Event) -> int:
        """Send an event to everybody; return how many that are."""
        connections = []
        for member in self._members.values():
            transport = member.connection.transport
            if transport.get_write_buffer_size() > MAX_WAITING:
                transport.abort()
            else:
                connections.append(member.connection)
        broadcast(connections, encode(event))
        return len(connections)

    async def _measure(self, member: Member) -> None:
        """Time pings for as long as the connection lasts; any WebSocket client answers them."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                member.rtt = await (await member.connection.ping())
                self.tally.pings.add(member.rtt)
                await asyncio.sleep(self._ping_every)

    def _free(self, name: str, owner: Member | None = None) -> str:
        """Number a name that somebody else has."""
        taken = {m.name for m in self._members.values() if m is not owner}
        numbered = (f"{name} {number}" for number in itertools.count(2))
        return next(n for n in itertools.chain([name], numbered) if n not in taken)


@contextlib.asynccontextmanager
async def open_room(room: Room, host: str, port: int) -> AsyncIterator[str]:
    """Serve a room for the length of a ``with`` block.

    Args:
        room: the room.
        host: the address to listen on.
        port: the port to listen on, 0 for any free one.

    Yields:
        Host and port as they stand in a URL.

    Raises:
        OSError: if the address cannot be listened on.
    """
    server = serve(
        room.handler,
        host,
        port,
        process_request=room.process_request,
        # Browsers keep spare connections on which they ask nothing; the room waits for them to
        # time out when it closes, and somebody who pressed Ctrl-C waits for the room.
        open_timeout=3,
        close_timeout=3,
        max_size=MAX_MESSAGE,
        max_connections=MAX_CONNECTIONS,
        # Other pages that the visitor's browser has open must not listen, not even by way of a
        # name that they point to this machine.
        origins="same-origin",
        hosts=LOOPBACK if host in LOOPBACK or host == "::1" else None,
    )
    async with server as listening:
        beating = asyncio.create_task(room.beat())
        try:
            yield _address(listening)
        finally:
            beating.cancel()
            room.tally.second()


def _address(server: Server) -> str:
    host, port = next(iter(server.sockets)).getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
