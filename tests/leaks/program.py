"""A long run in a process of its own, both ends in one loop, that tells what memory it holds.

``python -m tests.leaks.program KIND COUNT --loop NAME`` prints a JSON object: the samples, and what
the garbage collector, which is off meanwhile, finds at the end.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import collections
import contextlib
import gc
import json
import logging
import os
import random
import socket
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import ropeway
from ropeway.asyncio.client import connect
from ropeway.asyncio.server import broadcast, serve
from ropeway.exceptions import ConnectionClosed, InvalidStatus

from ..support.loops import LOOPS

SAMPLES = 25

Sample = Callable[[int], Awaitable[None]]


async def echo(ws: Any) -> None:
    async for message in ws:
        if message == "fail":
            raise RuntimeError("as the client wished")
        if message == "close":
            await ws.close(1001, "as the client wished")
        if message == "abort":
            ws.transport.abort()
            return
        await ws.send(message)


def refuse(ws: Any, request: Any) -> Any:
    return ws.respond(403, "no\n") if request.path == "/refused" else None


@contextlib.asynccontextmanager
async def server(**options: Any) -> AsyncIterator[str]:
    options = {"max_size": None, "process_request": refuse, **options}
    async with serve(echo, "127.0.0.1", 0, **options) as listening:
        scheme = "wss" if "ssl" in options else "ws"
        yield f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


# The loops' transports for TLS are cycles and hold 250 KiB each: hundreds of them that wait for the
# collector would leave holes in the heap, which then are most of what is measured.
TLS_CYCLES = 10

# Messages


async def plain_messages(count: int, sample: Sample) -> None:
    """Echo small messages, with 50 in flight."""
    async with server(compression=None) as uri, connect(uri, proxy=None, compression=None) as ws:
        done = 0
        while done < count:
            for _ in range(50):
                await ws.send("a small message")
            for _ in range(50):
                await ws.recv()
            done += 50
            await sample(done)


async def mixed_messages(count: int, sample: Sample) -> None:
    """Send and receive in every way there is, compressed or not."""
    rng = random.Random(count)
    async with (
        server() as uri,
        connect(uri, proxy=None, max_size=None) as first,
        connect(uri, proxy=None, max_size=None, compression=None) as second,
    ):
        done = 0
        while done < count:
            for ws in (first, second):
                await exchange(ws, rng)
            broadcast([first, second], "to both")
            for ws in (first, second):
                await ws.recv()
            done += 14
            await sample(done)


async def exchange(ws: Any, rng: random.Random) -> None:
    """Send six messages and receive them."""
    size = rng.choice([0, 10, 125, 126, 1000, 70_000])
    await ws.send(bytes(size))
    await asyncio.wait_for(ws.recv(), 60)
    await ws.send(["é" * size, "fragment"])
    async with asyncio.timeout(60):
        async for _ in ws.recv_streaming():
            pass
    await ws.send_json({"size": size})
    await ws.recv_json(timeout=60)
    receiving = asyncio.create_task(ws.recv())
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])
    with contextlib.suppress(TimeoutError):
        await ws.recv(timeout=0)
    await (await ws.ping())
    await asyncio.gather(ws.send("a"), ws.send("b"))
    await asyncio.create_task(ws.recv())
    await anext(aiter(ws))
    ws.recv().close()
    await ws.send("last")
    async for _ in ws:
        break


# Connections


async def plain_connections(count: int, sample: Sample) -> None:
    """Open, exchange a message, and close."""
    async with server() as uri:
        for done in range(1, count + 1):
            async with connect(uri, proxy=None) as ws:
                await ws.send("x")
                await ws.recv()
            await sample(done)


async def mixed_connections(count: int, sample: Sample) -> None:
    """Let connections end, or fail to open, in every way there is."""
    async with server() as uri:
        for done in range(1, count + 1):
            await ENDS[done % len(ENDS)](uri)
            await sample(done)


async def tls_connections(count: int, sample: Sample) -> None:
    """Open over TLS, exchange a message, and close."""
    from ..support.tls import make_tls

    with tempfile.TemporaryDirectory() as directory:
        tls = make_tls(Path(directory))
    async with server(ssl=tls.server_context) as uri:
        for done in range(1, count + 1):
            async with connect(uri, proxy=None, ssl=tls.client_context) as ws:
                await ws.send("x")
                await ws.recv()
            if done % TLS_CYCLES == 0:
                gc.collect()
            await sample(done)


async def refused(uri: str) -> None:
    with contextlib.suppress(InvalidStatus):
        await connect(f"{uri}refused", proxy=None)


async def cancelled(uri: str) -> None:
    task = asyncio.create_task(awaited(connect(uri, proxy=None)))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        (await task).transport.abort()


async def awaited(awaitable: Any) -> Any:
    return await awaitable


async def garbage(uri: str) -> None:
    # Not with a stream, whose transport would be asyncio's: that is a cycle.
    host, port = uri.removeprefix("ws://").rstrip("/").split(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, int(port)))
        await loop.sock_sendall(sock, b"no request\r\n\r\n")
        while await loop.sock_recv(sock, 4096):
            pass


def asked(wish: str) -> Callable[[str], Awaitable[None]]:
    async def end(uri: str) -> None:
        async with connect(uri, proxy=None) as ws:
            await ws.send(wish)
            with contextlib.suppress(ConnectionClosed):
                await ws.recv()

    return end


async def aborted(uri: str) -> None:
    ws = await connect(uri, proxy=None)
    receiving = asyncio.create_task(ws.recv())
    await asyncio.sleep(0)
    ws.transport.abort()
    await asyncio.wait([receiving])
    receiving.exception()
    await ws.wait_closed()


async def left(uri: str) -> None:
    """Close with a ping that nobody waits for and messages that nobody took."""
    ws = await connect(uri, proxy=None)
    await ws.ping()
    await ws.send("x")
    await ws.send("y")
    await ws.close()


ENDS = [refused, cancelled, garbage, asked("fail"), asked("close"), asked("abort"), aborted, left]

KINDS: dict[str, Callable[[int, Sample], Awaitable[None]]] = {
    one.__name__: one
    for one in (
        plain_messages,
        mixed_messages,
        plain_connections,
        mixed_connections,
        tls_connections,
    )
}


# Measuring


def resident() -> int:
    """Give the resident memory in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


