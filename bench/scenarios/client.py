"""Scenarios 6 and 7: the client is measured, and the C server is its peer."""

from __future__ import annotations

from ..contenders import Contender
from ..processes import client, floor, metrics_of
from . import Metrics, Scenario, Timing
from .shapes import SHAPES, Shape


def echo(contender: Contender, loop: str, timing: Timing, shape: Shape) -> Metrics:
    with floor("echo") as (_, port):
        result = client(
            contender,
            loop,
            "echo",
            port,
            seconds=timing.seconds,
            warm_up=timing.warm_up,
            **shape.options(),
        )
    return metrics_of(result)


def consume(contender: Contender, loop: str, timing: Timing) -> Metrics:
    with floor("feed") as (_, port):
        result = client(
            contender, loop, "consume", port, seconds=timing.seconds, warm_up=timing.warm_up
        )
    return metrics_of(result)


def scenario(shape: Shape) -> Scenario:
    return Scenario(
        f"6-{shape.name}",
        f"echo client: {shape.title}",
        lambda contender: contender.client,
        lambda contender, loop, timing: echo(contender, loop, timing, shape),
        quick=shape.quick_client,
        # Goals are about one message in flight, and about the feed.
        quick_rounds=None if shape.name == "1" else 1,
    )


SCENARIOS = [
    *[scenario(shape) for shape in SHAPES],
    Scenario(
        "7",
        "feed: 200 B of JSON as fast as the C server sends, consumed by a client",
        lambda contender: contender.client,
        consume,
    ),
]
