"""The asyncio client: ``connect`` and the connection that it gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Literal

from .._core.retry import backoff, process_exception
from .._opening.connecter import Connecter, unix_uri
from .._opening.coroutines import run
from .._opening.options import ConnectOptions, modernize
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
        protocol: the sans-I/O connection.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the other end when closing, None for ever.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
        write_limit: bytes that wait to be sent before `send` waits, or ``(high, low)``.
    """

    protocol: ClientProtocol

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int | None, int | None] | None = 2**15,
    ) -> None:
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
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
        await self._wait_opening()
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

        connection = await connect(uri)  # the caller closes it

        async for connection in connect(uri):  # connects again, whenever the body ends
            try:
                ...
            except ConnectionClosed:
                continue

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
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
        process_exception: for ``async for``: gets the exception of a failed attempt and returns
            None to try again, or an exception to raise.
        open_timeout: seconds for all of opening, redirects included, None for no limit.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds to wait for the server when closing, None for ever.
        reconnect_delays: for ``async for``: makes the delays between failed attempts, in
            seconds; when they come to an end, the exception of the last attempt is raised.
        max_size: largest message to accept, in bytes, or ``(message, fragment)``; None for any.
        max_queue: frames that wait for `recv` before reading pauses, or ``(high, low)``.
        write_limit: bytes that wait to be sent before `send` waits, or ``(high, low)``.
        logger: logger of the connection, ``ropeway.client`` when None.
        create_connection: makes the connection instead of `ClientConnection`.
        kwargs: what ``loop.create_connection`` takes: ``sock``, ``ssl``, ``server_hostname``,
            ``local_addr``, ``happy_eyeballs_delay`` …; ``host`` and ``port`` lead the stream
            somewhere else than ``uri`` says. With an HTTP or HTTPS proxy, TLS options are about
            the server and those whose names start with ``proxy_`` about the proxy.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        InvalidProxy: when the proxy has an invalid address.
        ValueError: when an option is out of its range or contradicts another one.
        OSError: when the server cannot be reached.
        InvalidHandshake: when the opening handshake fails.
        TimeoutError: when opening takes longer than ``open_timeout``.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: str | None = "deflate",
        compression_threshold: int = 64,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        preemptive_basic: bool = True,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int | None, int | None] | None = 2**15,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        additional_headers = modernize(kwargs, additional_headers=additional_headers)
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
            write_limit=write_limit,
            logger=logger,
            create_connection=create_connection,
            stream=kwargs,
        )
        super().__init__(options, ClientConnection)
        self._entered = False
        self._connection: ClientConnection

    async def connect(self) -> ClientConnection:
        """Open a connection; ``await connect(…)`` calls this.

        Raises:
            OSError: when the server cannot be reached.
            InvalidProxy: when the proxy has an invalid address.
            InvalidHandshake: when the opening handshake fails.
            TimeoutError: when opening takes longer than ``open_timeout``.
        """
        try:
            async with asyncio.timeout(self._asked.open_timeout):
                connection = await Opener(self._make_connection).run(self._plan())
        except TimeoutError as exc:
            raise TimeoutError("timed out during opening handshake") from exc
        connection._start_keepalive()
        return connection  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._entered:
            raise RuntimeError("connect() isn't reentrant")
        self._entered = True
        try:
            self._connection = await self
        except BaseException:
            self._entered = False
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
            self._entered = False

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        reconnecting = self._reconnecting()
        while True:
            try:
                # No name for the connection: it would keep it until the next one is there.
                async with self:
                    yield self._connection
            except Exception as exc:
                await run(reconnecting.failed(exc), perform)
            else:
                reconnecting.succeeded()


def unix_connect(path: PathLike | None = None, uri: str | None = None, **kwargs: Any) -> connect:
    """Connect to a WebSocket server that listens on a Unix socket.

    Args:
        path: path of the socket, unless ``sock`` is given.
        uri: URI to ask for; ``ws://localhost/``, or ``wss://localhost/`` with an ``ssl``.
        kwargs: those of `connect`.

    Returns:
        What `connect` returns, to be used in the same three ways.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when an option is out of its range or contradicts another one.
    """
    uri = unix_uri(uri, kwargs.get("ssl") is not None)
    return connect(uri, unix=True, path=path, **kwargs)
