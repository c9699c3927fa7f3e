"""A quick selection of the attacks, on every front end; ``make attacks`` has all, at full size."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import cast

import pytest

import ropeway

from ..support.require import unavailable

if sys.platform != "linux":
    pytest.skip("attackers read Linux's accounts of other processes", allow_module_level=True)

from .elsewhere import ROWS
from .harness import Attack, Line, Stage, Victim, honest, serving
from .rows import ATTACKS
from .subjects import OWN, Subject

ALL = set(range(1, 25))
QUICK = [
    (attack, subject)
    for attack in ATTACKS
    for subject in OWN
    if attack.quick
    and subject.front_end in attack.front_ends
    and subject.name.endswith("(pure)") == (ropeway.build == "pure")
]


@pytest.fixture(scope="module")
def control() -> Iterator[Victim]:
    """An honest peer of a server in peace: what the other tests do to the machine, it sees too."""
    subject = next(one for one in OWN if one.name.endswith("(pure)") == (ropeway.build == "pure"))
    with serving(subject, {}) as server, honest(server.port) as victim:
        yield victim


@pytest.mark.xdist_group("attacks")
@pytest.mark.parametrize(
    ("attack", "subject"), QUICK, ids=[f"{attack.id}-{one.front_end}" for attack, one in QUICK]
)
def test_attack(attack: Attack, subject: Subject, control: Victim) -> None:
    if shutil.which("gcc") is None:
        unavailable("gcc is not installed (apt-get install gcc)")
    if not subject.runs():
        unavailable(f"{subject.needs} is not installed")
    report = Stage(attack, subject, full=False, control=control).perform()
    assert report.error == ""
    lines = [line for line in report.lines if not line.holds]
    missed = [str(line) for line in lines if not attack.is_known(subject.front_end, line.name)]
    assert missed == [], report.figures


@pytest.mark.xdist_group("attacks")
def test_attacks_come_one_at_a_time(request: pytest.FixtureRequest) -> None:
    """pytest 9.2 lost the groups of pytest-xdist 3.8 without a word, and attacks met."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@attacks"), "run with --dist loadgroup"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_stand_for_tests_that_there_are(row: object) -> None:
    assert row.missing() == []  # type: ignore[attr-defined]


def test_every_row_is_there() -> None:
    assert {attack.row for attack in ATTACKS} | {row.row for row in ROWS} == ALL


@pytest.mark.parametrize(
    ("before", "in_peace", "usual"),
    [(None, None, None), (3.0, None, 3.0), (None, 7.0, 7.0), (3.0, 7.0, 7.0)],
)
def test_who_had_no_answer_says_nothing_of_what_is_usual(
    before: float | None, in_peace: float | None, usual: float | None
) -> None:
    class Peaceful:
        def figures(self) -> dict[str, object]:
            return {"p99_ms": in_peace}

    stage = Stage(ATTACKS[0], OWN[0], full=False, control=cast(Victim, Peaceful()))
    assert stage.usual() == in_peace  # there was no victim before
    stage.baseline = {"p99_ms": before}
    assert stage.usual() == usual
    stage._judge_victim({"p50_ms": None, "p99_ms": None, "max_ms": None, "ended": ""})
    (line,) = [line for line in stage.report.lines if line.name == "victim p99"]
    assert not line.holds
    stage._allow_for_noise()
    assert stage.report.figures["baseline_p99_ms"] == usual


def test_a_line_can_be_missed() -> None:
    assert not Line("growth", 2, 1, "MiB").holds
    assert not Line("rate kept", 79, 80, "%", at_least=True).holds
    assert str(Line("growth", 2, 1, "MiB")) == "growth: 2 > 1 MiB"
