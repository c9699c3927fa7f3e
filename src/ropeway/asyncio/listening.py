"""Accepting connections on stream sockets, without a task and two turns of the loop for each."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from .per_loop import per_loop
from .transport import connect
from .turns import TURN

# Out of descriptors or memory: what is there is kept going, and more is accepted later.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Less than a second: who can be served again should not wait for long.
PAUSE_WHEN_EXHAUSTED = 0.25
TOLD_EVERY = 10.0

DEFAULT_BACKLOG = 100


class Listener:
    """Accepts connections on the sockets of a server of the loop, which made them but never serves.

    Invariants: the loop watches ``_accepting`` exactly while serving, except for a pause after
    descriptors ran out.
    """

    def __init__(
        self,
        server: asyncio.Server,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        backlog: int = DEFAULT_BACKLOG,
    ) -> None:
        """Prepare to accept.

        Args:
            server: owner of the sockets, made with ``start_serving=False``.
            make_protocol: makes the protocol of each connection.
            backlog: connections that the kernel holds for us.

        """
        self._server = server
        self._loop = server.get_loop()
        self._make_protocol = make_protocol
        self._backlog = backlog
        self._accepting: list[socket.socket] = []
        self._kinds: dict[socket.socket, tuple[int, int, int]] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self._told_at = -TOLD_EVERY

    @property
    def sockets(self) -> Sequence[Any]:
        """Sockets that are listened on."""
        return self._server.sockets

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return bool(self._accepting)

    async def start_serving(self) -> None:
        """Begin to accept connections; calling it again does nothing."""
        if self._accepting:
            return
        for sock in self._server.sockets:
            # The loop guards its own descriptor; a copy of it is ours.
            accepting = socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
            accepting.setblocking(False)
            accepting.listen(self._backlog)
            self._accepting.append(accepting)
            self._kinds[accepting] = (int(sock.family), int(sock.type), sock.proto)
        self._watch()

    def close(self) -> None:
        """Stop accepting and close the sockets."""
        self._unwatch()
        for sock in self._accepting:
            sock.close()
        self._accepting = []
        self._kinds.clear()
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed."""
        await self._server.wait_closed()

    def _watch(self) -> None:
        self._resuming = None
        for sock in self._accepting:
            self._loop.add_reader(sock.fileno(), self._accept_some, sock)

    def _unwatch(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
            return
        for sock in self._accepting:
            self._loop.remove_reader(sock.fileno())

    def _accept_some(self, sock: socket.socket) -> None:
        turn_ends = monotonic() + TURN
        while self._accept(sock) and monotonic() < turn_ends:
            pass

    def _accept(self, listening: socket.socket) -> bool:
        """Accept a connection; tell whether there may be another."""
        try:
            # Without the enums that listening.accept() makes of the numbers, three a connection.
            descriptor, peername = listening._accept()  # type: ignore[attr-defined]
            sock = socket.socket(*self._kinds[listening], fileno=descriptor)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as exc:
            if exc.errno not in EXHAUSTED:
                raise
            self._pause(exc, listening)
            return False
        try:
            connect(self._loop, sock, self._make_protocol, peername)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "making a connection failed", sock)
        return True

    def _pause(self, exc: OSError, listening: socket.socket) -> None:
        now = monotonic()
        if now >= self._told_at + TOLD_EVERY:
            # Once, and without a traceback: whoever knocks often enough fills no log.
            self._told_at = now
            message = f"accepting pauses: out of system resources: {exc.strerror}"
            self._loop.call_exception_handler({"message": message, "socket": listening})
        self._unwatch()
        self._resuming = self._loop.call_later(PAUSE_WHEN_EXHAUSTED, self._watch)

    def _report(self, exc: BaseException, message: str, sock: socket.socket) -> None:
        context = {"message": message, "exception": exc, "socket": sock}
        self._loop.call_exception_handler(context)


async def create_server(
    make_protocol: Callable[[], asyncio.BaseProtocol], arguments: dict[str, Any]
) -> asyncio.Server | Listener:
    """Listen with our own sockets where that pays, and through the loop's server elsewhere.

    Args:
        make_protocol: makes the protocol of each connection.
        arguments: those of the loop's ``create_server``, by name; of ``create_unix_server`` where
            ``unix`` is among them.

    Raises:
        OSError: when an address can't be listened on.

    """
    loop = asyncio.get_running_loop()
    create: Callable[..., Awaitable[asyncio.Server]] = loop.create_server
    if arguments.pop("unix", False):
        create = loop.create_unix_server
    if arguments.get("ssl") is None and per_loop(loop).has_streams:
        return await listen(make_protocol, create, arguments)
    return await create(make_protocol, **arguments)


async def listen(
    make_protocol: Callable[[], asyncio.BaseProtocol],
    create_server: Callable[..., Awaitable[asyncio.Server]],
    arguments: dict[str, Any],
) -> Listener:
    """Listen with sockets that the loop makes.

    Args:
        make_protocol: makes the protocol of each connection.
        create_server: the loop's function, with its addresses.
        arguments: its other arguments; ``backlog`` and ``start_serving`` are ours.

    Raises:
        OSError: when an address can't be listened on.

    """
    starting = arguments.pop("start_serving", True)
    backlog = arguments.pop("backlog", DEFAULT_BACKLOG)
    server = await create_server(make_protocol, start_serving=False, **arguments)
    listener = Listener(server, make_protocol, backlog)
    if starting:
        try:
            await listener.start_serving()
        except BaseException:
            listener.close()
            raise
    return listener
