"""The state machine of a connection: bytes and time in, bytes and messages out.

Nothing here waits or looks at a clock. Drivers set an inbox and use ``receive()``, ``resume()``,
``take_output()``, ``next_deadline()`` and ``on_deadline()``; ``Protocol`` is the public view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..extensions import Extension
from ..frames import Close, CloseCode, Frame, Opcode
from ..http11 import Request, Response
from ..typing import BytesLike
from ..utils import env
from .closing import Closing, closing_for
from .guard import Guard
from .inbox import Inbox
from .keepalive import Keepalive
from .logs import Logged, default_logger
from .reader import NO_LIMIT, Reader
from .shared import SharedMessage
from .states import (
    CLIENT,
    CLOSED,
    CLOSING,
    CONNECTING,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OPEN,
    SEND_EOF,
    SERVER,
    Side,
    State,
)
from .stats import Stats, snapshot
from .tracebacks import without_frames
from .writer import Writer, contiguous

if TYPE_CHECKING:
    from ..typing import LoggerLike

Event = Request | Response | Frame

# Seconds after which compression gives back what hasn't been used, and looks again.
REST_INTERVAL = 3.0
REST_INTERVAL_AT_REST = 20.0
NEVER = float("inf")

# A connection gets this many frames at a time; then the driver lets others have their turn. To
# inflate so many bytes takes as long as a frame.
FRAME_BUDGET = 256
INFLATED_PER_FRAME = 2048

_cap = env("MAX_FRAGMENTS", None)
MAX_FRAGMENTS = None if _cap is None else int(_cap)


class Engine(Logged):
    """One connection's state.

    Invariants: once ``discarding``, no frame is parsed any more. ``stopped`` says that something
    waits for ``resume()``: unread bytes, or behind messages that may still be answered, a close
    frame (``_held_close``) or an error (``_failure``).
    """

    def __init__(
        self,
        side: Side,
        state: State,
        max_message_size: int | None,
        max_fragment_size: int | None,
        logger: LoggerLike | None,
    ) -> None:
        if logger is None:
            logger = default_logger(side.name.lower())
        self._begin(side, state, max_message_size, max_fragment_size, logger)

    def _begin(
        self,
        side: Side,
        state: State,
        max_message_size: int | None,
        max_fragment_size: int | None,
        logger: LoggerLike,
    ) -> None:
        self._log_to(logger)
        self.side = side
        self.max_message_size = max_message_size
        self.max_fragment_size = max_fragment_size
        self.handshake_exc: Exception | None = None
        self.parser_exc: Exception | None = None
        self.events: list[Event] = []
        self.inbox: Inbox | None = None

        self._state = state
        self._extensions: list[Extension] = []
        self.reader: Reader = Reader(
            side is SERVER, max_message_size, max_fragment_size, MAX_FRAGMENTS, False
        )
        self.writer: Writer = Writer(side is CLIENT)
        self.closing: Closing = Closing()
        self.keepalive: Keepalive = Keepalive()
        self.guard: Guard | None = None

        self.opening: bool = state is CONNECTING
        self.discarding: bool = False
        self.stopped: bool = False
        self._full = False
        self._held_close = False
        self._failure: Exception | None = None
        self._dropping = False
        self._write_paused = False
        self._pending_pong: bytes | None = None
        self._transport_lost = False

        self.now: float = 0.0
        self._rest_at = NEVER
        self.last_received: float = 0.0
        self.open_deadline: float | None = None
        self.abort_exc: TimeoutError | None = None
        self.answered_pings: list[tuple[object, float]] = []

        self._received_while_open = 0
        self.dropped_messages: int = 0
        self.pings_sent: int = 0
        self.pongs_sent: int = 0
        self.pings_received: int = 0
        self.pongs_received: int = 0
        if self.debug:
            self.logger.debug("= connection is %s", state.name)

    def use_inbox(self, inbox: Inbox) -> None:
        """Assemble messages in ``inbox`` from now on, instead of giving frames as events."""
        self.inbox = inbox
        if self.reader.max_message_size != NO_LIMIT:
            inbox.most = self.reader.max_message_size
        self.reader.text_as_str = True

    @property
    def state(self) -> State:
        """State of the connection (RFC 6455 sections 4.1, 4.2, 7.1.3 and 7.1.4)."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if self.debug:
            self.logger.debug("= connection is %s", state.name)
        self._state = state
        if state is OPEN:
            # What was negotiated may have been changed since, by whoever answers the handshake.
            self.extensions = self._extensions
            if self.writer.deflate is not None:
                self._rest_at = self.now + REST_INTERVAL
        else:
            self.keepalive.stop()
            self._received_while_open = self.reader.bytes_received

    @property
    def extensions(self) -> list[Extension]:
        """Extensions that were negotiated, in the order in which they encode."""
        return self._extensions

    @extensions.setter
    def extensions(self, extensions: list[Extension]) -> None:
        self._extensions = extensions
        self.reader.use_extensions(extensions)
        self.writer.use_extensions(extensions)

    # Bytes in

    def receive(self, data: bytes | bytearray, start: int, end: int, now: float) -> None:
        """Take ``data[start:end]`` from the network; ``now`` is the driver's clock, in seconds.

        Where ``stopped`` is set afterwards, deliver messages and call :meth:`resume`. In the end,
        before ``data`` changes or more comes, call :meth:`keep_rest`.
        """
        self.now = self.last_received = now
        if self.discarding:
            return
        if self.opening:
            rest = self._receive_opening(bytes(data[start:end]))
            if rest is None or self.discarding:
                return
            self.opening = False
            self.reader.feed(rest, 0, len(rest))
            if rest and self.inbox is not None:
                # Frames behind the response: whoever waits for the opening may answer them, so it
                # comes first, before a violation or a close frame among them.
                self.stopped = True
                return
        else:
            self.reader.feed(data, start, end)
        Engine.parse(self)

    def want(self) -> int:
        """Tell how many bytes of a large payload may be received where they are to stay."""
        return 0 if self.opening or self.discarding or self.stopped else self.reader.want()

    def room(self) -> memoryview:
        """Give the memory to receive them in; call only when :meth:`want` isn't 0."""
        return self.reader.room()

    def receive_in_place(self, nbytes: int, now: float) -> None:
        """Take bytes that were received in :meth:`room`; as :meth:`receive` otherwise."""
        self.now = self.last_received = now
        if self.discarding:
            return
        try:
            self.reader.filled(nbytes)
        except Exception as exc:
            self._failure = exc
        Engine.parse(self)

    def resume(self, now: float) -> None:
        """Go on after ``stopped``, once messages were delivered or the inbox has room."""
        self.now = now
        Engine.parse(self)

    def parse(self) -> None:
        """Parse what the reader holds, as far as budget and inbox allow."""
        reader = self.reader
        inbox = self.inbox
        budget = FRAME_BUDGET
        if self.guard is not None and self.guard.rated:
            budget = self.guard.budget(budget, self.now)
        delivering = False
        # What follows a handshake request is frames only once we have accepted it.
        self.stopped = self._state is CONNECTING and reader.pos < reader.end
        while not self.stopped and not self.discarding:
            try:
                if self._failure is not None:
                    self._fail_parsing()
                    break
                if self._held_close:
                    self._held_close = False
                elif inbox is not None and self._state is OPEN and inbox.is_full():
                    self._full = self.stopped = reader.has_unread()
                    break
                elif inbox is not None and budget <= 0:
                    self._full = False
                    self.stopped = reader.has_unread()
                    break
                elif not reader.next_frame():
                    break
                elif delivering and reader.opcode == OP_CLOSE:
                    # What came before the close frame may still be answered.
                    self._held_close = self.stopped = True
                    break
                self._receive_frame()
            except Exception as exc:
                # What came before a violation was valid, so it is delivered first.
                self._failure = exc
                self.stopped = delivering
                continue
            budget -= 1
            if reader.compressed:
                budget -= reader.frame_size // INFLATED_PER_FRAME
            delivering = delivering or (inbox is not None and reader.opcode <= OP_BINARY)
        if self.guard is not None and self.guard.rated:
            self._hold_to_rates(delivering)
        if self.discarding:
            self.stopped = False
            reader.discard()

    def _hold_to_rates(self, delivering: bool) -> None:
        if self._state is not OPEN or self.discarding or self._failure is not None:
            return
        assert self.guard is not None
        reader = self.reader
        self._failure = self.guard.too_fast(reader.messages_received, reader.bytes_received)
        if self._failure is None:
            return
        if delivering:
            self.stopped = True
        else:
            self._fail_parsing()

    def keep_rest(self) -> None:
        """Let go of the buffer that was received from."""
        self.reader.keep_rest()

    def can_resume(self) -> bool:
        """Tell whether :meth:`resume` would get anywhere now."""
        if not self.stopped:
            return False
        if self.discarding:
            return True
        if self._state is CONNECTING:
            return False
        if self._held_close or self._failure is not None or self._state is not OPEN:
            return True
        return self.inbox is None or not self._full or self.inbox.has_room()

    def receive_end(self) -> None:
        """Take the end of the stream from the network; calling it again does nothing."""
        if self.closing.eof_received:
            return
        while self.stopped and self._state is not CONNECTING:
            # Nothing more will come, so all that has come is kept whatever the inbox's marks.
            if self.inbox is not None:
                self.inbox.high = NO_LIMIT
            Engine.parse(self)
        self.closing.eof_received = True
        if not self.discarding:
            if self.debug:
                self.logger.debug("< EOF")
            if self._state is CONNECTING:
                self._opening_ended()
            else:
                self.fail(CloseCode.ABNORMAL_CLOSURE)
                self.parser_exc = EOFError("unexpected end of stream")
        # A server closes TCP at once; a client waits for the server to do so (7.1.1).
        if self.side is CLIENT and self._state is not CONNECTING and not self.closing.eof_sent:
            self.send_eof()
        self.state = CLOSED
        if self.inbox is not None:
            self.inbox.closed = True
        if self.side is SERVER:
            self.inform("connection closed")

    def _fail_parsing(self) -> None:
        """Fail the connection because of an error in what was received."""
        exc = self._failure
        assert exc is not None
        self._failure = None
        try:
            self._fail_because(exc)
        except Exception as failure:
            self._give_up(failure)
        self.parser_exc = without_frames(exc)

    def _give_up(self, exc: Exception) -> None:
        """End the stream without a close frame: extensions encode those too, and one failed."""
        self.logger.error("sending a control frame failed", exc_info=exc)
        self.state = CLOSING
        if not self.closing.eof_sent:
            self.send_eof()
        self.discarding = True

    def _fail_because(self, exc: Exception) -> None:
        """Fail the connection with the close code that belongs to the error (7.1.7)."""
        close = closing_for(exc, self.reader.bad_text_at)
        if close is None:
            self.logger.error("parser failed", exc_info=exc)
            # An extension's error may tell more than the peer should know.
            close = (CloseCode.INTERNAL_ERROR, "")
        self.fail(*close)

    def _receive_frame(self) -> None:
        """Handle the frame that the reader has just read."""
        reader = self.reader
        opcode = reader.opcode
        if self.debug:
            self.logger.debug("< %s", self._frame_read())
        inbox = self.inbox
        if opcode <= OP_BINARY:
            if inbox is None:
                self.events.append(self._frame_read())
            elif not self._dropping and (
                self._state is OPEN
                or reader.position() <= self._received_while_open
                or not inbox.is_full()
            ):
                inbox.put(opcode, reader.fin, reader.payload)
            else:
                # 5.5.1: once its close frame is sent, an endpoint need not process data any more.
                # Nor must a message miss a fragment, so what follows is dropped as well.
                self._dropping = True
                self.dropped_messages += reader.fin
            return
        payload = reader.payload
        assert isinstance(payload, bytes)
        if opcode == OP_PING:
            self._receive_ping(payload)
        elif opcode == OP_PONG:
            self.pongs_received += 1
            awaited = self.keepalive.awaited
            self.answered_pings += self.keepalive.acknowledge(payload, self.now)
            if self.debug and self.keepalive.awaited is not awaited:
                self.logger.debug("% received keepalive pong")
        else:
            self._receive_close(payload)
        if inbox is None:
            self.events.append(self._frame_read())

    def _frame_read(self) -> Frame:
        payload = self.reader.payload
        data = payload.encode() if isinstance(payload, str) else payload
        return Frame(Opcode(self.reader.opcode), data, bool(self.reader.fin))

    def _receive_ping(self, payload: bytes) -> None:
        self.pings_received += 1
        if self._write_paused:
            # 5.5.3: "it MAY elect to send a Pong frame for only the most recently processed Ping".
            self._pending_pong = payload
        else:
            self.send_control(OP_PONG, payload)

    def _receive_close(self, payload: bytes) -> None:
        self.closing.note_rcvd(Close.parse(payload))
        if self._state is OPEN:
            # 5.5.1: "If an endpoint receives a Close frame and did not previously send a Close
            # frame, the endpoint MUST send a Close frame in response", with the same code.
            self.send_control(OP_CLOSE, payload)
            assert self.closing.rcvd is not None
            self.closing.note_sent(self.closing.rcvd)
            self.state = CLOSING
        if self.side is SERVER:
            self.send_eof()
        # 1.4: "the other peer discards any further data received".
        self.discarding = True

    # The opening handshake: ClientProtocol and ServerProtocol know how

    def _receive_opening(self, data: bytes) -> bytes | None:
        """Take bytes of the opening handshake; give those after it once it is complete."""
        raise NotImplementedError

    def _opening_ended(self) -> None:
        """Handle the end of the stream in the opening handshake."""
        raise NotImplementedError

    def _opening_expired(self) -> None:
        """Fail the opening handshake because its time is up."""
        raise NotImplementedError

    # Frames out

    def send_data(
        self, opcode: int, data: str | BytesLike, fin: bool, compress: bool | None
    ) -> None:
        """Send a data frame on an open connection; see ``Protocol.send_text``."""
        self.writer.write_data(opcode, data, fin, compress)
        if self.debug:
            self._log_sent(opcode, data.encode() if isinstance(data, str) else data, fin)

    def send_control(self, opcode: int, payload: BytesLike) -> None:
        """Send a control frame; see ``Protocol.send_ping``."""
        self.writer.write_control(opcode, payload)
        if opcode == OP_PING:
            self.pings_sent += 1
        elif opcode == OP_PONG:
            self.pongs_sent += 1
        if self.debug:
            self._log_sent(opcode, payload, True)

    def send_shared(self, message: SharedMessage) -> None:
        """Send a message that goes to many connections; see ``send_data``."""
        self.writer.write_shared(message)
        if self.debug:
            payload = message.frame.payload
            data = payload.encode() if isinstance(payload, str) else payload
            self._log_sent(message.frame.opcode, data, True)

    def start_closing(self, close: Close) -> None:
        """Send a close frame on an open connection; see ``Protocol.send_close``."""
        self.send_control(OP_CLOSE, close.serialize())
        self.closing.note_sent(close)
        self.state = CLOSING

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail the connection (RFC 6455 section 7.1.7).

        Args:
            code: close code; 1006 sends no close frame.
            reason: why, at most 123 bytes of UTF-8.

        Raises:
            ProtocolError: when the code is invalid or the reason too long.

        """
        if self._state is OPEN and code != CloseCode.ABNORMAL_CLOSURE:
            self.start_closing(Close(code, reason))
        if self.side is SERVER and not self.closing.eof_sent:
            self.send_eof()
        self.discarding = True

    def send_eof(self) -> None:
        """Put the end of our stream into the output."""
        assert not self.closing.eof_sent
        self.closing.eof_sent = True
        if self.debug:
            self.logger.debug("> EOF")
        self.writer.write_raw(SEND_EOF)

    def _log_sent(self, opcode: int, data: BytesLike, fin: bool) -> None:
        self.logger.debug("> %s", Frame(Opcode(opcode), contiguous(data), fin))

    # Bytes out

    def take_output(self) -> list[bytes]:
        """Give the bytes to write, in order; an empty one stands for half-closing."""
        return self.writer.take_output()

    def pause_writing(self) -> None:
        """Note that the write buffer is above high water: at most one pong is kept pending."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Note that the write buffer has drained."""
        self._write_paused = False
        payload, self._pending_pong = self._pending_pong, None
        if payload is not None and self._state is OPEN:
            try:
                self.send_control(OP_PONG, payload)
            except Exception as exc:
                self._give_up(exc)

    def transport_lost(self) -> None:
        """Note that the TCP connection is gone, so that nothing remains to wait for."""
        self._transport_lost = True

    def close_expected(self) -> bool:
        """Tell whether the TCP connection should end soon.

        Returns:
            True once we sent a close frame, or refused or failed the opening handshake. Close the
            TCP connection after a timeout then, in case the peer doesn't.

        """
        if self._state is CONNECTING:
            return self.closing.eof_sent
        return self._state is CLOSING

    # Time

    def start_clocks(self, now: float) -> None:
        """Begin to send pings and to go by time, now that the connection is open."""
        self.keepalive.start(now)
        self.last_received = now
        if self.guard is not None:
            self.guard.start(self, now)

    def next_deadline(self, now: float) -> float | None:
        """Tell when to call :meth:`on_deadline`, on the driver's clock; None for never."""
        if self._state is OPEN:
            due = self.keepalive.next_deadline()
            if self._rest_at != NEVER and (due is None or self._rest_at < due):
                due = self._rest_at
            if self.guard is None:
                return due
            ends = self.guard.next_deadline()
            return due if ends == NEVER or (due is not None and due < ends) else ends
        if Engine.close_expected(self):
            return self.closing.start_clock(now)
        if self._state is CONNECTING:
            return self.open_deadline
        # CLOSED by the peer's end of stream, but our own bytes may be stuck in the write buffer.
        return None if self._transport_lost else self.closing.start_clock(now)

    def on_deadline(self, now: float) -> None:
        """Do what is due: send a ping, fail a silent peer, give up on a handshake.

        Afterwards, write the output; where ``abort_exc`` is set, abort the TCP connection.
        ``now`` is the driver's clock, in seconds.
        """
        self.now = now
        if self._state is OPEN:
            if now >= self._rest_at:
                self._rest(now)
            try:
                self._keep_alive(now)
                if self.guard is not None and self._state is OPEN:
                    self.guard.on_deadline(self, now)
            except Exception as exc:
                self._give_up(exc)
        elif self._state is not CONNECTING or self.closing.eof_sent:
            deadline = self.closing.start_clock(now)
            if deadline is not None and now >= deadline:
                self.abort_exc = TimeoutError("timed out while closing connection")
        elif self.open_deadline is not None and now >= self.open_deadline:
            self.open_deadline = None
            self._opening_expired()

    def _rest(self, now: float) -> None:
        """Give back the compression contexts that nobody has used lately."""
        deflate = self.writer.deflate
        if deflate is None:
            self._rest_at = NEVER
        else:
            self._rest_at = now + (REST_INTERVAL if deflate.rest() else REST_INTERVAL_AT_REST)

    def _keep_alive(self, now: float) -> None:
        due = self.keepalive.on_deadline(now, self.last_received, self.stopped)
        if isinstance(due, bytes):
            self.send_control(OP_PING, due)
            if self.debug:
                self.logger.debug("% sent keepalive ping")
        elif due is not None:
            if self.debug:
                self.logger.debug("- timed out waiting for keepalive pong")
            self.fail(CloseCode.INTERNAL_ERROR, due)

    def stats(self) -> Stats:
        """Take a snapshot of the counters."""
        self.writer.write_queued()
        return snapshot(self)
