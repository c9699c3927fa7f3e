"""One message to many connections."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from .._core.states import OP_BINARY, OP_TEXT, OPEN
from .._wire import frame_bytes
from ..exceptions import ConcurrencyError
from ..typing import BytesLike, DataLike
from .connection import Connection

__all__ = ["broadcast"]

FIN = 0x80


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
        ExceptionGroup: with the failures, once all others have been served.

    """
    if isinstance(message, str):
        opcode = OP_BINARY if text is False else OP_TEXT
        payload: BytesLike = message.encode()
    elif isinstance(message, BytesLike):
        opcode = OP_TEXT if text is True else OP_BINARY
        payload = message
    else:
        raise TypeError("data must be str or bytes")
    failures: list[Exception] = []
    # Without masking and extensions, the frame is the same for all.
    serialized: bytes | None = None
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
                if serialized is None:
                    serialized = frame_bytes(FIN | opcode, payload, False, 0)
                protocol.send_serialized(serialized)
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
