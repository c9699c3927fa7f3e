"""How bytes flow: bounded in memory under every load, and without a delay for a lone message."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import (
    DEFAULTS,
    Handed,
    against_raw,
    both_roles,
    connecting,
    pair,
    serving,
    settle,
    until,
)
from ..support.rawpeer import BINARY, TEXT, RawPeer
from ..support.subject import (
    ConnectionClosedError,
    connect,
    only_ropeway,
    serve,
    unix_connect,
    unix_serve,
)
from .operations import BLOCKER, SMALL, blocked

pytestmark = asyncio_only

READ = 1 << 18
"""Bytes that one read may take in, whatever the limits are."""

LITTLE = 1 << 15
"""Bytes of a kernel's buffer, where the kernels must not take everything, but be quick."""


def shrink(ws: Any, raw: RawPeer) -> None:
    """Let the kernels hold little in either direction."""
    for kernel in (ws.transport.get_extra_info("socket"), raw.sock):
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)


async def stands_still(count: Any) -> int:
    """Wait until a count has not changed for a while, and return it."""
    last, same = count(), 0
    while same < 20:
        await asyncio.sleep(0.005)
        now = count()
        same = same + 1 if now == last else 0
        last = now
    return int(last)


# Backpressure


@only_ropeway
@both_roles
@pytest.mark.parametrize("size", [100, 1000, 40_000])
async def test_echo_to_a_peer_that_does_not_read(role: str, size: int) -> None:
    # Answers are corked while a batch is delivered; they must stop the reading all the same.
    limit = 1 << 15
    async with against_raw(role, write_limit=limit) as (ws, raw):
        shrink(ws, raw)
        total = 2_000_000 // size

        async def echo() -> None:
            async for message in ws:
                await ws.send(message)

        async def produce() -> None:
            for start in range(0, total, 50):
                await raw.send(
                    *(
                        raw.frame(BINARY, index.to_bytes(4) + bytes(size - 4))
                        for index in range(start, min(total, start + 50))
                    )
                )

        echoing = asyncio.create_task(echo())
        producing = asyncio.create_task(produce())
        sent = await stands_still(lambda: ws.stats.messages_sent)
        assert not producing.done()
        assert not echoing.done()
        # As much again may be corked above what the transport holds.
        assert ws.transport.get_write_buffer_size() <= 2 * limit + size + 14
        received = ws.stats.bytes_received
        assert received <= ws.stats.bytes_sent + 17 * (size + 14) + READ
        assert 0 < sent < total
        for index in range(total):
            assert (await raw.recv_payload(BINARY))[:4] == index.to_bytes(4)
        await producing
        await raw.close_handshake()
        await echoing


@only_ropeway
@both_roles
@pytest.mark.parametrize("max_queue", [1, 16, 64])
async def test_receive_queue_stops_the_reading(role: str, max_queue: int) -> None:
    async with against_raw(role, max_queue=max_queue) as (ws, raw):
        shrink(ws, raw)
        frame = raw.frame(BINARY, bytes(10_000))
        count = 300

        async def produce() -> None:
            for _ in range(count):
                await raw.send(frame)

        producing = asyncio.create_task(produce())
        received = await stands_still(lambda: ws.stats.bytes_received)
        assert not producing.done()
        assert received <= (max_queue + 1) * len(frame) + READ
        for _ in range(count):
            await ws.recv()
        await producing


@both_roles
async def test_every_sender_waits_and_every_one_goes_on(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws):
            await settle()
            sending = [asyncio.create_task(ws.send(str(index))) for index in range(50)]
            await settle()
            assert not any(task.done() for task in sending)
            assert len(await raw.recv_payload(BINARY)) == len(BLOCKER)
            for index in range(50):
                assert await raw.recv_payload(TEXT) == str(index).encode()
            await asyncio.gather(*sending)


@both_roles
async def test_sender_that_never_yields_is_held(role: str) -> None:
    # A send that need not wait does not suspend; one that must wait does, in time.
    limit = 1 << 14
    async with against_raw(role, write_limit=limit) as (ws, raw):
        shrink(ws, raw)
        most = 0

        async def flood() -> None:
            nonlocal most
            for _ in range(5000):
                await ws.send(bytes(500))
                most = max(most, ws.transport.get_write_buffer_size())

        flooding = asyncio.create_task(flood())
        for _ in range(5000):
            assert len(await raw.recv_payload(BINARY)) == 500
        await flooding
        assert most <= limit + 1000


# Latency


@both_roles
async def test_lone_message_goes_out_at_once(role: str) -> None:
    # Without a timer: the turns of the loop that are granted here take no time.
    async with against_raw(role) as (ws, raw):
        for index in range(20):
            await ws.send(f"{index:02}")
            await settle(2)
            expected = raw_frame(raw, f"{index:02}")
            assert len(raw.sock.recv(1000)) == len(expected)


