"""What a stranger wrote, made harmless: names for a list, lines for a terminal.

The page needs none of it: it never builds HTML from text.
"""

from __future__ import annotations

from ..cli.text import acts, columns, fold, printable

__all__ = ["clean_name", "columns", "fold", "printable"]

MAX_NAME = 24
"""Characters of a name that are kept."""


def clean_name(name: str) -> str:
    """Turn what somebody calls himself into a name that fits a list.

    Args:
        name: anything; controls are dropped, white space is collapsed.

    Returns:
        At most 24 characters, "somebody" where nothing visible is left.
    """
    visible = "".join(
        " " if character.isspace() else "" if acts(character) else character for character in name
    )
    return " ".join(visible.split())[:MAX_NAME].strip() or "somebody"
