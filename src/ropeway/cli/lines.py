r"""Messages as lines, lines as messages: what goes through a pipe.

Each format is lossless for what it is made for. ``text`` is for text without control characters,
and for JSON; ``hex`` and ``base64`` are for binary messages; ``json`` is for everything.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .text import printable

__all__ = ["FORMATS", "Close", "Format", "Malformed", "Message", "Ping", "parse_hex"]

Message = str | bytes


class Malformed(ValueError):
    """A line that is no message in the format at hand."""


@dataclass(frozen=True)
class Ping:
    """What a line of the ``json`` format may ask for: a ping."""

    data: str = ""


@dataclass(frozen=True)
class Close:
    """What a line of the ``json`` format may ask for: closing."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True)
class Format:
    """How messages are read from lines and written as lines.

    Args:
        read: makes a message, or something to do, of a line without its end; raises Malformed.
        write: makes a line without its end of a message and, for ``json``, of its time.
        structured: whether lines are objects, and events have lines too.
    """

    read: Callable[[bytes], Message | Ping | Close]
    write: Callable[[Message], str]
    structured: bool = False


# Text


def read_text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as exc:
        raise Malformed(
            f"byte {line[exc.start]:#04x} at column {exc.start + 1} is not UTF-8; "
            "for binary messages, use --format hex, base64 or json"
        ) from None


def write_text(message: Message) -> str:
    """Write text on one line, in which nothing acts; bytes in hexadecimal."""
    if isinstance(message, bytes):
        return message.hex()
    if message.isprintable():
        return message
    if "\n" in message and _is_json(message):
        # There, line ends are white space between tokens, and a space means the same.
        message = message.translate(_WHITE_SPACE)
    return printable(message, keep="\t")


_WHITE_SPACE = str.maketrans("\r\n", "  ")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# Bytes


def parse_hex(text: str) -> bytes:
    """Read hexadecimal digits, white space between bytes allowed.

    Raises:
        Malformed: when it is something else.
    """
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise Malformed("not an even number of hexadecimal digits") from None


def read_hex(line: bytes) -> bytes:
    return parse_hex(line.decode("latin-1"))


def read_base64(line: bytes) -> bytes:
    try:
        return base64.b64decode(line.strip(), validate=True)
    except binascii.Error as exc:
        raise Malformed(f"not base64: {exc}") from None


def _encoded(message: Message) -> bytes:
    return message if isinstance(message, bytes) else message.encode("utf-8", "surrogatepass")


def write_hex(message: Message) -> str:
    return _encoded(message).hex()


def write_base64(message: Message) -> str:
    return base64.b64encode(_encoded(message)).decode()


# Objects


def read_json(line: bytes) -> Message | Ping | Close:
    """Read ``{"type": "text", "data": "…"}`` and its likes."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise Malformed(f"not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise Malformed('not an object such as {"type": "text", "data": "hello"}')
    match value:
        case {"type": "text", "data": str(data)}:
            return data
        case {"type": "binary", "data": str(data)}:
            return read_base64(data.encode("utf-8", "surrogatepass"))
        case {"type": "ping"}:
            return Ping(_member(value, "data", ""))
        case {"type": "close"}:
            return Close(_member(value, "code", 1000), _member(value, "reason", ""))
    raise Malformed('"type" has to be text or binary, with a string as "data", ping or close')


def _member(value: dict[str, Any], name: str, default: Any) -> Any:
    found = value.get(name, default)
    if type(found) is not type(default):
        raise Malformed(f'"{name}" has to be {type(default).__name__}')
    return found


def write_json(message: Message) -> str:
    if isinstance(message, bytes):
        return write_object({"type": "binary", "data": write_base64(message)})
    return write_object({"type": "text", "data": message})


def write_object(value: dict[str, Any]) -> str:
    """Write an event: ASCII, on one line, so that nothing acts in it."""
    return json.dumps(value)


FORMATS = {
    "text": Format(read_text, write_text),
    "hex": Format(read_hex, write_hex),
    "base64": Format(read_base64, write_base64),
    "json": Format(read_json, write_json, structured=True),
}
