"""Threads that wait for a connection: for a message, for room to write, for its end."""

from __future__ import annotations

import socket
import threading
from time import monotonic
from typing import Any, cast

from .._core.engine import Engine
from .._core.guard import Guard, admit
from .._core.inbox import Inbox, MessageStream
from .._core.states import OP_BINARY, OP_CONT, OP_TEXT, OPEN
from .._driving.attributes import size_of
from .._driving.sockets import receive_soon
from ..exceptions import ConcurrencyError
from ..frames import CloseCode
from ..typing import BytesLike, Data, DataLike
from .tls import WANTS_MORE
from .waiting import (
    DONT_WAIT,
    FRAGMENT,
    LOSS,
    MESSAGE,
    NEVER,
    OPENING,
    PONG,
    wait_readable,
    wait_writable,
)
from .wire import Wire

RECV_TWICE = "cannot call recv while another thread is already running recv or recv_streaming"
STREAM_TWICE = (
    "cannot call recv_streaming while another thread is already running recv or recv_streaming"
)
SEND_TWICE = "cannot call send while another thread is already running send"

# A thread that sleeps until its message comes, and is woken, works more and has it later than one
# that asks again until then: 140 µs against 56 a message where the peer answers at once. It asks
# for no longer than sleeping and waking take, in seconds, and only while that finds something: each
# time in vain it sleeps twice as many times before it asks again, up to so many.
SOON = 100e-6
MOST_SLEEPS = 256


