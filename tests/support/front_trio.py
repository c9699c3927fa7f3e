"""The front end for trio."""

from __future__ import annotations

import contextlib
import functools
import math
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
import trio

from ropeway.trio.client import connect, unix_connect
from ropeway.trio.server import Server, broadcast

from .deadlines import DEADLINE
from .fronts import DEFAULTS, GRACE, Address, Front, Function, Work, without_write_limit
from .rawpeer import RawPeer


class Calls:
    """How a raw peer waits in trio."""

    @staticmethod
    def prepare(sock: socket.socket) -> None:
        sock.setblocking(False)

    @staticmethod
    async def connect(sock: socket.socket, port: int) -> None:
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", port))
        await trio.lowlevel.wait_writable(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    @staticmethod
    async def accept(listener: socket.socket) -> socket.socket:
        await trio.lowlevel.wait_readable(listener)
        return listener.accept()[0]

    @staticmethod
    async def send_all(sock: socket.socket, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(sock)

    @staticmethod
    async def receive(sock: socket.socket, size: int) -> bytes:
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                return sock.recv(size)
            except BlockingIOError:  # it was somebody else's
                continue


class Peer(RawPeer):
    calls = Calls


class Side:
    """A connection, with the one method that is named otherwise in trio."""

    def __init__(self, connection: Any) -> None:
        self.trio = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trio, name)

    def __aiter__(self) -> Any:
        return aiter(self.trio)

    async def close(self, *arguments: Any) -> None:
        await self.trio.aclose(*arguments)


class Turns:
    """Connections, one after the other, as a test has them."""

    def __init__(self, connections: Any) -> None:
        self._connections = connections

    def __aiter__(self) -> Turns:
        return self

    async def __anext__(self) -> Side:
        return Side(await anext(self._connections))


class OnTrio(Front):
    """A run of trio's, with a nursery for what the test starts."""

    name = "trio"
    package = "trio"
    peer = Peer
    _nursery: trio.Nursery

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        self._works: list[_Scoped] = []
        trio.run(self._main, main)
        for work in self._works:
            if work.failure is not None and not work.asked:
                raise work.failure

    async def _main(self, main: Coroutine[Any, Any, None]) -> None:
        with trio.fail_after(DEADLINE):
            async with trio.open_nursery() as self._nursery:
                await main
                with trio.move_on_after(GRACE):
                    while self._nursery.child_tasks:
                        await trio.sleep(0.001)
                left = [repr(task) for task in self._nursery.child_tasks]
                self._nursery.cancel_scope.cancel()
        if left:
            pytest.fail("tasks are still running:\n" + "\n".join(left), pytrace=False)

    @contextlib.asynccontextmanager
    async def opening(
        self,
        uri: str | None,
        *,
        path: str | None = None,
        to: tuple[str, int] | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        options = without_write_limit({**DEFAULTS, **options})
        if to is not None:
            options["host"], options["port"] = to
        if "sock" in options:
            sock = trio.socket.from_stdlib_socket(options.pop("sock"))
            options["stream"] = trio.SocketStream(sock)
        if path is not None:
            connecter = unix_connect(path, uri, **options)
        else:
            assert uri is not None
            connecter = connect(uri, **{"proxy": None, **options})
        connection = await connecter.connect(self._nursery)
        try:
            yield Side(connection)
        finally:
            await connection.aclose()

    def reconnecting(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        return Turns(aiter(connect(uri, **{**DEFAULTS, "proxy": None, **options})))

    @contextlib.asynccontextmanager
    async def listening(
        self, function: str, handler: Any, path: str | None, **options: Any
    ) -> AsyncIterator[Address]:
        options = without_write_limit({**DEFAULTS, **options})
        make = self.maker(function, path)
        if path is not None:
            start = functools.partial(make, handler, path, **options)
        else:
            start = functools.partial(make, handler, 0, host="127.0.0.1", **options)
        server: Server = await self._nursery.start(start)
        try:
            yield path or server.listeners[0].socket.getsockname()[1]
        finally:
            with trio.CancelScope(shield=True):
                await server.aclose()

    def handler(self, function: Function) -> Function:
        async def handle(connection: Any, **arguments: Any) -> None:
            await function(Side(connection), **arguments)

        return handle

    async def broadcast(self, connections: list[Any], message: Any) -> None:
        await broadcast([ws.trio for ws in connections], message)

    def abort(self, ws: Any) -> None:
        ws.abort()

    def kernel(self, ws: Any) -> Any:
        stream = ws.stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return stream.socket

    def buffered(self, ws: Any) -> int:
        return int(ws._queued)

    async def recv_within(self, ws: Any, seconds: float) -> Any:
        with trio.move_on_after(seconds):
            return await ws.recv()
        raise TimeoutError

    async def wait_closed_within(self, ws: Any, seconds: float) -> None:
        with trio.move_on_after(seconds):
            return await ws.wait_closed()
        raise TimeoutError

    async def answered(self, waiter: Any) -> None:
        await waiter.wait()

    def start(self, function: Function, *arguments: Any) -> Work:
        work = _Scoped()
        self._works.append(work)
        self._nursery.start_soon(work.run, function, arguments)
        return work

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def make_event(self) -> Any:
        return trio.Event()

    def make_queue(self) -> Any:
        return _Queue()


class _Scoped(Work):
    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._result: Any = None
        self.failure: Exception | None = None
        self.asked = False
        """Whether somebody waited for the result."""

    async def run(self, function: Function, arguments: tuple[Any, ...]) -> None:
        returned = False
        try:
            with self._scope:
                self._result = await function(*arguments)
                returned = True
        except Exception as exc:
            self.failure = exc
        else:
            self.cancelled = not returned
        finally:
            self._over.set()

    def done(self) -> bool:
        return self._over.is_set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def ended(self) -> None:
        await self._over.wait()

    async def result(self) -> Any:
        await self._over.wait()
        self.asked = True
        if self.failure is not None:
            raise self.failure
        assert not self.cancelled
        return self._result


class _Queue:
    def __init__(self) -> None:
        self._give, self._take = trio.open_memory_channel[Any](math.inf)

    def put(self, item: Any) -> None:
        self._give.send_nowait(item)

    async def get(self) -> Any:
        return await self._take.receive()
