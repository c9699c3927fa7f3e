"""The documents of the project, and the examples in them.

Every fenced block that starts with ```` ```python ```` is a program of its own and is run. A word
after the language says how:

- none: as it stands;
- ``server``, and ``client`` any number of times behind it in the same document: a client talks to
  the last server, on port 8765, for which the test takes a free one;
- the name of a package (``PEERS``): a client that is written for that package;
- ``websockets``: a program written for websockets, run with ``python -m ropeway run``.

A ```` ```text ```` block that comes next is what the program prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..architecture.tree import ROOT, files

DOCUMENTS = ("*.md",)

PEERS = ("aiohttp", "picows", "websocket")
"""Packages, by the names that are imported, from which a document leads to ropeway."""

CLIENTS = ("client", *PEERS)

BLOCK = re.compile(r"^```(\w*)[ ]?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """One program in a document."""

    path: Path
    line: int
    kind: str
    code: str
    prints: str | None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """List the documents: every Markdown file of the project."""
    return list(files(*DOCUMENTS))


def examples() -> list[Example]:
    """List the programs in all documents, in order."""
    return [example for path in documents() for example in examples_in(path)]


def examples_in(path: Path) -> list[Example]:
    text = path.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    found = []
    for number, block in enumerate(blocks):
        language, kind, code = block.groups()
        if language != "python":
            continue
        after = blocks[number + 1] if number + 1 < len(blocks) else None
        prints = after[3] if after is not None and after[1] == "text" else None
        found.append(Example(path, text.count("\n", 0, block.start()) + 1, kind, code, prints))
    return found
