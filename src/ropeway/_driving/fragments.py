"""What a message may be made of when a program sends it in parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from .._core.states import OP_BINARY, OP_TEXT
from ..typing import BytesLike, DataLike


class Parts:
    """The kind of a message that is sent part by part, as its first part decides it.

    Args:
        first: the first part.
        kind: what holds the parts, for the exceptions.
        text: what the caller of send() says about text.

    Raises:
        TypeError: when the first part is neither str nor bytes-like.
    """

    def __init__(self, first: Any, kind: str, text: bool | None) -> None:
        self._is_str = isinstance(first, str)
        self._kind = kind
        if not self._is_str and not isinstance(first, BytesLike):
            raise TypeError(f"{kind} must contain bytes or str")
        self.opcode = OP_TEXT if (self._is_str if text is None else text) else OP_BINARY

    def check(self, part: Any) -> None:
        """Check a further part; TypeError when it is of another type than the first."""
        if not isinstance(part, str if self._is_str else BytesLike):
            raise TypeError(f"{self._kind} must contain uniform types")


class Asynchronous:
    """Iterates over a plain iterable as if it were asynchronous."""

    def __init__(self, items: Iterable[DataLike]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DataLike:
        for item in self._items:
            return item
        raise StopAsyncIteration
