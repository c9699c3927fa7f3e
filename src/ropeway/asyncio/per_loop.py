"""What all connections of one event loop share: the receive buffer and the timer."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, cast
from weakref import ref

from .._driving.deadlines import Deadline, Deadlines, Timed
from .._driving.sockets import receive_buffer
from .polling import Poller, new_poller

# As much as asyncio itself reads at a time; one for all, since a read is handled before the next.
RECEIVE_BUFFER_SIZE = 256 * 1024


class _NoLoop:
    """Stands for the loop of a future that is done, and would keep a real one alive."""

    def get_debug(self) -> bool:
        return False


# What tasks are woken with; see `Waiter.wake`.
woken: asyncio.Future[None] = asyncio.Future(loop=cast(asyncio.AbstractEventLoop, _NoLoop()))
woken.set_result(None)


class PerLoop:
    """The shared things of one loop, on which all of its methods must be called.

    Invariants: while a deadline waits, one timer of the loop is set, for the earliest or for one
    before it that was cancelled; setting another each time costs more than to look in vain. Without
    connections and deadlines it doesn't reference the loop, which is freed without the garbage
    collector, then. The clock is
    ``time.monotonic``, since uvloop's stands still within a turn and has milliseconds only, too
    coarse for round-trip times.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.has_streams: bool = _has_streams(loop)
        self.poller: Poller | None = new_poller() if self.has_streams else None
        self.buffer: bytearray = receive_buffer(RECEIVE_BUFFER_SIZE)
        # Those that are going on; a weak reference, since they refer to connections.
        self.broadcasts: ref[Any] | None = None
        self.woken = woken
        self._tls_buffer: bytearray | None = None
        self._deadlines = Deadlines()
        self._timer: ref[asyncio.TimerHandle] | None = None
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
                self._tls_buffer = receive_buffer(len(tls._ssl_buffer))  # type: ignore[union-attr]
            tls._ssl_buffer = self._tls_buffer  # type: ignore[union-attr]
            tls._ssl_buffer_view = memoryview(self._tls_buffer)  # type: ignore[union-attr]

    def schedule(self, when: float, owner: Timed) -> Deadline:
        """Call ``owner.on_deadline()`` at ``when``, in seconds on the monotonic clock."""
        deadline = self._deadlines.add(when, owner)
        self._set_timer()
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Forget a deadline that hasn't passed."""
        self._deadlines.cancel(deadline)

    def _set_timer(self) -> None:
        when = self._deadlines.earliest()
        if when is None:
            return
        if self._timer is not None:
            if self._timer_due <= when:
                return
            timer = self._timer()
            if timer is not None:
                timer.cancel()
        delay = max(0.0, when - monotonic())
        self._timer = ref(asyncio.get_running_loop().call_later(delay, self._run))
        self._timer_due = when

    def _run(self) -> None:
        self._timer = None
        now = monotonic()
        try:
            while (owner := self._deadlines.take_due(now)) is not None:
                owner.on_deadline(now)
        finally:
            # What one connection raises must not stop the clock of the others.
            self._set_timer()


def _has_streams(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop polls sockets for us, as fast as it does for itself."""
    return isinstance(loop, asyncio.SelectorEventLoop) or type(loop).__module__ == "uvloop"


# Each build that is imported has its own.
ATTRIBUTE = f"_{__name__.partition('.')[0]}_per_loop"


def per_loop(loop: asyncio.AbstractEventLoop) -> PerLoop:
    """Give what the connections of ``loop`` share.

    It is an attribute of the loop: in a table of ours, a loop that was closed with connections open
    would stay for good, being referenced by those.
    """
    shared: PerLoop | None = getattr(loop, ATTRIBUTE, None)
    if shared is None:
        shared = PerLoop(loop)
        setattr(loop, ATTRIBUTE, shared)
    return shared
