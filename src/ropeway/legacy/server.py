"""The legacy server: a handler, a protocol class with hooks, and the server object."""

from __future__ import annotations

import asyncio
import functools
import http
import inspect
import warnings
import weakref
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import monotonic, time
from types import TracebackType
from typing import Any, TypeAlias, cast

from .._opening.acceptor import SHUTTING_DOWN, takes_path
from .._opening.options import ServeOptions
from ..asyncio.listening import create_server
from ..asyncio.serving import Server
from ..datastructures import Headers, HeadersLike
from ..exceptions import InvalidMessage
from ..extensions import Extension, ServerExtensionFactory
from ..headers import parse_subprotocol
from ..http11 import SERVER, Request, Response, http_date
from ..protocol import Protocol, State
from ..server import ServerProtocol
from ..typing import LoggerLike, Origin, StatusLike, Subprotocol
from .exceptions import AbortHandshake
from .handshake import build_response
from .protocol import WebSocketCommonProtocol, broadcast, take_deprecated
from .serving import WebSocketServer

__all__ = [
    "WebSocketServer",
    "WebSocketServerProtocol",
    "broadcast",
    "serve",
    "unix_serve",
]

HTTPResponse: TypeAlias = tuple[StatusLike, HeadersLike, bytes]
HeadersLikeOrCallable: TypeAlias = HeadersLike | Callable[[str, Headers], HeadersLike]
Handler: TypeAlias = (
    Callable[["WebSocketServerProtocol"], Awaitable[Any]]
    | Callable[["WebSocketServerProtocol", str], Awaitable[Any]]
)
ProcessRequest: TypeAlias = Callable[[str, Headers], Awaitable[HTTPResponse | None]]
SelectSubprotocol: TypeAlias = Callable[
    [Sequence[Subprotocol], Sequence[Subprotocol]], Subprotocol | None
]


