"""Tables of what came of the attacks: data in, Markdown out."""

from __future__ import annotations

from typing import Any

from bench.machine import describe
from bench.report import number

from .elsewhere import ROWS
from .rows import ATTACKS
from .subjects import SUBJECTS

COMMON = ("victim p99", "complaints in the log", "tasks left", "descriptors left", "memory left")


def header(full: bool) -> dict[str, Any]:
    return {**describe(), "full": full}


def where(data: dict[str, Any]) -> str:
    """Say where and when it was measured."""
    head = data["header"]
    names = ("websockets", "aiohttp", "picows", "uvloop")
    versions = ", ".join(f"{n} {head['versions'][n]}" for n in names if n in head["versions"])
    dirty = ", with changes" if head["dirty"] else ""
    return (
        f"Measured {head['date'][:10]} at commit {head['commit']}{dirty}; {head['cores']} cores of "
        f"{head['machine']}, Linux {head['kernel']}, Python {head['python']}; {versions}. "
        f"{'Full' if head['full'] else 'Quick'} run."
    )


def summary(data: dict[str, Any]) -> str:
    """A row for each attack, a column for each server: whether all lines hold."""
    subjects = [name for name in SUBJECTS if any(r["subject"] == name for r in data["reports"])]
    found = {(r["row"], r["attack"], r["subject"]): r["holds"] for r in data["reports"]}
    marks = {True: "✓", False: "✗", None: ""}
    lines = [
        f"| # | attack | must hold | {' | '.join(subjects)} |",
        f"| --: | --- | --- |{' :-: |' * len(subjects)}",
    ]
    for row, name, must_hold in attacks():
        cells = [marks[found.get((row, name, subject))] for subject in subjects]
        if any(cells):
            lines.append(f"| {row} | {name} | {must_hold} | {' | '.join(cells)} |")
    return "\n".join(lines)


def elsewhere(data: dict[str, Any]) -> str:
    """A row for each row that is a matrix of exact answers."""
    lines = [
        "| # | what | must hold | tests | compiled | pure |",
        "| --: | --- | --- | --- | --: | --: |",
    ]
    counts = {(r["row"], r["build"]): r for r in data["elsewhere"]}
    for row in ROWS:
        cells = []
        for build in ("compiled", "pure"):
            one = counts.get((row.row, build))
            cells.append("" if one is None else f"{one['passed']} {'✓' if one['holds'] else '✗'}")
        files = sorted({test.partition("::")[0] for test in row.tests})
        tests = ", ".join(f"`{file.removeprefix('tests/')}`" for file in files)
        lines.append(
            f"| {row.row} | {row.name} | {row.must_hold} | {tests} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def figures(data: dict[str, Any]) -> str:
    """A table for each attack: the figures that have a limit, for each server."""
    parts = []
    for row, name, must_hold in attacks():
        reports = [r for r in data["reports"] if (r["row"], r["attack"]) == (row, name)]
        if reports:
            parts.append(f"### {row}. {name}\n\n{must_hold}.\n\n{table(reports)}{why(row, name)}")
    return "\n\n".join(parts)


def why(row: int, name: str) -> str:
    """Say what is known of the lines that are missed."""
    (one,) = (attack for attack in ATTACKS if (attack.row, attack.name) == (row, name))
    reasons = "; ".join(f"{line}: {reason}" for line, reason in one.known.items())
    return f"\n\nKnown: {reasons}." if reasons else ""


def attacks() -> list[tuple[int, str, str]]:
    return sorted(((a.row, a.name, a.must_hold) for a in ATTACKS), key=lambda one: one[0])


def table(reports: list[dict[str, Any]]) -> str:
    names: list[str] = []
    limits: dict[str, str] = {}
    for report in reports:
        for line in report["lines"]:
            if line["unit"] == "wrong":
                continue
            sign = "≥" if line["at_least"] else "≤"
            if line["name"] not in limits:
                names.append(line["name"])
                limits[line["name"]] = f"{sign} {number(line['limit'])} {line['unit']}".rstrip()
    names.sort(key=lambda name: COMMON.index(name) if name in COMMON else -1)
    titles = [f"{name} ({limits[name]})" for name in names]
    lines = [f"| | {' | '.join(titles)} | |", f"| --- |{' --: |' * len(names)} --- |"]
    for report in reports:
        by_name = {line["name"]: line for line in report["lines"]}
        cells = []
        for name in names:
            line = by_name.get(name)
            cells.append(
                "" if line is None else number(line["value"]) + ("" if line["holds"] else " ✗")
            )
        lines.append(f"| {report['subject']} | {' | '.join(cells)} | {remark(report)} |")
    return "\n".join(lines)


def remark(report: dict[str, Any]) -> str:
    """Say what was wrong that is no figure."""
    wrong = [
        line["name"] for line in report["lines"] if line["unit"] == "wrong" and not line["holds"]
    ]
    if report["error"]:
        wrong.append(report["error"].strip().splitlines()[-1][:120])
    return "; ".join(wrong) or ("✓" if report["holds"] else "✗")


def markdown(data: dict[str, Any]) -> str:
    """The whole report."""
    parts = ["# Attacks", where(data), summary(data)]
    if data["elsewhere"]:
        parts.append(elsewhere(data))
    return "\n\n".join([*parts, figures(data)]) + "\n"
