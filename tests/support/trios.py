"""Connections of ``ropeway.trio`` behind the methods that those of ``ropeway.asyncio`` have.

The contract tests are coroutines of asyncio. Here each call of theirs runs in a task of trio's, in
a thread where trio runs, so that one text says what both drivers do. A call begins before the loop
goes on: it is done, or waits for the peer, when its coroutine first suspends. To cancel it cancels
the task.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import math
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterator
from inspect import isawaitable
from typing import Any, Self

import pytest
import trio
import trio.testing

from ropeway.trio import client, server
from ropeway.trio.client import ClientConnection
from ropeway.trio.server import ServerConnection, serve

PATIENCE = 60.0
"""Seconds in which trio's thread has to begin, to come to rest, and to end."""


class Portal:
    """A thread where trio runs, for the time of a test."""

    nursery: trio.Nursery

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)
        self._thread.start()
        assert self._begun.wait(PATIENCE)

    async def _main(self) -> None:
        self.token = trio.lowlevel.current_trio_token()
        self._over = trio.Event()
        async with trio.open_nursery() as self.nursery:
            self._begun.set()
            await self._over.wait()
            # Tasks of connections end with these, a moment after whoever waited for that.
            await trio.testing.wait_all_tasks_blocked()
            self.left = [repr(task) for task in self.nursery.child_tasks]
            self.nursery.cancel_scope.cancel()

    def close(self) -> None:
        self.token.run_sync_soon(self._over.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.left:
            pytest.fail("tasks are still running:\n" + "\n".join(self.left), pytrace=False)

    def begin(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
        """Call a coroutine function of trio's, in a task of its own."""
        call = Call(self)
        self.token.run_sync_soon(
            lambda: self.nursery.start_soon(call.run, function, arguments, options)
        )
        return call

    async def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.begin(function, *arguments, **options).result()

    def settle(self) -> None:
        """Wait until nothing more happens in trio's thread by itself."""
        settled = threading.Event()

        async def wait() -> None:
            await trio.testing.wait_all_tasks_blocked()
            settled.set()

        self.token.run_sync_soon(lambda: self.nursery.start_soon(wait))
        assert settled.wait(PATIENCE)


class Call:
    """A call that runs in trio's thread."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()
        self._scope = trio.CancelScope()
        self._abandoned = False

    async def run(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        try:
            with self._scope:
                result = await function(*arguments, **options)
        except BaseException as exc:
            self._future.set_exception(exc)
            if not isinstance(exc, Exception):
                raise
            return
        # Nobody waits any more for a call that was cancelled.
        assert self._abandoned or not self._scope.cancelled_caught
        self._future.set_result(None if self._scope.cancelled_caught else result)

    async def result(self) -> Any:
        try:
            return await asyncio.shield(asyncio.wrap_future(self._future))
        except asyncio.CancelledError:
            self._abandoned = True
            self._portal.token.run_sync_soon(self._scope.cancel)
            self._portal.settle()
            if self._future.done() and not self._scope.cancelled_caught:
                # The cancellation came too late. What the call has got would be lost with it.
                return self._future.result()
            raise


_portals: list[Portal] = []


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Run trio in a thread."""
    _portals.append(Portal())
    try:
        yield
    finally:
        _portals.pop().close()


def portal() -> Portal:
    """Give the thread of the test that runs."""
    return _portals[-1]


class Bridged:
    """A connection whose methods are coroutine functions of asyncio's."""

    def __init__(self, connection: ClientConnection | ServerConnection) -> None:
        self.trio = connection
        self._portal = portal()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trio, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("trio", "_portal"):
            super().__setattr__(name, value)
        else:
            setattr(self.trio, name, value)

    async def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        call = self._portal.begin(function, *arguments, **options)
        self._portal.settle()
        return await call.result()

    async def recv(self, decode: bool | None = None, *, timeout: float | None = None) -> Any:
        async with asyncio.timeout(timeout):
            return await self._call(self.trio.recv, decode)

    async def recv_json(self, *, timeout: float | None = None) -> Any:
        async with asyncio.timeout(timeout):
            return await self._call(self.trio.recv_json)

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Any]:
        iterator = self.trio.recv_streaming(decode)
        try:
            while True:
                try:
                    fragment = await self._call(anext, iterator)
                except StopAsyncIteration:
                    return
                yield fragment
        finally:
            await self._call(iterator.aclose)  # type: ignore[attr-defined]

    def __aiter__(self) -> AsyncIterator[Any]:
        return Messages(self)

    async def send(self, message: Any, **options: Any) -> None:
        if isinstance(message, AsyncIterable):
            message = Parts(message)
        await self._call(self.trio.send, message, **options)

    async def send_json(self, value: Any, **options: Any) -> None:
        await self._call(self.trio.send_json, value, **options)

    async def close(self, *arguments: Any, **options: Any) -> None:
        await self._call(self.trio.aclose, *arguments, **options)

    async def wait_closed(self) -> None:
        await self._call(self.trio.wait_closed)

    async def ping(self, data: Any = None, *, ack_on_close: bool = False) -> Awaitable[float]:
        pong = await self._call(self.trio.ping, data, ack_on_close=ack_on_close)
        return Latency(self, pong)

    async def pong(self, *arguments: Any) -> None:
        await self._call(self.trio.pong, *arguments)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._call(self.trio.__aexit__, *exc_info)

    def abort(self) -> None:
        self._portal.token.run_sync_soon(self.trio.abort)
        self._portal.settle()

    @property
    def transport(self) -> Any:
        """What the tests need of a transport."""
        return self

    def get_write_buffer_size(self) -> int:
        return self.trio._queued

    def get_extra_info(self, name: str) -> Any:
        stream: Any = self.trio.stream
        if name == "ssl_object":
            return stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return stream.socket


class Parts:
    """What an asynchronous iterable on the loop gives, for a task of trio's."""

    def __init__(self, parts: AsyncIterable[Any]) -> None:
        self._parts = aiter(parts)
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> Any:
        async def step() -> Any:
            return await anext(self._parts)

        return await on_loop(self._loop, step())


class Latency:
    """What waits for a pong, once somebody waits for it."""

    def __init__(self, connection: Bridged, pong: trio.Event) -> None:
        self._connection = connection
        self._pong = pong
        self.done = pong.is_set

    def __await__(self) -> Generator[Any, None, float]:
        return self._wait().__await__()

    async def _wait(self) -> float:
        connection, pong = self._connection, self._pong

        async def wait() -> None:
            async with trio.open_nursery() as nursery:

                async def wait_closed() -> None:
                    await connection.trio.wait_closed()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(wait_closed)
                await pong.wait()
                nursery.cancel_scope.cancel()

        await connection._call(wait)
        if not pong.is_set():
            raise connection.close_exc
        return float(connection.latency) or math.nan


class Messages:
    """Iterates over the messages of a connection."""

    def __init__(self, connection: Bridged) -> None:
        self._connection = connection
        self._iterator = aiter(connection.trio)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        return await self._connection._call(anext, self._iterator)


async def on_loop(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[Any]) -> Any:
    """Await in trio what belongs to asyncio's loop."""

    async def work() -> Any:
        return await awaitable

    future = asyncio.run_coroutine_threadsafe(work(), loop)
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()
    future.add_done_callback(lambda _: token.run_sync_soon(done.set))
    try:
        await done.wait()
    except trio.Cancelled:
        future.cancel()
        raise
    return future.result()


class connect:  # noqa: N801 - it stands for one that is called like a function
    """Stands for ``ropeway.asyncio.client.connect``."""

    def __init__(self, uri: str, **options: Any) -> None:
        options.pop("write_limit", None)
        self._connect = client.connect(uri, **options)
        self._connection: Bridged

    async def _open(self) -> Bridged:
        return Bridged(await portal().call(self._connect.connect, portal().nursery))

    def __await__(self) -> Generator[Any, None, Bridged]:
        return self._open().__await__()

    async def __aenter__(self) -> Bridged:
        self._connection = await self._open()
        return self._connection

    async def __aexit__(self, *exc_info: object) -> None:
        await self._connection.__aexit__(*exc_info)


class serving:  # noqa: N801 - it stands for ``serve``
    """Stands for ``ropeway.asyncio.server.serve``; handlers and callbacks run on the loop."""

    server: server.Server

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[None]],
        host: str,
        port: int,
        **options: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        options.pop("write_limit", None)
        for name in ("process_request", "process_response"):
            if options.get(name) is not None:
                options[name] = self._on_loop(options[name])
        self._start = lambda: portal().nursery.start(
            lambda *, task_status: serve(
                self._on_loop(handler), port, host=host, task_status=task_status, **options
            )
        )

    def _on_loop(self, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call(connection: ServerConnection, *arguments: Any) -> Any:
            async def work() -> Any:
                result = function(Bridged(connection), *arguments)
                return await result if isawaitable(result) else result

            return await on_loop(self._loop, work())

        return call

    async def __aenter__(self) -> Self:
        self.server = await portal().call(self._start)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await portal().call(self.server.aclose)

    @property
    def sockets(self) -> list[Any]:
        return [listener.socket for listener in self.server.listeners]

    @property
    def stats(self) -> Any:
        return self.server.stats

    @property
    def is_ready(self) -> bool:
        return self.server.is_ready

    async def drain(self, *arguments: Any, **options: Any) -> None:
        await portal().call(self.server.drain, *arguments, **options)

    async def hurry(self) -> None:
        await portal().call(self.server.aclose)

    @property
    def connections(self) -> set[Any]:
        return self.server.connections  # type: ignore[return-value]


def broadcast(connections: Any, message: Any, **options: Any) -> None:
    """Stands for ``ropeway.asyncio.server.broadcast``."""
    targets = [connection.trio for connection in connections]
    trio.from_thread.run(
        functools.partial(server.broadcast, targets, message, **options),
        trio_token=portal().token,
    )
