"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

from .._core.rules import DEFAULT_SLOW_LIMIT, DEFAULT_SLOW_TIMEOUT, SlowConsumer
from .._core.states import OPEN
from .._driving.sharing import Failures, may_have, share, slowness_of
from ..typing import DataLike
from .connection import Connection

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
    slow_consumer: SlowConsumer | None = None,
    slow_limit: int = DEFAULT_SLOW_LIMIT,
    slow_timeout: float | None = DEFAULT_SLOW_TIMEOUT,
    **kwargs: Any,
) -> None:
    """Send a message to many connections, without waiting for any.

    Connections that aren't open are skipped. There is no backpressure: to a peer that doesn't read,
    messages pile up until keepalive finds it dead, unless ``slow_consumer`` says otherwise, here or
    in :func:`serve`.

    Args:
        connections: to whom.
        message: str for a text message, bytes-like for a binary one.
        raise_exceptions: raise failures, instead of logging them as warnings.
        text: True sends bytes as text, False sends str as binary.
        slow_consumer: what to do about peers that don't keep up: "wait" queues the message, "drop"
            leaves it out, "close" closes the connection with code 1013; None for what the
            connection's server says.
        slow_limit: bytes that may wait to be written to a connection.
        slow_timeout: seconds in which a peer has to take something; None for any.
        kwargs: of a thread pool in websockets; there is none, and they have no effect.

    Raises:
        TypeError: when the message is neither str nor bytes-like.
        ValueError: when what is said of slow consumers is out of its range.
        UnicodeError: when what is to be sent as text can't be UTF-8; nothing is sent.
        ExceptionGroup: with the failures, once all others have been served.

    """
    shared = share(message, text)
    slowness = slowness_of(slow_consumer, slow_limit, slow_timeout)
    failures = Failures(raise_exceptions)
    # Other threads may change what it is meanwhile; a set of connections is copied in one step.
    for connection in list(connections):
        with connection._lock:
            if connection.protocol.state is not OPEN:
                continue
            if connection._fragmenting:
                failures.add_fragmented(connection)
                continue
            try:
                ruled = slowness is not None or connection.protocol.guard is not None
                if ruled and not may_have(connection, shared, slowness, monotonic()):
                    continue
                connection.protocol.send_shared(shared)
                connection._flush()
            except Exception as exc:
                failures.add(connection, exc)
    failures.raise_all()


# It is documented and imported as the server's.
broadcast.__module__ = f"{__package__}.server"
