"""What is fuzzed in Python: a room each, with what it checks and where its corpus begins.

A target takes bytes, does with them what a peer could make ropeway do, on both builds, and raises
where something doesn't hold. It never raises otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import frames, grammars, heads, inflation, negotiation, payloads


class Target(NamedTuple):
    """One thing to fuzz."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    largest: int
    words: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {
    "frames": Target(frames.check, frames.seeds, 600),
    "payloads": Target(payloads.check, payloads.seeds, 400),
    "inflation": Target(inflation.check, inflation.seeds, 400),
    "heads": Target(heads.check, heads.seeds, 700, heads.WORDS),
    "grammars": Target(grammars.check, grammars.seeds, 200, grammars.WORDS),
    "negotiation": Target(negotiation.check, negotiation.seeds, 200, negotiation.WORDS),
}
