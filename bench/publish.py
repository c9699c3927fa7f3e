"""What the documents show of a run: its records, its pictures, and tables in marked blocks.

A block in a document stands between ``<!-- bench: NAME -->`` and ``<!-- /bench -->``; publishing
writes it anew, and a test holds it to the records. The names are those of ``BLOCKS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import report
from .tools import ROOT

FOLDER = ROOT / "docs" / "performance"
RESULTS = FOLDER / "results.json"
DOCUMENTS = ("README.md", "docs/performance.md")
BLOCK = re.compile(r"(<!-- bench: ([\w-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)

OVERVIEW_ROWS = (
    "ropeway",
    "picows",
    "picows.websockets",
    "websockets",
    "aiohttp",
    "wsproto",
    "uvicorn",
    "node ws",
    "C",
)
OVERVIEW_COLUMNS = {
    ("2", "cpu_us"): "echo, 64 in flight, µs",
    ("1", "cpu_us"): "echo, 1 in flight, µs",
    ("3", "cpu_us"): "echo, 64 connections, µs",
    ("7", "cpu_us"): "client, feed, µs",
    ("9", "cpu_us"): "handshake, µs",
    ("10-plain", "kib_per_connection"): "idle connection, KiB",
}


def overview(data: dict[str, Any]) -> str:
    """Return the table of README.md: a few figures of each contender, on asyncio's loop."""
    found = report.medians(data)
    rows = {
        contender: [
            (
                found.get((scenario, contender, "asyncio"))
                or found.get((scenario, contender, "none"))
            )
            for scenario, _ in OVERVIEW_COLUMNS
        ]
        for contender in OVERVIEW_ROWS
    }
    measured = [
        (number, metric, title)
        for number, ((_, metric), title) in enumerate(OVERVIEW_COLUMNS.items())
        if any(metrics[number] for metrics in rows.values())
    ]
    lines = [
        f"| CPU time or memory | {' | '.join(title for _, _, title in measured)} |",
        f"| --- |{' --: |' * len(measured)}",
    ]
    for contender, metrics in rows.items():
        if any(metrics):
            cells = [report.number((metrics[at] or {}).get(metric)) for at, metric, _ in measured]
            lines.append(f"| {contender} | {' | '.join(cells)} |")
    return "\n".join(lines)


BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "overview": overview,
    "where": report.header,
    "goals": report.goals_section,
    "tables": report.tables_section,
}


def fill(text: str, data: dict[str, Any]) -> str:
    """Write the marked blocks of a document anew.

    Raises:
        KeyError: if a block has a name that is none of ``BLOCKS``.
    """
    return BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]](data)}\n\n{block[3]}", text)


def publish(data: dict[str, Any]) -> list[Path]:
    """Write records, pictures and blocks; return the files.

    Raises:
        SystemExit: if the tree was not that of a commit when it was measured.
    """
    if data["dirty"]:
        raise SystemExit("measured with uncommitted changes: nobody could repeat it")
    from . import plots

    FOLDER.mkdir(exist_ok=True)
    RESULTS.write_text(report.as_text(data), encoding="utf-8")
    written = [RESULTS, *plots.draw(data, FOLDER)]
    for name in DOCUMENTS:
        path = ROOT / name
        if path.exists():
            path.write_text(fill(path.read_text(encoding="utf-8"), data), encoding="utf-8")
            written.append(path)
    return written