class Sampler:
    """Notes what is held, SAMPLES times in a run, without holding more for it each time."""

    FIELDS = ("done", "traced", "blocks", "resident", "descriptors")

    def __init__(self, count: int, collect: bool) -> None:
        self.every = max(1, count // SAMPLES)
        self.due = self.every
        self.collect = collect
        self.noted = array.array("q", bytes(8 * len(self.FIELDS) * (SAMPLES + 1)))
        self.size = 0

    async def __call__(self, done: int) -> None:
        """Sample if it is time to, once nothing is there but what is kept."""
        if done < self.due or self.size == len(self.noted):
            return
        self.due += self.every
        for _ in range(20):  # what is over goes away within some turns
            await asyncio.sleep(0.001)
        if self.collect:
            gc.collect()
        for value in (
            done,
            tracemalloc.get_traced_memory()[0],
            sys.getallocatedblocks(),
            resident(),
            descriptors(),
        ):
            self.noted[self.size] = value
            self.size += 1

    def samples(self) -> list[dict[str, int]]:
        width = len(self.FIELDS)
        rows = [self.noted[start : start + width] for start in range(0, self.size, width)]
        return [dict(zip(self.FIELDS, row, strict=True)) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--traced", action="store_true", help="trace allocations; slow")
    parser.add_argument("--collect", action="store_true", help="collect garbage before a sample")
    options = parser.parse_args()
    logging.disable()
    if options.traced:
        tracemalloc.start()
    gc.collect()
    gc.freeze()
    gc.disable()
    sampler = Sampler(options.count, options.collect)
    with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
        runner.run(KINDS[options.kind](options.count, sampler))
    tracemalloc.stop()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    garbage = collections.Counter(
        f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage
    )
    result = {"build": ropeway.build, "samples": sampler.samples(), "garbage": dict(garbage)}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
