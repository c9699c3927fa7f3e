"""A terminal with nothing but itself: the line is edited by the terminal driver, kept nowhere."""

from __future__ import annotations

import codecs
import shutil
import sys

from .paint import ANSI, STYLES, Pieces
from .streams import lines
from .text import columns, fold, printable

__all__ = ["PlainScreen"]

PROMPT = "> "
# Keep the cursor's place; make a line above it, at the bottom of the screen, too; write; go back.
ABOVE, BACK = "\x1b7\n\x1b[A\x1b[L", "\x1b8\x1b[B"
CLEAR = "\r\x1b[J"


class PlainScreen:
    """A screen without prompt_toolkit.

    Args:
        colored: whether to use colours.
        above: whether the terminal can move its cursor, so that what arrives is shown above what
            is being typed.
    """

    keys: tuple[str, ...] = (
        "Ctrl-D: close and leave   (pip install 'ropeway[cli]' for history and editing)",
    )

    def __init__(self, colored: bool, above: bool) -> None:
        self._colored = colored
        self._above = above
        self._typing = False
        self._lines = lines(0)
        self._decode = codecs.getdecoder("utf-8")

    async def show(self, pieces: Pieces) -> None:
        if not self._above:
            sys.stdout.write("".join(text for _, text in pieces) + "\n")
        elif not self._typing:
            sys.stdout.write(self._drawn(pieces) + "\n")
        else:
            for row in self._rows(pieces):
                sys.stdout.write(f"{ABOVE}{self._drawn(row)}{BACK}")
        sys.stdout.flush()

    def _drawn(self, pieces: Pieces) -> str:
        drawn = []
        for style, text in pieces:
            code = ANSI.get(STYLES.get(style, ""))
            drawn.append(f"\x1b[{code}m{text}\x1b[0m" if code and self._colored else text)
        return "".join(drawn)

    def _rows(self, pieces: Pieces) -> list[Pieces]:
        """Cut what is shown into rows of the screen: each is inserted by itself."""
        limit = max(20, shutil.get_terminal_size().columns - 1)
        rows: list[Pieces] = [[]]
        for style, text in pieces:
            for number, line in enumerate(text.split("\n")):
                if number:
                    rows.append([])
                rows[-1].append((style, line))
        found: list[Pieces] = []
        for row in rows:
            whole = "".join(text for _, text in row)
            folded = fold(whole, limit)
            # Styles of a row that is too long are left out: where to cut is a matter of its text.
            found += [row] if len(folded) == 1 else [[("", line)] for line in folded]
        return found

    async def type(self) -> str | None:
        if self._above:
            sys.stdout.write(PROMPT)
            sys.stdout.flush()
        self._typing = True
        try:
            line = await anext(self._lines)
        except StopAsyncIteration:
            sys.stdout.write(CLEAR if self._above else "\n")
            return None
        finally:
            self._typing = False
        text: str = self._decode(line, "replace")[0]
        if self._above:  # what was typed comes again when it is sent
            width = max(1, shutil.get_terminal_size().columns)
            rows = 1 + max(0, columns(PROMPT + printable(text)) - 1) // width
            sys.stdout.write(f"\x1b[{rows}A{CLEAR}")
        return text

    def state(self, words: str) -> None:
        """There is no place to show it."""

    async def close(self) -> None:
        if self._above:
            sys.stdout.write(CLEAR)
        sys.stdout.flush()
