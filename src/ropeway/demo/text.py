"""What a stranger wrote, made harmless: names for a list, lines for a terminal.

The page needs none of it: it never builds HTML from text.
"""

from __future__ import annotations

import unicodedata

__all__ = ["clean_name", "columns", "fold", "printable"]

MAX_NAME = 24
"""Characters of a name that are kept."""

_JOINERS = "\u200c\u200d"
"""Invisible, and yet part of how scripts and emoji are spelt."""


def _is_control(character: str) -> bool:
    """Tell whether a character acts on its surroundings instead of being seen.

    Categories C (controls, bidirectional overrides, surrogates, unassigned) and the line and
    paragraph separators.
    """
    category = unicodedata.category(character)
    return (category[0] == "C" and character not in _JOINERS) or category in ("Zl", "Zp")


def printable(text: str) -> str:
    r"""Spell out every character that could move a cursor or change a terminal: ``\x1b``.

    Args:
        text: anything, from anybody.

    Returns:
        The same text on one line, in which nothing acts; a backslash stays a backslash.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _is_control(character) else character
        for character in text
    )


def clean_name(name: str) -> str:
    """Turn what somebody calls himself into a name that fits a list.

    Args:
        name: anything; controls are dropped, white space is collapsed.

    Returns:
        At most 24 characters, "somebody" where nothing visible is left.
    """
    visible = "".join(
        " " if character.isspace() else "" if _is_control(character) else character
        for character in name
    )
    return " ".join(visible.split())[:MAX_NAME].strip() or "somebody"


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
    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
