"""Runs a command on an event loop, until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from .exits import TERMINATED
from .text import printable

__all__ = ["run"]


def run(
    main: Coroutine[Any, Any, int],
    *,
    interrupted: int,
    terminated: int = TERMINATED,
    uvloop: bool = False,
) -> int:
    """Run a command. Signals cancel it, so that it can close what it opened.

    Args:
        main: the command; it gives the exit code.
        interrupted: the exit code when Ctrl-C ends it.
        terminated: the exit code when SIGTERM or SIGHUP ends it.
        uvloop: whether to run it on uvloop.

    Returns:
        The exit code.
    """
    was_terminated = False
    if logging.lastResort is not None:  # what is logged where no program has set up logging
        logging.lastResort.setFormatter(_Harmless())

    async def cancellable() -> int:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal was_terminated
            was_terminated = True
            # Who is closing already goes on with it: a terminal and a parent may both send one.
            if not task.cancelling():
                task.cancel()

        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # One that is ignored was meant to be, by nohup for instance.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, terminate)
        return await main

    try:
        with asyncio.Runner(loop_factory=_loop_factory(uvloop)) as runner:
            return runner.run(cancellable())
    except KeyboardInterrupt:
        return interrupted
    except asyncio.CancelledError:
        if not was_terminated:
            raise
        return terminated


class _Harmless(logging.Formatter):
    """Escapes what acts on a terminal: an exception may quote what a stranger sent."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def _loop_factory(uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not uvloop:
        return None
    try:
        from uvloop import new_event_loop
    except ImportError:
        raise SystemExit("ropeway: uvloop is not installed (pip install uvloop)") from None
    factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    return factory
