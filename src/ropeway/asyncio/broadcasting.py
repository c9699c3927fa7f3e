"""One message to many connections."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from .._core.states import OP_BINARY, OP_TEXT, OPEN
from .._core.writer import serialized
from ..exceptions import ConcurrencyError
from ..typing import BytesLike, DataLike
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
    if isinstance(message, str):
        opcode = OP_BINARY if text is False else OP_TEXT
        payload: DataLike = message
    elif isinstance(message, BytesLike):
        opcode = OP_TEXT if text is True else OP_BINARY
        payload = message
    else:
        raise TypeError("data must be str or bytes")
    # Without masking and extensions, the frame is the same for all. Made before anything is sent,
    # it also checks the message.
    frame = serialized(opcode, payload)
    failures: list[Exception] = []
    for connection in connections:
        protocol = connection.protocol
        if protocol.state is not OPEN:
            continue
        if connection._fragmenting is not None:
            failure: Exception = ConcurrencyError("sending a fragmented message")
            if not raise_exceptions:
                connection.logger.warning("skipped broadcast: sending a fragmented message")
            failures.append(failure)
            continue
        try:
            if protocol.writer.masked or protocol.extensions or protocol.debug:
                protocol.send_data(opcode, payload, True, None)
            else:
                protocol.send_serialized(frame)
            connection._send_output()
        except Exception as exc:
            failure = RuntimeError("failed to write message")
            failure.__cause__ = exc
            failures.append(failure)
            if not raise_exceptions:
                text_of_exc = traceback.format_exception_only(exc)[0].strip()
                connection.logger.warning(
                    "skipped broadcast: failed to write message: %s", text_of_exc
                )
    if raise_exceptions and failures:
        raise ExceptionGroup("skipped broadcast", failures)


# It is documented and imported as the server's.
broadcast.__module__ = f"{__package__}.server"