class WebSocketServerProtocol(WebSocketCommonProtocol):
    """A connection on the legacy server's side; handlers receive it, subclasses have hooks.

    Args:
        ws_handler: coroutine function that takes the connection, and the path if it takes two.
        ws_server: the server, which knows its connections.
        logger: logger of the connection, ``ropeway.server`` when None.
        origins: acceptable values of the Origin header, None where its absence is fine.
        extensions: factories of the extensions to accept.
        subprotocols: subprotocols to accept, in order of preference.
        extra_headers: headers to add to the response, or a function of the path and the request's
            headers that makes them.
        server_header: value of the Server header; None for none.
        process_request: see the method of that name.
        select_subprotocol: see the method of that name.
        open_timeout: seconds that the opening may take; None for any.
        kwargs: those of :class:`~ropeway.legacy.protocol.WebSocketCommonProtocol`.
    """

    is_client = False
    side = "server"
    protocol: ServerProtocol

    def __init__(
        self,
        ws_handler: Handler,
        ws_server: WebSocketServer,
        *,
        logger: LoggerLike | None = None,
        origins: Sequence[Origin | None] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLikeOrCallable | None = None,
        server_header: str | None = SERVER,
        process_request: ProcessRequest | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        open_timeout: float | None = 10,
        **kwargs: Any,
    ) -> None:
        # Programs used to say "" where they meant that there may be no origin.
        self.origins = None if origins is None else [origin or None for origin in origins]
        self.ws_handler: Callable[[WebSocketServerProtocol], Any] = remove_path_argument(ws_handler)
        self.ws_server = ws_server
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.extra_headers = extra_headers
        self.server_header = server_header
        self._process_request = process_request
        self._select_subprotocol = select_subprotocol
        self.open_timeout = open_timeout
        self.handler_task: asyncio.Task[None] | None = None
        super().__init__(logger=logger, **kwargs)

    def _make_protocol(self, logger: LoggerLike | None) -> Protocol:
        return _Negotiation(self, logger)

    # Hooks

    async def process_request(self, path: str, request_headers: Headers) -> HTTPResponse | None:
        """Answer a request with a plain HTTP response, or go on with the handshake.

        Args:
            path: target of the request, query included.
            request_headers: its headers.

        Returns:
            Status, headers and body of the response; None to go on.

        Raises:
            AbortHandshake: as another way to answer with a response.
        """
        if self._process_request is None:
            return None
        return await _result(self._process_request(path, request_headers))

    def select_subprotocol(
        self,
        client_subprotocols: Sequence[Subprotocol],
        server_subprotocols: Sequence[Subprotocol],
    ) -> Subprotocol | None:
        """Choose a subprotocol: one that both want, and that stands early in both lists.

        Args:
            client_subprotocols: what the client offers.
            server_subprotocols: what the server has.

        Returns:
            The subprotocol; None for none.
        """
        if self._select_subprotocol is not None:
            return self._select_subprotocol(client_subprotocols, server_subprotocols)
        rank = {name: place for place, name in enumerate(client_subprotocols)}
        both = [(rank[name] + i, i) for i, name in enumerate(server_subprotocols) if name in rank]
        return server_subprotocols[min(both)[1]] if both else None

    @staticmethod
    def process_origin(
        headers: Headers, origins: Sequence[Origin | None] | None = None
    ) -> Origin | None:
        """Check the Origin header.

        Args:
            headers: of the request.
            origins: acceptable values; None for all.

        Raises:
            InvalidOrigin: when it isn't acceptable.
        """
        return ServerProtocol(origins=origins).process_origin(headers)

    @staticmethod
    def process_extensions(
        headers: Headers, available_extensions: Sequence[ServerExtensionFactory] | None
    ) -> tuple[str | None, list[Extension]]:
        """Choose among the extensions that the client offers.

        Args:
            headers: of the request.
            available_extensions: factories of the extensions to accept.

        Returns:
            The response's header, None without one, and the extensions.

        Raises:
            InvalidHandshake: when the header can't be parsed.
        """
        return ServerProtocol(extensions=available_extensions).process_extensions(headers)

    def process_subprotocol(
        self, headers: Headers, available_subprotocols: Sequence[Subprotocol] | None
    ) -> Subprotocol | None:
        """Choose among the subprotocols that the client offers, if both sides have any.

        Args:
            headers: of the request.
            available_subprotocols: those of the server.

        Raises:
            InvalidHandshake: when the header can't be parsed.
        """
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values or not available_subprotocols:
            return None
        offered = [subprotocol for value in values for subprotocol in parse_subprotocol(value)]
        return self.select_subprotocol(offered, available_subprotocols)

    async def read_http_request(self) -> tuple[str, Headers]:
        """Wait for the handshake request.

        Returns:
            Its target and its headers.

        Raises:
            InvalidMessage: when none comes that could be answered.
        """
        await self._wait_opening()
        if self.request is None or self.protocol.discarding:
            raise InvalidMessage("did not receive a valid HTTP request")
        self.path: str = self.request.path
        self.request_headers: Headers = self.request.headers
        return self.path, self.request_headers

    def write_http_response(
        self, status: StatusLike, headers: Headers, body: bytes | None = None
    ) -> None:
        """Send the response; status 101 opens the connection.

        Args:
            status: status code.
            headers: of the response.
            body: of the response.
        """
        code = int(status)
        phrase = PHRASES.get(code, "")
        self.response_headers: Headers = headers
        self.response: Response | None = Response(code, phrase, headers, body or b"")
        self.protocol.send_response(self.response)
        if self.protocol.state is State.OPEN:
            self._begin()
        else:
            self._deliver()

    # The opening

    async def handshake(
        self,
        origins: Sequence[Origin | None] | None = None,
        available_extensions: Sequence[ServerExtensionFactory] | None = None,
        available_subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLikeOrCallable | None = None,
    ) -> str:
        """Perform the server's half of the opening handshake.

        Args:
            origins: acceptable values of the Origin header.
            available_extensions: factories of the extensions to accept.
            available_subprotocols: subprotocols to accept.
            extra_headers: headers to add to the response, or a function that makes them.

        Returns:
            The path of the request.

        Raises:
            InvalidHandshake: when the request is refused, by whatever hook.
        """
        self.origins = None if origins is None else list(origins)
        self.available_extensions = available_extensions
        self.available_subprotocols = available_subprotocols
        path, request_headers = await self.read_http_request()
        early = await _result(self.process_request(path, request_headers))
        if not self.ws_server.is_serving():
            early = (http.HTTPStatus.SERVICE_UNAVAILABLE, [], SHUTTING_DOWN.encode())
        if early is not None:
            raise AbortHandshake(*early)
        assert self.request is not None, "read_http_request has waited for it"
        _, extensions, subprotocol = self.protocol.process_request(self.request)
        headers = Headers()
        build_response(headers, request_headers["Sec-WebSocket-Key"])
        if extensions is not None:
            headers["Sec-WebSocket-Extensions"] = extensions
        if subprotocol is not None:
            self.subprotocol = self.protocol.subprotocol = Subprotocol(subprotocol)
            headers["Sec-WebSocket-Protocol"] = subprotocol
        if callable(extra_headers):
            extra_headers = extra_headers(path, request_headers)
        if extra_headers is not None:
            headers.update(extra_headers)
        self._sign(headers)
        self.write_http_response(http.HTTPStatus.SWITCHING_PROTOCOLS, headers)
        self.connection_open()
        return path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and begin with the handshake."""
        if self.open_timeout is not None:
            self.protocol.open_deadline = monotonic() + self.open_timeout
        self.ws_server.register(self)
        super().connection_made(transport)
        self.handler_task = self.loop.create_task(self.handler())

    async def handler(self) -> None:
        """Run the connection, from the handshake to the end; nobody awaits this."""
        try:
            if await self._open():
                async with self:
                    await self.ws_handler(self)
            else:
                await self.wait_closed()
        except Exception:
            self.logger.error("connection handler failed", exc_info=True)
        except BaseException:  # cancelled: nobody else looks after the connection
            self.abort()
            raise
        finally:
            self.ws_server.unregister(self)

    async def _open(self) -> bool:
        """Perform the handshake, or answer with what went wrong; tell whether it succeeded."""
        protocol = self.protocol
        # The log speaks of a connection that is refused, rather than of a plain response.
        protocol.accept_called = True
        try:
            async with asyncio.timeout(self.open_timeout) as opening:
                await self.handshake(
                    origins=self.origins,
                    available_extensions=self.available_extensions,
                    available_subprotocols=self.available_subprotocols,
                    extra_headers=self.extra_headers,
                )
        except Exception as exc:
            if protocol.state is not State.CONNECTING or protocol.discarding:
                return False
            if opening.expired():
                protocol._opening_expired()
                self._deliver()
            else:
                self._answer(exc)
            return False
        return protocol.state is not State.CONNECTING

    def _answer(self, exc: Exception) -> None:
        """Answer with the response that an exception stands for."""
        if isinstance(exc, AbortHandshake):
            status, headers, body = int(exc.status), exc.headers, exc.body
        else:
            request = self.request or Request("/", Headers())
            refusal = self.protocol._refusal(request, exc)
            status, headers, body = refusal.status_code, refusal.headers, bytes(refusal.body)
        self._sign(headers)
        headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Content-Type", "text/plain")
        headers.setdefault("Connection", "close")
        self.write_http_response(http.HTTPStatus(status), headers, body)

    def _sign(self, headers: Headers) -> None:
        headers.setdefault("Date", http_date(time()))
        if self.server_header is not None:
            headers.setdefault("Server", self.server_header)

    def turn_away(self, text: str) -> None:
        """End an opening handshake that still waits for the request, or for the client to go.

        Args:
            text: body of a response with status 503.
        """
        protocol = self.protocol
        if protocol.opening and not protocol.discarding:
            protocol.send_response(protocol.reject(http.HTTPStatus.SERVICE_UNAVAILABLE, text))
            self._deliver()
        if protocol.state is State.CONNECTING and protocol.discarding:
            self._transport.close()


async def _result(response: Any) -> HTTPResponse | None:
    """Wait for the result of ``process_request``, which used to be a plain function."""
    if inspect.isawaitable(response):
        response = await response
    else:
        message = "declare process_request as a coroutine"
        warnings.warn(message, DeprecationWarning, stacklevel=3)
    return cast(HTTPResponse | None, response)


PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


class _Negotiation(ServerProtocol):
    """Leaves to the connection's hooks what a subclass has overridden."""

    def __init__(self, connection: WebSocketServerProtocol, logger: LoggerLike | None) -> None:
        super().__init__(max_size=connection.max_size, logger=logger)
        # The connection owns the protocol, so the way back must not count.
        self._connection = weakref.ref(connection)

    def _owner(self) -> WebSocketServerProtocol:
        connection = self._connection()
        assert connection is not None, "a protocol doesn't outlive its connection"
        return connection

    def process_origin(self, headers: Headers) -> Origin | None:
        connection = self._owner()
        if _overrides(connection, "process_origin"):
            return connection.process_origin(headers, connection.origins)
        self.origins = connection.origins
        return super().process_origin(headers)

    def process_extensions(self, headers: Headers) -> tuple[str | None, list[Extension]]:
        connection = self._owner()
        if _overrides(connection, "process_extensions"):
            return connection.process_extensions(headers, connection.available_extensions)
        self.available_extensions = connection.available_extensions
        return super().process_extensions(headers)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        connection = self._owner()
        return connection.process_subprotocol(headers, connection.available_subprotocols)


