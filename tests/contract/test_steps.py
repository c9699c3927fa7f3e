"""What is sent from tasks, callbacks, timers and handlers goes out in the order of their steps.

What happens at random is drawn from a seed, so that a failure can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ..support.drivers import asyncio_only, broadcast
from ..support.endpoints import against_raw, both_roles, settle, until
from ..support.rawpeer import BINARY, CLOSE, TEXT, RawPeer
from ..support.subject import ORACLE
from .operations import SMALL, blocked

pytestmark = asyncio_only("only asyncio's loop has steps that a test can put in an order")

COUNT = 10_000

seeds = pytest.mark.parametrize("seed", range(3))

Send = Callable[[str], None]


class Everywhere:
    """Sends from tasks, callbacks, timers and handlers, and notes for each connection the order.

    An operation sends, or queues, in the step in which it is awaited; so the order in which the
    steps were made is the order that a peer must see.
    """

    def __init__(self, connections: list[Any], rng: random.Random) -> None:
        self.connections = connections
        self.rng = rng
        self.loop = asyncio.get_running_loop()
        self.notes: dict[Any, list[str]] = {ws: [] for ws in connections}
        self.tasks: set[asyncio.Task[None]] = set()
        self.number = self.handled = self.waiting = 0

    def next(self) -> str:
        self.number += 1
        return f"{self.number} " + "x" * self.rng.choice([0, 1, 10, 100, 5000])

    async def send(self, ws: Any) -> None:
        text = self.next()
        self.notes[ws].append(text)
        await ws.send(text)

    def broadcast(self) -> None:
        text = self.next()
        for notes in self.notes.values():
            notes.append(text)
        broadcast(self.connections, text)

    def later(self, call: Callable[..., object], ws: Any) -> None:
        def send() -> None:
            self.waiting -= 1
            self.send_in_a_task(ws)

        self.waiting += 1
        call(send)

    def send_in_a_task(self, ws: Any) -> None:
        task = self.loop.create_task(self.send(ws))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def anything(self, ws: Any) -> None:
        match self.rng.randrange(8):
            case 0:
                self.broadcast()
            case 1:
                self.loop.call_soon(self.broadcast)
            case 2:
                self.later(self.loop.call_soon, ws)
            case 3:
                self.later(functools.partial(self.loop.call_later, 0.0005), ws)
            case 4:
                self.send_in_a_task(self.rng.choice(self.connections))
            case 5:
                await asyncio.gather(self.send(ws), self.send(ws))
            case 6:
                await self.send(self.rng.choice(self.connections))
            case _:
                await self.send(ws)

    async def handle(self, ws: Any) -> None:
        """Do something for each message: in a task that the message has woken, or goes on."""
        async for _ in ws:
            await self.anything(ws)
            self.handled += 1

    async def work(self, count: int) -> None:
        """Do as much in a task that nothing wakes."""
        for _ in range(count):
            await self.anything(self.rng.choice(self.connections))
            await settle(self.rng.choice([0, 0, 1]))

    async def close(self, handled: int) -> None:
        """Close all connections, once so many messages have been handled and all is sent."""
        await until(lambda: self.handled == handled and not self.waiting and not self.tasks)
        await asyncio.gather(*(ws.close() for ws in self.connections))


@contextlib.asynccontextmanager
async def several(role: str, count: int, **options: Any) -> AsyncIterator[Any]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(against_raw(role, **options)) for _ in range(count)]


async def collect(raw: RawPeer, count: int) -> list[str]:
    texts = []
    while len(texts) < count:
        frame = await raw.recv_frame()
        if frame.opcode == TEXT:
            texts.append(frame.payload.decode())
    return texts


async def read_to_the_close(raw: RawPeer, rng: random.Random, pauses: float) -> list[str]:
    texts: list[str] = []
    while (frame := await raw.recv_frame()).opcode != CLOSE:
        texts.append(frame.payload.decode())
        if rng.random() < pauses:
            await settle(rng.randrange(10))
    await raw.send_close()
    raw.half_close()
    return texts


@both_roles
@seeds
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
async def test_order_of_sends_from_everywhere(role: str, seed: int, slow: bool) -> None:
    rng = random.Random(seed)
    options: dict[str, Any] = {"receive_buffer": SMALL, "write_limit": SMALL} if slow else {}
    async with several(role, 4, **options) as opened:
        everywhere = Everywhere([ws for ws, _ in opened], rng)
        handling = [asyncio.create_task(everywhere.handle(ws)) for ws, _ in opened]
        reading = [
            asyncio.create_task(read_to_the_close(raw, random.Random(index), 0.3 * index))
            for index, (_, raw) in enumerate(opened)
        ]
        working = asyncio.create_task(everywhere.work(300))
        requests = 0
        for _ in range(100):
            for _, raw in opened:
                burst = rng.choice([1, 1, 3])
                requests += burst
                await raw.send(raw.frame(BINARY, b"go") * burst)
        await working
        await everywhere.close(requests)
        for (ws, _), task in zip(opened, reading, strict=True):
            assert await task == everywhere.notes[ws]
        await asyncio.gather(*handling)


@both_roles
@pytest.mark.parametrize("first", ["send", "broadcast"])
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
async def test_send_and_broadcast_in_the_same_step(role: str, first: str, full: bool) -> None:
    async with several(role, 3, receive_buffer=SMALL) as opened:
        connections = [ws for ws, _ in opened]
        with contextlib.ExitStack() as stack:
            if full:
                for ws in connections[:2]:
                    stack.enter_context(blocked(ws))
                await settle()
            sending = []
            for index in range(20):
                if first == "broadcast":
                    broadcast(connections, f"b{index}")
                sending += [asyncio.create_task(ws.send(f"s{index}")) for ws in connections]
                await settle(1)
                if first == "send":
                    broadcast(connections, f"b{index}")
                broadcast(connections, f"c{index}")
            order = ("b", "s", "c") if first == "broadcast" else ("s", "b", "c")
            expected = [f"{kind}{index}" for index in range(20) for kind in order]
            for _, raw in opened:
                assert await collect(raw, 60) == expected
            await asyncio.gather(*sending)


# Giving up


async def short_wait_for(ws: Any, rng: random.Random, received: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        received.append(await asyncio.wait_for(asyncio.ensure_future(ws.recv()), 0.0001))


async def short_recv_timeout(ws: Any, rng: random.Random, received: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        received.append(await ws.recv(timeout=rng.choice([0, 0.0001])))


async def recv_thrown_away(ws: Any, rng: random.Random, received: list[str]) -> None:
    made = ws.recv()
    if rng.random() < 0.5:
        try:
            made.send(None)
        except StopIteration as stopped:
            received.append(stopped.value)
    made.close()


CONSUMERS = [short_wait_for, recv_thrown_away]
if not ORACLE:
    CONSUMERS.append(short_recv_timeout)


@both_roles
@seeds
async def test_consumer_that_gives_up_in_every_way(role: str, seed: int) -> None:
    rng = random.Random(seed)
    async with against_raw(role) as (ws, raw):

        async def produce() -> None:
            for start in range(0, COUNT, 10):
                await raw.send(*(raw.frame(TEXT, str(start + index)) for index in range(10)))

        producing = asyncio.create_task(produce())
        received: list[str] = []
        while len(received) < COUNT:
            await rng.choice(CONSUMERS)(ws, rng, received)
        assert received == [str(number) for number in range(COUNT)]
        await producing
