"""A server as its users see it: what it listens on, its connections, and how it shuts down."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import trio
from trio.abc import AsyncResource

from .._core.closing import check_close
from .._core.logs import default_logger
from .._core.rules import Tally
from .._core.states import OPEN
from .._core.stats import ServerStats
from .._driving.draining import Spread, check_drain
from .._driving.statistics import server_stats
from .._opening.acceptor import SHUTTING_DOWN
from ..frames import CloseCode
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
        self.tally: Tally = Tally()
        self.opened: int = 0  # of these, past their opening handshake
        self.closing: bool = False
        self._closing_with: tuple[CloseCode | int, str] | None = None
        self._accepting = trio.CancelScope()
        self._handlers: set[trio.lowlevel.Task] = set()
        self._securing: set[trio.CancelScope] = set()  # of TLS handshakes
        self._started = False
        self._draining = False
        self._hurry = trio.Event()  # whoever drains has to
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

    @property
    def stats(self) -> ServerStats:
        """Snapshot of how many connections there are, and of what the limits have led to."""
        return server_stats(self.all_connections, self.tally)

    @property
    def is_ready(self) -> bool:
        """Whether new clients should come here: not since :meth:`drain` or :meth:`aclose`."""
        return not self.closing and not self._draining

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
        check_close(code, reason)
        if trio.lowlevel.current_task() in self._handlers:
            raise RuntimeError("aclose() was called by a connection handler")
        self._hurry.set()
        if close_connections and self._closing_with is None:
            self._closing_with = (code, reason)
        self._stop_accepting()
        if close_connections:
            for connection in list(self.all_connections):
                connection._start_closing(code, reason)
        if self._started:
            await self._over.wait()
        else:
            await self._close_listeners()

    def _stop_accepting(self) -> None:
        if not self.closing:
            self.closing = True
            self.logger.info("server closing")
            self._accepting.cancel()
        for scope in self._securing:
            scope.cancel()
        for connection in list(self.all_connections):
            self.tally.refused_closing += connection._turn_away(SHUTTING_DOWN)

    async def drain(self, seconds: float, *, notice: float = 0.0, reason: str = "") -> None:
        """Close the server without haste: first tell who sends clients here, then let them go.

        For ``notice`` seconds the server goes on as before, but is not ready; load balancers that
        ask for that send new clients elsewhere. Then it stops accepting, refuses handshakes with
        status 503, and closes its connections one after the other, spread evenly over ``seconds``,
        with code 1012, so that their clients don't all come back at the same moment. What is still
        open then is closed as by :meth:`aclose`, with code 1001. Calling that
        meanwhile ends the wait.

        Args:
            seconds: time over which the closes are spread; 0 closes all at once, with 1001.
            notice: seconds before, in which connections are still accepted.
            reason: of the close frames, at most 123 bytes of UTF-8.

        Raises:
            ValueError: when a time is below 0.
            ProtocolError: when the reason is too long.
            RuntimeError: when a handler calls it, which can't wait for itself.

        """
        check_drain(seconds, notice, reason)
        if trio.lowlevel.current_task() in self._handlers:
            raise RuntimeError("drain() was called by a connection handler")
        self._draining = True
        self.logger.info("server draining")
        await self._pause(notice)
        if not self._hurry.is_set():
            self._stop_accepting()
            await self._let_go(seconds, reason)
        await self.aclose(reason=reason)

    async def _let_go(self, seconds: float, reason: str) -> None:
        connections = list(self.connections) if seconds else []
        spread = Spread(len(connections), seconds, trio.current_time())
        while connections and self.all_connections and not self._hurry.is_set():
            for _ in range(spread.take_due(trio.current_time())):
                connections.pop()._start_closing(CloseCode.SERVICE_RESTART, reason)
            await self._pause(spread.seconds_to_wait(trio.current_time()))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the server is closed meanwhile."""
        with trio.move_on_after(seconds):
            await self._hurry.wait()

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
