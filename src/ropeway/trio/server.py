"""The server on trio: accepting connections and running handlers in tasks of a nursery."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any, Literal, cast

import trio

from .._core.rules import DEFAULT_SLOW_LIMIT, DEFAULT_SLOW_TIMEOUT, SlowConsumer
from .._core.states import CONNECTING, OPEN
from .._opening.accepting import accept_plan
from .._opening.acceptor import SHUTTING_DOWN, Acceptor, refusal
from .._opening.coroutines import basic_auth, run
from .._opening.options import ServeOptions
from ..extensions.base import ServerExtensionFactory
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
from .broadcasting import broadcast
from .connection import Connection
from .running import perform, shake_hands
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
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        """Make a connection; see :class:`Connection` for the arguments.

        Args:
            nursery: where the tasks of the connection run.
            stream: connected stream.
            protocol: sans-I/O connection.
            server: the server that accepts it.
            ping_interval: seconds between keepalive pings.
            ping_timeout: seconds of silence after a ping that fail the connection.
            close_timeout: seconds that the closing handshake may take.
            max_queue: marks of the receive queue, in frames.

        """
        super().__init__(
            nursery,
            stream,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
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

    async def handshake(
        self,
        process_request: ProcessRequest | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = SERVER,
    ) -> None:
        """Perform the server's half of the opening handshake (RFC 6455, section 4.2).

        Args:
            process_request: as in :func:`serve`.
            process_response: as in :func:`serve`.
            server_header: value of the Server header; None for none.

        """
        options = ServeOptions(
            process_request=process_request,
            process_response=process_response,
            server_header=server_header,
        )
        await self._answer(options, lambda: None)

    async def _answer(
        self, options: ServeOptions, turned_away_because: Callable[[], str | None]
    ) -> bool:
        """Wait for the request and answer it; tell whether that opened the connection."""
        protocol = self.protocol
        await self._opened.wait()
        if self.request is None or protocol.discarding or protocol.state is not CONNECTING:
            return False
        ends = math.inf if protocol.open_deadline is None else protocol.open_deadline
        with trio.CancelScope(deadline=ends) as scope:
            response = await run(accept_plan(self, options, turned_away_because), perform)
            # From here on the time is not looked at, so nothing is done by halves.
            if response is not None:
                protocol.send_response(response)
                self._deliver()
        if scope.cancelled_caught and protocol.state is CONNECTING and not protocol.discarding:
            protocol._opening_expired()
            self._deliver()
        return protocol.state is OPEN

    def _turn_away(self, text: str) -> bool:
        """End an opening handshake that still waits for the request.

        Browsers open spare connections on which they never send anything; a server that closes
        must not wait for those. Tells whether there was one to end.
        """
        protocol = self.protocol
        waits = protocol.opening and not protocol.discarding
        if waits:
            protocol.send_response(refusal(protocol, text))
            self._deliver()
        return waits


class _Acceptor(Acceptor):
    """Runs connections from the TLS handshake to the end of their handler."""

    server: Server
    clock: Callable[[], float] = staticmethod(trio.current_time)

    def __init__(self, handler: Handler, options: ServeOptions, ssl: SSLContext | None) -> None:
        super().__init__(options, ServerConnection)
        self.handler = handler
        self.ssl = ssl

    async def __call__(self, stream: trio.abc.Stream) -> None:
        """See to a stream that was accepted; nobody waits, so what goes wrong is logged."""
        seconds = self.options.open_timeout
        ends = math.inf if seconds is None else trio.current_time() + seconds
        if self.ssl is not None:
            # No response can be given before TLS is established.
            if self.crowded_out_because(1) is not None:
                await trio.aclose_forcefully(stream)
                return
            secured = await self._secure(stream, ends)
            if secured is None:
                return
            stream = secured
        try:
            async with trio.open_nursery() as nursery:
                await self._see_to(stream, nursery, ends)
        except Exception:
            # One connection that goes wrong must not end the server.
            self.server.logger.error("connection failed", exc_info=True)

    async def _secure(self, stream: trio.abc.Stream, ends: float) -> trio.abc.Stream | None:
        """Speak TLS; None for a client that can't, takes too long or has gone."""
        assert self.ssl is not None
        tls = trio.SSLStream(stream, self.ssl, server_side=True, https_compatible=True)
        self.securing += 1
        try:
            with trio.CancelScope(deadline=ends) as scope, self.server._until_closing(scope):
                return await shake_hands(tls)
        except OSError:
            self.server.logger.debug("TLS handshake failed", exc_info=True)
        finally:
            self.securing -= 1
        return None

    async def _see_to(self, stream: trio.abc.Stream, nursery: trio.Nursery, ends: float) -> None:
        connection = cast(ServerConnection, self.make(nursery, stream))
        if ends != math.inf:
            connection.protocol.open_deadline = ends
        self.server.all_connections.add(connection)
        try:
            if not self.server.is_serving():  # it was accepted just before the server closed
                self.server.tally.refused_closing += connection._turn_away(SHUTTING_DOWN)
            elif (because := self.crowded_out_because()) is not None:
                connection._turn_away(because)
            await self._run(connection)
        finally:
            self.server.all_connections.discard(connection)

    async def _run(self, connection: ServerConnection) -> None:
        try:
            if await connection._answer(self.options, self.turned_away_because):
                await self._handle(connection)
            else:
                await connection.wait_closed()
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()

    async def _handle(self, connection: ServerConnection) -> None:
        server = self.server
        connection._start_keepalive()
        server.opened += 1
        try:
            if server._closing_with is not None:
                connection._start_closing(*server._closing_with)
            async with connection:
                await self.handler(connection)
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)
        finally:
            server.opened -= 1


