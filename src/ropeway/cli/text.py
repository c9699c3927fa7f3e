"""Text for terminals and logs: what strangers sent made harmless, secrets left out."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["acts", "columns", "fold", "hide_secrets", "printable", "seconds", "size"]

JOINERS = "\u200c\u200d"
"""Invisible, and yet part of how scripts and emoji are spelt."""


def acts(character: str) -> bool:
    """Tell whether a character acts on its surroundings instead of being seen.

    Categories C (controls, bidirectional overrides, surrogates, unassigned) and the line and
    paragraph separators.
    """
    if character.isprintable():
        return False
    category = unicodedata.category(character)
    return (category[0] == "C" and character not in JOINERS) or category in ("Zl", "Zp")


def printable(text: str, keep: str = "") -> str:
    r"""Spell out every character that could move a cursor or change a terminal: ``\x1b``.

    Args:
        text: anything, from anybody.
        keep: characters to leave as they are.

    Returns:
        The same text, in which nothing acts; a backslash stays a backslash.
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if acts(character) and character not in keep
        else character
        for character in text
    )


def columns(text: str) -> int:
    """Count the terminal cells that a printable text takes."""
    return sum(_cells(character) for character in text)


def fold(text: str, limit: int) -> list[str]:
    """Cut a printable text into pieces of at most ``limit`` cells, at spaces where it can.

    Args:
        text: a printable text, see :func:`printable`.
        limit: cells in a line, at least 2.

    Returns:
        The lines, at least one.
    """
    lines = [""]
    room = limit
    for word in text.split(" "):
        if lines[-1]:
            if columns(word) + 1 <= room:
                lines[-1] += " "
                room -= 1
            else:
                lines.append("")
                room = limit
        for character in word:
            cells = _cells(character)
            if cells > room:
                lines.append("")
                room = limit
            lines[-1] += character
            room -= cells
    return lines


def _cells(character: str) -> int:
    if unicodedata.combining(character) or character in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


# The user information of a URI ends at the last @ before the path (RFC 3986, 3.2).
_PASSWORD = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\s:@]*):[^/?#\s]*@")


def hide_secrets(text: str) -> str:
    """Replace the password in every URI of a text by ``***``."""
    return _PASSWORD.sub(r"\1:***@", text)


_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_SIZE = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE).fullmatch


def size(text: str) -> int:
    """Read a number of bytes: ``4096``, ``64k``, ``1MiB``.

    Raises:
        ValueError: when it is something else.
    """
    found = _SIZE(text.strip())
    if found is None:
        raise ValueError(f"not a size: {text!r}")
    return int(found[1]) * _UNITS[found[2].lower()]


_DURATION_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|)").fullmatch


def seconds(text: str) -> float:
    """Read a duration: ``10``, ``2.5s``, ``100ms``, ``5m``, ``1h``.

    Returns:
        It in seconds.

    Raises:
        ValueError: when it is something else.
    """
    found = _DURATION(text.strip())
    if found is None:
        raise ValueError(f"not a duration: {text!r}")
    return float(found[1]) * _DURATION_UNITS[found[2]]
