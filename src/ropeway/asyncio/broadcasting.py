"""One message to many connections."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from time import monotonic

from .._core.shared import SharedMessage
from .._core.states import OP_BINARY, OP_TEXT, OPEN
from ..exceptions import ConcurrencyError
from ..typing import BytesLike, DataLike
from .connection import Connection
from .turns import TURN

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
    if isinstance(message, str):
        opcode = OP_BINARY if text is False else OP_TEXT
    elif isinstance(message, BytesLike):
        opcode = OP_TEXT if text is True else OP_BINARY
    else:
        raise TypeError("data must be str or bytes")
    failures = _send(connections, SharedMessage(opcode, message), raise_exceptions)
    if raise_exceptions and failures:
        raise ExceptionGroup("skipped broadcast", failures)


def _send(
    connections: Iterable[Connection], shared: SharedMessage, raised: bool
) -> list[Exception]:
    """Queue the message on all connections, begin to write, and give the failures."""
    turn_ends = monotonic() + TURN
    holding: list[Connection] = []
    failures: list[Exception] = []
    for connection in connections:
        protocol = connection.protocol
        if protocol._state is not OPEN:
            continue
        if connection._fragmenting is not None:
            failure: Exception = ConcurrencyError("sending a fragmented message")
            if not raised:
                connection.logger.warning("skipped broadcast: sending a fragmented message")
            failures.append(failure)
            continue
        try:
            protocol.send_shared(shared)
        except Exception as exc:
            failures.append(_failure(connection, exc, raised))
            continue
        if connection._hold():
            holding.append(connection)
    holding.reverse()
    _write_until(turn_ends, holding)
    return failures


def _failure(connection: Connection, exc: Exception, raised: bool) -> Exception:
    failure = RuntimeError("failed to write message")
    failure.__cause__ = exc
    if not raised:
        reason = traceback.format_exception_only(exc)[0].strip()
        connection.logger.warning("skipped broadcast: failed to write message: %s", reason)
    return failure


def _write_some(holding: list[Connection]) -> None:
    """Write to the last of these and on, for a turn of the loop; go on in the next.

    What is sent to the others meanwhile is queued behind, so the order is kept.
    """
    _write_until(monotonic() + TURN, holding)


def _write_until(turn_ends: float, holding: list[Connection]) -> None:
    while holding:
        connection = holding.pop()
        connection._flush_joined()
        if monotonic() > turn_ends:
            connection.loop.call_soon(_write_some, holding)
            return


# It is documented and imported as the server's.
broadcast.__module__ = f"{__package__}.server"
