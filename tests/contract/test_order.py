"""No message is lost, repeated or reordered, whatever happens to the tasks at both ends.

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
from ..support.endpoints import against_raw, both_roles, pair, settle, until
from ..support.rawpeer import BINARY, CLOSE, TEXT, RawPeer
from ..support.subject import ORACLE, ConnectionClosed, ConnectionClosedOK
from .operations import SMALL, blocked

pytestmark = asyncio_only

COUNT = 10_000

seeds = pytest.mark.parametrize("seed", range(3))


async def produce(raw: RawPeer, count: int, rng: random.Random) -> None:
    """Send numbers, in packets of all sizes, split anywhere."""
    index = 0
    while index < count:
        end = min(count, index + rng.choice([1, 1, 2, 5, 20, 100]))
        data = b"".join(raw.frame(TEXT, str(number)) for number in range(index, end))
        cut = rng.randrange(len(data))
        await raw.send(data[:cut])
        await settle(rng.choice([0, 0, 1]))
        await raw.send(data[cut:])
        await settle(rng.choice([0, 0, 1, 2]))
        index = end


# Consumers


async def cancelled_recv(ws: Any, rng: random.Random, received: list[str]) -> None:
    receiving = asyncio.create_task(ws.recv())
    await settle(rng.randrange(4))
    receiving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        received.append(await receiving)


async def cancelled_iteration(ws: Any, rng: random.Random, received: list[str]) -> None:
    async def iterate() -> None:
        async for message in ws:
            received.append(message)
            await settle(rng.choice([0, 0, 1]))

    iterating = asyncio.create_task(iterate())
    await settle(rng.randrange(6))
    iterating.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await iterating


async def iteration_broken_off(ws: Any, rng: random.Random, received: list[str]) -> None:
    left = rng.randrange(1, 20)
    async for message in ws:
        received.append(message)
        left -= 1
        if not left:
            break


async def short_timeout(ws: Any, rng: random.Random, received: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(rng.choice([0, 0, 0.0001])):
            received.append(await ws.recv())


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


CONSUMERS = [
    cancelled_recv,
    cancelled_iteration,
    iteration_broken_off,
    short_timeout,
    short_wait_for,
    recv_thrown_away,
]
if not ORACLE:
    CONSUMERS.append(short_recv_timeout)


@both_roles
@seeds
async def test_consumer_that_is_cancelled_again_and_again(role: str, seed: int) -> None:
    rng = random.Random(seed)
    max_queue = rng.choice([1, 4, 16, None])
    async with against_raw(role, max_queue=max_queue) as (ws, raw):
        received: list[str] = []
        producing = asyncio.create_task(produce(raw, COUNT, random.Random(seed + 1000)))
        while len(received) < COUNT - 100:
            await rng.choice(CONSUMERS)(ws, rng, received)
        while len(received) < COUNT:
            received.append(await ws.recv())
        assert received == [str(number) for number in range(COUNT)]
        await producing
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0)


@both_roles
@pytest.mark.parametrize("max_queue", [1, 16, None])
async def test_consumer_that_is_slow(role: str, max_queue: int | None) -> None:
    rng = random.Random(max_queue)
    async with against_raw(role, max_queue=max_queue) as (ws, raw):
        producing = asyncio.create_task(produce(raw, COUNT, rng))
        received: list[str] = []
        async for message in ws:
            received.append(message)
            if rng.random() < 0.1:
                await settle(rng.randrange(5))
            if len(received) == COUNT:
                break
        assert received == [str(number) for number in range(COUNT)]
        await producing


@both_roles
@seeds
async def test_consumer_that_closes_in_the_middle(role: str, seed: int) -> None:
    # What it gets, before and after its close, has no gap.
    rng = random.Random(seed)
    async with against_raw(role) as (ws, raw):

        async def play_the_peer() -> None:
            producing = asyncio.create_task(produce(raw, COUNT, rng))
            while (await raw.recv_frame()).opcode != CLOSE:
                pass
            producing.cancel()
            await asyncio.wait([producing])
            raw.close()  # a frame may have been cut

        playing = asyncio.create_task(play_the_peer())
        limit = rng.randrange(1, COUNT // 2)
        received: list[str] = []
        async for message in ws:
            received.append(message)
            if len(received) == limit:
                break
            if rng.random() < 0.01:
                await ws.send("go on")
        await ws.close()
        with contextlib.suppress(ConnectionClosed):
            while True:
                received.append(await ws.recv())
        assert len(received) >= limit
        assert received == [str(number) for number in range(len(received))]
        await playing


@both_roles
@seeds
async def test_peer_that_closes_in_the_middle(role: str, seed: int) -> None:
    # Everything that came before the close frame is received, however slowly.
    rng = random.Random(seed)
    count = rng.randrange(1, COUNT)
    async with against_raw(role, max_queue=rng.choice([1, 16])) as (ws, raw):

        async def play_the_peer() -> None:
            await produce(raw, count, rng)
            await raw.close_handshake()

        playing = asyncio.create_task(play_the_peer())
        received: list[str] = []
        with contextlib.suppress(ConnectionClosedOK):
            while True:
                receiving = asyncio.create_task(ws.recv())
                if rng.random() < 0.01:
                    await settle(rng.randrange(3))
                    receiving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    received.append(await receiving)
        assert received == [str(number) for number in range(count)]
        await playing


# Producers


async def collect(raw: RawPeer, count: int, rng: random.Random | None = None) -> list[str]:
    texts = []
    while len(texts) < count:
        frame = await raw.recv_frame()
        if frame.opcode == TEXT:
            texts.append(frame.payload.decode())
        if rng is not None and rng.random() < 0.05:
            await settle(rng.randrange(5))
    return texts


@both_roles
@seeds
async def test_each_of_many_senders_keeps_its_order(role: str, seed: int) -> None:
    rng = random.Random(seed)
    senders, each = 20, COUNT // 20
    async with against_raw(role, receive_buffer=SMALL, write_limit=SMALL) as (ws, raw):

        async def send_all(name: int) -> None:
            for index in range(each):
                await ws.send(f"{name} {index}")
                if rng.random() < 0.05:
                    await settle(1)

        sending = asyncio.gather(*(send_all(name) for name in range(senders)))
        received: dict[str, list[int]] = {}
        for text in await collect(raw, senders * each, rng):
            name, index = text.split()
            received.setdefault(name, []).append(int(index))
        await sending
        assert received == {str(name): list(range(each)) for name in range(senders)}


@both_roles
@seeds
async def test_senders_that_are_cancelled(role: str, seed: int) -> None:
    # A message whose send returned has gone out; one that was cancelled has, whole, or has not.
    rng = random.Random(seed)
    async with against_raw(role, receive_buffer=SMALL, write_limit=SMALL) as (ws, raw):
        sent: list[str] = []
        given_up: set[str] = set()
        size = len(str(COUNT))

        async def send(text: str) -> None:
            await ws.send(text * 50)
            sent.append(text)

        async def send_all() -> None:
            for index in range(2000):
                text = f"{index:0{size}}"
                sending = asyncio.create_task(send(text))
                await settle(rng.randrange(3))
                if rng.random() < 0.3:
                    sending.cancel()
                await asyncio.wait([sending])
                if sending.cancelled():
                    given_up.add(text)
            await ws.send("end")

        producing = asyncio.create_task(send_all())
        received: list[str] = []
        while (text := (await collect(raw, 1, rng))[0]) != "end":
            assert text == text[:size] * 50
            received.append(text[:size])
        await producing
        assert received == sorted(received)
        assert set(sent) <= set(received) <= set(sent) | given_up
        assert given_up


# Sending from everywhere, to one connection and to many

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


@both_roles
async def test_both_ends_send_and_receive_at_once(role: str) -> None:
    async with pair(max_queue=2, write_limit=SMALL) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def send_all(ws: Any) -> None:
            for number in range(COUNT):
                await ws.send(str(number))

        async def recv_all(ws: Any) -> list[str]:
            return [await ws.recv() for _ in range(COUNT)]

        *_, there, back = await asyncio.gather(
            send_all(near), send_all(far), recv_all(far), recv_all(near)
        )
        assert there == back == [str(number) for number in range(COUNT)]
