"""What the goals say of records that are known."""

from __future__ import annotations

import pytest

from bench import report
from bench.contenders import CONTENDERS
from bench.goals import GOALS, METRICS, Goal, evaluate, judge
from bench.scenarios import all_scenarios


def measured(cpu: dict[tuple[str, str], float], scenario: str = "2") -> report.Medians:
    return {(scenario, *key): {"cpu_us": value} for key, value in cpu.items()}


@pytest.mark.parametrize(("own", "mark"), [(2.0, "✓"), (2.5, "✓"), (2.6, "✗")])
def test_a_multiple_of_a_peer_on_the_same_loop(own: float, mark: str) -> None:
    medians = measured(
        {("ropeway", "asyncio"): own, ("picows", "asyncio"): 10, ("picows", "uvloop"): 1}
    )
    verdict = judge(Goal("2", "cpu_us", 1 / 4, "picows"), "asyncio", medians)
    assert verdict.mark == mark
    assert verdict.value == own / 10


def test_the_floor_has_no_loop() -> None:
    medians = measured({("ropeway", "uvloop"): 3, ("C", "none"): 1})
    goal = Goal("2", "cpu_us", 4, "C")
    assert judge(goal, "uvloop", medians).mark == "✓"
    assert judge(goal, "asyncio", medians).met is None


@pytest.mark.parametrize(("own", "mark"), [(79.9, "✗"), (80, "✓")])
def test_at_least(own: float, mark: str) -> None:
    medians = {("11", "ropeway", "asyncio"): {"returned_percent": own}}
    goal = Goal("11", "returned_percent", 80, at_least=True)
    assert judge(goal, "asyncio", medians).mark == mark


@pytest.mark.parametrize(
    "cpu",
    [
        {},
        {("ropeway", "asyncio"): 1.0},
        {("picows", "asyncio"): 1.0},
        {("ropeway", "uvloop"): 1.0, ("picows", "uvloop"): 1.0},
    ],
)
def test_what_was_not_measured_says_so(cpu: dict[tuple[str, str], float]) -> None:
    verdict = judge(Goal("2", "cpu_us", 1, "picows"), "asyncio", measured(cpu))
    assert verdict.met is None
    assert str(verdict) == "— not measured"


def test_goals_name_what_there_is() -> None:
    scenarios = {scenario.name: scenario for scenario in all_scenarios()}
    for goal in GOALS:
        assert goal.metric in METRICS
        for name in {goal.own, goal.against} - {None}:
            assert scenarios[goal.scenario].has(CONTENDERS[name]), (goal.scenario, name)


def test_every_goal_is_in_the_report() -> None:
    header = {
        "date": "2026-11-23T05:00:00+00:00",
        "commit": "abc",
        "dirty": False,
        "cores": 2,
        "machine": "a machine",
        "kernel": "6",
        "python": "3.11",
        "versions": {"picows": "2.3.1"},
        "full": False,
        "rounds": 1,
        "load_average_before": 0.1,
    }
    records = [
        {
            "scenario": "2",
            "contender": contender,
            "loop": "asyncio",
            "round": 1,
            "metrics": {"cpu_us": cpu},
        }
        for contender, cpu in {"ropeway": 3.0, "picows": 14.0, "websockets": 20.0}.items()
    ]
    text = report.markdown({**header, "records": records})
    assert "| CPU ≤ 0.25 × picows | ✓ 0.21 × (3 / 14) | — not measured |" in text
    assert "| CPU ≤ 0.1 × websockets | ✗ 0.15 × (3 / 20) | — not measured |" in text
    marks = sum(len(verdicts) for verdicts in evaluate(report.medians({"records": records})))
    assert f"1 met ✓, 1 missed ✗, {marks - 2} not measured —." in text
