"""The server on asyncio: accepting connections, running handlers, and shutting down."""

from __future__ import annotations

import asyncio
import functools
import http
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, cast

from .._core.states import CONNECTING, OPEN
from .._moved import Moved, resolver
from .._opening.accepting import accept_plan
from .._opening.acceptor import SHUTTING_DOWN, Acceptor, takes_path
from .._opening.authenticating import BasicAuthentication
from .._opening.options import ServeOptions, modernize
from ..extensions.base import ServerExtensionFactory
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
from .broadcasting import broadcast
from .connection import Connection
from .listening import create_server
from .running import perform, run
from .serving import Server

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Handler = Callable[["ServerConnection"], Awaitable[None]]
ProcessRequest = Callable[
    ["ServerConnection", Request], Awaitable[Response | None] | Response | None
]
ProcessResponse = Callable[
    ["ServerConnection", Request, Response], Awaitable[Response | None] | Response | None
]


class ServerConnection(Connection):
    """A connection on the server's side; handlers receive it.

    Attributes:
        server: the server that accepted it.
        username: who the client is, once :func:`basic_auth` has checked it.

    """

    protocol: ServerProtocol
    username: str
    handler: Callable[..., Awaitable[None]]
    handler_kwargs: Mapping[str, Any]

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        """Make a connection; see :class:`Connection` for the arguments.

        Args:
            protocol: sans-I/O connection.
            server: the server that accepts it.
            ping_interval: seconds between keepalive pings.
            ping_timeout: seconds of silence after a ping that fail the connection.
            close_timeout: seconds that the closing handshake may take.
            max_queue: marks of the receive queue, in frames.
            write_limit: marks of the write buffer, in bytes.

        """
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self.server = server
        self.handler_task: asyncio.Task[None] | None = None

    def respond(self, status: StatusLike, text: str) -> Response:
        """Make a plain response, for ``process_request`` and ``process_response`` to return.

        Args:
            status: HTTP status code.
            text: body of the response.

        Returns:
            The response; its headers may be changed.

        """
        return self.protocol.reject(status, text)

    def turn_away(self, text: str) -> None:
        """End an opening handshake that still waits for the request, or for the client to go.

        Browsers open spare connections on which they never send anything; a server that closes
        must not wait for those.

        Args:
            text: body of a response with status 503.

        """
        protocol = self.protocol
        if protocol.opening and not protocol.discarding:
            protocol.send_response(self.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, text))
            self._deliver()
        if protocol.state is CONNECTING and protocol.discarding:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; the request comes next."""
        self.server.all_connections.add(self)
        super().connection_made(transport)
        if self.server.is_closing():
            self.turn_away(SHUTTING_DOWN)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take leave of the transport."""
        super().connection_lost(exc)
        if self.handler_task is None:
            self.server.all_connections.discard(self)

    def _after_opening(self) -> None:
        if self.request is not None and not self.protocol.discarding:
            self.server.answer(self)


class _Acceptor(Acceptor):
    """Makes connections and runs them from the handshake to the end of their handler."""

    server: Server

    def __init__(self, handler: Handler, options: ServeOptions) -> None:
        super().__init__(options, ServerConnection)
        self.handler = with_path(handler)

    def __call__(self) -> ServerConnection:
        """Make a connection, as the protocol factory that asyncio calls."""
        return cast(ServerConnection, self.make())

    def answer(self, connection: ServerConnection) -> None:
        """Answer the request of a connection: at once, unless the user is to be asked."""
        options = self.options
        loop = connection.loop
        if options.process_request is not None or options.process_response is not None:
            connection.handler_task = loop.create_task(self._ask_and_run(connection))
            return
        try:
            opened = self._send(connection, self._response_now(connection))
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
            return
        if opened:
            connection.handler_task = loop.create_task(self._run(connection))

    def _response_now(self, connection: ServerConnection) -> Response | None:
        """Make the response where nothing is asked, so that the plan has no step."""
        try:
            step = next(accept_plan(connection, self.options, self.turned_away_because))
        except StopIteration as stop:
            return cast(Response | None, stop.value)
        raise TypeError(f"{step!r} without callbacks")

    async def _ask_and_run(self, connection: ServerConnection) -> None:
        try:
            opened = await self._ask(connection)
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
            opened = False
        except BaseException:  # cancelled: nobody else knows the connection yet
            connection.abort()
            self.server.all_connections.discard(connection)
            raise
        if opened:
            await self._run(connection)
            return
        try:
            await connection.wait_closed()
        finally:
            self.server.all_connections.discard(connection)

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
        if protocol.state is OPEN:
            connection._begin()
        else:
            connection._deliver()
        return response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS

    async def _run(self, connection: ServerConnection) -> None:
        """Run an open connection to the end; nobody awaits this, so what goes wrong is logged."""
        self.server.opened += 1
        try:
            async with connection:
                await self.handler(connection)
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)
        finally:
            self.server.opened -= 1
            self.server.all_connections.discard(connection)


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


