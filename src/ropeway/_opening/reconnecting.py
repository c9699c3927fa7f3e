"""What happens between two connections of ``async for connection in connect(…)``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from traceback import format_exception_only

from ..typing import LoggerLike
from .steps import Plan, Sleep


class Reconnecting:
    """The memory of a series of attempts to connect: how long the next failure makes it wait.

    Args:
        process_exception: tells whether another attempt may succeed, as described in
            ``ropeway.client.process_exception``.
        reconnect_delays: makes the delays of one series of failures, in seconds.
        logger: where each retry is announced.
    """

    def __init__(
        self,
        process_exception: Callable[[Exception], Exception | None],
        reconnect_delays: Callable[[], Generator[float, None, None]],
        logger: LoggerLike,
    ) -> None:
        self._process_exception = process_exception
        self._reconnect_delays = reconnect_delays
        self._logger = logger
        self._delays: Generator[float, None, None] | None = None

    def succeeded(self) -> None:
        """Start afresh: the next failure is the first of its series."""
        self._delays = None

    def failed(self, exc: Exception) -> Plan[None]:
        """Wait until it is time for another attempt, after one that raised ``exc``.

        Raises:
            Exception: ``exc``, or what ``process_exception`` makes of it, when another attempt
                is pointless; ``exc`` also when ``reconnect_delays`` comes to its end.
        """
        try:
            fatal = self._process_exception(exc)
        except Exception as raised:
            # To raise instead of returning is a mistake so natural that it has to work.
            fatal = raised
        if fatal is not None:
            if fatal is exc:
                raise exc
            raise fatal from exc
        if self._delays is None:
            self._delays = self._reconnect_delays()
        delay = next(self._delays, None)
        if delay is None:
            raise exc
        self._logger.info(
            "connect failed; reconnecting in %.1f seconds: %s",
            delay,
            format_exception_only(exc)[0].strip(),
        )
        yield Sleep(delay)
