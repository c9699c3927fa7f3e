"""Scenario 9: connections that are opened and closed, and nothing else."""

from __future__ import annotations

from ..contenders import Contender
from ..processes import load, metrics_of, serving
from . import Metrics, Scenario, Timing

AT_ONCE = 8


def handshakes(contender: Contender, loop: str, timing: Timing) -> Metrics:
    with serving(contender, loop) as (process, port):
        result = load(
            "handshakes",
            port,
            process.pid,
            connections=AT_ONCE,
            seconds=timing.seconds,
            warm_up=timing.warm_up,
        )
    return metrics_of(result)


SCENARIOS = [
    Scenario(
        "9",
        f"handshakes: open, 101, Close, Close; {AT_ONCE} connections at once",
        lambda contender: contender.server,
        handshakes,
    )
]
