"""The front end for threads: what a test awaits blocks its thread."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

from ropeway.sync.client import connect, reconnect, unix_connect
from ropeway.sync.server import broadcast

from .fronts import DEFAULTS, GRACE, Address, Front, Function, Work, without_write_limit
from .rawpeer import RawPeer

PATIENCE = 60.0


def drive(awaitable: Awaitable[Any]) -> Any:
    """Run a coroutine that never waits for anything but in calls that block."""
    try:
        awaitable.__await__().__next__()
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a coroutine was suspended that should have blocked")


class Calls:
    """How a raw peer waits in a thread."""

    @staticmethod
    def prepare(sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)

    @staticmethod
    async def connect(sock: socket.socket, port: int) -> None:
        sock.connect(("127.0.0.1", port))

    @staticmethod
    async def accept(listener: socket.socket) -> socket.socket:
        return listener.accept()[0]

    @staticmethod
    async def send_all(sock: socket.socket, data: bytes) -> None:
        sock.sendall(data)

    @staticmethod
    async def receive(sock: socket.socket, size: int) -> bytes:
        return sock.recv(size)


class Peer(RawPeer):
    calls = Calls


class Side:
    """A connection whose blocking methods are coroutine functions."""

    _BLOCKING = frozenset({"close", "ping", "pong", "recv", "recv_json", "send", "send_json"})

    def __init__(self, connection: Any) -> None:
        self.sync = connection

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.sync, name)
        return as_coroutine(attribute) if name in self._BLOCKING else attribute

    async def wait_closed(self) -> None:
        assert self.sync.wait_closed()

    def __aiter__(self) -> Any:
        return Turns(iter(self.sync))


def as_coroutine(function: Callable[..., Any]) -> Function:
    async def call(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return call


class Turns:
    """What an iterator gives, for ``async for``."""

    def __init__(
        self, iterator: Iterator[Any], wrap: Callable[[Any], Any] = lambda item: item
    ) -> None:
        self._iterator = iterator
        self._wrap = wrap

    def __aiter__(self) -> Turns:
        return self

    async def __anext__(self) -> Any:
        try:
            return self._wrap(next(self._iterator))
        except StopIteration:
            raise StopAsyncIteration from None


class Threads(Front):
    """The thread of the test, and those that it starts."""

    name = "threads"
    package = "sync"
    peer = Peer

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        self._works: list[_Thread] = []
        drive(main)
        for work in self._works:
            work.check()

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
            options["address"] = to
        if path is not None:
            connected = unix_connect(path, uri, **options)
        else:
            assert uri is not None
            connected = connect(uri, **{"proxy": None, **options})
        with connected as connection:
            yield Side(connection)

    def reconnecting(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        options = {**DEFAULTS, "proxy": None, **options}
        return Turns(iter(reconnect(uri, **options)), Side)

    @contextlib.asynccontextmanager
    async def listening(
        self, function: str, handler: Any, path: str | None, **options: Any
    ) -> AsyncIterator[Address]:
        options = without_write_limit({**DEFAULTS, **options})
        where = ("127.0.0.1", 0) if path is None else (path,)
        with self.maker(function, path)(handler, *where, **options) as server:
            forever = self.start(as_coroutine(server.serve_forever))
            try:
                yield path or server.socket.getsockname()[1]
            finally:
                server.shutdown()
                await forever.result()

    def handler(self, function: Function) -> Callable[..., None]:
        def handle(connection: Any, **arguments: Any) -> None:
            drive(function(Side(connection), **arguments))

        return handle

    def hook(self, function: Function) -> Callable[..., Any]:
        return lambda *arguments: drive(function(*arguments))

    async def broadcast(self, connections: list[Any], message: Any) -> None:
        broadcast([ws.sync for ws in connections], message)

    def abort(self, ws: Any) -> None:
        ws.abort()

    def kernel(self, ws: Any) -> Any:
        return ws.socket

    def buffered(self, ws: Any) -> int:
        return int(ws._queued - ws._written)

    async def recv_within(self, ws: Any, seconds: float) -> Any:
        return ws.sync.recv(seconds)

    async def wait_closed_within(self, ws: Any, seconds: float) -> None:
        if not ws.sync.wait_closed(seconds):
            raise TimeoutError

    async def answered(self, waiter: Any) -> None:
        waiter.wait()

    def start(self, function: Function, *arguments: Any) -> Work:
        work = _Thread(function, arguments)
        self._works.append(work)
        return work

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 (this coroutine is to block)

    def make_event(self) -> Any:
        return _Event()

    def make_queue(self) -> Any:
        return _Queue()


class _Thread(Work):
    def __init__(self, function: Function, arguments: tuple[Any, ...]) -> None:
        self._result: Any = None
        self._failure: BaseException | None = None
        self._asked = False
        self._thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self._thread.start()

    def _run(self, function: Function, arguments: tuple[Any, ...]) -> None:
        try:
            self._result = drive(function(*arguments))
        except BaseException as exc:
            self._failure = exc

    def check(self) -> None:
        """Fail if it is still running, or ended by an exception that nobody saw."""
        self._thread.join(GRACE)
        assert not self._thread.is_alive(), "a thread is still running"
        if self._failure is not None and not self._asked:
            raise self._failure

    def done(self) -> bool:
        return not self._thread.is_alive()

    def cancel(self) -> None:
        raise NotImplementedError("a thread can't be cancelled")

    async def ended(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    async def result(self) -> Any:
        await self.ended()
        self._asked = True
        if self._failure is not None:
            raise self._failure
        return self._result


class _Event(threading.Event):
    async def wait(self) -> None:  # type: ignore[override]
        assert super().wait(PATIENCE)


class _Queue(queue.Queue[Any]):
    def put(self, item: Any) -> None:  # type: ignore[override]
        super().put(item)

    async def get(self) -> Any:  # type: ignore[override]
        return super().get(timeout=PATIENCE)
