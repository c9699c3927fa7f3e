"""Each operation is to a task what a coroutine is: cancelled at any point, bounded, combined."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, settle, until
from ..support.rawpeer import TEXT
from ..support.subject import ConnectionClosedError
from .operations import (
    SEND,
    Operation,
    every_operation,
    every_receive,
    intact,
    is_expected,
    operations,
    task_of,
    waiting_for,
    wrapped,
)

pytestmark = asyncio_only(
    "tasks, timeouts and task groups of asyncio; test_cancellation.py has the rest"
)

# Cancellation


@both_roles
@every_operation
async def test_cancelled_before_it_starts(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = task_of(operation, ws)
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await intact(operation, ws, raw, started=False)


@both_roles
@every_operation
async def test_cancelled_while_it_waits(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = task_of(operation, ws)
        await settle()
        assert not task.done()
        assert task.cancel("why")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert raised.value.args == ("why",)
        assert task.cancelled()
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_cancelled_twice(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = task_of(operation, ws)
        await settle()
        assert task.cancel("first")
        assert task.cancel("second")
        assert task.cancelling() == 2
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert not task.cancel()
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_cancelled_and_uncancelled(role: str, operation: Operation) -> None:
    # A ping that was cancelled is on its way; another with its payload would be an error.
    rounds = 1 if operation.name == "ping" else 2
    async with waiting_for(operation, role) as (ws, raw):

        async def stubborn() -> Any:
            task = asyncio.current_task()
            assert task is not None
            for _ in range(rounds):
                with pytest.raises(asyncio.CancelledError):
                    await operation.start(ws)
                assert task.uncancel() == 0
            return "survived"

        task = asyncio.create_task(stubborn())
        for _ in range(rounds):
            await settle()
            assert not task.done()
            task.cancel()
        assert await task == "survived"
        if operation.kind == "receive":
            await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_cancelled_by_itself_before_it_awaits(role: str, operation: Operation) -> None:
    # The request is pending when the operation begins to wait, and ends that wait at once.
    async with waiting_for(operation, role) as (ws, raw):

        async def cancel_itself() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await operation.start(ws)

        task = asyncio.create_task(cancel_itself())
        with pytest.raises(asyncio.CancelledError):
            await task
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
@pytest.mark.parametrize("turns", [0, 1, 2, 4])
async def test_cancelled_around_its_end(role: str, operation: Operation, turns: int) -> None:
    # Whichever comes first: it ends with its result, or it is cancelled and nothing is lost.
    async with waiting_for(operation, role) as (ws, raw):
        task = task_of(operation, ws)
        await settle()
        await operation.release(raw)
        await settle(turns)
        cancelled = task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            assert cancelled
            if operation.kind == "receive":
                result = await operation.start(ws)
                assert is_expected(operation, result)
        else:
            assert is_expected(operation, result)
        if operation.kind == "close":
            await ws.wait_closed()
        await operation.finished(raw)


@both_roles
@every_receive
async def test_cancelled_by_the_task_that_gets_the_message_before(
    role: str, operation: Operation
) -> None:
    # One packet has messages for two tasks; the first to wake cancels the other, which is due.
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):
        tasks: dict[Any, asyncio.Task[Any]] = {}

        async def receive(ws: Any, other: Any) -> Any:
            result = await operation.start(ws)
            tasks[other].cancel()
            return result

        tasks[first] = asyncio.create_task(receive(first, second))
        tasks[second] = asyncio.create_task(receive(second, first))
        await settle()
        raw1.sock.send(raw1.frame(TEXT, '"x"'))
        raw2.sock.send(raw2.frame(TEXT, '"x"'))
        await asyncio.wait(tasks.values())
        for ws, task in tasks.items():
            result = await operation.start(ws) if task.cancelled() else task.result()
            assert is_expected(operation, result)


@both_roles
@every_operation
async def test_ends_while_the_connection_is_lost(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = task_of(operation, ws)
        await settle()
        raw.reset()
        await asyncio.wait([task])
        if operation.kind == "close":
            assert task.result() is None
        else:
            assert isinstance(task.exception(), ConnectionClosedError)
            assert task.exception().__cause__ is not None  # type: ignore[union-attr]


# Timeouts


@both_roles
@every_operation
async def test_timeout_context(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await operation.start(ws)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_timeout_context_that_is_rescheduled(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        async with asyncio.timeout(0.01) as timeout:
            timeout.reschedule(None)
            task = task_of(operation, ws)
            await settle()
            await operation.release(raw)
            assert is_expected(operation, await task)
        assert not timeout.expired()
        await operation.finished(raw)


@both_roles
@every_operation
@pytest.mark.parametrize("timeout", [0, -1, 0.01])
async def test_wait_for_that_times_out(role: str, operation: Operation, timeout: float) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(operation.start(ws), timeout)
        if timeout > 0 or operation.kind == "receive":
            await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
@pytest.mark.parametrize("timeout", [20, None])
async def test_wait_for_that_succeeds(
    role: str, operation: Operation, timeout: float | None
) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = asyncio.create_task(asyncio.wait_for(operation.start(ws), timeout))
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await task)
        await operation.finished(raw)


@both_roles
@every_operation
async def test_wait_for_that_is_cancelled(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = asyncio.create_task(asyncio.wait_for(operation.start(ws), 20))
        await settle()
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_timeout_that_is_made_of_call_later(role: str, operation: Operation) -> None:
    # As libraries did it before asyncio.timeout.
    async with waiting_for(operation, role) as (ws, raw):
        task = asyncio.current_task()
        assert task is not None
        timer = asyncio.get_running_loop().call_later(0.01, task.cancel, "timer")
        with pytest.raises(asyncio.CancelledError, match="timer"):
            await operation.start(ws)
        timer.cancel()
        assert task.uncancel() == 0
        await intact(operation, ws, raw, started=True)


# Combinations


@both_roles
@every_operation
async def test_shield(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        inner = task_of(operation, ws)

        async def outer() -> Any:
            return await asyncio.shield(inner)

        task = asyncio.create_task(outer())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not inner.done()
        await operation.release(raw)
        assert is_expected(operation, await inner)
        await operation.finished(raw)


@both_roles
@every_operation
async def test_shield_of_the_operation_itself(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        shielded = asyncio.shield(operation.start(ws))
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await shielded)
        await operation.finished(raw)


@both_roles
@every_operation
async def test_gather_over_connections(role: str, operation: Operation) -> None:
    async with (
        waiting_for(operation, role) as (first, raw1),
        waiting_for(operation, role) as (second, raw2),
    ):
        gathering = asyncio.gather(operation.start(first), operation.start(second))
        await settle()
        for raw in (raw2, raw1):
            await operation.release(raw)
        assert all(is_expected(operation, result) for result in await gathering)
        for raw in (raw1, raw2):
            await operation.finished(raw)


@both_roles
@every_operation
async def test_gather_that_is_cancelled_cancels_all(role: str, operation: Operation) -> None:
    async with (
        waiting_for(operation, role) as (first, raw1),
        waiting_for(operation, role) as (second, raw2),
    ):
        tasks = [task_of(operation, ws) for ws in (first, second)]
        gathering = asyncio.gather(*tasks)
        await settle()
        gathering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathering
        assert all(task.cancelled() for task in tasks)
        await intact(operation, first, raw1, started=True)
        await intact(operation, second, raw2, started=True)


@both_roles
@every_receive
async def test_gather_in_which_one_fails(role: str, operation: Operation) -> None:
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):
        gathering = asyncio.gather(
            operation.start(first), operation.start(second), return_exceptions=True
        )
        await settle()
        raw1.reset()
        await operation.release(raw2)
        failure, result = await gathering
        assert isinstance(failure, ConnectionClosedError)
        assert is_expected(operation, result)


@both_roles
@operations([one for one in SEND if one.name != "ping"])  # whose payload must be its own
async def test_gather_of_several_on_one_connection(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        gathering = asyncio.gather(*(operation.start(ws) for _ in range(5)))
        await settle()
        assert not gathering.done()
        await operation.release(raw)
        assert await gathering == [operation.expected] * 5
        # Of pongs that can't go out, only the latest is kept (RFC 6455 section 5.5.3).
        for _ in range(1 if operation.name == "pong" else 5):
            await operation.finished(raw)


@both_roles
@every_operation
async def test_task_group_in_which_another_task_fails(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        failing = asyncio.Event()

        async def fail() -> None:
            await failing.wait()
            raise ZeroDivisionError

        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                started: Any = operation.start(ws)
                if not operation.coroutine:
                    started = wrapped(started)
                task = group.create_task(started)
                group.create_task(fail())
                await settle()
                failing.set()
        assert [type(exc) for exc in raised.value.exceptions] == [ZeroDivisionError]
        assert task.cancelled()
        await intact(operation, ws, raw, started=True)


@both_roles
@every_receive
async def test_task_group_of_one_receiver_per_connection(role: str, operation: Operation) -> None:
    async with against_raw(role) as (first, raw1), against_raw(role) as (second, raw2):
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                lost = group.create_task(wrapped(operation.start(first)))
                other = group.create_task(wrapped(operation.start(second)))
                await settle()
                raw1.reset()
        assert [type(exc) for exc in raised.value.exceptions] == [ConnectionClosedError]
        assert lost.done()
        assert other.cancelled()
        await intact(operation, second, raw2, started=True)


@both_roles
@every_operation
async def test_wait_for_the_first(role: str, operation: Operation) -> None:
    async with (
        waiting_for(operation, role) as (first, raw1),
        waiting_for(operation, role) as (second, raw2),
    ):
        tasks = {task_of(operation, ws): ws for ws in (first, second)}
        done, pending = await asyncio.wait(tasks, timeout=0.01)
        assert (done, pending) == (set(), set(tasks))
        waiting = asyncio.create_task(
            asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED), name="waiting"
        )
        await settle()
        await operation.release(raw2)
        (task,), (other,) = await waiting
        assert tasks[task] is second
        assert is_expected(operation, task.result())
        assert not other.done()
        await operation.release(raw1)
        assert is_expected(operation, await other)


@both_roles
@every_operation
async def test_as_completed(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        (completed,) = asyncio.as_completed([operation.start(ws)])
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await completed)


@both_roles
@every_operation
async def test_done_callback_and_ensure_future(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        task = asyncio.ensure_future(operation.start(ws))
        assert isinstance(task, asyncio.Task)
        seen: list[Any] = []
        task.add_done_callback(seen.append)
        await settle()
        assert not seen
        await operation.release(raw)
        await until(task.done)
        await settle(1)
        assert seen == [task]
        assert is_expected(operation, await task)
