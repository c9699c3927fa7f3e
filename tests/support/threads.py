"""Connections of ``ropeway.sync`` behind the methods that those of ``ropeway.asyncio`` have.

The contract tests are coroutines. Here each call of theirs runs in a thread of its own, so that one
text says what both drivers do. A call begins before the loop goes on: it is done, or waits for the
peer, when its coroutine first suspends.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Self

from ropeway.protocol import State
from ropeway.sync import server
from ropeway.sync.client import ClientConnection, reconnect
from ropeway.sync.server import ServerConnection, serve

PATIENCE = 5.0
"""Seconds until a call goes on though the thread of it seems to be neither done nor waiting."""


async def in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function in a thread of its own."""
    return await asyncio.wrap_future(begin(function, *arguments, **options))


def begin(
    function: Callable[..., Any], *arguments: Any, **options: Any
) -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    # From here on nothing takes it back: a thread can't be cancelled.
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            result = function(*arguments, **options)
        except StopIteration as exc:  # a future takes none
            future.set_exception(StopAsyncIteration(*exc.args))
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)

    threading.Thread(target=work, daemon=True).start()
    return future


class Threaded:
    """A connection whose methods are coroutine functions."""

    def __init__(self, connection: ClientConnection | ServerConnection) -> None:
        self.sync = connection
        self._calls: set[concurrent.futures.Future[Any]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sync, name)

    async def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        call = begin(function, *arguments, **options)
        self._calls.add(call)
        if not any(isinstance(one, Parts) for one in arguments):  # they need the loop
            self._wait_for(call)
        try:
            return await asyncio.wrap_future(call)
        finally:
            self._calls.discard(call)

    def _wait_for(self, call: concurrent.futures.Future[Any]) -> None:
        """Let the thread get to where it waits."""
        sync = self.sync
        ends = time.monotonic() + PATIENCE
        while not call.done() and time.monotonic() < ends:
            calls = sum(not other.done() for other in self._calls)
            if sync._leading + sync._followers + sync._writers >= calls:
                return
            time.sleep(0.0005)

    async def recv(self, decode: bool | None = None, *, timeout: float | None = None) -> Any:
        return await self._call(self.sync.recv, timeout, decode)

    async def recv_json(self, *, timeout: float | None = None) -> Any:
        return await self._call(self.sync.recv_json, timeout=timeout)

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Any]:
        iterator = self.sync.recv_streaming(decode)
        try:
            while True:
                try:
                    fragment = await self._call(next, iterator)
                except StopAsyncIteration:
                    return
                yield fragment
        finally:
            iterator.close()  # type: ignore[attr-defined]

    def __aiter__(self) -> AsyncIterator[Any]:
        return Messages(self)

    async def send(self, message: Any, **options: Any) -> None:
        if isinstance(message, AsyncIterable):
            message = Parts(message)
        await self._call(self.sync.send, message, **options)

    async def send_json(self, value: Any, **options: Any) -> None:
        await self._call(self.sync.send_json, value, **options)

    async def close(self, *arguments: Any, **options: Any) -> None:
        await self._call(self.sync.close, *arguments, **options)

    async def wait_closed(self) -> None:
        assert await self._call(self.sync.wait_closed)

    async def ping(self, data: Any = None, *, ack_on_close: bool = False) -> Awaitable[float]:
        pong = await self._call(self.sync.ping, data, ack_on_close=ack_on_close)
        return Latency(self.sync, pong)

    async def pong(self, *arguments: Any) -> None:
        await self._call(self.sync.pong, *arguments)

    async def __aenter__(self) -> Self:
        self.sync.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._call(self.sync.__exit__, *exc_info)

    @property
    def transport(self) -> Any:
        """What the tests need of a transport."""
        return self

    def get_write_buffer_size(self) -> int:
        return int(self.sync._queued - self.sync._written)

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.sync.socket, "ssl_object": self.sync.ssl_object}[name]


class Parts:
    """What an asynchronous iterable on the loop gives, for a thread."""

    def __init__(self, parts: AsyncIterable[Any]) -> None:
        self._parts = aiter(parts)
        self._loop = asyncio.get_running_loop()

    def __iter__(self) -> Parts:
        return self

    def __next__(self) -> Any:
        async def step() -> Any:
            return await anext(self._parts)

        try:
            return asyncio.run_coroutine_threadsafe(step(), self._loop).result()
        except StopAsyncIteration:
            raise StopIteration from None


class Latency:
    """What waits for a pong, once somebody waits for it."""

    def __init__(self, sync: Any, pong: Any) -> None:
        self._sync = sync
        self._pong = pong
        self.done = pong.is_set

    def __await__(self) -> Generator[Any, None, float]:
        return self._wait().__await__()

    async def _wait(self) -> float:
        if not await in_thread(self._pong.wait):
            raise self._sync.close_exc
        return math.nan if self._pong.latency is None else float(self._pong.latency)


class Messages:
    """Iterates over the messages of a connection."""

    def __init__(self, connection: Threaded) -> None:
        self._connection = connection
        self._iterator = iter(connection.sync)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        return await self._connection._call(next, self._iterator)


class connect:  # noqa: N801 - it stands for one that is called like a function
    """Stands for ``ropeway.asyncio.client.connect``."""

    def __init__(self, uri: str, **options: Any) -> None:
        options.pop("write_limit", None)
        self._reconnect = reconnect(uri, **options)
        self._connection: Threaded

    async def _connect(self) -> Threaded:
        return Threaded(await in_thread(self._reconnect.connect))

    def __await__(self) -> Generator[Any, None, Threaded]:
        return self._connect().__await__()

    async def __aenter__(self) -> Self:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(self, *exc_info: object) -> None:
        await self._connection.__aexit__(*exc_info)


class serving:  # noqa: N801 - it stands for ``serve``
    """Stands for ``ropeway.asyncio.server.serve``; handlers run on the loop."""

    def __init__(
        self, handler: Callable[[Any], Awaitable[None]], *arguments: Any, **options: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        options.pop("write_limit", None)
        self._handled: list[concurrent.futures.Future[None]] = []

        async def run(connection: ServerConnection) -> None:
            await handler(Threaded(connection))

        def call(connection: ServerConnection) -> None:
            future = asyncio.run_coroutine_threadsafe(run(connection), loop)
            future.result()

        self.server = serve(call, *arguments, **options)
        self.sockets = (self.server.socket,)

    async def __aenter__(self) -> Self:
        self._serving = begin(self.server.serve_forever)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await in_thread(self.server.shutdown)
        await asyncio.wrap_future(self._serving)

    @property
    def stats(self) -> Any:
        return self.server.stats

    @property
    def is_ready(self) -> bool:
        return self.server.is_ready

    async def drain(self, *arguments: Any, **options: Any) -> None:
        await in_thread(self.server.drain, *arguments, **options)

    async def hurry(self) -> None:
        await in_thread(self.server.shutdown)

    @property
    def connections(self) -> set[Any]:
        return {one for one in self.server.connections if one.state is State.OPEN}


def broadcast(connections: Any, message: Any, **options: Any) -> None:
    """Stands for ``ropeway.asyncio.server.broadcast``."""
    server.broadcast([connection.sync for connection in connections], message, **options)
