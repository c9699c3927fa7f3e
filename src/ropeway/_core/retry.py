"""When to connect again, and after how long: the defaults of ``async for … in connect()``."""

from __future__ import annotations

import random
from collections.abc import Generator

from ..exceptions import InvalidMessage, InvalidStatus
from ..utils import env

__all__ = ["backoff", "process_exception"]

BACKOFF_INITIAL_DELAY = env("BACKOFF_INITIAL_DELAY", 5.0)
BACKOFF_MIN_DELAY = env("BACKOFF_MIN_DELAY", 3.1)
BACKOFF_MAX_DELAY = env("BACKOFF_MAX_DELAY", 90.0)
BACKOFF_FACTOR = env("BACKOFF_FACTOR", 1.618)

PASSING_STATUSES = frozenset({500, 502, 503, 504})
"""What servers and gateways answer while something behind them restarts."""


def process_exception(exc: Exception) -> Exception | None:
    """Tell whether connecting again may succeed after ``exc``; the default of ``connect``.

    Network errors and timeouts, a connection that ends before its response, and the statuses
    500, 502, 503 and 504 pass; anything else would fail in the same way again.

    Args:
        exc: what connecting raised.

    Returns:
        None to try again, or the exception to raise.
    """
    if isinstance(exc, (OSError, TimeoutError)):
        return None
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return None
    if isinstance(exc, InvalidStatus) and exc.response.status_code in PASSING_STATUSES:
        return None
    return exc


def backoff(
    initial_delay: float = BACKOFF_INITIAL_DELAY,
    min_delay: float = BACKOFF_MIN_DELAY,
    max_delay: float = BACKOFF_MAX_DELAY,
    factor: float = BACKOFF_FACTOR,
) -> Generator[float, None, None]:
    """Generate the delays between attempts to connect: a random one, then growing ones.

    The random start keeps the clients of a server that went away from coming back all at once
    (RFC 6455, section 7.2.3).

    Args:
        initial_delay: upper bound of the first delay, in seconds.
        min_delay: second delay, in seconds.
        max_delay: largest delay, in seconds.
        factor: ratio of a delay to the one before.

    Yields:
        Seconds to wait before the next attempt, without end.
    """
    yield random.random() * initial_delay
    delay = min_delay
    while delay < max_delay:
        yield delay
        delay *= factor
    while True:
        yield max_delay
