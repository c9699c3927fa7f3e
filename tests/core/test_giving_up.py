"""Extensions that fail where nobody waits who could be told: the stream ends."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.exceptions import ProtocolError
from ropeway.extensions import Extension
from ropeway.protocol import CLOSING

from ..wire.streams import CLOSE, FIN, PING, PONG
from .ends import Ends, timed

pytestmark = pytest.mark.parametrize("role", ["client", "server"])


class Failing(Extension):
    name = "x-failing"

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode

    def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
        return frame

    def encode(self, frame: Any) -> Any:
        if frame.opcode == self.opcode:
            raise RuntimeError("no more")
        return frame


def failing(role: str, opcode: int) -> Ends:
    ends = timed(role)
    ends.protocol.extensions = [Failing(opcode)]
    return ends


def test_a_keepalive_ping_that_fails_ends_the_stream(role: str) -> None:
    ends = failing(role, PING)
    ends.protocol.on_deadline(70)
    assert ends.output() == ([], True)
    assert ends.protocol.state is CLOSING


def test_a_pong_that_waited_and_fails_ends_the_stream(role: str) -> None:
    ends = failing(role, PONG)
    ends.protocol.pause_writing()
    ends.receive(ends.frame(PING, b"a"))
    ends.protocol.resume_writing()
    assert ends.output() == ([], True)
    assert ends.protocol.state is CLOSING


def test_a_close_frame_that_fails_ends_the_stream(role: str) -> None:
    ends = failing(role, CLOSE)
    ends.receive(ends.frame(PING, b"a") + b"\xff")
    assert ends.output() == ([(FIN | PONG, b"a")], True)
    assert type(ends.protocol.parser_exc) is ProtocolError
