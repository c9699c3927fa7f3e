"""What is shown in a terminal: text in pieces, each with a style, for whichever face draws it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

from .lines import Message
from .text import columns, printable

__all__ = ["ANSI", "STYLES", "Piece", "Pieces", "binary", "event", "message", "stamp", "text"]

Piece = tuple[str, str]
"""A style, "" for none, and printable text."""

Pieces = list[Piece]

STYLES = {
    "in": "ansigreen",
    "out": "ansiblue",
    "event": "ansibrightblack",
    "error": "ansired",
    "time": "ansibrightblack",
    "escape": "ansimagenta",
    "key": "ansicyan",
    "string": "ansigreen",
    "number": "ansiyellow",
    "word": "ansimagenta",
    "offset": "ansibrightblack",
}
"""Styles by name, in the words of prompt_toolkit."""

ANSI = {
    "ansired": "31",
    "ansigreen": "32",
    "ansiyellow": "33",
    "ansiblue": "34",
    "ansimagenta": "35",
    "ansicyan": "36",
    "ansibrightblack": "90",
}
"""What the colours are called in escape sequences (SGR)."""

SHOWN_CHARACTERS = 10_000
SHOWN_BYTES = 512
"""How much of a message is shown, unless all of it is asked for."""

PER_ROW = 16
INDENT = "  "


def stamp(now: float) -> Piece:
    """Show a time of day, with milliseconds."""
    return "time", time.strftime(f"%H:%M:%S.{int(now % 1 * 1000):03d} ", time.localtime(now))


def event(sentence: str, style: str = "event") -> Pieces:
    """Show something that nobody sent. It is made printable."""
    return [(style, f"* {printable(sentence)}")]


def message(message: Message, incoming: bool, width: int, *, layout: bool, whole: bool) -> Pieces:
    """Show a message; what acts on a terminal is escaped, lines after the first are indented.

    Args:
        message: anything, from anybody.
        incoming: whether it was received.
        width: columns of the terminal, without those that the caller needs before it.
        layout: whether to lay out JSON.
        whole: whether to show all of a long one.
    """
    mark: Piece = ("in", "< ") if incoming else ("out", "> ")
    if isinstance(message, bytes):
        return [mark, *binary(message, whole=whole)]
    return [mark, *text(message, width - 2, layout=layout, whole=whole)]


# Text


def text(message: str, width: int, *, layout: bool, whole: bool) -> Pieces:
    """Show a text message, without the mark of its direction."""
    if layout and message[:1] in ("{", "[") and (whole or len(message) <= SHOWN_CHARACTERS):
        if pieces := _json(message, width):
            return pieces
    cut = len(message) - SHOWN_CHARACTERS
    if whole or cut <= 0:
        return list(_escaped(message))
    return [*_escaped(message[:SHOWN_CHARACTERS]), ("event", f"… and {cut:,} characters more")]


_ESCAPE = re.compile(r"(\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[rnt]))")


def _escaped(message: str) -> Iterator[Piece]:
    """Yield a message's text with the line ends that it has; highlight what was escaped."""
    # A line end in a message is one on the screen, indented, so that it can't pass for another
    # message; no other control is taken at its word.
    for number, line in enumerate(message.split("\n")):
        if number:
            yield "", f"\n{INDENT}"
        line = line.removesuffix("\r").expandtabs(4)
        if line.isprintable():
            yield "", line
            continue
        for part in _ACTING.split(line):
            shown = printable(part)
            yield ("escape" if shown != part else ""), shown


# Runs of what Python doesn't call printable: more than what acts, which printable() sorts out.
_ACTING = re.compile(
    r"([\x00-\x1f\x7f-\x9f\xad\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+)"
)


# JSON: laid out by its tokens, so that no number, key or escape is shown otherwise than it was sent

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def _json(message: str, width: int) -> Pieces | None:
    """Lay out JSON: on one line if it fits, or with an item a line; None if it is none."""
    try:
        json.loads(message)
    except (ValueError, RecursionError):
        return None
    tokens = _TOKEN.findall(message)
    line = list(_one_line(tokens))
    if sum(columns(part) for _, part in line) <= width:
        return line
    return list(_many_lines(tokens))


def _one_line(tokens: list[str]) -> Iterator[Piece]:
    for number, token in enumerate(tokens):
        yield _styled(tokens, number)
        if token in (",", ":"):
            yield "", " "


def _many_lines(tokens: list[str]) -> Iterator[Piece]:
    depth = 0
    for number, token in enumerate(tokens):
        after = tokens[number + 1] if number + 1 < len(tokens) else ""
        if token in ("}", "]"):
            if tokens[number - 1] not in ("{", "["):
                depth -= 1
                yield "", f"\n{INDENT * (depth + 1)}"
            yield "", token
            continue
        yield _styled(tokens, number)
        if token == ":":
            yield "", " "
        elif token in ("{", "[") and after not in ("}", "]"):
            depth += 1
            yield "", f"\n{INDENT * (depth + 1)}"
        elif token == ",":
            yield "", f"\n{INDENT * (depth + 1)}"


def _styled(tokens: list[str], number: int) -> Piece:
    token = tokens[number]
    if token.startswith('"'):
        is_key = tokens[number + 1 : number + 2] == [":"]
        return ("key" if is_key else "string"), printable(token)
    if token in ("true", "false", "null"):
        return "word", token
    return ("number" if token[0] in "-0123456789" else ""), token


# Bytes


def binary(message: bytes, *, whole: bool) -> Pieces:
    """Show a binary message: its length, then rows of offset, hexadecimal digits and ASCII."""
    pieces: Pieces = [("event", f"binary, {len(message):,} byte{'s' * (len(message) != 1)}")]
    shown = message if whole else message[:SHOWN_BYTES]
    for start in range(0, len(shown), PER_ROW):
        row = shown[start : start + PER_ROW]
        digits = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}".rstrip()
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        pieces += [
            ("offset", f"\n{INDENT}{start:08x}  "),
            ("", f"{digits:<48}"),
            ("offset", f"  {letters}"),
        ]
    if len(shown) < len(message):
        pieces.append(("event", f"\n{INDENT}… and {len(message) - len(shown):,} bytes more"))
    return pieces
