"""The sans-I/O connection: the public view on the engine, with the API of websockets.

It never reads a clock, a socket or a file: whoever uses it moves the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core.engine import Engine, Event
from ._core.reader import size_limits
from ._core.states import (
    CLIENT,
    CLOSED,
    CLOSING,
    CONNECTING,
    OP_BINARY,
    OP_CLOSE,
    OP_CONT,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    OPEN,
    SEND_EOF,
    SERVER,
    Side,
    State,
)
from ._moved import Moved, resolver
from .exceptions import ConnectionClosed, InvalidState, ProtocolError
from .frames import Close, CloseCode
from .typing import BytesLike, Origin, Subprotocol

if TYPE_CHECKING:
    import uuid

    from .typing import LoggerLike

__all__ = [
    "CLIENT",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "OPEN",
    "SEND_EOF",
    "SERVER",
    "Event",
    "Protocol",
    "Side",
    "State",
]


# Attributes have places of their own, and a dictionary is made for those that users add. The pure
# build's engine has a dictionary already.
DICTIONARY = () if Engine.__dictoffset__ else ("__dict__",)


class Protocol(Engine):
    """A WebSocket connection without I/O.

    After each call, send what :meth:`data_to_send` gives; after receiving, handle what
    :meth:`events_received` gives.
    """

    __slots__ = ("_id", "origin", "subprotocol", *DICTIONARY)

    def __init__(
        self,
        side: Side,
        *,
        state: State = OPEN,
        max_size: tuple[int | None, int | None] | int | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a connection.

        Args:
            side: which end this is.
            state: state to begin with; CONNECTING to begin with the opening handshake.
            max_size: limit on incoming messages, in bytes; None for no limit; a pair limits
                messages and fragments apart.
            logger: where facts are logged; ``ropeway.client`` or ``ropeway.server`` by default.

        Raises:
            ValueError: when a limit is below 0.

        """
        super().__init__(side, state, *size_limits(max_size), logger)
        self._set_out()

    def _set_out(self) -> None:
        self._id: uuid.UUID | None = None
        self.origin: Origin | None = None
        self.subprotocol: Subprotocol | None = None

    # Attributes

    @property
    def id(self) -> uuid.UUID:
        """Unique identifier of the connection, for logs."""
        if self._id is None:
            import uuid  # most connections are never asked for their id

            self._id = uuid.uuid4()
        return self._id

    @property
    def close_rcvd(self) -> Close | None:
        """Close frame that the peer sent, if any."""
        return self.closing.rcvd

    @property
    def close_sent(self) -> Close | None:
        """Close frame that we sent, if any."""
        return self.closing.sent

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came before ours; None unless both are there."""
        return self.closing.rcvd_then_sent

    @property
    def eof_sent(self) -> bool:
        """Whether the end of our stream was put into the output."""
        return self.closing.eof_sent

    @property
    def close_code(self) -> int | None:
        """Close code from the peer (7.1.5); 1006 without one; None until CLOSED."""
        if self._state is not CLOSED:
            return None
        return CloseCode.ABNORMAL_CLOSURE if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Close reason from the peer (7.1.6); empty without one; None until CLOSED."""
        if self._state is not CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """Exception that says how the connection ended.

        Raises:
            AssertionError: when the connection isn't CLOSED yet.

        """
        assert self._state is CLOSED, "connection isn't closed yet"
        return self.closing.exception(self.parser_exc)

    @property
    def expect_continuation_frame(self) -> bool:
        """Whether a fragmented message is being sent."""
        return self.writer.in_message

    # Receiving

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network.

        Args:
            data: bytes, cut anywhere.

        Raises:
            EOFError: when :meth:`receive_eof` was called before.

        """
        if self.closing.eof_received:
            raise EOFError("stream ended")
        self.receive(data, 0, len(data), self.now)
        self.keep_rest()

    def receive_eof(self) -> None:
        """Take the end of the stream from the network; calling it again does nothing.

        :meth:`data_to_send` then gives the end of our stream, or nothing.
        """
        self.receive_end()

    def events_received(self) -> list[Event]:
        """Give what was received since the last call, in order.

        Returns:
            The handshake's request or response first, then frames.

        """
        events = self.events
        self.events: list[Event] = []
        return events

    def data_to_send(self) -> list[bytes]:
        """Give the bytes to write, in order; :data:`SEND_EOF` among them means half-close."""
        return self.take_output()

    # Sending

    def send_continuation(self, data: str | BytesLike, fin: bool) -> None:
        """Send a continuation frame (RFC 6455 section 5.6).

        Args:
            data: payload, of the same kind as the first fragment's.
            fin: whether the message ends with it.

        Raises:
            ProtocolError: when no fragmented message is being sent.
            InvalidState: when the connection isn't open.

        """
        if not self.writer.in_message:
            raise ProtocolError("unexpected continuation frame")
        self._check_open()
        self.send_data(OP_CONT, data, fin, None)

    def send_text(
        self, data: str | BytesLike, fin: bool = True, *, compress: bool | None = None
    ) -> None:
        """Send a text frame (RFC 6455 section 5.6).

        Args:
            data: text, or bytes that are UTF-8.
            fin: False when further fragments follow.
            compress: True or False decides for this message; None leaves it to the threshold.

        Raises:
            ProtocolError: when a fragmented message is being sent.
            InvalidState: when the connection isn't open.

        """
        self._check_open()
        self.send_data(OP_TEXT, data, fin, compress)

    def send_binary(
        self, data: str | BytesLike, fin: bool = True, *, compress: bool | None = None
    ) -> None:
        """Send a binary frame (RFC 6455 section 5.6).

        Args:
            data: payload; a str is sent as UTF-8.
            fin: False when further fragments follow.
            compress: True or False decides for this message; None leaves it to the threshold.

        Raises:
            ProtocolError: when a fragmented message is being sent.
            InvalidState: when the connection isn't open.

        """
        self._check_open()
        self.send_data(OP_BINARY, data, fin, compress)

    def send_close(self, code: CloseCode | int | None = None, reason: str = "") -> None:
        """Send a close frame (RFC 6455 section 5.5.1).

        Args:
            code: close code; None sends an empty frame.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid, the reason too long, or given without a code.
            InvalidState: when the connection isn't open.

        """
        self._check_open()
        if code is None:
            if reason:
                raise ProtocolError("cannot send a reason without a code")
            close, payload = Close(CloseCode.NO_STATUS_RCVD, ""), b""
        else:
            close = Close(code, reason)
            payload = close.serialize()
        self.send_control(OP_CLOSE, payload)
        self.closing.note_sent(close)
        self.state = CLOSING

    def send_ping(self, data: BytesLike) -> None:
        """Send a ping frame (RFC 6455 section 5.5.2).

        Args:
            data: payload, at most 125 bytes.

        Raises:
            ProtocolError: when the payload is too long.
            InvalidState: when the connection is neither open nor closing.

        """
        self._check_alive()
        self.send_control(OP_PING, data)

    def send_pong(self, data: BytesLike) -> None:
        """Send a pong frame (RFC 6455 section 5.5.3).

        Args:
            data: payload, at most 125 bytes.

        Raises:
            ProtocolError: when the payload is too long.
            InvalidState: when the connection is neither open nor closing.

        """
        self._check_alive()
        self.send_control(OP_PONG, data)

    def _check_open(self) -> None:
        if self._state is not OPEN:
            raise InvalidState(f"connection is {self._state.name.lower()}")

    def _check_alive(self) -> None:
        if self._state is not OPEN and self._state is not CLOSING:
            raise InvalidState(f"connection is {self._state.name.lower()}")


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            "WebSocketCommonProtocol": Moved(
                "legacy.protocol", "ropeway.asyncio.connection.Connection"
            ),
            "broadcast": Moved("legacy.protocol", "ropeway.asyncio.server.broadcast"),
        },
    )
