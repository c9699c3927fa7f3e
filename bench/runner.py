"""Runs the scenarios and writes the records."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, NO_LOOP, THREADS, TRIO, Contender, installed
from .machine import describe
from .processes import cores
from .report import as_text
from .scenarios import Scenario, Timing, all_scenarios
from .tools import ROOT, program

QUICK = Timing(seconds=0.22, warm_up=0.08)
FULL = Timing(seconds=0.7, warm_up=0.2)
QUICK_ROUNDS = 3
FULL_ROUNDS = 5


@dataclass(frozen=True)
class Plan:
    """What runs."""

    scenarios: Sequence[Scenario]
    contenders: Sequence[Contender]
    loops: Sequence[str]
    rounds: int
    timing: Timing
    full: bool
    named: bool
    """Whether the contenders were asked for by name."""

    @classmethod
    def choose(
        cls,
        *,
        full: bool = False,
        only: Sequence[str] | None = None,
        contenders: Sequence[str] | None = None,
        loops: Sequence[str] | None = None,
        rounds: int | None = None,
        seconds: float | None = None,
    ) -> Plan:
        """Make the plan of a quick or full run, narrowed to what is named.

        Args:
            full: whether all contenders and scenarios run, on both loops, for longer.
            only: numbers (``5``) or names (``5-1MiB-text``) of scenarios.
            contenders: names of contenders.
            loops: ``asyncio``, ``uvloop``.
            rounds: how often everything runs.
            seconds: how long the clock runs, each time.

        Raises:
            SystemExit: if a name is unknown.
        """
        chosen = [
            scenario
            for scenario in all_scenarios()
            if (full or scenario.quick)
            if only is None or not {scenario.name, str(scenario.number)}.isdisjoint(only)
        ]
        unknown = set(contenders or ()) - CONTENDERS.keys()
        if unknown or not chosen:
            raise SystemExit(f"unknown: {', '.join(sorted(unknown)) or only}\n\n{listing()}")
        timing = FULL if full else QUICK
        if seconds is not None:
            timing = Timing(seconds, min(timing.warm_up, seconds))
        return cls(
            scenarios=chosen,
            contenders=[
                contender
                for name, contender in CONTENDERS.items()
                if (name in contenders if contenders else full or contender.quick)
                if installed(contender)
            ],
            loops=loops or (("asyncio", "uvloop") if full else ("asyncio",)),
            rounds=rounds or (FULL_ROUNDS if full else QUICK_ROUNDS),
            timing=timing,
            full=full,
            named=contenders is not None,
        )

    def rounds_of(self, scenario: Scenario) -> int:
        if self.full or scenario.quick_rounds is None:
            return self.rounds
        return min(self.rounds, scenario.quick_rounds)

    def has(self, scenario: Scenario, contender: Contender) -> bool:
        if not scenario.has(contender):
            return False
        if self.named or self.full:
            return True
        return contender.is_quick(scenario.name) and contender.name not in scenario.quick_without

    def turns(self) -> Iterator[tuple[Scenario, Contender, str, int]]:
        """Yield what runs, in order: all contenders of a scenario in turn, round by round."""
        for scenario in self.scenarios:
            for number in range(1, self.rounds_of(scenario) + 1):
                for loop in (*self.loops, *TRIO, *THREADS, *NO_LOOP):
                    for contender in self.contenders:
                        if loop in contender.loops and self.has(scenario, contender):
                            yield scenario, contender, loop, number


def run(plan: Plan, out: Path) -> dict[str, Any]:
    """Run a plan, write its records to a file, and return all that the file holds."""
    for name in ("load", "server", "swarm", "flood"):
        program(name)
    check_builds(plan)
    header = {**describe(), "full": plan.full, "rounds": plan.rounds}
    began = time.monotonic()
    records: list[dict[str, Any]] = []
    data = {**header, "seconds": plan.timing.seconds, "elapsed_s": 0.0, "records": records}
    out.parent.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        data["elapsed_s"] = round(time.monotonic() - began, 1)
        out.write_text(as_text(data), encoding="utf-8")

    try:
        with cores.share_with_peer():
            for record in measure(plan):
                # What was measured is not lost when a long run is killed.
                if records and record["scenario"] != records[-1]["scenario"]:
                    save()
                records.append(record)
    finally:
        save()
    return data


def check_builds(plan: Plan) -> None:
    """Import ropeway as its contenders will: an old build is noticed now, not after hours.

    Raises:
        RuntimeError: if a build that takes part cannot be imported.
    """
    for contender in plan.contenders:
        if contender.module == "ropeway":
            process = subprocess.run(
                [sys.executable, "-c", "import ropeway; ropeway.serve"],
                env={**os.environ, **contender.environment},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if process.returncode:
                raise RuntimeError(f"{contender.name} cannot be imported:\n{process.stderr}")


def measure(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a record for each turn: what it is of, and its metrics or its error."""
    began = time.monotonic()
    last = None
    for scenario, contender, loop, number in plan.turns():
        if last != (scenario.name, number):
            last = (scenario.name, number)
            elapsed = time.monotonic() - began
            print(f"{elapsed:5.0f} s  {scenario.name}, round {number}", file=sys.stderr)
        record: dict[str, Any] = {
            "scenario": scenario.name,
            "contender": contender.name,
            "loop": loop,
            "round": number,
        }
        timing = replace(plan.timing, warm_up=max(plan.timing.warm_up, contender.warm_up))
        try:
            record["metrics"] = scenario.measure(contender, loop, timing)
        except RuntimeError as error:
            # A contender that cannot do something is a result too; the others still run.
            print(f"{scenario.name}, {contender.name}, {loop}: {error}", file=sys.stderr)
            record["error"] = str(error)
        yield record


def listing() -> str:
    """List the scenarios and the contenders."""
    lines = [f"{scenario.name:20} {scenario.title}" for scenario in all_scenarios()]
    return "\n".join([*lines, "", *CONTENDERS])
