"""Readers over bytes for the parsers that read through generators."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def finish(generator: Generator[None, None, T]) -> T:
    """Run a generator that never has to wait, and return its result."""
    try:
        next(generator)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the generator waits for more than there is")


class Source:
    """A stream that holds some bytes and ends."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def read_line(self, limit: int, error: type[Exception]) -> Generator[None, None, bytes]:
        size = self.rest.find(b"\n") + 1
        if (size or len(self.rest)) > limit:
            raise error(f"line over {limit}")
        if not size:
            raise EOFError("inside a line")
        return self.take(size)
        yield

    def read_exact(self, size: int) -> Generator[None, None, bytes]:
        if len(self.rest) < size:
            raise EOFError(f"before {size} bytes")
        return self.take(size)
        yield

    def read_to_eof(self, limit: int, error: type[Exception]) -> Generator[None, None, bytes]:
        if len(self.rest) > limit:
            raise error(f"body over {limit}")
        return self.take(len(self.rest))
        yield
