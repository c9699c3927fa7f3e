"""Peers that do not keep up: what is queued for them has a limit, where that was asked for."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from ..support.drivers import ORACLE, broadcast
from ..support.endpoints import against_raw, both_roles, fill, until
from ..support.rawpeer import BINARY, RSV1, TEXT, Deflater, RawPeer
from ..support.subject import ConnectionClosedError, State

pytestmark = pytest.mark.skipif(ORACLE, reason="ropeway adds this")

SMALL = 4096
"""Bytes for a kernel's buffer; the kernel rounds up to a few times that."""

LIMIT = 1 << 17

SIZE = 1 << 14

MOST = 4000
"""Messages that the kernels don't take, whatever their buffers."""


def numbered(index: int) -> bytes:
    return index.to_bytes(4) + os.urandom(SIZE - 4)


async def broadcast_until_dropped(ws: Any, **options: Any) -> int:
    """Broadcast to a peer that does not read until messages are dropped; tell how many were sent.

    Some come afterwards: none of them may add to what waits.
    """
    for index in range(MOST):
        broadcast([ws], numbered(index), **options)
        await asyncio.sleep(0)
        if ws.stats.messages_not_sent == 20:
            return index + 1
    raise AssertionError("nothing was dropped")


async def receive_numbers(raw: RawPeer, last: bytes) -> list[int]:
    """Receive messages up to one that says that it is the last."""
    numbers = []
    while (payload := (await raw.recv_frame()).payload) != last:
        assert len(payload) == SIZE
        numbers.append(int.from_bytes(payload[:4]))
    return numbers


async def say_last(ws: Any, raw: RawPeer) -> list[int]:
    """Read all that waits, and what is sent behind it; no more is dropped then."""
    reading = asyncio.create_task(receive_numbers(raw, b"last"))
    await until(lambda: ws.transport.get_write_buffer_size() == 0)
    await ws.send(b"last")
    return await reading


async def test_broadcast_drops_what_exceeds_the_limit() -> None:
    options = {"slow_consumer": "drop", "slow_limit": LIMIT, "slow_timeout": None}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        total = await broadcast_until_dropped(ws)
        assert LIMIT - 2 * SIZE < ws.transport.get_write_buffer_size() <= LIMIT
        assert await say_last(ws, raw) == list(range(total - 20))
        assert ws.stats.messages_not_sent == 20
        assert ws.stats.messages_sent == total - 20 + 1


