"""Fragmented messages: iterables that are sent, recv_streaming, and what may come in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

from ..support.drivers import not_on, worker
from ..support.endpoints import against_raw, both_roles, pair, settle
from ..support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawFrame, RawPeer
from ..support.subject import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
    only_ropeway,
)


def as_iterator(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items; raise those that are exceptions."""
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


async def as_async_iterator(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in as_iterator(items):
        yield item


both_kinds = pytest.mark.parametrize(
    ("make", "kind"),
    [(as_iterator, "iterable"), (as_async_iterator, "async iterable")],
    ids=["iterable", "async"],
)


class Gated:
    """An async iterable of text that yields ``one``, and ``two`` when the gate is opened."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "one"
        await self.gate.wait()
        yield "two"


async def recv_message(raw: RawPeer) -> tuple[int, list[bytes]]:
    """Receive one fragmented message, with an empty last fragment; return opcode and payloads."""
    frames = [await raw.recv_frame()]
    while not frames[-1].fin:
        frames.append(await raw.recv_frame())
    assert {frame.rsv for frame in frames} == {0}
    assert {frame.masked for frame in frames} == {not raw.masks}
    assert all(frame.opcode == CONT for frame in frames[1:])
    return frames[0].opcode, [frame.payload for frame in frames]


# Sending


@both_roles
@both_kinds
@pytest.mark.parametrize(
    ("items", "text", "opcode", "payloads"),
    [
        (["a", "é"], None, TEXT, [b"a", "é".encode(), b""]),
        (["a", "b"], False, BINARY, [b"a", b"b", b""]),
        ([b"a", bytearray(b"b"), memoryview(b"c")], None, BINARY, [b"a", b"b", b"c", b""]),
        ([b"a", b"b"], True, TEXT, [b"a", b"b", b""]),
        (["a"], None, TEXT, [b"a", b""]),
        (["", ""], None, TEXT, [b"", b"", b""]),
        ([b""], None, BINARY, [b"", b""]),
        (["x" * 70000, "y"], None, TEXT, [b"x" * 70000, b"y", b""]),
    ],
    ids=["text", "text=False", "binary", "text=True", "one", "empty-text", "empty-binary", "long"],
)
async def test_iterable_goes_out_one_frame_an_item(
    role: str,
    make: Callable[[Any], Any],
    kind: str,
    items: list[Any],
    text: bool | None,
    opcode: int,
    payloads: list[bytes],
) -> None:
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(make(items), text=text))
        assert await recv_message(raw) == (opcode, payloads)
        assert await sending is None


@both_roles
@pytest.mark.parametrize("items", [["a", "b"], ("a", "b")], ids=["list", "tuple"])
async def test_collections_are_iterables(role: str, items: Any) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send(items)
        assert await recv_message(raw) == (TEXT, [b"a", b"b", b""])


@both_roles
@both_kinds
async def test_empty_iterable_sends_nothing(
    role: str, make: Callable[[Any], Any], kind: str
) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send(make([]))
        await ws.send("next")
        assert await raw.recv_payload(TEXT) == b"next"


@both_roles
@both_kinds
@pytest.mark.parametrize(
    ("items", "sent", "text"),
    [
        (["a", b"b"], [(TEXT, b"a")], "must contain uniform types"),
        ([b"a", "b"], [(BINARY, b"a")], "must contain uniform types"),
        (["a", None], [(TEXT, b"a")], "must contain uniform types"),
        ([None], [], "must contain bytes or str"),
        ([5], [], "must contain bytes or str"),
        ([["a"]], [], "must contain bytes or str"),
    ],
    ids=["text-bytes", "bytes-text", "text-None", "None", "int", "list"],
)
async def test_wrong_item_fails_the_connection(
    role: str,
    make: Callable[[Any], Any],
    kind: str,
    items: list[Any],
    sent: list[tuple[int, bytes]],
    text: str,
) -> None:
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(make(items)))
        for opcode, payload in sent:
            assert await raw.recv_frame() == RawFrame(
                opcode, payload, fin=False, masked=role == "client"
            )
        assert await raw.finish_close() == (1011, "error in fragmented message")
        with pytest.raises(TypeError) as raised:
            await sending
        holder = kind if worker() == "coroutine" else "iterable"
        assert str(raised.value) == f"{holder} {text}"
        with pytest.raises(ConnectionClosedError) as closed:
            await ws.recv()
        assert str(closed.value) == (
            "sent 1011 (internal error) error in fragmented message; no close frame received"
        )


@both_roles
@both_kinds
async def test_iterator_that_raises_fails_the_connection(
    role: str, make: Callable[[Any], Any], kind: str
) -> None:
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(make(["a", ZeroDivisionError("boom")])))
        assert (await raw.recv_frame()).payload == b"a"
        assert await raw.finish_close() == (1011, "error in fragmented message")
        with pytest.raises(ZeroDivisionError, match="boom"):
            await sending
        with pytest.raises(ConnectionClosedError, match="error in fragmented message"):
            await ws.send("late")


@both_roles
@both_kinds
async def test_iterator_that_raises_at_once_leaves_the_connection(
    role: str, make: Callable[[Any], Any], kind: str
) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(ZeroDivisionError):
            await ws.send(make([ZeroDivisionError()]))
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@not_on("threads", reason="a send among the fragments of another raises ConcurrencyError")
@not_on("trio", reason="senders that wait for each other go on in any order, as trio's tasks do")
@both_roles
async def test_other_messages_wait_for_the_last_fragment_and_control_frames_do_not(
    role: str,
) -> None:
    async with against_raw(role) as (ws, raw):
        parts = Gated()
        first = asyncio.create_task(ws.send(parts))
        assert (await raw.recv_frame()).payload == b"one"
        others = [asyncio.create_task(ws.send(message)) for message in ("x", [b"y"], "z")]
        await ws.ping(b"in between")
        assert await raw.recv_payload(PING) == b"in between"
        await ws.pong(b"too")
        assert await raw.recv_payload(PONG) == b"too"
        await raw.send_frame(PING, b"answered")
        assert await raw.recv_payload(PONG) == b"answered"
        assert not any(task.done() for task in others)
        parts.gate.set()
        assert (await raw.recv_frame()).payload == b"two"
        assert await raw.recv_frame() == RawFrame(CONT, b"", masked=role == "client")
        assert await raw.recv_payload(TEXT) == b"x"
        assert await recv_message(raw) == (BINARY, [b"y", b""])
        assert await raw.recv_payload(TEXT) == b"z"
        await asyncio.gather(first, *others)


@not_on("threads", reason="a send among the fragments of another raises ConcurrencyError")
@both_roles
async def test_waiting_send_can_be_cancelled(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        parts = Gated()
        first = asyncio.create_task(ws.send(parts))
        assert (await raw.recv_frame()).payload == b"one"
        gone, stays = (asyncio.create_task(ws.send(message)) for message in ("gone", "stays"))
        await settle()
        gone.cancel()
        parts.gate.set()
        await asyncio.gather(first, stays)
        assert gone.cancelled()
        assert [(await raw.recv_frame()).payload for _ in range(3)] == [b"two", b"", b"stays"]


@not_on("threads", reason="a thread can't be cancelled")
@only_ropeway
@both_roles
async def test_cancelled_fragmented_send_fails_the_connection(role: str) -> None:
    # websockets leaves the message unfinished: every later send raises ProtocolError.
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(Gated()))
        assert (await raw.recv_frame()).payload == b"one"
        sending.cancel()
        assert await raw.finish_close() == (1011, "error in fragmented message")
        await asyncio.wait([sending])
        assert sending.cancelled()
        with pytest.raises(ConnectionClosedError, match="error in fragmented message"):
            await ws.send("late")


@not_on("threads", reason="a send among the fragments of another raises ConcurrencyError")
@both_roles
async def test_send_inside_a_fragmented_send_waits_for_it(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def parts() -> AsyncIterator[str]:
            yield "one"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.send("nested"), 0.01)
            yield "two"

        await ws.send(parts())
        assert await recv_message(raw) == (TEXT, [b"one", b"two", b""])


@not_on("threads", reason="a send among the fragments of another raises ConcurrencyError")
@both_roles
async def test_close_during_a_fragmented_message_fails_the_connection(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        parts = Gated()
        sending = asyncio.create_task(ws.send(parts))
        assert (await raw.recv_frame()).payload == b"one"
        waiting = asyncio.create_task(ws.send("waiting"))
        await settle()
        closing = asyncio.create_task(ws.close())
        assert await raw.finish_close() == (1011, "close during fragmented message")
        parts.gate.set()
        await closing
        for task in (sending, waiting):
            with pytest.raises(ConnectionClosedError, match="close during fragmented message"):
                await task


@both_roles
async def test_peer_closes_during_a_fragmented_message(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        parts = Gated()
        sending = asyncio.create_task(ws.send(parts))
        assert (await raw.recv_frame()).payload == b"one"
        await raw.send_close(1001)
        assert (await raw.recv_frame()).opcode == CLOSE
        raw.half_close()
        await ws.wait_closed()
        parts.gate.set()
        with pytest.raises(ConnectionClosedOK):
            await sending


# Receiving


@both_roles
@pytest.mark.parametrize(
    ("opcode", "decode", "whole"),
    [
        (TEXT, None, "café"),
        (TEXT, False, "café".encode()),
        (BINARY, None, "café".encode()),
        (BINARY, True, "café"),
    ],
)
async def test_recv_returns_the_whole(
    role: str, opcode: int, decode: bool | None, whole: str | bytes
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(opcode, "ca", fin=False),
            raw.frame(CONT, b"f\xc3", fin=False),
            raw.frame(CONT, b"", fin=False),
            raw.frame(CONT, b"\xa9"),
            raw.frame(TEXT, "next"),
        )
        assert await ws.recv(decode) == whole
        assert await ws.recv() == "next"


@both_roles
@pytest.mark.parametrize(
    ("opcode", "decode", "parts"),
    [
        (TEXT, None, ["ca", "f", "", "é"]),
        (TEXT, True, ["ca", "f", "", "é"]),
        (TEXT, False, [b"ca", b"f\xc3", b"", b"\xa9"]),
        (BINARY, None, [b"ca", b"f\xc3", b"", b"\xa9"]),
        (BINARY, True, ["ca", "f", "", "é"]),
        (BINARY, False, [b"ca", b"f\xc3", b"", b"\xa9"]),
    ],
)
async def test_recv_streaming_yields_each_fragment(
    role: str, opcode: int, decode: bool | None, parts: list[Any]
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(opcode, "ca", fin=False),
            raw.frame(CONT, b"f\xc3", fin=False),
            raw.frame(CONT, b"", fin=False),
            raw.frame(CONT, b"\xa9"),
            raw.frame(TEXT, "next"),
        )
        assert [part async for part in ws.recv_streaming(decode=decode)] == parts
        assert await ws.recv() == "next"


@both_roles
async def test_recv_streaming_yields_fragments_as_they_come(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        stream = ws.recv_streaming()
        await raw.send_frame(TEXT, "one", fin=False)
        assert await anext(stream) == "one"
        await raw.send_frame(CONT, "two", fin=False)
        assert await anext(stream) == "two"
        waiting = asyncio.create_task(anext(stream))
        await raw.send_frame(PING, b"between")
        assert await raw.recv_payload(PONG) == b"between"
        assert not waiting.done()
        await raw.send_frame(CONT, "three")
        assert await waiting == "three"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@both_roles
@pytest.mark.parametrize(
    ("opcode", "payload", "parts"),
    [(TEXT, b"whole", ["whole"]), (TEXT, b"", [""]), (BINARY, b"", [b""])],
)
async def test_recv_streaming_of_one_frame(
    role: str, opcode: int, payload: bytes, parts: list[Any]
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(opcode, payload)
        assert [part async for part in ws.recv_streaming()] == parts


@both_roles
async def test_partly_consumed_stream_blocks_every_other_receiver(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(TEXT, "one", fin=False), raw.frame(CONT, "two"), raw.frame(TEXT, "next")
        )
        stream = ws.recv_streaming()
        assert await anext(stream) == "one"
        for _ in range(2):
            with pytest.raises(ConcurrencyError, match="cannot call recv while"):
                await ws.recv()
            with pytest.raises(ConcurrencyError, match="cannot call recv_streaming while"):
                await anext(ws.recv_streaming())
            await stream.aclose()


@both_roles
async def test_stream_that_was_not_started_blocks_nobody(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "hello")
        stream = ws.recv_streaming()
        assert await ws.recv() == "hello"
        await stream.aclose()


@not_on("threads", reason="recv_streaming has no timeout, and a thread can't be cancelled")
@both_roles
async def test_stream_cancelled_before_its_first_fragment_loses_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(ws.recv_streaming())
        await raw.send_frame(TEXT, "hello")
        assert await ws.recv() == "hello"


@both_roles
async def test_connection_lost_in_the_middle_of_a_stream(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        stream = ws.recv_streaming()
        await raw.send_frame(TEXT, "one", fin=False)
        assert await anext(stream) == "one"
        raw.close()
        with pytest.raises(ConnectionClosedError, match="no close frame received or sent"):
            await anext(stream)


@both_roles
async def test_unfinished_message_is_dropped_at_the_end(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "whole"), raw.frame(TEXT, "part", fin=False))
        raw.close()
        await ws.wait_closed()
        assert await ws.recv() == "whole"
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@only_ropeway
@both_roles
async def test_close_inside_a_fragmented_message_is_answered(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "part", fin=False)
        assert await raw.close_handshake(1000, "enough") == (1000, "enough")
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@both_roles
async def test_many_fragments_between_both_ends(role: str) -> None:
    async with pair() as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        parts = [f"{index:04}" for index in range(1000)]
        sending = asyncio.create_task(near.send(parts))
        assert await far.recv() == "".join(parts)
        await sending
        sending = asyncio.create_task(near.send(part.encode() for part in parts))
        received = [part async for part in far.recv_streaming()]
        assert received == [*(part.encode() for part in parts), b""]
        await sending


@not_on("threads", reason="a send among the fragments of another raises ConcurrencyError")
@both_roles
@only_ropeway
async def test_two_fragmented_messages_at_once(role: str) -> None:
    async with pair() as (client, server):
        sender, receiver = (client, server) if role == "client" else (server, client)
        begun = asyncio.Event()

        async def fragments(letter: str) -> AsyncIterator[str]:
            await begun.wait()
            for _ in range(3):
                yield letter
                await asyncio.sleep(0)

        sending = [asyncio.create_task(sender.send(fragments(letter))) for letter in "ab"]
        await asyncio.sleep(0)
        begun.set()
        await asyncio.gather(*sending)
        assert sorted([await receiver.recv(), await receiver.recv()]) == ["aaa", "bbb"]
