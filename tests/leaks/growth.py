"""Telling a leak from what an allocator does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from operator import itemgetter


def growth(samples: list[dict[str, int]], field: str) -> float:
    """Tell by how much a figure grows with each message or connection, after the warm-up.

    A leak goes on: from each quarter to the next, it moves both the floor and the median. What
    comes and goes, such as a zlib-ng context of 300 KiB, moves one of the two, and what is
    allocated once, however late, one of the quarters. The least of all these slopes is what stays.
    """
    size = len(samples)
    quarters = [samples[size * part // 4 : size * (part + 1) // 4] for part in range(1, 4)]
    slopes = []
    for pick in (min, _median):
        picked = [pick(quarter, key=itemgetter(field)) for quarter in quarters]
        slopes += [
            (last[field] - first[field]) / (last["done"] - first["done"])
            for first, last in itertools.pairwise(picked)
        ]
    return min(slopes)


def _median(samples: list[dict[str, int]], key: Callable[[dict[str, int]], int]) -> dict[str, int]:
    return sorted(samples, key=key)[len(samples) // 2]
