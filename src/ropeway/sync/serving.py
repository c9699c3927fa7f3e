"""A server as its users see it: accepting in one thread, handlers in others, and shutting down."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
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

if TYPE_CHECKING:
    from .server import ServerConnection

# Out of descriptors or memory: what is there is kept going, and more is accepted later.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Less than a second: who can be served again should not wait for long.
PAUSE_WHEN_EXHAUSTED = 0.25
TOLD_EVERY = 10.0


class Server:
    """A WebSocket server, as :func:`serve` gives it; its methods are those of socketserver's.

    Leaving its context shuts it down, and closes its connections with code 1001.

    Invariants: ``_lock`` guards the sets and the numbers; a thread is among ``_threads`` from
    before it starts until its connection is over; once ``_closing``, none is added.
    """

    def __init__(
        self,
        sock: socket.socket,
        handler: Callable[[socket.socket, Any], None],
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a server.

        Args:
            sock: socket that listens.
            handler: sees to one connection, in a thread of its own; it gets the socket and the
                address that :meth:`socket.socket.accept` gives.
            logger: where facts are logged; ``ropeway.server`` by default.

        """
        self.socket = sock
        self.handler = handler
        self.logger: LoggerLike = default_logger("server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.tally: Tally = Tally()
        self.opened: int = 0  # of these, past their opening handshake
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._told_at = -TOLD_EVERY
        self._closing = False
        self._draining = False
        self._hurry = False  # whoever drains has to
        self._accepting = False
        self._stopped = threading.Condition(self._lock)
        self._ear, self._bell = socket.socketpair()

    @property
    def connections(self) -> set[ServerConnection]:
        """Connections that are open: their opening is over and their closing hasn't begun."""
        with self._lock:
            connections = set(self.all_connections)
        return {connection for connection in connections if connection.protocol.state is OPEN}

    def fileno(self) -> int:
        """Give the descriptor of the socket; see :meth:`socketserver.BaseServer.fileno`."""
        return self.socket.fileno()

    def is_serving(self) -> bool:
        """Tell whether new connections are accepted."""
        return not self._closing

    @property
    def stats(self) -> ServerStats:
        """Snapshot of how many connections there are, and of what the limits have led to."""
        with self._lock:
            connections = set(self.all_connections)
        return server_stats(connections, self.tally)

    @property
    def is_ready(self) -> bool:
        """Whether new clients should come here: not since :meth:`drain` or :meth:`shutdown`."""
        return not self._closing and not self._draining

    def serve_forever(self) -> None:
        """Accept connections until :meth:`shutdown` is called, in another thread."""
        with self._lock:
            if self._closing:
                return
            self._accepting = True
        try:
            self.socket.setblocking(False)  # who knocked may have gone before accept()
            self.logger.info("server listening on %s", get_socket_name(self.socket))
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._ear, selectors.EVENT_READ)
                while not self._closing:
                    selector.select()
                    if not self._closing:
                        self._accept()
        finally:
            if self._closing:
                # Those who come while the others are being closed are to be refused, not kept.
                self.socket.close()
            with self._lock:
                self._accepting = False
                self._stopped.notify_all()

    def _accept(self) -> None:
        try:
            sock, address = self.socket.accept()
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                self._tell_of(exc.strerror or str(exc))
                time.sleep(PAUSE_WHEN_EXHAUSTED)
            return  # or whoever knocked has gone
        thread = threading.Thread(target=self._handle, args=(sock, address))
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no more threads for us
            self._tell_of(str(exc))
            sock.close()
            self._forget(thread)

    def _tell_of(self, what_is_missing: str) -> None:
        now = time.monotonic()
        if now >= self._told_at + TOLD_EVERY:
            # Once, and without a traceback: whoever knocks often enough fills no log.
            self._told_at = now
            self.logger.error("accepting a connection failed: %s", what_is_missing)

    def _handle(self, sock: socket.socket, address: Any) -> None:
        try:
            self.handler(sock, address)
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.discard(thread)
            self._stopped.notify_all()

    @contextlib.contextmanager
    def _joined_by(self, connection: ServerConnection) -> Iterator[None]:
        """Know a connection, from its opening handshake to its end."""
        with self._lock:
            self.all_connections.add(connection)
        try:
            if self._closing:
                self._turn_away(connection)
            yield
        finally:
            with self._lock:
                self.all_connections.discard(connection)

    def _admit(self, turned_away_because: Callable[[], str | None]) -> str | None:
        """Count a connection among the open ones, unless it is to be turned away.

        Both at once: of two that come together, the second may be one too many.
        """
        with self._lock:
            because = turned_away_because()
            if because is None:
                self.opened += 1
        return because

    def _dismiss(self) -> None:
        """Count a connection out that was admitted."""
        with self._lock:
            self.opened -= 1

    _closing_with: tuple[CloseCode | int, str] | None = None

    def shutdown(
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
        if threading.current_thread() in self._threads:
            raise RuntimeError("shutdown() was called by a connection handler")
        with self._lock:
            first = not self._hurry
            self._hurry = True
            if close_connections and self._closing_with is None:
                self._closing_with = (code, reason)
            self._stopped.notify_all()
        connections = self._stop_accepting()
        if close_connections:
            for connection in connections:
                connection._start_closing(code, reason)
        with self._stopped:
            self._stopped.wait_for(lambda: not self._accepting and not self._threads)
        if first:
            for sock in (self.socket, self._ear, self._bell):
                sock.close()
            self.logger.info("server closed")

    def _stop_accepting(self) -> set[ServerConnection]:
        """Turn away who wants to come in, and give those who are here."""
        with self._lock:
            first = not self._closing
            self._closing = True
            connections = set(self.all_connections)
        if first:
            self.logger.info("server closing")
            self._bell.send(b"!")
        for connection in connections:
            self._turn_away(connection)
        return connections

    def _turn_away(self, connection: ServerConnection) -> None:
        if connection._turn_away(SHUTTING_DOWN):
            with self._lock:
                self.tally.refused_closing += 1

    def drain(self, seconds: float, *, notice: float = 0.0, reason: str = "") -> None:
        """Close the server without haste: first tell who sends clients here, then let them go.

        For ``notice`` seconds the server goes on as before, but is not ready; load balancers that
        ask for that send new clients elsewhere. Then it stops accepting, refuses handshakes with
        status 503, and closes its connections one after the other, spread evenly over ``seconds``,
        with code 1012, so that their clients don't all come back at the same moment. What is still
        open then is closed as by :meth:`shutdown`, with code 1001. Calling that
        in another thread ends the wait.

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
        if threading.current_thread() in self._threads:
            raise RuntimeError("drain() was called by a connection handler")
        self._draining = True
        self.logger.info("server draining")
        self._pause(notice)
        if not self._hurry:
            self._stop_accepting()
            self._let_go(seconds, reason)
        self.shutdown(reason=reason)

    def _let_go(self, seconds: float, reason: str) -> None:
        connections = list(self.connections) if seconds else []
        spread = Spread(len(connections), seconds, monotonic())
        while connections and self.all_connections and not self._hurry:
            for _ in range(spread.take_due(monotonic())):
                connections.pop()._start_closing(CloseCode.SERVICE_RESTART, reason)
            self._pause(spread.seconds_to_wait(monotonic()))

    def _pause(self, seconds: float) -> None:
        """Wait, unless the server is shut down meanwhile."""
        with self._stopped:
            self._stopped.wait_for(lambda: self._hurry, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


# It is documented and imported as the server's.
Server.__module__ = f"{__package__}.server"
