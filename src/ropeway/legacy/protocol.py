"""What clients and servers of the legacy API have in common: the connection."""

from __future__ import annotations

import asyncio
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Generic, Self, TypeVar, cast, overload

from .._core.logs import default_logger
from ..asyncio.connection import Connection
from ..asyncio.server import broadcast as send_to_all
from ..datastructures import Headers
from ..exceptions import ConnectionClosed, InvalidState
from ..extensions import Extension
from ..frames import Close, CloseCode
from ..protocol import Protocol, Side, State
from ..typing import Data, DataLike, LoggerLike, Origin, Subprotocol

__all__ = ["WebSocketCommonProtocol", "broadcast"]

T = TypeVar("T")

CLOSE_TIMEOUT = 10.0
"""Seconds that closing may take when neither the old nor the new argument says."""


class Settable(Generic[T]):
    """An attribute that is computed until a program sets it.

    The classes of websockets kept these in plain attributes, and subclasses assign to them, some
    of them before they call ``__init__``.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object, owner: type | None = None) -> T | Self:
        if instance is None:
            return self
        try:
            return cast(T, vars(instance)[self._name])
        except KeyError:
            return self._compute(instance)

    def __set__(self, instance: object, value: T) -> None:
        vars(instance)[self._name] = value


class WebSocketCommonProtocol(Connection):
    """A connection of the legacy API; use the classes of ``client`` and ``server``.

    Args:
        logger: logger of the connection.
        ping_interval: seconds between keepalive pings, None for none.
        ping_timeout: seconds to wait for an answer to them, None for ever.
        close_timeout: seconds that the closing handshake may take; 10 when None.
        max_size: largest message to accept, in bytes; None for any.
        max_queue: messages that wait for ``recv`` before reading pauses; None for any number.
        read_limit: no effect; ``max_queue`` limits what is received ahead.
        write_limit: bytes that wait to be sent before ``send`` waits.
        host: deprecated; see ``remote_address``.
        port: deprecated; see ``remote_address``.
        secure: deprecated; whether TLS is used.
        legacy_recv: let ``recv`` return None when the connection is closed.
        loop: no effect; the running loop is used.
        timeout: old name of ``close_timeout``.
    """

    is_client: bool
    side: str = "undefined"
    _extensions: list[Extension] | None = None

    def __init__(
        self,
        *,
        logger: LoggerLike | None = None,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = None,
        max_size: int | None = 2**20,
        max_queue: int | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int = 2**16,
        host: str | None = None,
        port: int | None = None,
        secure: bool | None = None,
        legacy_recv: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout: float | None = None,
    ) -> None:
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.close_timeout: float = closing_timeout(close_timeout, timeout)
        self.max_size = max_size
        self.max_queue = max_queue
        self.read_limit = read_limit
        self.write_limit = write_limit
        self.legacy_recv = legacy_recv
        self._host = host
        self._port = port
        self._secure = secure
        super().__init__(
            self._make_protocol(logger),
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=self.close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self.loop = asyncio.get_running_loop()
        self.logger = self.protocol.logger
        self.path: str
        self.request_headers: Headers
        self.response_headers: Headers
        self._connection_lost: asyncio.Future[None] | None = None
        self._transferring: asyncio.Future[None] | None = None
        self._closing_connection: asyncio.Future[None] | None = None
        if legacy_recv:
            vars(self)["recv"] = self._recv_or_none

    def _make_protocol(self, logger: LoggerLike | None) -> Protocol:
        """Make the sans-I/O connection; each side has its own."""
        side = Side.CLIENT if getattr(self, "is_client", False) else Side.SERVER
        return Protocol(side, state=State.CONNECTING, max_size=self.max_size, logger=logger)

    # Attributes that subclasses may set

    @Settable
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute 'loop' yet")

    @Settable
    def logger(self) -> LoggerLike:
        """Logger of the connection."""
        return default_logger("server")

    @Settable
    def id(self) -> uuid.UUID:
        """Unique identifier of the connection, for logs."""
        return self.protocol.id

    @Settable
    def latency(self) -> float:
        """Latest measured round-trip time, in seconds; 0.0 before the first measurement."""
        return self.protocol.keepalive.latency

    @Settable
    def stats(self) -> Any:
        """Snapshot of what was counted on this connection."""
        return self.protocol.stats()

    @Settable
    def origin(self) -> Origin | None:
        """Value of the Origin header."""
        return self.protocol.origin

    @Settable
    def subprotocol(self) -> Subprotocol | None:
        """Subprotocol that was negotiated, if any."""
        return self.protocol.subprotocol

    @property
    def extensions(self) -> list[Extension]:
        """Extensions that were negotiated, in the order in which they encode."""
        return self.protocol.extensions

    @extensions.setter
    def extensions(self, extensions: list[Extension]) -> None:
        self.protocol.extensions = extensions

    @property
    def transport(self) -> asyncio.Transport:
        """The transport; what was sent and waits to be joined goes out before it is given."""
        return super().transport

    @transport.setter
    def transport(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    # Attributes

    @property
    def host(self) -> str | None:
        """Deprecated: use ``remote_address``."""
        warnings.warn(f"use {self._address}[0] instead of host", DeprecationWarning, stacklevel=2)
        return self._host

    @property
    def port(self) -> int | None:
        """Deprecated: use ``remote_address``."""
        warnings.warn(f"use {self._address}[1] instead of port", DeprecationWarning, stacklevel=2)
        return self._port

    @property
    def _address(self) -> str:
        return "remote_address" if self.is_client else "local_address"

    @property
    def secure(self) -> bool | None:
        """Deprecated: the program knows whether it uses TLS."""
        warnings.warn("don't use secure", DeprecationWarning, stacklevel=2)
        return self._secure

    @property
    def local_address(self) -> Any:
        """Our address, as :meth:`socket.socket.getsockname` gives it; None before there is one."""
        return None if self._has_no_transport() else super().local_address

    @property
    def remote_address(self) -> Any:
        """The peer's address, as :meth:`socket.socket.getpeername` gives it; None before."""
        return None if self._has_no_transport() else super().remote_address

    def _has_no_transport(self) -> bool:
        return getattr(self, "_transport", None) is None

    @property
    def open(self) -> bool:
        """Whether messages can be sent; rather than look at it, handle ConnectionClosed."""
        return self.protocol.state is State.OPEN

    @property
    def closed(self) -> bool:
        """Whether the connection is closed; while it is closing, neither this nor ``open``."""
        return self.protocol.state is State.CLOSED

    @property
    def debug(self) -> bool:
        """Whether the logger takes frames."""
        return self.protocol.debug

    @property
    def close_rcvd(self) -> Close | None:
        """Close frame that the peer sent, if any."""
        return self.protocol.closing.rcvd

    @property
    def close_sent(self) -> Close | None:
        """Close frame that we sent, if any."""
        return self.protocol.closing.sent

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came first; None unless both are there."""
        return self.protocol.closing.rcvd_then_sent

    @property
    def messages(self) -> deque[Data]:
        """Messages that were received and not taken yet; a copy."""
        taken = (item for item in self._inbox.items if isinstance(item, str | bytes))
        return deque(taken)

    @property
    def pings(self) -> Mapping[bytes, object]:
        """Payloads of the pings that wait for their pong."""
        return self.protocol.keepalive.pings

    # The end, as subclasses and their friends look at it

    @property
    def transfer_data_exc(self) -> BaseException | None:
        """What broke the connection; None while it is open, or when it was closed properly."""
        return self.close_exc.__cause__ if self.closed else None

    @property
    def transfer_data_task(self) -> asyncio.Future[None]:
        """What is done when no more data will be received; it has no exception."""
        if self._transferring is None:
            self._transferring = self._ending(self.transfer_data)
        return self._transferring

    async def transfer_data(self) -> None:
        """Wait until no more data will be received, whatever the reason."""
        await self._wait_lost()

    @property
    def close_connection_task(self) -> asyncio.Future[None]:
        """What is done when the connection is over."""
        if self._closing_connection is None:
            self._closing_connection = self._ending(self.close_connection)
        return self._closing_connection

    async def close_connection(self) -> None:
        """Wait until the connection is over."""
        await self._wait_lost()

    def _ending(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Future[None]:
        """Make a task for those who look at one, which few do; done at once when all is over."""
        if not self._is_lost:
            return self.loop.create_task(wait())
        over = self.loop.create_future()
        over.set_result(None)
        return over

    @property
    def connection_lost_waiter(self) -> asyncio.Future[None]:
        """A future that is done when the transport is gone."""
        if self._connection_lost is None:
            self._connection_lost = self._lost_future()
        return self._connection_lost

    def connection_open(self) -> None:
        """Be told that the opening handshake is over, before the first message."""

    def connection_closed_exc(self) -> ConnectionClosed:
        """Make the exception that says how the connection ended.

        Raises:
            AssertionError: when it hasn't ended.
        """
        return self.close_exc

    async def ensure_open(self) -> None:
        """Do nothing on an open connection.

        Raises:
            ConnectionClosed: when the connection is closed, once it is.
            InvalidState: when the opening handshake isn't over.
        """
        if self.protocol.state is State.CONNECTING:
            raise InvalidState("connection is connecting")
        if self.protocol.state is not State.OPEN:
            await self._raise_closed()

    def fail_connection(
        self, code: CloseCode | int = CloseCode.ABNORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """End the connection at once, with a close frame where one can be sent.

        Args:
            code: close code; 1006 sends no close frame.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.
        """
        if self.protocol.state is State.CONNECTING:
            self.abort()
        elif self.protocol.state is not State.CLOSED:
            self.protocol.fail(code, reason)
            self._deliver()

    # Receiving

    async def _recv_or_none(self) -> Data | None:
        try:
            return await type(self).recv(self)
        except ConnectionClosed:
            return None


def broadcast(
    websockets: Iterable[WebSocketCommonProtocol], message: DataLike, raise_exceptions: bool = False
) -> None:
    """Send a message to many connections, without waiting for any.

    Args:
        websockets: to whom; those that aren't open are skipped.
        message: str for a text message, bytes-like for a binary one.
        raise_exceptions: raise failures, instead of logging them as warnings.

    Raises:
        TypeError: when the message is neither str nor bytes-like.
        ExceptionGroup: with the failures, once all others have been served.
    """
    send_to_all(websockets, message, raise_exceptions=raise_exceptions)


def closing_timeout(close_timeout: float | None, timeout: float | None) -> float:
    """Choose among the new and the old argument for the seconds that closing may take."""
    if close_timeout is not None:
        return close_timeout
    return CLOSE_TIMEOUT if timeout is None else timeout


def take_deprecated(arguments: dict[str, Any], create_protocol: Any, close_timeout: Any) -> Any:
    """Take the arguments of old versions out of ``arguments``, with a warning for each.

    Args:
        arguments: keyword arguments that have no parameter of their own; changed in place.
        create_protocol: what the caller gave by the new name of ``klass``.
        close_timeout: what the caller gave by the new name of ``timeout``.

    Returns:
        What makes the protocol, None for the default; seconds that closing may take; whether
        ``recv`` is to return None at the end.
    """
    klass = arguments.pop("klass", None)
    if klass is not None:
        _warn("rename klass to create_protocol")
    timeout = arguments.pop("timeout", None)
    if timeout is not None:
        _warn("rename timeout to close_timeout")
    if arguments.pop("loop", None) is not None:
        _warn("remove loop argument")
    legacy_recv = arguments.pop("legacy_recv", False)
    if legacy_recv:
        _warn("legacy_recv is deprecated; handle ConnectionClosed")
    return create_protocol or klass, closing_timeout(close_timeout, timeout), legacy_recv


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=4)
