"""What a server asks of its clients: not to be too many, idle, old or too fast."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ..support.drivers import ORACLE
from ..support.endpoints import Handed, against_raw, port_of, serving, until
from ..support.rawpeer import BINARY, PING, PONG, TEXT, RawPeer
from ..support.subject import ConnectionClosedError, State, module
from .test_draining import idle, refused

pytestmark = pytest.mark.skipif(ORACLE, reason="ropeway adds this")


# Handshakes and connections.


async def test_one_handshake_too_many_is_refused_at_once() -> None:
    async with serving(idle, max_handshakes=2) as server:
        port = port_of(server)
        silent = [await RawPeer.knock(port) for _ in range(2)]
        await until(lambda: server.stats.handshakes == 2)
        third = await RawPeer.knock(port)
        await refused(third)
        third.close()
        assert server.stats.refused_crowded == 1
        # Who has gone makes room; so does who has come in.
        silent[0].close()
        await until(lambda: server.stats.handshakes == 1)
        raws = [await RawPeer.open(port) for _ in range(3)]
        assert server.stats.refused_crowded == 1
        for raw in (silent[1], *raws):
            raw.close()


async def test_who_was_refused_does_not_count() -> None:
    async with serving(idle, max_handshakes=1) as server:
        port = port_of(server)
        silent = await RawPeer.knock(port)
        await until(lambda: server.stats.handshakes == 1)
        lingering = [await RawPeer.knock(port) for _ in range(3)]
        for raw in lingering:
            await refused(raw)
        silent.close()
        await until(lambda: server.stats.handshakes == 0)
        raw = await RawPeer.open(port)
        for one in (raw, *lingering):
            one.close()
        assert server.stats.refused_crowded == 3


async def test_one_connection_too_many_is_told_when_to_come_back() -> None:
    async with serving(idle, max_connections=1) as server:
        port = port_of(server)
        raw = await RawPeer.open(port)
        second = await RawPeer.knock(port)
        await second.ask()
        await refused(second)
        second.close()
        assert server.stats.refused_full == 1
        raw.close()


# Time.


async def test_an_idle_connection_is_closed() -> None:
    began = time.monotonic()
    async with serving(idle, idle_timeout=0.4) as server:
        raw = await RawPeer.open(port_of(server))
        assert await raw.finish_close() == (1001, "no message for 0.4 seconds")
        assert time.monotonic() - began >= 0.4
        assert server.stats.closed_idle == 1
        raw.close()


async def test_pings_do_not_keep_a_connection_open() -> None:
    async with serving(idle, idle_timeout=0.4) as server:
        raw = await RawPeer.open(port_of(server))
        while True:
            await raw.send_frame(PING, "ping")
            received = await raw.recv_frame()
            if received.opcode != PONG:
                break
            await asyncio.sleep(0.02)
        assert received.payload[:2] == (1001).to_bytes(2)
        raw.close()


async def test_messages_keep_a_connection_open() -> None:
    async with against_raw("server", idle_timeout=0.4) as (ws, raw):
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            await raw.send_frame(TEXT, "in")
            assert await ws.recv() == "in"
            await asyncio.sleep(0.05)
        while time.monotonic() < ends + 1.0:
            await ws.send("out")
            assert await raw.recv_payload(TEXT) == b"out"
            await asyncio.sleep(0.05)
        assert ws.state is State.OPEN


async def test_an_old_connection_is_closed() -> None:
    began = time.monotonic()
    async with serving(idle, max_connection_age=0.4) as server:
        raw = await RawPeer.open(port_of(server))
        assert await raw.finish_close() == (1012, "connection has reached its greatest age")
        assert time.monotonic() - began >= 0.36
        assert server.stats.closed_old == 1
        raw.close()


# Rates.


async def leave(raw: RawPeer) -> tuple[int | None, str]:
    """Receive the close frame of a connection that has failed, and go."""
    close = await raw.recv_close()
    raw.close()
    return close


def frames(raw: RawPeer, count: int) -> bytes:
    return b"".join(raw.frame(TEXT, str(index)) for index in range(count))


async def test_more_messages_than_may_come_at_once() -> None:
    async with against_raw("server", max_message_rate=(0.1, 10), max_queue=4) as (ws, raw):
        await raw.send(frames(raw, 50))
        leaving = asyncio.create_task(leave(raw))
        received = []
        with pytest.raises(ConnectionClosedError) as raised:
            while True:
                received.append(await ws.recv())
        assert received == [str(index) for index in range(11)]
        assert raised.value.sent.code == 1008
        assert isinstance(raised.value.__cause__, module("exceptions").RateLimitExceeded)
        assert await leaving == (1008, "more than 0.1 messages a second, and 10 at once")


async def test_messages_at_the_rate_are_fine() -> None:
    async with against_raw("server", max_message_rate=(1000, 200)) as (ws, raw):
        for _ in range(5):
            before = time.monotonic()
            await raw.send(frames(raw, 100))
            assert [await ws.recv() for _ in range(100)] == [str(index) for index in range(100)]
            # What has been used up comes back with time.
            await until(lambda before=before: time.monotonic() > before + 0.15)  # type: ignore[misc]
        assert ws.state is State.OPEN


async def test_more_bytes_than_may_come_at_once() -> None:
    async with against_raw("server", max_byte_rate=(10, 100_000)) as (ws, raw):
        await raw.send_frame(BINARY, bytes(90_000))
        assert len(await ws.recv()) == 90_000
        await raw.send_frame(BINARY, bytes(20_000))
        leaving = asyncio.create_task(leave(raw))
        with pytest.raises(ConnectionClosedError) as raised:
            while True:
                await ws.recv()
        assert raised.value.sent.code == 1008
        assert await leaving == (1008, "more than 10 bytes a second, and 100000 at once")


async def test_who_is_too_fast_is_counted() -> None:
    handed = Handed()
    async with serving(handed, max_message_rate=1) as server:
        raw = await RawPeer.open(port_of(server))
        await raw.send(frames(raw, 5))
        code, _ = await raw.recv_close()
        assert code == 1008
        assert server.stats.closed_fast == 1
        raw.close()
        handed.over.set()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_handshakes": 0}, "max_handshakes is 0, below 1"),
        ({"max_connection_age": 0}, "max_connection_age is 0 seconds, not above 0"),
        ({"idle_timeout": -1}, "idle_timeout is -1 seconds, not above 0"),
        ({"max_message_rate": 0}, "max_message_rate is 0, not above 0"),
        ({"max_byte_rate": (5, 0)}, r"max_byte_rate is \(5, 0\), its burst below 1"),
        ({"slow_limit": 0}, "slow_limit is 0, below 32768"),
    ],
)
async def test_what_is_wrong_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        async with serving(idle, **options):
            pass
