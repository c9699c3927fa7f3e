"""Run attacks and write what came of them: ``python -m tests.attacks``, which ``make attacks`` is.

``--rows 5 6`` and ``--subjects asyncio picows`` choose; ``--quick`` takes the sizes of the tests.
Results are added to those of the file that is there, so that a run may be done in parts.
``publish FILE`` puts one into the documentation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.processes import cores
from bench.tools import ROOT

from . import elsewhere, publish, report
from .harness import Attack, Report, Stage, honest, serving
from .rows import ATTACKS
from .subjects import SUBJECTS, Subject

OUT = ROOT / "build" / "attacks"


def runs(attack: Attack, subject: Subject) -> bool:
    if subject.is_peer:
        return subject.name in attack.peers
    return subject.front_end in attack.front_ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", default="run", choices=["run", "publish"])
    parser.add_argument("file", nargs="?", type=Path, default=OUT / "attacks.json")
    parser.add_argument("--rows", type=int, nargs="*", help="numbers of attacks; all without")
    parser.add_argument("--subjects", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="forget what the file has")
    given = parser.parse_args()
    if given.command == "publish":
        publish.publish(json.loads(given.file.read_text(encoding="utf-8")))
        return
    data: dict[str, Any] = {"reports": [], "elsewhere": []}
    if given.file.exists() and not given.fresh:
        data = json.loads(given.file.read_text(encoding="utf-8"))
    data["header"] = report.header(not given.quick)
    wanted = set(given.rows) if given.rows else None
    control = SUBJECTS["asyncio"]
    with (
        cores.share_with_peer(),
        serving(control, {}) as server,
        honest(server.port) as peaceful,
    ):
        for attack in ATTACKS:
            for name in given.subjects:
                subject = SUBJECTS[name]
                if (wanted is None or attack.row in wanted) and runs(attack, subject):
                    if subject.runs():
                        one = Stage(
                            attack, subject, full=not given.quick, control=peaceful
                        ).perform()
                        show(one)
                        keep(data["reports"], one.as_data(), ("row", "attack", "subject"))
                        write(data, given.file)
    for row in elsewhere.ROWS:
        if wanted is None or row.row in wanted:
            for pure in (False, True):
                found = elsewhere.run(row, pure)
                print(found, flush=True)
                keep(data["elsewhere"], found, ("row", "attack", "build"))
    write(data, given.file)


def keep(records: list[dict[str, Any]], news: dict[str, Any], names: tuple[str, ...]) -> None:
    """Put a record in the place of an older one of the same."""
    same = [one for one in records if all(one[name] == news[name] for name in names)]
    for one in same:
        records.remove(one)
    records.append(news)


def show(one: Report) -> None:
    head = f"{one.row:>2} {one.attack} on {one.subject}"
    print(f"{head}: {'; '.join(one.misses) or 'holds'} ({one.figures['seconds']} s)", flush=True)


def write(data: dict[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(publish.as_text(data), encoding="utf-8")
    file.with_suffix(".md").write_text(report.markdown(data), encoding="utf-8")


if __name__ == "__main__":
    main()