class Link(Wire):
    """A wire that threads wait on.

    The thread that waits for a message reads the socket itself: it leads. Other threads that wait
    follow it: they are told when it is done, and one of them goes on reading. While nobody waits,
    the keeper sees to what arrives.
    """

    # Receiving

    def _recv(self, timeout: float | None, decode: bool | None) -> Data:
        """Give the next message; see ``Connection.recv``."""
        if self._unused:
            self._warn_of_use()
        inbox = self._inbox
        self._lock.acquire()
        try:
            if self._receiving:
                raise ConcurrencyError(RECV_TWICE)
            if not Inbox.is_ready(inbox):
                self._wait_for_message(timeout)
            try:
                message = inbox.take(decode)
            except UnicodeDecodeError as exc:
                self._fail_decoding(exc)
            self._after_taking()
        finally:
            self._lock.release()
        return message

    def _wait_for_message(self, timeout: float | None) -> None:
        inbox = self._inbox
        self._receiving = inbox.wanted = True
        try:
            ends = NEVER if timeout is None else monotonic() + timeout
            if self._wait(MESSAGE, None, ends):
                return
        finally:
            self._receiving = inbox.wanted = False
        if self._is_lost:
            raise self.close_exc
        raise TimeoutError(f"timed out in {timeout:.1f}s")

    def _after_taking(self) -> None:
        """Tell those who can't read because the inbox is full that it has become emptier."""
        if self.protocol.stopped:
            if self._followers:
                self._tell_followers()
            if self._keeper.dozing:
                self._keeper.wake()

    def _begin_stream(self, decode: bool | None) -> MessageStream:
        """Begin to receive a message fragment by fragment."""
        if self._unused:
            self._warn_of_use()
        with self._lock:
            if self._receiving:
                raise ConcurrencyError(STREAM_TWICE)
            self._receiving = True
            self._stream = MessageStream(self._inbox, decode)
            return self._stream

    def _recv_fragment(self) -> Data:
        """Give the next fragment of the message that is received fragment by fragment."""
        stream = cast(MessageStream, self._stream)
        with self._lock:
            if not stream.is_ready() and not self._wait(FRAGMENT, None, NEVER):
                raise self.close_exc
            try:
                fragment = stream.take()
            except UnicodeDecodeError as exc:
                self._fail_decoding(exc)
            self._after_taking()
            return fragment

    def _end_stream(self, stream: MessageStream) -> None:
        """Let others receive again, unless a message is half taken."""
        with self._lock:
            self._stream = None
            self._receiving = stream.started and not stream.finished

    def _fail_decoding(self, exc: UnicodeDecodeError) -> None:
        """Fail the connection over a binary message that was to be text, and raise."""
        self._note(exc)
        if self.protocol._state is OPEN:
            reason = f"{exc.reason} at position {exc.start}"
            self.protocol.fail(CloseCode.INVALID_DATA, reason)
            self._deliver()
        self._raise_closed()

    # Waiting

    def _wait_for(self, goal: int, what: Any, ends: float) -> bool:
        """Wait for what another thread or the peer does; False when that will not be in time."""
        with self._lock:
            return self._wait(goal, what, ends)

    def _wait(self, goal: int, what: Any, ends: float) -> bool:
        """Wait for ``goal``, reading the socket if nobody else does.

        Holds the lock at both ends. False when it is later than ``ends``, or when the connection
        was lost first.
        """
        protocol = self.protocol
        while not self._is_reached(goal, what):
            if self._is_lost:
                return False
            if Engine.can_resume(protocol):
                self._reads += 1
                Engine.resume(protocol, monotonic())
                self._deliver()
            elif self._leading or protocol.stopped:
                if not self._follow(ends):
                    return self._is_reached(goal, what)
            elif not self._lead(ends):
                return False
        return True

    def _is_reached(self, goal: int, what: Any) -> bool:
        if goal == MESSAGE:
            return self._inbox.is_ready()
        if goal == LOSS:
            return self._is_lost
        if goal == OPENING:
            return not self._opening
        # For these the class of ``what`` says when.
        return what.is_set() if goal == PONG else cast(MessageStream, self._stream).is_ready()

    def _follow(self, ends: float) -> bool:
        """Wait until another thread has read something; False when it is later than ``ends``."""
        seconds = None if ends == NEVER else ends - monotonic()
        if seconds is not None and seconds <= 0:
            return False
        if self._changed is None:
            self._changed = threading.Condition(self._lock)
        self._followers += 1
        try:
            return self._changed.wait(seconds)
        finally:
            self._followers -= 1

    def _lead(self, ends: float) -> bool:
        """Read the socket once, without the lock; False when it is later than ``ends``."""
        if self._tls is not None and self._take_decrypted():
            return True
        view = self._place()
        sock = self._sock
        size = WANTS_MORE
        failure: OSError | None = None
        self._leading = True
        self._reads += 1
        self._lock.release()
        try:
            size = self._read_soon(view, ends)
            if size == WANTS_MORE:
                if ends == NEVER:
                    size = sock.recv_into(view)
                else:
                    size = _read_until(sock, view, ends)
        except OSError as exc:
            if exc.errno is None:  # it isn't the system's: the handler of a signal raised it
                raise
            failure = exc
        finally:
            self._lock.acquire()
            self._leading = False
            if self._followers:
                self._tell_followers()
            if self._keeper.dozing:
                self._keeper.wake()
        self._take(size, failure)
        return size != WANTS_MORE or failure is not None

    def _read_soon(self, view: Any, ends: float) -> int:
        """Read what comes before a thread would sleep well; `WANTS_MORE` when nothing does."""
        if self._sleeps > 0:
            self._sleeps -= 1
            return WANTS_MORE
        if ends != NEVER and monotonic() + SOON > ends:
            return WANTS_MORE
        fd = self._sock.fileno()
        if fd < 0:
            return WANTS_MORE  # the program has closed it; reading will tell
        size = receive_soon(self._sock, fd, view, SOON)
        if size == WANTS_MORE:
            self._sleeps = self._doubt
            self._doubt = min(2 * self._doubt, MOST_SLEEPS)
        else:
            self._doubt = 1
        return size

    # Sending

    def _send(self, message: Any, text: bool | None, compress: bool | None) -> bool:
        """Send a message that is in one piece; False, and nothing done, for any other."""
        if self._unused:
            self._warn_of_use()
        if isinstance(message, str):
            opcode = OP_BINARY if text is False else OP_TEXT
        elif isinstance(message, BytesLike):
            opcode = OP_TEXT if text is True else OP_BINARY
        else:
            return False
        self._lock.acquire()
        try:
            if self._fragmenting:
                raise ConcurrencyError(SEND_TWICE)
            if not self._backlog or self.protocol.guard is None or self._may_send(message):
                self._send_frame(opcode, message, True, compress)
        finally:
            self._lock.release()
        return True

    def _send_frame(self, opcode: int, payload: Any, fin: bool, compress: bool | None) -> None:
        protocol = self.protocol
        if protocol._state is not OPEN:
            self._raise_closed()
        Engine.send_data(protocol, opcode, payload, fin, compress)
        self._flush()
        if self._backlog or self._aborted:
            self._drain(fin and opcode != OP_CONT)

    def _may_send(self, message: DataLike) -> bool:
        """Tell whether the peer is fast enough; without a word where it is being closed."""
        protocol = self.protocol
        if protocol._state is not OPEN:
            return True
        if admit(protocol, None, size_of(message), self._buffered(), monotonic()):
            return True
        if protocol._state is OPEN:
            return False
        self._deliver()
        return True  # and sending will tell

    def _begin_fragments(self) -> None:
        """Let nobody else send messages until the last fragment is sent."""
        if self._unused:
            self._warn_of_use()
        with self._lock:
            if self._fragmenting:
                raise ConcurrencyError(SEND_TWICE)
            self._fragmenting = True

    def _send_fragment(self, opcode: int, payload: Any, fin: bool, compress: bool | None) -> None:
        with self._lock:
            self._send_frame(opcode, payload, fin, compress)
            self._fragmenting = not fin

    def _fail_fragments(self) -> None:
        """Fail the connection: half a message can't be completed or taken back."""
        with self._lock:
            self._fragmenting = False
            if self.protocol._state is OPEN:
                self.protocol.fail(CloseCode.INTERNAL_ERROR, "error in fragmented message")
                self._deliver()

    def _drain(self, whole: bool = False) -> None:
        """Wait until all that is queued now has been written.

        Args:
            whole: a whole message waits: where such are dropped, no longer than the peer has time.

        Raises:
            ConnectionClosed: when the connection is lost before.

        """
        goal = self._queued
        guard = self.protocol.guard if whole else None
        ends = NEVER
        try:
            while self._written < goal and not self._is_lost and not self._aborted:
                if guard is not None and guard.slowness.drops:
                    if self._has_stalled(guard):
                        break
                    ends = guard.stall_deadline()
                self._wait_writable(ends)
                self._write_backlog()
        finally:
            if self._backlog and not self._writers:
                self._keeper.look_at(self)
        if self._is_lost or self._aborted:
            self._raise_closed()

    def _has_stalled(self, guard: Guard) -> bool:
        """Tell whether the peer has had its time, so that the next messages will be dropped."""
        taken = self.protocol.writer.bytes_sent - self._buffered()
        return guard.has_stalled(guard.slowness, monotonic(), taken)

    def _wait_writable(self, ends: float) -> None:
        self._writers += 1
        self._lock.release()
        try:
            wait_writable(self._sock, ends)
        finally:
            self._lock.acquire()
            self._writers -= 1
            if self._is_lost and not self._writers:
                self._sock.close()

    def _raise_closed(self) -> None:
        """Wait for the end of a connection that isn't open, and raise ConnectionClosed."""
        self._wait(LOSS, None, NEVER)
        raise self.close_exc

    def _warn_of_use(self) -> None:
        """Say that the connection is used in a way that has been replaced."""
        self._unused = False


def _read_until(sock: socket.socket, view: memoryview, ends: float) -> int:
    """Read once; `WANTS_MORE` when it is later than ``ends``."""
    if not wait_readable(sock, ends):
        return WANTS_MORE
    try:
        return sock.recv_into(view, 0, DONT_WAIT)
    except BlockingIOError:  # the kernel dropped what it had announced
        return WANTS_MORE
