"""A connection for trio: what its users call."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import trio
from trio.abc import AsyncResource

from .._core.guard import admit
from .._core.states import OP_BINARY, OP_CONT, OP_PONG, OP_TEXT, OPEN
from .._core.writer import DEFAULT_WRITE_LIMIT
from .._driving import json
from .._driving.attributes import Attributes, control_payload, size_of
from .._driving.fragments import Asynchronous, Parts
from .._driving.streaming import Streaming
from .._moved import Moved, resolver
from ..exceptions import ConcurrencyError, ConnectionClosedOK
from ..frames import CloseCode
from ..protocol import Protocol
from ..typing import BytesLike, Data, DataLike
from .carriers import address_of
from .link import Link

__all__ = ["Connection"]


class Connection(Attributes, Streaming, Link, AsyncResource):
    """A WebSocket connection for trio, client's or server's.

    One task may receive and any number may send at the same time. Iterating gives messages until
    the connection is closed. Any call may be cancelled: no message is lost by that.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        """Make a connection.

        Args:
            nursery: where the tasks of the connection run; when it is cancelled, so is the
                connection.
            stream: connected stream, which belongs to the connection from now on.
            protocol: sans-I/O connection.
            ping_interval: seconds between keepalive pings; None for no keepalive.
            ping_timeout: seconds of silence after a ping that fail the connection; None for never.
            close_timeout: seconds that the closing handshake may take; None for any.
            max_queue: high water mark of the receive queue, in frames, or a pair of marks.

        """
        self._addresses: tuple[Any, Any] | None = None
        super().__init__(
            nursery,
            stream,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    # Attributes

    @property
    def local_address(self) -> Any:
        """Our address, as :meth:`socket.socket.getsockname` gives it; None without a socket."""
        return self._ask_addresses()[0]

    @property
    def remote_address(self) -> Any:
        """The peer's address, as :meth:`socket.socket.getpeername` gives it."""
        return self._ask_addresses()[1]

    def _ask_addresses(self) -> tuple[Any, Any]:
        """Give both addresses; they can be asked for when the connection is over, too."""
        if self._addresses is None:
            local = address_of(self.stream, "getsockname")
            self._addresses = local, address_of(self.stream, "getpeername")
        return self._addresses

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
        await self.aclose(code)

    def __aiter__(self) -> AsyncIterator[Data]:
        """Give messages until the connection is closed.

        The iterator raises ConnectionClosedError when the connection is closed with an error.
        """
        return _Messages(self)

    # Receiving

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...

    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...

    @overload
    async def recv(self, decode: bool | None = None) -> Data: ...

    async def recv(self, decode: bool | None = None) -> Data:
        """Receive the next message.

        Messages that came before the connection was closed can still be received. A message that
        is there already is a checkpoint, too: a cancellation takes effect, and before long others
        have their turn.

        Args:
            decode: True gives str, False gives bytes, whatever the message is; None gives str for
                a text message and bytes for a binary one.

        Returns:
            The message.

        Raises:
            ConnectionClosed: when the connection is closed and no message is left.
            ConcurrencyError: when another task is receiving.

        """
        if self._receiving:
            raise ConcurrencyError(
                "cannot call recv while another coroutine is already running recv or recv_streaming"
            )
        inbox = self._inbox
        self._receiving = True
        try:
            await self._wait_receivable(inbox.is_ready, True)
        finally:
            self._receiving = False
        try:
            message = inbox.take(decode)
        except UnicodeDecodeError as exc:
            await self._fail_decoding(exc)
        self._after_taking()
        return message

    async def recv_json(self) -> Any:
        """Receive the next message and parse it as JSON.

        Returns:
            What the JSON says.

        Raises:
            ValueError: when the message isn't JSON; the connection stays open.
            ConnectionClosed: as :meth:`recv`.
            ConcurrencyError: as :meth:`recv`.

        """
        return json.loads(await self.recv())

    # Sending

    async def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a message; returns once it is in the write buffer, with room left.

        A message whose sending is cancelled while it waits for room goes out nevertheless. In a
        fragmented message, cancelling fails the connection, since half a message can't be taken
        back.

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
        if isinstance(message, str):
            opcode = OP_BINARY if text is False else OP_TEXT
        elif isinstance(message, BytesLike):
            opcode = OP_TEXT if text is True else OP_BINARY
        else:
            await self._send_parts(message, text, compress)
            return
        await self._shared.checkpoint()
        while self._fragmenting is not None:
            await self._fragmenting.wait()
        if self.protocol.guard is not None and not self._may_send(message):
            return
        await self._send_frame(opcode, message, True, compress)

    def _may_send(self, message: DataLike) -> bool:
        """Tell whether the peer is fast enough; without a word where it is being closed."""
        protocol = self.protocol
        if protocol.state is not OPEN or self._queued <= DEFAULT_WRITE_LIMIT:
            return True
        now = trio.current_time()
        if admit(protocol, None, size_of(message), self._buffered(), now):
            return True
        if protocol.state is OPEN:
            return False
        self._deliver()
        return True  # and sending will tell

    async def _send_frame(
        self, opcode: int, payload: DataLike, fin: bool, compress: bool | None
    ) -> None:
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        self.protocol.send_data(opcode, payload, fin, compress)
        self._send_output()
        await self._drain(fin and opcode != OP_CONT)

    async def _send_parts(self, parts: Any, text: bool | None, compress: bool | None) -> None:
        if isinstance(parts, Mapping):
            raise TypeError("data is a dict-like object")
        kind = "iterable" if isinstance(parts, Iterable) else "async iterable"
        if isinstance(parts, Iterable):
            parts = Asynchronous(parts)
        elif not isinstance(parts, AsyncIterable):
            raise TypeError("data must be str, bytes, iterable, or async iterable")
        items = aiter(parts)
        try:
            first = await anext(items)
        except StopAsyncIteration:
            return
        await self._shared.checkpoint()
        while self._fragmenting is not None:
            await self._fragmenting.wait()
        self._fragmenting = trio.Event()
        try:
            checked = Parts(first, kind, text)
            await self._send_frame(checked.opcode, first, False, compress)
            async for part in items:
                checked.check(part)
                await self._send_frame(OP_CONT, part, False, compress)
            # Only now is it known that the part before was the last.
            await self._send_frame(OP_CONT, b"", True, compress)
        except BaseException:
            # Half a message can't be completed or taken back.
            if self.protocol.state is OPEN:
                self.protocol.fail(CloseCode.INTERNAL_ERROR, "error in fragmented message")
                self._deliver()
            raise
        finally:
            self._fragmenting.set()
            self._fragmenting = None

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

    # Closing

    async def aclose(
        self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """Close the connection and wait until it is over; does nothing when it is closed.

        When that is cancelled, the connection is dropped at once.

        Args:
            code: close code (RFC 6455 section 7.4).
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.

        """
        self._start_closing(code, reason)
        try:
            await self._lost.wait()
        except trio.Cancelled:
            self.abort()
            raise

    def _start_closing(self, code: CloseCode | int, reason: str) -> None:
        """Send a close frame, if the connection is open; its tasks see to the rest."""
        if self.protocol.state is OPEN:
            if self._fragmenting is not None:
                self.protocol.fail(CloseCode.INTERNAL_ERROR, "close during fragmented message")
            else:
                self.protocol.send_close(code, reason)
            self._deliver()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, whoever closes it."""
        await self._lost.wait()

    # Pings

    async def ping(self, data: DataLike | None = None, *, ack_on_close: bool = False) -> trio.Event:
        """Send a ping (RFC 6455 section 5.5.2).

        Args:
            data: payload, at most 125 bytes; None for four random bytes.
            ack_on_close: set the event when the connection is closed first, too.

        Returns:
            An event that is set when the pong is there; ``latency`` then is the round-trip time.

        Raises:
            ConnectionClosed: when the connection is closed.
            ConcurrencyError: when a ping with the same payload still waits for its pong.
            ProtocolError: when the payload is too long.

        """
        payload = None if data is None else control_payload(data)
        await self._shared.checkpoint()
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        keepalive = self.protocol.keepalive
        pong = trio.Event()
        payload = keepalive.add(payload, (pong, ack_on_close), trio.current_time())
        try:
            self.protocol.send_ping(payload)
        except Exception:
            del keepalive.pings[payload]
            raise
        self._send_output()
        await self._drain()
        return pong

    async def pong(self, data: DataLike = b"") -> None:
        """Send a pong that no ping asked for (RFC 6455 section 5.5.3).

        Args:
            data: payload, at most 125 bytes.

        Raises:
            ConnectionClosed: when the connection is closed.
            ProtocolError: when the payload is too long.

        """
        payload = control_payload(data)
        await self._shared.checkpoint()
        if self.protocol.state is not OPEN:
            await self._raise_closed()
        self.protocol.send_control(OP_PONG, payload)
        self._send_output()
        await self._drain()


class _Messages:
    """Iterates over messages; an asynchronous generator would cost more and need closing."""

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
        __name__, {"broadcast": Moved("trio.server", "ropeway.trio.server.broadcast")}
    )
