"""What surrounds the task that awaits: its context, its loop and thread, iteration, anyio."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ..support.drivers import asyncio_only
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
from ..support.loops import LoopFactory
from ..support.rawpeer import TEXT
from ..support.require import require_package
from ..support.subject import (
    ConnectionClosedError,
    connect,
    only_ropeway,
    serve,
)
from .operations import (
    Operation,
    every_coroutine,
    every_operation,
    intact,
    is_expected,
    task_of,
    waiting_for,
)

pytestmark = asyncio_only("it is about asyncio's tasks, contexts and loops")

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")

# Contexts


@both_roles
@every_operation
async def test_context_before_and_after_the_wait(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):

        async def use() -> Any:
            assert who.get() == "given"
            who.set("mine")
            result = await operation.start(ws)
            assert who.get() == "mine"
            assert asyncio.current_task() is task
            asyncio.get_running_loop().call_soon(lambda: seen.append(who.get()))
            return result

        seen: list[str] = []
        context = contextvars.copy_context()
        context.run(who.set, "given")
        task = asyncio.create_task(use(), context=context)
        await settle()
        assert context[who] == "mine"
        await operation.release(raw)
        assert is_expected(operation, await task)
        await settle(1)
        assert seen == ["mine"]
        assert who.get() == "nobody"
        assert asyncio.current_task() is not task


@both_roles
@every_coroutine
async def test_operation_in_a_given_context(role: str, operation: Operation) -> None:
    async with waiting_for(operation, role) as (ws, raw):
        context = contextvars.copy_context()
        task = task_of(operation, ws, context=context)
        await settle()
        await operation.release(raw)
        assert is_expected(operation, await task)


async def test_context_of_a_handler_is_its_own() -> None:
    who.set("server")
    found: list[str] = []

    async def handler(ws: Any) -> None:
        found.append(who.get())
        async for message in ws:
            who.set(message)
            await ws.send(message)
            await asyncio.sleep(0)
            found.append(who.get())

    def hook(ws: Any, request: Any) -> None:
        found.append(f"hook of {who.get()}")

    async with serving(handler, process_request=hook) as server:
        who.set("client")
        for name in ("a", "b"):
            async with connecting(port_of(server)) as ws:
                await ws.send(name)
                assert await ws.recv() == name
    assert found == ["hook of server", "server", "a", "hook of server", "server", "b"]
    assert who.get() == "client"


# The current task


async def test_current_task_of_a_handler_and_its_hooks() -> None:
    found: list[asyncio.Task[Any] | None] = []

    async def hook(ws: Any, request: Any) -> None:
        found.append(asyncio.current_task())
        assert asyncio.current_task() in asyncio.all_tasks()

    async def handler(ws: Any) -> None:
        found.append(asyncio.current_task())
        async for message in ws:
            found.append(asyncio.current_task())
            assert asyncio.current_task() in asyncio.all_tasks()
            await ws.send(message)
            found.append(asyncio.current_task())

    async with serving(handler, process_request=hook) as server:
        async with connecting(port_of(server)) as ws:
            for _ in range(3):
                await ws.send("x")
                assert await ws.recv() == "x"
    assert len(found) == 8
    assert len(set(found)) == 1
    assert isinstance(found[0], asyncio.Task)


@both_roles
async def test_no_task_is_current_in_a_callback_after_a_wake_up(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        found: list[Any] = []
        receiving = asyncio.create_task(ws.recv())
        loop = asyncio.get_running_loop()
        receiving.add_done_callback(lambda _: found.append(asyncio.current_task()))
        await settle()
        await raw.send_frame(TEXT, "x")
        assert await receiving == "x"
        loop.call_soon(lambda: found.append(asyncio.current_task()))
        await settle(1)
        assert found == [None, None]


# Eager tasks


def start_eagerly(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make tasks as ``asyncio.eager_task_factory``, which uvloop gives more than 3.13.0 takes."""
    return asyncio.Task(coroutine, loop=loop, **{**options, "eager_start": True})


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
@both_roles
@every_coroutine
@pytest.mark.parametrize("end", ["result", "cancel"])
async def test_eager_task(role: str, operation: Operation, end: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(start_eagerly)
    try:
        async with waiting_for(operation, role) as (ws, raw):
            task = asyncio.create_task(operation.start(ws))
            assert not task.done()
            if end == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await intact(operation, ws, raw, started=True)
                return
            await operation.release(raw)
            assert is_expected(operation, await task)
            await operation.finished(raw)
    finally:
        loop.set_task_factory(None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_both_ends_with_eager_tasks_for_everything() -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(start_eagerly)
    try:

        async def handler(ws: Any) -> None:
            async for message in ws:
                await asyncio.gather(ws.send(message), ws.send(message))

        async with serving(handler) as server, connecting(port_of(server)) as ws:
            for index in range(20):
                sending = asyncio.create_task(ws.send(str(index)))
                assert [await asyncio.create_task(ws.recv()) for _ in range(2)] == [str(index)] * 2
                await sending
    finally:
        loop.set_task_factory(None)


# Other loops and threads


@both_roles
async def test_operations_from_another_thread(role: str) -> None:
    loop = asyncio.get_running_loop()
    async with against_raw(role) as (ws, raw):

        def use() -> Any:
            def run(operation: Any) -> Any:
                return asyncio.run_coroutine_threadsafe(operation, loop)

            for index in range(20):
                run(ws.send(f"out {index}")).result(10)
            receiving = run(ws.recv())
            with pytest.raises(TimeoutError):
                receiving.result(0.01)
            assert receiving.cancel()
            run(ws.send("ready")).result(10)
            return run(ws.recv()).result(10)

        using = asyncio.create_task(asyncio.to_thread(use))
        for index in range(20):
            assert await raw.recv_payload(TEXT) == f"out {index}".encode()
        assert await raw.recv_payload(TEXT) == b"ready"
        await raw.send_frame(TEXT, "in")
        assert await using == "in"


@both_roles
async def test_many_threads_that_send(role: str) -> None:
    loop = asyncio.get_running_loop()
    async with against_raw(role) as (ws, raw):

        def use(name: int) -> None:
            for index in range(50):
                asyncio.run_coroutine_threadsafe(ws.send(f"{name} {index}"), loop).result(10)

        using = asyncio.gather(*(asyncio.to_thread(use, name) for name in range(4)))
        received: dict[str, list[int]] = {}
        for _ in range(200):
            name, index = (await raw.recv_payload(TEXT)).decode().split()
            received.setdefault(name, []).append(int(index))
        await using
        assert received == {str(name): list(range(50)) for name in range(4)}


@both_roles
@every_operation
async def test_awaited_on_another_loop(role: str, operation: Operation) -> None:
    # A future that has to be waited for says so; nothing of the connection is disturbed.
    loop = asyncio.get_running_loop()
    text = "attached to a different loop|Non-thread-safe operation"  # the latter in debug mode
    async with waiting_for(operation, role) as (ws, raw):

        async def use() -> None:
            with pytest.raises(RuntimeError, match=text):
                await operation.start(ws)

        # In a thread, while this loop stands still: what is wrong must not also be a race.
        thread = threading.Thread(target=asyncio.run, args=[use()])
        thread.start()
        thread.join()
        assert asyncio.get_running_loop() is loop
        await intact(operation, ws, raw, started=True)


def test_operations_run_by_run_until_complete(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    try:
        handed = loop.run_until_complete(_make_handed())
        server = loop.run_until_complete(_start(handed))
        port = port_of(server)
        ws = loop.run_until_complete(_awaited(connect(f"ws://127.0.0.1:{port}/", proxy=None)))
        far = loop.run_until_complete(handed.connections.get())
        for index in range(5):
            loop.run_until_complete(ws.send(str(index)))
            assert loop.run_until_complete(far.recv()) == str(index)
        loop.run_until_complete(asyncio.wait_for(ws.ping(), 10))
        loop.run_until_complete(ws.close())
        handed.over.set()
        server.close()
        loop.run_until_complete(server.wait_closed())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _make_handed() -> Handed:
    return Handed()


async def _start(handler: Any) -> Any:
    return await serve(handler, "127.0.0.1", 0, ping_interval=None)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


# Debug mode


@both_roles
async def test_debug_mode_turned_on_and_off(role: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="asyncio")
    loop = asyncio.get_running_loop()
    before = loop.get_debug()
    async with against_raw(role) as (ws, raw):
        for debug in (True, False, True):
            loop.set_debug(debug)
            loop.slow_callback_duration = 60.0
            receiving = asyncio.create_task(ws.recv())
            await settle()
            await raw.send_frame(TEXT, "x")
            assert await receiving == "x"
            await ws.send("y")
            assert await raw.recv_payload(TEXT) == b"y"
        loop.set_debug(before)
    assert not [record for record in caplog.records if record.name == "asyncio"]


@both_roles
async def test_slow_receiver_is_only_warned_of(role: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="asyncio")
    loop = asyncio.get_running_loop()
    before = loop.get_debug()
    async with against_raw(role) as (ws, raw):

        async def slow() -> list[str]:
            messages = []
            async for message in ws:
                time.sleep(0.05)  # noqa: ASYNC251 - it is to hold up the loop
                messages.append(message)
            return messages

        receiving = asyncio.create_task(slow())
        await settle()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.02
        await raw.send(raw.frame(TEXT, "x"), raw.frame(TEXT, "y"))
        await raw.close_handshake()
        assert await receiving == ["x", "y"]
        loop.set_debug(before)
        loop.slow_callback_duration = 60.0
    texts = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    # uvloop does not measure what the arrival of bytes sets off.
    assert texts or not isinstance(loop, asyncio.BaseEventLoop)
    assert all(text.startswith("Executing ") for text in texts), texts


@both_roles
async def test_failed_task_is_reported_once(role: str) -> None:
    # A task that nobody awaits: the loop is told of its exception when it is freed, as ever.
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context))
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await settle()
        raw.reset()
        await asyncio.wait([receiving])
        del receiving
        gc.collect()
    loop.set_exception_handler(handler)
    assert [context["message"] for context in told] == ["Task exception was never retrieved"]
    assert isinstance(told[0]["exception"], ConnectionClosedError)


# Iteration


@both_roles
async def test_iteration_that_breaks_off_and_is_resumed(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(10)))
        received = []
        async for message in ws:
            received.append(message)
            if len(received) == 3:
                break
        received.append(await ws.recv())
        received.append(await anext(aiter(ws)))
        messages = aiter(ws)
        received.append(await anext(messages))
        with contextlib.suppress(ZeroDivisionError):
            async for message in ws:
                received.append(message)
                if len(received) == 8:
                    raise ZeroDivisionError
        await raw.close_handshake()
        received += [message async for message in ws]
        assert received == [str(index) for index in range(10)]
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(aiter(ws))
            assert await anext(aiter(ws), "default") == "default"


