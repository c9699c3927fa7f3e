"""The legacy client: ``connect`` and a protocol class with hooks."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import Any

from .._core.retry import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    backoff,
)
from .._opening import redirects
from .._opening.connecter import Connecter
from .._opening.coroutines import run
from .._opening.options import ConnectOptions
from .._opening.reconnecting import Reconnecting
from .._opening.requesting import prepare_request
from .._opening.steps import Handshake
from ..asyncio.running import Opener, perform
from ..client import ClientProtocol
from ..datastructures import Headers, HeadersLike
from ..exceptions import InvalidMessage, InvalidStatus, SecurityError
from ..extensions import ClientExtensionFactory, Extension
from ..http11 import USER_AGENT, Request
from ..protocol import Protocol
from ..typing import LoggerLike, Origin, Subprotocol
from ..uri import WebSocketURI, parse_uri
from .exceptions import InvalidStatusCode, RedirectHandshake
from .protocol import WebSocketCommonProtocol, take_deprecated

__all__ = ["WebSocketClientProtocol", "connect", "unix_connect"]

NOWHERE = WebSocketURI(False, "localhost", 80, "/", "")
"""Where a connection leads before ``handshake`` is told."""


class WebSocketClientProtocol(WebSocketCommonProtocol):
    """A connection on the legacy client's side; subclasses have hooks.

    Args:
        logger: logger of the connection, ``ropeway.client`` when None.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in order of preference.
        subprotocols: subprotocols to offer, in order of preference.
        extra_headers: headers to add to the request, or to set instead of ours.
        user_agent_header: value of ``User-Agent``, None for none.
        kwargs: those of :class:`~ropeway.legacy.protocol.WebSocketCommonProtocol`.
    """

    is_client = True
    side = "client"
    protocol: ClientProtocol

    def __init__(
        self,
        *,
        logger: LoggerLike | None = None,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        **kwargs: Any,
    ) -> None:
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.extra_headers = extra_headers
        self.user_agent_header = user_agent_header
        super().__init__(logger=logger, **kwargs)
        self.origin = origin

    def _make_protocol(self, logger: LoggerLike | None) -> Protocol:
        return _Negotiation(self, logger)

    # Hooks

    def write_http_request(self, path: str, headers: Headers) -> None:
        """Send the handshake request.

        Args:
            path: target of the request, query included.
            headers: of the request.
        """
        self.path: str = path
        self.request_headers: Headers = headers
        self.request: Request | None = Request(path, headers)
        self.protocol.key = headers["Sec-WebSocket-Key"]
        self.protocol.send_request(self.request)
        self._flush()

    async def read_http_response(self) -> tuple[int, Headers]:
        """Wait for the handshake response.

        Returns:
            Its status code and its headers.

        Raises:
            InvalidMessage: when no valid one comes.
        """
        await self._wait_opening()
        if self.response is None:
            raise self.protocol.handshake_exc or InvalidMessage(
                "did not receive a valid HTTP response"
            )
        self.response_headers: Headers = self.response.headers
        return self.response.status_code, self.response_headers

    @staticmethod
    def process_extensions(
        headers: Headers, available_extensions: Sequence[ClientExtensionFactory] | None
    ) -> list[Extension]:
        """Accept the extensions that the server chose.

        Args:
            headers: of the response.
            available_extensions: those that were offered.

        Raises:
            InvalidHandshake: when one wasn't offered, or its parameters can't be accepted.
        """
        protocol = ClientProtocol(NOWHERE, extensions=available_extensions)
        return protocol.process_extensions(headers)

    @staticmethod
    def process_subprotocol(
        headers: Headers, available_subprotocols: Sequence[Subprotocol] | None
    ) -> Subprotocol | None:
        """Accept the subprotocol that the server chose.

        Args:
            headers: of the response.
            available_subprotocols: those that were offered.

        Raises:
            InvalidHandshake: when it wasn't offered, or is more than one.
        """
        protocol = ClientProtocol(NOWHERE, subprotocols=available_subprotocols)
        return protocol.process_subprotocol(headers)

    # The opening

    async def handshake(
        self,
        wsuri: WebSocketURI,
        origin: Origin | None = None,
        available_extensions: Sequence[ClientExtensionFactory] | None = None,
        available_subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLike | None = None,
    ) -> None:
        """Perform the client's half of the opening handshake.

        Args:
            wsuri: where the connection leads.
            origin: value of the ``Origin`` header.
            available_extensions: extensions to offer.
            available_subprotocols: subprotocols to offer.
            extra_headers: headers to add to the request, or to set instead of ours.

        Raises:
            InvalidStatusCode: when the server answers with another status than 101.
            InvalidHandshake: when it doesn't make sense.
        """
        protocol = self.protocol
        protocol.uri = wsuri
        protocol.origin = self.origin = origin
        protocol.available_extensions = self.available_extensions = available_extensions
        protocol.available_subprotocols = self.available_subprotocols = available_subprotocols
        request = prepare_request(protocol, extra_headers, self.user_agent_header)
        self.write_http_request(request.path, request.headers)
        await self.read_http_response()
        exc = protocol.handshake_exc
        if exc is None:
            self._start_keepalive()
            self.connection_open()
            return
        try:
            if isinstance(exc, InvalidStatus):
                response = exc.response
                raise InvalidStatusCode(response.status_code, response.headers) from exc
            raise exc
        finally:
            # The protocol keeps the exception, which keeps this frame: end the cycle here.
            del self, exc


class _Negotiation(ClientProtocol):
    """Leaves to the connection's hooks what a subclass has overridden."""

    def __init__(self, connection: WebSocketClientProtocol, logger: LoggerLike | None) -> None:
        super().__init__(NOWHERE, max_size=connection.max_size, logger=logger)
        # The connection owns the protocol, so the way back must not count.
        self._connection = weakref.ref(connection)

    def _owner(self) -> WebSocketClientProtocol:
        connection = self._connection()
        assert connection is not None, "a protocol doesn't outlive its connection"
        return connection

    def process_extensions(self, headers: Headers) -> list[Extension]:
        hook = type(self._owner()).process_extensions
        if hook is not WebSocketClientProtocol.process_extensions:
            return hook(headers, self.available_extensions)
        return super().process_extensions(headers)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        hook = type(self._owner()).process_subprotocol
        if hook is not WebSocketClientProtocol.process_subprotocol:
            return hook(headers, self.available_subprotocols)
        return super().process_subprotocol(headers)


