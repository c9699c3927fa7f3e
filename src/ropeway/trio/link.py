"""Between a stream of trio's and the engine: reading, delivering, writing, deadlines, and the end.

Public methods are elsewhere; this is the tasks of a connection, and what those methods stand on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, cast

import trio

from .._core.engine import Engine
from .._core.inbox import MessageStream
from .._core.states import CONNECTING, OPEN
from .._core.tracebacks import without_frames
from .._core.writer import DEFAULT_WRITE_LIMIT
from .._driving.backlog import keep
from .._driving.sockets import NOT_NOW
from .._driving.terms import Terms
from ..exceptions import ConnectionClosed
from ..http11 import Request, Response
from ..protocol import Protocol
from ..typing import BytesLike
from .carriers import BROKEN, carrier_of
from .waiting import TURN, Place, per_run

# What a peer that is gone may have said before, at most.
MOST_READS = 16


class Link:
    """An engine on a stream, with the tasks that it needs in the nursery of its owner.

    One task reads from the stream, until the end; it alone closes it. Another one waits for
    deadlines. A third one writes, as long as there is something that could not be written at once.

    Invariants: at most one task waits for a message, at ``_receiver``; ``_lost`` is set exactly
    when the engine is CLOSED and no more is read or written; what is in ``_backlog`` goes out
    before anything else.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        protocol: Protocol,
        *,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_queue: int | tuple[int | None, int | None] | None,
    ) -> None:
        self.nursery = nursery
        self.stream = stream
        self.protocol = protocol
        terms = Terms(ping_interval, ping_timeout, close_timeout, max_queue)
        self._inbox = terms.apply(self, protocol)
        self.request: Request | None = None
        self.response: Response | None = None
        self._carrier = carrier_of(stream)
        self._shared = per_run()
        self._connection_exc: BaseException | None = None
        self._opened = trio.Event()
        self._opening = protocol.state is CONNECTING
        self._is_lost = False
        self._lost = trio.Event()
        self._alarm = trio.CancelScope()

        # Reading
        self._reading = trio.CancelScope()
        self._in_place = False
        self._reader = Place()
        self._receiver = Place()
        self._receiving = False
        self._stream: MessageStream | None = None

        # Writing
        self._writing: trio.CancelScope | None = None
        self._backlog: deque[BytesLike] = deque()
        self._queued = 0
        self._dropped = False
        self._ending = False
        self._broken = False
        self._aborted = False
        self._joining = False
        self._fragmenting: trio.Event | None = None
        self._written = trio.lowlevel.ParkingLot()

        nursery.start_soon(self._read)
        nursery.start_soon(self._watch_time)

    # Reading and delivering

    async def _read(self) -> None:
        """Read until the end of the stream, and see to the end of the connection."""
        failure: BaseException | None = None
        try:
            with self._reading:
                await self._read_to_end()
            if not self._aborted:
                self._read_last()
        except BROKEN as exc:
            # trio tells of the system's error as the cause of its own.
            failure = exc if isinstance(exc, OSError) else exc.__cause__
        finally:
            self._lose(failure)
            await trio.aclose_forcefully(self.stream)

    async def _read_to_end(self) -> None:
        protocol = self.protocol
        while True:
            if Engine.can_resume(protocol):
                # Who has been woken may answer a message before the close frame behind it. It runs
                # before the second of these ends, and may give others their turn meanwhile.
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                if Engine.can_resume(protocol):
                    self._resume()
            elif protocol.stopped:
                await self._reader.wait()
            elif self._receiver.due:
                # trio runs tasks in any order: a broken frame that came after a message must not
                # end the connection before that message could be answered.
                await trio.lowlevel.checkpoint()
            else:
                received = await self._carrier.receive(self._room)
                if not received:
                    break
                self._take(received)
        protocol.receive_end()
        self._deliver()
        while self._writing is not None:
            # What it waits for has a deadline: the engine's for closing.
            await self._written.park()

    def _read_last(self) -> None:
        """Read what the peer said before it was gone."""
        for _ in range(MOST_READS):
            if self.protocol.stopped:
                return
            size = self._carrier.receive_now(self._room)
            if size <= 0:
                return
            self._take(size)

    def _room(self) -> bytearray | memoryview:
        """Give the memory to read into: that of a large payload, or the buffer of the run."""
        protocol = self.protocol
        self._in_place = Engine.want(protocol) > 0
        return Engine.room(protocol) if self._in_place else self._shared.buffer

    def _take(self, received: bytes | bytearray | int) -> None:
        """Give the engine what was read: bytes, or the number of those that are in the room."""
        protocol = self.protocol
        now = trio.current_time()
        self._shared.turn_ends = now + TURN  # others had theirs while this was waited for
        if not isinstance(received, int):
            Engine.receive(protocol, received, 0, len(received), now)
        elif received == NOT_NOW:
            return
        elif self._in_place:
            Engine.receive_in_place(protocol, received, now)
        else:
            Engine.receive(protocol, self._shared.buffer, 0, received, now)
        try:
            self._deliver()
        finally:
            Engine.keep_rest(protocol)

    def _take_early(self, data: bytes) -> None:
        """Take bytes that were read by whoever had the stream before."""
        self._take(data)

    def _resume(self) -> None:
        Engine.resume(self.protocol, trio.current_time())
        self._deliver()

    def _deliver(self) -> None:
        """Hand over what the engine has got, and write what it has to send."""
        protocol = self.protocol
        if self._opening:
            self._deliver_opening()
        if protocol.answered_pings:
            self._deliver_pongs()
        if self._is_receivable():
            self._receiver.wake()
        self._flush()
        if protocol._state is not OPEN:
            self._set_deadline()
        if not protocol.stopped or Engine.can_resume(protocol):
            self._reader.wake()

    def _is_receivable(self) -> bool:
        inbox = self._inbox
        if self._stream is not None and self._stream.is_ready():
            return True
        return inbox.is_ready() or inbox.closed

    async def _wait_receivable(self, is_ready: Callable[[], bool], whole: bool) -> None:
        """Wait for a fragment, or a whole message; raise ConnectionClosed when none will come."""
        if is_ready():
            await self._shared.checkpoint()
            return
        inbox = self._inbox
        inbox.wanted = whole
        try:
            while not is_ready():
                if inbox.closed:
                    await self._raise_closed()
                if Engine.can_resume(self.protocol):
                    await self._shared.checkpoint()
                    if Engine.can_resume(self.protocol):
                        self._resume()
                else:
                    if self._joining:
                        self._flush()
                    await self._receiver.wait()
                    # Others had their turn. Who answers now must not wait for what came behind the
                    # message, which may end the connection.
                    self._shared.turn_ends = trio.current_time() + TURN
        finally:
            inbox.wanted = False

    def _after_taking(self) -> None:
        """Let the engine go on when a message left the inbox."""
        if self.protocol.stopped and Engine.can_resume(self.protocol):
            self._reader.wake()

    def _deliver_opening(self) -> None:
        protocol = self.protocol
        for event in protocol.events_received():
            if isinstance(event, Request):
                self.request = event
            else:
                self.response = cast(Response, event)
        if not protocol.opening or protocol.discarding or protocol._state is not CONNECTING:
            self._opening = False
            self._opened.set()

    # Pings

    def _deliver_pongs(self) -> None:
        answered, self.protocol.answered_pings = self.protocol.answered_pings, []
        # The next ping may be due before the timeout that this pong has averted.
        self._set_deadline()
        for token, _ in answered:
            if token is not None:
                cast(Any, token)[0].set()

    def _end_pings(self) -> None:
        pings, self.protocol.keepalive.pings = self.protocol.keepalive.pings, {}
        for token, _ in pings.values():
            if token is not None:
                pong, ack_on_close = cast(Any, token)
                if ack_on_close:
                    pong.set()

    def _start_keepalive(self) -> None:
        """Begin to send pings, now that the connection is open."""
        self.protocol.start_clocks(trio.current_time())
        self._set_deadline()

    # Writing

    def _send_output(self) -> None:
        """Write now, or with the answers to the other messages that came with this one."""
        if not self._inbox.is_ready() or self.protocol.writer.size > DEFAULT_WRITE_LIMIT:
            self._flush()
        elif not self._joining:
            self._joining = True
            # Whoever receives them writes when it has received the last. It may have other plans.
            self._shared.token.run_sync_soon(self._flush_joined)

    def _flush_joined(self) -> None:
        self._joining = False
        self._flush()

    def _flush(self) -> None:
        """Write what the engine has to send: at once, or as soon as that is possible."""
        output = Engine.take_output(self.protocol)
        if not output or self._is_lost or self._broken:
            return
        if not output[-1]:
            output.pop()
            self._ending = True
        rest: list[BytesLike] = cast(list[BytesLike], output)
        if output and not self._backlog:
            try:
                rest = self._carrier.send_now(output)
            except OSError as exc:
                self._fail_writing(exc)
                return
        for piece in rest:
            keep(self._backlog, piece)
            self._queued += len(piece)
        if self._queued > DEFAULT_WRITE_LIMIT:
            self._pause_writing()
        if (self._backlog or self._ending) and self._writing is None:
            self._writing = trio.CancelScope()
            self.nursery.start_soon(self._write)

    def _pause_writing(self) -> None:
        protocol = self.protocol
        protocol.pause_writing()
        if protocol.guard is not None:
            taken = protocol.writer.bytes_sent - self._buffered()
            protocol.guard.choke(trio.current_time(), taken)
            self._set_deadline()

    def _buffered(self) -> int:
        """Tell how many bytes wait to be written."""
        return self._queued + self.protocol.writer.size

    async def _write(self) -> None:
        """Write what could not be written at once."""
        try:
            with cast(trio.CancelScope, self._writing):
                while self._backlog:
                    sent = await self._carrier.send(self._backlog)
                    self._queued -= sent
                    if self._queued <= DEFAULT_WRITE_LIMIT // 4:
                        if self.protocol.guard is not None:
                            self.protocol.guard.relieve()
                        self.protocol.resume_writing()
                        self._flush()
                        self._written.unpark_all()
                if self._ending:
                    self._ending = False
                    await self._carrier.end()
        except BROKEN as exc:
            self._fail_writing(exc if isinstance(exc, OSError) else exc.__cause__)
        finally:
            self._writing = None
            self._written.unpark_all()

    async def _drain(self, whole: bool = False) -> None:
        """Wait until the backlog is short, if it is long.

        Args:
            whole: a whole message waits: where such are dropped, no longer than the peer has time.

        Raises:
            ConnectionClosed: when the connection is lost before, with some of it unwritten.

        """
        if self._queued <= DEFAULT_WRITE_LIMIT:
            return
        while self._queued > DEFAULT_WRITE_LIMIT and not (whole and self._is_dropping()):
            await self._written.park()
        # When the peer ends its stream, all may have been written before the connection is lost.
        if self._dropped:
            await self._raise_closed()

    def _is_dropping(self) -> bool:
        """Tell whether the next messages will be dropped."""
        guard = self.protocol.guard
        return guard is not None and guard.stalled and guard.slowness.drops

    def _drop_backlog(self) -> None:
        self._dropped = self._dropped or self._queued > 0
        self._backlog.clear()
        self._queued = 0
        self._written.unpark_all()

    def _fail_writing(self, exc: BaseException | None) -> None:
        if self.protocol.debug:
            self.protocol.logger.debug("! error while sending data", exc_info=exc)
        self._note(exc)
        self._broken = True
        self._drop_backlog()
        self._reading.cancel()

    # Time and the end

    async def _watch_time(self) -> None:
        """Let the engine do what is due, whenever it is."""
        protocol = self.protocol
        while not self._is_lost:
            now = trio.current_time()
            due = protocol.next_deadline(now)
            if due is not None and due <= now:
                if protocol.guard is not None:
                    protocol.guard.buffered = self._buffered()
                    self._written.unpark_all()
                protocol.on_deadline(now)
                if protocol.abort_exc is not None:
                    self._note(protocol.abort_exc)
                    self.abort()
                    return
                self._deliver()
                continue
            with trio.CancelScope(deadline=math.inf if due is None else due) as self._alarm:
                await trio.sleep_forever()

    def _set_deadline(self) -> None:
        """Be called when the engine wants to; a deadline that moved back is looked at early."""
        due = self.protocol.next_deadline(trio.current_time())
        if due is not None and due < self._alarm.deadline:
            self._alarm.deadline = due

    def abort(self) -> None:
        """Drop the connection at once, without a closing handshake; unsent data is lost."""
        if self._is_lost:
            return
        self._broken = self._aborted = True
        self._reading.cancel()
        if self._writing is not None:
            self._writing.cancel()

    def _lose(self, exc: BaseException | None) -> None:
        """Take leave of the stream; the task that reads it calls this."""
        protocol = self.protocol
        if exc is not None and protocol.debug:
            protocol.logger.debug("! error while receiving data", exc_info=exc)
        self._note(exc)
        protocol.receive_end()
        self._deliver()
        protocol.transport_lost()
        self._is_lost = True
        if self._writing is not None:
            self._writing.cancel()
        self._alarm.cancel()
        self._end_pings()
        self._opened.set()
        self._lost.set()
        self._drop_backlog()

    async def _raise_closed(self) -> NoReturn:
        """Wait for the end of a connection that isn't open, and raise ConnectionClosed."""
        await self._lost.wait()
        raise self.close_exc

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
