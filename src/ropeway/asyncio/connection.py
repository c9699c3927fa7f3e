"""A connection on asyncio: what its users call."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Coroutine,
    Iterable,
    Mapping,
)
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from .._core.guard import admit
from .._core.states import OP_BINARY, OP_CONT, OP_PONG, OP_TEXT, OPEN
from .._driving import json
from .._driving.attributes import Attributes, control_payload, size_of
from .._driving.fragments import Asynchronous
from .._driving.streaming import Streaming
from .._moved import Moved, resolver
from ..exceptions import ConnectionClosedOK
from ..frames import CloseCode
from ..protocol import Protocol
from ..typing import BytesLike, Data, DataLike
from .operations import Messages, make_receive, make_send
from .waiting import Waiting

__all__ = ["Connection"]


class Connection(Attributes, Streaming, Waiting, asyncio.BufferedProtocol):
    """A WebSocket connection on asyncio, client's or server's.

    One task may receive and any number may send at the same time. Iterating gives messages until
    the connection is closed.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int | None, int | None] | None = 2**15,
    ) -> None:
        """Make a connection; the transport comes with ``connection_made()``.

        Args:
            protocol: sans-I/O connection.
            ping_interval: seconds between keepalive pings; None for no keepalive.
            ping_timeout: seconds of silence after a ping that fail the connection; None for never.
            close_timeout: seconds that the closing handshake may take; None for any.
            max_queue: high water mark of the receive queue, in frames, or a pair of marks.
            write_limit: high water mark of the write buffer, in bytes, or a pair of marks.

        """
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )

    # Attributes

    @property
    def local_address(self) -> Any:
        """Our address, as :meth:`socket.socket.getsockname` gives it."""
        return self._transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's address, as :meth:`socket.socket.getpeername` gives it."""
        return self._transport.get_extra_info("peername")

    # Context and iteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR
        await self.close(code)

    def __aiter__(self) -> AsyncIterator[Data]:
        """Give messages until the connection is closed.

        The iterator raises ConnectionClosedError when the connection is closed with an error.
        """
        if type(self).recv is Connection.recv:
            return Messages(self)
        return _Received(self)

    # Receiving

    @overload
    def recv(
        self, decode: Literal[True], *, timeout: float | None = None
    ) -> Coroutine[Any, Any, str]: ...

    @overload
    def recv(
        self, decode: Literal[False], *, timeout: float | None = None
    ) -> Coroutine[Any, Any, bytes]: ...

    @overload
    def recv(
        self, decode: bool | None = None, *, timeout: float | None = None
    ) -> Coroutine[Any, Any, Data]: ...

    def recv(
        self, decode: bool | None = None, *, timeout: float | None = None
    ) -> Coroutine[Any, Any, Data]:
        """Receive the next message.

        Cancelling it is safe: the message stays for the next call. Messages that came before the
        connection was closed can still be received.

        Args:
            decode: True gives str, False gives bytes, whatever the message is; None gives str for
                a text message and bytes for a binary one.
            timeout: seconds to wait; None for any time.

        Returns:
            The message.

        Raises:
            ConnectionClosed: when the connection is closed and no message is left.
            TimeoutError: when no message came in time; none is lost.
            ConcurrencyError: when another task is receiving.

        """
        if timeout is not None:
            return self._recv_within(decode, timeout)
        return make_receive(self, decode, False)

    async def _recv_within(self, decode: bool | None, timeout: float) -> Data:
        async with asyncio.timeout(timeout):
            return cast(Data, await make_receive(self, decode, False))

    async def recv_json(self, *, timeout: float | None = None) -> Any:
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
        return json.loads(await self.recv(timeout=timeout))

    # Sending

    def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Send a message; returns once it is in the write buffer, with room left.

        Rather than cancel it, close the connection: in a fragmented message, cancelling fails the
        connection, since half a message can't be taken back.

        Args:
            message: str for a text message, bytes-like for a binary one; an iterable of either, or
                an asynchronous one, sends each item as a fragment of one message.
            text: True sends bytes as text, False sends str as binary.
            compress: True or False decides for this message; None compresses from
                ``compression_threshold`` bytes on.

        Raises:
            ConnectionClosed: when the connection is closed.
            TypeError: when the message is of another type.
            UnicodeError: when what is sent as text can't be UTF-8.

        """
        return make_send(self, message, text, compress)

    async def _send_later(self, opcode: int, message: DataLike, compress: bool | None) -> None:
        """Send a message once no fragmented one is being sent."""
        while self._fragmenting is not None:
            await asyncio.shield(self._fragmenting)
        if self._choking and self.protocol.state is OPEN and not self._may_send(message):
            if self.protocol.state is OPEN:
                # Who sends without end, and never waits, must not hold up the loop.
                await asyncio.sleep(0)
                return
            self._deliver()
        await self._send_frame(opcode, message, True, compress)

    def _may_send(self, message: DataLike) -> bool:
        return admit(self.protocol, None, size_of(message), self._buffered(), monotonic())

    async def _send_parts(
        self,
        parts: Iterable[DataLike] | AsyncIterable[DataLike],
        text: bool | None,
        compress: bool | None,
    ) -> None:
        while self._fragmenting is not None:
            await asyncio.shield(self._fragmenting)
        if isinstance(parts, Mapping):
            raise TypeError("data is a dict-like object")
        elif isinstance(parts, Iterable):
            await self._send_fragments(Asynchronous(parts), "iterable", text, compress)
        elif isinstance(parts, AsyncIterable):
            await self._send_fragments(aiter(parts), "async iterable", text, compress)
        else:
            raise TypeError("data must be str, bytes, iterable, or async iterable")

    async def send_json(self, value: Any, *, compress: bool | None = None) -> None:
        """Send a value as JSON, in a text message.

        Args:
            value: what :func:`json.dumps` takes, or orjson where it is installed.
            compress: as in :meth:`send`.

        Raises:
            TypeError: when the value can't be JSON.
            ValueError: without orjson, when the value contains itself or a lone surrogate.
            ConnectionClosed: when the connection is closed.

        """
        await self.send(json.dumps(value), text=True, compress=compress)

    async def _send_frame(
        self, opcode: int, payload: DataLike, fin: bool, compress: bool | None
    ) -> None:
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        self.protocol.send_data(opcode, payload, fin, compress)
        self._send_output()
        if self._write_paused:
            await self._drain(fin and opcode != OP_CONT)

    async def _send_fragments(
        self,
        fragments: AsyncIterator[DataLike],
        kind: str,
        text: bool | None,
        compress: bool | None,
    ) -> None:
        try:
            fragment = await anext(fragments)
        except StopAsyncIteration:
            return
        while self._fragmenting is not None:  # another began while this one made its first
            await asyncio.shield(self._fragmenting)
        self._fragmenting = self.loop.create_future()
        try:
            is_str = isinstance(fragment, str)
            if not is_str and not isinstance(fragment, BytesLike):
                raise TypeError(f"{kind} must contain bytes or str")
            opcode = OP_TEXT if (is_str if text is None else text) else OP_BINARY
            await self._send_frame(opcode, fragment, False, compress)
            async for fragment in fragments:
                if not isinstance(fragment, str if is_str else BytesLike):
                    raise TypeError(f"{kind} must contain uniform types")
                await self._send_frame(OP_CONT, fragment, False, compress)
            # Only now is it known that the fragment before was the last.
            await self._send_frame(OP_CONT, b"", True, compress)
        except BaseException:
            # Half a message can't be completed or taken back.
            if self.protocol.state is OPEN:
                self.protocol.fail(CloseCode.INTERNAL_ERROR, "error in fragmented message")
                self._deliver()
            raise
        finally:
            self._fragmenting.set_result(None)
            self._fragmenting = None

    # Closing

    async def close(
        self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """Close the connection and wait until it is over; does nothing when it is closed.

        Args:
            code: close code (RFC 6455 section 7.4).
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.

        """
        self._start_closing(code, reason)
        await self._wait_lost()

    def _start_closing(self, code: CloseCode | int, reason: str) -> None:
        """Send a close frame, if the connection is open."""
        if self.protocol.state is OPEN:
            if self._fragmenting is not None:
                self.protocol.fail(CloseCode.INTERNAL_ERROR, "close during fragmented message")
            else:
                self.protocol.send_close(code, reason)
            self._deliver()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, whoever closes it."""
        await self._wait_lost()

    def abort(self) -> None:
        """Drop the connection at once, without a closing handshake; unsent data is lost."""
        self._transport.abort()

    # Pings

    async def ping(
        self, data: DataLike | None = None, *, ack_on_close: bool = False
    ) -> Awaitable[float]:
        """Send a ping (RFC 6455 section 5.5.2).

        Args:
            data: payload, at most 125 bytes; None for four random bytes.
            ack_on_close: when the connection is closed first, complete with NaN instead of raising
                ConnectionClosed.

        Returns:
            An awaitable that gives the round-trip time in seconds, once the pong is there. It need
            not be awaited.

        Raises:
            ConnectionClosed: when the connection is closed.
            ConcurrencyError: when a ping with the same payload still waits for its pong.
            ProtocolError: when the payload is too long.

        """
        payload = None if data is None else control_payload(data)
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        keepalive = self.protocol.keepalive
        waiter: asyncio.Future[float] = self.loop.create_future()
        payload = keepalive.add(payload, (waiter, ack_on_close), monotonic())
        try:
            self.protocol.send_ping(payload)
        except Exception:
            del keepalive.pings[payload]
            raise
        self._send_output()
        if self._write_paused:
            await self._drain()
        return waiter

    async def pong(self, data: DataLike = b"") -> None:
        """Send a pong that no ping asked for (RFC 6455 section 5.5.3).

        Args:
            data: payload, at most 125 bytes.

        Raises:
            ConnectionClosed: when the connection is closed.
            ProtocolError: when the payload is too long.

        """
        payload = control_payload(data)
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        self.protocol.send_control(OP_PONG, payload)
        self._send_output()
        if self._write_paused:
            await self._drain()


# Part of recv() to those who look at a task.
Connection._recv_within.__name__ = "recv"
Connection._recv_within.__qualname__ = "Connection.recv"


def _mark_as_coroutine_function(method: Any) -> None:
    """Let ``iscoroutinefunction()`` say of a method what holds for its callers."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(method)
    else:
        method._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


_mark_as_coroutine_function(Connection.recv)
_mark_as_coroutine_function(Connection.send)


class _Received:
    """Iterates over what ``recv()`` of a subclass gives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Data:
        try:
            return await self._connection.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__, {"broadcast": Moved("asyncio.server", "ropeway.asyncio.server.broadcast")}
    )
