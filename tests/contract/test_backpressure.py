"""Nothing grows without a bound: full receive queues stop reading, full buffers make send wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, fill, pair, settle
from ..support.rawpeer import BINARY, PING, PONG, TEXT, RawPeer
from ..support.subject import State, only_ropeway

SMALL = 4096
"""Bytes for a kernel's buffer; the kernel rounds up to a few times that."""


async def stuck(raw: RawPeer, data: bytes) -> asyncio.Task[None]:
    """Send data again and again until the connection under test does not take it."""
    sent = asyncio.Event()

    async def send_all() -> None:
        while True:
            await raw.send(data)
            sent.set()

    sending = asyncio.create_task(send_all())
    while True:
        sent.clear()
        try:
            await asyncio.wait_for(sent.wait(), 0.2)
        except TimeoutError:
            return sending


@both_roles
@pytest.mark.parametrize("max_queue", [1, 16, (16, 4), (16, None)])
async def test_full_queue_stops_reading(role: str, max_queue: Any) -> None:
    async with against_raw(role, max_queue=max_queue) as (ws, raw):
        sending = await stuck(raw, raw.frame(BINARY, bytes(60_000)))
        for _ in range(50):
            assert len(await ws.recv()) == 60_000
        sending.cancel()
        await asyncio.wait([sending])
        assert ws.state is State.OPEN


@both_roles
@pytest.mark.parametrize("max_queue", [1, 2, (2, 0), (5, 1), 16, None])
async def test_every_message_arrives_through_a_queue(role: str, max_queue: Any) -> None:
    async with against_raw(role, max_queue=max_queue) as (ws, raw):
        count = 300

        async def produce() -> None:
            for index in range(0, count, 10):
                await raw.send(*(raw.frame(TEXT, str(i)) for i in range(index, index + 10)))

        producing = asyncio.create_task(produce())
        assert [await ws.recv() for _ in range(count)] == [str(index) for index in range(count)]
        await producing


@both_roles
async def test_unlimited_queue_reads_on(role: str) -> None:
    async with against_raw(role, max_queue=None) as (ws, raw):
        for _ in range(100):
            await raw.send_frame(BINARY, bytes(60_000))
        await raw.send_frame(PING, "behind")
        assert await raw.recv_payload(PONG) == b"behind"
        assert [len(await ws.recv()) for _ in range(100)] == [60_000] * 100


@both_roles
async def test_pings_are_answered_once_reading_resumes(role: str) -> None:
    async with against_raw(role, max_queue=1) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(5)))
        assert await ws.recv() == "0"
        await raw.send_frame(PING, "behind")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await raw.recv_frame()
        assert [await ws.recv() for _ in range(4)] == ["1", "2", "3", "4"]
        assert await raw.recv_payload(PONG) == b"behind"


@both_roles
async def test_fragments_of_one_message_pass_a_full_queue(role: str) -> None:
    # A message of more frames than the queue holds must still be received.
    async with against_raw(role, max_queue=4) as (ws, raw):
        data = [raw.frame(0x0, f"{index:03}", fin=False) for index in range(100)]
        receiving = asyncio.create_task(ws.recv())
        await raw.send(raw.frame(TEXT, "", fin=False), *data, raw.frame(0x0))
        assert await receiving == "".join(f"{index:03}" for index in range(100))


@both_roles
async def test_recv_streaming_resumes_reading(role: str) -> None:
    async with against_raw(role, max_queue=2) as (ws, raw):

        async def produce() -> None:
            for _ in range(100):
                await raw.send_frame(0x0, bytes(5_000), fin=False)
            await raw.send_frame(0x0)

        await raw.send_frame(BINARY, b"", fin=False)
        producing = asyncio.create_task(produce())
        total = 0
        async for part in ws.recv_streaming():
            total += len(part)
        assert total == 500_000
        await producing


