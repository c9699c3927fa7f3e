"""What ropeway is to reach, as data, and whether records show that it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ROPEWAY = "ropeway"
PLAIN_DEFLATE = "ropeway (zlib)"
FAST_DEFLATE = "ropeway (zlib-ng)"
LOOPS = ("asyncio", "uvloop")
DRIVERS = (*LOOPS, "threads", "trio")
# The ratio of compression varies a little with how many messages fitted into the time.
SAME = 1.01

Metrics = Mapping[str, float]
Medians = Mapping[tuple[str, str, str], Metrics]
"""By scenario, contender and loop."""


@dataclass(frozen=True)
class Goal:
    """A bound on one figure, absolute or as a multiple of another contender's."""

    scenario: str
    metric: str
    bound: float
    against: str | None = None
    """Whose figure the bound multiplies: on the same loop, if it has one."""
    at_least: bool = False
    own: str = ROPEWAY
    loops: tuple[str, ...] = LOOPS

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        what, unit = METRICS[self.metric]
        who = "" if self.own == ROPEWAY else f" of {self.own}"
        if self.against is None:
            return f"{what}{who} {sign} {self.bound:g} {unit}".rstrip()
        return f"{what}{who} {sign} {self.bound:.3g} × {self.against}"


@dataclass(frozen=True)
class Verdict:
    """What became of a goal on one loop."""

    goal: Goal
    loop: str
    value: float | None
    """The own figure, or the multiple; None if it was not measured."""
    own: float | None = None
    other: float | None = None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        if self.goal.at_least:
            return self.value >= self.goal.bound
        return self.value <= self.goal.bound

    @property
    def mark(self) -> str:
        return {True: "✓", False: "✗", None: "—"}[self.met]

    def __str__(self) -> str:
        if self.value is None:
            return "— not measured"
        if self.goal.against is None:
            return f"{self.mark} {self.value:.3g}"
        return f"{self.mark} {self.value:.2f} × ({self.own:.3g} / {self.other:.3g})"


METRICS = {
    "messages_per_s": ("messages", "/s"),
    "cpu_us": ("CPU", "µs"),
    "user_us": ("user CPU", "µs"),
    "threads_added": ("threads that 1 000 connections add", ""),
    "held_max_ms": ("longest time the loop was held", "ms"),
    "kib_per_connection": ("memory of a connection", "KiB"),
    "growth_percent": ("growth from wave 2 to 4", "%"),
    "returned_percent": ("of a wave's memory returned", "%"),
    "payload_mb_per_cpu_s": ("throughput", "MB/s of CPU"),
    "wire_ratio": ("bytes sent per byte of payload", ""),
    "p99_ms": ("p99 of the others", "ms"),
    "flood_kept_percent": ("of its solo rate kept by the flood", "%"),
}
SIZES = ("200B", "2KiB", "64KiB")


def _cpu(scenario: str, **bounds: float) -> list[Goal]:
    return [Goal(scenario, "cpu_us", bound, against) for against, bound in bounds.items()]


def _ping_pong(scenario: str) -> list[Goal]:
    return [
        *_cpu(scenario, picows=1, websockets=1 / 2),
        Goal(scenario, "user_us", 1.6, "bare"),
    ]


def _large(size: str, kind: str) -> list[Goal]:
    scenario = f"5-{size}-{kind}"
    goals = _cpu(scenario, picows=1)
    if kind != "binary":
        goals += _cpu(scenario, websockets=1 / 3)
    if size == "1MiB":
        goals += _cpu(scenario, C=1.5)
    return goals


def _of_driver(
    driver: str, own: str, scenario: str, metric: str, bound: float, against: str
) -> Goal:
    """Say what a driver that is no event loop is to reach; more messages are better, less CPU."""
    at_least = metric == "messages_per_s"
    return Goal(scenario, metric, bound, against, at_least, own=own, loops=(driver,))


def _deflate(size: str) -> list[Goal]:
    scenario = f"12-{size}"
    throughput, ratio = "payload_mb_per_cpu_s", "wire_ratio"
    return [
        Goal(scenario, throughput, 2, "websockets", at_least=True, own=FAST_DEFLATE),
        Goal(scenario, ratio, SAME, "websockets", own=FAST_DEFLATE),
        Goal(scenario, throughput, 1, "websockets", at_least=True, own=PLAIN_DEFLATE),
    ]


def _fair(kind: str) -> list[Goal]:
    return [
        Goal(f"14-{kind}", "p99_ms", 10),
        Goal(f"14-{kind}", "flood_kept_percent", 80, at_least=True),
    ]


GOALS = [
    *_ping_pong("1"),
    *_cpu("2", picows=1 / 4, websockets=1 / 10, C=4),
    *_ping_pong("3"),
    *_cpu("4", picows=0.6, websockets=1 / 6),
    *[
        goal
        for size in ("64KiB", "1MiB")
        for kind in ("binary", "ascii", "mixed")
        for goal in _large(size, kind)
    ],
    *_cpu("7", picows=1, websockets=1 / 5),
    *[
        _of_driver("threads", "ropeway.sync", *goal)
        for goal in (
            ("6-1", "messages_per_s", 3, "websockets.sync"),
            ("6-1", "messages_per_s", 1.2, "websocket-client"),
            ("6-1", "cpu_us", 1.3, "bare socket"),
            ("7", "messages_per_s", 5, "websockets.sync"),
        )
    ],
    Goal("6-idle", "threads_added", 1, own="ropeway.sync", loops=("threads",)),
    _of_driver("trio", "ropeway.trio", "2", "cpu_us", 1 / 2.5, "websockets.trio"),
    *[
        Goal(scenario, "cpu_us", 1 / 2, "uvicorn", own="uvicorn (ropeway)")
        for scenario in ("1", "2")
    ],
    Goal("8-plain", "cpu_us", 1.15, "bare loop"),
    Goal("8-plain", "held_max_ms", 5),
    Goal("8-deflate", "cpu_us", 1.25, "bare loop"),
    Goal("8-deflate", "held_max_ms", 5),
    Goal("9", "cpu_us", 150),
    Goal("10-plain", "kib_per_connection", 8),
    Goal("10-deflate", "kib_per_connection", 12),
    Goal("10-tls", "kib_per_connection", 40, loops=("asyncio",)),
    Goal("11", "growth_percent", 2),
    Goal("11", "returned_percent", 80, at_least=True),
    *[goal for size in SIZES for goal in _deflate(size)],
    *[goal for kind in ("messages", "fragments", "pings") for goal in _fair(kind)],
]


def evaluate(medians: Medians, scenario: str | None = None) -> Iterator[list[Verdict]]:
    """Yield the verdicts on each goal, one a loop."""
    for goal in GOALS:
        if scenario is None or goal.scenario == scenario:
            yield [judge(goal, loop, medians) for loop in goal.loops]


def judge(goal: Goal, loop: str, medians: Medians) -> Verdict:
    def figure(contender: str) -> float | None:
        for key in (loop, "none"):
            metrics = medians.get((goal.scenario, contender, key))
            if metrics is not None:
                return metrics.get(goal.metric)
        return None

    own = figure(goal.own)
    if goal.against is None or own is None:
        return Verdict(goal, loop, own, own)
    other = figure(goal.against)
    return Verdict(goal, loop, own / other if other else None, own, other)
