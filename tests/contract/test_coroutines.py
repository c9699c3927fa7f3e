"""What an operation is before, while and after it is awaited: a coroutine, whatever makes it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import re
import sys
import traceback
import warnings
from collections.abc import Awaitable, Coroutine, Iterator
from typing import Any
from unittest import mock

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, settle
from ..support.rawpeer import BINARY, TEXT
from ..support.subject import (
    ORACLE,
    ClientConnection,
    ConnectionClosed,
    ConnectionClosedOK,
    ServerConnection,
)
from .operations import (
    Operation,
    every_coroutine,
    every_operation,
    every_receive,
    intact,
    is_expected,
    task_of,
    waiting_for,
    wrapped,
)

pytestmark = asyncio_only("what asyncio's recv() and send() return, before it is awaited")

REUSED = "cannot reuse already awaited"
AWAITED_BY_ANOTHER = "coroutine is being awaited already"


def result_of(operation: Any) -> Any:
    """Run an operation by hand that need not wait, and return its result."""
    with pytest.raises(StopIteration) as stopped:
        operation.send(None)
    return stopped.value.value


# What it is


@both_roles
@every_coroutine
async def test_it_is_a_coroutine(role: str, operation: Operation) -> None:
    async with against_raw(role) as (ws, _):
        made = operation.start(ws)
        assert inspect.isawaitable(made)
        assert isinstance(made, Awaitable)
        assert isinstance(made, Coroutine)
        assert asyncio.iscoroutine(made)
        assert not asyncio.isfuture(made)
        made.close()


@both_roles
@every_operation
async def test_it_is_awaitable(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        assert inspect.isawaitable(made)
        task = asyncio.create_task(wrapped(made))
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await task)


@both_roles
@every_coroutine
async def test_its_state_can_be_inspected(role: str, operation: Operation) -> None:
    # anyio looks at it to know whether a task has started.
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        assert inspect.getcoroutinestate(made) == inspect.CORO_CREATED
        task = asyncio.create_task(made)
        await settle()
        assert task.get_coro() is made
        assert inspect.getcoroutinestate(made) == inspect.CORO_SUSPENDED
        await operation.release(raw)
        await task
        assert inspect.getcoroutinestate(made) == inspect.CORO_CLOSED


@both_roles
@every_coroutine
async def test_it_says_its_name(role: str, operation: Operation) -> None:
    async with against_raw(role) as (ws, _):
        made = operation.start(ws)
        name = operation.name.partition("-")[0].replace("anext", "__anext__")
        assert made.__name__ == name
        assert made.__qualname__.endswith(f".{name}")
        assert name in repr(made)
        made.close()


@pytest.mark.parametrize("kind", [ClientConnection, ServerConnection])
async def test_methods_are_taken_for_coroutine_functions(kind: type) -> None:
    # Programs that stand in for a connection in their tests rely on it: these become AsyncMocks.
    stand_in = mock.create_autospec(kind, instance=True)
    stand_in.recv.return_value = "scripted"
    assert await stand_in.recv() == "scripted"
    for method in ("send", "ping", "pong", "close", "wait_closed"):
        assert isinstance(getattr(stand_in, method), mock.AsyncMock), method
        # On Python 3.11 nothing but a coroutine function can be one to inspect.
        if sys.version_info >= (3, 12):
            assert inspect.iscoroutinefunction(getattr(kind, method)), method
    await stand_in.send("x")
    stand_in.send.assert_awaited_once_with("x")


@both_roles
async def test_wrong_arguments_are_refused_by_the_call(role: str) -> None:
    async with against_raw(role) as (ws, _):
        with pytest.raises(TypeError, match="argument"):
            ws.recv(True, 1, 2)
        with pytest.raises(TypeError, match="argument"):
            ws.recv(unknown=1)
        with pytest.raises(TypeError, match="argument"):
            ws.send()
        with pytest.raises(TypeError, match="argument"):
            ws.send("x", unknown=1)


# When it takes effect


@both_roles
async def test_nothing_happens_before_it_is_awaited(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        first, second = ws.send("first"), ws.send("second")
        await settle()
        await second
        await first
        assert [await raw.recv_payload(TEXT) for _ in range(2)] == [b"second", b"first"]

        mutable = bytearray(b"old")
        later = ws.send(mutable)
        mutable[:] = b"new"
        await later
        assert await raw.recv_payload(BINARY) == b"new"

        later, now = ws.recv(), ws.recv()
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"))
        assert await now == "one"
        assert await later == "two"


@both_roles
async def test_wrong_message_raises_when_it_is_awaited(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for message in (5, None, {"a": 1}):
            made = ws.send(message)
            with pytest.raises(TypeError):
                await made
        await ws.send("fine")
        assert await raw.recv_payload(TEXT) == b"fine"


@both_roles
async def test_state_that_counts_is_that_of_the_await(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        made = [ws.send("x"), ws.recv(), ws.ping(), ws.pong()]
        closing = ws.close()
        await raw.close_handshake()
        await ws.wait_closed()
        for one in made:
            with pytest.raises(ConnectionClosedOK):
                await one
        assert await closing is None


@both_roles
@every_receive
async def test_operation_made_while_another_receives(role: str, operation: Operation) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = task_of(operation, ws)
        await settle()
        later = operation.start(ws)
        await operation.release(raw)
        assert is_expected(operation, await receiving)
        await operation.release(raw)
        assert is_expected(operation, await later)


# Run by hand

by_hand = pytest.mark.skipif(ORACLE, reason="some of websockets need a task around them")


@both_roles
async def test_send_none_runs_it(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"), raw.frame(TEXT, "three"))
        assert await ws.recv() == "one"
        assert result_of(ws.recv()) == "two"
        assert result_of(aiter(ws).__anext__()) == "three"
        assert result_of(ws.send("out")) is None
        assert await raw.recv_payload(TEXT) == b"out"
        made = ws.send("more").__await__()
        with pytest.raises(StopIteration):
            next(made)
        assert await raw.recv_payload(TEXT) == b"more"


@both_roles
@every_coroutine
async def test_first_send_takes_none_only(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        with pytest.raises(TypeError, match="can't send non-None value to a just-started"):
            made.send("x")
        made.close()
        await intact(operation, ws, raw, started=False)


@by_hand
@both_roles
@every_coroutine
async def test_what_it_yields_is_a_future_of_the_loop(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        waiter = made.send(None)
        assert asyncio.isfuture(waiter)
        assert waiter.get_loop() is asyncio.get_running_loop()
        assert not waiter.done()
        made.close()
        await intact(operation, ws, raw, started=True)


@both_roles
@every_coroutine
async def test_throw_into_one_that_has_not_begun(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        with pytest.raises(ZeroDivisionError, match="mine"):
            made.throw(ZeroDivisionError("mine"))
        with pytest.raises(RuntimeError, match=REUSED):
            await made
        await intact(operation, ws, raw, started=False)


@by_hand
@both_roles
@every_coroutine
async def test_throw_into_one_that_waits(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        made.send(None)
        with pytest.raises(ZeroDivisionError, match="mine"):
            made.throw(ZeroDivisionError("mine"))
        with pytest.raises(RuntimeError, match=REUSED):
            made.send(None)
        await intact(operation, ws, raw, started=True)


@by_hand
@both_roles
@every_coroutine
async def test_close_of_one_that_waits(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        made.send(None)
        assert made.close() is None
        assert made.close() is None
        with pytest.raises(RuntimeError, match=REUSED):
            await made
        with pytest.raises(RuntimeError, match=REUSED):
            made.throw(ZeroDivisionError)
        await intact(operation, ws, raw, started=True)


@by_hand
@both_roles
@every_coroutine
async def test_waiting_one_that_is_dropped(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        made.send(None)
        del made
        gc.collect()
        await intact(operation, ws, raw, started=True)


# Awaited more than once


@both_roles
@every_coroutine
async def test_awaited_again_after_its_end(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        task = asyncio.create_task(made)
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await task)
        await operation.finished(raw)
        with pytest.raises(RuntimeError, match=REUSED):
            await made
        with pytest.raises(RuntimeError, match=REUSED):
            await asyncio.create_task(wrapped(made))
        made.close()


@both_roles
async def test_awaited_again_though_it_did_not_wait(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"), raw.frame(TEXT, "three"))
        assert await ws.recv() == "one"
        for made in (ws.recv(), ws.send("out"), ws.ping()):
            await made
            with pytest.raises(RuntimeError, match=REUSED):
                await made
        assert await ws.recv() == "three"


@both_roles
async def test_awaited_again_after_it_failed(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        raw.close()
        await ws.wait_closed()
        for made in (ws.recv(), ws.send("x"), ws.ping()):
            with pytest.raises(ConnectionClosed):
                await made
            with pytest.raises(RuntimeError, match=REUSED):
                await made


@both_roles
@every_coroutine
async def test_awaited_by_two_tasks_at_once(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        first = asyncio.create_task(wrapped(made))
        second = asyncio.create_task(wrapped(made))
        with pytest.raises(RuntimeError, match=AWAITED_BY_ANOTHER):
            await second
        assert not first.done()
        await operation.release(raw)
        assert is_expected(operation, await first)


# Never awaited


@pytest.fixture
def caught() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@both_roles
@every_coroutine
async def test_never_awaited_warns(
    role: str, operation: Operation, caught: list[warnings.WarningMessage]
) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        made = operation.start(ws)
        name = made.__qualname__
        del made
        gc.collect()
        (warning,) = caught
        assert warning.category is RuntimeWarning
        assert re.match(f"coroutine '{re.escape(name)}' was never awaited", str(warning.message))
        await intact(operation, ws, raw, started=False)


@both_roles
@every_coroutine
async def test_nothing_warns_of_one_that_was_awaited_or_closed(
    role: str, operation: Operation, caught: list[warnings.WarningMessage]
) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        operation.start(ws).close()
        with pytest.raises(ZeroDivisionError):
            operation.start(ws).throw(ZeroDivisionError)
        task = task_of(operation, ws)
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await task)
        gc.collect()
        assert [str(warning.message) for warning in caught] == []


@both_roles
async def test_refused_arguments_do_not_warn(
    role: str, caught: list[warnings.WarningMessage]
) -> None:
    async with against_raw(role) as (ws, _):
        with pytest.raises(TypeError):
            ws.send()
        with pytest.raises(TypeError):
            ws.recv(unknown=1)
        gc.collect()
        assert caught == []


@both_roles
@every_coroutine
async def test_task_that_is_cancelled_before_it_starts_does_not_warn(
    role: str, operation: Operation, caught: list[warnings.WarningMessage]
) -> None:
    async with waiting_for(operation, role) as (ws, _):
        task = task_of(operation, ws)
        task.cancel()
        await asyncio.wait([task])
        del task
        gc.collect()
        assert [str(warning.message) for warning in caught] == []


# What one sees of it


@both_roles
@every_operation
async def test_traceback_has_the_line_that_awaited(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):

        async def caller() -> None:
            await operation.start(ws)  # this line

        task = asyncio.create_task(caller())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert_has_the_line(raised.value)
        if operation.kind == "close":
            return
        raw.reset()
        await ws.wait_closed()
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as closed:
                await caller()
            assert_has_the_line(closed.value)


def assert_has_the_line(exc: BaseException) -> None:
    lines = [frame.line for frame in traceback.extract_tb(exc.__traceback__)]
    assert sum("# this line" in (line or "") for line in lines) == 1, lines


@both_roles
@every_operation
async def test_stack_and_repr_of_a_task_that_waits(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):

        async def caller() -> Any:
            return await operation.start(ws)

        tasks = [asyncio.create_task(caller(), name="mine")]
        await settle()
        (frame,) = tasks[0].get_stack()
        assert frame.f_code.co_name == "caller"
        if operation.kind == "receive":
            tasks[0].cancel()
            await asyncio.wait(tasks)
            tasks = [task_of(operation, ws, name="mine")]
            await settle()
        (task,) = tasks
        assert "mine" in repr(task)
        assert "pending" in repr(task)
        task.get_stack()
        task.get_stack(limit=1)
        printed = io.StringIO()
        task.print_stack(file=printed)
        assert "mine" in printed.getvalue()
        assert task in asyncio.all_tasks()
        await operation.release(raw)
        assert is_expected(operation, await task)
        assert task.get_stack() == []
        assert "finished" in repr(task)
