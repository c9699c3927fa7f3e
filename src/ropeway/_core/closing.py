"""The closing handshake (RFC 6455 section 7) as facts and one deadline."""

from __future__ import annotations

from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    RateLimitExceeded,
    TooManyFragments,
)
from ..frames import OK_CLOSE_CODES, Close, CloseCode, Frame, Opcode


class Closing:
    """What was said to end a connection, in which order, and until when the rest may take.

    Invariants: ``rcvd_then_sent`` is known exactly when both close frames are; ``deadline`` is set
    by the first look at the clock after the end of the TCP connection has become due.
    """

    __slots__ = (
        "deadline",
        "eof_received",
        "eof_sent",
        "rcvd",
        "rcvd_then_sent",
        "sent",
        "timeout",
    )

    def __init__(self) -> None:
        self.rcvd: Close | None = None
        self.sent: Close | None = None
        self.rcvd_then_sent: bool | None = None
        self.eof_sent: bool = False
        self.eof_received: bool = False
        self.timeout: float | None = None
        self.deadline: float | None = None

    def note_sent(self, close: Close) -> None:
        """Record our close frame."""
        self.sent = close
        if self.rcvd is not None:
            self.rcvd_then_sent = True

    def note_rcvd(self, close: Close) -> None:
        """Record the peer's close frame."""
        self.rcvd = close
        if self.sent is not None:
            self.rcvd_then_sent = False

    def start_clock(self, now: float) -> float | None:
        """Give the deadline, in seconds on the driver's clock, starting it at the first call."""
        if self.deadline is None and self.timeout is not None:
            self.deadline = now + self.timeout
        return self.deadline

    def is_clean(self) -> bool:
        """Tell whether both sides sent a close frame, with a code that says that all is well."""
        return (
            self.rcvd is not None
            and self.sent is not None
            and self.rcvd.code in OK_CLOSE_CODES
            and self.sent.code in OK_CLOSE_CODES
        )

    def exception(self, cause: BaseException | None) -> ConnectionClosed:
        """Make the exception that says how the connection ended."""
        kind = ConnectionClosedOK if self.is_clean() else ConnectionClosedError
        exc = kind(self.rcvd, self.sent, self.rcvd_then_sent)
        exc.__cause__ = cause
        return exc


# 5.5: a control frame has at most 125 bytes; 5.5.1: two of them are the code.
LONGEST_REASON = 123


def fitting_reason(reason: str) -> str:
    """Cut a reason of our own so that its close frame can be sent, at a whole character."""
    encoded = reason.encode()
    if len(encoded) <= LONGEST_REASON:
        return reason
    return encoded[: LONGEST_REASON - 3].decode(errors="ignore") + "..."


def check_close(code: CloseCode | int, reason: str) -> None:
    """Check what a close frame is to say, before anything is done about it.

    Raises:
        ProtocolError: when the code can't be sent, or the reason is too long.

    """
    Frame(Opcode.CLOSE, Close(code, reason).serialize()).check()


def closing_for(exc: Exception, bad_text_at: int) -> tuple[CloseCode, str] | None:
    """Give the close code and reason for an error in what was received; None for a strange one.

    Args:
        exc: what was raised.
        bad_text_at: where in a message text stopped being UTF-8, as far as is known.

    """
    if isinstance(exc, ProtocolError):
        return CloseCode.PROTOCOL_ERROR, fitting_reason(str(exc))
    if isinstance(exc, UnicodeDecodeError):
        reason = f"{exc.reason} at position {max(bad_text_at, exc.start)}"
        return CloseCode.INVALID_DATA, fitting_reason(reason)
    if isinstance(exc, PayloadTooBig):
        return CloseCode.MESSAGE_TOO_BIG, fitting_reason(str(exc))
    if isinstance(exc, TooManyFragments):
        return CloseCode.MESSAGE_TOO_BIG, "too many fragments"
    if isinstance(exc, RateLimitExceeded):
        return CloseCode.POLICY_VIOLATION, str(exc)
    return None
