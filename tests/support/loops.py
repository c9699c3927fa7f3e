"""The event loops that the tests run on, and the runner that lets nothing leak out of a test."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

try:
    import uvloop
except ImportError:  # not on Windows, nor in a wheel's short test
    uvloop = None

__all__ = ["LOOPS", "LoopFactory", "Run", "make_run"]

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Run = Callable[[Coroutine[Any, Any, T]], T]

LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    LOOPS["uvloop"] = uvloop.new_event_loop

GRACE = 2.0
"""Seconds in which tasks may end that the test's own coroutine did not wait for."""


def make_run(loop_factory: LoopFactory, debug: bool | None) -> Run[Any]:
    """Make a function that runs one coroutine to its end, on a loop of its own.

    The test fails if a task is still there afterwards, or if the loop was told of an exception
    that nobody handled.
    """

    def run(main: Coroutine[Any, Any, T]) -> T:
        unhandled: list[dict[str, Any]] = []
        with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _, context: unhandled.append(context))
            # A busy machine is slow too; the figures of debug mode are no fault of the test.
            loop.slow_callback_duration = 60.0
            result = runner.run(main)
            leaked = runner.run(_leftovers())
        # An exception in a task that nobody holds any more comes out when the task is freed.
        gc.collect()
        # What has outlived the test need not be looked at again: a third of the suite's time.
        gc.freeze()
        if leaked:
            pytest.fail("tasks are still running:\n" + "\n".join(leaked), pytrace=False)
        if unhandled:
            pytest.fail("\n".join(_describe(context) for context in unhandled), pytrace=False)
        return result

    return run


async def _leftovers() -> list[str]:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if not tasks:
        return []
    _, pending = await asyncio.wait(tasks, timeout=GRACE)
    return [repr(task) for task in pending]


def _describe(context: dict[str, Any]) -> str:
    exception = context.get("exception")
    return f"unhandled on the loop: {context['message']}" + (
        f": {exception!r}" if exception is not None else ""
    )
