"""What the tests of the command line share: the command, and a server for it to talk to."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import ropeway
from ropeway.asyncio.server import ServerConnection, basic_auth, broadcast, serve
from ropeway.exceptions import ConnectionClosed
from ropeway.http11 import Request, Response

from ..support.tls import TLS

Ropeway = Callable[..., "subprocess.CompletedProcess[bytes]"]

START = """
import signal, sys
from ropeway.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
COMMAND = (sys.executable, "-W", "error", "-c", START)
"""``ropeway``, in which Ctrl-C works also where a shell started the tests in the background."""

EVIL = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\r\nnext"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The build that runs here, no proxy, and a home of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # COLUMNS and LINES, which runners of tests set, would stand for the terminal's size.
        if "proxy" not in name.lower()
        and name not in ("COLUMNS", "LINES", "NO_COLOR", "ROPEWAY_HISTORY")
    }
    return {
        **kept,
        "ROPEWAY_PURE": str(int(ropeway.build == "pure")),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TERM": "xterm",
    }


@pytest.fixture
def ropeway_command(environment: dict[str, str], tmp_path: Path) -> Ropeway:
    """Run ``ropeway`` in a pipe, to its end."""

    def run(
        *arguments: str, stdin: bytes = b"", check: int | None = 0
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            timeout=40,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, done
        return done

    return run


async def behave(connection: ServerConnection) -> None:
    """Do what the path of the request asks for."""
    assert connection.request is not None
    path, _, query = connection.request.path.partition("?")
    match path:
        case "/headers":
            await connection.send(json.dumps(list(connection.request.headers.raw_items())))
        case "/feed":
            for number in range(int(query)):
                await connection.send(f"message {number}")
        case "/evil":
            await connection.send(EVIL)
        case "/other":
            async for _ in connection:
                await connection.send("something else")
        case "/json":
            await connection.send('{"price": 1.50,\n "\\u001b": [null]}')
        case "/binary":
            await connection.send(b"\x00\x01\xff" + bytes(20))
        case "/close":
            code, _, reason = query.partition("&")
            await connection.close(int(code), reason)
        case "/drop":
            await connection.recv()
            connection.abort()
        case "/wait":
            await connection.wait_closed()
        case _:
            async for message in connection:
                await connection.send(message)


async def behave_quietly(connection: ServerConnection) -> None:
    try:
        await behave(connection)
    except ConnectionClosed:
        return


def answer(connection: ServerConnection, request: Request) -> Any:
    """Refuse some paths."""
    if request.path == "/no":
        return connection.respond(403, "not \x1b[31myou")
    if request.path == "/auth":
        return authenticate(connection, request)
    if request.path == "/unavailable":
        return connection.respond(503, "busy")
    return None


authenticate: Callable[[ServerConnection, Request], Any] = basic_auth(
    "here", credentials=("alice", "p:w/rd")
)


async def answer_in_time(connection: ServerConnection, request: Request) -> Response | None:
    response = answer(connection, request)
    result: Response | None = await response if asyncio.iscoroutine(response) else response
    return result


class Background:
    """A server on a loop in a thread of its own, so that a test may wait for a process."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._started = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0
        self.connections = 0

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        options = {
            "process_request": answer_in_time,
            "select_subprotocol": lambda _, offered: "wamp" if "wamp" in offered else None,
            **self._options,
        }
        path = options.pop("path", None)
        where = {"unix": True, "path": path} if path else {"host": "127.0.0.1", "port": 0}
        async with serve(self._handle, **where, **options) as self._server:
            if not path:
                self.port = self._server.sockets[0].getsockname()[1]
            self._started.set()
            await self._end.wait()

    def say(self, message: str) -> None:
        """Send a message to everybody."""
        self._loop.call_soon_threadsafe(lambda: broadcast(self._server.connections, message))

    def await_connections(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= count, timeout=20)

    async def _handle(self, connection: ServerConnection) -> None:
        with self._changed:
            self.connections += 1
            self._changed.notify_all()
        assert connection.request is not None
        if connection.request.path == "/drop-first" and self.connections == 1:
            await connection.recv()
            connection.abort()
        await behave_quietly(connection)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def server() -> Iterator[Background]:
    with Background() as background:
        yield background


@pytest.fixture
def uri(server: Background) -> str:
    """The server's URI, without a path."""
    return f"ws://127.0.0.1:{server.port}"


@pytest.fixture
def tls_server(tls: TLS) -> Iterator[Background]:
    with Background(ssl=tls.server_context) as background:
        yield background
