"""Exceptions that are kept: without their frames, which would keep the connection alive."""

from __future__ import annotations

from typing import TypeVar

AnyException = TypeVar("AnyException", bound=BaseException)


def without_frames(exc: AnyException) -> AnyException:
    """Drop the tracebacks of ``exc`` and of what led to it, and give it back.

    A connection that keeps an exception would otherwise be part of a cycle, through the frames in
    which it was raised, and live until the garbage collector comes by.
    """
    pending: list[BaseException | None] = [exc]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            pending += (one.__cause__, one.__context__)
    return exc
