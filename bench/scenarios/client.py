"""Scenarios 6 and 7: the client is measured, and the C server is its peer."""

from __future__ import annotations

from ..contenders import Contender
from ..processes import client, floor, metrics_of
from . import Metrics, Scenario, Timing
from .shapes import SHAPES, Shape

IDLE_CONNECTIONS = 1_000
IDLE_WARM_UP = 100
THREADED = frozenset({"ropeway.sync", "websockets.sync"})


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


def idle(contender: Contender, loop: str, timing: Timing) -> Metrics:
    with floor("echo") as (_, port):
        result = client(
            contender, loop, "idle", port, connections=IDLE_CONNECTIONS, warm_up=IDLE_WARM_UP
        )
    return {
        "threads_added": result["threads_added"],
        "kib_per_connection": round(result["bytes"] / result["connections"] / 1024, 2),
    }


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
        "6-idle",
        "1 000 idle clients of one program that has no event loop",
        lambda contender: contender.name in THREADED,
        idle,
        quick_rounds=1,
    ),
    Scenario(
        "7",
        "feed: 200 B of JSON as fast as the C server sends, consumed by a client",
        lambda contender: contender.client,
        consume,
    ),
]
