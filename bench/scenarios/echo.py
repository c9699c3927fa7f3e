"""Scenarios 1 to 5: an echo server under load."""

from __future__ import annotations

from ..contenders import Contender
from ..processes import load, metrics_of, serving
from . import Metrics, Scenario, Timing
from .shapes import MIB, SHAPES, Shape


def echo(contender: Contender, loop: str, timing: Timing, shape: Shape) -> Metrics:
    with serving(contender, loop) as (process, port):
        result = load(
            "echo",
            port,
            process.pid,
            seconds=timing.seconds * shape.longer,
            warm_up=timing.warm_up,
            unverified=not contender.verified,
            **shape.options(),
        )
    return metrics_of(result)


def scenario(shape: Shape) -> Scenario:
    return Scenario(
        shape.name,
        f"echo server: {shape.title}",
        lambda contender: contender.server,
        lambda contender, loop, timing: echo(contender, loop, timing, shape),
        quick=shape.quick,
        quick_rounds=2 if shape.size >= MIB else None,
    )


SCENARIOS = [scenario(shape) for shape in SHAPES]