class _Opener(Opener):
    """Calls ``handshake`` as the legacy classes have it."""

    async def _open(self, connection: WebSocketClientProtocol, step: Handshake) -> None:
        try:
            await connection.handshake(
                step.uri,
                origin=connection.origin,
                available_extensions=connection.available_extensions,
                available_subprotocols=connection.available_subprotocols,
                extra_headers=step.additional_headers,
            )
        except InvalidStatusCode as exc:
            # What plans know how to follow; the caller gets the old exception again.
            raise exc.__cause__ or exc from None
        finally:
            del connection


class Connect(Connecter):
    """Connect to the WebSocket server at ``uri``, with the legacy API.

    Await it, or use it as ``async with connect(...) as websocket``, or as
    ``async for websocket in connect(...)``, which connects again, whatever the error.

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
        create_protocol: makes the connection instead of :class:`WebSocketClientProtocol`, with
            the same arguments.
        logger: logger of the connection, ``ropeway.client`` when None.
        compression: "deflate" to offer permessage-deflate (RFC 7692), None not to.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in order of preference.
        subprotocols: subprotocols to offer, in order of preference.
        extra_headers: headers to add to the request, or to set instead of ours.
        user_agent_header: value of ``User-Agent``, None for none.
        open_timeout: seconds for all of opening, redirects included, None for no limit.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds that the closing handshake may take; 10 when None.
        max_size: largest message to accept, in bytes; None for any.
        max_queue: messages that wait for ``recv`` before reading pauses; None for any number.
        read_limit: no effect.
        write_limit: bytes that wait to be sent before ``send`` waits.
        kwargs: what ``loop.create_connection`` takes: ``host``, ``port``, ``sock``, ``ssl`` …; and
            ``proxy`` and ``preemptive_basic``, as in :class:`ropeway.asyncio.client.connect`;
            without ``proxy``, none is used.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when an option is out of its range or contradicts another one.
        OSError: when the server cannot be reached.
        InvalidStatusCode: when the server answers with another status than 101.
        InvalidHandshake: when the opening handshake fails.
        TimeoutError: when opening takes longer than ``open_timeout``.
    """

    MAX_REDIRECTS_ALLOWED = redirects.MAX_REDIRECTS
    BACKOFF_INITIAL = BACKOFF_INITIAL_DELAY
    BACKOFF_MIN = BACKOFF_MIN_DELAY
    BACKOFF_MAX = BACKOFF_MAX_DELAY
    BACKOFF_FACTOR = BACKOFF_FACTOR

    def __init__(
        self,
        uri: str,
        *,
        create_protocol: Callable[..., WebSocketClientProtocol] | None = None,
        logger: LoggerLike | None = None,
        compression: str | None = "deflate",
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
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
        if kwargs.get("ssl") is None:
            kwargs.pop("ssl", None)
        elif not parse_uri(uri).secure:
            raise ValueError(
                "connect() received a ssl argument for a ws:// URI, use a wss:// URI to enable TLS"
            )
        options = ConnectOptions(
            uri=uri,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            additional_headers=extra_headers,
            user_agent_header=user_agent_header,
            preemptive_basic=kwargs.pop("preemptive_basic", True),
            proxy=kwargs.pop("proxy", None),
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            max_queue=max_queue,
            write_limit=write_limit,
            logger=logger,
            stream=kwargs,
        )
        super().__init__(options, create_protocol or WebSocketClientProtocol)
        self._own_arguments = {"read_limit": read_limit, "legacy_recv": legacy_recv}
        self._redirects = 0
        self.protocol: WebSocketClientProtocol

    def _make_connection(self, uri: WebSocketURI, *stream: Any) -> WebSocketClientProtocol:
        options = self._asked
        protocol: WebSocketClientProtocol = self._create_connection(
            **options.connection_arguments(),
            **self._own_arguments,
            origin=options.origin,
            extensions=options.protocol_arguments()["extensions"],
            subprotocols=options.subprotocols,
            extra_headers=options.additional_headers,
            user_agent_header=options.user_agent_header,
            max_size=options.max_size,
            logger=options.logger,
            host=options.stream.get("host", uri.host),
            port=options.stream.get("port", uri.port),
            secure=uri.secure,
            loop=asyncio.get_running_loop(),
        )
        return protocol

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Tell what to do about an exception of the handshake; override it to follow no redirect.

        Args:
            exc: what the handshake raised.

        Returns:
            The URI to connect to instead, or the exception to raise.

        Raises:
            InvalidURI: when the server redirects to something else than a WebSocket URI.
        """
        uri = exc.uri if isinstance(exc, RedirectHandshake) else super().process_redirect(exc)
        if isinstance(uri, str):
            self._redirects += 1
            if self._redirects > self.MAX_REDIRECTS_ALLOWED:
                return SecurityError("too many redirects")
        return uri

    async def __await_impl__(self) -> WebSocketClientProtocol:
        self._redirects = 0
        try:
            async with asyncio.timeout(self._asked.open_timeout):
                self.protocol = await _Opener(self._make_connection).run(self._plan())
        except InvalidStatus as exc:
            response = exc.response
            raise InvalidStatusCode(response.status_code, response.headers) from exc
        return self.protocol

    def __await__(self) -> Generator[Any, None, WebSocketClientProtocol]:
        return self.__await_impl__().__await__()

    # For ``yield from``, in coroutines that were written before ``await``.
    __iter__ = __await__

    async def __aenter__(self) -> WebSocketClientProtocol:
        return await self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.protocol.close()

    async def __aiter__(self) -> AsyncIterator[WebSocketClientProtocol]:
        logger = self._asked.logger
        assert logger is not None  # set by the options themselves
        reconnecting = Reconnecting(lambda exc: None, self._delays, logger)
        while True:
            try:
                async with self as protocol:
                    yield protocol
            except Exception as exc:
                await run(reconnecting.failed(exc), perform)
            else:
                reconnecting.succeeded()

    def _delays(self) -> Generator[float, None, None]:
        return backoff(
            self.BACKOFF_INITIAL, self.BACKOFF_MIN, self.BACKOFF_MAX, self.BACKOFF_FACTOR
        )


connect = Connect


def unix_connect(path: str | None = None, uri: str = "ws://localhost/", **kwargs: Any) -> Connect:
    """Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket in the file system.
        uri: URI to ask for.
        kwargs: arguments of :class:`connect`.
    """
    return connect(uri, path=path, unix=True, **kwargs)
