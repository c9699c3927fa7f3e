"""Scenarios 10 and 11: the memory of connections that do nothing, and of those that come and go."""

from __future__ import annotations

import functools
import sys
import time

from ..certificate import certificate_file
from ..contenders import Contender
from ..crowd import Talker, staging, swarming, talking
from ..processes import cores
from ..ticks import stream
from ..waves import settled, waves
from . import Metrics, Scenario, Timing

CONNECTIONS = 2_000
WARM_UP = 300
# How long compressed connections have been silent when they are weighed: what is given back after
# some idle time should have been, and keepalive (20 s, with most contenders) should not have begun.
IDLE = 8.0
WAVE = 3_000
SLOW_PEERS = frozenset({"aiohttp", "picows.websockets"})


def with_deflate(contender: Contender) -> bool:
    return contender.server and contender.module in {
        "ropeway",
        "websockets",
        "aiohttp",
        "picows_websockets",
        "uvicorn",
        "wsproto",
    }


def idle(compression: bool, contender: Contender, loop: str, timing: Timing) -> Metrics:
    """Weigh connections that have exchanged one message each way."""
    hello = stream(200, 1, compressed=compression).path
    arguments = ["--compression"] if compression else []
    with (
        staging(contender, loop, "echo", *arguments) as (server, port),
        swarming(port, compression=compression) as swarm,
    ):
        swarm("open", WARM_UP)
        swarm("send", hello, 1)
        swarm("close")
        before = settled(server)
        swarm("open", CONNECTIONS)
        swarm("send", hello, 1)
        at_once = server.rss()
        time.sleep(IDLE if compression else 0)
        return weighed(server, before, at_once)


def idle_tls(contender: Contender, loop: str, timing: Timing) -> Metrics:
    with (
        staging(contender, loop, "echo", "--tls", str(certificate_file())) as (server, port),
        talking([sys.executable, "-m", "bench.tls_crowd", str(port)], cores.peer) as crowd,
    ):
        crowd("open", WARM_UP)
        crowd("close")
        before = settled(server)
        crowd("open", CONNECTIONS)
        at_once = server.rss()
        return weighed(server, before, at_once)


def weighed(server: Talker, before: int, at_once: int) -> Metrics:
    server.settle()
    server("collect")
    return {
        "kib_per_connection": round((server.rss() - before) / CONNECTIONS / 1024, 2),
        "kib_before_idle": round((at_once - before) / CONNECTIONS / 1024, 2),
    }


def churn(contender: Contender, loop: str, timing: Timing) -> Metrics:
    """Let waves of connections come, talk, and go."""
    talk = stream(200, 5, compressed=True)
    with (
        staging(contender, loop, "echo", "--compression") as (server, port),
        swarming(port, compression=True) as swarm,
    ):
        return waves(server, swarm, talk, WARM_UP, WAVE)


SCENARIOS = [
    Scenario(
        "10-plain",
        "idle memory of a connection",
        lambda contender: contender.server and contender.module not in {"bare", "floor", "node"},
        functools.partial(idle, False),
        quick_rounds=1,
    ),
    Scenario(
        "10-deflate",
        "idle memory of a connection that has compressed and decompressed a message",
        with_deflate,
        functools.partial(idle, True),
        quick_rounds=1,
        quick_without=SLOW_PEERS,
    ),
    Scenario(
        "10-tls",
        "idle memory of a connection over TLS",
        lambda contender: (
            contender.server and contender.tls and contender.module not in {"bare", "floor", "node"}
        ),
        idle_tls,
        quick_rounds=1,
        quick_without=SLOW_PEERS | {"picows"},
    ),
    Scenario(
        "11",
        "churn: four waves of 3 000 compressed connections",
        with_deflate,
        churn,
        quick_rounds=1,
        quick_without=SLOW_PEERS,
    ),
]
