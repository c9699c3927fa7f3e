"""An engine and what its driver does: with an inbox, and a clock of the test's own."""

from __future__ import annotations

from typing import Any

from ropeway._core.inbox import Inbox
from ropeway.protocol import CLIENT, SERVER, Protocol

from ..wire.streams import KEY, frame, sent

START = 50.0


class Ends:
    """A connection with an inbox, and what its driver does."""

    def __init__(self, role: str, high: int | None = None, low: int | None = None) -> None:
        self.key = KEY if role == "server" else None
        self.protocol = Protocol(SERVER if role == "server" else CLIENT)
        self.inbox = Inbox(high, low)
        self.protocol.use_inbox(self.inbox)

    def receive(self, data: bytes, now: float = START) -> None:
        self.protocol.receive(data, 0, len(data), now)
        self.protocol.keep_rest()

    def resume(self, now: float = START) -> None:
        self.protocol.resume(now)

    def take(self) -> list[Any]:
        messages = []
        while self.inbox.is_ready():
            messages.append(self.inbox.take(None))
        return messages

    def output(self) -> tuple[list[tuple[int, bytes]], bool]:
        return sent(self.protocol.take_output())

    def frame(self, opcode: int, payload: bytes = b"", **kwargs: Any) -> bytes:
        return frame(opcode, payload, key=self.key, **kwargs)


def timed(role: str, **kwargs: float | None) -> Ends:
    ends = Ends(role)
    ends.protocol.keepalive.interval = kwargs.get("interval", 20.0)
    ends.protocol.keepalive.timeout = kwargs.get("timeout", 20.0)
    ends.protocol.closing.timeout = kwargs.get("closing", 10.0)
    ends.protocol.last_received = START
    ends.protocol.keepalive.start(START)
    return ends
