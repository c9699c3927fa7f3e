"""The server on asyncio: accepting connections, running handlers, and shutting down."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .._core.rules import DEFAULT_SLOW_LIMIT, DEFAULT_SLOW_TIMEOUT, SlowConsumer
from .._core.states import CONNECTING
from .._moved import Moved, resolver
from .._opening.acceptor import refusal, takes_path
from .._opening.coroutines import basic_auth
from .._opening.options import ServeOptions, modernize
from ..extensions.base import ServerExtensionFactory
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
from .accepting import HandlerAcceptor
from .broadcasting import broadcast
from .connection import Connection
from .listening import create_server
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
        write_limit: int | tuple[int | None, int | None] | None = 2**15,
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
        self._server = server

    @property
    def server(self) -> Server:
        """The server that accepted the connection."""
        return cast(Server, self._server)

    @server.setter
    def server(self, server: Server) -> None:
        self._server = server

    def respond(self, status: StatusLike, text: str) -> Response:
        """Make a plain response, for ``process_request`` and ``process_response`` to return.

        Args:
            status: HTTP status code.
            text: body of the response.

        Returns:
            The response; its headers may be changed.

        """
        return self.protocol.reject(status, text)

    def turn_away(self, text: str) -> bool:
        """End an opening handshake that still waits for the request, or for the client to go.

        Browsers open spare connections on which they never send anything; a server that closes
        must not wait for those.

        Args:
            text: body of a response with status 503.

        Returns:
            Whether there was one to end.

        """
        protocol = self.protocol
        waits = protocol.opening and not protocol.discarding
        if waits:
            protocol.send_response(refusal(protocol, text))
            self._deliver()
        if protocol.state is CONNECTING and protocol.discarding:
            self._transport.close()
        return waits


def with_path(handler: Callable[..., Awaitable[None]]) -> Handler:
    """Accept a handler of the old style, which takes the connection and the path."""
    if not takes_path(handler, 3):
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
    write_limit: int | tuple[int | None, int | None] | None = 2**15,
    logger: LoggerLike | None = None,
    create_connection: type[ServerConnection] | None = None,
    hosts: Sequence[str] | None = None,
    max_connections: int | None = None,
    compression_threshold: int = 64,
    max_handshakes: int | None = None,
    slow_consumer: SlowConsumer = "wait",
    slow_limit: int = DEFAULT_SLOW_LIMIT,
    slow_timeout: float | None = DEFAULT_SLOW_TIMEOUT,
    max_connection_age: float | None = None,
    idle_timeout: float | None = None,
    max_message_rate: float | tuple[float, float] | None = None,
    max_byte_rate: float | tuple[float, float] | None = None,
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
        max_handshakes: number of opening handshakes at a time above which clients get status 503;
            None for any.
        slow_consumer: what to do about peers that don't keep up: "wait" lets ``send`` wait, "drop"
            drops messages, "close" closes the connection with code 1013.
        slow_limit: bytes that may wait to be written to a connection.
        slow_timeout: seconds in which a peer has to take something; None for any.
        max_connection_age: seconds after which a connection is closed with code 1012, less a random
            tenth at most; None for never.
        idle_timeout: seconds without a message in either direction after which a connection is
            closed with code 1001, up to a quarter more; None for never.
        max_message_rate: messages a second that a client may send, or a pair of that and the number
            that may come at once; above it the connection is closed with code 1008; None for any.
        max_byte_rate: the same of bytes, as they are on the wire.
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
        max_handshakes=max_handshakes,
        slow_consumer=slow_consumer,
        slow_limit=slow_limit,
        slow_timeout=slow_timeout,
        max_connection_age=max_connection_age,
        idle_timeout=idle_timeout,
        max_message_rate=max_message_rate,
        max_byte_rate=max_byte_rate,
    )
    if kwargs.get("ssl") is not None:
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)
        kwargs.setdefault("ssl_shutdown_timeout", close_timeout)
    acceptor = HandlerAcceptor(with_path(handler), options, ServerConnection)

    if not kwargs.get("unix"):
        kwargs |= {"host": host, "port": port}
    start = functools.partial(create_server, acceptor, kwargs)
    acceptor.server = Server(start, acceptor.answer, options.logger)
    if max_handshakes is not None:
        acceptor.server.crowded_out_because = acceptor.crowded_out_because
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


# It is documented and imported as the server's.
basic_auth.__module__ = __name__


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {"WebSocketServer": Moved("asyncio.server:Server", "ropeway.asyncio.server.Server")},
    )
