"""Real packages do on ropeway what they do on websockets: the same output, the same on the wire."""

from __future__ import annotations

import pytest

from .cases import CASES, Case
from .environments import REQUIREMENTS, is_current
from .running import PATIENCE, run

# One program on the original and on ropeway.
pytestmark = pytest.mark.timeout(2 * PATIENCE + 20)


@pytest.fixture(scope="session", autouse=True)
def _environments() -> None:
    missing = [path.stem for path in REQUIREMENTS.glob("*.txt") if not is_current(path.stem)]
    assert not missing, "python -m tests.ecosystem.environments makes the environments"


@pytest.mark.parametrize("build", ["compiled", "pure"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_on_ropeway(case: Case, build: str) -> None:
    original = run(case, "original")
    assert original.module == "websockets.frames"
    # A program that fails on websockets would fail here alike, and show nothing.
    assert case.service is None or original.status == 0, original.errors
    assert original.printed, original.errors
    assert original.witnessed, original.errors

    on_ropeway = run(case, build)
    assert on_ropeway.module == "ropeway.frames", on_ropeway.errors
    assert on_ropeway.printed.splitlines() == original.printed.splitlines(), on_ropeway.errors
    assert on_ropeway.witnessed.splitlines() == original.witnessed.splitlines(), on_ropeway.errors
    assert on_ropeway.status == original.status, on_ropeway.errors