def _overrides(connection: WebSocketServerProtocol, name: str) -> bool:
    return getattr(type(connection), name) is not getattr(WebSocketServerProtocol, name)


def remove_path_argument(ws_handler: Handler) -> Callable[[WebSocketServerProtocol], Any]:
    """Let a handler that takes the path as well be called with the connection alone."""
    if not takes_path(ws_handler, 4):
        return cast(Callable[[WebSocketServerProtocol], Any], ws_handler)
    # Not functools.wraps: the signature of what is wrapped would be seen again.
    with_path = cast(Callable[[WebSocketServerProtocol, str], Awaitable[Any]], ws_handler)
    return lambda websocket: with_path(websocket, websocket.path)


class Serve:
    """Serve WebSocket connections on TCP, with the legacy API.

    Use it as ``async with serve(...) as server``, or await it; it may be made before there is a
    loop. Each connection runs the handler in a task of its own and is closed when that returns,
    with code 1011 when it raises.

    Args:
        ws_handler: coroutine function that takes the connection.
        host: interfaces to listen on; see :meth:`asyncio.loop.create_server`.
        port: TCP port to listen on.
        create_protocol: makes connections instead of :class:`WebSocketServerProtocol`, with the
            same arguments.
        logger: where facts are logged; ``ropeway.server`` by default.
        compression: "deflate" for permessage-deflate, None for no compression.
        origins: acceptable values of the Origin header, None where its absence is fine.
        extensions: factories of the extensions to accept.
        subprotocols: subprotocols to accept, in order of preference.
        extra_headers: headers to add to the response, or a function of the path and the request's
            headers that makes them.
        server_header: value of the Server header; None for none.
        process_request: called with the path and the headers of a request; a response that it
            returns, as ``(status, headers, body)``, is sent instead of accepting.
        select_subprotocol: chooses a subprotocol, given those of the client and of the server.
        open_timeout: seconds that the opening may take; None for any.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds that the closing handshake may take; 10 when None.
        max_size: largest message to accept, in bytes; None for any.
        max_queue: messages that wait for ``recv`` before reading pauses; None for any number.
        read_limit: no effect.
        write_limit: bytes that wait to be sent before ``send`` waits.
        kwargs: more arguments for :meth:`asyncio.loop.create_server`, such as ``ssl``.

    Raises:
        ValueError: when an argument is out of its range.
        TypeError: when an argument has the wrong type.
        OSError: when awaited, if the server can't listen.
    """

    def __init__(
        self,
        ws_handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        create_protocol: Callable[..., WebSocketServerProtocol] | None = None,
        logger: LoggerLike | None = None,
        compression: str | None = "deflate",
        origins: Sequence[Origin | None] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLikeOrCallable | None = None,
        server_header: str | None = SERVER,
        process_request: ProcessRequest | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = None,
        max_size: int | None = 2**20,
        max_queue: int | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int = 2**16,
        **kwargs: Any,
    ) -> None:
        create_protocol, close_timeout, legacy_recv = take_deprecated(
            kwargs, create_protocol, close_timeout
        )
        options = ServeOptions(
            compression=compression, subprotocols=subprotocols, extensions=extensions
        )
        secure = _limit_tls(kwargs, open_timeout, close_timeout)
        self.ws_server: WebSocketServer = WebSocketServer(logger)
        self._make_protocol = functools.partial(
            create_protocol or WebSocketServerProtocol,
            remove_path_argument(ws_handler),
            self.ws_server,
            host=host,
            port=port,
            secure=secure,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            max_queue=max_queue,
            read_limit=read_limit,
            write_limit=write_limit,
            legacy_recv=legacy_recv,
            origins=origins,
            extensions=options.protocol_arguments()["extensions"],
            subprotocols=subprotocols,
            extra_headers=extra_headers,
            server_header=server_header,
            process_request=process_request,
            select_subprotocol=select_subprotocol,
            logger=logger,
        )
        self._address = {} if kwargs.get("unix") else {"host": host, "port": port}
        self._arguments = kwargs

    async def __await_impl__(self) -> WebSocketServer:
        server = self.ws_server
        if server._serving is None:
            loop = asyncio.get_running_loop()
            make_protocol = functools.partial(self._make_protocol, loop=loop)
            arguments = {**self._address, **self._arguments}
            serving = Server(
                functools.partial(create_server, make_protocol, arguments),
                _answered_by_the_handler,
                server.logger,
            )
            serving.all_connections = cast(Any, server.websockets)
            server.wrap(await serving)
        return server

    def __await__(self) -> Generator[Any, None, WebSocketServer]:
        return self.__await_impl__().__await__()

    # For ``yield from``, in coroutines that were written before ``await``.
    __iter__ = __await__

    async def __aenter__(self) -> WebSocketServer:
        return await self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ws_server.close()
        await self.ws_server.wait_closed()


def _limit_tls(arguments: dict[str, Any], opening: float | None, closing: float) -> bool:
    """Let TLS take no longer than the handshakes; tell whether there is TLS."""
    if arguments.get("ssl") is None:
        return False
    arguments.setdefault("ssl_handshake_timeout", opening)
    arguments.setdefault("ssl_shutdown_timeout", closing)
    return True


def _answered_by_the_handler(connection: object) -> None:
    """Answer nothing: the task of each connection does."""


serve = Serve


def unix_serve(ws_handler: Handler, path: str | None = None, **kwargs: Any) -> Serve:
    """Serve WebSocket connections on a Unix socket.

    Args:
        ws_handler: coroutine function that takes the connection.
        path: path of the socket in the file system.
        kwargs: arguments of :class:`serve`.
    """
    return serve(ws_handler, path=path, unix=True, **kwargs)
