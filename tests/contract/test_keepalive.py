"""Pings that the library sends by itself, and what it does when the peer is silent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support.endpoints import against_raw, both_roles, pair
from ..support.rawpeer import BINARY, PING, PONG, TEXT, RawPeer
from ..support.subject import ConnectionClosedError, State, only_ropeway

REASON = "keepalive ping timeout"


@both_roles
async def test_pings_go_out_at_each_interval(role: str) -> None:
    async with against_raw(role, ping_interval=0.05, ping_timeout=10) as (ws, raw):
        started = time.perf_counter()
        payloads = []
        for _ in range(4):
            payloads.append(await raw.recv_payload(PING))
            await raw.send_frame(PONG, payloads[-1])
        assert time.perf_counter() - started >= 0.15
        assert len(set(payloads)) == 4
        assert ws.state is State.OPEN


@both_roles
async def test_silent_peer_fails_the_connection(role: str) -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
    async with against_raw(role, **options) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await raw.recv_payload(PING)
        code, reason = await raw.recv_close()
        assert code == 1011
        assert reason.startswith(REASON)
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving
        assert str(raised.value).startswith(f"sent 1011 (internal error) {REASON}")
        assert str(raised.value).endswith("; no close frame received")
        assert ws.close_code == 1006


@both_roles
async def test_silent_peer_fails_a_connection_that_nobody_reads(role: str) -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
    async with against_raw(role, **options) as (ws, raw):
        await raw.recv_payload(PING)
        assert (await raw.recv_close())[0] == 1011
        raw.half_close()
        await ws.wait_closed()
        with pytest.raises(ConnectionClosedError, match=REASON):
            await ws.send("x")


@both_roles
async def test_pong_with_other_data_is_no_answer(role: str) -> None:
    # In ropeway it is life all the same, so the peer sends it before the ping.
    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
    async with against_raw(role, **options) as (_, raw):
        await raw.send_frame(PONG, "other")
        await raw.recv_payload(PING)
        assert (await raw.recv_close())[0] == 1011


@both_roles
async def test_no_interval_means_no_pings(role: str) -> None:
    async with against_raw(role, ping_interval=None, ping_timeout=0.01) as (ws, raw):
        await asyncio.sleep(0.1)
        await ws.send("first")
        assert await raw.recv_payload(TEXT) == b"first"


@both_roles
async def test_no_timeout_means_that_a_silent_peer_stays(role: str) -> None:
    async with against_raw(role, ping_interval=0.02, ping_timeout=None) as (ws, raw):
        for _ in range(5):
            await raw.recv_payload(PING)
        assert ws.state is State.OPEN


@both_roles
async def test_latency_is_measured_on_both_ends(role: str) -> None:
    async with pair(ping_interval=0.02, ping_timeout=10) as (client, server):
        near = client if role == "client" else server
        async with asyncio.timeout(60):
            while not near.latency:
                await asyncio.sleep(0.01)


@both_roles
async def test_pings_stop_when_the_connection_closes(role: str) -> None:
    async with against_raw(role, ping_interval=0.02, ping_timeout=1) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await raw.recv_frame()
        await raw.send_close()
        raw.half_close()
        await closing


@contextlib.asynccontextmanager
async def answering(raw: RawPeer) -> AsyncIterator[None]:
    """Let the raw peer answer pings in the background."""

    async def answer() -> None:
        while True:
            frame = await raw.recv_frame()
            if frame.opcode == PING:
                await raw.send_frame(PONG, frame.payload)

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@only_ropeway
@both_roles
@pytest.mark.parametrize("life", ["message", "fragment", "part of a frame", "pong"])
async def test_any_inbound_byte_counts_as_life(role: str, life: str) -> None:
    options: dict[str, Any] = {"ping_interval": 0.05, "ping_timeout": 0.2, "close_timeout": 0.05}
    async with against_raw(role, **options) as (ws, raw):
        long = raw.frame(BINARY, bytes(100))
        if life == "fragment":
            await raw.send_frame(TEXT, "", fin=False)
        for index in range(20):
            if life == "message":
                await raw.send_frame(TEXT, "alive")
                await ws.recv()
            elif life == "fragment":
                await raw.send_frame(0x0, "alive", fin=False)
            elif life == "pong":
                await raw.send_frame(PONG, b"unsolicited")
            else:
                await raw.send(long[index : index + 1])
            await asyncio.sleep(0.02)
        assert ws.state is State.OPEN


@only_ropeway
@both_roles
async def test_silence_after_life_still_fails_the_connection(role: str) -> None:
    options: dict[str, Any] = {"ping_interval": 0.05, "ping_timeout": 0.1, "close_timeout": 0.05}
    async with against_raw(role, **options) as (ws, raw):
        for _ in range(5):
            await raw.send_frame(PONG, b"alive")
            await asyncio.sleep(0.02)
        with pytest.raises(ConnectionClosedError, match=REASON):
            await ws.recv()


@only_ropeway
@both_roles
async def test_no_timeout_while_a_full_queue_pauses_reading(role: str) -> None:
    options: dict[str, Any] = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
    async with against_raw(role, max_queue=2, **options) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(10)))
        async with answering(raw):
            await asyncio.sleep(0.4)
            assert ws.state is State.OPEN
            assert [await ws.recv() for _ in range(10)] == [str(index) for index in range(10)]
            await asyncio.sleep(0.2)
            assert ws.state is State.OPEN


@both_roles
async def test_program_may_ping_beside_keepalive(role: str) -> None:
    async with against_raw(role, ping_interval=0.02, ping_timeout=10) as (ws, raw):
        async with answering(raw):
            for _ in range(10):
                assert await (await ws.ping()) >= 0
                await asyncio.sleep(0.01)
        assert ws.state is State.OPEN


@only_ropeway
@both_roles
async def test_a_peer_that_went_away_while_a_full_queue_pauses_reading(role: str) -> None:
    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05, "max_queue": 1}
    async with against_raw(role, **options) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(40)))
        raw.close()
        # Nobody receives, so the end of the stream can't be seen; a ping that is written can tell.
        async with asyncio.timeout(60):
            await ws.wait_closed()