@both_roles
async def test_broadcast_is_told_the_limit(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        total = await broadcast_until_dropped(ws, slow_consumer="drop", slow_limit=LIMIT)
        assert ws.transport.get_write_buffer_size() <= LIMIT
        # It holds for those calls, not for the connection.
        for index in range(total, total + 20):
            broadcast([ws], numbered(index))
        assert ws.stats.messages_not_sent == 20
        expected = [*range(total - 20), *range(total, total + 20)]
        assert await say_last(ws, raw) == expected


async def test_broadcast_may_wait_where_the_server_drops() -> None:
    options = {"slow_consumer": "drop", "slow_limit": LIMIT, "slow_timeout": None}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        total = await broadcast_until_dropped(ws)
        broadcast([ws], numbered(total), slow_consumer="wait")
        assert ws.stats.messages_not_sent == 20
        assert await say_last(ws, raw) == [*range(total - 20), total]


async def test_compression_goes_on_behind_a_gap() -> None:
    options: dict[str, Any] = {"slow_consumer": "drop", "slow_limit": LIMIT, "slow_timeout": None}
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with against_raw(
        "server", receive_buffer=SMALL, headers=offer, compression="deflate", **options
    ) as (ws, raw):
        total = await broadcast_until_dropped(ws)
        deflater = Deflater()
        numbers: list[int] = []

        async def receive() -> None:
            while True:
                received = await raw.recv_frame()
                assert received.rsv == RSV1
                payload = deflater.decompress(received.payload)
                if payload == b"last" * 1000:
                    return
                numbers.append(int.from_bytes(payload[:4]))

        receiving = asyncio.create_task(receive())
        await until(lambda: ws.transport.get_write_buffer_size() == 0)
        await ws.send(b"last" * 1000)
        await receiving
        assert numbers == list(range(total - 20))


async def test_others_get_what_a_frozen_one_does_not() -> None:
    options: dict[str, Any] = {"slow_consumer": "drop", "slow_limit": LIMIT, "slow_timeout": None}
    async with (
        against_raw("server", receive_buffer=SMALL, **options) as (frozen, _),
        against_raw("server", **options) as (ws, raw),
    ):
        reading = asyncio.create_task(receive_numbers(raw, b"last"))
        index = 0
        while frozen.stats.messages_not_sent < 20:
            broadcast([frozen, ws], numbered(index))
            index += 1
            await until(lambda: ws.transport.get_write_buffer_size() == 0)
        await ws.send(b"last")
        assert await reading == list(range(index))
        assert ws.stats.messages_not_sent == 0


@pytest.mark.parametrize("told", ["serve", "broadcast"])
async def test_broadcast_closes_above_the_limit(told: str) -> None:
    terms = {"slow_consumer": "close", "slow_limit": LIMIT, "slow_timeout": None}
    options = terms if told == "serve" else {}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        index = 0
        while ws.state is State.OPEN:
            assert index < MOST
            broadcast([ws], numbered(index), **(terms if told == "broadcast" else {}))
            index += 1
            await asyncio.sleep(0)
        assert ws.transport.get_write_buffer_size() <= LIMIT + 200
        for number in range(index - 1):
            assert int.from_bytes((await raw.recv_payload(BINARY))[:4]) == number
        code, reason = await raw.recv_close()
        assert code == 1013
        assert reason.startswith("peer is slow: ") and reason.endswith(" bytes wait for it")
        assert ws.stats.messages_not_sent == 0


async def test_a_peer_that_takes_nothing_in_time_is_closed() -> None:
    options = {"slow_consumer": "close", "slow_timeout": 0.3}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        count, waiting = await fill(ws)
        await until(lambda: ws.state is not State.OPEN)
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        code, _ = await raw.recv_close()
        assert code == 1013
        raw.close()
        await asyncio.wait([waiting])
        waiting.exception()
        with pytest.raises(ConnectionClosedError):
            await ws.send("more")


async def test_send_drops_when_a_peer_takes_nothing_in_time() -> None:
    options = {"slow_consumer": "drop", "slow_timeout": 0.3}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        _, waiting = await fill(ws)
        await waiting  # its message is queued, and it waits no longer than the peer has time
        # The kernels may have taken a little more meanwhile.
        while ws.stats.messages_not_sent < 2:
            await ws.send(bytes(1 << 16))
        count = ws.stats.messages_sent
        reading = asyncio.create_task(raw.recv_frame())
        for _ in range(count):
            assert len((await reading).payload) == 1 << 16
            reading = asyncio.create_task(raw.recv_frame())
        await until(lambda: ws.transport.get_write_buffer_size() == 0)
        await ws.send("again")
        assert (await reading)[:2] == (TEXT, b"again")
        assert ws.stats.messages_not_sent == 2


async def test_send_waits_for_a_peer_that_is_only_behind() -> None:
    options = {"slow_consumer": "drop"}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        count, waiting = await fill(ws)
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        await waiting
        assert ws.stats.messages_not_sent == 0


async def test_a_message_above_the_limit_goes_to_who_keeps_up() -> None:
    options = {"slow_consumer": "close", "slow_limit": 1 << 15}
    async with against_raw("server", **options) as (ws, raw):
        for _ in range(3):
            sending = asyncio.create_task(ws.send(bytes(1 << 20)))
            assert len(await raw.recv_payload(BINARY)) == 1 << 20
            await sending
        assert ws.state is State.OPEN


async def test_no_fragment_of_a_message_is_dropped() -> None:
    options = {"slow_consumer": "drop", "slow_timeout": 0.2}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        count, waiting = await fill(ws)
        await waiting
        sending = asyncio.create_task(ws.send([b"one", b"two"]))
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        fragments = [await raw.recv_frame() for _ in range(3)]
        assert b"".join(fragment.payload for fragment in fragments) == b"onetwo"
        await sending


async def test_pings_wait_and_are_not_dropped() -> None:
    options = {"slow_consumer": "drop", "slow_timeout": 0.2}
    async with against_raw("server", receive_buffer=SMALL, **options) as (ws, raw):
        count, waiting = await fill(ws)
        await waiting
        pinging = asyncio.create_task(ws.ping(b"ping"))
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        assert (await raw.recv_frame()).payload == b"ping"
        await pinging
        assert ws.stats.messages_not_sent == 0


async def test_nothing_is_dropped_unless_asked() -> None:
    async with against_raw("server", receive_buffer=SMALL) as (ws, raw):
        for index in range(600):
            broadcast([ws], numbered(index))
            await asyncio.sleep(0)
        assert ws.stats.messages_not_sent == 0
        assert await say_last(ws, raw) == list(range(600))


async def test_broadcast_checks_what_it_is_told() -> None:
    with pytest.raises(ValueError, match="slow_limit is 5, below 32768"):
        broadcast([], "hello", slow_consumer="drop", slow_limit=5)
