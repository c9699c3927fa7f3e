"""Scenario 8: one message to 4 000 subscribers."""

from __future__ import annotations

import functools

from ..contenders import Contender
from ..crowd import held, staging, swarming
from . import Metrics, Scenario, Timing

SUBSCRIBERS = 4_000
# Long enough for the slowest of the contenders, and for the subscribers to have read it all.
INTERVAL = 0.25
ROOMS = {"ropeway", "picows", "picows_websockets", "websockets", "aiohttp", "bare_sends"}


def broadcast(compression: bool, contender: Contender, loop: str, timing: Timing) -> Metrics:
    arguments = ["--compression"] if compression else []
    count = max(5, round(20 * timing.seconds))
    with (
        staging(contender, loop, "room", *arguments) as (server, port),
        swarming(port, compression=compression) as swarm,
    ):
        swarm("open", SUBSCRIBERS)
        server("cast", 2, INTERVAL)
        swarm("expect", 2 * SUBSCRIBERS)
        swarm("reset")
        before = server.cpu()
        server("cast", count, INTERVAL)
        cpu = server.cpu() - before
        _, frames, size = swarm("expect", count * SUBSCRIBERS).split()
        late = sorted(held(server("hold", count, INTERVAL)))
    deliveries = count * SUBSCRIBERS
    return {
        "cpu_us": round(cpu / deliveries * 1e6, 3),
        "frame_bytes": round(int(size) / int(frames), 1),
        "held_p50_ms": late[len(late) // 2],
        "held_max_ms": late[-1],
    }


def takes_part(compression: bool, contender: Contender) -> bool:
    # picows has no compression outside of its API of websockets.
    return contender.module in ROOMS and not (compression and contender.module == "picows")


def scenario(name: str, title: str, *, compression: bool) -> Scenario:
    return Scenario(
        name,
        title,
        functools.partial(takes_part, compression),
        functools.partial(broadcast, compression),
        quick_rounds=1,
        quick_without=frozenset({"aiohttp"}),
    )


SCENARIOS = [
    scenario("8-plain", "broadcast: 95 B to 4 000 subscribers", compression=False),
    scenario("8-deflate", "broadcast: 95 B to 4 000 subscribers, compressed", compression=True),
]
