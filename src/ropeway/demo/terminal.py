"""The face of a visit on a command line: lines in, events out, commands between.

On a terminal, what arrives is printed above the line that is being typed. In a pipe there is one
plain line an event, so that the room can be used from scripts.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator

from .messages import MAX_TEXT, Event, Joined, Left, Renamed, Said
from .summary import milliseconds
from .text import columns, fold, printable
from .visit import Visit

__all__ = ["Screen", "converse", "is_terminal", "typed_lines"]

PROMPT = "> "
HELP = "/who: who is here   /name NAME: another name   /quit: leave   anything else is said"
ECHO_TIMEOUT = 5.0
"""Seconds that the last echoes may take when the input has ended."""

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
# Keep the cursor's place; make a line above it, at the bottom of the screen, too; write; go back.
_ABOVE, _BACK = "\x1b7\n\x1b[A\x1b[L", "\x1b8\x1b[B"


def is_terminal() -> bool:
    """Tell whether somebody sits at standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


class Screen:
    """Standard output, shared by what arrives and what is typed."""

    def __init__(self) -> None:
        self.editing: bool = is_terminal() and sys.stdout.isatty()

    def show(self, *parts: str, style: str = "", first: str = "") -> None:
        """Print a line of printable text; ``first`` is emphasised before it."""
        text = " ".join(parts)
        if not self.editing:
            print(first + text, flush=True)
            return
        lines = fold(first + text, max(20, shutil.get_terminal_size().columns - 1))
        for number, line in enumerate(lines):
            if number == 0 and first and line.startswith(first):
                line = f"{_BOLD}{first}{_RESET}{style}{line[len(first) :]}"
            sys.stdout.write(f"{_ABOVE}{style}{line}{_RESET}{_BACK}")
        sys.stdout.flush()

    def notice(self, text: str) -> None:
        """Print something that nobody said."""
        self.show(f"* {text}" if text else "", style=_DIM)

    def prompt(self) -> None:
        if self.editing:
            sys.stdout.write(PROMPT)
            sys.stdout.flush()

    def accept(self, line: str) -> None:
        """Take back the line that the terminal echoed: it will come from the room."""
        if self.editing:
            width = shutil.get_terminal_size().columns
            rows = 1 + max(0, columns(PROMPT + printable(line)) - 1) // max(1, width)
            sys.stdout.write(f"\x1b[{rows}A\r\x1b[J")
            sys.stdout.flush()

    def listen(self, visit: Visit, event: Event, trip: float | None) -> None:
        """Show an event; a listener of :class:`Visit`."""
        match event:
            case Said(name=name, text=text):
                timing = "" if trip is None else f"  ({milliseconds(trip)})"
                self.show(f"{printable(text)}{timing}", first=f"{printable(name)}: ")
            case Joined(person):
                self.notice(f"{printable(person.name)} joined ({printable(person.via)})")
            case Left(member) if member in visit.people:
                self.notice(f"{printable(visit.people[member].name)} left")
            case Renamed(member, name) if member in visit.people:
                old = visit.people[member].name
                self.notice(f"{printable(old)} is now {printable(name)}")

    def who(self, visit: Visit) -> None:
        """Show who is here, with the round trip that the room measured."""
        for person in visit.people.values():
            rtt = "" if person.rtt is None else f", {milliseconds(person.rtt / 1000)}"
            you = ", you" if person.member == visit.you else ""
            self.notice(f"{printable(person.name)} ({printable(person.via)}{rtt}{you})")


async def converse(visit: Visit, screen: Screen) -> None:
    """Say what is typed until it ends, ``/quit`` is typed, or the room closes.

    Raises:
        ConnectionClosedError: if the connection breaks.
    """
    typing = asyncio.create_task(_type(visit, screen))
    try:
        await asyncio.wait({typing, visit.ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        typing.cancel()
    if visit.ended.done():
        screen.notice("the room has closed")
        visit.ended.result()
    else:
        typing.result()


async def _type(visit: Visit, screen: Screen) -> None:
    echo: asyncio.Future[float | None] | None = None
    screen.prompt()
    async for line in typed_lines():
        screen.accept(line)
        command, _, rest = line.strip().partition(" ")
        if command == "/quit":
            return
        if command == "/who":
            screen.who(visit)
        elif command == "/name" and rest:
            await visit.rename(rest[:MAX_TEXT])
        elif command.startswith("/") and screen.editing:
            screen.notice(HELP)
        elif command:
            for start in range(0, len(line), MAX_TEXT):
                echo = await visit.say(line[start : start + MAX_TEXT])
        screen.prompt()
    if echo is not None:  # the end of a pipe, not of what the others have to hear
        await asyncio.wait([echo], timeout=ECHO_TIMEOUT)


async def typed_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input as they come.

    A thread reads them, for terminals, pipes and files alike, on every system. It reads the file
    descriptor: one that waits in ``sys.stdin`` holds a lock that the interpreter needs to exit.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=100)

    def read() -> None:
        try:
            for line in _lines(0):
                asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
        except RuntimeError:
            return  # the loop is closed, nobody listens

    threading.Thread(target=read, name="typed lines", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


def _lines(descriptor: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := os.read(descriptor, 4096):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line.rstrip("\r") for line in lines)
    if rest:
        yield rest
