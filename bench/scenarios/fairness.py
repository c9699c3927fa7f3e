"""Scenario 14: what one connection that floods does to the others."""

from __future__ import annotations

import functools

from ..contenders import Contender
from ..crowd import flood, staging
from . import Metrics, Scenario, Timing

# Together they ask for 2 500 echoes a second: a few per cent of a core from a good server, so that
# the flooding connection could have the rest.
OTHERS = 5


def fairness(kind: str, contender: Contender, loop: str, timing: Timing) -> Metrics:
    seconds = 2 * timing.seconds
    solo = run(contender, loop, kind, 0, seconds)
    both = run(contender, loop, kind, OTHERS, seconds)
    rate, solo_rate = both["flood_frames_per_second"], solo["flood_frames_per_second"]
    return {
        "p50_ms": both["p50_ms"],
        "p99_ms": both["p99_ms"],
        "max_ms": both["max_ms"],
        "unanswered": both["unanswered"],
        "flood_per_s": rate,
        "flood_solo_per_s": solo_rate,
        "flood_kept_percent": round(100 * rate / solo_rate, 1) if solo_rate > 0 else 0.0,
        # Less than 1 with nothing to wait for means that others had the core.
        "server_busy": both["server_busy"],
        "server_busy_solo": solo["server_busy"],
    }


def run(
    contender: Contender, loop: str, kind: str, others: int, seconds: float
) -> dict[str, float]:
    with staging(contender, loop, "echo") as (server, port):
        return flood(port, server.process.pid, kind, others, seconds)


# Three rounds of two say more of the goals than one of five.
SLOW_PEERS = frozenset({"picows.websockets", "websockets", "aiohttp"})


def takes_part(contender: Contender) -> bool:
    return contender.server and contender.module not in {"bare", "floor", "node"}


def scenario(kind: str, title: str) -> Scenario:
    return Scenario(
        f"14-{kind}",
        f"fairness: a flood of {title}, while {OTHERS} others echo 32 B every 2 ms",
        takes_part,
        functools.partial(fairness, kind),
        quick_without=SLOW_PEERS,
    )


def quiet(contender: Contender, loop: str, timing: Timing) -> Metrics:
    """Measure the others without a flood."""
    result = run(contender, loop, "none", OTHERS, 2 * timing.seconds)
    return {name: result[name] for name in ("p50_ms", "p99_ms", "max_ms", "unanswered")}


SCENARIOS = [
    Scenario(
        "14-quiet",
        f"fairness: no flood, {OTHERS} connections echo 32 B every 2 ms",
        takes_part,
        quiet,
        quick_without=SLOW_PEERS,
    ),
    scenario("messages", "2-byte messages"),
    scenario("fragments", "empty fragments"),
    scenario("pings", "pings"),
]