def raw_frame(raw: RawPeer, text: str) -> bytes:
    return RawPeer(raw.sock, masks=not raw.masks).frame(TEXT, text)


@both_roles
@pytest.mark.parametrize("where", ["task", "callback"])
async def test_lone_message_is_answered_at_once(role: str, where: str) -> None:
    async with against_raw(role) as (ws, raw):
        loop = asyncio.get_running_loop()
        tasks = []

        async def answer() -> None:
            async for message in ws:
                if where == "task":
                    await ws.send(message)
                else:
                    loop.call_soon(lambda m=message: tasks.append(loop.create_task(ws.send(m))))

        answering = asyncio.create_task(answer())
        await settle()
        for _ in range(20):
            raw.sock.send(raw.frame(TEXT, "x"))
            await settle(8)
            assert len(raw.sock.recv(1000)) == len(raw_frame(raw, "x"))
        await asyncio.gather(*tasks)
        await raw.close_handshake()
        await answering


@both_roles
async def test_round_trips_have_no_delay(role: str) -> None:
    # Nagle's algorithm with delayed acknowledgements would cost 40 ms where two packets follow.
    async with against_raw(role) as (ws, raw):

        async def answer() -> None:
            async for message in ws:
                await ws.send(message)
                await settle(3)
                await ws.send(message)

        answering = asyncio.create_task(answer())
        times = []
        for _ in range(20):
            start = time.perf_counter()
            await raw.send(raw.frame(TEXT, "x"))
            for _ in range(2):
                await raw.recv_payload(TEXT)
            times.append(time.perf_counter() - start)
        assert statistics.median(times) < 0.02
        await raw.close_handshake()
        await answering


