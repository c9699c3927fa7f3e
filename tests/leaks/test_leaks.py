"""Memory does not grow with the messages and the connections that there have been.

Quick by default; ``make leaks`` (``pytest tests/leaks --full-leaks``) runs at full length.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..support.loops import LOOPS
from .growth import growth

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="asks CPython's allocator"),
    pytest.mark.timeout(3600),
]


class Kind(NamedTuple):
    """A kind of run: how many in a quick and in a full one, and what may be left of each.

    The bounds are above what caches, the allocator and the kernel's pages make of a run in which
    nothing leaks; those of a full run are a part of them, since that is spread over more.
    """

    quick: int
    full: int
    bytes_each: float
    pages_each: float
    """Bytes of resident memory, which comes in pages and never shrinks quite."""


KINDS = {
    "plain_messages": Kind(20_000, 1_000_000, 2, 100),
    "mixed_messages": Kind(4_000, 200_000, 20, 400),
    "plain_connections": Kind(2_000, 100_000, 100, 1000),
    "mixed_connections": Kind(800, 40_000, 150, 2000),
    "tls_connections": Kind(200, 5_000, 300, 8000),
}

every_loop = pytest.mark.parametrize("loop", LOOPS)


def measure(kind: str, count: int, loop: str, *options: str) -> dict[str, Any]:
    """Run one kind in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.leaks.program", kind, str(count), "--loop", loop, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return dict(json.loads(result.stdout))


@every_loop
@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow(kind: str, loop: str, request: pytest.FixtureRequest) -> None:
    full = request.config.getoption("--full-leaks")
    limits = KINDS[kind]
    count = limits.full if full else limits.quick
    samples = measure(kind, count, loop, "--collect")["samples"]
    blocks, resident = growth(samples, "blocks"), growth(samples, "resident")
    print(f"{kind} on {loop}: {blocks:.4f} blocks, {resident:.1f} bytes resident, each of {count}")
    part = 10 if full else 1
    assert blocks < limits.bytes_each / 50 / part
    assert resident < limits.pages_each / part
    assert growth(samples, "descriptors") < 0.01


@every_loop
@pytest.mark.parametrize("kind", KINDS)
def test_traced_memory_does_not_grow(kind: str, loop: str, request: pytest.FixtureRequest) -> None:
    full = request.config.getoption("--full-leaks")
    limits = KINDS[kind]
    count = limits.quick // 2
    if full:  # tracing takes several times as long
        count = limits.full if kind.startswith("plain") else limits.full // 10
    samples = measure(kind, count, loop, "--collect", "--traced")["samples"]
    traced = growth(samples, "traced")
    print(f"{kind} on {loop}: {traced:.2f} bytes each of {count}")
    assert traced < limits.bytes_each / (10 if full else 1)


@every_loop
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tls_connections"])
def test_nothing_needs_the_garbage_collector(kind: str, loop: str) -> None:
    # TLS does: the transports for it, asyncio's and uvloop's, are cycles.
    garbage = measure(kind, 200, loop)["garbage"]
    assert {name: count for name, count in garbage.items() if count >= 20} == {}


def test_a_leak_would_be_seen() -> None:
    samples = [
        {"done": 100 * index, "traced": 5_000_000 + 64 * 100 * index} for index in range(1, 26)
    ]
    assert growth(samples, "traced") == 64


def test_what_is_allocated_once_is_no_leak() -> None:
    samples = [
        {"done": 100 * index, "traced": 5_000_000 + (100_000 if index > 15 else 0)}
        for index in range(1, 26)
    ]
    assert growth(samples, "traced") == 0
