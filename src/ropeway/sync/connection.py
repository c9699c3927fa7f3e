"""A connection for threads: what its users call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from .._core.states import OP_CONT, OP_PONG, OPEN
from .._driving import json
from .._driving.attributes import Attributes, control_payload
from .._driving.fragments import Parts
from .._moved import Moved, resolver
from ..exceptions import ConnectionClosedOK
from ..frames import CloseCode
from ..protocol import Protocol
from ..typing import Data, DataLike
from .link import Link
from .waiting import LOSS, NEVER, PONG

__all__ = ["Connection"]


class Pong(threading.Event):
    """An event that is set when the pong to a ping arrives.

    Waiting for it reads the connection, if no other thread does.

    Attributes:
        latency: round-trip time in seconds; None until it is known.

    """

    latency: float | None = None

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the pong.

        Args:
            timeout: seconds to wait; None for any time.

        Returns:
            Whether it is there; False when it didn't come in time, or the connection ended first.

        """
        self._link._wait_for(PONG, self, NEVER if timeout is None else monotonic() + timeout)
        return self.is_set()

    def answer(self, latency: float) -> None:
        """Take the pong."""
        self.latency = latency
        self.set()


class Connection(Attributes, Link):
    """A WebSocket connection for threads, client's or server's.

    One thread may receive and any number may send at the same time; any thread may close it.
    Iterating gives messages until the connection is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        """Make a connection.

        Args:
            sock: connected stream socket, which belongs to the connection from now on.
            protocol: sans-I/O connection.
            ping_interval: seconds between keepalive pings; None for no keepalive.
            ping_timeout: seconds of silence after a ping that fail the connection; None for never.
            close_timeout: seconds that the closing handshake may take; None for any.
            max_queue: high water mark of the receive queue, in frames, or a pair of marks.

        """
        super().__init__(
            sock,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    # Attributes

    @property
    def socket(self) -> socket.socket:
        """The socket, for its options; it must not be read or written to."""
        return self._sock

    @property
    def ssl_object(self) -> Any:
        """The :class:`ssl.SSLObject` of the connection, for its certificates; None without TLS."""
        return None if self._tls is None else self._tls.object

    @property
    def local_address(self) -> Any:
        """Our address, as :meth:`socket.socket.getsockname` gives it."""
        return self._ask_addresses()[0]

    @property
    def remote_address(self) -> Any:
        """The peer's address, as :meth:`socket.socket.getpeername` gives it."""
        return self._ask_addresses()[1]

    # Context and iteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR
        self.close(code)

    def __iter__(self) -> Iterator[Data]:
        """Give messages until the connection is closed.

        The iterator raises ConnectionClosedError when the connection is closed with an error.
        """
        recv = self._recv if type(self).recv is Connection.recv else None
        try:
            while True:
                yield self.recv() if recv is None else recv(None, None)
        except ConnectionClosedOK:
            return

    # Receiving

    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...

    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...

    @overload
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data: ...

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """Receive the next message.

        Messages that came before the connection was closed can still be received.

        Args:
            timeout: seconds to wait; None for any time, 0 for none.
            decode: True gives str, False gives bytes, whatever the message is; None gives str for
                a text message and bytes for a binary one.

        Returns:
            The message.

        Raises:
            ConnectionClosed: when the connection is closed and no message is left.
            TimeoutError: when no message came in time; none is lost.
            ConcurrencyError: when another thread is receiving.

        """
        return self._recv(timeout, decode)

    def recv_json(self, *, timeout: float | None = None) -> Any:
        """Receive the next message and parse it as JSON.

        Args:
            timeout: seconds to wait; None for any time.

        Returns:
            What the JSON says.

        Raises:
            ValueError: when the message isn't JSON; the connection stays open.
            ConnectionClosed: as :meth:`recv`.
            TimeoutError: as :meth:`recv`.
            ConcurrencyError: as :meth:`recv`.

        """
        return json.loads(self.recv(timeout))

    @overload
    def recv_streaming(self, decode: Literal[True]) -> Iterator[str]: ...

    @overload
    def recv_streaming(self, decode: Literal[False]) -> Iterator[bytes]: ...

    @overload
    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]: ...

    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]:
        """Receive the next message fragment by fragment.

        The iterator must be exhausted; until then, nothing else can be received. When fragments
        arrive much faster than they are taken, several may come as one.

        Args:
            decode: True gives str, False gives bytes; None goes by the kind of message.

        Yields:
            The fragments, as they arrive.

        Raises:
            ConnectionClosed: when the connection is closed before the message is complete.
            ConcurrencyError: when another thread is receiving.

        """
        stream = self._begin_stream(decode)
        try:
            while not stream.finished:
                yield self._recv_fragment()
        finally:
            self._end_stream(stream)

    # Sending

    def send(
        self,
        message: DataLike | Iterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a message; returns once the system has taken it.

        Args:
            message: str for a text message, bytes-like for a binary one; an iterable of either
                sends each item as a fragment of one message.
            text: True sends bytes as text, False sends str as binary.
            compress: True or False decides for this message; None compresses from
                ``compression_threshold`` bytes on.

        Raises:
            ConnectionClosed: when the connection is closed.
            ConcurrencyError: when another thread is sending a fragmented message.
            TypeError: when the message is of another type.
            UnicodeError: when what is sent as text can't be UTF-8.

        """
        if not self._send(message, text, compress):
            self._send_parts(message, text, compress)

    def _send_parts(self, parts: Any, text: bool | None, compress: bool | None) -> None:
        if isinstance(parts, Mapping):
            raise TypeError("data is a dict-like object")
        if not isinstance(parts, Iterable):
            raise TypeError("data must be str, bytes, or iterable")
        items = iter(parts)
        try:
            first = next(items)
        except StopIteration:
            return
        self._begin_fragments()
        try:
            kind = Parts(first, "iterable", text)
            self._send_fragment(kind.opcode, first, False, compress)
            for part in items:
                kind.check(part)
                self._send_fragment(OP_CONT, part, False, compress)
            # Only now is it known that the part before was the last.
            self._send_fragment(OP_CONT, b"", True, compress)
        except BaseException:
            self._fail_fragments()
            raise

    def send_json(self, value: Any, *, compress: bool | None = None) -> None:
        """Send a value as JSON, in a text message.

        Args:
            value: what :func:`json.dumps` takes, or orjson where it is installed.
            compress: as in :meth:`send`.

        Raises:
            TypeError: when the value can't be JSON.
            ValueError: without orjson, when the value contains itself or a lone surrogate.
            ConnectionClosed: when the connection is closed.

        """
        self.send(json.dumps(value), text=True, compress=compress)

    # Closing

    def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until it is over; does nothing when it is closed.

        Threads that receive from it or wait for it are woken.

        Args:
            code: close code (RFC 6455 section 7.4).
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.

        """
        if self._unused:
            self._warn_of_use()
        self._start_closing(code, reason)
        self._wait_for(LOSS, None, NEVER)

    def _start_closing(self, code: CloseCode | int, reason: str) -> None:
        """Send a close frame, if the connection is open; the keeper sees to the rest."""
        with self._lock:
            if self.protocol.state is OPEN:
                if self._fragmenting:
                    self.protocol.fail(CloseCode.INTERNAL_ERROR, "close during fragmented message")
                else:
                    self.protocol.send_close(code, reason)
                self._deliver()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed, whoever closes it.

        Args:
            timeout: seconds to wait; None for any time.

        Returns:
            Whether it is closed.

        """
        return self._wait_for(LOSS, None, NEVER if timeout is None else monotonic() + timeout)

    # Pings

    def ping(self, data: DataLike | None = None, *, ack_on_close: bool = False) -> Pong:
        """Send a ping (RFC 6455 section 5.5.2).

        Args:
            data: payload, at most 125 bytes; None for four random bytes.
            ack_on_close: set the event when the connection is closed first, too.

        Returns:
            An event that is set when the pong is there; its ``latency`` is the round-trip time.

        Raises:
            ConnectionClosed: when the connection is closed.
            ConcurrencyError: when a ping with the same payload still waits for its pong.
            ProtocolError: when the payload is too long.

        """
        if self._unused:
            self._warn_of_use()
        payload = None if data is None else control_payload(data)
        with self._lock:
            if self.protocol.state is not OPEN:
                self._raise_closed()
            keepalive = self.protocol.keepalive
            pong = Pong(self)
            payload = keepalive.add(payload, (pong, ack_on_close), monotonic())
            try:
                self.protocol.send_ping(payload)
            except Exception:
                del keepalive.pings[payload]
                raise
            self._flush()
            self._drain()
        return pong

    def pong(self, data: DataLike = b"") -> None:
        """Send a pong that no ping asked for (RFC 6455 section 5.5.3).

        Args:
            data: payload, at most 125 bytes.

        Raises:
            ConnectionClosed: when the connection is closed.
            ProtocolError: when the payload is too long.

        """
        if self._unused:
            self._warn_of_use()
        payload = control_payload(data)
        with self._lock:
            if self.protocol.state is not OPEN:
                self._raise_closed()
            self.protocol.send_control(OP_PONG, payload)
            self._flush()
            self._drain()


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__, {"broadcast": Moved("sync.server", "ropeway.sync.server.broadcast")}
    )
