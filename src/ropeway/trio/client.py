"""The client for trio: ``connect`` and the connection that it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self, cast

import trio

from .._core.retry import backoff, process_exception
from .._opening.connecter import Connecter, unix_uri
from .._opening.coroutines import run
from .._opening.options import ConnectOptions
from .._opening.reconnecting import Reconnecting
from .._opening.requesting import prepare_request
from ..client import ClientProtocol
from ..datastructures import HeadersLike
from ..extensions.base import ClientExtensionFactory
from ..http11 import USER_AGENT, Request
from ..typing import LoggerLike, Origin, PathLike, Subprotocol
from .connection import Connection
from .running import Opener, perform

__all__ = ["ClientConnection", "connect", "unix_connect"]


class ClientConnection(Connection):
    """The client's end of a WebSocket connection, as `connect` gives it.

    ``async for message in connection`` receives messages; it ends when the connection is closed
    with code 1000, 1001 or none, and raises `ConnectionClosedError` for any other.

    Args:
        nursery: where the tasks of the connection run.
        stream: connected stream.
        protocol: the sans-I/O connection.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the other end when closing, None for ever.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
    """

    protocol: ClientProtocol

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        super().__init__(
            nursery,
            stream,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    async def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        """Perform the client's half of the opening handshake (RFC 6455, section 4.1).

        Args:
            additional_headers: headers to add to the request; one that the request has by itself
                (``Host``, ``Origin`` …) is replaced.
            user_agent_header: value of ``User-Agent``, None for none.

        Raises:
            InvalidHandshake: when the server refuses or does not make sense.
        """
        self.request: Request | None = prepare_request(
            self.protocol, additional_headers, user_agent_header
        )
        self.protocol.send_request(self.request)
        self._flush()
        await self._opened.wait()
        if self.protocol.handshake_exc is not None:
            try:
                raise self.protocol.handshake_exc
            finally:
                # The protocol keeps the exception, which keeps this frame: end the cycle here.
                del self


class connect(Connecter):  # noqa: N801 - it is called like a function
    """Connect to the WebSocket server at ``uri``.

    Use it in one of three ways::

        async with connect(uri) as connection:  # closes the connection at the end
            ...

        connection = await connect(uri).connect(nursery)  # lives in a nursery of the caller's

        async for connection in connect(uri):  # connects again, whenever the body ends
            try:
                ...
            except ConnectionClosed:
                continue

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
        stream: connected stream to use instead of opening one.
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
        process_exception: for ``async for``: gets the exception of a failed attempt and returns
            None to try again, or an exception to raise.
        open_timeout: seconds for all of opening, redirects included, None for no limit.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the server when closing, None for ever.
        reconnect_delays: for ``async for``: makes the delays between failed attempts, in seconds;
            when they come to an end, the exception of the last attempt is raised.
        max_size: largest message to accept, in bytes, or ``(message, fragment)``; None for any.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
        logger: logger of the connection, ``ropeway.client`` when None.
        create_connection: makes the connection instead of `ClientConnection`.
        kwargs: what :func:`trio.open_tcp_stream` takes, ``host`` and ``port`` to lead the stream
            somewhere else than ``uri`` says included.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when an option is out of its range or contradicts another one.
        TypeError: when an option has the wrong type.
    """

    _connection: ClientConnection
    _home: AbstractAsyncContextManager[trio.Nursery]
    _nursery: trio.Nursery

    def __init__(
        self,
        uri: str,
        *,
        stream: trio.abc.Stream | None = None,
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
        **kwargs: Any,
    ) -> None:
        given: dict[str, Any] = {"sock": stream, "ssl": ssl, "server_hostname": server_hostname}
        given |= {"proxy_ssl": proxy_ssl, "proxy_server_hostname": proxy_server_hostname}
        kwargs |= {name: value for name, value in given.items() if value is not None}
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
            stream=kwargs,
            carrier="stream",
        )
        super().__init__(options, ClientConnection)

    async def connect(self, nursery: trio.Nursery) -> ClientConnection:
        """Open a connection; the caller closes it.

        Args:
            nursery: where the tasks of the connection run; they end with the connection.

        Raises:
            OSError: when the server cannot be reached.
            InvalidProxy: when the proxy has an invalid address.
            InvalidHandshake: when the opening handshake fails.
            TimeoutError: when opening takes longer than ``open_timeout``.
        """

        def make_connection(uri: Any, stream: trio.abc.Stream) -> Any:
            return self._make_connection(uri, nursery, stream)

        seconds = self._asked.open_timeout
        with trio.move_on_after(math.inf if seconds is None else seconds):
            connection = await Opener(make_connection).run(self._plan())
            connection._start_keepalive()
            return cast(ClientConnection, connection)
        raise TimeoutError("timed out during opening handshake")

    async def __aenter__(self) -> ClientConnection:
        if hasattr(self, "_home"):
            raise RuntimeError("connect() isn't reentrant")
        self._home = trio.open_nursery()
        self._nursery = await self._home.__aenter__()
        try:
            self._connection = await self.connect(self._nursery)
        except BaseException:
            await self._leave()
            raise
        return await self._connection.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._connection.__aexit__(exc_type, exc_value, traceback)
        finally:
            del self._connection
            await self._leave()

    async def _leave(self) -> None:
        """Wait for the tasks of a connection that is over, in a nursery of no interest to others.

        It is not told of the caller's exception, of which it would make a group. A cancellation
        from outside ends its tasks, too, and would make another group of what they raise: the
        shield lets the nursery take it for its own.
        """
        home, nursery = self._home, self._nursery
        del self._home, self._nursery
        nursery.cancel_scope.shield = True
        nursery.cancel_scope.cancel()
        await home.__aexit__(None, None, None)

    def __aiter__(self) -> Reconnections:
        return Reconnections(self, self._reconnecting())


class Reconnections:
    """Iterates over connections, each of which is closed when the next one is asked for.

    A generator that holds a nursery open while it waits in a ``yield`` breaks trio's rules, so the
    tasks of these connections belong to no nursery of the caller's; trio ends them at the end of
    its run, and they end with the connection before.
    """

    def __init__(self, connecter: connect, reconnecting: Reconnecting) -> None:
        self._connecter = connecter
        self._reconnecting = reconnecting
        self._connection: ClientConnection | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClientConnection:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.aclose()
            finally:
                del connection
            self._reconnecting.succeeded()
        while True:
            try:
                self._connection = await self._connecter.connect(cast(trio.Nursery, _System()))
            except Exception as exc:
                await run(self._reconnecting.failed(exc), perform)
            else:
                return self._connection

    def __del__(self) -> None:
        # Who leaves the loop is done with the connection.
        if self._connection is not None:
            self._connection.abort()


class _System:
    """The nursery of trio's own tasks."""

    def start_soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        trio.lowlevel.spawn_system_task(function, *arguments)


def unix_connect(path: PathLike | None = None, uri: str | None = None, **kwargs: Any) -> connect:
    """Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket, unless ``stream`` is given.
        uri: URI to ask for; ``ws://localhost/``, or ``wss://localhost/`` with an ``ssl``.
        kwargs: those of `connect`.

    Returns:
        What `connect` returns, to be used in the same three ways.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when an option is out of its range or contradicts another one, or when not
            exactly one of ``path`` and ``stream`` is given.
    """
    stream = kwargs.get("stream")
    if path is None and stream is None:
        raise ValueError("missing path argument")
    if path is not None and stream is not None:
        raise ValueError("path and stream arguments are incompatible")
    uri = unix_uri(uri, kwargs.get("ssl") is not None)
    return connect(uri, unix=True, path=path, **kwargs)
