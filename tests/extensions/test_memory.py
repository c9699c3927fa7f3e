"""When memory goes back to the system: not with each context, but with each half of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.extensions import _memory
from ropeway.extensions.permessage_deflate import PerMessageDeflate


@pytest.fixture
def trimmed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many contexts were left at each walk over the heap."""
    gc.collect()
    monkeypatch.setattr(_memory._Census, "live", 0)
    monkeypatch.setattr(_memory._Census, "most", 0)
    walks: list[int] = []
    monkeypatch.setattr(_memory, "_trim", lambda: walks.append(_memory._Census.live))
    return walks


def busy(count: int) -> list[PerMessageDeflate]:
    """Make extensions that have two contexts each."""
    extensions = [PerMessageDeflate(False, False, 12, 12, {"memLevel": 5}) for _ in range(count)]
    for extension in extensions:
        payload = extension.deflate(b"spam", True, True)
        extension.start_inflating()
        assert extension.inflate(payload, -1, True) == b"spam"
    return extensions


def dropped(extensions: list[PerMessageDeflate]) -> None:
    extensions.clear()


def rested(extensions: list[PerMessageDeflate]) -> None:
    for extension in extensions:
        extension.rest()
        extension.rest()


@pytest.mark.parametrize("gone", [dropped, rested])
def test_each_half_that_goes(gone: Callable[[Any], None], trimmed: list[int]) -> None:
    extensions = busy(500)
    assert _memory._Census.live == 1000
    gone(extensions)
    assert trimmed == [499, 249, 124]
    assert _memory._Census.live == 0


def test_a_few_are_not_worth_it(trimmed: list[int]) -> None:
    extensions = busy(60)
    dropped(extensions)
    assert trimmed == []


def test_coming_and_going(trimmed: list[int]) -> None:
    staying = busy(200)
    for _ in range(20):
        dropped(busy(100))
    assert trimmed == []
    assert len(staying) == 200


def test_contexts_of_one_message_are_not_kept(trimmed: list[int]) -> None:
    extension = PerMessageDeflate(True, True, 12, 12)
    for _ in range(3):
        payload = extension.deflate(b"spam", True, True)
        extension.start_inflating()
        assert extension.inflate(payload, -1, True) == b"spam"
        assert _memory._Census.live == 0


def test_what_really_is_called() -> None:
    _memory._trim()
