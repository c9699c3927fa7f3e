"""What a task may rely on when a message wakes it up, whatever woke it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, pair, settle
from ..support.rawpeer import CONT, PING, PONG, TEXT
from ..support.subject import ConnectionClosed, ConnectionClosedOK

pytestmark = asyncio_only("direct dispatch is about asyncio's tasks and loops")

name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


@both_roles
async def test_receiver_runs_as_its_own_task_and_in_its_context(role: str) -> None:
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):

        async def receive(ws: Any, mine: str) -> str:
            name.set(mine)
            for _ in range(5):
                message = await ws.recv()
                assert message == name.get() == mine
                assert asyncio.current_task().get_name() == mine  # type: ignore[union-attr]
                await ws.send("ok")
                assert name.get() == mine
            return mine

        tasks = [
            asyncio.create_task(receive(ws, mine), name=mine)
            for ws, mine in ((first, "first"), (second, "second"))
        ]
        for _ in range(5):
            await raw1.send_frame(TEXT, "first")
            await raw2.send_frame(TEXT, "second")
            for raw in (raw1, raw2):
                assert await raw.recv_payload(TEXT) == b"ok"
        assert await asyncio.gather(*tasks) == ["first", "second"]
        assert name.get() == "nobody"


@both_roles
async def test_exception_of_a_receiver_is_its_own(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def receive() -> None:
            raise ZeroDivisionError(await ws.recv())

        receiving = asyncio.create_task(receive())
        await settle()
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"), raw.frame(PING, "?"))
        with pytest.raises(ZeroDivisionError, match="one"):
            await receiving
        assert await raw.recv_payload(PONG) == b"?"
        assert await ws.recv() == "two"


@both_roles
async def test_receiver_may_close_while_more_is_in_the_packet(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def receive() -> str:
            message = await ws.recv()
            await ws.close(1001)
            return message

        receiving = asyncio.create_task(receive())
        await settle()
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(5)))
        assert await raw.finish_close() == (1001, "")
        assert await receiving == "0"
        assert [message async for message in ws] == ["1", "2", "3", "4"]


@both_roles
async def test_receiver_may_abort_the_transport_while_more_is_in_the_packet(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def receive() -> str:
            message = await ws.recv()
            ws.transport.abort()
            return message

        receiving = asyncio.create_task(receive())
        await settle()
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(5)), raw.frame(PING))
        assert await receiving == "0"
        await ws.wait_closed()
        assert await ws.recv() == "1"


@both_roles
async def test_receiver_may_cancel_itself_another_and_start_others(role: str) -> None:
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):

        async def other() -> str:
            return await second.recv()

        async def receive() -> str:
            message = await first.recv()
            waiting.cancel()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            task.uncancel()
            return message + await asyncio.create_task(first.recv())

        waiting = asyncio.create_task(other())
        receiving = asyncio.create_task(receive())
        await settle()
        await raw1.send(raw1.frame(TEXT, "a"), raw1.frame(TEXT, "b"))
        assert await receiving == "ab"
        assert waiting.cancelled()
        await raw2.send_frame(TEXT, "kept")
        assert await second.recv() == "kept"


@both_roles
async def test_answers_to_a_packet_go_out_in_order_whoever_sends(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def echo() -> None:
            async for message in ws:
                await ws.send(f"<{message}>")

        echoing = asyncio.create_task(echo())
        await settle()
        await raw.send(
            raw.frame(TEXT, "1"),
            raw.frame(PING, "2"),
            raw.frame(TEXT, "3", fin=False),
            raw.frame(PING, "4"),
            raw.frame(CONT, "5"),
        )
        texts, pongs = [], []
        for _ in range(4):
            frame = await raw.recv_frame()
            (texts if frame.opcode == TEXT else pongs).append(frame.payload)
        assert texts == [b"<1>", b"<35>"]
        assert pongs == [b"2", b"4"]
        await raw.close_handshake()
        await echoing


@both_roles
async def test_ball_is_passed_between_both_ends(role: str) -> None:
    async with pair() as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def play(ws: Any) -> None:
            with contextlib.suppress(ConnectionClosedOK):
                while True:
                    count = int(await ws.recv())
                    if count == 2000:
                        await ws.close()
                    await ws.send(str(count + 1))

        await near.send("0")
        await asyncio.gather(play(near), play(far))


@both_roles
async def test_burst_reaches_a_receiver_that_waits_on_other_things_too(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=3)

        async def receive() -> None:
            async for message in ws:
                await queue.put(message)

        receiving = asyncio.create_task(receive())
        await settle()
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(100)))
        assert [await queue.get() for _ in range(100)] == [str(index) for index in range(100)]
        await raw.close_handshake()
        await receiving


@both_roles
async def test_message_sent_by_a_done_callback_or_a_timer(role: str) -> None:
    loop = asyncio.get_running_loop()
    async with against_raw(role) as (ws, raw):
        tasks: list[asyncio.Task[None]] = []

        def send_later(_: Any = None) -> None:
            tasks.append(loop.create_task(ws.send("later")))

        receiving = asyncio.create_task(ws.recv())
        receiving.add_done_callback(send_later)
        loop.call_later(0.01, send_later)
        await raw.send_frame(TEXT, "go")
        assert await raw.recv_payload(TEXT) == b"later"
        assert await raw.recv_payload(TEXT) == b"later"
        assert await receiving == "go"
        await asyncio.gather(*tasks)


@both_roles
async def test_task_that_waits_for_the_first_of_two_connections(role: str) -> None:
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):
        tasks = {asyncio.create_task(ws.recv()) for ws in (first, second)}
        await raw2.send_frame(TEXT, "second")
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == ["second"]
        raw1.close()
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert not tasks
        assert isinstance(done.pop().exception(), ConnectionClosed)


@both_roles
async def test_connection_works_in_a_task_other_than_the_one_that_opened_it(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def use() -> str:
            await ws.send("out")
            return await ws.recv()

        for _ in range(3):
            using = asyncio.create_task(use())
            assert await raw.recv_payload(TEXT) == b"out"
            await raw.send_frame(TEXT, "in")
            assert await using == "in"


@both_roles
async def test_loop_goes_on_while_a_receiver_is_flooded(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        ticks = 0
        over = asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not over.is_set():
                ticks += 1
                await asyncio.sleep(0)

        async def produce() -> None:
            data = raw.frame(TEXT, "x" * 100) * 100
            for _ in range(500):
                await raw.send(data)

        producing = asyncio.create_task(produce())
        ticking = asyncio.create_task(tick())
        for _ in range(50_000):
            await ws.recv()
        over.set()
        await asyncio.gather(producing, ticking)
        assert ticks > 3  # a recv that need not wait still lets others run now and then
