"""Scenarios 1 to 5: an echo server under load."""

from __future__ import annotations

from ..contenders import Contender
from ..processes import load, metrics_of, serving
from . import Metrics, Scenario, Timing


def echo(contender: Contender, loop: str, timing: Timing, **shape: object) -> Metrics:
    with serving(contender, loop) as (process, port):
        result = load(
            "echo",
            port,
            process.pid,
            seconds=timing.seconds,
            warm_up=timing.warm_up,
            unverified=not contender.verified,
            **shape,
        )
    return metrics_of(result)


def scenario(name: str, title: str, **shape: object) -> Scenario:
    return Scenario(
        name,
        title,
        lambda contender: contender.server,
        lambda contender, loop, timing: echo(contender, loop, timing, **shape),
    )


SCENARIOS = [
    scenario("1", "echo: 32 B, 1 connection, 1 in flight", depth=1),
    scenario("2", "echo: 32 B, 1 connection, 64 in flight", depth=64),
]
