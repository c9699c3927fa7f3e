"""What a server asks of its connections beyond the protocol, checked and taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SlowConsumer = Literal["wait", "drop", "close"]

# As much may always wait to be written: less says nothing about whether a peer keeps up. One that
# takes less in the time it has does not.
FAIR_SHARE = 2**15

DEFAULT_SLOW_LIMIT = 2**20
DEFAULT_SLOW_TIMEOUT = 10.0

UNLIMITED = 2**62


@dataclass(frozen=True, slots=True)
class Slowness:
    """When a peer is too slow, and what happens then.

    Args:
        drops: whether messages for it are dropped; otherwise the connection is closed.
        limit: bytes that may wait to be written.
        timeout: seconds in which it has to take something; None for any.
    """

    drops: bool
    limit: int
    timeout: float | None


PATIENT = Slowness(True, UNLIMITED, None)
"""Nothing is ever too slow."""


def slowness(
    slow_consumer: SlowConsumer | None, slow_limit: int, slow_timeout: float | None
) -> Slowness:
    """Take what a user says about slow consumers.

    Args:
        slow_consumer: "wait", "drop" or "close".
        slow_limit: bytes that may wait to be written.
        slow_timeout: seconds in which a peer has to take something; None for any.

    Raises:
        TypeError: when the limit isn't an integer.
        ValueError: when a value is out of its range.

    """
    if slow_consumer not in ("wait", "drop", "close"):
        raise ValueError(f"slow_consumer is {slow_consumer!r}, none of 'wait', 'drop' and 'close'")
    if not isinstance(slow_limit, int):
        raise TypeError(f"slow_limit is {slow_limit!r}, not in whole bytes")
    if slow_limit < FAIR_SHARE:
        raise ValueError(f"slow_limit is {slow_limit}, below {FAIR_SHARE}")
    if slow_timeout is not None and slow_timeout <= 0:
        raise ValueError(f"slow_timeout is {slow_timeout} seconds, not above 0")
    if slow_consumer == "wait":
        return PATIENT
    return Slowness(slow_consumer == "drop", min(slow_limit, UNLIMITED), slow_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a server asks of each of its connections.

    Args:
        slowness: when the peer is too slow.
        idle_timeout: seconds without a message in either direction; None for any.
        max_age: seconds that it may be open; None for any.
        message_rate: messages a second, and how many may come at once; None for any.
        byte_rate: bytes a second, and how many may come at once; None for any.
    """

    slowness: Slowness = PATIENT
    idle_timeout: float | None = None
    max_age: float | None = None
    message_rate: tuple[float, float] | None = None
    byte_rate: tuple[float, float] | None = None

    def are_any(self) -> bool:
        """Tell whether there is anything to hold a connection to."""
        return self != NO_RULES


NO_RULES = Rules()


def rate_and_burst(
    name: str, value: float | tuple[float, float] | None
) -> tuple[float, float] | None:
    """Take a rate limit apart; without a burst, as much may come at once as in a second.

    Args:
        name: what the user calls it.
        value: what the user says: a rate, or a pair of rate and burst.

    Raises:
        TypeError: when it isn't made of numbers.
        ValueError: when it isn't a pair, or a number isn't above 0, or the burst is below 1.

    """
    if value is None:
        return None
    pair = value if isinstance(value, tuple) else (value, None)
    if len(pair) != 2:
        raise ValueError(f"{name} is {value!r}, not a pair of rate and burst")
    rate, burst = pair
    if burst is None:
        burst = max(1.0, rate) if isinstance(rate, int | float) else 1.0
    for number in (rate, burst):
        if not isinstance(number, int | float):
            raise TypeError(f"{name} is {value!r}, not in numbers")
    if not rate > 0:
        raise ValueError(f"{name} is {value!r}, not above 0")
    if not burst >= 1:
        raise ValueError(f"{name} is {value!r}, its burst below 1")
    return float(rate), float(burst)


class Tally:
    """What the rules of a server have led to, on all of its connections.

    Attributes:
        messages_not_sent: messages that were dropped because their peer was slow.
        closed_slow: connections that were closed because their peer was slow.
        closed_idle: connections that were closed because of ``idle_timeout``.
        closed_old: connections that were closed because of ``max_connection_age``.
        closed_fast: connections that were closed because their peer exceeded a rate.
        refused_full: clients that were refused because of ``max_connections``.
        refused_crowded: clients that were refused because of ``max_handshakes``.
        refused_closing: clients that were refused because the server was closing.
    """

    __slots__ = (
        "closed_fast",
        "closed_idle",
        "closed_old",
        "closed_slow",
        "messages_not_sent",
        "refused_closing",
        "refused_crowded",
        "refused_full",
    )

    def __init__(self) -> None:
        self.messages_not_sent: int = 0
        self.closed_slow: int = 0
        self.closed_idle: int = 0
        self.closed_old: int = 0
        self.closed_fast: int = 0
        self.refused_full: int = 0
        self.refused_crowded: int = 0
        self.refused_closing: int = 0
