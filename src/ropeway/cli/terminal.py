"""``ropeway connect`` in a terminal: a line to type on, what happens above it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import shutil
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import ConnectionClosed
from . import paint
from .commands import Leave, perform
from .handshake import exchange
from .history import History, history_path
from .lines import Message
from .paint import Pieces
from .session import Session
from .target import Target

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection

__all__ = ["Screen", "Terminal", "run"]


class Screen(Protocol):
    """A line to type on, and room above it."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Lines of help about the keys."""

    async def show(self, pieces: Pieces) -> None:
        """Show something above the line; return when it isn't far behind."""

    def state(self, words: str) -> None:
        """Tell how the connection is, where there is a place for it."""

    async def type(self) -> str | None:
        """Wait for a line; None when there will be no more, after Ctrl-D."""

    async def close(self) -> None:
        """Show what is not shown yet, give the terminal back."""


class Terminal:
    """Shows what happens.

    Args:
        options: the command line.
        target: the server.
        screen: where to show it.
    """

    def __init__(self, options: argparse.Namespace, target: Target, screen: Screen) -> None:
        self.layout: bool = not options.raw
        self.timestamps: bool = options.timestamps
        self.whole: bool = options.whole
        self.keys: tuple[str, ...] = screen.keys
        self._verbose: int = options.verbose
        self._target = target
        self._screen = screen
        self._tasks: set[asyncio.Task[None]] = set()

    # What the session tells

    async def opened(self, connection: ClientConnection) -> None:
        self._screen.state("connected")
        subprotocol = connection.subprotocol
        with_subprotocol = f", subprotocol {subprotocol}" if subprotocol else ""
        await self.event(f"connected to {self._target.shown}{with_subprotocol}")
        if self._verbose:
            await self.event(*exchange(connection))

    async def message(self, message: Message) -> None:
        await self._message(message, incoming=True)

    async def sent(self, message: Message) -> None:
        await self._message(message, incoming=False)

    async def closed(self, connection: ClientConnection, reason: str, code: int) -> None:
        self._screen.state("closed")
        await (self.error if code else self.event)(reason)

    async def failed(self, reason: str, delay: float | None) -> None:
        self._screen.state("not connected")
        await self.error(reason if delay is None else f"{reason}; trying again in {delay:.1f} s")

    # What commands tell

    async def event(self, *lines: str) -> None:
        for line in lines:
            await self._show(paint.event(line))

    async def error(self, line: str) -> None:
        await self._show(paint.event(line, "error"))

    def later(self, what: Coroutine[Any, Any, None]) -> None:
        """Go on with something while lines are typed."""
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _message(self, message: Message, *, incoming: bool) -> None:
        width = shutil.get_terminal_size().columns - (13 if self.timestamps else 0) - 1
        await self._show(
            paint.message(message, incoming, width, layout=self.layout, whole=self.whole)
        )

    async def _show(self, pieces: Pieces) -> None:
        if self.timestamps:
            pieces = [paint.stamp(time.time()), *pieces]
        await self._screen.show(pieces)


async def run(options: argparse.Namespace, target: Target) -> int:
    """Connect a terminal to a server.

    Args:
        options: the command line.
        target: the server.

    Returns:
        The exit code.
    """
    screen = _make_screen(options, target)
    terminal = Terminal(options, target, screen)
    session = Session(
        target, terminal, reconnect=options.reconnect, greetings=options.send, count=options.count
    )
    receiving = asyncio.create_task(session.run())
    typing = asyncio.create_task(_type(screen, terminal, session))
    try:
        await asyncio.wait({receiving, typing}, return_when=asyncio.FIRST_COMPLETED)
        if typing.done():
            typing.result()
            await session.hurry(1000)
            if not session.was_open or session.connection is None:
                receiving.cancel()
    except asyncio.CancelledError:
        await session.hurry()
        raise
    finally:
        typing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await typing
        if not receiving.done():
            await asyncio.wait({receiving}, timeout=1)
            receiving.cancel()
            await asyncio.wait({receiving})
        await terminal.end()
        await screen.close()
    return 0 if receiving.cancelled() else receiving.result()


async def _type(screen: Screen, terminal: Terminal, session: Session) -> None:
    with contextlib.suppress(ConnectionClosed, Leave):
        while (line := await screen.type()) is not None:
            await perform(line, terminal, session)


def _make_screen(options: argparse.Namespace, target: Target) -> Screen:
    """Choose prompt_toolkit where it is installed and the terminal is up to it."""
    secrets = (target.parsed.password or "",)
    history = History(None if options.no_history else history_path(), secrets)
    dumb = os.environ.get("TERM", "dumb") == "dumb" and os.name != "nt"
    colored = options.color == "always" or (
        options.color == "auto" and not os.environ.get("NO_COLOR") and not dumb
    )
    if options.plain or dumb or importlib.util.find_spec("prompt_toolkit") is None:
        from .plain import PlainScreen

        return PlainScreen(colored, above=not dumb)
    from .prompt import PromptScreen

    return PromptScreen(target.shown, history, colored)
