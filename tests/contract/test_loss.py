"""Connections that end without a closing handshake: peers that don't play along, and abort."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ..support.endpoints import (
    against_raw,
    both_roles,
    settle,
)
from ..support.rawpeer import PING, TEXT, RawPeer
from ..support.subject import (
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
    only_ropeway,
)
from .closed import assert_closed

# A peer that does not play along


@both_roles
async def test_close_that_is_never_answered(role: str) -> None:
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        waiter = await ws.ping()
        receiving = asyncio.create_task(ws.recv())
        await ws.close(1001, "bye")
        assert (await raw.recv_frame()).opcode == PING
        assert await raw.recv_close() == (1001, "bye")
        text = "sent 1001 (going away) bye; no close frame received"
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving
        assert str(raised.value) == text
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert str(raised.value.__cause__) == "timed out while closing connection"
        with pytest.raises(ConnectionClosedError):
            await waiter
        assert (ws.close_code, ws.close_reason) == (1006, "")
        await assert_closed(ws, ConnectionClosedError, text)


@both_roles
async def test_close_that_is_answered_on_a_connection_that_stays(role: str) -> None:
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        closing = asyncio.create_task(ws.close(1001, "bye"))
        assert await raw.answer_close() == (1001, "bye")
        await closing
        text = "1001 (going away) bye"
        await assert_closed(ws, ConnectionClosedOK, f"sent {text}; then received {text}")


@both_roles
async def test_send_ends_a_connection_that_stays_after_the_peers_close(role: str) -> None:
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        await raw.send_close(1000, "bye")
        assert await raw.recv_close() == (1000, "bye")
        with pytest.raises(ConnectionClosedOK):
            await ws.send("x")
        assert ws.close_code == 1000


@only_ropeway
@both_roles
async def test_recv_ends_though_the_peer_leaves_tcp_open(role: str) -> None:
    # In websockets nothing but a call of send, ping or close starts the close timeout.
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        await raw.send_close(1000, "bye")
        assert await raw.recv_close() == (1000, "bye")
        with pytest.raises(ConnectionClosedOK, match=r"received 1000 \(OK\) bye"):
            await ws.recv()
        await ws.wait_closed()


@only_ropeway
@both_roles
async def test_failed_connection_ends_though_the_peer_leaves_tcp_open(role: str) -> None:
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        await raw.send_frame(0x3)
        assert (await raw.recv_close())[0] == 1002
        with pytest.raises(ConnectionClosedError, match="sent 1002"):
            await ws.recv()


@both_roles
async def test_no_close_timeout(role: str) -> None:
    async with against_raw(role, close_timeout=None) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        await asyncio.sleep(0.05)
        assert not closing.done()
        await raw.send_close()
        raw.half_close()
        await closing


LOSSES: dict[str, tuple[Callable[[RawPeer], None], type[Exception]]] = {
    "eof": (RawPeer.half_close, EOFError),
    "closed": (RawPeer.close, EOFError),
    "reset": (RawPeer.reset, ConnectionResetError),
}


@both_roles
@pytest.mark.parametrize("loss", LOSSES)
async def test_connection_lost_without_a_close_frame(role: str, loss: str) -> None:
    lose, cause = LOSSES[loss]
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "before")
        assert await ws.recv() == "before"
        waiter = await ws.ping()
        await raw.recv_frame()
        receiving = asyncio.create_task(ws.recv())
        await settle()
        lose(raw)
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving
        assert raised.value.rcvd is raised.value.sent is raised.value.rcvd_then_sent is None
        assert isinstance(raised.value.__cause__, cause)
        with pytest.raises(ConnectionClosedError):
            await waiter
        assert (ws.close_code, ws.close_reason) == (1006, "")
        await assert_closed(ws, ConnectionClosedError, "no close frame received or sent")


@both_roles
async def test_connection_lost_inside_a_frame(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "whole"), raw.frame(TEXT, "partial")[:-1])
        raw.close()
        assert await ws.recv() == "whole"
        with pytest.raises(ConnectionClosedError, match="no close frame received or sent"):
            await ws.recv()


@both_roles
async def test_connection_lost_while_closing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        raw.close()
        await closing
        assert ws.close_code == 1006
        await assert_closed(ws, ConnectionClosedError, "sent 1000 (OK); no close frame received")


@both_roles
async def test_messages_before_the_loss_stay_readable(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(3)))
        raw.close()
        await ws.wait_closed()
        assert [await ws.recv() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@only_ropeway
@both_roles
@pytest.mark.parametrize("lose", [RawPeer.half_close, RawPeer.close], ids=["eof", "closed"])
async def test_loss_with_a_full_queue(role: str, lose: Callable[[RawPeer], None]) -> None:
    async with against_raw(role, max_queue=1) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(5)))
        lose(raw)
        assert [await ws.recv() for _ in range(5)] == ["0", "1", "2", "3", "4"]
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@both_roles
async def test_each_exception_is_a_new_one(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        raw.close()
        raised = []
        for _ in range(2):
            try:
                await ws.recv()
            except ConnectionClosedError as exc:
                raised.append(exc)
        assert len({id(exc) for exc in raised}) == 2


# abort


@only_ropeway
@both_roles
async def test_abort_ends_at_once(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiter = await ws.ping()
        await raw.recv_frame()
        receiving = asyncio.create_task(ws.recv())
        await settle()
        ws.abort()
        with pytest.raises(ConnectionClosedError, match="no close frame received or sent"):
            await receiving
        with pytest.raises(ConnectionClosedError):
            await waiter
        await assert_closed(ws, ConnectionClosedError, "no close frame received or sent")
        with pytest.raises((EOFError, ConnectionError)):
            await raw.recv_frame()


@only_ropeway
@both_roles
async def test_abort_keeps_what_was_received_and_may_be_repeated(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"))
        assert await ws.recv() == "one"
        ws.abort()
        ws.abort()
        await ws.wait_closed()
        ws.abort()
        assert await ws.recv() == "two"
        assert ws.close_code == 1006


@only_ropeway
@both_roles
async def test_abort_while_closing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert await raw.recv_close() == (1000, "")
        ws.abort()
        await closing
        assert ws.close_code == 1006


@only_ropeway
@both_roles
async def test_half_close_of_a_peer_that_reads_nothing(role: str) -> None:
    # The transport waits for its write buffer, which never drains: somebody has to give up.
    options = {"close_timeout": 0.2, "max_queue": 1}
    async with against_raw(role, receive_buffer=4096, **options) as (ws, raw):
        sending = asyncio.create_task(ws.send(b"x" * 20_000_000))
        receiving = asyncio.create_task(ws.recv())
        await settle()
        raw.half_close()
        async with asyncio.timeout(5):
            for task in (sending, receiving):
                with pytest.raises(ConnectionClosedError):
                    await task
            await ws.wait_closed()
        assert ws.state is State.CLOSED
