"""The process of a server that takes orders: ``python -m bench.contenders.stage MODULE PLAY …``.

PLAY is ``echo``, the server of the contender's module, or ``room``, that of ``rooms.py``. Orders
come on standard input, one a line; each is answered with a line of JSON.

- ``collect``: run the garbage collector.
- ``cast COUNT INTERVAL``: broadcast so often, every so many seconds.
- ``hold COUNT INTERVAL``: the same, while a task of the loop wants to run every millisecond;
  answers with the milliseconds that it was late at worst, for each broadcast.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from . import rooms
from .host import Options, loop_factory, server_context

TICK = 0.001
MESSAGE = json.dumps({"channel": "ticker", "symbol": "BTCUSDT", "price": "61250.37"}).ljust(95)


async def perform(module: str, play: str, fd: int, options: Options) -> None:
    listener = socket.socket(fileno=fd)
    cast: rooms.Cast | None = None
    if play == "room":
        cast = await getattr(rooms, module)(listener, options)
    else:
        server = importlib.import_module(f"bench.contenders.{module}_")
        # Most return when they serve; uvicorn never does.
        serving = asyncio.create_task(server.serve(listener, options))
        await asyncio.wait([serving], timeout=0.2)
    orders = await standard_input()
    while line := await orders.readline():
        name, *arguments = line.decode().split()
        answer: Any = None
        if name == "collect":
            gc.collect()
        elif name == "cast":
            assert cast is not None
            await cast_often(cast, int(arguments[0]), float(arguments[1]))
        elif name == "hold":
            assert cast is not None
            answer = await measure_hold(cast, int(arguments[0]), float(arguments[1]))
        print(json.dumps(answer), flush=True)


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def cast_often(cast: rooms.Cast, count: int, interval: float) -> None:
    for _ in range(count):
        sending = cast(MESSAGE)
        if sending is not None:
            await sending
        await asyncio.sleep(interval)


async def measure_hold(cast: rooms.Cast, count: int, interval: float) -> list[float]:
    late: list[float] = []
    for _ in range(count):
        worst = 0.0

        async def tick() -> None:
            nonlocal worst
            last = time.perf_counter()
            while True:
                await asyncio.sleep(TICK)
                now = time.perf_counter()
                worst = max(worst, now - last - TICK)
                last = now

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(5 * TICK)
        worst = 0.0
        await cast_often(cast, 1, interval)
        ticking.cancel()
        late.append(round(worst * 1e3, 3))
    return late


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("play", choices=["echo", "room"])
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--tls", type=Path, help="certificate and key of a TLS server")
    parser.add_argument("--compression", action="store_true")
    arguments = parser.parse_args()
    options = Options(server_context(arguments.tls), arguments.compression, arguments.tls)
    with asyncio.Runner(loop_factory=loop_factory(arguments.loop)) as runner:
        runner.run(perform(arguments.module, arguments.play, arguments.fd, options))
    # Whatever connections there are, nobody waits for them.
    os._exit(0)


if __name__ == "__main__":
    main()
