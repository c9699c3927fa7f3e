"""Does memory grow? The slope of samples that are off by more than what is looked for."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

Sample = tuple[float, float]
"""A time in seconds, and bytes."""


def slope(samples: Sequence[Sample]) -> float:
    """Give the median slope of all pairs of samples, in bytes a second (Theil and Sen)."""
    slopes = [
        (last[1] - first[1]) / (last[0] - first[0])
        for index, first in enumerate(samples)
        for last in samples[index + 1 :]
    ]
    return statistics.median(slopes)


def slope_range(samples: Sequence[Sample], draws: int = 200) -> tuple[float, float]:
    """Give the range in which the slope lies in 95 of 100 draws from the samples."""
    rng = random.Random(len(samples))
    slopes = []
    for _ in range(draws):
        drawn = sorted(set(rng.choices(samples, k=len(samples))))
        if len(drawn) > 1:
            slopes.append(slope(drawn))
    slopes.sort()
    edge = len(slopes) // 40
    return slopes[edge], slopes[-1 - edge]


def lowest(samples: Sequence[Sample], seconds: float) -> list[Sample]:
    """Give the lowest sample of each so many seconds: what comes and goes is no growth."""
    windows: dict[int, Sample] = {}
    for when, size in samples:
        window = int(when // seconds)
        if window not in windows or size < windows[window][1]:
            windows[window] = (when, size)
    return list(windows.values())
