"""No message is lost, repeated or reordered, whatever happens at both ends.

What happens at random is drawn from a seed, so that a failure can be repeated. What depends on the
steps of asyncio's loop is in `test_steps.py`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.drivers import not_on
from ..support.endpoints import both_roles
from ..support.fronts import Front, against_raw, pair, several
from ..support.rawpeer import CLOSE, TEXT, RawPeer
from ..support.subject import ConnectionClosed, ConnectionClosedOK

COUNT = 5_000

SMALL = 4096
"""Bytes of a kernel's buffer, for a connection whose sends are to wait soon."""

seeds = pytest.mark.parametrize("seed", range(3))

EXPECTED = [str(number) for number in range(COUNT)]


async def produce(
    front: Front,
    raw: RawPeer,
    count: int,
    rng: random.Random,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Send numbers, in packets of all sizes, split anywhere, until it is stopped."""
    index = 0
    while index < count and not stopped():
        end = min(count, index + rng.choice([1, 1, 2, 5, 20, 100]))
        data = b"".join(raw.frame(TEXT, str(number)) for number in range(index, end))
        cut = rng.randrange(len(data))
        await raw.send(data[:cut])
        await front.turns(rng.choice([0, 0, 1]))
        await raw.send(data[cut:])
        await front.turns(rng.choice([0, 0, 1, 2]))
        index = end


# Consumers

Consumer = Callable[[Front, Any, random.Random, list[str]], Awaitable[None]]


async def short_timeout(front: Front, ws: Any, rng: random.Random, received: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        received.append(await front.recv_within(ws, rng.choice([0, 0, 0.0001])))


async def iteration_broken_off(
    front: Front, ws: Any, rng: random.Random, received: list[str]
) -> None:
    left = rng.randrange(1, 20)
    async for message in ws:
        received.append(message)
        left -= 1
        if not left:
            break


async def cancelled_recv(front: Front, ws: Any, rng: random.Random, received: list[str]) -> None:
    receiving = front.start(ws.recv)
    await front.turns(rng.randrange(4))
    receiving.cancel()
    await receiving.ended()
    if not receiving.cancelled:
        received.append(await receiving.result())


async def cancelled_iteration(
    front: Front, ws: Any, rng: random.Random, received: list[str]
) -> None:
    async def iterate() -> None:
        async for message in ws:
            received.append(message)
            await front.turns(rng.choice([0, 0, 1]))

    iterating = front.start(iterate)
    await front.turns(rng.randrange(6))
    iterating.cancel()
    await iterating.ended()


TIMING_OUT: list[Consumer] = [short_timeout, iteration_broken_off]
CANCELLED: list[Consumer] = [cancelled_recv, cancelled_iteration]


@both_roles
@seeds
@pytest.mark.parametrize(
    "consumers",
    [
        pytest.param(TIMING_OUT, id="timing-out"),
        pytest.param(
            TIMING_OUT + CANCELLED,
            id="cancelled",
            marks=not_on("threads", reason="a thread can't be cancelled"),
        ),
    ],
)
async def test_consumer_that_gives_up_again_and_again(
    front: Front, role: str, seed: int, consumers: list[Consumer]
) -> None:
    rng = random.Random(seed)
    max_queue = rng.choice([1, 4, 16, None])
    async with against_raw(front, role, max_queue=max_queue) as (ws, raw):
        received: list[str] = []
        producing = front.start(produce, front, raw, COUNT, random.Random(seed + 1000))
        while len(received) < COUNT - 100:
            await rng.choice(consumers)(front, ws, rng, received)
        while len(received) < COUNT:
            received.append(await ws.recv())
        assert received == EXPECTED
        await producing.result()
        with pytest.raises(TimeoutError):
            await front.recv_within(ws, 0)


@both_roles
@pytest.mark.parametrize("max_queue", [1, 16, None])
async def test_consumer_that_is_slow(front: Front, role: str, max_queue: int | None) -> None:
    rng = random.Random(max_queue)
    async with against_raw(front, role, max_queue=max_queue) as (ws, raw):
        producing = front.start(produce, front, raw, COUNT, rng)
        received: list[str] = []
        async for message in ws:
            received.append(message)
            if rng.random() < 0.1:
                await front.turns(rng.randrange(5))
            if len(received) == COUNT:
                break
        assert received == EXPECTED
        await producing.result()


@both_roles
@seeds
async def test_consumer_that_closes_in_the_middle(front: Front, role: str, seed: int) -> None:
    # What it gets, before and after its close, has no gap.
    rng = random.Random(seed)
    async with against_raw(front, role) as (ws, raw):
        closed = False

        async def produce_until_closed() -> None:
            await produce(front, raw, COUNT, random.Random(seed), lambda: closed)

        async def play_the_peer() -> None:
            nonlocal closed
            producing = front.start(produce_until_closed)
            while (await raw.recv_frame()).opcode != CLOSE:
                pass
            closed = True
            await producing.result()
            await raw.send(raw.frame(TEXT, "cut")[:-1])
            raw.close()

        playing = front.start(play_the_peer)
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
        assert received == EXPECTED[: len(received)]
        await playing.result()


@both_roles
@seeds
async def test_peer_that_closes_in_the_middle(front: Front, role: str, seed: int) -> None:
    # Everything that came before the close frame is received, however slowly.
    rng = random.Random(seed)
    count = rng.randrange(1, COUNT)
    async with against_raw(front, role, max_queue=rng.choice([1, 16])) as (ws, raw):

        async def play_the_peer() -> None:
            await produce(front, raw, count, random.Random(seed))
            await raw.close_handshake()

        playing = front.start(play_the_peer)
        received: list[str] = []
        with contextlib.suppress(ConnectionClosedOK):
            while True:
                if rng.random() < 0.01:
                    await short_timeout(front, ws, rng, received)
                else:
                    received.append(await ws.recv())
        assert received == EXPECTED[:count]
        await playing.result()


# Producers


async def collect(
    front: Front, raw: RawPeer, count: int, rng: random.Random | None = None
) -> list[str]:
    texts = []
    while len(texts) < count:
        frame = await raw.recv_frame()
        if frame.opcode == TEXT:
            texts.append(frame.payload.decode())
        if rng is not None and rng.random() < 0.05:
            await front.turns(rng.randrange(5))
    return texts


def by_sender(texts: list[str]) -> dict[str, list[int]]:
    """Sort texts of the form ``sender number …`` by their senders."""
    received: dict[str, list[int]] = {}
    for text in texts:
        name, index = text.split()[:2]
        received.setdefault(name, []).append(int(index))
    return received


@both_roles
@seeds
async def test_each_of_many_senders_keeps_its_order(front: Front, role: str, seed: int) -> None:
    senders, each = 20, COUNT // 20
    async with against_raw(front, role, receive_buffer=SMALL, write_limit=SMALL) as (ws, raw):

        async def send_all(name: int) -> None:
            rng = random.Random(seed + name)
            for index in range(each):
                await ws.send(f"{name} {index}")
                if rng.random() < 0.05:
                    await front.turns(1)

        sending = [front.start(send_all, name) for name in range(senders)]
        texts = await collect(front, raw, senders * each, random.Random(seed))
        for work in sending:
            await work.result()
        assert by_sender(texts) == {str(name): list(range(each)) for name in range(senders)}


@both_roles
@seeds
@not_on("threads", reason="send has no timeout, and a thread can't be cancelled")
async def test_senders_that_are_cancelled(front: Front, role: str, seed: int) -> None:
    # A message whose send returned has gone out; one that was cancelled has, whole, or has not.
    rng = random.Random(seed)
    async with against_raw(front, role, receive_buffer=SMALL, write_limit=SMALL) as (ws, raw):
        sent: list[str] = []
        given_up: set[str] = set()
        size = len(str(COUNT))

        async def send(text: str) -> None:
            await ws.send(text * 50)
            sent.append(text)

        async def send_all() -> None:
            for index in range(2000):
                text = f"{index:0{size}}"
                sending = front.start(send, text)
                await front.turns(rng.randrange(3))
                if rng.random() < 0.3:
                    sending.cancel()
                await sending.ended()
                if sending.cancelled:
                    given_up.add(text)
            await ws.send("end")

        producing = front.start(send_all)
        received: list[str] = []
        while (text := (await collect(front, raw, 1, rng))[0]) != "end":
            assert text == text[:size] * 50
            received.append(text[:size])
        await producing.result()
        assert received == sorted(received)
        assert set(sent) <= set(received) <= set(sent) | given_up
        assert given_up


@both_roles
@seeds
async def test_senders_and_broadcasters_at_once(front: Front, role: str, seed: int) -> None:
    # Each sends to one or to all of several connections. What one of them sent stays in order.
    senders, each = 6, 200
    async with several(front, role, 3) as opened:
        connections = [ws for ws, _ in opened]
        notes: list[dict[str, list[int]]] = [{} for _ in connections]

        async def send_all(name: str) -> None:
            rng = random.Random(f"{seed} {name}")
            for index in range(each):
                text = f"{name} {index} " + "x" * rng.choice([0, 10, 1000])
                target = rng.randrange(len(connections) + 1)
                if target < len(connections):
                    notes[target].setdefault(name, []).append(index)
                    await connections[target].send(text)
                else:
                    for note in notes:
                        note.setdefault(name, []).append(index)
                    await front.broadcast(connections, text)
                await front.turns(rng.choice([0, 0, 1]))

        async def read_to_the_close(raw: RawPeer) -> list[str]:
            texts: list[str] = []
            while (frame := await raw.recv_frame()).opcode != CLOSE:
                texts.append(frame.payload.decode())
            await raw.send_close()
            raw.half_close()
            return texts

        reading = [front.start(read_to_the_close, raw) for _, raw in opened]
        sending = [front.start(send_all, str(name)) for name in range(senders)]
        for work in sending:
            await work.result()
        for ws in connections:
            await ws.close()
        assert [by_sender(await work.result()) for work in reading] == notes


@both_roles
async def test_both_ends_send_and_receive_at_once(front: Front, role: str) -> None:
    async with pair(front, max_queue=2, write_limit=SMALL) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def send_all(ws: Any) -> None:
            for number in range(COUNT):
                await ws.send(str(number))

        async def recv_all(ws: Any) -> list[str]:
            return [await ws.recv() for _ in range(COUNT)]

        *_, there, back = await front.all_of(
            lambda: send_all(near),
            lambda: send_all(far),
            lambda: recv_all(far),
            lambda: recv_all(near),
        )
        assert there == back == EXPECTED
