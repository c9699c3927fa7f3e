"""The scenarios: what is measured, one module a kind.

A module gives ``SCENARIOS``, a list of ``Scenario``; this one collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..contenders import Contender

Metrics = dict[str, float]


@dataclass(frozen=True)
class Timing:
    """How long the clock runs, and how long before it starts."""

    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Scenario:
    """One measurement: it runs once for each contender, loop and round."""

    name: str
    """The number in the list of scenarios, and the variant: ``5-1MiB-text``."""
    title: str
    takes_part: Callable[[Contender], bool]
    measure: Callable[[Contender, str, Timing], Metrics]
    quick: bool = True
    """Whether quick runs have it."""
    quick_rounds: int | None = None
    """How many rounds quick runs have of it at most, where one takes long."""
    quick_without: frozenset[str] = frozenset()
    """Contenders that quick runs leave out: no goal is about them, and they take long."""

    @property
    def number(self) -> int:
        return int(self.name.partition("-")[0])

    def has(self, contender: Contender) -> bool:
        """Tell whether a contender takes part."""
        made_for_it = any(fnmatchcase(self.name, pattern) for pattern in contender.only)
        return made_for_it and self.takes_part(contender)


def all_scenarios() -> list[Scenario]:
    from . import broadcast, client, deflate, echo, fairness, handshakes, memory, tls

    scenarios = [
        *echo.SCENARIOS,
        *client.SCENARIOS,
        *broadcast.SCENARIOS,
        *handshakes.SCENARIOS,
        *memory.SCENARIOS,
        *deflate.SCENARIOS,
        *tls.SCENARIOS,
        *fairness.SCENARIOS,
    ]
    return sorted(scenarios, key=lambda scenario: scenario.number)
