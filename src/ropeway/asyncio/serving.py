"""A server as its users see it: what it listens on, its connections, and how it shuts down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

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
from .listening import Listener

if TYPE_CHECKING:
    from .server import ServerConnection


class Server:
    """A WebSocket server, as :func:`serve` gives it; its methods are those of asyncio's.

    Closing it closes its connections with code 1001, unless told otherwise.
    """

    server: asyncio.Server | Listener
    crowded_out_because: Callable[[], str | None] | None = None
    """Tells why a connection gets no opening handshake, where their number is limited."""

    def __init__(
        self,
        create_server: Callable[[], Awaitable[asyncio.Server | Listener]],
        answer: Callable[[ServerConnection], None],
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a server; awaiting it starts it.

        Args:
            create_server: makes the listening server.
            answer: answers the request of a connection, and sees to the rest of its life.
            logger: where facts are logged; ``ropeway.server`` by default.

        """
        self._create_server = create_server
        self.answer = answer
        self.logger: LoggerLike = default_logger("server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.tally: Tally = Tally()
        self.opened = 0  # of these, past their opening handshake
        self._close_task: asyncio.Task[None] | None = None
        self._draining = False
        self._hurry = asyncio.Event()  # whoever drains has to
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def connections(self) -> set[ServerConnection]:
        """Connections that are open: their opening is over and their closing hasn't begun."""
        return {
            connection for connection in self.all_connections if connection.protocol.state is OPEN
        }

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Sockets that the server listens on."""
        return tuple(self.server.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the event loop; see :meth:`asyncio.Server.get_loop`."""
        return self.server.get_loop()

    def is_serving(self) -> bool:
        """Tell whether new connections are accepted; see :meth:`asyncio.Server.is_serving`."""
        return self.server.is_serving()

    @property
    def stats(self) -> ServerStats:
        """Snapshot of how many connections there are, and of what the limits have led to."""
        return server_stats(self.all_connections, self.tally)

    @property
    def is_ready(self) -> bool:
        """Whether new clients should come here: not since :meth:`drain` or :meth:`close`."""
        return self.is_serving() and not self._draining

    def is_closing(self) -> bool:
        """Tell whether :meth:`close` was called."""
        return self._close_task is not None

    def closed_because(self) -> str | None:
        """Tell why a connection that has just been accepted is to be turned away."""
        if self._close_task is not None:
            self.tally.refused_closing += 1
            return SHUTTING_DOWN
        return None if self.crowded_out_because is None else self.crowded_out_because()

    async def start_serving(self) -> None:
        """Begin to accept connections; for a server made with ``start_serving=False``."""
        await self.server.start_serving()

    async def serve_forever(self) -> None:
        """Serve until cancelled, which closes the server, or until the server is closed."""
        if not self.is_serving() and self._close_task is None:
            await self.start_serving()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(
        self,
        close_connections: bool = True,
        code: CloseCode | int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Stop accepting connections and begin to close; calling it again does nothing.

        Connections in their opening handshake are refused with status 503.

        Args:
            close_connections: close open connections too, rather than wait until they end.
            code: close code for open connections.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.

        """
        check_close(code, reason)
        if self._close_task is None:
            self._hurry.set()
            self._close_task = self.get_loop().create_task(
                self._close(close_connections, code, reason)
            )

    async def _close(self, close_connections: bool, code: CloseCode | int, reason: str) -> None:
        self.logger.info("server closing")
        self._stop_accepting()
        try:
            if close_connections:
                # Those that are closing already are waited for with their handlers.
                closing = [connection.close(code, reason) for connection in self.connections]
                await asyncio.gather(*closing, return_exceptions=True)
            while self.all_connections:
                await _wait_for_end(next(iter(self.all_connections)))
            await self.server.wait_closed()
        finally:
            if not self._closed.done():
                self._closed.set_result(None)
        self.logger.info("server closed")

    def _stop_accepting(self) -> None:
        self.server.close()
        for connection in self.all_connections:
            self.tally.refused_closing += bool(connection.turn_away(SHUTTING_DOWN))

    async def drain(self, seconds: float, *, notice: float = 0.0, reason: str = "") -> None:
        """Close the server without haste: first tell who sends clients here, then let them go.

        For ``notice`` seconds the server goes on as before, but is not ready; load balancers that
        ask for that send new clients elsewhere. Then it stops accepting, refuses handshakes with
        status 503, and closes its connections one after the other, spread evenly over ``seconds``,
        with code 1012, so that their clients don't all come back at the same moment. What is still
        open then is closed as by :meth:`close`, with code 1001. Calling that
        meanwhile ends the wait.

        Args:
            seconds: time over which the closes are spread; 0 closes all at once, with 1001.
            notice: seconds before, in which connections are still accepted.
            reason: of the close frames, at most 123 bytes of UTF-8.

        Raises:
            ValueError: when a time is below 0.
            ProtocolError: when the reason is too long.

        """
        check_drain(seconds, notice, reason)
        self._draining = True
        self.logger.info("server draining")
        await self._pause(notice)
        if not self._hurry.is_set():
            self._stop_accepting()
            await self._let_go(seconds, reason)
        self.close(reason=reason)
        await self.wait_closed()

    async def _let_go(self, seconds: float, reason: str) -> None:
        connections = list(self.connections) if seconds else []
        spread = Spread(len(connections), seconds, monotonic())
        while connections and self.all_connections and not self._hurry.is_set():
            for _ in range(spread.take_due(monotonic())):
                connections.pop()._start_closing(CloseCode.SERVICE_RESTART, reason)
            await self._pause(spread.seconds_to_wait(monotonic()))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the server is closed meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def wait_closed(self) -> None:
        """Wait until the server is closed, its connections too, and all handlers have returned."""
        await asyncio.shield(self._closed)

    async def _start(self) -> Self:
        if not hasattr(self, "server"):
            self.server = await self._create_server()
            if self.server.is_serving():
                for sock in self.server.sockets:
                    self.logger.info("server listening on %s", get_socket_name(sock))
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


async def _wait_for_end(connection: ServerConnection) -> None:
    """Wait until a connection is over and its handler has returned."""
    if connection.handler_task is None:
        await connection.wait_closed()
    else:
        await asyncio.wait([connection.handler_task])


# It is documented and imported as the server's.
Server.__module__ = f"{__package__}.server"
