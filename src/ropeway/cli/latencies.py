"""Durations by the million, in constant memory: counts in buckets that grow with the value."""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["Latencies", "bars", "duration"]

BITS = 7
"""Each power of two is divided into 2**BITS buckets: a bucket is off by less than 0.8 %."""

SIZE = 1 << BITS
BUCKETS = SIZE * 42
"""Up to 2**48 ns, more than three days."""


class Latencies:
    """A histogram of durations in nanoseconds."""

    def __init__(self) -> None:
        self.count: int = 0
        self.total: int = 0
        self.least: int | None = None
        self.largest: int = 0
        self._counts = [0] * BUCKETS

    def add(self, nanoseconds: int) -> None:
        """Count a duration."""
        self.count += 1
        self.total += nanoseconds
        if nanoseconds > self.largest:
            self.largest = nanoseconds
        if self.least is None or nanoseconds < self.least:
            self.least = nanoseconds
        shift = nanoseconds.bit_length() - BITS - 1
        if shift <= 0:
            self._counts[nanoseconds if nanoseconds > 0 else 0] += 1
        else:
            index = (shift << BITS) + (nanoseconds >> shift)
            self._counts[index if index < BUCKETS else -1] += 1

    def percentile(self, percent: float) -> float:
        """Give the duration in seconds that ``percent`` of all do not exceed, 0 without any."""
        rank = max(1, math.ceil(self.count * percent / 100))
        passed = 0
        for upper, count in self.buckets():
            passed += count
            if passed >= rank:
                # A bucket has a width; no duration was longer than the longest.
                return min(upper, self.largest) / 1e9
        return 0.0

    @property
    def mean(self) -> float:
        """The mean, in seconds."""
        return self.total / self.count / 1e9 if self.count else 0.0

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Yield the buckets that are not empty: the largest duration in them, and how many."""
        for index, count in enumerate(self._counts):
            if count:
                shift = max(0, (index >> BITS) - 1)
                yield ((index - (shift << BITS) + 1) << shift) - 1, count

    def summary(self) -> dict[str, float]:
        """Give what is worth knowing, in seconds."""
        return {
            "min": (self.least or 0) / 1e9,
            "mean": self.mean,
            **{f"p{percent:g}": self.percentile(percent) for percent in (50, 90, 99, 99.9)},
            "max": self.largest / 1e9,
        }


# How they are shown

STEPS: tuple[tuple[float, ...], ...] = (
    (1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.6, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1,),
)
"""Bounds within a power of ten, from fine to coarse."""

MOST_ROWS = 18


def bars(latencies: Latencies) -> list[tuple[float, int]]:
    """Divide durations into at most 18 rows of round bounds, as finely as that allows.

    Returns:
        For each row its upper bound in seconds and how many durations it has.
    """
    rows: list[tuple[float, int]] = []
    for steps in STEPS:
        rows = _rows(latencies, steps)
        if len(rows) <= MOST_ROWS:
            break
    return rows


def _rows(latencies: Latencies, steps: tuple[float, ...]) -> list[tuple[float, int]]:
    bounds = [round(step * 10**power) for power in range(3, 15) for step in steps]
    rows = dict.fromkeys(bounds, 0)
    for upper, count in latencies.buckets():
        upper = min(upper, latencies.largest)
        rows[next((bound for bound in bounds if upper <= bound), bounds[-1])] += count
    filled = [number for number, count in enumerate(rows.values()) if count]
    if not filled:
        return []
    return [(bound / 1e9, count) for bound, count in list(rows.items())[filled[0] : filled[-1] + 1]]


def duration(seconds: float) -> str:
    """Write a duration with three digits that mean something."""
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        value = seconds * factor
        if value < 999.5:
            digits = 0 if value >= 99.95 or value == int(value) else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    return f"{seconds:.2f} s"
