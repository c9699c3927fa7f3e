"""How bytes flow: bounded in memory under every load, and without a delay for a lone message."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import socket
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support import endpoints
from ..support.drivers import asyncio_only
from ..support.endpoints import both_roles, settle
from ..support.fronts import DEFAULTS, Front, against_raw, pair, stands_still
from ..support.rawpeer import BINARY, TEXT, RawPeer, frame
from ..support.subject import (
    ConnectionClosedError,
    connect,
    only_ropeway,
    serve,
)

READ = 1 << 18
"""Bytes that one read may take in, whatever the limits are."""

LITTLE = 1 << 15
"""Bytes of a kernel's buffer, where the kernels must not take everything, but be quick."""

SMALL = 4096
"""Bytes of a kernel's buffer, for a connection whose sends are to wait soon."""

LIMIT = 1 << 15
"""Bytes from which on a send waits: the default of asyncio, and what the others have."""


def shrink(front: Front, ws: Any, raw: RawPeer) -> None:
    """Let the kernels hold little in either direction."""
    for kernel in (front.kernel(ws), raw.sock):
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)


# Backpressure


@only_ropeway
@both_roles
@pytest.mark.parametrize("size", [100, 1000, 40_000])
async def test_echo_to_a_peer_that_does_not_read(front: Front, role: str, size: int) -> None:
    # Answers may be joined while a batch is delivered; they must stop the reading all the same.
    async with against_raw(front, role) as (ws, raw):
        shrink(front, ws, raw)
        # More than the kernels, the buffers and the receive queue hold.
        total = max(1_000_000 // size, 60)

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

        echoing = front.start(echo)
        producing = front.start(produce)
        sent = await stands_still(front, lambda: ws.stats.messages_sent)
        assert not producing.done()
        assert not echoing.done()
        # As much again may wait above what the transport holds.
        assert front.buffered(ws) <= 2 * LIMIT + size + 14
        received = ws.stats.bytes_received
        assert received <= ws.stats.bytes_sent + 17 * (size + 14) + READ
        assert 0 < sent < total
        for index in range(total):
            assert (await raw.recv_payload(BINARY))[:4] == index.to_bytes(4)
        await producing.result()
        await raw.close_handshake()
        await echoing.result()


@only_ropeway
@both_roles
@pytest.mark.parametrize("max_queue", [1, 16, 64])
async def test_receive_queue_stops_the_reading(front: Front, role: str, max_queue: int) -> None:
    async with against_raw(front, role, max_queue=max_queue) as (ws, raw):
        shrink(front, ws, raw)
        data = raw.frame(BINARY, bytes(10_000))
        count = 300

        async def produce() -> None:
            for _ in range(count):
                await raw.send(data)

        producing = front.start(produce)
        received = await stands_still(front, lambda: ws.stats.bytes_received)
        assert not producing.done()
        assert received <= (max_queue + 1) * len(data) + READ
        for _ in range(count):
            await ws.recv()
        await producing.result()


@both_roles
async def test_every_sender_waits_and_every_one_goes_on(front: Front, role: str) -> None:
    async with against_raw(front, role, receive_buffer=SMALL) as (ws, raw):
        shrink(front, ws, raw)
        first = front.start(ws.send, bytes(1 << 20))
        await front.until(lambda: front.buffered(ws) > LIMIT)
        sending = [front.start(ws.send, str(index)) for index in range(50)]
        await stands_still(front, lambda: front.buffered(ws))
        assert not first.done()
        assert not any(work.done() for work in sending)
        assert len(await raw.recv_payload(BINARY)) == 1 << 20
        texts = [int(await raw.recv_payload(TEXT)) for _ in sending]
        assert sorted(texts) == list(range(50))
        for work in (first, *sending):
            await work.result()


@both_roles
async def test_sender_that_never_pauses_is_held(front: Front, role: str) -> None:
    # A send that need not wait may not suspend; one that must wait does, in time.
    async with against_raw(front, role) as (ws, raw):
        shrink(front, ws, raw)
        most = 0

        async def flood() -> None:
            nonlocal most
            for _ in range(5000):
                await ws.send(bytes(500))
                most = max(most, front.buffered(ws))

        flooding = front.start(flood)
        for _ in range(5000):
            assert len(await raw.recv_payload(BINARY)) == 500
        await flooding.result()
        assert most <= LIMIT + 1000


# Latency


def expected_size(raw: RawPeer, text: str) -> int:
    return len(frame(TEXT, text.encode(), mask=not raw.masks))


@both_roles
async def test_lone_message_goes_out_at_once(front: Front, role: str) -> None:
    # Without a timer: the turns that are granted here take no time.
    async with against_raw(front, role) as (ws, raw):
        for index in range(20):
            await ws.send(f"{index:02}")
            await front.turns(2)
            data = raw.sock.recv(1000, socket.MSG_DONTWAIT)
            assert len(data) == expected_size(raw, f"{index:02}")


@asyncio_only("the turns of asyncio's loop are counted")
@both_roles
@pytest.mark.parametrize("where", ["task", "callback"])
async def test_lone_message_is_answered_at_once(role: str, where: str) -> None:
    async with endpoints.against_raw(role) as (ws, raw):
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
            assert len(raw.sock.recv(1000)) == expected_size(raw, "x")
        await asyncio.gather(*tasks)
        await raw.close_handshake()
        await answering


@both_roles
async def test_round_trips_have_no_delay(front: Front, role: str) -> None:
    # Nagle's algorithm with delayed acknowledgements would cost 40 ms where two packets follow.
    async with against_raw(front, role) as (ws, raw):

        async def answer() -> None:
            async for message in ws:
                await ws.send(message)
                await front.turns(3)
                await ws.send(message)

        answering = front.start(answer)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            await raw.send(raw.frame(TEXT, "x"))
            for _ in range(2):
                await raw.recv_payload(TEXT)
            times.append(time.perf_counter() - start)
        assert statistics.median(times) < 0.02
        await raw.close_handshake()
        await answering.result()


def has_no_delay(kernel: Any) -> bool:
    return bool(kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_no_delay_on_either_side(front: Front, tls: Any, secure: bool) -> None:
    client = {"ssl": tls.client_context} if secure else {}
    server = {"ssl": tls.server_context} if secure else {}
    async with pair(front, client=client, server=server) as (near, far):
        assert has_no_delay(front.kernel(near))
        assert has_no_delay(front.kernel(far))


@only_ropeway  # asyncio goes by the protocol number, which a given socket may not have
@asyncio_only("for the others every socket is a given one")
async def test_no_delay_on_a_given_socket() -> None:
    handed = endpoints.Handed()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with serve(handed, sock=listener, **DEFAULTS):
            sock = socket.create_connection(("127.0.0.1", port))
            options: dict[str, Any] = {"proxy": None, "sock": sock, **DEFAULTS}
            async with connect(f"ws://127.0.0.1:{port}/", **options) as near:
                far = await handed.connections.get()
                handed.over.set()
                assert has_no_delay(near.transport.get_extra_info("socket"))
                assert has_no_delay(far.transport.get_extra_info("socket"))


# Large messages


@contextlib.asynccontextmanager
async def linked(
    front: Front, kind: str, tmp_path: Any, tls: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield both ends of a connection of a kind."""
    options: dict[str, Any] = {"max_size": None}
    if kind == "tls":
        options["client"] = {"ssl": tls.client_context}
        options["server"] = {"ssl": tls.server_context}
    if kind == "deflate":
        options["compression"] = "deflate"
    if kind == "unix":
        options["path"] = str(tmp_path / "socket")
    async with pair(front, **options) as ends:
        yield ends


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
async def test_large_and_small_in_both_directions(
    front: Front, kind: str, tmp_path: Any, tls: Any
) -> None:
    sizes = [1 << 20, 100, 65_536, 2 << 20, 126, 70_000, 262_144]
    async with linked(front, kind, tmp_path, tls) as (near, far):
        there, back = mixture(1, sizes), mixture(2, sizes)

        async def send_all(ws: Any, messages: list[str | bytes]) -> None:
            for message in messages:
                await ws.send(message)

        async def recv_all(ws: Any, count: int) -> list[str | bytes]:
            return [await ws.recv() for _ in range(count)]

        *_, at_far, at_near = await front.all_of(
            lambda: send_all(near, there),
            lambda: send_all(far, back),
            lambda: recv_all(far, len(there)),
            lambda: recv_all(near, len(back)),
        )
        assert at_far == there
        assert at_near == back


@pytest.mark.parametrize("kind", KINDS)
async def test_both_send_a_large_message_before_they_receive(
    front: Front, kind: str, tmp_path: Any, tls: Any
) -> None:
    # Each end reads while its own send waits; otherwise this would never end.
    async with linked(front, kind, tmp_path, tls) as (near, far):

        async def exchange(ws: Any, message: bytes) -> bytes:
            await ws.send(message)
            return bytes(await ws.recv())

        messages = [random.Random(index).randbytes(5 << 20) for index in range(2)]
        received = await front.all_of(
            functools.partial(exchange, near, messages[0]),
            functools.partial(exchange, far, messages[1]),
        )
        assert received == messages[::-1]


@both_roles
@pytest.mark.parametrize("step", [1, 1000, 65_536, 1 << 20])
async def test_large_message_that_arrives_in_pieces(front: Front, role: str, step: int) -> None:
    size = 3000 if step == 1 else 3 << 20
    async with against_raw(front, role, max_size=None) as (ws, raw):
        payload = random.Random(step).randbytes(size)
        data = raw.frame(TEXT, "a") + raw.frame(BINARY, payload) + raw.frame(TEXT, "b")

        async def produce() -> None:
            for start in range(0, len(data), step):
                await raw.send(data[start : start + step])
                await front.turns(1)

        producing = front.start(produce)
        assert [await ws.recv() for _ in range(3)] == ["a", payload, "b"]
        await producing.result()


@both_roles
async def test_large_messages_in_a_row_and_a_recv_given_up_between(front: Front, role: str) -> None:
    async with against_raw(front, role, max_size=None) as (ws, raw):
        payloads = [random.Random(index).randbytes(2 << 20) for index in range(4)]

        async def produce() -> None:
            for payload in payloads:
                await raw.send(raw.frame(BINARY, payload))

        producing = front.start(produce)
        received: list[bytes] = []
        while len(received) < 4:
            with contextlib.suppress(TimeoutError):
                received.append(await front.recv_within(ws, 0.0005))
        assert received == payloads
        await producing.result()


# Ends in the middle


@both_roles
@pytest.mark.parametrize("end", ["reset", "close", "half_close"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_end_in_the_middle_of_a_large_message(
    front: Front, role: str, end: str, share: float
) -> None:
    async with against_raw(front, role, max_size=None) as (ws, raw):
        data = raw.frame(BINARY, bytes(3 << 20))
        await raw.send(raw.frame(TEXT, "before"))
        assert await ws.recv() == "before"
        receiving = front.start(ws.recv)
        await raw.send(data[: 14 + int(share * len(data))])
        getattr(raw, end)()
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving.result()
        assert isinstance(raised.value.__cause__, EOFError | ConnectionError)
        await ws.wait_closed()
        assert ws.close_code == 1006


@both_roles
@pytest.mark.parametrize("end", ["reset", "close"])
async def test_end_in_the_middle_of_sending_a_large_message(
    front: Front, role: str, end: str
) -> None:
    async with against_raw(front, role, receive_buffer=SMALL) as (ws, raw):
        sending = [front.start(ws.send, bytes(5 << 20)) for _ in range(2)]
        await raw.recv_exactly(10_000)
        getattr(raw, end)()
        for work in sending:
            with pytest.raises(ConnectionClosedError):
                await work.result()
        await ws.wait_closed()
        if front.name != "threads":  # there, it's the difference of two counts that stay
            assert front.buffered(ws) == 0
        with pytest.raises(ConnectionClosedError):
            await ws.send("x")


@both_roles
async def test_half_close_while_a_large_message_is_on_its_way_out(front: Front, role: str) -> None:
    # The peer has said its last; what was sent before we knew still arrives.
    async with against_raw(front, role, receive_buffer=SMALL, close_timeout=20) as (ws, raw):
        sending = front.start(ws.send, bytes(1 << 20))
        await front.until(lambda: ws.stats.messages_sent == 1)
        raw.half_close()
        data = await raw.recv_eof()
        assert len(data) >= 1 << 20
        await sending.ended()
        await ws.wait_closed()
        assert ws.close_code == 1006


async def test_server_in_which_one_connection_is_reset_serves_the_others(front: Front) -> None:
    async def echo(ws: Any) -> None:
        with contextlib.suppress(ConnectionClosedError):
            async for message in ws:
                await ws.send(message)

    async with front.serving(echo, max_size=None) as port:
        async with front.connecting(port, max_size=None) as ws:
            for _ in range(5):
                raw = await front.peer.open(port)
                await raw.send(raw.frame(BINARY, bytes(1 << 20))[: 1 << 19])
                raw.reset()
                await ws.send("still here")
                assert await ws.recv() == "still here"
