"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable

from .._core.states import OPEN
from .._driving.sharing import Failures, share
from ..typing import DataLike
from .connection import Connection

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
) -> None:
    """Send a message to many connections, without waiting for any.

    Connections that aren't open are skipped. There is no backpressure: to a peer that doesn't read,
    messages pile up until keepalive finds it dead, so keep ``ping_timeout`` low.

    Args:
        connections: to whom.
        message: str for a text message, bytes-like for a binary one.
        text: True sends bytes as text, False sends str as binary.
        raise_exceptions: raise failures, instead of logging them as warnings.

    Raises:
        TypeError: when the message is neither str nor bytes-like.
        UnicodeError: when what is to be sent as text can't be UTF-8; nothing is sent.
        ExceptionGroup: with the failures, once all others have been served.

    """
    shared = share(message, text)
    failures = Failures(raise_exceptions)
    for connection in connections:
        if connection.protocol.state is not OPEN:
            continue
        if connection._fragmenting is not None:
            failures.add_fragmented(connection)
            continue
        try:
            connection.protocol.send_shared(shared)
            connection._flush()
        except Exception as exc:
            failures.add(connection, exc)
    failures.raise_all()


# It is documented and imported as the server's.
broadcast.__module__ = f"{__package__}.server"
