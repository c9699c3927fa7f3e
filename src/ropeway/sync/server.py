"""The server for threads: accepting connections and running each handler in a thread of its own."""

from __future__ import annotations

import functools
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from ssl import SSLContext
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast

from .._core.rules import DEFAULT_SLOW_LIMIT, DEFAULT_SLOW_TIMEOUT, SlowConsumer
from .._core.states import CONNECTING, OPEN
from .._moved import Moved, resolver
from .._opening.accepting import accept_plan
from .._opening.acceptor import SHUTTING_DOWN, Acceptor, refusal, takes_path
from .._opening.authenticating import BasicAuthentication
from .._opening.options import ServeOptions, modernize
from ..extensions.base import ServerExtensionFactory
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
from .broadcasting import broadcast
from .connection import Connection
from .running import Stream, perform, run
from .serving import Server
from .waiting import OPENING, TimeLimit

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Handler = Callable[["ServerConnection"], None]
ProcessRequest = Callable[["ServerConnection", Request], Response | None]
ProcessResponse = Callable[["ServerConnection", Request, Response], Response | None]


class ServerConnection(Connection):
    """A connection on the server's side; handlers receive it.

    Attributes:
        server: the server that accepted it.
        username: who the client is, once :func:`basic_auth` has checked it.

    """

    protocol: ServerProtocol
    username: str
    handler: Callable[..., None]
    handler_kwargs: Mapping[str, Any]

    def __init__(
        self,
        sock: socket.socket,
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
            sock: connected stream socket.
            protocol: sans-I/O connection.
            server: the server that accepts it.
            ping_interval: seconds between keepalive pings.
            ping_timeout: seconds of silence after a ping that fail the connection.
            close_timeout: seconds that the closing handshake may take.
            max_queue: marks of the receive queue, in frames.

        """
        super().__init__(
            sock,
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

    def handshake(
        self,
        process_request: ProcessRequest | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = SERVER,
        timeout: float | None = None,
    ) -> None:
        """Perform the server's half of the opening handshake (RFC 6455, section 4.2).

        Args:
            process_request: as in :func:`serve`.
            process_response: as in :func:`serve`.
            server_header: value of the Server header; None for none.
            timeout: seconds that the request may take; None for any.

        Raises:
            TimeoutError: when the request doesn't come in time.

        """
        if timeout is not None:
            self.protocol.open_deadline = monotonic() + timeout
        answers = SimpleNamespace(
            process_request=process_request,
            process_response=process_response,
            server_header=server_header,
        )
        self._answer(answers, lambda: None if self.server.is_serving() else SHUTTING_DOWN)

    def _answer(self, options: Any, turned_away_because: Callable[[], str | None]) -> bool:
        """Wait for the request and answer it; tell whether the connection is open."""
        with self._lock:
            self._begin()
            self._wait(OPENING, None, TimeLimit(None).ends)
        if self.request is None or self.protocol.discarding:
            return False
        response = run(accept_plan(self, options, turned_away_because), perform)
        with self._lock:
            if response is not None and self.protocol.state is CONNECTING:
                self.protocol.send_response(response)
                self._deliver()
            return self.protocol.state is OPEN

    def _turn_away(self, text: str) -> bool:
        """End an opening handshake that still waits for the request.

        Browsers open spare connections on which they never send anything; a server that closes
        must not wait for those. Tells whether there was one to end.
        """
        with self._lock:
            protocol = self.protocol
            waits = protocol.opening and not protocol.discarding
            if waits:
                protocol.send_response(refusal(protocol, text))
                self._deliver()
            return waits


class _Acceptor(Acceptor):
    """Runs connections from the TLS handshake to the end of their handler."""

    server: Server

    def __init__(self, handler: Handler, options: ServeOptions, ssl: SSLContext | None) -> None:
        super().__init__(options, ServerConnection)
        self.handler = with_path(handler)
        self.ssl = ssl

    def __call__(self, sock: socket.socket, address: Any) -> None:
        """See to a socket that was accepted; nobody waits, so what goes wrong is logged."""
        options = self.options
        stream = Stream(sock, TimeLimit(options.open_timeout))
        try:
            if self.ssl is not None and not self._secure(stream, self.ssl):
                sock.close()
                return
            connection = cast(ServerConnection, self.make(sock))
            if stream.tls is not None:
                connection._use_tls(stream.tls)
        except OSError:
            sock.close()  # a client that can't speak TLS with us, or has gone
            return
        except BaseException:
            sock.close()
            raise
        with self.server._joined_by(connection):
            with self.server._lock:
                because = self.crowded_out_because()
            if because is not None:
                connection._turn_away(because)
            self._run(connection)

    def _secure(self, stream: Stream, ssl: SSLContext) -> bool:
        """Speak TLS; False for a client too many, who can't be told before that."""
        with self.server._lock:
            if self.crowded_out_because(1) is not None:
                return False
            self.securing += 1
        try:
            stream.start_tls(ssl, server_side=True)
        finally:
            with self.server._lock:
                self.securing -= 1
        return True

    def _begin(self, protocol: ServerProtocol, connection: Any) -> None:
        with self.server._lock:
            super()._begin(protocol, connection)

    def _run(self, connection: ServerConnection) -> None:
        server, admitted = self.server, False

        def turned_away_because() -> str | None:
            nonlocal admitted
            because = server._admit(self.turned_away_because)
            admitted = because is None
            return because

        try:
            if connection._answer(self.options, turned_away_because):
                self._handle(connection)
            else:
                connection.wait_closed()
        except Exception:
            connection.logger.error("opening handshake failed", exc_info=True)
            connection.abort()
        finally:
            if admitted:
                server._dismiss()

    def _handle(self, connection: ServerConnection) -> None:
        connection._start_keepalive()
        try:
            closing = self.server._closing_with
            if closing is not None:
                connection._start_closing(*closing)
            with connection:
                self.handler(connection)
        except Exception:
            connection.logger.error("connection handler failed", exc_info=True)


def with_path(handler: Callable[..., None]) -> Handler:
    """Accept a handler of the old style, which takes the connection and the path."""
    if not takes_path(handler, 4):
        return handler

    @functools.wraps(handler)
    def new_style(connection: ServerConnection) -> None:
        assert connection.request is not None
        handler(connection, connection.request.path)

    return new_style


def serve(
    handler: Handler,
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
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
    **kwargs: Any,
) -> Server:
    """Serve WebSocket connections on TCP.

    Use it as ``with serve(...) as server: server.serve_forever()``. Each connection runs
    ``handler`` in a thread of its own and is closed when that returns, with code 1011 when it
    raises.

    Args:
        handler: function that takes the connection.
        host: interface to listen on; see :func:`socket.create_server`.
        port: TCP port to listen on.
        sock: socket to listen on, instead of ``host`` and ``port``.
        ssl: TLS context; None for no TLS.
        origins: acceptable values of the Origin header: strings, patterns, None where its absence
            is fine; or ``"same-origin"`` to demand that it names the Host of the request.
        extensions: factories of the extensions to accept.
        subprotocols: subprotocols to accept, in order of preference.
        select_subprotocol: chooses among the subprotocols that the client offers.
        compression: "deflate" for permessage-deflate, None for no compression.
        process_request: called with the connection and the request; a response that it returns is
            sent instead of accepting.
        process_response: called with the connection, the request and the response; it may change
            the response or return another.
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
        **kwargs: more arguments for :func:`socket.create_server`.

    Returns:
        The server, which listens already and accepts in ``serve_forever()``.

    Raises:
        ValueError: when an argument is out of its range, or contradicts another one.
        TypeError: when an argument has the wrong type.
        OSError: when the server can't listen.

    """
    modernize(kwargs)
    if "ssl_context" in kwargs:
        ssl = _renamed_context(kwargs, ssl)
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
    listener = _listen(host, port, sock, **kwargs)
    acceptor.server = Server(listener, acceptor, options.logger)
    return acceptor.server


def _renamed_context(kwargs: dict[str, Any], ssl: SSLContext | None) -> SSLContext | None:
    warnings.warn("ssl_context is deprecated; use ssl", DeprecationWarning, stacklevel=3)
    context: SSLContext | None = kwargs.pop("ssl_context")
    return ssl or context


def _listen(
    host: str | None,
    port: int | None,
    sock: socket.socket | None,
    *,
    unix: bool = False,
    path: PathLike | None = None,
    **kwargs: Any,
) -> socket.socket:
    if sock is not None:
        for name, value in (("host", host), ("port", port), ("path", path)):
            if value is not None:
                raise ValueError(f"{name} is incompatible with sock")
        return sock
    if not unix:
        return socket.create_server((host or "", port or 0), **kwargs)
    if path is None:
        raise ValueError("missing path argument")
    return socket.create_server(os.fspath(path), **{"family": socket.AF_UNIX, **kwargs})


def unix_serve(handler: Handler, path: PathLike | None = None, **kwargs: Any) -> Server:
    """Serve WebSocket connections on a Unix socket.

    Args:
        handler: function that takes the connection.
        path: path of the socket in the file system.
        **kwargs: arguments of :func:`serve`.

    Returns:
        The server.

    Raises:
        ValueError: when an argument is out of its range, or ``path`` is missing without ``sock``.
        OSError: when the server can't listen.

    """
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
    """Make a ``process_request`` that demands HTTP Basic authentication (RFC 7617).

    It sets ``connection.username``, or answers with status 401.

    Args:
        realm: name of what is protected; ASCII.
        credentials: a pair of username and password, or several.
        check_credentials: tells whether a username and a password are right.

    Returns:
        The callback for :func:`serve`.

    Raises:
        ValueError: when not exactly one of ``credentials`` and ``check_credentials`` is given.
        TypeError: when ``credentials`` aren't pairs of strings.

    """
    authentication = BasicAuthentication(realm, credentials, check_credentials)

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        return run(authentication.plan(connection, request), perform)

    return process_request


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__, {"WebSocketServer": Moved("sync.server:Server", "ropeway.sync.server.Server")}
    )
