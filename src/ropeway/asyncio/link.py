"""Between a transport and the engine: reading, delivering, writing, deadlines, and the end.

Public methods are elsewhere; this is what asyncio calls, and what those methods stand on.
"""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from .._core.engine import Engine
from .._core.inbox import MessageStream
from .._core.rules import PATIENT
from .._core.states import CONNECTING, OPEN
from .._core.tracebacks import without_frames
from .._core.writer import DEFAULT_WRITE_LIMIT, write_marks
from .._driving.deadlines import Deadline
from .._driving.terms import Terms
from ..exceptions import ConnectionClosed
from ..frames import Frame
from ..http11 import Request, Response
from ..protocol import Protocol
from .dispatch import Waiter
from .per_loop import PerLoop, per_loop
from .transport import StreamReceiver, StreamTransport
from .turns import TURN

if TYPE_CHECKING:
    from .server import ServerConnection
    from .serving import Server

AnyLink = TypeVar("AnyLink", bound="Link")

Ping = tuple["asyncio.Future[float]", bool]
"""What waits for a pong, and whether the end of the connection is an answer too."""


class LinkTerms(Terms):
    """What all connections of a server have in common, or what one of a client goes by.

    Args:
        ping_interval: seconds between keepalive pings.
        ping_timeout: seconds of silence after a ping that fail the connection.
        close_timeout: seconds that the closing handshake may take.
        max_queue: high water mark of the receive queue, in frames, or a pair of marks.
        write_limit: high water mark of the write buffer, in bytes, or a pair of marks; None for
            the default.
    """

    def __init__(
        self,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_queue: int | tuple[int | None, int | None] | None,
        write_limit: int | tuple[int | None, int | None] | None = DEFAULT_WRITE_LIMIT,
    ) -> None:
        Terms.__init__(self, ping_interval, ping_timeout, close_timeout, max_queue)
        self.write_limits: tuple[int, int | None] = write_marks(write_limit)
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.shared: PerLoop = per_loop(self.loop)


