"""A terminal with prompt_toolkit: history, editing, completion, a line of state at the bottom."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.renderer import print_formatted_text as print_pieces
from prompt_toolkit.styles import Style

from .commands import COMMANDS
from .history import History
from .paint import STYLES, Pieces

__all__ = ["PromptScreen"]

PROMPT = "> "
FRAME = 0.01
"""Seconds between two drawings: what arrives meanwhile is drawn at once."""

BEHIND = 500
"""Pieces of text that may wait to be drawn before who shows more has to wait."""


class PromptScreen:
    """A screen with prompt_toolkit.

    Args:
        title: what to show at the bottom.
        history: lines typed before, to which those typed now are added.
        colored: whether to use colours.
    """

    keys: tuple[str, ...] = (
        "Enter: send   Alt-Enter: a new line   Up, Ctrl-R: what was typed before",
        "Tab: complete a command   Ctrl-D: close and leave",
    )

    def __init__(self, title: str, history: History, colored: bool) -> None:
        self._history = history
        self._title = title
        self._style = Style.from_dict(STYLES)
        # Said in so many words: otherwise prompt_toolkit asks NO_COLOR, which --color may overrule.
        self._depth = ColorDepth.DEPTH_4_BIT if colored else ColorDepth.DEPTH_1_BIT
        self._pending: Pieces = []
        self._state = "connecting"
        self._app: asyncio.Task[str] | None = None
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._drawing: asyncio.Task[None] | None = None
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            multiline=True,
            key_bindings=_bindings(self._send),
            history=InMemoryHistory(history.lines),
            auto_suggest=AutoSuggestFromHistory(),
            completer=_commands(),
            complete_while_typing=False,
            erase_when_done=True,
            bottom_toolbar=self._toolbar,
            style=self._style,
            color_depth=self._depth,
        )

    def _toolbar(self) -> str:
        return f" {self._title}: {self._state}   /help   Ctrl-D leaves"

    def state(self, words: str) -> None:
        self._state = words
        self._session.app.invalidate()

    async def show(self, pieces: Pieces) -> None:
        self._pending += [(f"class:{style}" if style else "", text) for style, text in pieces]
        self._pending.append(("", "\n"))
        if self._drawing is None:
            self._drawing = asyncio.create_task(self._draw())
        while len(self._pending) > BEHIND and self._drawing is not None:
            await asyncio.wait([self._drawing])

    async def _draw(self) -> None:
        """Draw what is pending above the line that is typed."""
        # Not run_in_terminal(): it hands the terminal over for a moment, which then shows by
        # itself, amid the output, what is typed in that moment.
        try:
            while self._pending:
                pieces, self._pending = self._pending, []
                app = self._session.app
                if app.is_running:
                    app.renderer.erase()
                print_pieces(
                    self._session.output,
                    FormattedText(pieces),
                    self._style,
                    color_depth=self._depth,
                )
                if app.is_running:
                    app.renderer.reset()
                    app.renderer.request_absolute_cursor_position()
                    app.invalidate()
                # Let the line be drawn, and keys be read, before the next ones.
                await asyncio.sleep(FRAME)
        finally:
            self._drawing = None

    async def type(self) -> str | None:
        if self._app is None:
            self._app = asyncio.create_task(self._session.prompt_async(handle_sigint=False))
        line = asyncio.create_task(self._typed.get())
        try:
            await asyncio.wait({line, self._app}, return_when=asyncio.FIRST_COMPLETED)
            return line.result() if line.done() else None
        finally:
            line.cancel()

    def _send(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = buffer.text
        if self._history.add(text):
            buffer.append_to_history()
        buffer.reset()
        self._typed.put_nowait(text)

    async def close(self) -> None:
        if self._drawing is not None:
            await asyncio.wait([self._drawing])
        if self._app is not None:
            if self._session.app.is_running and not self._session.app.is_done:
                self._session.app.exit(result="")
            await asyncio.wait([self._app])
            with contextlib.suppress(EOFError, asyncio.CancelledError):
                self._app.result()


def _commands() -> WordCompleter:
    """Complete the names of commands, when asked to."""
    helps = {f"/{name}": command.help for name, command in COMMANDS.items()}
    return WordCompleter(list(helps), sentence=True, meta_dict=helps)


def _bindings(send: Callable[[KeyPressEvent], None]) -> KeyBindings:
    bindings = KeyBindings()

    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    def interrupt(event: KeyPressEvent) -> None:
        # As in a shell: what was begun is forgotten. On an empty line it means to leave.
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            signal.raise_signal(signal.SIGINT)

    here: Any = has_focus(DEFAULT_BUFFER)  # and not in the search for a line
    bindings.add("enter", filter=here)(send)
    bindings.add("escape", "enter", filter=here)(new_line)
    bindings.add("c-c", filter=here)(interrupt)
    return bindings
