"""The timer that all connections of a loop share."""

from __future__ import annotations

import asyncio
import gc
import weakref
from time import monotonic
from typing import Any

from ropeway.asyncio.per_loop import per_loop

from ..support.loops import LoopFactory, Run


class Owner:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.called = asyncio.Event()

    def on_deadline(self, now: float) -> None:
        self.called.set()
        if self.error is not None:
            raise self.error


def test_an_error_of_one_owner_does_not_stop_the_clock_of_the_others(run: Run[Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        contexts: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        shared = per_loop(loop)
        broken, other, later = Owner(RuntimeError("broken")), Owner(), Owner()
        now = monotonic()
        for owner, when in ((broken, now), (other, now), (later, now + 0.05)):
            shared.schedule(when, owner)
        async with asyncio.timeout(5):
            for owner in (broken, other, later):
                await owner.called.wait()
        assert [str(context["exception"]) for context in contexts] == ["broken"]

    run(main())


def test_deadlines_come_in_order_and_can_be_cancelled(run: Run[Any]) -> None:
    async def main() -> None:
        shared = per_loop(asyncio.get_running_loop())
        now = monotonic()
        owners = [Owner() for _ in range(200)]
        deadlines = [
            shared.schedule(now + 0.001 * (i % 7), owner) for i, owner in enumerate(owners)
        ]
        for deadline in deadlines[1:]:
            shared.cancel(deadline)
            shared.cancel(deadline)
        async with asyncio.timeout(5):
            await owners[0].called.wait()
        last = Owner()
        shared.schedule(monotonic() + 0.02, last)
        async with asyncio.timeout(5):
            await last.called.wait()
        assert not any(owner.called.is_set() for owner in owners[1:])

    run(main())


def test_a_deadline_behind_a_cancelled_one_is_kept(run: Run[Any]) -> None:
    async def main() -> None:
        shared = per_loop(asyncio.get_running_loop())
        now = monotonic()
        shared.cancel(shared.schedule(now + 0.01, Owner()))
        # The timer of the one before is still set, and looks in vain.
        last = Owner()
        shared.schedule(now + 0.03, last)
        async with asyncio.timeout(5):
            await last.called.wait()
        assert monotonic() >= now + 0.03

    run(main())


def test_a_deadline_before_a_cancelled_one_does_not_wait_for_it(run: Run[Any]) -> None:
    async def main() -> None:
        shared = per_loop(asyncio.get_running_loop())
        now = monotonic()
        shared.cancel(shared.schedule(now + 60, Owner()))
        first = Owner()
        shared.schedule(now + 0.01, first)
        async with asyncio.timeout(5):
            await first.called.wait()

    run(main())


def test_a_timer_does_not_keep_the_loop(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        shared = per_loop(loop)
        shared.cancel(shared.schedule(monotonic() + 60, Owner()))

    loop = loop_factory()
    loop.run_until_complete(main())
    loop.close()
    reference = weakref.ref(loop)
    del loop
    gc.collect()
    assert reference() is None
