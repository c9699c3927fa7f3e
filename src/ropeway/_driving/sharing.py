"""What broadcasting is on every driver, apart from writing."""

from __future__ import annotations

import traceback
from typing import Any

from .._core.guard import admit
from .._core.rules import FAIR_SHARE, SlowConsumer, Slowness, slowness
from .._core.shared import SharedMessage
from .._core.states import OP_BINARY, OP_TEXT, OPEN
from ..exceptions import ConcurrencyError
from ..typing import BytesLike, DataLike


def share(message: DataLike, text: bool | None) -> SharedMessage:
    """Prepare a message for many connections; raises as ``broadcast()`` does."""
    if isinstance(message, str):
        opcode = OP_BINARY if text is False else OP_TEXT
    elif isinstance(message, BytesLike):
        opcode = OP_TEXT if text is True else OP_BINARY
    else:
        raise TypeError("data must be str or bytes")
    return SharedMessage(opcode, message)


def slowness_of(
    slow_consumer: SlowConsumer | None, slow_limit: int, slow_timeout: float | None
) -> Slowness | None:
    """Take what ``broadcast()`` says of slow consumers; None for what each connection says."""
    checked = slowness(slow_consumer or "wait", slow_limit, slow_timeout)
    return None if slow_consumer is None else checked


def may_have(
    connection: Any, message: SharedMessage, slowness: Slowness | None, now: float
) -> bool:
    """Tell whether a connection is fast enough to get a message; see to it, if it isn't.

    Args:
        connection: driver's connection, which is open.
        message: what it is to get.
        slowness: when it isn't; None for what the connection's own rules say.
        now: the driver's clock, in seconds.

    """
    protocol = connection.protocol
    writer = protocol.writer
    size = message.frame.payload_size
    if writer.shared or writer.size:
        queued = sum(frame.payload_size for frame in writer.shared)
        if connection._buffered() + queued + size > FAIR_SHARE:
            # A peer isn't slow because nothing was written to it yet.
            connection._flush()
    if admit(protocol, slowness, size, connection._buffered(), now):
        return True
    if protocol.state is not OPEN:
        connection._deliver()
    return False


class Failures:
    """What went wrong with some of the connections.

    Args:
        raised: whether it is to be raised in the end, instead of logged.
    """

    def __init__(self, raised: bool) -> None:
        self._raised = raised
        self._exceptions: list[Exception] = []

    def add_fragmented(self, connection: Any) -> None:
        """Note a connection that is sending a fragmented message."""
        if self._raised:
            self._exceptions.append(ConcurrencyError("sending a fragmented message"))
        else:
            connection.logger.warning("skipped broadcast: sending a fragmented message")

    def add(self, connection: Any, exc: Exception) -> None:
        """Note a connection to which ``exc`` prevented the message from being sent."""
        if self._raised:
            failure = RuntimeError("failed to write message")
            failure.__cause__ = exc
            self._exceptions.append(failure)
        else:
            reason = traceback.format_exception_only(exc)[0].strip()
            connection.logger.warning("skipped broadcast: failed to write message: %s", reason)

    def raise_all(self) -> None:
        """Raise an ExceptionGroup, if there is anything to be raised."""
        if self._exceptions:
            raise ExceptionGroup("skipped broadcast", self._exceptions)
