"""Runs a command on an event loop, until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from .exits import TERMINATED

__all__ = ["run"]


def run(main: Coroutine[Any, Any, int], *, interrupted: int) -> int:
    """Run a command. Signals cancel it, so that it can close what it opened.

    Args:
        main: the command; it gives the exit code.
        interrupted: the exit code when Ctrl-C ends it.

    Returns:
        The exit code.
    """
    terminated = False

    async def cancellable() -> int:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal terminated
            terminated = True
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
        return asyncio.run(cancellable())
    except KeyboardInterrupt:
        return interrupted
    except asyncio.CancelledError:
        if not terminated:
            raise
        return TERMINATED
