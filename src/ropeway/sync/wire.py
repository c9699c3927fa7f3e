"""A socket under an engine: reading and writing without waiting, deadlines, and the end.

Nothing in here waits; `Link`, which builds on it, does.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from time import monotonic
from typing import Any, cast

from .._core.engine import Engine
from .._core.inbox import MessageStream
from .._core.states import CONNECTING, OPEN
from .._core.tracebacks import without_frames
from .._core.writer import Writer
from .._driving.backlog import keep
from .._driving.deadlines import Deadline
from .._driving.sockets import receive_buffer
from .._driving.terms import Terms
from ..exceptions import ConnectionClosed
from ..http11 import Request, Response
from ..protocol import Protocol
from ..typing import BytesLike
from .keeper import GONE, KEEP_OUT, READ, STIRRED, WRITE, keeper
from .tls import TLS, WANTS_MORE
from .waiting import DONT_WAIT

# A connection that is used for small messages needs no more; one that fills it gets a larger one.
FIRST_BUFFER = 4 * 1024
LATER_BUFFER = 128 * 1024

# What a peer that never stops sending is granted at a time.
MOST_READS = 16

# POSIX guarantees 16 places for sendmsg(), Linux and the BSDs have 1024.
MOST_PLACES = 64


class Wire:
    """An engine on a socket.

    Invariants: ``_lock`` is held around every use of the engine and of the attributes below, and
    never while a call waits. Only the thread that set ``_leading`` reads the socket, and what it
    reads goes to the engine before ``_leading`` is cleared. While the engine has something unread,
    nothing is read: it is in the buffer. The socket is open until the connection is lost and no
    thread waits for room to write, ``_writers`` of them.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        *,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_queue: int | tuple[int | None, int | None] | None,
    ) -> None:
        self.protocol = protocol
        terms = Terms(ping_interval, ping_timeout, close_timeout, max_queue)
        self._inbox = terms.apply(self, protocol)
        self.request: Request | None = None
        self.response: Response | None = None
        self._keeper = keeper()
        self._deadline: Deadline | None = None
        self._connection_exc: BaseException | None = None
        self._is_lost = False
        self._aborted = False
        self._opening = protocol.state is CONNECTING
        # What is to be done when a connection that should be a context manager is used otherwise.
        self._unused = False

        self._lock = threading.Lock()
        self._changed: threading.Condition | None = None
        self._followers = 0

        # Reading
        self._sock = sock
        self._tls: TLS | None = None
        self._addresses: tuple[Any, Any] | None = None
        self._buffer: bytearray | None = None
        self._view: memoryview | None = None
        self._in_place = False
        self._leading = False
        self._reads = 0
        self._reads_seen = 0
        self._sleeps = 0
        self._doubt = 1
        self._receiving = False
        self._stream: MessageStream | None = None

        # Writing
        self._backlog: deque[memoryview] | None = None
        self._queued = 0
        self._written = 0
        self._encrypted = 0
        self._ending = False
        self._writers = 0
        self._fragmenting = False

        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        if not self._opening:
            self._begin()

    def _use_tls(self, tls: TLS) -> None:
        """Speak TLS, whose handshake is over; call it before anything is sent or received."""
        self._tls = tls

    def _take_early(self, data: bytes) -> None:
        """Take bytes that were read by whoever had the socket before."""
        with self._lock:
            self._buffer = bytearray(data)
            Engine.receive(self.protocol, self._buffer, 0, len(data), monotonic())
            self._deliver()
            Engine.keep_rest(self.protocol)
            self._buffer = None

    def _begin(self) -> None:
        """Let the keeper look after the connection from now on."""
        self._keeper.adopt(self)
        self._set_deadline()

    def _start_keepalive(self) -> None:
        """Begin to send pings, now that the connection is open."""
        with self._lock:
            self.protocol.start_clocks(monotonic())
            if not self._is_lost:
                self._begin()

    # Reading

    def _place(self) -> Any:
        """Give the memory to read into: that of a large payload, or the buffer."""
        protocol = self.protocol
        Engine.keep_rest(protocol)
        self._in_place = self._tls is None and Engine.want(protocol) > 0
        if self._in_place:
            return Engine.room(protocol)
        if self._buffer is None:
            self._buffer = bytearray(FIRST_BUFFER)
            self._view = memoryview(self._buffer)
        return self._view

    def _take(self, size: int, failure: OSError | None) -> None:
        """Give the engine what was read into ``_place()``: ``size`` bytes, 0 at the end."""
        protocol = self.protocol
        if self._is_lost:
            return
        if failure is not None or (size == 0 and self._tls is None):
            self._lose(failure)
        elif size == 0:
            cast(TLS, self._tls).feed_end()
            if not self._take_decrypted():
                self._lose(None)
        elif size > 0:
            if self._tls is not None:
                self._tls.feed(cast(memoryview, self._view)[:size])
                self._take_decrypted()
            elif self._in_place:
                Engine.receive_in_place(protocol, size, monotonic())
                self._deliver()
            else:
                self._receive(size)

    def _receive(self, size: int) -> None:
        """Give the engine the first bytes of the buffer."""
        Engine.receive(self.protocol, cast(bytearray, self._buffer), 0, size, monotonic())
        self._deliver()
        if size == FIRST_BUFFER == len(cast(bytearray, self._buffer)):
            # More came than it holds. What is unread in it stays there until it is asked for.
            self._buffer = receive_buffer(LATER_BUFFER)
            self._view = memoryview(self._buffer)

    def _take_decrypted(self) -> bool:
        """Give the engine what TLS has decrypted; False when that is nothing yet."""
        tls = cast(TLS, self._tls)
        view = self._place()
        try:
            size = tls.read_into(view)
        except OSError as exc:
            self._lose(exc)
            return True
        if size == 0:
            self._lose(None)
        elif size > 0:
            self._receive(size)
        else:
            self._flush()  # what TLS itself has to say
        return size != WANTS_MORE

    def _deliver(self) -> None:
        """See to what the engine has got, apart from messages, and write what it has to send."""
        protocol = self.protocol
        if self._opening:
            self._deliver_opening()
        if protocol.answered_pings:
            self._deliver_pongs()
        self._flush()
        if protocol._state is not OPEN:
            self._set_deadline()

    def _deliver_opening(self) -> None:
        protocol = self.protocol
        for event in protocol.events_received():
            if isinstance(event, Request):
                self.request = event
            else:
                self.response = cast(Response, event)
        self._opening = (
            protocol.opening and not protocol.discarding and protocol._state is CONNECTING
        )

    def _read_now(self) -> bool:
        """Read what is there, without waiting; tell whether that was something."""
        if self.protocol.stopped:
            return False
        if self._tls is not None and self._take_decrypted():
            return True
        view = self._place()
        size, failure = WANTS_MORE, None
        try:
            size = self._sock.recv_into(view, 0, DONT_WAIT)
        except BlockingIOError:
            return False
        except OSError as exc:
            failure = exc
        self._take(size, failure)
        return True

    def _read_all_now(self) -> None:
        for _ in range(MOST_READS):
            if self._is_lost or not self._read_now():
                break

    # Pings

    def _deliver_pongs(self) -> None:
        answered, self.protocol.answered_pings = self.protocol.answered_pings, []
        # The next ping may be due before the timeout that this pong has averted.
        self._set_deadline()
        for token, latency in answered:
            if token is not None:
                cast(Any, token)[0].answer(latency)

    def _end_pings(self) -> None:
        pings, self.protocol.keepalive.pings = self.protocol.keepalive.pings, {}
        for token, _ in pings.values():
            if token is not None:
                pong, ack_on_close = cast(Any, token)
                if ack_on_close:
                    pong.set()

    # Writing

    def _flush(self) -> None:
        """Write what the engine has to send, as far as that is possible at once."""
        writer = self.protocol.writer
        if not writer.output and not writer.shared and self._tls is None:
            return
        output = Writer.take_output(writer)
        if self._is_lost or self._aborted:
            return
        if self._tls is None and len(output) == 1 and not self._backlog and output[0]:
            data = output[0]
            try:
                sent = self._sock.send(data, DONT_WAIT)
            except BlockingIOError:
                sent = 0
            except OSError as exc:
                self._fail_writing(exc)
                return
            if sent == len(data):
                return
            # A view: the rest of a large message is not to be copied.
            cast(list[BytesLike], output)[0] = memoryview(data)[sent:]
        self._write_all(cast(list[BytesLike], output))

    def _write_all(self, output: list[BytesLike]) -> None:
        """Write several pieces, the last of which may be the end of the stream, or keep them."""
        if output and not output[-1]:
            output.pop()
            self._ending = True
        if self._backlog is None:
            self._backlog = deque()
        waiting = self._backlog if self._tls is None else self._tls.clear
        for piece in output:
            if piece:
                keep(waiting, piece)
                self._queued += len(piece)
        if self._tls is not None and not self._backlog:
            self._encrypt()
        self._write_backlog()
        if self._backlog:
            self._pause_writing()
            if not self._writers:
                self._keeper.look_at(self)

    def _pause_writing(self) -> None:
        protocol = self.protocol
        protocol.pause_writing()
        if protocol.guard is not None:
            taken = protocol.writer.bytes_sent - self._buffered()
            protocol.guard.choke(monotonic(), taken)
            self._set_deadline()

    def _buffered(self) -> int:
        """Tell how many bytes wait to be written."""
        return self._queued - self._written + self.protocol.writer.size

    def _encrypt(self) -> None:
        """Let TLS encrypt some of what waits, now that all that it has encrypted is written."""
        tls = cast(TLS, self._tls)
        self._written = self._encrypted
        try:
            self._encrypted += tls.encrypt()
            if self._ending and not tls.clear:
                tls.end()
            data = tls.take_output()
        except OSError as exc:
            self._fail_writing(exc)
            return
        if data:
            cast("deque[memoryview]", self._backlog).append(memoryview(data))

    def _write_backlog(self) -> None:
        backlog = self._backlog
        while backlog:
            try:
                if len(backlog) == 1:
                    sent = self._sock.send(backlog[0], DONT_WAIT)
                else:
                    places = [backlog[i] for i in range(min(len(backlog), MOST_PLACES))]
                    sent = self._sock.sendmsg(places, (), DONT_WAIT)
            except BlockingIOError:
                return
            except OSError as exc:
                self._fail_writing(exc)
                return
            if self._tls is None:
                self._written += sent
            while sent:
                first = backlog[0]
                if len(first) > sent:
                    backlog[0] = first[sent:]
                    break
                backlog.popleft()
                sent -= len(first)
            if self._tls is not None and not backlog:
                self._encrypt()
        if self._ending:
            self._ending = False
            self._shut_down(socket.SHUT_WR)
        elif self.protocol._write_paused:
            if self.protocol.guard is not None:
                self.protocol.guard.relieve()
            self.protocol.resume_writing()
            self._flush()

    def _fail_writing(self, exc: OSError) -> None:
        if self.protocol.debug:
            self.protocol.logger.debug("! error while sending data", exc_info=exc)
        self._note(exc)
        self._aborted = True
        if not self._leading:
            self._read_all_now()  # the peer may have said why it is gone
        self._abort(None)

    # Time and the end

    def on_deadline(self, now: float) -> None:
        """Let the engine do what is due; the keeper calls this."""
        with self._lock:
            self._deadline = None
            if self._is_lost:
                return
            protocol = self.protocol
            if not self._leading:
                self._read_all_now()  # before the peer is called silent, it is heard
                if self._is_lost:
                    return
            due = protocol.next_deadline(now)
            if due is not None and due <= now:
                if protocol.guard is not None:
                    protocol.guard.buffered = self._buffered()
                protocol.on_deadline(now)
                if protocol.abort_exc is not None:
                    self._abort(protocol.abort_exc)
                    return
                self._deliver()
            self._set_deadline()

    def _set_deadline(self) -> None:
        """Be called when the engine wants to; a deadline that moved back is looked at early."""
        if self._is_lost:
            return
        due = self.protocol.next_deadline(monotonic())
        if due is None:
            return
        if self._deadline is not None:
            if self._deadline.when <= due:
                return
            self._keeper.cancel(self._deadline)
        self._deadline = self._keeper.schedule(due, self)

    def _tend(self, events: int) -> int:
        """Do what a connection needs that nobody waits for, and tell what to watch.

        Args:
            events: `READ` and `WRITE`, as the selector says; 0 for a look without cause.

        Returns:
            What to watch; 0 for nothing now; `KEEP_OUT` when a thread reads, `STIRRED` when one did
            since the last call; `GONE` at the end.

        """
        with self._lock:
            stirred = self._reads != self._reads_seen
            self._reads_seen = self._reads
            if self._is_lost:
                return GONE
            if events & WRITE:
                self._write_backlog()
            writing = WRITE if self._backlog and not self._writers else 0
            if self._leading or (stirred and not events & READ):
                return writing | (STIRRED if stirred else KEEP_OUT)
            protocol = self.protocol
            if Engine.can_resume(protocol):
                Engine.resume(protocol, monotonic())
                self._deliver()
            if events & READ or self._tls is not None:
                self._read_now()
            if self._followers:
                self._tell_followers()
            if self._is_lost:
                return GONE
            writing = WRITE if self._backlog and not self._writers else 0
            return writing | (0 if protocol.stopped else READ)

    def abort(self) -> None:
        """Drop the connection at once, without a closing handshake; unsent data is lost."""
        with self._lock:
            self._abort(None)

    def _abort(self, exc: BaseException | None) -> None:
        """Give the connection up; who reads at this moment then finds the end of the stream."""
        self._note(exc)
        self._aborted = True
        self._backlog = None
        if self._leading:
            self._shut_down(socket.SHUT_RDWR)
        else:
            self._lose(None)

    def _shut_down(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # the peer was faster; reading finds the same

    def _lose(self, exc: BaseException | None) -> None:
        """Take leave of the socket; only whoever may read it calls this."""
        protocol = self.protocol
        if self._is_lost:
            return
        if exc is not None and protocol.debug:
            self.protocol.logger.debug("! error while receiving data", exc_info=exc)
        self._note(exc)
        protocol.receive_end()
        self._deliver_end()
        if self._is_lost:
            return  # writing failed, and that was seen to
        protocol.transport_lost()
        self._is_lost = True
        self._backlog = None
        if self._deadline is not None:
            self._keeper.cancel(self._deadline)
            self._deadline = None
        self._end_pings()
        self._ask_addresses()
        self._keeper.forget(self, self._sock)
        if self._writers:
            self._shut_down(socket.SHUT_RDWR)
        else:
            self._sock.close()
        self._buffer = self._view = None
        if self._tls is not None:
            self._tls.clear.clear()
        if self._followers:
            self._tell_followers()

    def _deliver_end(self) -> None:
        """Hand over what came last, and say what the end of the stream makes us say."""
        protocol = self.protocol
        if self._opening:
            self._deliver_opening()
            self._opening = False
        if protocol.answered_pings:
            self._deliver_pongs()
        self._flush()
        Engine.keep_rest(protocol)

    def _ask_addresses(self) -> tuple[Any, Any]:
        """Give both addresses; they can be asked for when the connection is over, too."""
        if self._addresses is None:
            found = []
            for ask in (self._sock.getsockname, self._sock.getpeername):
                try:
                    found.append(ask())
                except OSError:  # not connected any more
                    found.append(None)
            self._addresses = (found[0], found[1])
        return self._addresses

    def _after_fork(self) -> None:
        """Be usable in a child process, whichever thread held the lock in its parent."""
        self._lock = threading.Lock()
        self._changed = None
        self._followers = self._writers = 0
        self._leading = self._receiving = False
        self._keeper = keeper()
        self._deadline = None

    def _tell_followers(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

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