@both_roles
async def test_iteration_that_ends_with_an_error(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "x")
        raw.half_close()
        messages = aiter(ws)
        assert await anext(messages) == "x"
        for _ in range(2):
            with pytest.raises(ConnectionClosedError):
                await anext(aiter(ws), "default")
        with pytest.raises(ConnectionClosedError):
            async for _ in ws:
                pass


@both_roles
async def test_each_step_of_an_iteration_has_a_timeout(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        received = []
        messages = aiter(ws)
        for index in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(messages), 0.01)
            # That of websockets is an asynchronous generator, which a cancellation exhausts.
            messages = aiter(ws)
            await raw.send_frame(TEXT, str(index))
            received.append(await asyncio.wait_for(anext(messages), 20))
        assert received == ["0", "1", "2"]


@only_ropeway
@both_roles
async def test_iterator_survives_a_timeout(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        messages = aiter(ws)
        for index in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(messages), 0.01)
            task = asyncio.create_task(anext(messages))  # type: ignore[arg-type]
            await settle()
            await raw.send_frame(TEXT, str(index))
            assert await task == str(index)


@both_roles
async def test_iteration_inside_an_asynchronous_generator(role: str) -> None:
    async with against_raw(role) as (ws, raw):

        async def numbers() -> AsyncIterator[int]:
            async for message in ws:
                yield int(message)

        async with contextlib.aclosing(numbers()) as iterator:
            await raw.send(raw.frame(TEXT, "1"), raw.frame(TEXT, "2"), raw.frame(TEXT, "3"))
            assert await anext(iterator) == 1
            assert await anext(iterator) == 2
        assert await ws.recv() == "3"


