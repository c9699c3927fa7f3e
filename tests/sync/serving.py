"""Servers and connections for the tests of threads; nothing may be left of them afterwards."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ropeway.protocol import Protocol, Side
from ropeway.sync.client import ClientConnection, connect
from ropeway.sync.connection import Connection
from ropeway.sync.server import Server, ServerConnection, serve

DEFAULTS: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 5}


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@contextlib.contextmanager
def serving(handler: Callable[[Any], None] = echo, **options: Any) -> Iterator[Server]:
    """Serve in a thread."""
    with serve(handler, "127.0.0.1", 0, **{**DEFAULTS, **options}) as server:
        with running(server.serve_forever):
            try:
                yield server
            finally:
                server.shutdown()


@contextlib.contextmanager
def running(function: Callable[..., Any], *arguments: Any) -> Iterator[Result]:
    """Run a function in a thread, which must have ended when the body has."""
    result = Result()
    thread = threading.Thread(target=result.run, args=(function, *arguments))
    thread.start()
    result.thread = thread
    try:
        yield result
    finally:
        thread.join(20)
        assert not thread.is_alive(), f"{function} is still running"


class Result:
    """What a function in a thread gives."""

    thread: threading.Thread

    def __init__(self) -> None:
        self._outcome: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def run(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._outcome.put((function(*arguments), None))
        except BaseException as exc:
            self._outcome.put((None, exc))

    def get(self) -> Any:
        """Wait for what the function returns, or raise what it raised."""
        value, exc = self._outcome.get(timeout=20)
        if exc is not None:
            raise exc
        return value


def uri(server: Server) -> str:
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"


def connecting(server: Server, **options: Any) -> ClientConnection:
    return connect(uri(server), **{"proxy": None, **DEFAULTS, **options})


@contextlib.contextmanager
def pair(
    *, server: dict[str, Any] | None = None, client: dict[str, Any] | None = None
) -> Iterator[tuple[ClientConnection, ServerConnection]]:
    """Yield both ends of a connection; the server's handler does nothing."""
    handed: queue.Queue[ServerConnection] = queue.Queue()
    over = threading.Event()

    def handler(connection: ServerConnection) -> None:
        handed.put(connection)
        over.wait()

    with serving(handler, **(server or {})) as listening:
        try:
            with connecting(listening, **(client or {})) as near:
                far = handed.get(timeout=10)
                try:
                    yield near, far
                finally:
                    over.set()
        finally:
            over.set()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    over = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        over.wait(0.001)
    raise AssertionError("it did not happen within ten seconds")


def small_buffers(sock: socket.socket) -> None:
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 4096)


@contextlib.contextmanager
def against_raw(**options: Any) -> Iterator[tuple[Connection, socket.socket]]:
    """Yield an open client's connection and the bare socket of its peer."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    protocol = Protocol(Side.CLIENT)
    connection = Connection(
        ours, protocol, **{"ping_interval": None, "close_timeout": 5, **options}
    )
    with theirs:
        try:
            yield connection, theirs
        finally:
            connection.abort()
            assert connection.wait_closed(10)
