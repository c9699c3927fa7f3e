"""The driver under test: what ``endpoints`` makes connections with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from . import subject
from .subject import ORACLE

__all__ = [
    "ORACLE",
    "asyncio_only",
    "broadcast",
    "connect",
    "in_trio",
    "not_on",
    "serve",
    "threads",
    "worker",
]

_driver: dict[str, Any] = {
    "connect": subject.connect,
    "serve": subject.serve,
    "broadcast": subject.broadcast,
    "worker": "coroutine",
}


def not_on(*fronts: str, reason: str) -> pytest.MarkDecorator:
    """Leave these front ends out, for a reason; of a module, a test, or one of its parameters."""
    assert reason
    return pytest.mark.not_on(*fronts, reason=reason)


def asyncio_only(reason: str) -> pytest.MarkDecorator:
    """Leave out what isn't asyncio."""
    return not_on("threads", "trio", reason=reason)


def connect(*arguments: Any, **options: Any) -> Any:
    return _driver["connect"](*arguments, **options)


def serve(*arguments: Any, **options: Any) -> Any:
    return _driver["serve"](*arguments, **options)


def broadcast(*arguments: Any, **options: Any) -> Any:
    return _driver["broadcast"](*arguments, **options)


def worker() -> str:
    """Name what runs side by side, for the texts of exceptions."""
    return str(_driver["worker"])


@contextlib.contextmanager
def threads() -> Iterator[None]:
    """Test the driver for threads."""
    from . import threads as adapter

    before = dict(_driver)
    _driver.update(
        connect=adapter.connect,
        serve=adapter.serving,
        broadcast=adapter.broadcast,
        worker="thread",
    )
    try:
        yield
    finally:
        _driver.update(before)


@contextlib.contextmanager
def in_trio() -> Iterator[None]:
    """Test the driver for trio."""
    from . import trios as adapter

    before = dict(_driver)
    _driver.update(connect=adapter.connect, serve=adapter.serving, broadcast=adapter.broadcast)
    try:
        with adapter.running():
            yield
    finally:
        _driver.update(before)
