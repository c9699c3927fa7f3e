"""The front end for asyncio, on any of its loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from .deadlines import DEADLINE
from .fronts import DEFAULTS, Address, Front, Function, Work, uri_of
from .loops import LOOPS, make_run
from .rawpeer import RawPeer
from .subject import State, broadcast, connect, serve, unix_connect, unix_serve


class OnAsyncio(Front):
    """A loop on which the test and its connections run."""

    peer = RawPeer

    def __init__(self, name: str, debug: bool | None) -> None:
        self.name = name  # type: ignore[misc]
        self._debug = debug

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        make_run(LOOPS[self.name], self._debug)(self._bounded(main))

    async def _bounded(self, main: Coroutine[Any, Any, None]) -> None:
        async with asyncio.timeout(DEADLINE):
            await main

    def connecting(self, address: Address, **options: Any) -> Any:
        options = {**DEFAULTS, **options}
        if isinstance(address, str):
            return unix_connect(address, **options)
        return connect(uri_of(address, options), **{"proxy": None, **options})

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Function, *, path: str | None = None, **options: Any
    ) -> AsyncIterator[Address]:
        options = {**DEFAULTS, **options}
        if path is not None:
            async with unix_serve(handler, path, **options):
                yield path
            return
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            yield next(iter(server.sockets)).getsockname()[1]

    async def broadcast(self, connections: list[Any], message: Any) -> None:
        broadcast(connections, message)

    def abort(self, ws: Any) -> None:
        # asyncio's transport can't be aborted any more once its close() has flushed what it held.
        if ws.state is not State.CLOSED:
            ws.transport.abort()

    def kernel(self, ws: Any) -> Any:
        return ws.transport.get_extra_info("socket")

    def buffered(self, ws: Any) -> int:
        return int(ws.transport.get_write_buffer_size())

    async def recv_within(self, ws: Any, seconds: float) -> Any:
        async with asyncio.timeout(seconds):
            return await ws.recv()

    async def wait_closed_within(self, ws: Any, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await ws.wait_closed()

    def start(self, function: Function, *arguments: Any) -> Work:
        return _Task(asyncio.ensure_future(function(*arguments)))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def make_event(self) -> Any:
        return asyncio.Event()

    def make_queue(self) -> Any:
        return _Queue()


class _Task(Work):
    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    @property
    def cancelled(self) -> bool:  # type: ignore[override]
        return self._task.cancelled()

    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()

    async def ended(self) -> None:
        await asyncio.wait([self._task])

    async def result(self) -> Any:
        return await self._task


class _Queue(asyncio.Queue[Any]):
    def put(self, item: Any) -> None:  # type: ignore[override]
        self.put_nowait(item)
