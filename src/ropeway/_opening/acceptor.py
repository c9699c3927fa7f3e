"""What the servers of all drivers know about connections: how to make one, and whom to refuse."""

from __future__ import annotations

import http
import inspect
import logging
import random
import warnings
import weakref
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, cast

from .._core.guard import Guard
from .._core.states import CONNECTING
from ..http11 import Response
from ..server import ServerProtocol
from ..typing import Subprotocol
from .options import ServeOptions

SHUTTING_DOWN = "Server is shutting down.\n"

# Seconds, as the registry of close codes has it for 1012.
RETRY_AFTER = (5, 30)


class Acceptor:
    """Makes the connections of a server.

    Args:
        options: what the caller of serve() said.
        make_connection: makes a connection of the driver, unless the caller has another way.

    Invariants: ``server`` is set before the first connection is made.
    """

    server: Any
    clock: Callable[[], float] = staticmethod(monotonic)
    """The clock of the driver."""

    def __init__(self, options: ServeOptions, make_connection: Callable[..., Any]) -> None:
        self.options = options
        self._make_connection = options.create_connection or make_connection
        self._connection_arguments = options.connection_arguments()
        self._selects = options.select_subprotocol is not None
        self._rules = options.rules if options.rules.are_any() else None
        self._handshakes: weakref.WeakSet[ServerProtocol] = weakref.WeakSet()
        self.securing: int = 0  # TLS handshakes that no connection was made for yet
        # Checked once; each connection gets another like it. It is none itself, so nothing is said.
        silent = logging.Logger("", logging.CRITICAL)  # noqa: LOG001 - it belongs to nobody
        arguments = {**options.protocol_arguments(), "logger": silent}
        self._protocol = ServerProtocol(
            origins=options.origins,
            hosts=options.hosts,
            select_subprotocol=self._select_subprotocol if self._selects else None,
            **arguments,
        )
        assert options.logger is not None  # set by the options themselves
        self._protocol.logger = options.logger

    def make(self, *stream: Any) -> Any:
        """Make a connection on ``stream``; its time for the opening, TLS included, begins."""
        protocol = self._protocol._another()
        connection = self._make_connection(
            *stream, protocol, self.server, **self._connection_arguments
        )
        self._begin(protocol, connection)
        return connection

    def _begin(self, protocol: ServerProtocol, connection: Any) -> None:
        if self._selects:
            # The connection owns the protocol, so the way back must not count.
            protocol.__dict__["connection"] = weakref.ref(connection)
        if self._rules is not None:
            protocol.guard = Guard(self._rules, self.server.tally)
        if self.options.max_handshakes is not None:
            self._handshakes.add(protocol)
        if self.options.open_timeout is not None:
            protocol.open_deadline = self.clock() + self.options.open_timeout

    def _select_subprotocol(
        self, protocol: ServerProtocol, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        connection = protocol.__dict__["connection"]()
        assert self.options.select_subprotocol is not None
        return cast(Subprotocol | None, self.options.select_subprotocol(connection, subprotocols))

    def turned_away_because(self) -> str | None:
        """Tell why new connections get a 503 just now; None when they don't."""
        tally = self.server.tally
        if not self.server.is_serving():
            tally.refused_closing += 1
            return SHUTTING_DOWN
        most = self.options.max_connections
        if most is not None and self.server.opened >= most:
            tally.refused_full += 1
            return f"Server has {most} connections, which is its limit.\n"
        return None

    def crowded_out_because(self, newcomers: int = 0) -> str | None:
        """Tell why a client gets no handshake just now; None when it does.

        Args:
            newcomers: clients without a connection yet, on top of those that have one.

        """
        most = self.options.max_handshakes
        if most is None:
            return None
        if len(self._handshakes) + self.securing + newcomers > most:
            # Who has been answered since need not be counted any more.
            for protocol in [one for one in self._handshakes if not _is_opening(one)]:
                self._handshakes.discard(protocol)
        if len(self._handshakes) + self.securing + newcomers <= most:
            return None
        self.server.tally.refused_crowded += 1
        return f"Server has {most} opening handshakes, which is its limit.\n"


def _is_opening(protocol: ServerProtocol) -> bool:
    return protocol._state is CONNECTING and not protocol.discarding


def refusal(protocol: ServerProtocol, reason: str) -> Response:
    """Make the response for a client that may come back later (RFC 9110, sections 15.6.4, 10.2.3).

    Args:
        protocol: of the connection that is to be refused.
        reason: body of the response.

    """
    response = protocol.reject(http.HTTPStatus.SERVICE_UNAVAILABLE, reason)
    # Those who are refused at the same time must not come back at the same time.
    response.headers["Retry-After"] = str(random.randint(*RETRY_AFTER))
    return response


def takes_path(handler: Callable[..., Any], stacklevel: int) -> bool:
    """Tell, with a warning, whether a handler is of the old style: with connection and path."""
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        try:
            inspect.signature(handler).bind(None, None)
        except TypeError:
            return False
    except ValueError:  # a callable without a signature
        return False
    else:
        return False
    warnings.warn(
        "handler(websocket, path) is deprecated; use handler(websocket) and websocket.request.path",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )
    return True
