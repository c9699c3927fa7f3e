"""Pings (RFC 6455 section 5.5.2): when to send them, which pong answers which, when to give up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from ..exceptions import ConcurrencyError
from .masking import next_key

# What a connection has that awaits no pong: a dictionary for each would weigh more than the rest.
NO_PINGS: Mapping[bytes, tuple[object, float]] = MappingProxyType({})

# A deadline that is served this many seconds late says more about our loop than about the peer.
LATE = 1.0


class Keepalive:
    """The pings of one connection.

    Invariants: ``pings`` is in the order of sending; at most one of them is the keepalive's own,
    ``awaited``. Whoever sent a ping gets its ``token`` back with the measured round-trip time.
    """

    __slots__ = (
        "_graced",
        "_late_by",
        "awaited",
        "deadline",
        "interval",
        "latency",
        "next_ping",
        "pings",
        "timeout",
    )

    def __init__(self) -> None:
        self.interval: float | None = None
        self.timeout: float | None = None
        self.latency: float = 0.0
        self.pings: dict[bytes, tuple[object, float]] = cast(
            dict[bytes, tuple[object, float]], NO_PINGS
        )
        self.awaited: bytes | None = None
        self.next_ping: float | None = None
        self.deadline: float | None = None
        self._graced = False
        self._late_by = 0.0

    def start(self, now: float) -> None:
        """Begin to send pings, the first after one interval."""
        if self.interval is not None:
            self.next_ping = now + self.interval

    def stop(self) -> None:
        """Send no more pings and expect none to be answered."""
        self.next_ping = self.deadline = self.awaited = None

    def add(self, payload: bytes | None, token: object, now: float) -> bytes:
        """Note a ping that is about to be sent.

        Args:
            payload: what to send; None for four random bytes.
            token: what ``acknowledge()`` gives back.
            now: the driver's clock, in seconds.

        Raises:
            ConcurrencyError: when the same payload still waits for its pong.

        """
        if payload is not None and payload in self.pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        while payload is None or payload in self.pings:
            payload = next_key().to_bytes(4, "big")
        if self.pings is NO_PINGS:
            self.pings = {}
        self.pings[payload] = (token, now)
        return payload

    def acknowledge(self, payload: bytes, now: float) -> list[tuple[object, float]]:
        """Match a pong; gives ``(token, seconds)`` of each ping that it answers.

        5.5.3 lets a peer answer only the latest of several pings, so earlier ones are answered too.
        An unsolicited pong answers none.
        """
        if payload not in self.pings:
            return []
        answered = []
        for sent, (token, sent_at) in list(self.pings.items()):
            del self.pings[sent]
            latency = now - sent_at
            answered.append((token, latency))
            if sent == self.awaited:
                self._answered(sent_at, now)
            if sent == payload:
                self.latency = latency
                break
        if not self.pings:
            self.pings = cast(dict[bytes, tuple[object, float]], NO_PINGS)
        return answered

    def next_deadline(self) -> float | None:
        """Tell when ``on_deadline()`` has something to do."""
        return self.next_ping if self.deadline is None else self.deadline

    def on_deadline(self, now: float, last_received: float, deaf: bool) -> bytes | str | None:
        """Act on time.

        Args:
            now: the driver's clock, in seconds.
            last_received: when bytes last arrived: any byte is a sign of life.
            deaf: we aren't reading, so silence says nothing about the peer.

        Returns:
            The payload of a ping to send (bytes), the reason to fail with (str), or None.

        """
        if self.deadline is not None:
            return self._check(now, last_received, deaf)
        if self.next_ping is not None and now >= self.next_ping:
            return self._ping(now)
        return None

    def _ping(self, now: float) -> bytes:
        assert self.interval is not None
        if self.awaited in self.pings:  # without a timeout, or deaf: the unanswered one is replaced
            del self.pings[self.awaited]
        self.awaited = self.add(None, None, now)
        self._graced = False
        self._late_by = 0.0
        self.next_ping = now + self.interval
        if self.timeout is not None:
            self.deadline = now + self.timeout
        return self.awaited

    def _check(self, now: float, last_received: float, deaf: bool) -> bytes | str | None:
        assert self.deadline is not None and self.timeout is not None
        if now < self.deadline:
            return None
        if deaf:
            # Nothing can be heard, but a connection that is gone lets us know when we write.
            return self._ping(now)
        alive_until = last_received + self.timeout
        if now < alive_until:
            self.deadline = alive_until
            self._graced = False
            self._late_by = 0.0
            return None
        late_by = now - self.deadline
        if late_by > LATE and not self._graced:
            # The loop was held up: what the peer sent may be waiting in the kernel, so look once.
            self._graced = True
            self._late_by = late_by
            self.deadline = now + min(self.timeout, LATE)
            return None
        if self._late_by:
            return f"keepalive ping timeout: event loop was late by {self._late_by:.1f} seconds"
        silence = now - last_received
        return f"keepalive ping timeout: peer was silent for {silence:.1f} seconds"

    def _answered(self, sent_at: float, now: float) -> None:
        self.awaited = None
        self.deadline = None
        if self.interval is not None:
            self.next_ping = max(now, sent_at + self.interval)
