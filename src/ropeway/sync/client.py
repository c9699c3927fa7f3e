"""The client for threads: ``connect``, ``reconnect``, and the connection that they give."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack, cast, overload

from .._core.retry import backoff, process_exception
from .._opening.connecter import Connecter, unix_uri
from .._opening.options import ConnectOptions, modernize
from .._opening.requesting import prepare_request
from ..client import ClientProtocol
from ..datastructures import HeadersLike
from ..extensions.base import ClientExtensionFactory
from ..http11 import USER_AGENT, Request
from ..typing import LoggerLike, Origin, PathLike, Subprotocol
from .connection import Connection
from .running import Opener, perform, run
from .waiting import OPENING, TimeLimit

__all__ = ["ClientConnection", "connect", "reconnect", "unix_connect", "unix_reconnect"]


class ClientConnection(Connection):
    """The client's end of a WebSocket connection, as `connect` gives it.

    ``for message in connection`` receives messages; it ends when the connection is closed with
    code 1000, 1001 or none, and raises `ConnectionClosedError` for any other.

    Args:
        sock: connected stream socket.
        protocol: the sans-I/O connection.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the other end when closing, None for ever.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
    """

    protocol: ClientProtocol

    def __init__(
        self,
        sock: socket.socket,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        super().__init__(
            sock,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    def __enter__(self) -> Self:
        self._unused = False
        return super().__enter__()

    def _warn_of_use(self) -> None:
        super()._warn_of_use()
        warnings.warn(
            "connect() without a with statement is deprecated; "
            "use connect(..., legacy=True) and close the connection yourself",
            DeprecationWarning,
            stacklevel=3,
        )

    def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        timeout: float | None = None,
    ) -> None:
        """Perform the client's half of the opening handshake (RFC 6455, section 4.1).

        Args:
            additional_headers: headers to add to the request; one that the request has by itself
                (``Host``, ``Origin`` …) is replaced.
            user_agent_header: value of ``User-Agent``, None for none.
            timeout: seconds that it may take, None for no limit.

        Raises:
            InvalidHandshake: when the server refuses or does not make sense.
            TimeoutError: when it takes too long.
        """
        self.request: Request | None = prepare_request(
            self.protocol, additional_headers, user_agent_header
        )
        with self._lock:
            self.protocol.send_request(self.request)
            self._flush()
        if not self._wait_for(OPENING, None, TimeLimit(timeout).ends):
            raise TimeoutError("timed out while waiting for handshake response")
        if self.protocol.handshake_exc is not None:
            try:
                raise self.protocol.handshake_exc
            finally:
                # The protocol keeps the exception, which keeps this frame: end the cycle here.
                del self


class StreamOptions(TypedDict, total=False):
    """What `reconnect` passes on to where the stream is opened."""

    address: tuple[str, int]
    source_address: tuple[str, int]
    timeout: float | None
    all_errors: bool


class ReconnectOptions(StreamOptions, total=False):
    """The keyword arguments of `reconnect`, for the functions that pass them on.

    With them, a type checker knows a misspelt option, and an editor what there is. Deprecated
    spellings are left out.
    """

    sock: socket.socket | None
    ssl: SSLContext | None
    server_hostname: str | None
    origin: Origin | None
    extensions: Sequence[ClientExtensionFactory] | None
    subprotocols: Sequence[Subprotocol] | None
    compression: str | None
    compression_threshold: int
    additional_headers: HeadersLike | None
    user_agent_header: str | None
    preemptive_basic: bool
    proxy: str | Literal[True] | None
    proxy_ssl: SSLContext | None
    proxy_server_hostname: str | None
    process_exception: Callable[[Exception], Exception | None]
    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float | None
    reconnect_delays: Callable[[], Generator[float, None, None]]
    max_size: int | tuple[int | None, int | None] | None
    max_queue: int | tuple[int | None, int | None] | None
    logger: LoggerLike | None
    create_connection: Callable[..., ClientConnection] | None


class reconnect(Connecter):  # noqa: N801 - it is called like a function
    """Connect to the WebSocket server at ``uri``, again and again.

    Use it in one of two ways::

        with reconnect(uri) as connection:  # closes the connection at the end
            ...

        for connection in reconnect(uri):  # connects again, whenever the body ends
            try:
                ...
            except ConnectionClosed:
                continue

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
        sock: connected socket to use instead of opening one.
        ssl: TLS context for a ``wss://`` URI; a default one when None.
        server_hostname: name to expect in the server's certificate instead of that in ``uri``.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in order of preference.
        subprotocols: subprotocols to offer, in order of preference.
        compression: "deflate" to offer permessage-deflate (RFC 7692), None not to.
        compression_threshold: bytes of a message below which it is not compressed.
        additional_headers: headers to add to the request, or to set instead of ours.
        user_agent_header: value of ``User-Agent``, None for none.
        preemptive_basic: whether to send the credentials of ``uri`` with the first request, as
            Basic; False waits to be asked, and gives them away in the clear over TLS only. The
            server's challenge for Digest is answered in either case; see docs/authentication.md.
        proxy: address of a proxy, True for the one that the system or the environment names,
            None to connect directly.
        proxy_ssl: TLS context for an ``https://`` proxy; a default one when None.
        proxy_server_hostname: name to expect in the proxy's certificate.
        process_exception: for ``for``: gets the exception of a failed attempt and returns None to
            try again, or an exception to raise.
        open_timeout: seconds for all of opening, redirects included, None for no limit.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the server when closing, None for ever.
        reconnect_delays: for ``for``: makes the delays between failed attempts, in seconds; when
            they come to an end, the exception of the last attempt is raised.
        max_size: largest message to accept, in bytes, or ``(message, fragment)``; None for any.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
        logger: logger of the connection, ``ropeway.client`` when None.
        create_connection: makes the connection instead of `ClientConnection`.
        kwargs: what :func:`socket.create_connection` takes: ``source_address``, ``timeout``,
            ``all_errors``, and ``address`` to lead the stream somewhere else than ``uri`` says.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when an option is out of its range or contradicts another one.
        TypeError: when an argument isn't known.
    """

    _connection: ClientConnection

    def __init__(
        self,
        uri: str,
        *,
        sock: socket.socket | None = None,
        ssl: SSLContext | None = None,
        server_hostname: str | None = None,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: str | None = "deflate",
        compression_threshold: int = 64,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        preemptive_basic: bool = True,
        proxy: str | Literal[True] | None = True,
        proxy_ssl: SSLContext | None = None,
        proxy_server_hostname: str | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        **kwargs: Unpack[StreamOptions],
    ) -> None:
        # Deprecated spellings come here, too, and what unix_reconnect() adds.
        others = cast(dict[str, Any], kwargs)
        additional_headers = modernize(others, additional_headers=additional_headers)
        named = {"sock": sock, "ssl": ssl, "server_hostname": server_hostname}
        proxied = {"proxy_ssl": proxy_ssl, "proxy_server_hostname": proxy_server_hostname}
        stream = _stream_arguments(others, **named, **proxied)
        options = ConnectOptions(
            uri=uri,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            compression_threshold=compression_threshold,
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
            preemptive_basic=preemptive_basic,
            proxy=proxy,
            process_exception=process_exception,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            reconnect_delays=reconnect_delays,
            max_size=max_size,
            max_queue=max_queue,
            logger=logger,
            create_connection=create_connection,
            stream=stream,
            override="host and port",  # an address has both
        )
        super().__init__(options, ClientConnection)

    def connect(self) -> ClientConnection:
        """Open a connection; the caller closes it.

        Raises:
            OSError: when the server cannot be reached.
            InvalidProxy: when the proxy has an invalid address.
            InvalidHandshake: when the opening handshake fails.
            TimeoutError: when opening takes longer than ``open_timeout``.
        """
        opener = Opener(self._make_connection, TimeLimit(self._asked.open_timeout))
        connection = cast(ClientConnection, opener.run(self._plan()))
        connection._start_keepalive()
        return connection

    def __enter__(self) -> ClientConnection:
        if hasattr(self, "_connection"):
            raise RuntimeError("connect() isn't reentrant")
        self._connection = self.connect()
        return self._connection.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        exc_traceback: TracebackType | None,
    ) -> None:
        try:
            self._connection.__exit__(exc_type, exc_value, exc_traceback)
        finally:
            del self._connection

    def __iter__(self) -> Iterator[ClientConnection]:
        reconnecting = self._reconnecting()
        while True:
            try:
                # No name for the connection: it would keep it until the next one is there.
                with self:
                    yield self._connection
            except Exception as exc:
                run(reconnecting.failed(exc), perform)
            else:
                reconnecting.succeeded()


@overload
def connect(
    uri: str,
    *,
    legacy: Literal[False],
    **kwargs: Unpack[ReconnectOptions],
) -> reconnect: ...


@overload
def connect(
    uri: str,
    *,
    legacy: Literal[True] | None = None,
    **kwargs: Unpack[ReconnectOptions],
) -> ClientConnection: ...


def connect(
    uri: str,
    *,
    legacy: bool | None = None,
    **kwargs: Unpack[ReconnectOptions],
) -> ClientConnection | reconnect:
    """Connect to the WebSocket server at ``uri``.

    Use it as ``with connect(uri) as connection``. Without ``with``, the caller closes the
    connection and says ``legacy=True``.

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
        legacy: True gives an open connection that need not be a context manager; False gives what
            `reconnect` gives; None gives an open connection, with a DeprecationWarning when it is
            used without ``with``.
        kwargs: those of `reconnect`, which says what each is for.

    Returns:
        An open connection, or a `reconnect` when ``legacy`` is False.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        InvalidProxy: when the proxy has an invalid address.
        ValueError: when an option is out of its range or contradicts another one.
        TypeError: when an argument isn't known.
        OSError: when the server cannot be reached.
        InvalidHandshake: when the opening handshake fails.
        TimeoutError: when opening takes longer than ``open_timeout``.
    """
    return _connect(reconnect(uri, **kwargs), legacy)


def _connect(connecter: reconnect, legacy: bool | None) -> ClientConnection | reconnect:
    if legacy is False:
        return connecter
    connection = connecter.connect()
    connection._unused = legacy is None
    return connection


@overload
def unix_connect(
    path: PathLike | None = None,
    uri: str | None = None,
    *,
    legacy: Literal[False],
    **kwargs: Unpack[ReconnectOptions],
) -> reconnect: ...


@overload
def unix_connect(
    path: PathLike | None = None,
    uri: str | None = None,
    *,
    legacy: Literal[True] | None = None,
    **kwargs: Unpack[ReconnectOptions],
) -> ClientConnection: ...


def unix_connect(
    path: PathLike | None = None,
    uri: str | None = None,
    *,
    legacy: bool | None = None,
    **kwargs: Unpack[ReconnectOptions],
) -> ClientConnection | reconnect:
    """Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket, unless ``sock`` is given.
        uri: URI to ask for; ``ws://localhost/``, or ``wss://localhost/`` with an ``ssl``.
        legacy: as in `connect`.
        kwargs: those of `connect`.

    Returns:
        What `connect` returns.

    Raises:
        Exception: as `connect`, and ValueError when not exactly one of ``path`` and ``sock`` is
            given.
    """
    return _connect(unix_reconnect(path, uri, **kwargs), legacy)


def unix_reconnect(
    path: PathLike | None = None, uri: str | None = None, **kwargs: Unpack[ReconnectOptions]
) -> reconnect:
    """Connect to a WebSocket server that listens on a Unix socket, again and again.

    Args:
        path: path of the socket, unless ``sock`` is given.
        uri: URI to ask for; ``ws://localhost/``, or ``wss://localhost/`` with an ``ssl``.
        kwargs: those of `reconnect`.

    Returns:
        What `reconnect` returns, to be used in the same two ways.

    Raises:
        ValueError: when not exactly one of ``path`` and ``sock`` is given.
    """
    sock = kwargs.get("sock")
    if path is None and sock is None:
        raise ValueError("missing path argument")
    if path is not None and sock is not None:
        raise ValueError("path is incompatible with sock")
    secure = kwargs.get("ssl") is not None or kwargs.get("ssl_context") is not None
    options: dict[str, Any] = {**kwargs, "unix": True, "path": path}
    return reconnect(unix_uri(uri, secure), **options)


KNOWN = {"all_errors", "path", "timeout", "unix"}


def _stream_arguments(kwargs: dict[str, Any], **named: Any) -> dict[str, Any]:
    """Give what the stream is opened with, by the names that a plan has for it."""
    if "ssl_context" in kwargs:
        warnings.warn("ssl_context is deprecated; use ssl", DeprecationWarning, stacklevel=4)
        context = kwargs.pop("ssl_context")
        named["ssl"] = named["ssl"] or context
    stream = {name: value for name, value in named.items() if value is not None}
    if "address" in kwargs:
        stream["host"], stream["port"] = kwargs.pop("address")
    if "source_address" in kwargs:
        stream["local_addr"] = kwargs.pop("source_address")
    for name in kwargs:
        if name not in KNOWN:
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}")
    return {**stream, **kwargs}
