"""Waking the task that waits for a message, in the very call that brought the message."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from contextvars import Context
from types import BuiltinMethodType
from typing import Any

Task = asyncio.Task

# Before Python 3.12 it is a function of Python around this.
if sys.version_info >= (3, 12):
    current_task = asyncio.current_task
else:
    current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]


class Waiter:
    """What a task awaits until a message is there: like a Future, but woken without a loop turn.

    A task that awaits an object with ``_asyncio_future_blocking`` hands it a wake-up callable, as
    with a Future. ``wake()`` enters the task's context and calls it there and then, which spares
    the Handle, the queue and another pass through the selector.

    Invariants: one task awaits it, once; ``result()`` is None or raises what ended the wait; after
    the wake-up it references nothing but the loop.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancel_message",
        "_context",
        "_loop",
        "_state",
    )

    _asyncio_future_blocking: bool
    _callback: Callable[[Any], object] | None
    _cancel_message: Any
    _context: Context | None
    _loop: asyncio.AbstractEventLoop
    _state: int

    # What a task uses

    def __await__(self) -> Generator[Waiter, None, None]:
        if self._state == PENDING:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the loop of the connection; a task of another loop can't wait for it."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Take the task's wake-up callable."""
        self._callback = callback
        self._context = context
        if self._state != PENDING:
            self._wake_later()

    def result(self) -> None:
        """Return when woken, raise CancelledError when cancelled."""
        if self._state == CANCELLED:
            if self._cancel_message is None:
                raise asyncio.CancelledError
            raise asyncio.CancelledError(self._cancel_message)
        if self._state == PENDING:
            raise asyncio.InvalidStateError("nothing has woken the waiter")

    def cancel(self, msg: Any = None) -> bool:
        """End the wait with CancelledError; False when it has ended already."""
        if self._state != PENDING:
            return False
        self._state = CANCELLED
        self._cancel_message = msg
        self._wake_later()
        return True

    def done(self) -> bool:
        """Tell whether the wait is over."""
        return self._state != PENDING

    def cancelled(self) -> bool:
        """Tell whether the wait was cancelled."""
        return self._state == CANCELLED

    # What the connection uses

    def wake(self, woken: asyncio.Future[None]) -> None:
        """Run the waiting task up to its next wait, now; call it from the loop, not from a task.

        ``woken`` is any future with the result None: a task compiled with asyncio looks into a
        future of its own kind, but calls ``result()`` of all others, at 1 200 instructions.
        """
        if self._state != PENDING:
            return
        self._state = WOKEN
        if self._callback is None:
            return
        # A task can't be entered from within another one; it then gets its turn as usual.
        if self._context is None or current_task(self._loop) is not None:
            self._wake_later()
            return
        callback, context = self._callback, self._context
        self._callback = self._context = None
        if type(callback) is BuiltinMethodType and type(callback.__self__) is Task:
            context.run(callback, woken)
        else:
            context.run(callback, self)

    def _wake_later(self) -> None:
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
            self._callback = self._context = None


def make_waiter(loop: asyncio.AbstractEventLoop) -> Waiter:
    """Make a waiter for a task of ``loop``; calling a compiled class costs twice as much."""
    waiter = Waiter.__new__(Waiter)
    waiter._asyncio_future_blocking = False
    waiter._loop = loop
    waiter._state = PENDING
    waiter._callback = waiter._context = waiter._cancel_message = None
    return waiter


PENDING, WOKEN, CANCELLED = range(3)
