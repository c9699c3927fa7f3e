"""What all connections of one event loop share: the receive buffer and the timer."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from time import monotonic
from typing import Protocol
from weakref import WeakKeyDictionary

# As much as asyncio itself reads at a time; one for all, since a read is handled before the next.
RECEIVE_BUFFER_SIZE = 256 * 1024

# Below this many entries, sweeping cancelled deadlines out of the queue isn't worth it.
FEW = 64


class Timed(Protocol):
    """Something with deadlines."""

    def on_deadline(self, now: float) -> None:
        """Do what is due at ``now``, in seconds of ``time.monotonic``."""


class Deadline:
    """A place in the queue of deadlines."""

    __slots__ = ("owner", "when")

    def __init__(self, when: float, owner: Timed) -> None:
        self.when = when
        self.owner: Timed | None = owner


class PerLoop:
    """The shared things of one loop, on which all of its methods must be called.

    Invariants: while a deadline waits, one timer of the loop is set for the earliest, and otherwise
    none; a cancelled deadline references nothing. Without deadlines it doesn't reference the loop,
    which would keep both alive. The clock is ``time.monotonic``, since uvloop's stands still within
    a turn and has milliseconds only, too coarse for round-trip times.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.has_streams = _has_streams(loop)
        self.buffer = bytearray(RECEIVE_BUFFER_SIZE)
        # What transports get: asyncio's TLS reads into slices of it, and a bytearray's are copies.
        self.view = memoryview(self.buffer)
        self._tls_buffer: bytearray | None = None
        self._queue: list[tuple[float, int, Deadline]] = []
        self._cancelled = 0
        self._tie = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def share_with_tls(self, transport: object) -> None:
        """Let asyncio's TLS read into one buffer for all, instead of 256 KiB a connection.

        What it reads it decrypts at once, so nothing stays in the buffer. The attributes are
        private: where they don't exist, each connection keeps its own.
        """
        tls = getattr(transport, "_ssl_protocol", None)
        if isinstance(getattr(tls, "_ssl_buffer", None), bytearray) and hasattr(
            tls, "_ssl_buffer_view"
        ):
            if self._tls_buffer is None:
                self._tls_buffer = tls._ssl_buffer  # type: ignore[union-attr]
            tls._ssl_buffer = self._tls_buffer  # type: ignore[union-attr]
            tls._ssl_buffer_view = memoryview(self._tls_buffer)  # type: ignore[union-attr]

    def schedule(self, when: float, owner: Timed) -> Deadline:
        """Call ``owner.on_deadline()`` at ``when``, in seconds on the monotonic clock."""
        deadline = Deadline(when, owner)
        heapq.heappush(self._queue, (when, next(self._tie), deadline))
        self._set_timer()
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Forget a deadline that hasn't passed."""
        if deadline.owner is None:
            return
        deadline.owner = None
        self._cancelled += 1
        if self._cancelled > max(FEW, len(self._queue) // 2):
            self._queue = [entry for entry in self._queue if entry[2].owner is not None]
            heapq.heapify(self._queue)
            self._cancelled = 0
        self._set_timer()

    def _set_timer(self) -> None:
        while self._queue and self._queue[0][2].owner is None:
            heapq.heappop(self._queue)
            self._cancelled -= 1
        when = self._queue[0][0] if self._queue else None
        if self._timer is not None:
            if when is not None and self._timer_due <= when:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            delay = max(0.0, when - monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)
            self._timer_due = when

    def _run(self) -> None:
        self._timer = None
        now = monotonic()
        try:
            while self._queue and self._queue[0][0] <= now:
                deadline = heapq.heappop(self._queue)[2]
                owner, deadline.owner = deadline.owner, None
                if owner is None:
                    self._cancelled -= 1
                else:
                    owner.on_deadline(now)
        finally:
            # What one connection raises must not stop the clock of the others.
            self._set_timer()


_per_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, PerLoop] = WeakKeyDictionary()


def _has_streams(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop polls sockets for us, as fast as it does for itself."""
    return isinstance(loop, asyncio.SelectorEventLoop) or type(loop).__module__ == "uvloop"


def per_loop(loop: asyncio.AbstractEventLoop) -> PerLoop:
    """Give what the connections of ``loop`` share."""
    shared = _per_loop.get(loop)
    if shared is None:
        shared = _per_loop[loop] = PerLoop(loop)
    return shared
