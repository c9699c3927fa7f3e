"""The table at the end: each program, and whether it did the same."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from .cases import CASES, Case
from .environments import interpreter, is_current

VERDICTS = pytest.StashKey[dict[Case, dict[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[VERDICTS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call" and isinstance(item, pytest.Function) and "case" in item.fixturenames:
        parameters = item.callspec.params
        verdicts = item.config.stash[VERDICTS].setdefault(parameters["case"], {})
        verdicts[parameters["build"]] = "same" if report.passed else "DIFFERENT"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    verdicts = config.stash[VERDICTS]
    if not verdicts:
        return
    rows = [("package", "version", "feature", "compiled", "pure")]
    versions = {name: installed(name) for name in {case.environment for case in verdicts}}
    for case in CASES:
        if case in verdicts:
            version = versions[case.environment].get(case.package, "?")
            builds = (verdicts[case].get(build, "-") for build in ("compiled", "pure"))
            rows.append((case.package, version, case.feature, *builds))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    terminalreporter.section("programs on ropeway, compared with websockets")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.line("  ".join(cells).rstrip())


def installed(environment: str) -> dict[str, str]:
    """List the versions in an environment, by the names of the packages."""
    if not is_current(environment):
        return {}
    listing = subprocess.run(
        [str(interpreter(environment)), "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.partition("==") for line in listing.stdout.splitlines())
    return {name.lower().replace("_", "-"): version for name, _, version in pairs}