def has_no_delay(ws: Any) -> bool:
    kernel = ws.transport.get_extra_info("socket")
    return bool(kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@only_ropeway  # asyncio goes by the protocol number, which a given socket may not have
@pytest.mark.parametrize("way", ["host", "sock"])
async def test_no_delay_on_either_side(way: str) -> None:
    handed = Handed()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    given: dict[str, Any] = {"sock": listener}
    if way == "host":
        listener.close()
        given = {"host": "127.0.0.1", "port": port}
    async with serve(handed, **given, **DEFAULTS):
        options: dict[str, Any] = {"proxy": None, **DEFAULTS}
        if way == "sock":
            options["sock"] = socket.create_connection(("127.0.0.1", port))
        async with connect(f"ws://127.0.0.1:{port}/", **options) as near:
            far = await handed.connections.get()
            handed.over.set()
            assert has_no_delay(near)
            assert has_no_delay(far)


async def test_no_delay_over_tls(tls: Any) -> None:
    async with pair(client={"ssl": tls.client_context}, server={"ssl": tls.server_context}) as (
        near,
        far,
    ):
        assert has_no_delay(near)
        assert has_no_delay(far)


# Large messages


@contextlib.asynccontextmanager
async def linked(kind: str, tmp_path: Any, tls: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield both ends of a connection of a kind."""
    options: dict[str, Any] = {"max_size": None, "close_timeout": 5, "ping_interval": None}
    if kind == "unix":
        handed = Handed()
        path = str(tmp_path / "socket")
        options["compression"] = None
        async with unix_serve(handed, path, **options):
            async with unix_connect(path, **options) as near:
                far = await handed.connections.get()
                yield near, far
                handed.over.set()
        return
    extra: dict[str, Any] = {}
    if kind == "tls":
        extra = {"client": {"ssl": tls.client_context}, "server": {"ssl": tls.server_context}}
    if kind == "deflate":
        options["compression"] = "deflate"
    async with pair(**options, **extra) as (near, far):
        yield near, far


KINDS = ["tcp", "unix", "tls", "deflate"]


def mixture(seed: int, sizes: list[int]) -> list[str | bytes]:
    """Make messages of these sizes, text and binary, with small ones between."""
    rng = random.Random(seed)
    messages: list[str | bytes] = []
    for size in sizes:
        messages += [f"small {rng.random()}" for _ in range(rng.randrange(5))]
        piece = rng.randbytes(min(size, 4096))
        binary = (piece * (size // max(1, len(piece)) + 1))[:size]
        messages.append(binary)
        messages.append("é" * (size // 3))
        messages.append("a" * (size // 2))
    return messages


@pytest.mark.parametrize("kind", KINDS)
async def test_large_and_small_in_both_directions(kind: str, tmp_path: Any, tls: Any) -> None:
    sizes = [1 << 20, 100, 65_536, 5 << 20, 126, 70_000, 262_144]
    async with linked(kind, tmp_path, tls) as (near, far):
        there, back = mixture(1, sizes), mixture(2, sizes)

        async def send_all(ws: Any, messages: list[str | bytes]) -> None:
            for message in messages:
                await ws.send(message)

        async def recv_all(ws: Any, count: int) -> list[str | bytes]:
            return [await ws.recv() for _ in range(count)]

        *_, at_far, at_near = await asyncio.gather(
            send_all(near, there),
            send_all(far, back),
            recv_all(far, len(there)),
            recv_all(near, len(back)),
        )
        assert at_far == there
        assert at_near == back


@pytest.mark.parametrize("kind", KINDS)
async def test_both_send_a_large_message_before_they_receive(
    kind: str, tmp_path: Any, tls: Any
) -> None:
    # Each end reads while its own send waits; otherwise this would never end.
    async with linked(kind, tmp_path, tls) as (near, far):

        async def exchange(ws: Any, message: bytes) -> bytes:
            await ws.send(message)
            return bytes(await ws.recv())

        messages = [random.Random(index).randbytes(5 << 20) for index in range(2)]
        received = await asyncio.gather(exchange(near, messages[0]), exchange(far, messages[1]))
        assert received == messages[::-1]


@both_roles
@pytest.mark.parametrize("step", [1, 1000, 65_536, 1 << 20])
async def test_large_message_that_arrives_in_pieces(role: str, step: int) -> None:
    size = 3000 if step == 1 else 3 << 20
    async with against_raw(role, max_size=None) as (ws, raw):
        payload = random.Random(step).randbytes(size)
        data = raw.frame(TEXT, "a") + raw.frame(BINARY, payload) + raw.frame(TEXT, "b")

        async def produce() -> None:
            for start in range(0, len(data), step):
                await raw.send(data[start : start + step])
                await settle(1)

        producing = asyncio.create_task(produce())
        assert [await ws.recv() for _ in range(3)] == ["a", payload, "b"]
        await producing


@both_roles
async def test_two_large_messages_in_a_row_and_a_cancelled_recv_between(role: str) -> None:
    async with against_raw(role, max_size=None) as (ws, raw):
        payloads = [random.Random(index).randbytes(2 << 20) for index in range(4)]

        async def produce() -> None:
            for payload in payloads:
                await raw.send(raw.frame(BINARY, payload))

        producing = asyncio.create_task(produce())
        received: list[bytes] = []
        while len(received) < 4:
            receiving = asyncio.create_task(ws.recv())
            await settle(3)
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                received.append(await receiving)
        assert received == payloads
        await producing


# Ends in the middle


@both_roles
@pytest.mark.parametrize("end", ["reset", "close", "half_close"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_end_in_the_middle_of_a_large_message(role: str, end: str, share: float) -> None:
    async with against_raw(role, max_size=None) as (ws, raw):
        data = raw.frame(BINARY, bytes(3 << 20))
        await raw.send(raw.frame(TEXT, "before"))
        assert await ws.recv() == "before"
        receiving = asyncio.create_task(ws.recv())
        await raw.send(data[: 14 + int(share * len(data))])
        getattr(raw, end)()
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving
        assert isinstance(raised.value.__cause__, EOFError | ConnectionError)
        await ws.wait_closed()
        assert ws.close_code == 1006


@both_roles
@pytest.mark.parametrize("end", ["reset", "close"])
async def test_end_in_the_middle_of_sending_a_large_message(role: str, end: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        sending = [asyncio.create_task(ws.send(bytes(5 << 20))) for _ in range(2)]
        await raw.recv_exactly(10_000)
        getattr(raw, end)()
        for task in sending:
            with pytest.raises(ConnectionClosedError):
                await task
        await ws.wait_closed()
        assert ws.transport.get_write_buffer_size() == 0
        with pytest.raises(ConnectionClosedError):
            await ws.send("x")


@both_roles
async def test_half_close_while_a_large_message_is_on_its_way_out(role: str) -> None:
    # The peer has said its last; what was sent before we knew still arrives.
    async with against_raw(role, receive_buffer=SMALL, close_timeout=20) as (ws, raw):
        sending = asyncio.create_task(ws.send(bytes(1 << 20)))
        await settle()
        raw.half_close()
        data = await raw.recv_eof()
        assert len(data) >= 1 << 20
        await asyncio.wait([sending])
        await ws.wait_closed()
        assert ws.close_code == 1006


async def test_server_in_which_one_connection_is_reset_serves_the_others() -> None:
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with serving(echo, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connecting(port, max_size=None) as ws:
            for _ in range(5):
                raw = await RawPeer.open(port)
                await raw.send(raw.frame(BINARY, bytes(1 << 20))[: 1 << 19])
                raw.reset()
                await ws.send("still here")
                assert await ws.recv() == "still here"
        await until(lambda: not server.connections)
