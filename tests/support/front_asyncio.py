"""The front end for asyncio, on any of its loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from .deadlines import DEADLINE
from .fronts import DEFAULTS, Address, Front, Function, Work
from .loops import LOOPS, make_run
from .rawpeer import RawPeer
from .subject import State, broadcast, connect, unix_connect


class OnAsyncio(Front):
    """A loop on which the test and its connections run."""

    package = "asyncio"
    peer = RawPeer

    def __init__(self, name: str, debug: bool | None) -> None:
        self.name = name  # type: ignore[misc]
        self._debug = debug

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        make_run(LOOPS[self.name], self._debug)(self._bounded(main))

    async def _bounded(self, main: Coroutine[Any, Any, None]) -> None:
        async with asyncio.timeout(DEADLINE):
            await main

    def opening(
        self,
        uri: str | None,
        *,
        path: str | None = None,
        to: tuple[str, int] | None = None,
        **options: Any,
    ) -> Any:
        if path is not None:
            return unix_connect(path, uri, **{**DEFAULTS, **options})
        if to is not None:
            options["host"], options["port"] = to
        return connect(uri, **{**DEFAULTS, "proxy": None, **options})

    def reconnecting(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        connections: AsyncIterator[Any] = aiter(self.opening(uri, **options))
        return connections

    @contextlib.asynccontextmanager
    async def listening(
        self, function: str, handler: Any, path: str | None, **options: Any
    ) -> AsyncIterator[Address]:
        make = self.maker(function, path)
        options = {**DEFAULTS, **options}
        if path is not None:
            async with make(handler, path, **options):
                yield path
            return
        async with make(handler, "127.0.0.1", 0, **options) as server:
            yield next(iter(server.sockets)).getsockname()[1]

    def handler(self, function: Function) -> Function:
        return function

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
