"""What docs/security.md shows of a run: tables in marked blocks, and the records beside it.

A block stands between ``<!-- attacks: NAME -->`` and ``<!-- /attacks -->``; a test holds the blocks
to the records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from bench.tools import ROOT

from . import report

DOCUMENT = ROOT / "docs" / "security.md"
RECORDS = ROOT / "docs" / "security" / "attacks.json"
BLOCK = re.compile(r"(<!-- attacks: ([\w-]+) -->\n).*?(<!-- /attacks -->)", re.DOTALL)
BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "where": report.where,
    "summary": report.summary,
    "elsewhere": report.elsewhere,
    "figures": report.figures,
}


def as_text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def fill(text: str, data: dict[str, Any]) -> str:
    """Write the marked blocks anew."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]](data)}\n\n{block[3]}", text)


def publish(data: dict[str, Any]) -> None:
    """Write the records and the blocks, without what logs and tracebacks say."""
    for one in data["reports"]:
        one["figures"].pop("log", None)
        one["error"] = "".join(one["error"].strip().splitlines()[-1:])
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.write_text(as_text(data), encoding="utf-8")
    DOCUMENT.write_text(fill(DOCUMENT.read_text(encoding="utf-8"), data), encoding="utf-8")
