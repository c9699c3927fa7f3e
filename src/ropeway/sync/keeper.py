"""The one thread of a process that looks after connections while nobody waits for them.

It answers pings, sends its own, takes in what arrives up to the marks of the receive queue, writes
what a full socket didn't take at once, and enforces every deadline. Connections that a thread reads
cost it nothing: it doesn't watch those.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

from .._driving.deadlines import Deadline, Deadlines, Timed
from .waiting import NEVER

if TYPE_CHECKING:
    from .wire import Wire

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
KEEP_OUT, STIRRED, GONE = 4, 8, 16

# Seconds after which a connection that no thread reads any more is looked after, at most twice.
TICK = 0.05

# After so many ticks in which nothing changed, the keeper waits to be woken.
TICKS_TO_DOZE = 20

NAME = "ropeway-keeper"

LOGGER = logging.getLogger("ropeway")


class Keeper:
    """The keeper of this process; `keeper` gives it.

    Invariants: each connection that was adopted and not forgotten is watched by the selector or is
    among ``_loose``, or both; only those in ``_loose`` are looked at without an event, once a tick.
    While ``dozing`` there are no ticks, and whoever uses a connection calls ``wake()``. A thread
    with a connection's lock may take the keeper's, never the other way round.
    """

    def __init__(self) -> None:
        self.dozing: bool = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._selector = selectors.DefaultSelector()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._ear, READ)
        self._deadlines = Deadlines()
        self._wakes_at = 0.0
        self._adopted: set[Wire] = set()
        self._loose: set[Wire] = set()
        self._urgent: set[Wire] = set()
        self._watched: dict[Wire, int] = {}
        self._next_tick = 0.0
        self._quiet_ticks = 0

    # What connections call, in any thread

    def adopt(self, wire: Wire) -> None:
        """Look after a connection from now on, until it is forgotten."""
        with self._lock:
            self._adopted.add(wire)
            if wire not in self._watched:
                self._loose.add(wire)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
                self._thread.start()
            dozing = self.dozing
        if dozing:
            self.wake()

    def forget(self, wire: Wire, sock: socket.socket) -> None:
        """Let go of a connection, before its socket is closed."""
        with self._lock:
            self._adopted.discard(wire)
            self._loose.discard(wire)
            self._urgent.discard(wire)
            # While it is open: a selector can't let go of what is closed here and open in a child.
            if self._watched.pop(wire, 0):
                self._selector.unregister(sock)

    def look_at(self, wire: Wire) -> None:
        """See at once to a connection that has something to write."""
        with self._lock:
            self._urgent.add(wire)
        self.wake()

    def schedule(self, when: float, owner: Timed) -> Deadline:
        """Call ``owner.on_deadline()`` at ``when``, in seconds on the monotonic clock."""
        with self._lock:
            deadline = self._deadlines.add(when, owner)
            late = when < self._wakes_at
        if late:
            self.wake()
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Forget a deadline that hasn't passed."""
        with self._lock:
            self._deadlines.cancel(deadline)

    def wake(self) -> None:
        """Let the keeper look around at once."""
        self.dozing = False
        try:
            self._bell.send(b"!")
        except BlockingIOError:
            pass  # it hasn't come to the last one yet

    # The thread

    def _run(self) -> None:
        while True:
            # In a call of its own, whose variables keep no connection alive while nothing happens.
            self._take_turn()

    def _take_turn(self) -> None:
        for key, events in self._selector.select(self._time_to_sleep()):
            if key.fileobj is self._ear:
                self._ear.recv(4096)
            else:
                self._tend(key.data, events)
        now = monotonic()
        while (owner := self._due(now)) is not None:
            self._serve(owner, now)
        for wire in self._take_urgent():
            self._tend(wire, 0)
        if now >= self._next_tick and not self.dozing:
            self._look_around(now)

    def _time_to_sleep(self) -> float | None:
        with self._lock:
            wakes_at = self._deadlines.earliest() or NEVER
            if not self._loose:
                self.dozing = True
            elif not self.dozing:
                wakes_at = min(wakes_at, self._next_tick)
            if self._urgent:
                wakes_at = 0.0
            self._wakes_at = wakes_at
        return None if wakes_at == NEVER else max(0.0, wakes_at - monotonic())

    def _take_urgent(self) -> set[Wire]:
        with self._lock:
            urgent, self._urgent = self._urgent, set()
            return urgent

    def _due(self, now: float) -> Timed | None:
        with self._lock:
            return self._deadlines.take_due(now)

    def _serve(self, owner: Timed, now: float) -> None:
        try:
            owner.on_deadline(now)
        except Exception:
            LOGGER.error("looking after a connection failed", exc_info=True)

    def _look_around(self, now: float) -> None:
        """Look at the loose connections; doze when none of them has changed for a while."""
        self._next_tick = now + TICK
        if self._tend_loose():
            self._quiet_ticks = 0
            return
        self._quiet_ticks += 1
        if self._quiet_ticks > TICKS_TO_DOZE:
            self._quiet_ticks = 0
            # What changes from now on wakes the keeper, what changed before is seen here.
            self.dozing = True
            if self._tend_loose():
                self.dozing = False

    def _tend_loose(self) -> bool:
        """See to the loose connections; tell whether any is in use."""
        with self._lock:
            loose = list(self._loose)
        in_use = False
        for wire in loose:
            in_use = self._tend(wire, 0) or in_use
        return in_use

    def _tend(self, wire: Wire, events: int) -> bool:
        """See to a connection and watch what it wants watched; tell whether it is in use."""
        try:
            wants = wire._tend(events)
            if not wants & GONE:
                self._attend(wire, wants)
        except Exception:
            # One connection's trouble must not end the thread that all others need.
            LOGGER.error("looking after a connection failed", exc_info=True)
            wire.abort()
            return False
        return bool(wants & STIRRED)

    def _attend(self, wire: Wire, wants: int) -> None:
        with self._lock:
            if wire not in self._adopted:
                return
            self._watch(wire, wants & (READ | WRITE))
            if wants & READ:
                self._loose.discard(wire)
            elif wire not in self._loose:
                self._loose.add(wire)
                self.dozing = False

    def _watch(self, wire: Wire, mask: int) -> None:
        before = self._watched.get(wire, 0)
        if mask == before:
            return
        if not mask:
            self._selector.unregister(wire._sock)
            del self._watched[wire]
            return
        if before:
            self._selector.modify(wire._sock, mask, wire)
        else:
            self._selector.register(wire._sock, mask, wire)
        self._watched[wire] = mask

    def abandon(self) -> set[Wire]:
        """Be replaced in a child process; gives the connections that it has inherited."""
        self._selector.close()
        self._ear.close()
        self._bell.close()
        return self._adopted


_keeper: Keeper | None = None
_making = threading.Lock()


def keeper() -> Keeper:
    """Give the keeper of this process."""
    global _keeper
    if _keeper is None:
        with _making:
            if _keeper is None:
                _keeper = Keeper()
    return _keeper


def _after_fork() -> None:
    """Start afresh in a child process, which has none of its parent's threads."""
    global _keeper, _making
    _making = threading.Lock()
    before, _keeper = _keeper, None
    if before is not None:
        for wire in before.abandon():
            wire._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