@asyncio_only("write_limit is an option of asyncio's")
@both_roles
@pytest.mark.parametrize("write_limit", [1024, (1024, 256), 1 << 15, (1 << 16, None)])
async def test_send_waits_while_the_peer_does_not_read(role: str, write_limit: Any) -> None:
    async with against_raw(role, write_limit=write_limit, receive_buffer=SMALL) as (ws, raw):
        count, waiting = await fill(ws)
        others = [asyncio.create_task(ws.send(str(index))) for index in range(3)]
        await settle()
        assert not waiting.done()
        assert not any(task.done() for task in others)
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        await asyncio.gather(waiting, *others)
        assert [await raw.recv_payload(TEXT) for _ in others] == [b"0", b"1", b"2"]


@asyncio_only("write_limit is an option of asyncio's")
@only_ropeway
@both_roles
@pytest.mark.parametrize("write_limit", [None, (None, None), (None, 256)])
async def test_without_a_high_mark_send_waits_too(role: str, write_limit: Any) -> None:
    async with against_raw(role, write_limit=write_limit, receive_buffer=SMALL) as (ws, raw):
        count, waiting = await fill(ws)
        for _ in range(count + 1):
            assert len(await raw.recv_payload(BINARY)) == 1 << 16
        await waiting


@asyncio_only("write_limit is an option of asyncio's")
@only_ropeway
@both_roles
@pytest.mark.parametrize("write_limit", [2**31, 2**63, 2**64, (2**64, 2**64)])
async def test_write_limit_may_be_larger_than_what_the_loop_counts(
    role: str, write_limit: Any
) -> None:
    async with against_raw(role, write_limit=write_limit) as (ws, raw):
        for _ in range(3):
            await ws.send("hello")
            assert await raw.recv_payload(TEXT) == b"hello"


@asyncio_only("write_limit is an option of asyncio's")
@both_roles
async def test_write_limit_bounds_what_is_buffered(role: str) -> None:
    async with against_raw(role, write_limit=10_000, receive_buffer=SMALL) as (ws, _):
        count, waiting = await fill(ws, 1000)
        assert ws.transport.get_write_buffer_size() < 20_000
        waiting.cancel()
        await asyncio.wait([waiting])
        assert count > 0


@both_roles
async def test_send_waits_for_a_slow_reader_between_both_ends(role: str) -> None:
    async with pair(max_queue=1) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        count, waiting = await fill(near)
        assert [len(await far.recv()) for _ in range(count + 1)] == [1 << 16] * (count + 1)
        await waiting
        # A drained connection is as good as new.
        await near.send("done")
        assert await far.recv() == "done"


@only_ropeway
@both_roles
async def test_pongs_are_bounded_while_the_peer_does_not_read(role: str) -> None:
    async with against_raw(role, write_limit=SMALL, receive_buffer=SMALL) as (ws, raw):
        _, waiting = await fill(ws)
        before = ws.transport.get_write_buffer_size()
        for index in range(1000):
            await raw.send_frame(PING, f"{index:0120}")
        await raw.send_frame(TEXT, "mark")
        assert await ws.recv() == "mark"
        assert ws.transport.get_write_buffer_size() <= before + 1000
        pongs = []
        sending = asyncio.create_task(ws.send("last"))
        while (frame := await raw.recv_frame()).opcode != TEXT or frame.payload != b"last":
            if frame.opcode == PONG:
                pongs.append(frame.payload)
        await asyncio.gather(waiting, sending)
        while not pongs or pongs[-1] != f"{999:0120}".encode():
            pongs.append(await raw.recv_payload(PONG))
        assert len(pongs) < 50


@both_roles
async def test_receiving_goes_on_while_sending_waits(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        count, waiting = await fill(ws)
        await raw.send_frame(TEXT, "other way")
        assert await ws.recv() == "other way"
        for _ in range(count + 1):
            await raw.recv_payload(BINARY)
        await waiting


@both_roles
async def test_connection_lost_while_sending_waits(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        _, waiting = await fill(ws)
        raw.reset()
        await ws.wait_closed()
        await asyncio.wait([waiting], timeout=10)
        assert waiting.done()
        waiting.exception()
