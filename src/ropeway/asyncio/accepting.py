"""What a server does with a connection, from its making to the end of its handler."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from .._core.states import CONNECTING, OPEN
from .._opening.accepting import accept_now, accept_plan
from .._opening.acceptor import Acceptor
from .._opening.coroutines import run
from .._opening.options import ServeOptions
from ..frames import CloseCode
from ..http11 import Response
from .link import LinkTerms, make_link
from .running import perform

if TYPE_CHECKING:
    from .server import ServerConnection
    from .serving import Server

    Handler = Callable[[ServerConnection], Awaitable[None]]


class HandlerAcceptor(Acceptor):
    """Makes connections and runs them from the handshake to the end of their handler.

    Args:
        handler: coroutine function that takes the connection.
        options: what the caller of serve() said.
        kind: class of the connections, unless the caller has one of their own.
    """

    server: Server

    def __init__(
        self, handler: Handler, options: ServeOptions, kind: type[ServerConnection]
    ) -> None:
        super().__init__(options, kind)
        self._handler = handler
        self._kind = kind if options.create_connection is None else None
        self._terms: LinkTerms | None = None
        self._asks = options.process_request is not None or options.process_response is not None

    def __call__(self) -> ServerConnection:
        """Make a connection, as the protocol factory that asyncio calls."""
        if self._kind is None:
            return cast("ServerConnection", self.make())
        if self._terms is None:
            self._terms = LinkTerms(**self._connection_arguments)
        # What the call of the class does, without taking its arguments apart each time.
        protocol = self._protocol._another()
        connection = make_link(self._kind, protocol, self._terms)
        connection._server = self.server
        self._begin(protocol, connection)
        return connection

    def answer(self, connection: ServerConnection) -> None:
        """Answer the request of a connection: at once, unless the user is to be asked."""
        if self._asks:
            self._start(connection, self._ask_and_run(connection))
            return
        try:
            response = accept_now(connection, self.options, self.turned_away_because)
            opened = self._send(connection, response)
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
            return
        if opened:
            # Counted here: many requests may be answered before the first task takes a step.
            self.server.opened += 1
            self._start(connection, self._run(connection), counted=1)

    def _start(
        self, connection: ServerConnection, life: Coroutine[Any, Any, None], counted: int = 0
    ) -> None:
        """Run the rest of a connection's life, of which ``counted`` are in ``server.opened``."""
        task = connection.loop.create_task(life)
        connection.handler_task = task
        # No ``finally`` can do that: a task that is cancelled at once never takes a step.
        task.add_done_callback(partial(self._ended, connection, counted))

    def _ended(self, connection: ServerConnection, counted: int, task: asyncio.Task[None]) -> None:
        """Forget a connection; if a cancelled task has left it open, nobody else would end it."""
        self.server.opened -= counted
        self.server.all_connections.discard(connection)
        if task.cancelled():
            protocol = connection.protocol
            if protocol._state is OPEN or (
                protocol._state is CONNECTING and not protocol.discarding
            ):
                connection.abort()

    async def _ask_and_run(self, connection: ServerConnection) -> None:
        try:
            opened = await self._ask(connection)
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
            opened = False
        if not opened:
            await connection.wait_closed()
            return
        self.server.opened += 1
        try:
            await self._run(connection)
        finally:
            self.server.opened -= 1

    async def _ask(self, connection: ServerConnection) -> bool:
        """Answer the request with what the user's callbacks say; tell whether that opened it."""
        protocol = connection.protocol
        try:
            async with asyncio.timeout(_seconds_left(protocol.open_deadline)):
                plan = accept_plan(connection, self.options, self.turned_away_because)
                response = await run(plan, perform)
        except TimeoutError:
            if protocol.state is CONNECTING and not protocol.discarding:
                protocol._opening_expired()
                connection._deliver()
            return False
        return self._send(connection, response)

    def _send(self, connection: ServerConnection, response: Response | None) -> bool:
        """Send the response; tell whether the connection is open."""
        if response is None:
            return False
        protocol = connection.protocol
        protocol.send_response(response)
        if protocol._state is OPEN:
            connection._begin()
        else:
            connection._deliver()
        return response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS

    async def _run(self, connection: ServerConnection) -> None:
        """Run an open connection to the end; nobody awaits this, so what goes wrong is logged."""
        try:
            if self._kind is None:
                async with connection:
                    await self._handler(connection)
            else:  # the same, with two coroutines fewer
                try:
                    await self._handler(connection)
                except BaseException:
                    await connection.close(CloseCode.INTERNAL_ERROR)
                    raise
                if not connection._is_lost:
                    await connection.close()
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())
