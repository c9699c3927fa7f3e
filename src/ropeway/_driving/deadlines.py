"""The deadlines of many connections in one queue, for whoever has one timer for them all."""

from __future__ import annotations

import heapq
import itertools
from typing import Protocol

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
        self.when: float = when
        self.owner: Timed | None = owner


class Deadlines:
    """A queue of deadlines.

    Invariants: a cancelled deadline references nothing, and stays in the queue until its time has
    come or cancelled ones are the most.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Deadline]] = []
        self._cancelled = 0
        self._tie = itertools.count()

    def add(self, when: float, owner: Timed) -> Deadline:
        """Put a deadline into the queue."""
        deadline = Deadline(when, owner)
        heapq.heappush(self._queue, (when, next(self._tie), deadline))
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

    def earliest(self) -> float | None:
        """Tell when the first deadline passes; None when there is none."""
        while self._queue and self._queue[0][2].owner is None:
            heapq.heappop(self._queue)
            self._cancelled -= 1
        return self._queue[0][0] if self._queue else None

    def take_due(self, now: float) -> Timed | None:
        """Remove the first deadline if it has passed, and give its owner; None otherwise."""
        when = self.earliest()
        if when is None or when > now:
            return None
        deadline = heapq.heappop(self._queue)[2]
        owner, deadline.owner = deadline.owner, None
        return owner