async def serve(
    handler: Handler,
    port: int | None = None,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
    listeners: list[trio.SocketListener] | None = None,
    ssl: SSLContext | None = None,
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
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve WebSocket connections on TCP, until the server is closed or cancelled.

    Use it as ``server = await nursery.start(serve, handler, port)``. Each connection runs
    ``handler`` in a task of its own and is closed when that returns, with code 1011 when it raises.

    Args:
        handler: coroutine function that takes the connection.
        port: TCP port to listen on.
        host: interface to listen on; see :func:`trio.open_tcp_listeners`.
        backlog: number of connections that wait to be accepted; None for trio's default.
        listeners: what to listen on, instead of ``port``, ``host`` and ``backlog``.
        ssl: TLS context; None for no TLS.
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
        task_status: is told of the :class:`Server`, once that accepts connections.

    Raises:
        ValueError: when an argument is out of its range, or contradicts another one.
        TypeError: when an argument has the wrong type.
        OSError: when the server can't listen.

    """
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
    acceptor = _Acceptor(handler, options, ssl)
    if listeners is None:
        if port is None:
            raise ValueError("missing port argument")
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    elif (port, host, backlog) != (None, None, None):
        raise ValueError("port, host and backlog are incompatible with listeners")
    acceptor.server = Server(listeners, acceptor, options.logger)
    await acceptor.server.serve_forever(task_status)


async def unix_serve(handler: Handler, path: PathLike, **kwargs: Any) -> None:
    """Serve WebSocket connections on a Unix socket.

    Args:
        handler: coroutine function that takes the connection.
        path: path of the socket in the file system, which must not exist; it is removed at the end.
        **kwargs: arguments of :func:`serve`.

    Raises:
        ValueError: when an argument is out of its range.
        OSError: when the server can't listen.

    """
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.bind(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    try:
        backlog = kwargs.pop("backlog", None)
        sock.listen(BACKLOG if backlog is None else backlog)
        await serve(handler, listeners=[trio.SocketListener(sock)], **kwargs)
    finally:
        sock.close()
        # Somebody may have removed it, and an abstract address of Linux's has a null byte.
        with contextlib.suppress(FileNotFoundError, ValueError):
            os.unlink(path)


BACKLOG = 128