def with_path(handler: Callable[..., Awaitable[None]]) -> Handler:
    """Accept a handler of the old style, which takes the connection and the path."""
    if not takes_path(handler, 4):
        return handler

    @functools.wraps(handler)
    async def new_style(connection: ServerConnection) -> None:
        assert connection.request is not None
        await handler(connection, connection.request.path)

    return new_style


def serve(
    handler: Handler,
    host: str | None = None,
    port: int | None = None,
    *,
    origins: Sequence[Origin | re.Pattern[str] | None] | Literal["same-origin"] | None = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: (
        Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None] | None
    ) = None,
    compression: str | None = "deflate",
    process_request: ProcessRequest | None = None,
    process_response: ProcessResponse | None = None,
    server_header: str | None = SERVER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: type[ServerConnection] | None = None,
    hosts: Sequence[str] | None = None,
    max_connections: int | None = None,
    compression_threshold: int = 64,
    **kwargs: Any,
) -> Server:
    """Serve WebSocket connections on TCP.

    Use it as ``async with serve(...) as server``, or await it. Each connection runs ``handler`` in
    a task of its own and is closed when that returns, with code 1011 when it raises.

    Args:
        handler: coroutine function that takes the connection.
        host: interfaces to listen on; see :meth:`asyncio.loop.create_server`.
        port: TCP port to listen on.
        origins: acceptable values of the Origin header: strings, patterns, None where its absence
            is fine; or ``"same-origin"`` to demand that it names the Host of the request.
        extensions: factories of the extensions to accept.
        subprotocols: subprotocols to accept, in order of preference.
        select_subprotocol: chooses among the subprotocols that the client offers.
        compression: "deflate" for permessage-deflate, None for no compression.
        process_request: called with the connection and the request; a response that it returns is
            sent instead of accepting. It may be a coroutine function.
        process_response: called with the connection, the request and the response; it may change
            the response or return another. It may be a coroutine function.
        server_header: value of the Server header; None for none.
        open_timeout: seconds that the opening may take, TLS included; None for any.
        ping_interval: seconds between keepalive pings; None for no keepalive.
        ping_timeout: seconds of silence after a ping that fail the connection; None for never.
        close_timeout: seconds that the closing handshake may take; None for any.
        max_size: limit on incoming messages, in bytes; None for no limit; a pair limits messages
            and fragments apart.
        max_queue: high water mark of the receive queue, in frames, or a pair of marks.
        write_limit: high water mark of the write buffer, in bytes, or a pair of marks.
        logger: where facts are logged; ``ropeway.server`` by default.
        create_connection: makes connections instead of :class:`ServerConnection`.
        hosts: acceptable values of the Host header, with or without a port; None for all.
        max_connections: number of open connections at which others get status 503; None for any.
        compression_threshold: messages of fewer bytes than this are sent uncompressed.
        **kwargs: more arguments for :meth:`asyncio.loop.create_server`, such as ``ssl``.

    Returns:
        The server.

    Raises:
        ValueError: when an argument is out of its range.
        TypeError: when an argument has the wrong type.
        OSError: when awaited, if the server can't listen.

    """
    modernize(kwargs)
    options = ServeOptions(
        origins=origins,
        extensions=extensions,
        subprotocols=subprotocols,
        select_subprotocol=select_subprotocol,
        compression=compression,
        process_request=process_request,
        process_response=process_response,
        server_header=server_header,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        max_size=max_size,
        max_queue=max_queue,
        write_limit=write_limit,
        logger=logger,
        create_connection=create_connection,
        hosts=hosts,
        max_connections=max_connections,
        compression_threshold=compression_threshold,
    )
    if kwargs.get("ssl") is not None:
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)
        kwargs.setdefault("ssl_shutdown_timeout", close_timeout)
    acceptor = _Acceptor(handler, options)

    if not kwargs.get("unix"):
        kwargs |= {"host": host, "port": port}
    start = functools.partial(create_server, acceptor, kwargs)
    acceptor.server = Server(start, acceptor.answer, options.logger)
    return acceptor.server


def unix_serve(handler: Handler, path: PathLike | None = None, **kwargs: Any) -> Server:
    """Serve WebSocket connections on a Unix socket.

    Args:
        handler: coroutine function that takes the connection.
        path: path of the socket in the file system.
        **kwargs: arguments of :func:`serve`.

    Returns:
        The server.

    """
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:
    """Make a ``process_request`` that demands HTTP Basic authentication (RFC 7617).

    It sets ``connection.username``, or answers with status 401.

    Args:
        realm: name of what is protected; ASCII.
        credentials: a pair of username and password, or several.
        check_credentials: tells whether a username and a password are right; may be a coroutine
            function.

    Returns:
        The callback for :func:`serve`.

    Raises:
        ValueError: when not exactly one of ``credentials`` and ``check_credentials`` is given.
        TypeError: when ``credentials`` aren't pairs of strings.

    """
    authentication = BasicAuthentication(realm, credentials, check_credentials)

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        return await run(authentication.plan(connection, request), perform)

    return process_request


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {"WebSocketServer": Moved("asyncio.server:Server", "ropeway.asyncio.server.Server")},
    )