# anyio


@both_roles
@every_operation
async def test_anyio_deadlines(role: str, operation: Operation) -> None:
    anyio = require_package("anyio")
    async with waiting_for(operation, role) as (ws, raw):
        with anyio.move_on_after(0.01) as scope:
            await operation.start(ws)
        assert scope.cancelled_caught
        if operation.kind == "receive":
            with pytest.raises(TimeoutError), anyio.fail_after(0.01):
                await operation.start(ws)
        await intact(operation, ws, raw, started=True)


@both_roles
@every_operation
async def test_anyio_task_group(role: str, operation: Operation) -> None:
    anyio = require_package("anyio")
    async with waiting_for(operation, role) as (ws, raw):

        async def use() -> None:
            results.append(await operation.start(ws))

        results: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(use)
            await settle()
            group.cancel_scope.cancel()
        assert results == []
        await intact(operation, ws, raw, started=True)


@both_roles
async def test_anyio_starts_the_methods_themselves(role: str) -> None:
    anyio = require_package("anyio")
    async with against_raw(role) as (ws, raw):
        async with anyio.create_task_group() as group:
            group.start_soon(ws.send, "one")
            assert await raw.recv_payload(TEXT) == b"one"
            group.start_soon(ws.recv)
            await settle()
            await raw.send_frame(TEXT, "two")
            group.start_soon(ws.ping)
            await raw.recv_frame()
            group.start_soon(ws.close)
            await raw.finish_close()
        assert ws.close_code == 1000


