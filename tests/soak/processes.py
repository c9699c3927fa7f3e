"""The processes of the soak: a server, and clients that share the connections.

``python -m tests.soak.processes server`` prints its port once it listens, ``… clients PORT …`` a
line once it begins; both print what they counted, in JSON, when SIGTERM has told them to end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import sys
from typing import Any

from ropeway.asyncio.client import connect
from ropeway.asyncio.server import serve

from ..support.loops import LOOPS
from . import conversation
from .conversation import Client, Counts


def until_told() -> asyncio.Event:
    """Give an event that SIGTERM sets; a parent that is gone, which ends stdin, ends us at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(sys.stdin.fileno(), os._exit, 1)
    return stopping


async def run_server() -> Counts:
    counts = Counts()

    async def handler(ws: Any) -> None:
        await conversation.serve(ws, counts)

    stopping = until_told()
    async with serve(handler, "127.0.0.1", 0, backlog=1024, close_timeout=5) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stopping.wait()
    counts["tasks left"] = len(asyncio.all_tasks()) - 1
    counts["connections left"] = len(server.connections)
    gc.collect()
    counts["garbage"] = len(gc.garbage)
    return counts


async def run_clients(port: int, count: int, life: float, pause: float) -> Counts:
    counts = Counts()
    stopping = until_told()
    print("begins", flush=True)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            rng = random.Random()
            delay = number * min(20.0, life) / count
            group.create_task(_reconnect(port, life, pause, delay, rng, counts, stopping))
    return counts


async def _reconnect(
    port: int,
    life: float,
    pause: float,
    delay: float,
    rng: random.Random,
    counts: Counts,
    stopping: asyncio.Event,
) -> None:
    """Keep one place among the connections filled."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), delay)
    while not stopping.is_set():
        try:
            uri = f"ws://127.0.0.1:{port}/"
            async with connect(uri, proxy=None, open_timeout=60, close_timeout=5) as ws:
                counts["opened"] += 1
                await Client(ws, counts, rng).talk(rng.expovariate(1 / life), pause, stopping)
        except Exception as exc:
            counts[f"{type(exc).__name__}: {exc}"] += 1
            await asyncio.sleep(rng.uniform(1, 20))  # all at once, none would get through


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=sorted(LOOPS), default="asyncio")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("server")
    clients = kinds.add_parser("clients")
    clients.add_argument("port", type=int)
    clients.add_argument("count", type=int)
    clients.add_argument("life", type=float)
    clients.add_argument("pause", type=float)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=LOOPS[chosen.loop]) as runner:
        if chosen.kind == "server":
            counts = runner.run(run_server())
        else:
            counts = runner.run(run_clients(chosen.port, chosen.count, chosen.life, chosen.pause))
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
