"""The front ends, for tests that run where the connection does.

A test that takes ``front`` is one text for all of them: a coroutine function that waits only in
methods of the connection, of its raw peer and of the front. On asyncio and on trio it is a task, as
is what it starts. With threads each of these methods blocks, so that no coroutine is ever
suspended, and what the test starts is a thread. `threads` and `trios` beside this file run the
connection elsewhere, behind a test on asyncio's loop; what happens at once they put in a row.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any, ClassVar

from .rawpeer import RawPeer
from .subject import NAME

GRACE = 5.0
"""Seconds in which what a test has started may end that the test did not wait for."""

DEFAULTS: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 5}
"""A test that is about compression, keepalive or the close timeout sets its own."""

Function = Callable[..., Awaitable[Any]]

Address = int | str
"""A port of 127.0.0.1, or the path of a Unix socket."""


class Work(abc.ABC):
    """What runs beside the test.

    Attributes:
        cancelled: whether it was cancelled, and ended by that.
    """

    cancelled: bool = False

    @abc.abstractmethod
    def done(self) -> bool:
        """Tell whether it is over."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancel it: its task, or its cancel scope."""

    @abc.abstractmethod
    async def ended(self) -> None:
        """Wait until it is over, however it ends."""

    @abc.abstractmethod
    async def result(self) -> Any:
        """Wait for what it returns, or raise what it raised."""


