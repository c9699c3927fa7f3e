"""The delays of ``async for connection in connect(...)``, and what the environment says of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..support.subject import NAME, only_ropeway

SHOW_DELAYS = """
import itertools, {name}.client as client
print([round(delay, 3) for delay in itertools.islice(client.backoff(), 8)])
"""


def backoff_under(**environment: str) -> list[float]:
    """Return the first eight default delays of a program with these environment variables."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROPEWAY_BACKOFF", "WEBSOCKETS_BACKOFF"))
    }
    result = subprocess.run(
        [sys.executable, "-c", SHOW_DELAYS.format(name=NAME)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    delays: list[float] = eval(result.stdout)
    return delays


def test_the_default_delays() -> None:
    first, *rest = backoff_under()
    assert 0 <= first <= 5
    assert rest == pytest.approx([3.1 * 1.618**power for power in range(7)], abs=0.01)


VARIABLES: list[tuple[dict[str, str], list[float]]] = [
    ({"INITIAL_DELAY": "0", "MIN_DELAY": "1", "FACTOR": "2"}, [0, 1, 2, 4, 8, 16, 32, 64]),
    (
        {"INITIAL_DELAY": "0", "MIN_DELAY": "1", "FACTOR": "3", "MAX_DELAY": "10"},
        [0, 1, 3, 9, 10, 10, 10, 10],
    ),
]


@pytest.mark.parametrize("prefix", ["WEBSOCKETS", pytest.param("ROPEWAY", marks=only_ropeway)])
@pytest.mark.parametrize(("values", "delays"), VARIABLES)
def test_environment_variables_set_the_delays(
    prefix: str, values: dict[str, str], delays: list[float]
) -> None:
    variables = {f"{prefix}_BACKOFF_{name}": value for name, value in values.items()}
    assert backoff_under(**variables) == delays


@only_ropeway
def test_our_variables_come_before_those_of_websockets() -> None:
    delays = backoff_under(
        ROPEWAY_BACKOFF_INITIAL_DELAY="0",
        ROPEWAY_BACKOFF_MIN_DELAY="2",
        ROPEWAY_BACKOFF_FACTOR="1.5",
        WEBSOCKETS_BACKOFF_MIN_DELAY="7",
        WEBSOCKETS_BACKOFF_MAX_DELAY="4",
    )
    assert delays == [0, 2, 3, 4, 4, 4, 4, 4]
