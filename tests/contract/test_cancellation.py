"""Operations that were cancelled, or that have timed out, lose nothing.

Threads have timeouts, trio has cancel scopes, asyncio has both: `test_awaiting.py` goes through
what asyncio alone has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.drivers import not_on
from ..support.endpoints import both_roles
from ..support.fronts import Front, against_raw
from ..support.rawpeer import BINARY, CONT, PING, PONG, TEXT
from ..support.subject import ConnectionClosedError, ConnectionClosedOK, State

SMALL = 4096
"""Bytes of a kernel's buffer, for a connection whose sends are to wait soon."""

NO_CANCELLING = "a thread can't be cancelled"

no_cancelling = not_on("threads", reason=NO_CANCELLING)


async def at_a_deadline(front: Front, ws: Any) -> None:
    with pytest.raises(TimeoutError):
        await front.recv_within(ws, 0.01)


async def before_it_began(front: Front, ws: Any) -> None:
    with pytest.raises(TimeoutError):
        await front.recv_within(ws, 0)


async def by_another(front: Front, ws: Any) -> None:
    receiving = front.start(ws.recv)
    await front.turns(3)
    receiving.cancel()
    await receiving.ended()
    assert receiving.cancelled


given_up = pytest.mark.parametrize(
    "give_up",
    [at_a_deadline, before_it_began, pytest.param(by_another, marks=no_cancelling)],
)

GiveUp = Callable[[Front, Any], Awaitable[None]]


@both_roles
@given_up
async def test_recv_that_is_given_up_loses_nothing(
    front: Front, role: str, give_up: GiveUp
) -> None:
    async with against_raw(front, role) as (ws, raw):
        for index in range(3):
            await give_up(front, ws)
            await raw.send_frame(TEXT, str(index))
            assert await ws.recv() == str(index)


@both_roles
@given_up
async def test_recv_that_is_given_up_between_fragments_loses_nothing(
    front: Front, role: str, give_up: GiveUp
) -> None:
    async with against_raw(front, role) as (ws, raw):
        await raw.send_frame(TEXT, "one ", fin=False)
        await raw.send_frame(PING)
        await raw.recv_payload(PONG)
        await give_up(front, ws)
        await raw.send_frame(CONT, b"tw\xc3", fin=False)
        await raw.send_frame(PING)
        await raw.recv_payload(PONG)
        await give_up(front, ws)
        await raw.send_frame(CONT, b"\xb6")
        assert await ws.recv() == "one twö"


@both_roles
@given_up
async def test_recv_that_is_given_up_makes_room_for_another(
    front: Front, role: str, give_up: GiveUp
) -> None:
    async with against_raw(front, role) as (ws, raw):
        await give_up(front, ws)
        second = front.start(ws.recv)
        await front.turns(3)
        await raw.send_frame(TEXT, "hello")
        assert await second.result() == "hello"


@both_roles
async def test_polling_with_a_timeout_gets_every_message(front: Front, role: str) -> None:
    # The timeout is so short that it races with the arrival of messages.
    async with against_raw(front, role) as (ws, raw):

        async def produce() -> None:
            for index in range(200):
                await raw.send_frame(TEXT, str(index))
                await front.sleep(0.0005)

        producing = front.start(produce)
        received: list[str] = []
        while len(received) < 200:
            with contextlib.suppress(TimeoutError):
                received.append(await front.recv_within(ws, 0.0005))
        await producing.result()
        assert received == [str(index) for index in range(200)]


@both_roles
@no_cancelling
@pytest.mark.parametrize("turns", range(6))
async def test_recv_cancelled_around_the_moment_of_arrival(
    front: Front, role: str, turns: int
) -> None:
    async with against_raw(front, role) as (ws, raw):
        for index in range(20):
            receiving = front.start(ws.recv)
            await front.turns(2)
            await raw.send_frame(TEXT, str(index))
            await front.turns(turns)
            receiving.cancel()
            await receiving.ended()
            message = await (ws.recv() if receiving.cancelled else receiving.result())
            assert message == str(index)


@both_roles
@no_cancelling
async def test_recv_cancelled_by_what_wakes_with_it(front: Front, role: str) -> None:
    # Two wait for the same packet: the one that waits for a pong wakes up and cancels the other,
    # for whom there was a message before the pong, or behind it.
    async with against_raw(front, role) as (ws, raw):
        for index in range(10):
            receiving = front.start(ws.recv)
            waiter = await ws.ping(str(index))
            await raw.recv_payload(PING)

            async def cancel(waiter: Any = waiter, receiving: Any = receiving) -> None:
                await front.answered(waiter)
                receiving.cancel()

            cancelling = front.start(cancel)
            await front.turns(5)
            order = [raw.frame(TEXT, str(index)), raw.frame(PONG, str(index))]
            await raw.send(*(order if index % 2 else reversed(order)))
            await cancelling.result()
            await receiving.ended()
            message = await (ws.recv() if receiving.cancelled else receiving.result())
            assert message == str(index)


