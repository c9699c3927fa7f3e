"""What was counted and timed, and how it is printed. Nothing here is invented or smoothed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

__all__ = ["Row", "Samples", "Tally", "milliseconds", "report"]

KEPT = 100_000
"""Newest durations of a kind that are kept: percentiles of a week must not need a week's memory."""


class Samples:
    """Durations in seconds: how many there were, and percentiles of the newest."""

    def __init__(self, durations: Iterable[float] = ()) -> None:
        self.count: int = 0
        self._newest: deque[float] = deque(maxlen=KEPT)
        for duration in durations:
            self.add(duration)

    def add(self, duration: float) -> None:
        self.count += 1
        self._newest.append(duration)

    def percentile(self, percent: float) -> float | None:
        """The smallest duration that ``percent`` of them do not exceed; None before the first."""
        if not self._newest:
            return None
        ordered = sorted(self._newest)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass
class Tally:
    """What the server counts, from the moment it listens."""

    clock: Callable[[], float] = time.perf_counter
    connections: int = 0
    present: int = 0
    peak: int = 0
    received: int = 0
    delivered: int = 0
    busiest: int = 0
    """Messages received in the busiest second."""
    pings: Samples = field(default_factory=Samples)
    opened_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.opened_at = self.clock()
        self._at_second = 0

    def entered(self) -> None:
        self.connections += 1
        self.present += 1
        self.peak = max(self.peak, self.present)

    def left(self) -> None:
        self.present -= 1

    def second(self) -> int:
        """Close a second's account; return the messages received in it."""
        rate = self.received - self._at_second
        self._at_second = self.received
        self.busiest = max(self.busiest, rate)
        return rate


@dataclass
class Row:
    """A line of the table.

    Args:
        label: what was measured.
        rate: messages a second, None where that means nothing.
        trips: durations, from the sender and back to it; None where nobody could time them.
    """

    label: str
    rate: float | None
    trips: Samples | None


def report(title: str, tally: Tally, rows: Iterable[Row]) -> str:
    """Lay out the summary.

    Args:
        title: the first line.
        tally: what the server counted.
        rows: lines of the table; the pings that the tally holds are added.

    Returns:
        Lines of text, without the last line feed.
    """
    pings = Row(f"WebSocket pings ({tally.pings.count:,})", None, tally.pings)
    table = [("", "messages/s", "round trip p50", "p99")]
    table += [(row.label, _rate(row.rate), *_percentiles(row.trips)) for row in (*rows, pings)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        title,
        "",
        f"  connections  {tally.connections:,} opened, {tally.peak:,} at once",
        f"  messages     {tally.received:,} received, {tally.delivered:,} delivered",
        "",
    ]
    for label, *cells in table:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"  {label:<{widths[0]}}  {'  '.join(aligned)}".rstrip())
    return "\n".join(lines)


def milliseconds(seconds: float | None) -> str:
    """Write a duration with three digits that mean something."""
    if seconds is None:
        return "–"
    value = seconds * 1000
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{digits}f} ms"


def _rate(rate: float | None) -> str:
    if rate is None:
        return ""
    return f"{rate:,.0f}" if rate >= 9.95 or rate == int(rate) else f"{rate:.1f}"


def _percentiles(samples: Samples | None) -> tuple[str, str]:
    if samples is None:
        return "", ""
    return milliseconds(samples.percentile(50)), milliseconds(samples.percentile(99))
