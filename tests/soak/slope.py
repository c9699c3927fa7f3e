"""Does memory grow, apart from what it owes to the number of connections that there are?"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Sample(NamedTuple):
    """A look at the server: when, in seconds, its memory, in bytes, and its descriptors."""

    when: float
    size: float
    descriptors: float


def slope(samples: Sequence[Sample]) -> float:
    """Give the growth in bytes a second: of size on time and descriptors, by least squares."""
    means = [statistics.fmean(column) for column in zip(*samples, strict=True)]
    whens, sizes, counts = (
        [value - mean for value in column]
        for column, mean in zip(zip(*samples, strict=True), means, strict=True)
    )
    squares, counted = _product(whens, whens), _product(counts, counts)
    both = _product(whens, counts)
    by_when = _product(whens, sizes)
    by_count = _product(counts, sizes)
    determinant = squares * counted - both * both
    if determinant <= 1e-9 * squares * counted or counted == 0:
        return by_when / squares
    return (by_when * counted - by_count * both) / determinant


def _product(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(one * other for one, other in zip(left, right, strict=True))


def slope_range(samples: Sequence[Sample], draws: int = 400) -> tuple[float, float]:
    """Give the range in which the slope lies in 95 of 100 draws from the samples."""
    rng = random.Random(len(samples))
    slopes = []
    for _ in range(draws):
        drawn = rng.choices(samples, k=len(samples))
        if len(set(drawn)) > 3:
            slopes.append(slope(drawn))
    slopes.sort()
    edge = len(slopes) // 40
    return slopes[edge], slopes[-1 - edge]


def averages(samples: Sequence[Sample], seconds: float) -> list[Sample]:
    """Average the samples of each so many seconds: of neighbours, one tells what the other does."""
    windows: dict[int, list[Sample]] = {}
    for sample in samples:
        windows.setdefault(int(sample.when // seconds), []).append(sample)
    return [
        Sample(*(statistics.fmean(column) for column in zip(*window, strict=True)))
        for window in windows.values()
    ]
