"""Holds one connection to the rules of its server. Clocks and buffers are told, not looked at."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ..exceptions import RateLimitExceeded
from ..frames import Close, CloseCode
from .rules import FAIR_SHARE, NO_RULES, Rules, Slowness, Tally

if TYPE_CHECKING:
    from .engine import Engine

NEVER = float("inf")

# How often to look whether a connection is idle, in its timeout: to note the time of each message
# would cost every message something.
LOOKS = 4

# Of the greatest age, the share that is left to chance: what came together should not go together.
CHANCE = 0.1


class Guard:
    """What has to be known about a connection to hold it to the rules.

    Only connections with rules have one.

    Invariants: ``rated`` says that there are rates, of which ``_messages`` and ``_bytes`` say what
    may come at once; the clock for a slow peer runs, from ``_since`` on, exactly while the driver
    says that too much waits to be written; ``stalled`` says that the peer has had its time.
    """

    def __init__(self, rules: Rules, tally: Tally) -> None:
        self.slowness: Slowness = rules.slowness
        self.tally: Tally = tally
        self.messages_not_sent: int = 0
        # Bytes that wait to be written: the driver's and those in the writer.
        self.buffered: int = 0
        self.stalled: bool = False
        self._since: float = NEVER
        self._taken: int = 0

        self.idle_timeout: float | None = rules.idle_timeout
        self._active_at: float = 0.0
        self._look_at: float = NEVER
        self._seen: tuple[int, ...] = ()
        self.max_age: float | None = rules.max_age
        self._ends_at: float = NEVER

        self.rated: bool = rules.message_rate is not None or rules.byte_rate is not None
        self._message_rate, self._message_burst = rules.message_rate or (0.0, NEVER)
        self._byte_rate, self._byte_burst = rules.byte_rate or (0.0, NEVER)
        self._messages: float = self._message_burst
        self._bytes: float = self._byte_burst
        self._messages_seen: int = 0
        self._bytes_seen: int = 0
        self._filled_at: float = 0.0

    # Slow consumers. What a peer has ``taken`` is counted from anywhere.

    def choke(self, now: float, taken: int) -> None:
        """Note that much waits to be written; calling it again does nothing."""
        if self._since == NEVER:
            self._since = now
            self._taken = taken

    def relieve(self) -> None:
        """Note that little waits to be written."""
        self._since = NEVER
        self.stalled = False

    def is_slow(self, slowness: Slowness, now: float, taken: int, buffered: int, size: int) -> bool:
        """Tell whether the peer is too slow to get another message.

        Args:
            slowness: when it is.
            now: the driver's clock, in seconds.
            taken: bytes that the peer has taken.
            buffered: bytes that wait for it.
            size: of the message.

        """
        if self._since == NEVER:
            if buffered <= FAIR_SHARE:
                return False
            self.choke(now, taken)
        # A message that is larger than the limit still goes to who keeps up.
        if buffered > FAIR_SHARE and buffered + size > slowness.limit:
            return True
        return self.has_stalled(slowness, now, taken)

    def has_stalled(self, slowness: Slowness, now: float, taken: int) -> bool:
        """Tell whether the peer has taken next to nothing in the time that it had."""
        self.stalled = False
        if slowness.timeout is None or self._since == NEVER:
            return False
        if taken - self._taken >= FAIR_SHARE:
            self._since = now
            self._taken = taken
        self.stalled = now >= self._since + slowness.timeout
        return self.stalled

    def stall_deadline(self) -> float:
        """Tell when the peer will have had its time, unless it takes something."""
        timeout = self.slowness.timeout
        if timeout is None or self.stalled:
            return NEVER
        return self._since + timeout

    def _close_slow(self, engine: Engine, buffered: int) -> None:
        self.tally.closed_slow += 1
        engine.fail(CloseCode.TRY_AGAIN_LATER, f"peer is slow: {buffered} bytes wait for it")

    # Time

    def start(self, engine: Engine, now: float) -> None:
        """Begin to look at the clock, now that the connection is open."""
        self._filled_at = now
        if self.max_age is not None:
            self._ends_at = now + self.max_age * (1 - CHANCE * random.random())
        if self.idle_timeout is not None:
            self._note_activity(engine, now)

    def next_deadline(self) -> float:
        """Tell when to look at the clock again; never is infinity."""
        return min(self.stall_deadline(), self._look_at, self._ends_at)

    def on_deadline(self, engine: Engine, now: float) -> None:
        """Do what is due on an open connection; ``buffered`` is as it is now."""
        taken = engine.writer.bytes_sent - self.buffered
        if self.has_stalled(self.slowness, now, taken) and not self.slowness.drops:
            self._close_slow(engine, self.buffered)
        elif now >= self._ends_at:
            self.tally.closed_old += 1
            # 1012, "service restart", has clients come back, and not all at once.
            reason = "connection has reached its greatest age"
            engine.start_closing(Close(CloseCode.SERVICE_RESTART, reason))
        elif now >= self._look_at:
            self._check_idleness(engine, now)

    def _check_idleness(self, engine: Engine, now: float) -> None:
        assert self.idle_timeout is not None
        # What we don't read may hold a message.
        if engine.stopped or self._seen != self._activity(engine):
            self._note_activity(engine, now)
        elif now >= self._active_at + self.idle_timeout:
            self.tally.closed_idle += 1
            reason = f"no message for {self.idle_timeout:.15g} seconds"
            engine.start_closing(Close(CloseCode.GOING_AWAY, reason))
        else:
            self._look_next(now)

    def _note_activity(self, engine: Engine, now: float) -> None:
        self._active_at = now
        self._seen = self._activity(engine)
        self._look_next(now)

    def _look_next(self, now: float) -> None:
        assert self.idle_timeout is not None
        next_look = now + self.idle_timeout / LOOKS
        self._look_at = min(next_look, self._active_at + self.idle_timeout)

    def _activity(self, engine: Engine) -> tuple[int, ...]:
        """Give numbers that change with messages, whole or not, but not with control frames."""
        reader, writer = engine.reader, engine.writer
        taken = writer.bytes_sent - self.buffered if self.buffered else 0
        return (
            reader.messages_received,
            reader.payload_bytes_received,
            writer.messages_sent,
            writer.payload_bytes_sent,
            taken,
        )

    # Rates: buckets that fill with time, and from which all that comes is taken

    def budget(self, most: int, now: float) -> int:
        """Tell how many frames may be parsed before the rates are looked at again."""
        self._fill(now)
        return int(min(most, self._messages + 1))

    def _fill(self, now: float) -> None:
        seconds = now - self._filled_at
        self._filled_at = now
        self._messages = min(self._message_burst, self._messages + seconds * self._message_rate)
        self._bytes = min(self._byte_burst, self._bytes + seconds * self._byte_rate)

    def too_fast(self, messages: int, nbytes: int) -> RateLimitExceeded | None:
        """Take what has come, and give the error that it is, if it is one.

        Args:
            messages: number of messages that have come since the connection opened.
            nbytes: the same of bytes on the wire.

        """
        self._messages -= messages - self._messages_seen
        self._messages_seen = messages
        self._bytes -= nbytes - self._bytes_seen
        self._bytes_seen = nbytes
        if self._messages >= 0 and self._bytes >= 0:
            return None
        self.tally.closed_fast += 1
        if self._messages < 0:
            return RateLimitExceeded("messages", self._message_rate, self._message_burst)
        return RateLimitExceeded("bytes", self._byte_rate, self._byte_burst)


def admit(engine: Engine, slowness: Slowness | None, size: int, buffered: int, now: float) -> bool:
    """Tell whether a peer is fast enough to get another message.

    If not, the message counts as dropped, or the connection is failed.

    Args:
        engine: of an open connection.
        slowness: when it isn't; None for what the connection's own rules say.
        size: of the message, in bytes.
        buffered: bytes that wait to be written, those in the writer included.
        now: the driver's clock, in seconds.

    """
    guard = engine.guard
    if guard is None:
        guard = engine.guard = Guard(NO_RULES, Tally())
    if slowness is None:
        slowness = guard.slowness
    if not guard.is_slow(slowness, now, engine.writer.bytes_sent - buffered, buffered, size):
        return True
    if slowness.drops:
        guard.messages_not_sent += 1
        guard.tally.messages_not_sent += 1
    else:
        guard._close_slow(engine, buffered)
    return False
