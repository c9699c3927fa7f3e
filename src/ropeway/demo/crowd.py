"""The demo without an audience: tasks and a command line that talk over real sockets, timed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

from .messages import Event
from .room import Room
from .summary import Row, Samples
from .visit import Visit, visit

__all__ = ["CommandLine", "command_line_client", "perform"]

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
    """The client of the command line, in a process of its own, with pipes for a terminal."""

    def __init__(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._first: list[str] = []
        self._last = ""
        self.count: int = 0
        """All the lines that it printed."""

    def excerpt(self) -> list[str]:
        """The first lines that it printed, and the last."""
        return [*self._first, "…", self._last] if self.count > EXCERPT else self._first

    async def type(self, line: str) -> None:
        """Type a line."""
        self._stdin.write(f"{line}\n".encode())
        await self._stdin.drain()

    async def read_line(self) -> bool:
        """Take note of a line that it printed; tell whether there was one."""
        if not (line := await self._stdout.readline()):
            return False
        self._last = line.decode().rstrip("\n")
        self.count += 1
        if self.count <= EXCERPT:
            self._first.append(self._last)
        return True

    async def read(self) -> None:
        """Take note of what it prints until it ends."""
        while await self.read_line():
            pass


@contextlib.asynccontextmanager
async def command_line_client(uri: str, name: str) -> AsyncIterator[CommandLine]:
    """Run ``join`` for the length of a ``with`` block.

    Args:
        uri: the room.
        name: what to be called there.

    Yields:
        The client, when it is in the room.

    Raises:
        ChildProcessError: if it fails.
        TimeoutError: if it does not end within 10 s of the end of its input.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __package__ or "ropeway.demo", "join", uri, "--name", name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        start_new_session=True,  # Ctrl-C is for the demo, which ends its client itself
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client = CommandLine(process.stdin, process.stdout)
    try:
        await client.read_line()  # by which it says that it is in the room
        reading = asyncio.create_task(client.read())
        yield client
        process.stdin.close()
        async with asyncio.timeout(10):
            await reading
            status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if status:
        raise ChildProcessError(f"the command line client ended with exit code {status}")


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
        ChildProcessError: if the command line client fails.
    """
    async with AsyncExitStack() as stack:
        visits = [
            await stack.enter_async_context(visit(uri, name, "task", _ignore)) for name in NAMES
        ]
        command_line = await stack.enter_async_context(command_line_client(uri, "Shell"))
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
