"""How a server lets go of its connections without all clients coming back at the same moment."""

from __future__ import annotations

from .._core.closing import check_close
from ..frames import CloseCode

# Closes that are due within this many seconds of each other are made together.
STEP = 0.01

# Seconds after which to look whether any connection is left.
LOOK = 0.25


class Spread:
    """Spreads a number of closes evenly over a time.

    Args:
        count: number of closes.
        seconds: time for all of them.
        now: when it begins, on the driver's clock.
    """

    def __init__(self, count: int, seconds: float, now: float) -> None:
        self._count = count
        self._interval = seconds / max(1, count)
        self._began = now
        self._done = 0

    def take_due(self, now: float) -> int:
        """Tell how many more are to be closed now."""
        due = self._count
        if self._interval:
            due = min(due, int((now - self._began) / self._interval) + 1)
        taken = due - self._done
        self._done = due
        return taken

    def seconds_to_wait(self, now: float) -> float:
        """Tell how long to wait, at most for the next ones; 0 when there are none."""
        if self._done >= self._count:
            return 0.0
        return min(LOOK, max(STEP, self._began + self._done * self._interval - now))


def check_drain(seconds: float, notice: float, reason: str) -> None:
    """Check the arguments of ``drain()``, before anything of it is done.

    Raises:
        ValueError: when a time is below 0.
        ProtocolError: when the reason is too long.

    """
    for name, value in (("seconds", seconds), ("notice", notice)):
        if not value >= 0:
            raise ValueError(f"{name} is {value}, below 0")
    check_close(CloseCode.SERVICE_RESTART, reason)
