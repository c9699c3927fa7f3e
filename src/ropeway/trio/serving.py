"""A server as its users see it: what it listens on, its connections, and how it shuts down."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import trio
from trio.abc import AsyncResource

from .._core.logs import default_logger
from .._core.states import OPEN
from .._opening.acceptor import SHUTTING_DOWN
from ..frames import Close, CloseCode, Frame, Opcode
from ..typing import LoggerLike
from ..utils import get_socket_name

if TYPE_CHECKING:
    from .server import ServerConnection


class Server(AsyncResource):
    """A WebSocket server, as :func:`serve` gives it to whoever starts it.

    Closing it closes its connections with code 1001, unless told otherwise; cancelling its
    nursery drops them.
    """

    def __init__(
        self,
        listeners: list[trio.SocketListener],
        handler: Callable[[trio.abc.Stream], Coroutine[Any, Any, None]],
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a server.

        Args:
            listeners: what it accepts connections from; they belong to the server.
            handler: sees to one connection, from the first byte to the last.
            logger: where facts are logged; ``ropeway.server`` by default.

        """
        self.listeners = listeners
        self.handler = handler
        self.logger: LoggerLike = default_logger("server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.opened: int = 0  # of these, past their opening handshake
        self.closing: bool = False
        self._closing_with: tuple[CloseCode | int, str] | None = None
        self._accepting = trio.CancelScope()
        self._handlers: set[trio.lowlevel.Task] = set()
        self._securing: set[trio.CancelScope] = set()  # of TLS handshakes
        self._started = False
        self._over = trio.Event()

    @property
    def connections(self) -> set[ServerConnection]:
        """Connections that are open: their opening is over and their closing hasn't begun."""
        return {
            connection for connection in self.all_connections if connection.protocol.state is OPEN
        }

    def is_serving(self) -> bool:
        """Tell whether new connections are accepted."""
        return not self.closing

    async def serve_forever(
        self, task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept connections until :meth:`aclose` is called; all handlers have returned then.

        Args:
            task_status: is told of the server, once that accepts connections.

        """
        self._started = True
        try:
            async with trio.open_nursery() as nursery:
                with self._accepting:
                    for listener in self.listeners:
                        name = get_socket_name(cast(socket.socket, listener.socket))
                        self.logger.info("server listening on %s", name)
                    task_status.started(self)
                    await trio.serve_listeners(
                        self._handle, self.listeners, handler_nursery=nursery
                    )
                await self._close_listeners()
        finally:
            # At the end, or when it is cancelled.
            self.closing = True
            await self._close_listeners()
            self._over.set()
        self.logger.info("server closed")

    async def _handle(self, stream: trio.abc.Stream) -> None:
        task = trio.lowlevel.current_task()
        self._handlers.add(task)
        try:
            await self.handler(stream)
        finally:
            self._handlers.discard(task)

    @contextlib.contextmanager
    def _until_closing(self, scope: trio.CancelScope) -> Iterator[None]:
        """Cancel ``scope`` when the server closes: in TLS, nobody can be told of that before."""
        self._securing.add(scope)
        if self.closing:
            scope.cancel()
        try:
            yield
        finally:
            self._securing.discard(scope)

    async def _close_listeners(self) -> None:
        for listener in self.listeners:
            await trio.aclose_forcefully(listener)

    async def aclose(
        self,
        close_connections: bool = True,
        code: CloseCode | int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Stop accepting connections and wait until all handlers have returned.

        Connections in their opening handshake are refused with status 503. Calling it again only
        waits.

        Args:
            close_connections: close open connections too, rather than wait until they end.
            code: close code for open connections.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.
            RuntimeError: when a handler calls it, which can't wait for itself.

        """
        Frame(Opcode.CLOSE, Close(code, reason).serialize()).check()
        if trio.lowlevel.current_task() in self._handlers:
            raise RuntimeError("aclose() was called by a connection handler")
        if not self.closing:
            self.closing = True
            self.logger.info("server closing")
            self._accepting.cancel()
        if close_connections and self._closing_with is None:
            self._closing_with = (code, reason)
        for scope in self._securing:
            scope.cancel()
        for connection in list(self.all_connections):
            connection._turn_away(SHUTTING_DOWN)
            if close_connections:
                connection._start_closing(code, reason)
        if self._started:
            await self._over.wait()
        else:
            await self._close_listeners()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


# It is documented and imported as the server's.
Server.__module__ = f"{__package__}.server"
