"""Tables from records: medians over the rounds, in Markdown."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from .scenarios import all_scenarios

COLUMNS = {
    "cpu_us": "CPU, µs",
    "user_us": "user",
    "system_us": "system",
    "messages_per_s": "messages/s",
    "p50_us": "p50, µs",
    "p99_us": "p99, µs",
    "rss_kib": "RSS, KiB",
}

Medians = dict[tuple[str, str, str], dict[str, float]]


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def medians(data: dict[str, Any]) -> Medians:
    """Return the median of each metric, by scenario, contender and loop."""
    rounds: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for record in data["records"]:
        if "metrics" in record:
            key = (record["scenario"], record["contender"], record["loop"])
            rounds.setdefault(key, []).append(record["metrics"])
    return {
        key: {
            name: statistics.median(one[name] for one in found if name in one)
            for name in dict.fromkeys(name for one in found for name in one)
        }
        for key, found in rounds.items()
    }


def markdown(data: dict[str, Any]) -> str:
    """Return all tables."""
    found = medians(data)
    titles = {scenario.name: scenario.title for scenario in all_scenarios()}
    parts = []
    for name in dict.fromkeys(scenario for scenario, _, _ in found):
        rows = {key[1:]: metrics for key, metrics in found.items() if key[0] == name}
        parts.append(f"### {name}. {titles.get(name, '')}\n\n{table(rows)}")
    return "\n\n".join(parts)


def table(rows: dict[tuple[str, str], dict[str, float]]) -> str:
    """Return a table of contenders; the ratio is that of the first column to ropeway's."""
    columns = {
        name: title
        for name, title in COLUMNS.items()
        if any(name in metrics for metrics in rows.values())
    }
    first = next(iter(columns))
    lines = [
        f"| contender | loop | {' | '.join(columns.values())} | × ropeway |",
        f"| --- | --- |{' --: |' * (len(columns) + 1)}",
    ]
    for (contender, loop), metrics in rows.items():
        cells = [number(metrics.get(name)) for name in columns]
        own = rows.get(("ropeway", loop if loop != "none" else "asyncio"), {}).get(first)
        ratio = f"{metrics[first] / own:.2f}" if own and first in metrics else ""
        lines.append(f"| {contender} | {loop} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Write a number with three significant digits, or whole if it is large."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
