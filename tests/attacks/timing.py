"""How long things take that an attacker may measure: ``timing.py parsers|passwords``, as JSON.

A process of its own, since it measures the build under test.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from ropeway.datastructures import Headers
from ropeway.exceptions import InvalidHeader
from ropeway.http11 import Request
from ropeway.sync.server import basic_auth

REPEAT = 7
ENOUGH = 0.001
"""Seconds that a measurement takes at least: below, the clock is what it measures."""
SAMPLES = 20_000


def parsers() -> dict[str, Any]:
    """Give the worst ratio of the time for 16 KiB to that for 8 KiB, of any parser and value."""
    from ..words.test_headers import ADVERSARIAL, PARSERS

    worst, who = 0.0, ""
    for parse in PARSERS:
        for start in ("", "a", 'a;b="', "a,", "Basic "):
            for name, piece in ADVERSARIAL.items():
                for end in ("", '"', "\0"):
                    half, whole = (
                        (start + piece * (size // len(piece)))[:size] + end
                        for size in (8192, 16384)
                    )
                    # What takes microseconds has refused at its start.
                    ratio = least(parse, whole) / max(least(parse, half), 2e-6)
                    if ratio > 2.2:  # again: others may have had the core
                        ratio = min(
                            ratio, least(parse, whole, 5) / max(least(parse, half, 5), 2e-6)
                        )
                    if ratio > worst:
                        worst, who = ratio, f"{parse.__name__}, {name} after {start!r}"
    return {"worst_ratio": round(worst, 2), "worst": who}


def least(parse: Callable[[str], Any], text: str, more: int = 1) -> float:
    """Give the shortest time of some."""
    times = 1
    while True:
        found = min(once(parse, text, times) for _ in range(REPEAT * more))
        if found * times >= ENOUGH or times >= 256:
            return found
        times *= 4


def once(parse: Callable[[str], Any], text: str, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        with contextlib.suppress(InvalidHeader):
            parse(text)
    return (time.perf_counter() - start) / times


class Asking:
    """As much of a connection as a check of credentials needs."""

    username = ""

    def respond(self, status: int, text: str) -> Any:
        from ropeway.http11 import Response

        return Response(int(status), "", Headers())


def passwords() -> dict[str, Any]:
    """Compare wrong credentials that are nearly right with ones that are not: Welch's t."""
    secret = "a-secret-that-is-rather-long-0123456789"
    check = basic_auth("realm", credentials=("ann", secret))
    kinds = {
        "nearly right": ("ann", secret[:-1] + "x"),
        "all wrong": ("ann", "x" * len(secret)),
        "unknown name": ("bob", "x" * len(secret)),
    }
    requests = {name: asking(*pair) for name, pair in kinds.items()}
    times: dict[str, list[int]] = {name: [] for name in kinds}
    names = list(kinds) * SAMPLES
    random.Random(0).shuffle(names)
    connection: Any = Asking()
    for name in names:
        start = time.perf_counter_ns()
        check(connection, requests[name])
        times[name].append(time.perf_counter_ns() - start)
    # What an interruption made long says nothing.
    cut = {name: sorted(values)[: len(values) * 9 // 10] for name, values in times.items()}
    nearly = cut["nearly right"]
    return {
        "t_all_wrong": round(welch(nearly, cut["all wrong"]), 2),
        "t_unknown_name": round(welch(nearly, cut["unknown name"]), 2),
        "difference_ns": round(statistics.mean(nearly) - statistics.mean(cut["all wrong"]), 1),
    }


def asking(username: str, password: str) -> Request:
    told = base64.b64encode(f"{username}:{password}".encode()).decode()
    return Request("/", Headers({"Authorization": f"Basic {told}"}))


def welch(one: list[int], other: list[int]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return float(abs(statistics.mean(one) - statistics.mean(other)) / spread**0.5)


if __name__ == "__main__":
    print(json.dumps({"parsers": parsers, "passwords": passwords}[sys.argv[1]]()))
