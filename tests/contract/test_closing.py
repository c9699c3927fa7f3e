"""The closing handshake in every order, and what the program sees of it at each stage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.endpoints import (
    Handed,
    against_raw,
    both_roles,
    connecting,
    pair,
    port_of,
    serving,
    settle,
)
from ..support.rawpeer import BINARY, CLOSE, PING, PONG, TEXT, RawPeer, close_payload
from ..support.subject import (
    Close,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
    State,
    only_ropeway,
)
from .closed import assert_closed

# Closing from here


@both_roles
@pytest.mark.parametrize(
    ("arguments", "code", "reason", "kind", "text"),
    [
        ((), 1000, "", ConnectionClosedOK, "1000 (OK)"),
        ((1001, "bye"), 1001, "bye", ConnectionClosedOK, "1001 (going away) bye"),
        ((1011,), 1011, "", ConnectionClosedError, "1011 (internal error)"),
        ((3000, "☃"), 3000, "☃", ConnectionClosedError, "3000 (registered) ☃"),
        ((4999,), 4999, "", ConnectionClosedError, "4999 (private use)"),
        ((1000, "x" * 123), 1000, "x" * 123, ConnectionClosedOK, "1000 (OK) " + "x" * 123),
    ],
)
async def test_close(
    role: str, arguments: Any, code: int, reason: str, kind: type[Exception], text: str
) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close(*arguments))
        assert await raw.finish_close() == (code, reason)
        assert await closing is None
        assert (ws.close_code, ws.close_reason) == (code, reason)
        await assert_closed(ws, kind, f"sent {text}; then received {text}")


@both_roles
async def test_close_with_no_code(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close(None))
        assert await raw.finish_close() == (None, "")
        await closing
        assert (ws.close_code, ws.close_reason) == (1005, "")


@both_roles
async def test_state_and_code_at_each_stage(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        assert (ws.state, ws.close_code, ws.close_reason) == (State.OPEN, None, None)
        closing = asyncio.create_task(ws.close(1001, "bye"))
        assert await raw.recv_close() == (1001, "bye")
        assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSING, None, None)
        await raw.send_close(1000, "fine")
        raw.half_close()
        await closing
        assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 1000, "fine")


@both_roles
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000])
async def test_close_with_an_invalid_code_raises_and_sends_nothing(role: str, code: int) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(ProtocolError, match="invalid status code"):
            await ws.close(code)
        assert ws.state is State.OPEN
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@both_roles
@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62], ids=["ascii", "wide"])
async def test_close_reason_over_123_bytes_raises_and_sends_nothing(role: str, reason: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(ProtocolError, match="control frame too long"):
            await ws.close(reason=reason)
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@both_roles
async def test_closing_twice_sends_one_close_frame(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        tasks = [asyncio.create_task(ws.close(code)) for code in (1000, 1001, 4000)]
        assert await raw.finish_close() == (1000, "")
        await asyncio.gather(*tasks)
        await ws.close(4001)
        assert ws.close_code == 1000


@both_roles
async def test_operations_wait_for_the_end_while_closing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        assert ws.state is State.CLOSING
        tasks = [
            receiving,
            *(asyncio.create_task(op) for op in (ws.send("x"), ws.ping(), ws.pong())),
        ]
        await settle()
        assert not any(task.done() for task in tasks)
        await raw.send_close()
        raw.half_close()
        for task in tasks:
            with pytest.raises(ConnectionClosedOK):
                await task
        await closing


@both_roles
async def test_messages_that_cross_a_close_are_received(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        await raw.send(raw.frame(TEXT, "one"), raw.frame(PING, "?"), raw.frame(BINARY, b"two"))
        await raw.send_close()
        raw.half_close()
        # RFC 6455, section 5.5.2: a pong is due unless a close frame was *received*.
        assert await raw.recv_payload(PONG) == b"?"
        await closing
        assert [await ws.recv(), await ws.recv()] == ["one", b"two"]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@both_roles
async def test_close_frames_that_cross(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close(1001, "mine"))
        await raw.send_close(4001, "theirs")
        assert await raw.recv_close() in [(1001, "mine"), (4001, "theirs")]
        raw.half_close()
        assert await raw.recv_eof() == b""
        await closing
        assert ws.close_code == 4001
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
        assert raised.value.rcvd == Close(4001, "theirs")


@both_roles
async def test_a_different_answer_to_a_close(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close(1001, "mine"))
        assert await raw.recv_close() == (1001, "mine")
        await raw.send_close(4001, "theirs")
        raw.half_close()
        await closing
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
        assert raised.value.sent == Close(1001, "mine")
        assert raised.value.rcvd == Close(4001, "theirs")
        assert raised.value.rcvd_then_sent is False
        await assert_closed(
            ws,
            ConnectionClosedError,
            "sent 1001 (going away) mine; then received 4001 (private use) theirs",
        )


@only_ropeway
@both_roles
async def test_close_with_a_full_receive_queue(role: str) -> None:
    # websockets stops reading when the queue is full, and close waits for its timeout.
    async with against_raw(role, max_queue=1, close_timeout=2) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(5)))
        assert await ws.recv() == "0"  # so all of them are here
        closing = asyncio.create_task(ws.close())
        assert await raw.finish_close() == (1000, "")
        await closing
        assert [await ws.recv() for _ in range(4)] == ["1", "2", "3", "4"]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@only_ropeway
@both_roles
async def test_close_while_the_peer_floods(role: str) -> None:
    async with against_raw(role, max_queue=2, close_timeout=5) as (ws, raw):
        stop = asyncio.Event()

        async def flood() -> None:
            data = raw.frame(BINARY, bytes(10_000)) * 10
            while not stop.is_set():
                await raw.send(data)

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        stop.set()
        await flooding
        await raw.send_close()
        raw.half_close()
        await closing
        assert ws.close_code == 1000


# Closing from there


@both_roles
@pytest.mark.parametrize(
    ("code", "reason", "kind", "text"),
    [
        (1000, "", ConnectionClosedOK, "1000 (OK)"),
        (1001, "bye", ConnectionClosedOK, "1001 (going away) bye"),
        (1006 + 5, "oops", ConnectionClosedError, "1011 (internal error) oops"),
        (4000, "x", ConnectionClosedError, "4000 (private use) x"),
    ],
)
async def test_peer_closes(
    role: str, code: int, reason: str, kind: type[Exception], text: str
) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await settle()
        assert await raw.close_handshake(code, reason) == (code, reason)
        with pytest.raises(kind) as raised:
            await receiving
        assert raised.value.rcvd == raised.value.sent == Close(code, reason)
        assert raised.value.rcvd_then_sent is True
        assert (ws.close_code, ws.close_reason) == (code, reason)
        await assert_closed(ws, kind, f"received {text}; then sent {text}")


@both_roles
async def test_peer_closes_with_no_code(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(CLOSE)
        assert await raw.recv_close() == (None, "")
        raw.half_close()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1005, "")
        text = "1005 (no status received [internal])"
        await assert_closed(ws, ConnectionClosedOK, f"received {text}; then sent {text}")


@both_roles
async def test_deprecated_code_and_reason_of_the_exception(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.close_handshake(1001, "bye")
        with pytest.raises(ConnectionClosedOK) as raised:
            await ws.recv()
        with pytest.warns(DeprecationWarning, match="code"):
            assert raised.value.code == 1001
        with pytest.warns(DeprecationWarning, match="reason"):
            assert raised.value.reason == "bye"


@both_roles
async def test_messages_received_before_the_close_stay_readable(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(3)))
        await raw.close_handshake()
        await ws.wait_closed()
        with pytest.raises(ConnectionClosedOK):
            await ws.send("x")
        assert [message async for message in ws] == ["0", "1", "2"]


@both_roles
async def test_bytes_after_a_close_frame_are_ignored(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(CLOSE, close_payload(1000)),
            raw.frame(TEXT, "late"),
            raw.frame(0x3),
            raw.frame(CLOSE, close_payload(4000)),
            b"\xff" * 100,
        )
        assert await raw.recv_close() == (1000, "")
        raw.half_close()
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@both_roles
@pytest.mark.parametrize("code", [1000, 1001, 1005])
async def test_iteration_ends_on_a_normal_close(role: str, code: int) -> None:
    async with against_raw(role) as (ws, raw):
        payload = b"" if code == 1005 else close_payload(code)
        await raw.send(raw.frame(TEXT, "one"), raw.frame(CLOSE, payload))
        raw.half_close()
        assert [message async for message in ws] == ["one"]


@both_roles
@pytest.mark.parametrize("code", [1002, 1011, 3000, 4000])
async def test_iteration_raises_on_any_other_close(role: str, code: int) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_close(code)
        raw.half_close()
        with pytest.raises(ConnectionClosedError):
            async for _ in ws:
                pass


@both_roles
async def test_server_ends_tcp_first(role: str) -> None:
    # RFC 6455, section 7.1.1: the server closes; the client waits for it.
    async with against_raw(role) as (ws, raw):
        await raw.send_close()
        assert await raw.recv_close() == (1000, "")
        if role == "server":
            assert await raw.recv_eof() == b""
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await raw.recv_eof()
            assert ws.state is State.CLOSING
        raw.half_close()
        await ws.wait_closed()
        assert ws.state is State.CLOSED


# Both ends


@both_roles
async def test_both_ends_close(role: str) -> None:
    async with pair() as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        await near.close(1001, "bye")
        await far.wait_closed()
        for ws in (near, far):
            assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 1001, "bye")


async def test_both_ends_close_at_once() -> None:
    async with pair() as (client, server):
        await asyncio.gather(client.close(1000, "client"), server.close(1000, "server"))
        await asyncio.gather(client.wait_closed(), server.wait_closed())
        assert client.close_reason in ("server", "client")
        assert server.close_reason in ("server", "client")


@both_roles
async def test_wait_closed(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiting = [asyncio.create_task(ws.wait_closed()) for _ in range(3)]
        await settle()
        waiting.pop().cancel()
        await raw.close_handshake()
        assert await asyncio.gather(*waiting) == [None, None]
        await ws.wait_closed()


# Contexts and handlers


async def leave(ws: Any, exc: BaseException | None) -> None:
    async with ws as entered:
        assert entered is ws
        if exc is not None:
            raise exc


@both_roles
@pytest.mark.parametrize(
    ("exc", "code"),
    [(None, 1000), (ZeroDivisionError(), 1011), (asyncio.CancelledError(), 1011)],
    ids=["none", "exception", "cancelled"],
)
async def test_leaving_the_context(role: str, exc: BaseException | None, code: int) -> None:
    async with against_raw(role) as (ws, raw):
        leaving = asyncio.create_task(leave(ws, exc))
        assert await raw.finish_close() == (code, "")
        await asyncio.wait([leaving])
        if isinstance(exc, asyncio.CancelledError):
            assert leaving.cancelled()
        else:
            assert leaving.exception() is exc
        assert ws.state is State.CLOSED


async def test_leaving_the_context_of_connect() -> None:
    handed = Handed()
    async with serving(handed) as server:
        with pytest.raises(ZeroDivisionError):
            async with connecting(port_of(server)) as client:
                far = await handed.connections.get()
                raise ZeroDivisionError
        await far.wait_closed()
        assert client.state is State.CLOSED
        assert far.close_code == 1011
        handed.over.set()


async def handler_result(handler: Callable[[Any], Awaitable[None]]) -> tuple[int | None, str]:
    async with serving(handler) as server:
        raw = await RawPeer.open(port_of(server))
        result = await raw.finish_close()
        raw.close()
        return result


async def test_handler_that_returns_closes_with_1000() -> None:
    async def handler(ws: Any) -> None:
        pass

    assert await handler_result(handler) == (1000, "")


async def test_handler_that_raises_closes_with_1011() -> None:
    async def handler(ws: Any) -> None:
        raise ZeroDivisionError

    assert await handler_result(handler) == (1011, "")


async def test_handler_that_closes_keeps_its_code() -> None:
    async def handler(ws: Any) -> None:
        await ws.close(4242, "mine")

    assert await handler_result(handler) == (4242, "mine")


async def test_handler_that_sees_the_close_raises_nothing_more() -> None:
    ended = asyncio.Event()

    async def handler(ws: Any) -> None:
        try:
            await ws.recv()
        finally:
            ended.set()

    async with serving(handler) as server:
        raw = await RawPeer.open(port_of(server))
        assert await raw.close_handshake(1001) == (1001, "")
        await ended.wait()
        raw.close()
