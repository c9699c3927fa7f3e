"""What a client and a server of the soak say to each other, and how each finds what went wrong.

A message is its number on the connection, and filling. Who closes says in the reason how many
messages it sent, so that the other end knows whether it has them all.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
from typing import Any

from ropeway.exceptions import ConnectionClosed

GOODBYE = "goodbye"
FILLING = "".join(chr(0x20 + index * 7 % 0x5F) for index in range(100_000))

Counts = collections.Counter[str]


def message(number: int, rng: random.Random) -> str | bytes:
    """Make a message of some size and kind."""
    size = rng.choice((0, 10, 60, 200, 2000))
    if rng.random() < 0.002:
        size = 90_000
    text = f"{number}:{FILLING[:size]}"
    return text.encode() if number % 2 else text


def number_in(received: str | bytes) -> int:
    """Read a message's number; -1 where it isn't as it was made."""
    text = received.decode() if isinstance(received, bytes) else received
    digits, _, filling = text.partition(":")
    if isinstance(received, bytes) != bool(int(digits) % 2) or filling != FILLING[: len(filling)]:
        return -1
    return int(digits)


async def serve(ws: Any, counts: Counts) -> None:
    """Echo, and check that the messages are there, each once and in order."""
    received = sent = 0
    counts["connections"] += 1
    with contextlib.suppress(ConnectionClosed):
        async for incoming in ws:
            if incoming == GOODBYE:
                await ws.close(1012, str(sent))
                continue
            if number_in(incoming) != received:
                counts["WRONG: out of order at the server"] += 1
            received += 1
            counts["messages"] += 1
            with contextlib.suppress(ConnectionClosed):
                await ws.send(incoming)
                sent += 1
    if ws.close_code == 1000 and int(ws.close_reason) != received:
        counts["WRONG: lost on the way to the server"] += 1
    if ws.close_code not in (1000, 1006, 1012):
        counts[f"closed with {ws.close_code}"] += 1


class Client:
    """One connection's client, from its opening to one of the ways to end it."""

    def __init__(self, ws: Any, counts: Counts, rng: random.Random) -> None:
        self.ws = ws
        self.counts = counts
        self.rng = rng
        self.sent = 0
        self.received = 0

    async def talk(self, seconds: float, pause: float, stopping: asyncio.Event) -> None:
        """Send bursts and check their echoes, then end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            await self.send(self.rng.randrange(1, 20))
            await self.receive_all()
            rest = min(self.rng.expovariate(1 / pause), until - loop.time())
            if rest <= 0 or stopping.is_set():
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), rest)
        ways = (self.close, self.be_closed, self.abort, self.break_off)
        way = ways[0] if stopping.is_set() else self.rng.choices(ways, (6, 3, 2, 1))[0]
        self.counts[way.__name__] += 1
        await way()

    async def send(self, count: int) -> None:
        for _ in range(count):
            await self.ws.send(message(self.sent, self.rng))
            self.sent += 1

    async def receive_all(self) -> None:
        while self.received < self.sent:
            if self.rng.random() < 0.1:  # a wait that is given up must lose nothing
                try:
                    self.check(await self.ws.recv(timeout=0))
                except TimeoutError:
                    self.counts["waits given up"] += 1
            else:
                self.check(await self.ws.recv())

    def check(self, echo: str | bytes) -> None:
        if number_in(echo) != self.received:
            self.counts["WRONG: out of order at the client"] += 1
        self.received += 1
        self.counts["echoes"] += 1

    async def close(self) -> None:
        """Close behind messages that nobody has answered yet."""
        await self.send(self.rng.randrange(0, 10))
        await self.ws.close(1000, str(self.sent))
        await self.receive_rest()

    async def be_closed(self) -> None:
        """Let the server close behind its answers."""
        await self.send(self.rng.randrange(0, 10))
        await self.ws.send(GOODBYE)
        await self.receive_rest()
        if self.ws.close_code == 1012 and int(self.ws.close_reason) != self.received:
            self.counts["WRONG: lost on the way to the client"] += 1

    async def receive_rest(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.check(await self.ws.recv())

    async def abort(self) -> None:
        """Reset TCP behind messages."""
        await self.send(self.rng.randrange(0, 10))
        self.ws.transport.abort()

    async def break_off(self) -> None:
        """Reset TCP inside a frame."""
        self.ws.transport.write(b"\x82\xfe\x20\x00mask and some")
        self.ws.transport.abort()
