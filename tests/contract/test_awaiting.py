"""Every way of waiting, and of giving up, that asyncio has works, and loses nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, settle
from ..support.rawpeer import CLOSE, CONT, PING, PONG, TEXT
from ..support.subject import ConnectionClosedOK, State, only_ropeway

pytestmark = asyncio_only(
    "tasks, timeouts and task groups of asyncio; test_cancellation.py has the rest"
)


async def with_timeout(ws: Any) -> Any:
    async with asyncio.timeout(0.01):
        return await ws.recv()


async def with_wait_for(ws: Any) -> Any:
    return await asyncio.wait_for(ws.recv(), 0.01)


async def with_wait_for_task(ws: Any) -> Any:
    return await asyncio.wait_for(asyncio.create_task(ws.recv()), 0.01)


async def with_recv_timeout(ws: Any) -> Any:
    return await ws.recv(timeout=0.01)


async def with_expired_timeout(ws: Any) -> Any:
    async with asyncio.timeout(0):
        return await ws.recv()


WAYS = [
    with_timeout,
    with_wait_for,
    with_wait_for_task,
    with_expired_timeout,
    pytest.param(with_recv_timeout, marks=only_ropeway),
]


@both_roles
@pytest.mark.parametrize("way", WAYS)
async def test_recv_that_timed_out_loses_nothing(
    role: str, way: Callable[[Any], Awaitable[Any]]
) -> None:
    async with against_raw(role) as (ws, raw):
        for index in range(3):
            with pytest.raises(TimeoutError):
                await way(ws)
            await raw.send_frame(TEXT, str(index))
            assert await ws.recv() == str(index)


@both_roles
@pytest.mark.parametrize("way", WAYS)
async def test_recv_that_timed_out_between_fragments_loses_nothing(
    role: str, way: Callable[[Any], Awaitable[Any]]
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "one ", fin=False)
        await raw.send_frame(PING)
        await raw.recv_payload(PONG)
        with pytest.raises(TimeoutError):
            await way(ws)
        await raw.send_frame(CONT, b"tw\xc3", fin=False)
        await raw.send_frame(PING)
        await raw.recv_payload(PONG)
        with pytest.raises(TimeoutError):
            await way(ws)
        await raw.send_frame(CONT, b"\xb6")
        assert await ws.recv() == "one twö"


@both_roles
async def test_recv_cancelled_before_its_first_step(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "kept")
        receiving = asyncio.create_task(ws.recv())
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert await ws.recv() == "kept"


@both_roles
async def test_shielded_recv_goes_on(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.ensure_future(ws.recv())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(receiving), 0.01)
        await raw.send_frame(TEXT, "hello")
        assert await receiving == "hello"


@both_roles
async def test_recv_in_gather_wait_and_as_completed(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        gathering = asyncio.gather(ws.recv(), asyncio.sleep(0, "slept"))
        await settle()
        await raw.send_frame(TEXT, "one")
        assert await gathering == ["one", "slept"]

        receiving = asyncio.create_task(ws.recv())
        done, pending = await asyncio.wait([receiving], timeout=0.01)
        assert (done, pending) == (set(), {receiving})
        await raw.send_frame(TEXT, "two")
        (done,), pending = await asyncio.wait([receiving])
        assert done.result() == "two"

        await raw.send_frame(TEXT, "three")
        for next_done in asyncio.as_completed([ws.recv()]):
            assert await next_done == "three"


@both_roles
async def test_recv_in_a_task_group_that_fails(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(ws.recv())
                await settle()
                raise ZeroDivisionError
        assert isinstance(raised.value.exceptions[0], ZeroDivisionError)
        assert receiving.cancelled()
        await raw.send_frame(TEXT, "kept")
        assert await ws.recv() == "kept"


@both_roles
async def test_task_of_recv_can_be_named_inspected_and_awaited_twice(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv(), name="receiver")
        await settle()
        assert not receiving.done()
        assert receiving.get_name() == "receiver"
        assert "receiver" in repr(receiving)
        await raw.send_frame(TEXT, "hello")
        assert await receiving == "hello"
        assert await receiving == receiving.result() == "hello"


@both_roles
async def test_uncancel_in_a_nested_timeout(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        async with asyncio.timeout(60):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ws.recv()
            await raw.send_frame(TEXT, "hello")
            assert await ws.recv() == "hello"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


@both_roles
async def test_recv_that_was_never_awaited_takes_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "kept")
        unused = ws.recv()
        unused.close()
        assert await ws.recv() == "kept"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@both_roles
async def test_eager_tasks(role: str) -> None:
    loop = asyncio.get_running_loop()

    def eager(coroutine: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

    async with against_raw(role) as (ws, raw):
        receiving = eager(ws.recv())
        assert not receiving.done()
        await raw.send_frame(TEXT, "one")
        assert await receiving == "one"

        await raw.send(raw.frame(TEXT, "two"), raw.frame(TEXT, "three"))
        assert await ws.recv() == "two"
        ready = eager(ws.recv())
        assert ready.done()
        assert ready.result() == "three"

        receiving = eager(ws.recv())
        receiving.cancel()
        await asyncio.wait([receiving])
        assert receiving.cancelled()

        sending = eager(ws.send("out"))
        assert await raw.recv_payload(TEXT) == b"out"
        await sending
        await raw.send_frame(TEXT, "four")
        assert await ws.recv() == "four"


@only_ropeway
@both_roles
@pytest.mark.parametrize("timeout", [0, 0.01])
async def test_recv_timeout(role: str, timeout: float) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TimeoutError):
            await ws.recv(timeout=timeout)
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"), raw.frame(TEXT, "three"))
        assert await ws.recv(timeout=10) == "one"
        assert await ws.recv(timeout=0) == "two"
        assert await ws.recv(True, timeout=None) == "three"


@only_ropeway
@both_roles
async def test_recv_timeout_does_not_hide_a_cancellation_or_the_end(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv(timeout=10))
        await settle()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        receiving = asyncio.create_task(ws.recv(timeout=10))
        await settle()
        await raw.close_handshake()
        with pytest.raises(ConnectionClosedOK):
            await receiving


# Other operations


@both_roles
async def test_cancelled_close_still_closes(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        closing = asyncio.create_task(ws.close(1001))
        assert await raw.recv_close() == (1001, "")
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert ws.state is State.CLOSING
        again = asyncio.create_task(ws.close(1000))
        await raw.send_close(1001)
        raw.half_close()
        await again
        assert ws.close_code == 1001


@only_ropeway
@both_roles
async def test_cancelled_close_still_has_its_timeout(role: str) -> None:
    # In websockets the timeout goes with the task.
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        closing = asyncio.create_task(ws.close())
        assert (await raw.recv_frame()).opcode == CLOSE
        closing.cancel()
        await asyncio.wait([closing])
        await ws.wait_closed()
        assert ws.close_code == 1006
