"""Pings and pongs that the program sends, and the latency that they measure."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, pair, settle
from ..support.rawpeer import PING, PONG, TEXT
from ..support.subject import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    ProtocolError,
    only_ropeway,
)


@both_roles
@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ("", b""),
        ("é", "é".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"tea"), b"tea"),
        (memoryview(b"tea"), b"tea"),
        (b"x" * 125, b"x" * 125),
    ],
)
async def test_ping_carries_its_data(role: str, data: Any, payload: bytes) -> None:
    async with against_raw(role) as (ws, raw):
        waiter = await ws.ping(data)
        assert await raw.recv_payload(PING) == payload
        await raw.send_frame(PONG, payload)
        assert isinstance(await waiter, float)


@both_roles
async def test_ping_without_data_is_four_fresh_bytes(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiters = [await ws.ping() for _ in range(20)]
        payloads = {await raw.recv_payload(PING) for _ in waiters}
        assert len(payloads) == 20
        assert {len(payload) for payload in payloads} == {4}


@both_roles
async def test_pong_waiter_gives_the_round_trip_in_seconds(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        assert ws.latency == 0.0
        before = time.perf_counter()
        waiter = await ws.ping(b"slow")
        await asyncio.sleep(0.05)
        assert not waiter.done()
        await raw.send_frame(PONG, b"slow")
        latency = await waiter
        assert 0.045 <= latency <= time.perf_counter() - before + 0.005
        assert ws.latency == latency
        assert await waiter == latency


@both_roles
async def test_round_trip_between_both_ends(role: str) -> None:
    async with pair() as (client, server):
        near = client if role == "client" else server
        assert 0 <= await (await near.ping()) < 10


@only_ropeway
@both_roles
async def test_short_round_trips_are_measured_on_every_loop(role: str) -> None:
    # uvloop's clock ticks in milliseconds, and only once a loop turn.
    async with pair() as (client, server):
        near = client if role == "client" else server
        assert all([0 < await (await near.ping()) < 10 for _ in range(5)])
        assert 0 < near.latency < 10


@both_roles
async def test_pong_acknowledges_earlier_pings(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        first, second, third = [await ws.ping(data) for data in "abc"]
        await raw.send(raw.frame(PONG, "b"), raw.frame(TEXT, "mark"))
        await ws.recv()
        assert first.done() and second.done() and not third.done()
        assert await first >= await second >= 0
        assert ws.latency == await second
        await raw.send_frame(PONG, "c")
        await third


@both_roles
@pytest.mark.parametrize("payload", [b"", b"a", b"ab", b"B", b"never sent"])
async def test_unsolicited_pong_acknowledges_nothing(role: str, payload: bytes) -> None:
    async with against_raw(role) as (ws, raw):
        first, second = await ws.ping("a"), await ws.ping("b")
        await raw.send(raw.frame(PONG, "a"), raw.frame(PONG, payload), raw.frame(TEXT, "mark"))
        await ws.recv()
        assert first.done() and not second.done()


@both_roles
async def test_pending_ping_with_the_same_data_is_refused(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiter = await ws.ping("same")
        for data in ("same", b"same", bytearray(b"same")):
            with pytest.raises(ConcurrencyError) as raised:
                await ws.ping(data)
            assert str(raised.value) == "already waiting for a pong with the same data"
        await raw.recv_payload(PING)
        await raw.send_frame(PONG, "same")
        await waiter
        await ws.ping("same")
        assert await raw.recv_payload(PING) == b"same"


@both_roles
@pytest.mark.parametrize("method", ["ping", "pong"])
@pytest.mark.parametrize("data", [b"x" * 126, "é" * 63, b"x" * 100_000])
async def test_long_payload_raises_and_sends_nothing(role: str, method: str, data: Any) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(ProtocolError, match="control frame too long"):
            await getattr(ws, method)(data)
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@both_roles
@pytest.mark.parametrize("data", [5, {"a": 1}, ["a"], object()])
@pytest.mark.parametrize("method", ["ping", "pong"])
async def test_wrong_type_raises(role: str, method: str, data: Any) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TypeError, match="data must be str or bytes-like"):
            await getattr(ws, method)(data)
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@only_ropeway
@both_roles
async def test_ping_that_was_refused_leaves_no_waiter(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for _ in range(2):
            with pytest.raises(ProtocolError):
                await ws.ping(b"x" * 126)


@asyncio_only("only asyncio gives a future for a pong, which can be cancelled")
@both_roles
async def test_cancelled_waiter_does_not_disturb_the_others(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        gone, stays = await ws.ping("gone"), await ws.ping("stays")
        gone.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await stays
        assert stays.cancelled()
        last = await ws.ping("last")
        await raw.send(raw.frame(PONG, "gone"), raw.frame(PONG, "stays"), raw.frame(PONG, "last"))
        assert await last >= 0


@both_roles
async def test_cancelled_await_of_a_shielded_waiter(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiter = await ws.ping("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiter), 0.01)
        await raw.send_frame(PONG, "a")
        assert await waiter >= 0


@both_roles
async def test_pending_pings_fail_at_the_end(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiters = [await ws.ping() for _ in range(3)]
        for _ in waiters:
            await raw.recv_payload(PING)
        await raw.close_handshake(1000, "bye")
        for waiter in waiters:
            with pytest.raises(ConnectionClosedOK) as raised:
                await waiter
            assert str(raised.value) == "received 1000 (OK) bye; then sent 1000 (OK) bye"


@both_roles
async def test_ping_that_nobody_awaits_is_no_error_at_the_end(role: str) -> None:
    # The ``run`` fixture fails the test if the loop is told of an exception.
    async with against_raw(role) as (ws, raw):
        await ws.ping()
        await raw.recv_payload(PING)
        raw.close()
        await ws.wait_closed()


@only_ropeway
@both_roles
@pytest.mark.parametrize("end", ["close", "loss"])
async def test_ack_on_close(role: str, end: str) -> None:
    async with against_raw(role) as (ws, raw):
        plain = await ws.ping("plain")
        lenient = await ws.ping("lenient", ack_on_close=True)
        for _ in range(2):
            await raw.recv_payload(PING)
        if end == "close":
            await raw.close_handshake()
        else:
            raw.reset()
        assert math.isnan(await lenient)
        with pytest.raises(ConnectionClosed):
            await plain


@only_ropeway
@both_roles
async def test_ack_on_close_of_a_ping_that_is_answered(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiter = await ws.ping("a", ack_on_close=True)
        await raw.send_frame(PONG, "a")
        assert 0 < await waiter < 10
        assert ws.latency > 0


@both_roles
@pytest.mark.parametrize("data", [b"", b"tea", b"x" * 125])
async def test_ping_is_answered_with_its_payload(role: str, data: bytes) -> None:
    async with against_raw(role) as (_, raw):
        await raw.send_frame(PING, data, key=b"mask")
        assert await raw.recv_payload(PONG) == data


@both_roles
async def test_pings_are_answered_in_order_and_while_nobody_receives(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(PING, "1"),
            raw.frame(TEXT, "fragmented", fin=False),
            raw.frame(PING, "2"),
            raw.frame(0x0, " text"),
            raw.frame(PING, "3"),
        )
        assert [await raw.recv_payload(PONG) for _ in range(3)] == [b"1", b"2", b"3"]
        assert await ws.recv() == "fragmented text"


@both_roles
@pytest.mark.parametrize(
    ("arguments", "payload"), [((), b""), (("é",), "é".encode()), ((b"\x00",), b"\x00")]
)
async def test_unsolicited_pong_can_be_sent(role: str, arguments: Any, payload: bytes) -> None:
    async with against_raw(role) as (ws, raw):
        assert await ws.pong(*arguments) is None
        assert await raw.recv_payload(PONG) == payload


@asyncio_only("only asyncio gives a future for a pong")
@both_roles
async def test_waiter_works_with_gather_wait_and_callbacks(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiters = [await ws.ping(data) for data in "abc"]
        called: list[float] = []
        waiters[0].add_done_callback(lambda waiter: called.append(waiter.result()))
        gathering = asyncio.gather(*waiters[:2])
        await raw.send_frame(PONG, "c")
        done, pending = await asyncio.wait(waiters)
        assert (done, pending) == (set(waiters), set())
        await gathering
        await settle()
        assert called == [waiters[0].result()]