@both_roles
@not_on("threads", reason="iterating has no timeout, and " + NO_CANCELLING)
async def test_cancelled_iteration_loses_nothing(front: Front, role: str) -> None:
    async with against_raw(front, role) as (ws, raw):
        received = []

        async def iterate() -> None:
            async for message in ws:
                received.append(message)

        for index in range(3):
            iterating = front.start(iterate)
            await raw.send_frame(TEXT, str(index))
            await front.until(lambda index=index: len(received) > index)
            iterating.cancel()
            await iterating.ended()
        await raw.send_frame(TEXT, "last")
        assert await ws.recv() == "last"
        assert received == ["0", "1", "2"]


@both_roles
async def test_iteration_that_is_broken_off_loses_nothing(front: Front, role: str) -> None:
    async with against_raw(front, role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(6)))
        received = []
        for _ in range(3):
            async for message in ws:
                received.append(message)
                break
            received.append(await ws.recv())
        assert received == [str(index) for index in range(6)]


# The end


@both_roles
async def test_time_limit_does_not_hide_the_end(front: Front, role: str) -> None:
    async with against_raw(front, role) as (ws, raw):
        receiving = front.start(front.recv_within, ws, 10)
        await front.turns(3)
        await raw.close_handshake()
        with pytest.raises(ConnectionClosedOK):
            await receiving.result()


@both_roles
@given_up
async def test_recv_that_is_given_up_before_the_end(
    front: Front, role: str, give_up: GiveUp
) -> None:
    async with against_raw(front, role) as (ws, raw):
        await give_up(front, ws)
        raw.close()
        await ws.wait_closed()
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@both_roles
@no_cancelling
async def test_recv_cancelled_at_the_end(front: Front, role: str) -> None:
    async with against_raw(front, role) as (ws, raw):
        receiving = front.start(ws.recv)
        await front.turns(3)
        raw.close()
        await ws.wait_closed()
        receiving.cancel()
        await receiving.ended()
        if not receiving.cancelled:
            with pytest.raises(ConnectionClosedError):
                await receiving.result()
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@both_roles
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_who_closes_wakes_who_receives(front: Front, role: str, how: str) -> None:
    # With threads, this is what ends a recv() without a timeout.
    async with against_raw(front, role) as (ws, raw):
        receiving = front.start(ws.recv)
        await front.turns(3)
        if how == "close":
            closing = front.start(ws.close)
            assert await raw.finish_close() == (1000, "")
            await closing.result()
        else:
            front.abort(ws)
        with pytest.raises(ConnectionClosedOK if how == "close" else ConnectionClosedError):
            await receiving.result()
        await ws.wait_closed()


@both_roles
async def test_wait_closed_that_is_given_up_changes_nothing(front: Front, role: str) -> None:
    async with against_raw(front, role) as (ws, raw):
        with pytest.raises(TimeoutError):
            await front.wait_closed_within(ws, 0.01)
        await raw.send_frame(TEXT, "hello")
        assert await ws.recv() == "hello"
        raw.close()
        await front.wait_closed_within(ws, 10)
        assert ws.state is State.CLOSED
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


# Sending


@both_roles
@not_on("threads", reason="send has no timeout, and " + NO_CANCELLING)
async def test_cancelled_send_leaves_whole_frames(front: Front, role: str) -> None:
    async with against_raw(front, role, receive_buffer=SMALL) as (ws, raw):
        sent = 0

        async def send_all() -> None:
            nonlocal sent
            while True:
                await ws.send(bytes(1 << 16))
                sent += 1

        sending = front.start(send_all)
        while front.buffered(ws) <= 1 << 15:
            await front.sleep(0.001)
        sending.cancel()
        await sending.ended()
        assert sending.cancelled
        last = front.start(ws.send, "last")
        arrived = 0
        while (frame := await raw.recv_frame()).opcode == BINARY:
            assert len(frame.payload) == 1 << 16
            arrived += 1
        assert frame.payload == b"last"
        # That whose wait was cancelled had been taken, and goes out.
        assert arrived == sent + 1
        await last.result()


@both_roles
async def test_connection_lost_while_a_send_waits(front: Front, role: str) -> None:
    # With threads, this is what ends a send() to a peer that does not read.
    async with against_raw(front, role, receive_buffer=SMALL) as (ws, raw):
        sending = front.start(ws.send, bytes(8 << 20))
        await raw.recv_exactly(1000)
        front.abort(ws)
        with pytest.raises(ConnectionClosedError):
            await sending.result()
        await ws.wait_closed()
