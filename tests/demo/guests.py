"""Clients of the room that say exactly what a test wants, and keep what they hear."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import ropeway
from ropeway.demo.messages import Event, parse_event
from ropeway.demo.room import Room, open_room


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[Room, str]]:
    """Yield a room and the host and port where it is."""
    room = Room(**options)
    async with open_room(room, "127.0.0.1", 0) as address:
        yield room, address


class Guest:
    """A connection to the room."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def send(self, **fields: Any) -> None:
        await self.connection.send(json.dumps(fields))

    async def hear(self, *kinds: type[Event]) -> Any:
        """Wait for an event of one of these kinds; overhear all others."""
        while True:
            event = parse_event(await self.connection.recv())
            if isinstance(event, kinds):
                return event


@contextlib.asynccontextmanager
async def guest(address: str, name: str | None = None, **options: Any) -> AsyncIterator[Guest]:
    """Connect; say a name, if there is one, and leave the answer to be heard."""
    async with ropeway.connect(f"ws://{address}/room", proxy=None, **options) as connection:
        here = Guest(connection)
        if name is not None:
            await here.send(type="join", name=name, via="task")
        yield here
