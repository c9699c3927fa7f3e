"""Choices out of the bytes of a fuzzer's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Taking:
    """Bytes that are taken from the front; what is behind the end is zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    def byte(self) -> int:
        """Take a byte."""
        self._pos += 1
        return self._data[self._pos - 1] if self._pos <= len(self._data) else 0

    def number(self) -> int:
        """Take a number of 16 bits."""
        return self.byte() << 8 | self.byte()

    def choice(self, options: Sequence[T]) -> T:
        """Take one of several."""
        return options[self.byte() % len(options)]

    def rest(self) -> bytes:
        """Take all that is left."""
        pos, self._pos = self._pos, len(self._data)
        return self._data[pos:]

    def points(self, size: int) -> list[int]:
        """Take up to seven places to cut so many bytes at."""
        return sorted(self.number() % (size + 1) for _ in range(self.byte() % 8))


def outcome(call: Any, *args: Any, **kwargs: Any) -> tuple[str, Any]:
    """Tell what a call gives or raises, in terms that are the same in both builds."""
    try:
        return "gives", call(*args, **kwargs)
    except UnicodeError as exc:
        return type(exc).__name__, (exc.reason, getattr(exc, "start", None))
    except Exception as exc:
        return type(exc).__name__, str(exc)