class Front(abc.ABC):
    """A front end.

    Attributes:
        name: the parameter of the tests.
        package: where its connections are, in the library under test.
        peer: a raw peer that waits as the test does.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    peer: type[RawPeer]

    def module(self, name: str) -> ModuleType:
        """Import a module of its package: "client", "server" or "router"."""
        return importlib.import_module(f"{NAME}.{self.package}.{name}")

    @abc.abstractmethod
    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a test to its end; nothing may be left of it."""

    # Connections

    @abc.abstractmethod
    def opening(
        self,
        uri: str | None,
        *,
        path: str | None = None,
        to: tuple[str, int] | None = None,
        **options: Any,
    ) -> contextlib.AbstractAsyncContextManager[Any]:
        """Connect to a URI; close the connection at the end.

        ``path`` is that of a Unix socket, ``to`` leads elsewhere than the URI says.
        """

    def connecting(
        self, address: Address, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Any]:
        """Connect to a server; close the connection at the end."""
        if isinstance(address, str):
            return self.opening(None, path=address, **options)
        return self.opening(uri_of(address, options), **options)

    @abc.abstractmethod
    def reconnecting(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        """Connect again and again, for each turn of a loop."""

    def serving(
        self, handler: Function, *, path: str | None = None, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Address]:
        """Serve on 127.0.0.1 or at a path, and yield the address."""
        return self.listening("serve", self.handler(handler), path, **options)

    def routing(
        self, url_map: Any, *, path: str | None = None, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Address]:
        """Serve the handlers of a map of URLs, each made by `handler`."""
        return self.listening("route", url_map, path, **options)

    @abc.abstractmethod
    def listening(
        self, function: str, handler: Any, path: str | None, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Address]:
        """Serve with the function of that name, or with that for Unix sockets."""

    def maker(self, function: str, path: str | None) -> Callable[..., Any]:
        """Give what makes a server."""
        module = self.module({"serve": "server", "route": "router"}[function])
        made: Callable[..., Any] = getattr(module, function if path is None else f"unix_{function}")
        return made

    @abc.abstractmethod
    def handler(self, function: Function) -> Callable[..., Any]:
        """Make a handler of a coroutine function, for what takes one of this front end's."""

    def hook(self, function: Function) -> Callable[..., Any]:
        """Make a hook of a server, which gets the connection as it is."""
        return function

    @abc.abstractmethod
    async def broadcast(self, connections: list[Any], message: Any) -> None:
        """Send to all of them without waiting."""

    @abc.abstractmethod
    def abort(self, ws: Any) -> None:
        """Drop a connection."""

    @abc.abstractmethod
    def kernel(self, ws: Any) -> Any:
        """Give the socket of a connection, for its options."""

    @abc.abstractmethod
    def buffered(self, ws: Any) -> int:
        """Count the bytes that wait for room in the kernel."""

    # Giving up

    @abc.abstractmethod
    async def recv_within(self, ws: Any, seconds: float) -> Any:
        """Receive; give up with TimeoutError, as a program on this front end would."""

    @abc.abstractmethod
    async def wait_closed_within(self, ws: Any, seconds: float) -> None:
        """Wait for the end; give up with TimeoutError."""

    async def answered(self, waiter: Any) -> None:
        """Wait for the pong of a ping."""
        await waiter

    # At the same time

    @abc.abstractmethod
    def start(self, function: Function, *arguments: Any) -> Work:
        """Begin to run a coroutine function beside the test."""

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    @abc.abstractmethod
    def make_event(self) -> Any:
        """Make an event with a method ``set()`` and a coroutine method ``wait()``."""

    @abc.abstractmethod
    def make_queue(self) -> Any:
        """Make a queue with a method ``put()`` and a coroutine method ``get()``."""

    async def turns(self, count: int) -> None:
        """Let others run, so many times."""
        for _ in range(count):
            await self.sleep(0)

    async def all_of(self, *functions: Callable[[], Awaitable[Any]]) -> list[Any]:
        """Run these side by side, and give what they return."""
        works = [self.start(function) for function in functions]
        return [await work.result() for work in works]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what nothing announces."""
        for _ in range(10_000):
            if condition():
                return
            await self.sleep(0.001)
        raise AssertionError("it did not happen within ten seconds")


def front_of(name: str, debug: bool | None) -> Front:
    """Make the front of that name; ``debug`` is that of asyncio's loops."""
    if name == "threads":
        from .front_threads import Threads

        return Threads()
    if name == "trio":
        from .front_trio import OnTrio

        return OnTrio()
    from .front_asyncio import OnAsyncio

    return OnAsyncio(name, debug)


# Connections for the tests


class Handed:
    """A server's handler that hands its connection to the test, and lives as long as that says."""

    def __init__(self, front: Front) -> None:
        self.connections = front.make_queue()
        self.over = front.make_event()

    async def __call__(self, ws: Any) -> None:
        self.connections.put(ws)
        await self.over.wait()


def uri_of(address: int, options: dict[str, Any]) -> str:
    """Make the URI for the address; the certificates of the tests are for localhost."""
    return f"wss://localhost:{address}/" if "ssl" in options else f"ws://127.0.0.1:{address}/"


def without_write_limit(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is an option of asyncio's alone; elsewhere the limit is its default."""
    return {name: value for name, value in options.items() if name != "write_limit"}


@contextlib.asynccontextmanager
async def against_raw(
    front: Front, role: str, *, receive_buffer: int = 0, **options: Any
) -> AsyncIterator[tuple[Any, RawPeer]]:
    """Yield the connection under test, which plays ``role``, and its raw peer.

    ``receive_buffer`` limits what the peer's kernel takes in while it does not read.
    """
    if role == "client":
        with listening(front, receive_buffer) as listener:
            port = listener.getsockname()[1]
            accepting = front.start(front.peer.accept, listener)
            async with front.connecting(port, **options) as ws:
                raw = await accepting.result()
                with discarding(front, ws, raw):
                    yield ws, raw
        return
    handed = Handed(front)
    async with front.serving(handed, **options) as port:
        assert isinstance(port, int)
        raw = await front.peer.open(port, receive_buffer=receive_buffer)
        ws = await handed.connections.get()
        try:
            with discarding(front, ws, raw):
                yield ws, raw
        finally:
            handed.over.set()


@contextlib.contextmanager
def listening(front: Front, receive_buffer: int) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front.peer.calls.prepare(listener)
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        yield listener


@contextlib.contextmanager
def discarding(front: Front, ws: Any, raw: RawPeer) -> Any:
    try:
        yield
    finally:
        raw.close()
        front.abort(ws)


@contextlib.asynccontextmanager
async def pair(
    front: Front,
    *,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    path: str | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a client and a server connection, both under test, that talk to each other."""
    handed = Handed(front)
    serving = front.serving(handed, path=path, **{**options, **(server or {})})
    async with serving as address:
        try:
            async with front.connecting(address, **{**options, **(client or {})}) as near:
                far = await handed.connections.get()
                try:
                    yield near, far
                finally:
                    handed.over.set()
        finally:
            handed.over.set()


@contextlib.asynccontextmanager
async def several(front: Front, role: str, count: int, **options: Any) -> AsyncIterator[Any]:
    """Yield so many pairs of a connection under test and its raw peer."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(against_raw(front, role, **options))
            for _ in range(count)
        ]


async def stands_still(front: Front, count: Callable[[], int]) -> int:
    """Wait until a count has not changed for a while, and return it."""
    last, same = count(), 0
    while same < 20:
        await front.sleep(0.005)
        now = count()
        same = same + 1 if now == last else 0
        last = now
    return last
