"""Scenario 12: what compression costs, and what it saves, on market data."""

from __future__ import annotations

import functools

from ..contenders import Contender
from ..crowd import staging, swarming
from ..ticks import stream
from . import Metrics, Scenario, Timing
from .memory import with_deflate


def echo(
    size: int, count: int, depth: int, contender: Contender, loop: str, timing: Timing
) -> Metrics:
    """Echo on one connection; the server decompresses and compresses every message."""
    sent = stream(size, count, compressed=True)
    mean = sent.payload_bytes / sent.messages
    with (
        staging(contender, loop, "echo", "--compression") as (server, port),
        swarming(port, compression=True) as swarm,
    ):
        swarm("open", 1)
        swarm("echo", sent.path, depth, timing.warm_up)
        before = server.cpu()
        _, frames, received, elapsed = swarm("echo", sent.path, depth, timing.seconds).split()
        cpu = server.cpu() - before
    messages = int(frames)
    if not messages:
        raise RuntimeError("nothing came back")
    return {
        "cpu_us": round(cpu / messages * 1e6, 3),
        "payload_mb_per_cpu_s": round(messages * mean / cpu / 1e6, 2),
        "messages_per_s": round(messages / float(elapsed), 1),
        "wire_ratio": round(int(received) / (messages * mean), 4),
    }


def takes_part(contender: Contender) -> bool:
    # ropeway does under the names of its backends.
    return with_deflate(contender) and contender.name not in ("ropeway", "ropeway (pure)")


def scenario(size: int, label: str, count: int, depth: int) -> Scenario:
    return Scenario(
        f"12-{label}",
        f"permessage-deflate: echo of JSON ticks of {label}, {depth} in flight",
        takes_part,
        functools.partial(echo, size, count, depth),
        quick_rounds=2,
    )


SCENARIOS = [
    scenario(200, "200B", 2_000, 32),
    scenario(2_048, "2KiB", 500, 16),
    scenario(65_536, "64KiB", 40, 4),
]