class Link(StreamReceiver):
    """An engine on a transport; with ``asyncio.BufferedProtocol`` among the bases, its protocol.

    Invariants: while ``_corked``, what is sent waits for the end of the batch; at most one task
    waits for a message, through ``_receiver``; ``_is_lost`` is true exactly when the transport is
    gone and the engine CLOSED, and those in ``_lost`` wait for that. Nothing references the
    connection but its transport, its deadline, its server and the tasks that use it, so it goes
    away with them, without the garbage collector.

    Compiled, ``Engine.receive(protocol, …)`` and ``Link._flush(self)`` are calls of C functions;
    ``protocol.receive(…)`` would look first whether a subclass has another, at 500 instructions a
    call, which was a third of what a message cost.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_queue: int | tuple[int | None, int | None] | None,
        write_limit: int | tuple[int | None, int | None] | None,
    ) -> None:
        terms = LinkTerms(ping_interval, ping_timeout, close_timeout, max_queue, write_limit)
        self._set_up(protocol, terms)

    def _set_up(self, protocol: Protocol, terms: LinkTerms) -> None:
        self.protocol = protocol
        self.loop: asyncio.AbstractEventLoop = terms.loop
        self._server: Server | None = None
        self.handler_task: asyncio.Task[None] | None = None
        self._inbox = Terms.apply(terms, self, protocol)
        self._write_limits = terms.write_limits
        self._write_limit = self._write_limits[0]

        self.request: Request | None = None
        self.response: Response | None = None
        self._transport: asyncio.Transport

        self._shared = terms.shared
        self._buffer = self._shared.buffer
        self._woken = self._shared.woken
        self._deadline: Deadline | None = None
        self._is_lost = False
        self._lost: list[asyncio.Future[None]] | None = None
        self._opening = protocol.state is CONNECTING
        self._opened: asyncio.Future[None] | None = None
        self._connection_exc: BaseException | None = None

        # Reading
        self._receiver: Waiter | None = None
        self._receiving = False
        self._stream: MessageStream | None = None
        self._in_place = False
        self._reading_paused = False
        self._delivering = False
        self._delivery_scheduled = False

        # Writing
        self._stream_transport: StreamTransport | None = None
        self._corked = False
        self._joining = False
        # A list of those to be written to has the connection; meanwhile it writes as it likes.
        self._broadcasting = False
        self._write_paused = False
        # Above the mark, where the rules have something to say about slow peers.
        self._choking = False
        self._fragmenting: asyncio.Future[None] | None = None
        self._drain_waiters: list[asyncio.Future[None]] | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, for what has no method here.

        Whoever takes it may write or close past us, so what waits to be joined goes out before.
        """
        if self._joining or self._corked or self._broadcasting:
            Link._flush(self)
        return self._transport

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        server = self._server
        if server is not None:
            server.all_connections.add(cast("ServerConnection", self))
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(*self._write_limits)
        self._stream_transport = transport if isinstance(transport, StreamTransport) else None
        self._shared.share_with_tls(transport)
        Link._set_deadline(self)
        if server is not None:
            because = server.closed_because()
            if because is not None:
                cast("ServerConnection", self).turn_away(because)

    def _room(self) -> bytearray | memoryview:
        """Give the memory to read into: that of a large payload, or the loop's buffer."""
        protocol = self.protocol
        self._in_place = Engine.want(protocol) > 0
        return Engine.room(protocol) if self._in_place else self._buffer

    def _arrived(self, size: int) -> None:
        if not self._in_place:
            self._receive(self._buffer, size)
            return
        self._in_place = False
        Engine.receive_in_place(self.protocol, size, monotonic())
        Link._deliver(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes that were read by whoever had the transport before."""
        self._receive(data, len(data))

    def eof_received(self) -> None:
        """Take the end of the stream; the transport then closes itself."""
        Engine.receive_end(self.protocol)
        Link._deliver(self)
        Link._flush(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take leave of the transport."""
        Engine.transport_lost(self.protocol)
        Engine.receive_end(self.protocol)
        Link._note(self, exc)
        Link._deliver(self)
        if self._deadline is not None:
            PerLoop.cancel(self._shared, self._deadline)
            self._deadline = None
        self._end_pings()
        self._is_lost = True
        if self._lost is not None:
            _wake(self._lost)
            self._lost = None
        self._write_paused = False
        self._wake_drain_waiters()
        if self._server is not None and self.handler_task is None:
            self._server.all_connections.discard(cast("ServerConnection", self))

    def pause_writing(self) -> None:
        """Note that the write buffer is above its high mark."""
        self._write_paused = True
        self.protocol.pause_writing()
        guard = self.protocol.guard
        if guard is not None:
            self._choking = guard.slowness is not PATIENT
            guard.choke(monotonic(), self.protocol.writer.bytes_sent - self._buffered())
            Link._set_deadline(self)

    def resume_writing(self) -> None:
        """Note that the write buffer is below its low mark."""
        self._write_paused = self._choking = False
        if self.protocol.guard is not None:
            self.protocol.guard.relieve()
        self.protocol.resume_writing()
        Link._flush(self)
        if not self._write_paused:
            self._wake_drain_waiters()

    # Reading and delivering

    def _receive(self, data: bytes | bytearray, size: int) -> None:
        protocol = self.protocol
        Engine.receive(protocol, data, 0, size, monotonic())
        try:
            Link._deliver(self)
        finally:
            Engine.keep_rest(protocol)

    def _deliver(self) -> None:
        """Hand over what the engine has got, and let it go on, for at most a turn."""
        if self._delivering:
            return
        protocol = self.protocol
        self._delivering = self._corked = True
        turn_ends = 0.0
        try:
            while True:
                if self._opening:
                    self._deliver_opening()
                    if not self._opening and Engine.can_resume(protocol):
                        self._deliver_soon()  # once the task that opens has got to its recv()
                        break
                if protocol.answered_pings:
                    self._deliver_pongs()
                if self._receiver is not None and self._is_receivable():
                    self._receiver.wake(self._woken)
                if not Engine.can_resume(protocol):
                    break
                now = monotonic()
                if not turn_ends:
                    turn_ends = now + TURN
                elif now > turn_ends:
                    self._deliver_soon()
                    break
                Engine.resume(protocol, now)
        finally:
            self._delivering = self._corked = False
            Link._flush(self)
            if protocol._state is not OPEN:
                Link._set_deadline(self)
            if protocol.stopped is not self._reading_paused:
                self._pause_reading(protocol.stopped)

    def _deliver_soon(self) -> None:
        """Go on delivering in the loop's next turn."""
        if not self._delivery_scheduled:
            self._delivery_scheduled = True
            self.loop.call_soon(self._deliver_scheduled)

    def _deliver_scheduled(self) -> None:
        self._delivery_scheduled = False
        if Engine.can_resume(self.protocol):
            Engine.resume(self.protocol, monotonic())
        Link._deliver(self)

    def _pause_reading(self, paused: bool) -> None:
        self._reading_paused = paused
        if self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _is_receivable(self) -> bool:
        inbox = self._inbox
        if self._stream is not None and self._stream.is_ready():
            return True
        return inbox.is_ready() or self._is_lost or self.protocol.closing.eof_received

    def _before_waiting(self) -> None:
        """Let the engine go on when somebody is about to wait for what it holds."""
        if not self._delivering and Engine.can_resume(self.protocol):
            self._deliver_soon()

    def _after_taking(self) -> None:
        """Let the engine go on when a message left the inbox."""
        if self.protocol.stopped and not self._delivering and Engine.can_resume(self.protocol):
            self._deliver_soon()

    # The opening handshake

    def _deliver_opening(self) -> None:
        events, self.protocol.events = self.protocol.events, []
        for event in events:
            if isinstance(event, Request):
                self.request = event
            elif isinstance(event, Response):
                self.response = event
            else:
                assert isinstance(event, Frame), "an engine with an inbox has no frame events"
        if Link._is_opening_over(self):
            self._opening = False
            self._after_opening()

    def _after_opening(self) -> None:
        """Be told that the peer's half of the opening handshake is there, or never will be."""
        if self._server is not None:
            if self.request is not None and not self.protocol.discarding:
                self._server.answer(cast("ServerConnection", self))
        elif self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _is_opening_over(self) -> bool:
        protocol = self.protocol
        return not protocol.opening or protocol.discarding or protocol._state is not CONNECTING

    # Pings

    def _deliver_pongs(self) -> None:
        answered, self.protocol.answered_pings = self.protocol.answered_pings, []
        # The next ping may be due before the timeout that this pong has averted.
        self._set_deadline()
        for token, latency in answered:
            if token is not None:
                waiter, _ = cast(Ping, token)
                if not waiter.done():
                    waiter.set_result(latency)

    def _end_pings(self) -> None:
        pings = self.protocol.keepalive.pings
        if not pings:
            return
        self.protocol.keepalive.pings = {}
        for token, _ in pings.values():
            if token is None:
                continue
            waiter, ack_on_close = cast(Ping, token)
            if waiter.done():
                continue
            if ack_on_close:
                waiter.set_result(math.nan)
            else:
                waiter.set_exception(self.close_exc)
                waiter.exception()  # not everybody who pings waits for the pong

    def _begin(self) -> None:
        """Send the response that opens the connection; what came behind the request waits a turn.

        By then the handler has got to its first ``recv()``, and may answer a message before the
        close frame behind it.
        """
        Link._start_keepalive(self)
        Link._flush(self)
        if self.protocol.stopped or self._reading_paused:
            self._deliver_soon()

    def _start_keepalive(self) -> None:
        """Begin to send pings, now that the connection is open."""
        now = monotonic()
        self.protocol.start_clocks(now)
        Link._set_deadline(self)

    # Writing

    def _send_output(self) -> None:
        """Write now, or with the rest of the batch or of the loop's turn."""
        if self._corked or self._joining:
            # What exceeds the write buffer anyway must not pile up before it.
            if self.protocol.writer.size > self._write_limit:
                Link._flush(self)
            return
        Link._flush(self)
        self._joining = True
        self.loop.call_soon(self._flush_joined)

    def _flush_joined(self) -> None:
        self._joining = False
        Link._flush(self)

    def _flush(self) -> None:
        """Write all that the engine has to send."""
        output = Engine.take_output(self.protocol)
        stream = self._stream_transport
        if not output or (self._transport.is_closing() if stream is None else stream._closing):
            return
        ends = not output[-1]
        if ends:
            output.pop()
        try:
            if stream is None:
                # Most would write each item of a list by itself, TLS in a record of its own.
                if output:
                    self._transport.write(output[0] if len(output) == 1 else b"".join(output))
            elif len(output) == 1:
                StreamTransport.write(stream, output[0])
            elif output:
                StreamTransport.writelines(stream, output)
            if ends:
                self._end_stream()
        except Exception as exc:
            if self.protocol.debug:
                self.protocol.logger.debug("! error while sending data", exc_info=True)
            self._note(exc)
            self._transport.abort()

    def _end_stream(self) -> None:
        if not self._transport.can_write_eof():  # TLS has no half-close
            if self.protocol.debug:
                self.protocol.logger.debug("x closing TCP connection")
            self._transport.close()
            return
        if self.protocol.debug:
            self.protocol.logger.debug("x half-closing TCP connection")
        self._transport.write_eof()

    def _buffered(self) -> int:
        """Tell how many bytes wait to be written, here and in the transport."""
        stream = self._stream_transport
        waiting = self._transport.get_write_buffer_size() if stream is None else stream._size
        return waiting + self.protocol.writer.size

    def _wake_drain_waiters(self) -> None:
        if self._drain_waiters is not None:
            _wake(self._drain_waiters)

    # Time and the end

    def on_deadline(self, now: float) -> None:
        """Let the engine do what is due."""
        self._deadline = None
        protocol = self.protocol
        due = Engine.next_deadline(protocol, now)
        if due is not None and due <= now:
            if protocol.guard is not None:
                protocol.guard.buffered = self._buffered()
            protocol.on_deadline(now)
            if self._choking:
                self._wake_drain_waiters()
            if protocol.abort_exc is not None:
                self._note(protocol.abort_exc)
                self._transport.abort()
                return
            Link._deliver(self)
        self._set_deadline()

    def _set_deadline(self) -> None:
        """Be called when the engine wants to; a deadline that moved back is looked at early."""
        due = Engine.next_deadline(self.protocol, monotonic())
        if due is None:
            return
        if self._deadline is not None:
            if self._deadline.when <= due:
                return
            PerLoop.cancel(self._shared, self._deadline)
        self._deadline = PerLoop.schedule(self._shared, due, self)

    @property
    def close_exc(self) -> ConnectionClosed:
        """Exception that says how the connection ended."""
        exc = self.protocol.close_exc
        if self._connection_exc is not None:
            exc.__cause__ = self._connection_exc
        return exc

    def _note(self, exc: BaseException | None) -> None:
        """Remember the first thing that broke the connection, as the cause to be told."""
        if self._connection_exc is None and exc is not None:
            self._connection_exc = without_frames(exc)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def make_link(kind: type[AnyLink], protocol: Protocol, terms: LinkTerms) -> AnyLink:
    """Make a connection of a class whose ``__init__`` does no more than to set it up."""
    link = kind.__new__(kind)
    link._set_up(protocol, terms)
    return link
