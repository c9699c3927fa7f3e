"""Run the Autobahn test suite against ropeway and hold it to the strictest reading.

Every case has to end OK or INFORMATIONAL, for its behaviour and for its closing alike: FAILED,
NON-STRICT, UNCLEAN and a case that did not run all count as failures.

The suite itself lies outside of the project: ``AUTOBAHN_DIR`` (default: ../shared/autobahn) names
the directory of its scripts, which install it into ``AUTOBAHN_CACHE`` (default: .cache/autobahn).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

ALL_CASES = 517
QUICK_CASES = 301
SLOW_GROUPS = "12.* 13.*"
"""Compression, message by message: fifteen minutes a side."""

STRICT = {"OK", "INFORMATIONAL"}

SIDES = {
    "server": ("run_fuzzingclient.sh", "echo_server.py", ["{port}"]),
    "client": ("run_fuzzingserver.sh", "echo_client.py", ["{url}", "{agent}"]),
}

DRIVERS = {"asyncio": "", "uvloop": "uvloop_", "sync": "sync_", "trio": "trio_"}
"""What the names of their programs begin with."""


@dataclass(frozen=True)
class Outcome:
    """What one run of the suite said of one side of one build."""

    build: str
    driver: str
    side: str
    behaviour: Counter[str]
    closing: Counter[str]
    failed: list[str]
    seconds: float

    @property
    def passed(self) -> int:
        return self.behaviour.total() - len(self.failed)


def main() -> int:
    options = parse_arguments()
    expected = QUICK_CASES if options.quick else ALL_CASES
    scripts = Path(os.environ.get("AUTOBAHN_DIR", ROOT.parent / "shared" / "autobahn")).resolve()
    cache = Path(os.environ.get("AUTOBAHN_CACHE", ROOT / ".cache" / "autobahn")).resolve()
    if not (scripts / "install.sh").exists():
        print(f"no Autobahn scripts in {scripts}; set AUTOBAHN_DIR", file=sys.stderr)
        return 2
    subprocess.run([scripts / "install.sh", cache], check=True)

    outcomes = []
    for build, driver, side in itertools.product(options.build, options.driver, options.side):
        print(f"\n{driver} {side}, {build} build:", flush=True)
        outcomes.append(play(scripts, cache, build, driver, side, options))
    report(outcomes)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    missing = sum(max(0, expected - outcome.behaviour.total()) for outcome in outcomes)
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed + missing} failed")
    return 1 if failed or missing else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"leave out {SLOW_GROUPS}")
    parser.add_argument("--side", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--driver", nargs="+", choices=list(DRIVERS), default=list(DRIVERS))
    parser.add_argument(
        "--build", nargs="+", choices=["compiled", "pure"], default=["compiled", "pure"]
    )
    parser.add_argument("--jobs", type=int, default=2, help="parts that run at the same time")
    parser.add_argument(
        "--out", type=Path, default=ROOT / ".cache" / "autobahn-reports", help="for the reports"
    )
    return parser.parse_args()


def play(
    scripts: Path, cache: Path, build: str, driver: str, side: str, options: argparse.Namespace
) -> Outcome:
    """Run the suite once and read its index."""
    script, testee, arguments = SIDES[side]
    testee = DRIVERS[driver] + testee
    out = options.out.resolve() / f"{driver}-{side}-{build}"
    index = out / "index.json"
    index.unlink(missing_ok=True)
    started = time.monotonic()
    subprocess.run(
        [scripts / script, cache, out, "--jobs", str(options.jobs), "--agent", "ropeway"]
        + (["--exclude", SLOW_GROUPS] if options.quick else [])
        + ["--", sys.executable, str(HERE / testee), *arguments],
        env={**os.environ, "ROPEWAY_PURE": "1" if build == "pure" else "0"},
        check=False,  # its verdict is milder than ours; without an index nothing has passed
    )
    cases = json.loads(index.read_text()).get("ropeway", {}) if index.exists() else {}
    return Outcome(
        build=build,
        driver=driver,
        side=side,
        behaviour=Counter(case["behavior"] for case in cases.values()),
        closing=Counter(case["behaviorClose"] for case in cases.values()),
        failed=sorted(name for name, case in cases.items() if not is_strict(case)),
        seconds=time.monotonic() - started,
    )


def is_strict(case: dict[str, str]) -> bool:
    return case["behavior"] in STRICT and case["behaviorClose"] in STRICT


def report(outcomes: list[Outcome]) -> None:
    """Print a line for each run, and the cases that failed."""
    print(f"\n{'build':9} {'driver':8} {'side':7} {'cases':>5} {'seconds':>7}  behaviour / closing")
    for outcome in outcomes:
        print(
            f"{outcome.build:9} {outcome.driver:8} {outcome.side:7} {outcome.behaviour.total():5} "
            f"{outcome.seconds:7.0f}  {tally(outcome.behaviour)} / {tally(outcome.closing)}"
        )
        if outcome.failed:
            print(f"{'':27}not strict: {' '.join(outcome.failed)}")


def tally(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing ran"


if __name__ == "__main__":
    sys.exit(main())