@both_roles
async def test_anyio_shielded_scope(role: str) -> None:
    anyio = require_package("anyio")
    async with against_raw(role) as (ws, raw):

        async def use() -> None:
            with anyio.CancelScope(shield=True):
                received.append(await ws.recv())
            await ws.recv()

        received: list[str] = []
        async with anyio.create_task_group() as group:
            group.start_soon(use)
            await settle()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await settle()
                await raw.send_frame(TEXT, "shielded")
        assert received == ["shielded"]
        await raw.send_frame(TEXT, "kept")
        assert await ws.recv() == "kept"


# Both ends at once, in every way to wait


WAYS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda ws: ws.recv(),
    "task": lambda ws: asyncio.create_task(ws.recv()),
    "wait_for": lambda ws: asyncio.wait_for(ws.recv(), 20),
    "shield": lambda ws: asyncio.shield(ws.recv()),
    "gather": lambda ws: _first(asyncio.gather(ws.recv())),
    "anext": lambda ws: anext(aiter(ws)),
}


async def _first(awaitable: Any) -> Any:
    return (await awaitable)[0]


@both_roles
@pytest.mark.parametrize("way", WAYS)
async def test_conversation(role: str, way: str) -> None:
    async with pair() as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def answer() -> None:
            async for message in far:
                await far.send(message)

        answering = asyncio.create_task(answer())
        for index in range(100):
            await near.send(str(index))
            assert await WAYS[way](near) == str(index)
        await near.close()
        await answering
