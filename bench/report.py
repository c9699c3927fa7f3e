"""Tables from records: medians over the rounds, in Markdown, and what became of each goal."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import goals
from .scenarios import all_scenarios

COLUMNS = {
    "cpu_us": "CPU, µs",
    "user_us": "user",
    "system_us": "system",
    "threads_added": "threads",
    "kib_per_connection": "KiB",
    "kib_before_idle": "KiB before idle",
    "payload_mb_per_cpu_s": "MB/s of CPU",
    "messages_per_s": "messages/s",
    "wire_ratio": "sent/payload",
    "frame_bytes": "bytes a frame",
    "held_p50_ms": "loop held, ms",
    "held_max_ms": "at most, ms",
    "p50_us": "p50, µs",
    "p99_us": "p99, µs",
    "p99_ms": "p99, ms",
    "max_ms": "max, ms",
    "unanswered": "unanswered",
    "flood_per_s": "flood/s",
    "flood_solo_per_s": "flood alone/s",
    "flood_kept_percent": "kept, %",
    "growth_percent": "growth 2 → 4, %",
    "returned_percent": "returned, %",
    "rss_start_mib": "start, MiB",
    "rss_peak_mib": "peak, MiB",
    "rss_wave_1_mib": "after 1",
    "rss_wave_2_mib": "2",
    "rss_wave_3_mib": "3",
    "rss_wave_4_mib": "4",
    "rss_kib": "RSS, KiB",
}
# Where more is better, or where a multiple of ropeway's figure says nothing.
NO_RATIO = {"growth_percent", "threads_added", "payload_mb_per_cpu_s"}

Medians = dict[tuple[str, str, str], dict[str, float]]


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def join(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return several runs as one: each on a loop of its own, or of scenarios of its own.

    Raises:
        SystemExit: if they are of different code or machines, or two say the same.
    """
    first, *others = runs
    for data in others:
        for name in ("commit", "machine", "kernel", "python", "versions", "full", "rounds"):
            if data[name] != first[name]:
                raise SystemExit(f"runs of different {name}: {first[name]} and {data[name]}")
    keys = [
        {(one["scenario"], one["contender"], one["loop"]) for one in data["records"]}
        for data in runs
    ]
    twice = {key for one, other in itertools.combinations(keys, 2) for key in one & other}
    # What has no loop takes its turn in each run.
    if any(loop in goals.LOOPS for _, _, loop in twice):
        raise SystemExit(f"measured in more than one run: {sorted(twice)[0]}")
    return {
        **first,
        "elapsed_s": round(sum(data["elapsed_s"] for data in runs), 1),
        "records": [record for data in runs for record in data["records"]],
    }


def as_text(data: dict[str, Any]) -> str:
    """Write the records as JSON, one a line."""
    header = {name: value for name, value in data.items() if name != "records"}
    records = ",\n".join(f"  {json.dumps(record)}" for record in data["records"])
    return f'{json.dumps(header, indent=1)[:-2]},\n "records": [\n{records}\n ]\n}}\n'


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
    """Return where it was measured, the goals, and the table of each scenario."""
    return "\n\n".join([header(data), f"### Goals\n\n{goals_section(data)}", tables_section(data)])


def goals_section(data: dict[str, Any]) -> str:
    """Return how many goals are met, and a row for each."""
    return goal_table(medians(data), titles())


def titles() -> dict[str, str]:
    return {scenario.name: scenario.title for scenario in all_scenarios()}


def tables_section(data: dict[str, Any]) -> str:
    """Return a section for each scenario that was measured."""
    found, names = medians(data), titles()
    parts = []
    for name in dict.fromkeys([record["scenario"] for record in data["records"]]):
        rows = {key[1:]: metrics for key, metrics in found.items() if key[0] == name}
        parts.append(f"### {name}. {names.get(name, '')}")
        if rows:
            parts.append(table(rows))
        parts += failures(data, name)
        verdicts = [verdict_line(verdicts) for verdicts in goals.evaluate(found, name)]
        if verdicts:
            parts.append("\n".join(verdicts))
    return "\n\n".join(parts)


def header(data: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    dirty = ", with changes" if data.get("dirty") else ""
    return (
        f"Measured {data['date'][:10]} at commit {data['commit']}{dirty}; {data['cores']} cores of "
        f"{data['machine']}, Linux {data['kernel']}, Python {data['python']}; {versions}. Medians; "
        f"{'full' if data['full'] else 'quick'} run of up to {data['rounds']} rounds, "
        f"load average before it {data['load_average_before']}."
    )


def goal_table(found: Medians, titles: dict[str, str]) -> str:
    """Return a row for each goal, with a mark for each loop."""
    lines = [
        f"| scenario | goal | {' | '.join(goals.DRIVERS)} |",
        f"| --- | --- |{' --- |' * len(goals.DRIVERS)}",
    ]
    counts = dict.fromkeys("✓✗—", 0)
    previous = ""
    for verdicts in goals.evaluate(found):
        goal = verdicts[0].goal
        title = "" if goal.scenario == previous else f"{goal.scenario}. {titles[goal.scenario]}"
        previous = goal.scenario
        cells = {verdict.loop: str(verdict) for verdict in verdicts}
        for verdict in verdicts:
            counts[verdict.mark] += 1
        row = " | ".join(cells.get(loop, "") for loop in goals.DRIVERS)
        lines.append(f"| {title} | {goal} | {row} |")
    total = f"{counts['✓']} met ✓, {counts['✗']} missed ✗, {counts['—']} not measured —."
    return "\n".join([total, "", *lines])


def verdict_line(verdicts: list[goals.Verdict]) -> str:
    results = "; ".join(f"{verdict.loop} {verdict}" for verdict in verdicts)
    return f"- {verdicts[0].goal}: {results}"


def failures(data: dict[str, Any], scenario: str) -> list[str]:
    """Tell who could not do it."""
    failed = [
        f"{record['contender']} ({record['loop']})"
        for record in data["records"]
        if record["scenario"] == scenario and "error" in record
    ]
    return [f"Failed: {', '.join(dict.fromkeys(failed))}."] if failed else []


def table(rows: dict[tuple[str, str], dict[str, float]]) -> str:
    """Return a table of contenders; the ratio is that of the first column to ropeway's."""
    columns = {
        name: title
        for name, title in COLUMNS.items()
        if any(name in metrics for metrics in rows.values())
    }
    first = next(iter(columns))
    ratios = first not in NO_RATIO
    lines = [
        f"| contender | loop | {' | '.join(columns.values())} |{' × ropeway |' * ratios}",
        f"| --- | --- |{' --: |' * (len(columns) + ratios)}",
    ]
    for (contender, loop), metrics in rows.items():
        cells = [number(metrics.get(name)) for name in columns]
        if ratios:
            own = rows.get((goals.ROPEWAY, loop if loop in goals.LOOPS else "asyncio"), {})
            whole = own.get(first)
            cells.append(f"{metrics[first] / whole:.2f}" if whole and first in metrics else "")
        lines.append(f"| {contender} | {loop} | {' | '.join(cells)} |")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Write a number with three significant digits, or whole if it is large."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
