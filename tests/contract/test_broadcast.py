"""broadcast: one message for many connections, without waiting for any."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only, broadcast
from ..support.endpoints import against_raw, both_roles, settle
from ..support.rawpeer import BINARY, TEXT, RawPeer
from ..support.subject import ConcurrencyError, State, only_ropeway


@contextlib.asynccontextmanager
async def several(role: str, count: int = 3, **options: Any) -> AsyncIterator[Any]:
    """Yield connections and their raw peers."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(against_raw(role, **options)) for _ in range(count)
        ]
        yield [ws for ws, _ in opened], [raw for _, raw in opened]


@both_roles
@pytest.mark.parametrize(
    ("message", "text", "opcode", "payload"),
    [
        ("café", None, TEXT, "café".encode()),
        ("café", True, TEXT, "café".encode()),
        ("café", False, BINARY, "café".encode()),
        (b"tea", None, BINARY, b"tea"),
        (b"tea", True, TEXT, b"tea"),
        (bytearray(b"tea"), None, BINARY, b"tea"),
        (memoryview(b"tea"), True, TEXT, b"tea"),
        ("", None, TEXT, b""),
        (b"x" * 70_000, None, BINARY, b"x" * 70_000),
    ],
    ids=["text", "True", "False", "bytes", "bytes-True", "bytearray", "view", "empty", "long"],
)
async def test_each_connection_gets_the_message(
    role: str, message: Any, text: bool | None, opcode: int, payload: bytes
) -> None:
    async with several(role) as (connections, raws):
        assert broadcast(connections, message, text=text) is None
        for raw in raws:
            assert await raw.recv_payload(opcode) == payload


@both_roles
async def test_any_iterable_of_connections(role: str) -> None:
    async with several(role) as (connections, raws):
        for iterable in (set(connections), tuple(connections), iter(connections)):
            broadcast(iterable, "hello")
            for raw in raws:
                assert await raw.recv_payload(TEXT) == b"hello"
        broadcast([], "nobody")


@both_roles
async def test_order_is_kept_among_sends_and_broadcasts(role: str) -> None:
    async with several(role, 2) as (connections, raws):
        for index in range(5):
            await connections[0].send(f"send {index}")
            broadcast(connections, f"broadcast {index}")
        for index in range(5):
            assert await raws[0].recv_payload(TEXT) == f"send {index}".encode()
            assert await raws[0].recv_payload(TEXT) == f"broadcast {index}".encode()
            assert await raws[1].recv_payload(TEXT) == f"broadcast {index}".encode()


@both_roles
@pytest.mark.parametrize("message", [5, None, ["a"], {"a": 1}, iter(["a"])])
async def test_wrong_type_raises_and_sends_nothing(role: str, message: Any) -> None:
    async with several(role, 1) as (connections, (raw,)):
        with pytest.raises(TypeError, match="data must be str or bytes"):
            broadcast(connections, message)
        broadcast(connections, "next")
        assert await raw.recv_payload(TEXT) == b"next"


@both_roles
@pytest.mark.parametrize("raise_exceptions", [False, True])
async def test_connections_that_are_not_open_are_skipped(role: str, raise_exceptions: bool) -> None:
    async with several(role) as (connections, raws):
        closing = asyncio.create_task(connections[0].close())
        assert await raws[0].recv_close() == (1000, "")
        raws[1].close()
        await connections[1].wait_closed()
        assert connections[0].state is State.CLOSING
        broadcast(connections, "hello", raise_exceptions=raise_exceptions)
        assert await raws[2].recv_payload(TEXT) == b"hello"
        await raws[0].send_close()
        raws[0].half_close()
        assert await raws[0].recv_eof() == b""
        await closing


async def start_fragmented(ws: Any, raw: RawPeer) -> tuple[asyncio.Event, asyncio.Task[None]]:
    gate = asyncio.Event()

    async def parts() -> AsyncIterator[str]:
        yield "one"
        await gate.wait()

    sending = asyncio.create_task(ws.send(parts()))
    assert (await raw.recv_frame()).payload == b"one"
    return gate, sending


@both_roles
async def test_connection_in_a_fragmented_message_is_skipped_with_a_warning(
    role: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with several(role, 2) as (connections, raws):
        gate, sending = await start_fragmented(connections[0], raws[0])
        with caplog.at_level(logging.WARNING):
            broadcast(connections, "hello")
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("WARNING", "skipped broadcast: sending a fragmented message")
        ]
        assert caplog.records[0].websocket.id == connections[0].id
        assert await raws[1].recv_payload(TEXT) == b"hello"
        gate.set()
        await sending
        assert (await raws[0].recv_frame()).payload == b""
        broadcast(connections, "next")
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"next"


@both_roles
async def test_raise_exceptions(role: str, caplog: pytest.LogCaptureFixture) -> None:
    async with several(role) as (connections, raws):
        started = [await start_fragmented(connections[i], raws[i]) for i in (0, 1)]
        with pytest.raises(ExceptionGroup, match="skipped broadcast") as raised:
            broadcast(connections, "hello", raise_exceptions=True)
        assert [type(exc) for exc in raised.value.exceptions] == [ConcurrencyError] * 2
        assert {str(exc) for exc in raised.value.exceptions} == {"sending a fragmented message"}
        assert not caplog.records
        assert await raws[2].recv_payload(TEXT) == b"hello"
        for gate, sending in started:
            gate.set()
            await sending


@both_roles
async def test_slow_connection_holds_up_nobody(role: str) -> None:
    async with several(role, 2, receive_buffer=4096) as (connections, raws):
        message = bytes(1 << 16)
        for _ in range(100):
            broadcast(connections, message)
            assert len(await raws[0].recv_payload(BINARY)) == len(message)
        await settle()
        assert connections[1].state is State.OPEN
        for _ in range(100):
            assert len(await raws[1].recv_payload(BINARY)) == len(message)


@asyncio_only("write_limit is an option of asyncio's")
@only_ropeway
@both_roles
async def test_broadcasts_behind_a_send_do_not_pile_up_before_the_write_buffer(role: str) -> None:
    async with several(role, 2, receive_buffer=4096, write_limit=10_000) as (connections, raws):
        # The transports are theirs; to ask for them is to write what waits.
        transports = [ws.transport for ws in connections]
        for ws in connections:
            await ws.send("first")
        count = 200
        for index in range(count):
            broadcast(connections, f"{index:100000}")
        for transport in transports:
            assert transport.get_write_buffer_size() > 1_000_000
        for raw in raws:
            assert await raw.recv_payload(TEXT) == b"first"
            for index in range(count):
                assert int(await raw.recv_payload(TEXT)) == index


@only_ropeway
@both_roles
async def test_broadcast_checks_text_before_anything_is_sent(role: str) -> None:
    async with several(role) as (connections, raws):
        with pytest.raises(UnicodeDecodeError):
            broadcast(connections, b"fine until here \xff", text=True)
        broadcast(connections, memoryview(b"a.b.c")[::2])
        for raw in raws:
            assert await raw.recv_payload(BINARY) == b"abc"


@only_ropeway
@both_roles
async def test_broadcast_is_counted(role: str) -> None:
    async with several(role, 1) as ([connection], [raw]):
        broadcast([connection], "four")
        await raw.recv_payload(TEXT)
        assert connection.stats.messages_sent == connection.stats.frames_sent == 1
        assert connection.stats.payload_bytes_sent == 4
