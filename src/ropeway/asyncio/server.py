"""The server on asyncio: accepting connections, running handlers, and shutting down."""

from __future__ import annotations

import asyncio
import functools
import http
import inspect
import re
import socket
import warnings
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self, cast

from .._core.logs import default_logger
from .._core.states import CONNECTING, OPEN
from .._opening.accepting import accept_plan
from .._opening.authenticating import BasicAuthentication
from .._opening.options import ServeOptions, modernize
from ..extensions.base import ServerExtensionFactory
from ..frames import Close, CloseCode, Frame, Opcode
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
from ..utils import get_socket_name
from .broadcasting import broadcast
from .connection import Connection
from .running import perform, run

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
        """Take the transport and start the handler."""
        super().connection_made(transport)
        self.server.start_handler(self)


class Server:
    """A WebSocket server, as :func:`serve` gives it; its methods are those of asyncio's.

    Closing it closes its connections with code 1001, unless told otherwise.
    """

    server: asyncio.Server

    def __init__(
        self,
        create_server: Callable[[], Awaitable[asyncio.Server]],
        handler: Callable[[ServerConnection], Awaitable[None]],
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a server; awaiting it starts it.

        Args:
            create_server: makes the listening server.
            handler: runs one connection from its opening to its end.
            logger: where facts are logged; ``ropeway.server`` by default.

        """
        self._create_server = create_server
        self._handler = handler
        self.logger: LoggerLike = default_logger("server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.opened = 0  # of these, past their opening handshake
        self.handler_tasks: set[asyncio.Task[None]] = set()
        self._close_task: asyncio.Task[None] | None = None
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

    def start_handler(self, connection: ServerConnection) -> None:
        """Run a connection in a task of its own, which :meth:`close` waits for."""
        self.all_connections.add(connection)
        task = connection.loop.create_task(self._run_handler(connection))
        self.handler_tasks.add(task)
        task.add_done_callback(self.handler_tasks.discard)

    async def _run_handler(self, connection: ServerConnection) -> None:
        try:
            await self._handler(connection)
        finally:
            self.all_connections.discard(connection)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the event loop; see :meth:`asyncio.Server.get_loop`."""
        return self.server.get_loop()

    def is_serving(self) -> bool:
        """Tell whether new connections are accepted; see :meth:`asyncio.Server.is_serving`."""
        return self.server.is_serving()

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
        Frame(Opcode.CLOSE, Close(code, reason).serialize()).check()
        if self._close_task is None:
            self._close_task = self.get_loop().create_task(
                self._close(close_connections, code, reason)
            )

    async def _close(self, close_connections: bool, code: CloseCode | int, reason: str) -> None:
        self.logger.info("server closing")
        self.server.close()
        for connection in self.all_connections:
            connection.turn_away("Server is shutting down.\n")
        try:
            if close_connections:
                # Those that are closing already are waited for with their handlers.
                closing = [connection.close(code, reason) for connection in self.connections]
                await asyncio.gather(*closing, return_exceptions=True)
            while self.handler_tasks:
                await asyncio.wait(self.handler_tasks)
            await self.server.wait_closed()
        finally:
            if not self._closed.done():
                self._closed.set_result(None)
        self.logger.info("server closed")

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


class _Acceptor:
    """Makes connections and runs them from the handshake to the end of their handler."""

    def __init__(self, handler: Handler, options: ServeOptions) -> None:
        self.handler = with_path(handler)
        self.options = options
        self.make_connection = options.create_connection or ServerConnection
        self.protocol_arguments = options.protocol_arguments()
        self.server: Server

    def __call__(self) -> ServerConnection:
        """Make a connection, as the protocol factory that asyncio calls."""
        options = self.options
        select = options.select_subprotocol
        protocol = ServerProtocol(
            origins=options.origins,
            hosts=options.hosts,
            select_subprotocol=None if select is None else self._select_subprotocol,
            **self.protocol_arguments,
        )
        connection = cast(
            ServerConnection,
            self.make_connection(protocol, self.server, **options.connection_arguments()),
        )
        if select is not None:
            # The connection owns the protocol, so the way back must not count.
            protocol.__dict__["connection"] = weakref.ref(connection)
        if options.open_timeout is not None:
            # From here on, the TLS handshake included.
            protocol.open_deadline = monotonic() + options.open_timeout
        return connection

    def _select_subprotocol(
        self, protocol: ServerProtocol, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        connection = protocol.__dict__["connection"]()
        assert self.options.select_subprotocol is not None
        return cast(Subprotocol | None, self.options.select_subprotocol(connection, subprotocols))

    async def run(self, connection: ServerConnection) -> None:
        """Run one connection; nobody awaits this, so what goes wrong is logged."""
        try:
            opened = await self._open(connection)
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
            return
        except BaseException:  # cancelled: nobody else knows the connection yet
            connection.abort()
            raise
        if opened:
            self.server.opened += 1
            try:
                async with connection:
                    await self.handler(connection)
            except Exception:
                connection.logger.error("connection handler failed", exc_info=True)
            finally:
                self.server.opened -= 1
        else:
            await connection.wait_closed()

    async def _open(self, connection: ServerConnection) -> bool:
        """Perform the opening handshake; tell whether the connection is open."""
        protocol = connection.protocol
        try:
            async with asyncio.timeout(_seconds_left(protocol.open_deadline)):
                await connection._wait_opening()
                if connection.request is None or protocol.discarding:
                    return False
                plan = accept_plan(connection, self.options, self._turned_away_because)
                response = await run(plan, perform)
        except TimeoutError:
            if protocol.state is CONNECTING and not protocol.discarding:
                protocol._opening_expired()
                connection._deliver()
            return False
        if response is None:
            return False
        protocol.send_response(response)
        if protocol.state is OPEN:
            connection._begin()
        else:
            connection._deliver()
        return response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS

    def _turned_away_because(self) -> str | None:
        if not self.server.is_serving():
            return "Server is shutting down.\n"
        most = self.options.max_connections
        if most is not None and self.server.opened >= most:
            return f"Server has {most} connections, which is its limit.\n"
        return None


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


def with_path(handler: Callable[..., Awaitable[None]]) -> Handler:
    """Accept a handler of the old style, which takes the connection and the path."""
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        try:
            inspect.signature(handler).bind(None, None)
        except TypeError:
            return handler
    except ValueError:  # a callable without a signature
        return handler
    else:
        return handler
    warnings.warn(
        "handler(websocket, path) is deprecated; use handler(websocket) and websocket.request.path",
        DeprecationWarning,
        stacklevel=4,
    )

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

    async def create_server() -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if kwargs.pop("unix", False):
            return await loop.create_unix_server(acceptor, **kwargs)
        return await loop.create_server(acceptor, host, port, **kwargs)

    acceptor.server = Server(create_server, acceptor.run, options.logger)
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
