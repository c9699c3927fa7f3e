"""The demo without an audience: tasks and a command line that talk over real sockets, timed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self

from .messages import Event
from .room import Room
from .summary import Row, Samples
from .visit import Visit, visit

__all__ = ["CommandLine", "perform"]

NAMES = ("Ada", "Blaise", "Carla", "Dmitri", "Emmy")
LINES = (
    "Is anybody else on this rope?",
    "I can see you, and I can see how far away you are.",
    "That is 37 bytes of text, masked with care.",
    "Every word of this went through a socket.",
    "Grüße, привет, 你好 — one frame each.",
    "The way back takes as long as the way there.",
    "Nobody pulled the brake so far.",
    "Next stop: the summary.",
)
EXCERPT = 8
"""First lines of the command line client that are shown."""
PAUSE = (0.02, 0.08)
"""Seconds between two messages of somebody who is chatting."""


def _ignore(visit: Visit, event: Event, trip: float | None) -> None:
    """Listen without a face; the visit itself keeps the times."""


class CommandLine:
    """``python -m ropeway.demo join``, in a process of its own, with pipes for a terminal.

    Args:
        uri: the room.
        name: what to be called there.
    """

    def __init__(self, uri: str, name: str) -> None:
        package = __package__ or "ropeway.demo"
        self.command = [sys.executable, "-m", package, "join", uri, "--name", name]
        self._first: list[str] = []
        self._last = ""
        self.count = 0
        """All the lines that it printed."""

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        # Its first line says that it is in the room.
        self._keep(await self._output.readline())
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._input.close()
        try:
            async with asyncio.timeout(10):
                await self._reading
                status = await self._process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise
        if status:
            raise RuntimeError(f"the command line client ended with exit code {status}")

    def excerpt(self) -> list[str]:
        """The first lines that it printed, and the last."""
        return [*self._first, "…", self._last] if self.count > EXCERPT else self._first

    async def type(self, line: str) -> None:
        """Type a line."""
        self._input.write(f"{line}\n".encode())
        await self._input.drain()

    async def _read(self) -> None:
        while line := await self._output.readline():
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        self._last = line.decode().rstrip("\n")
        self.count += 1
        if self.count <= EXCERPT:
            self._first.append(self._last)


async def perform(room: Room, uri: str, seconds: float) -> tuple[list[Row], CommandLine]:
    """Let a crowd join the room and talk: first as people do, then as fast as it goes.

    Args:
        room: the room, to read its counters.
        uri: where it is.
        seconds: how long they talk, in all.

    Returns:
        A row for each of the two ways, and the command line client, which has left.

    Raises:
        OSError: if somebody cannot join.
        WebSocketException: if somebody loses the connection.
        RuntimeError: if the command line client fails.
    """
    async with AsyncExitStack() as stack:
        visits = [
            await stack.enter_async_context(visit(uri, name, "task", _ignore)) for name in NAMES
        ]
        command_line = await stack.enter_async_context(CommandLine(uri, "Shell"))
        chatting = await _phase(
            "chatting", room, seconds * 2 / 3, [_chat(here, PAUSE) for here in visits], command_line
        )
        flat_out = await _phase(
            "flat out", room, seconds / 3, [_chat(here, None) for here in visits], command_line
        )
    return [chatting, flat_out], command_line


Talk = Callable[[float, Samples], Awaitable[None]]


async def _phase(
    name: str, room: Room, seconds: float, talks: list[Talk], command_line: CommandLine
) -> Row:
    trips = Samples()
    before, since = room.tally.received, time.perf_counter()
    await asyncio.gather(
        *(talk(since + seconds, trips) for talk in talks),
        command_line.type(f"Somebody typed this into a shell while they were {name}."),
    )
    took = time.perf_counter() - since
    return Row(f"{name} for {took:.1f} s", (room.tally.received - before) / took, trips)


def _chat(here: Visit, pause: tuple[float, float] | None) -> Talk:
    """Make somebody who waits for the echo of each message, and then for the pause, if any."""

    async def talk(until: float, trips: Samples) -> None:
        while time.perf_counter() < until:
            trip = await (await here.say(random.choice(LINES)))
            if trip is None:
                await here.ended  # raises what ended it
                return
            trips.add(trip)
            if pause is not None:
                await asyncio.sleep(random.uniform(*pause))

    return talk
