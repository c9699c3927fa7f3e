"""broadcast: connections that wait for their turn to be written to, and what they do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import both_roles, settle
from ..support.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    TEXT,
    Deflater,
    RawFrame,
    RawPeer,
)
from ..support.subject import ConcurrencyError, State, broadcast, module, only_ropeway
from .test_broadcast import several, start_fragmented
from .test_compression import DEFLATE

pytestmark = asyncio_only("only asyncio's broadcast leaves connections to later turns of a loop")

COUNT = 5
WAITING = slice(2, COUNT)
"""Those of so many that ``in_turns()`` lets wait."""

compressed_or_not = pytest.mark.parametrize("compression", [None, "deflate"])


def in_turns(connections: Iterable[Any]) -> Iterator[Any]:
    """Give connections; after two of them, the time that a broadcast takes at once is over."""
    for index, ws in enumerate(connections):
        yield ws
        if index == 0:
            # It holds the loop as long as writing to hundreds of connections does.
            time.sleep(0.01)


@contextlib.asynccontextmanager
async def room(role: str, compression: str | None) -> AsyncIterator[Any]:
    """Yield connections and, for each, a function that receives a frame of its raw peer."""
    headers = DEFLATE if compression else ""
    async with several(role, COUNT, compression=compression, headers=headers) as (found, raws):
        yield found, [receiver(raw) for raw in raws]


def receiver(raw: RawPeer) -> Callable[[], Awaitable[RawFrame]]:
    inflater = Deflater().decompressor
    compressed = False

    async def receive() -> RawFrame:
        nonlocal compressed
        frame = await raw.recv_frame()
        if frame.opcode > BINARY:
            return frame
        if frame.opcode != CONT:
            compressed = frame.rsv == RSV1
        if not compressed:
            return frame
        end = b"\x00\x00\xff\xff" if frame.fin else b""
        return frame._replace(payload=inflater.decompress(frame.payload + end))

    return receive


async def send(ws: Any) -> None:
    await ws.send("next")


async def send_fragments(ws: Any) -> None:
    await ws.send(iter(["ne", "xt"]))


async def ping(ws: Any) -> None:
    await ws.ping(b"next")


async def pong(ws: Any) -> None:
    await ws.pong(b"next")


async def cast(ws: Any) -> None:
    broadcast([ws], "next")


async def close(ws: Any) -> None:
    # The close frame is sent before it is waited for.
    closing = asyncio.create_task(ws.close(1001))
    await settle(1)
    closing.cancel()


async def write_past_it(ws: Any) -> None:
    ws.transport.write(b"\x8a\x84\0\0\0\0next" if ws.protocol.side else b"\x8a\x04next")


ACTIONS: list[tuple[Any, list[tuple[int, bytes]]]] = [
    (send, [(TEXT, b"next")]),
    (send_fragments, [(TEXT, b"ne"), (CONT, b"xt"), (CONT, b"")]),
    (ping, [(PING, b"next")]),
    (pong, [(PONG, b"next")]),
    (cast, [(TEXT, b"next")]),
    (close, [(CLOSE, b"\x03\xe9")]),
    (write_past_it, [(PONG, b"next")]),
]


@both_roles
@compressed_or_not
@pytest.mark.parametrize(
    ("act", "frames"), ACTIONS, ids=lambda value: getattr(value, "__name__", "")
)
async def test_what_is_sent_meanwhile_comes_behind(
    role: str, compression: str | None, act: Any, frames: list[tuple[int, bytes]]
) -> None:
    async with room(role, compression) as (connections, receivers):
        broadcast(in_turns(connections), "first " * 20)
        broadcast(in_turns(connections), "second " * 20)
        for ws in connections:
            await act(ws)
        for receive in receivers:
            assert (await receive()).payload == b"first " * 20
            assert (await receive()).payload == b"second " * 20
            for expected in frames:
                frame = await receive()
                assert (frame.opcode, frame.payload) == expected


@both_roles
@compressed_or_not
async def test_many_messages_wait_in_order(role: str, compression: str | None) -> None:
    async with room(role, compression) as (connections, receivers):
        texts = [f"{index} " * index for index in range(30)]
        for index, text in enumerate(texts):
            # Connections that wait for one message more or less than the others.
            broadcast(in_turns(connections if index % 3 else connections[::-1][1:]), text)
            if index % 7 == 0:
                await settle(1)
        for index, receive in enumerate(receivers):
            last = index == COUNT - 1
            for text in (text for at, text in enumerate(texts) if not last or at % 3):
                assert (await receive()).payload.decode() == text


@both_roles
async def test_a_close_frame_that_has_arrived_is_answered_behind(role: str) -> None:
    async with several(role, COUNT) as (connections, raws):
        for raw in raws:
            await raw.send_close(1001)
        broadcast(in_turns(connections), "hello")
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"hello"
            assert await raw.recv_close() == (1001, "")


@both_roles
async def test_a_ping_that_has_arrived_is_answered_behind(role: str) -> None:
    async with several(role, COUNT) as (connections, raws):
        for raw in raws:
            await raw.send_frame(PING, b"p")
        broadcast(in_turns(connections), "hello")
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"hello"
            assert await raw.recv_payload(PONG) == b"p"


@only_ropeway
@both_roles
async def test_connections_that_are_lost_meanwhile(
    role: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with several(role, COUNT) as (connections, raws):
        with caplog.at_level(logging.WARNING):
            broadcast(in_turns(connections), "hello")
            connections[3].abort()
            for index in (0, 1, 2, 4):
                assert await raws[index].recv_payload(TEXT) == b"hello"
        assert not caplog.records
        await connections[3].wait_closed()
        broadcast(in_turns(connections), "again")
        assert await raws[4].recv_payload(TEXT) == b"again"


@both_roles
async def test_the_collection_may_change_meanwhile(role: str) -> None:
    async with several(role, COUNT) as (connections, raws):
        found = list(connections)
        broadcast(in_turns(found), "hello")
        found.clear()
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"hello"


@only_ropeway
@both_roles
async def test_an_iterable_that_fails_leaves_nobody_waiting(role: str) -> None:
    def failing(connections: list[Any]) -> Iterator[Any]:
        yield from in_turns(connections[:4])
        raise LookupError("no more")

    async with several(role, COUNT) as (connections, raws):
        with pytest.raises(LookupError, match="no more"):
            broadcast(failing(connections), "hello")
        for raw in raws[:4]:
            assert await raw.recv_payload(TEXT) == b"hello"
        broadcast(connections, "all")
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"all"


@only_ropeway
@both_roles
async def test_messages_that_wait_are_counted(role: str) -> None:
    async with several(role, COUNT) as (connections, raws):
        broadcast(in_turns(connections), "four")
        for ws in connections:
            assert (ws.stats.messages_sent, ws.stats.payload_bytes_sent) == (1, 4)
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"four"
        for ws in connections:
            assert (ws.stats.messages_sent, ws.stats.payload_bytes_sent) == (1, 4)


@both_roles
async def test_who_begins_a_fragmented_message_meanwhile_is_skipped_from_then_on(
    role: str,
) -> None:
    async with several(role, COUNT) as (connections, raws):
        broadcast(in_turns(connections), "before")
        gate = asyncio.Event()

        async def parts() -> AsyncIterator[str]:
            yield "one"
            await gate.wait()

        sending = asyncio.create_task(connections[4].send(parts()))
        await settle(1)
        with pytest.raises(ExceptionGroup) as raised:
            broadcast(in_turns(connections), "after", raise_exceptions=True)
        assert [type(exc) for exc in raised.value.exceptions] == [ConcurrencyError]
        for raw in raws[:4]:
            assert await raw.recv_payload(TEXT) == b"before"
            assert await raw.recv_payload(TEXT) == b"after"
        assert await raws[4].recv_payload(TEXT) == b"before"
        assert (await raws[4].recv_frame()).payload == b"one"
        gate.set()
        await sending
        assert (await raws[4].recv_frame()).payload == b""
        broadcast(in_turns(connections), "next")
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"next"


@both_roles
async def test_fragmented_messages_are_found_among_those_that_would_wait(role: str) -> None:
    async with several(role, COUNT) as (connections, raws):
        gate, sending = await start_fragmented(connections[3], raws[3])
        with pytest.raises(ExceptionGroup) as raised:
            broadcast(in_turns(connections), "hello", raise_exceptions=True)
        assert [type(exc) for exc in raised.value.exceptions] == [ConcurrencyError]
        for index in (0, 1, 2, 4):
            assert await raws[index].recv_payload(TEXT) == b"hello"
        gate.set()
        await sending


@only_ropeway
@pytest.mark.parametrize("raised", [False, True])
async def test_who_cannot_compress_is_found_at_once(
    raised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    factory = module("extensions.permessage_deflate").ServerPerMessageDeflateFactory
    good = {"compression": None, "extensions": [factory()], "headers": DEFLATE}
    bad = {**good, "extensions": [factory(compress_settings={"level": 42})]}
    async with (
        several("server", 3, **good) as (connections, raws),
        several("server", 3, **bad) as (others, silent),
    ):
        with caplog.at_level(logging.WARNING):
            try:
                broadcast(in_turns([*connections, *others]), "hello", raise_exceptions=raised)
            except ExceptionGroup as group:
                assert raised
                assert [str(exc) for exc in group.exceptions] == ["failed to write message"] * 3
                assert all(isinstance(exc.__cause__, ValueError) for exc in group.exceptions)
            else:
                assert not raised
        messages = [record.getMessage() for record in caplog.records]
        warned = [] if raised else ["skipped broadcast: failed to write message: ValueError: "] * 3
        assert [
            message[: len(prefix)] for message, prefix in zip(messages, warned, strict=True)
        ] == (warned)
        for receive in map(receiver, raws):
            assert (await receive()).payload == b"hello"
        for ws, raw in zip(others, silent, strict=True):
            assert ws.state is State.OPEN
            await ws.pong(b"next")
            assert await raw.recv_payload(PONG) == b"next"


@only_ropeway
async def test_a_small_room_does_not_wait_for_a_large_one() -> None:
    # Copying this much to the kernel takes many slices.
    message = bytes(1 << 19)
    async with several("server", 40) as (large, theirs), several("server", 1) as (small, ours):
        done: list[RawPeer] = []

        async def read(raw: RawPeer) -> None:
            await raw.recv_frame()
            done.append(raw)

        reading = [asyncio.create_task(read(raw)) for raw in (*theirs, *ours)]
        broadcast(in_turns(large), message)
        broadcast(small, "hello")
        await asyncio.gather(*reading)
        assert done.index(ours[0]) < 20


@only_ropeway
async def test_others_have_their_turn() -> None:
    message = bytes(1 << 19)
    async with several("server", 100) as (connections, raws):
        turns = 0

        async def run() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        running = asyncio.create_task(run())
        await settle(1)
        broadcast(connections, message)
        while any(ws._broadcasting for ws in connections):
            await asyncio.sleep(0)
        assert turns > 1
        running.cancel()
        for raw in raws:
            assert len((await raw.recv_frame()).payload) == len(message)
