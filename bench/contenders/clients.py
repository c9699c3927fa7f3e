"""What a measured client has to do, and its clock: the process measures itself."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPENING_TIMEOUT = 20
LEAST_SHARE = 0.2
PATIENCE = 5
TEXT, BINARY = 1, 2
TASKS = "/proc/self/task"


class Counter:
    """The messages of one connection."""

    def __init__(self) -> None:
        self.value = 0


class Job:
    """Connections to open, and messages to keep in flight on each.

    A client opens its connection, takes a counter, waits with ``begin()`` until all are open,
    sends ``messages`` and from then on sends back whatever comes, until the process ends.
    """

    def __init__(self, connections: int, seconds: float, warm_up: float) -> None:
        self.connections = connections
        self.seconds = seconds
        self.warm_up = warm_up
        self.payloads: list[bytes] = []
        self.messages: list[str] | list[bytes] = []
        self.text = True
        self._counters: list[Counter] = []
        self._opened = 0
        self._all_open = asyncio.Event()
        self._barrier = threading.Barrier(connections + 1)

    @classmethod
    def parse(cls, arguments: list[str]) -> Job:
        parser = argparse.ArgumentParser()
        parser.add_argument("--connections", type=int, default=1)
        parser.add_argument("--seconds", type=float, required=True)
        parser.add_argument("--warm-up", type=float, required=True)
        parser.add_argument("--depth", type=int, default=1)
        parser.add_argument("--size", type=int, default=32)
        parser.add_argument("--opcode", type=int, default=TEXT)
        parser.add_argument("--payloads", type=Path)
        parser.add_argument("--url", required=True)
        options = parser.parse_args(arguments)
        job = cls(options.connections, options.seconds, options.warm_up)
        job.url = options.url
        if options.payloads is not None:
            data = options.payloads.read_bytes()
            size = options.size
            job.payloads = [data[i * size : (i + 1) * size] for i in range(options.depth)]
            job.text = options.opcode == TEXT
            job.messages = [one.decode() for one in job.payloads] if job.text else job.payloads
        return job

    url = ""

    def counter(self) -> Counter:
        counter = Counter()
        self._counters.append(counter)
        return counter

    async def begin(self) -> None:
        """Wait until all connections are open."""
        self._opened += 1
        if self._opened == self.connections:
            self._all_open.set()
        await self._all_open.wait()

    def begin_thread(self) -> None:
        """Wait until the connections of all threads are open."""
        self._barrier.wait(OPENING_TIMEOUT)

    def total(self) -> int:
        return sum(counter.value for counter in self._counters)


@dataclass(frozen=True)
class Moment:
    """The clocks of this process."""

    messages: int
    now: float
    cpu: float
    user: float
    system: float

    @classmethod
    def take(cls, job: Job) -> Moment:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
        return cls(job.total(), time.perf_counter(), cpu, usage.ru_utime, usage.ru_stime)


def phase(seconds: float) -> Iterator[float]:
    """Yield the pauses of a phase: more than one if the process got little CPU time, as load.c."""
    began, began_cpu = time.perf_counter(), time.process_time()
    yield seconds
    while (
        time.process_time() - began_cpu < seconds * LEAST_SHARE
        and time.perf_counter() - began < seconds * PATIENCE
    ):
        yield seconds / 4


async def measure(function: Callable[[str, Job], Coroutine[Any, Any, None]], job: Job) -> None:
    """Run the coroutine function once for each connection, and end the process."""
    clients = [asyncio.ensure_future(function(job.url, job)) for _ in range(job.connections)]
    opening = asyncio.ensure_future(job._all_open.wait())
    await asyncio.wait(
        [opening, *clients], timeout=OPENING_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
    )
    check(clients)
    assert opening.done(), "the connections could not be opened"
    for pause in phase(job.warm_up):
        await asyncio.sleep(pause)
    start = Moment.take(job)
    for pause in phase(job.seconds):
        await asyncio.sleep(pause)
    stop = Moment.take(job)
    check(clients)
    finish(start, stop)


def check(clients: Sequence[asyncio.Future[None]]) -> None:
    for client in clients:
        if client.done():
            client.result()
            raise AssertionError("a client ended before its time")


def measure_threads(function: Callable[[str, Job], None], job: Job) -> None:
    """Run the function once for each connection, in threads, and end the process."""
    threads = [
        threading.Thread(target=function, args=(job.url, job), daemon=True)
        for _ in range(job.connections)
    ]
    for thread in threads:
        thread.start()
    job.begin_thread()
    for pause in phase(job.warm_up):
        time.sleep(pause)
    start = Moment.take(job)
    for pause in phase(job.seconds):
        time.sleep(pause)
    stop = Moment.take(job)
    assert all(thread.is_alive() for thread in threads), "a client ended before its time"
    finish(start, stop)


def hold_idle(connect: Callable[[str], Any], arguments: list[str]) -> None:
    """Open connections that do nothing, count threads and weigh memory, and end the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args(arguments)
    threads = len(os.listdir(TASKS))
    for connection in [connect(options.url) for _ in range(options.warm_up)]:
        connection.close()
    gc.collect()
    before = resident()
    connections = [connect(options.url) for _ in range(options.connections)]
    gc.collect()
    result = {
        "connections": len(connections),
        "threads_added": len(os.listdir(TASKS)) - threads,
        "bytes": resident() - before,
    }
    print(json.dumps(result), flush=True)
    os._exit(0)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def finish(start: Moment, stop: Moment) -> None:
    """Print the result and end the process: with messages in flight no client can close."""
    result = {
        "messages": stop.messages - start.messages,
        "elapsed": stop.now - start.now,
        "cpu": stop.cpu - start.cpu,
        "user": stop.user - start.user,
        "system": stop.system - start.system,
        "rss": resident(),
    }
    print(json.dumps(result), flush=True)
    os._exit(0)
