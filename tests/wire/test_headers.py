"""All two-byte headers, for both roles, in every state of a message: what is refused, and why.

The table below is written from RFC 6455 sections 5.1, 5.2, 5.4 and 5.5 and RFC 7692 section 6.1.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import pytest
import wsproto.frame_protocol as wsproto

from .builds import BUILDS, Build, each_build
from .streams import BINARY, CONT, FIN, RSV1, TEXT, deflated, frame

CONTROL = (0x8, 0x9, 0xA)
DATA = (0x0, 0x1, 0x2)


class Situation(NamedTuple):
    """Where the header arrives."""

    deflate: bool
    message: str
    """Which fragmented message is open: none, one that is plain, or one that is compressed."""

    def __str__(self) -> str:
        return f"{'deflate' if self.deflate else 'plain'}-{self.message}"


SITUATIONS = [
    Situation(False, "none"),
    Situation(False, "plain"),
    Situation(True, "none"),
    Situation(True, "plain"),
    Situation(True, "compressed"),
]
ROLES = ("server", "client")

RESERVED = "reserved bits must be 0"


def refusal(first: int, second: int, role: str, situation: Situation) -> str | None:
    """Say why a header is refused, in the order of its bytes; None when it isn't."""
    return _first_byte(first, situation) or _second_byte(first, second, role)


def _first_byte(first: int, situation: Situation) -> str | None:
    opcode = first & 0x0F
    if opcode not in (*DATA, *CONTROL):
        return "invalid opcode"
    allowed = RSV1 if situation.deflate and opcode in DATA else 0
    if opcode in CONTROL:
        if first & 0x70:
            return RESERVED
        return None if first & FIN else "fragmented control frame"
    if first & 0x70 & ~allowed:
        return RESERVED
    inside = situation.message != "none"
    if opcode != CONT:
        return "expected a continuation frame" if inside else None
    if not inside:
        return "unexpected continuation frame"
    if first & RSV1:
        return (
            "RSV1 bit set in continuation frame" if situation.message == "compressed" else RESERVED
        )
    return None


def _second_byte(first: int, second: int, role: str) -> str | None:
    if bool(second & 0x80) != (role == "server"):
        return "incorrect masking"
    if first & 0x0F in CONTROL and second & 0x7F > 125:
        return "control frame too long"
    return None


def opening(role: str, situation: Situation) -> bytes:
    """Give the fragment that opens the situation's message."""
    key = b"abcd" if role == "server" else None
    if situation.message == "plain":
        return frame(BINARY, b"spam", fin=False, key=key)
    if situation.message == "compressed":
        return frame(BINARY, deflated(b"spam") + b"\0\0\xff\xff", fin=False, rsv=RSV1, key=key)
    return b""


class Probe:
    """A reader in a situation, used again for as long as headers leave it there."""

    def __init__(self, build: Build, role: str, situation: Situation) -> None:
        self._make = functools.partial(self._prepared, build, role, situation)
        self.reader = self._make()

    @staticmethod
    def _prepared(build: Build, role: str, situation: Situation) -> Any:
        reader = build.room("_core.reader").Reader(role == "server", None, None, None, False)
        if situation.deflate:
            deflate = build.room("extensions.permessage_deflate").PerMessageDeflate
            reader.use_extensions([deflate(False, False, 15, 15)])
        start = opening(role, situation)
        if start:
            reader.feed(start, 0, len(start))
            assert reader.next_frame()
            reader.keep_rest()
        return reader

    def __call__(self, header: bytes) -> str | None:
        reader = self.reader
        reader.feed(header, 0, 2)
        try:
            done = reader.next_frame()
        except Exception as exc:
            reader.discard()
            assert type(exc).__name__ == "ProtocolError"
            return str(exc)
        if done or reader.pos:
            self.reader = self._make()  # the header was taken
        else:
            reader.discard()
        return None


@each_build
@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_every_header(build: Build, role: str, situation: Situation) -> None:
    probe = Probe(build, role, situation)
    accepted = 0
    for first in range(256):
        for second in range(256):
            reason = refusal(first, second, role, situation)
            assert probe(bytes((first, second))) == reason, (hex(first), hex(second))
            accepted += reason is None
    # Two data opcodes or one, FIN or not, RSV1 or not; three control opcodes: 128 or 126 lengths.
    starts = 2 * (2 if situation.deflate else 1) if situation.message == "none" else 1
    assert accepted == starts * 2 * 128 + 3 * 126


@each_build
@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_a_first_byte_is_refused_alone(build: Build, role: str, situation: Situation) -> None:
    for first in range(256):
        reader = Probe(build, role, situation).reader
        reason = _first_byte(first, situation)
        reader.feed(bytes((first,)), 0, 1)
        if reason is None:
            assert not reader.next_frame()
        else:
            with pytest.raises(build.room("exceptions").ProtocolError, match=f"^{reason}$"):
                reader.next_frame()


@pytest.mark.parametrize("role", ROLES)
def test_wsproto_refuses_the_same_headers(role: str) -> None:
    situation = Situation(False, "none")
    for first in range(256):
        if first & 0x0F == CONT:
            continue  # wsproto looks at the order of fragments once a frame is whole
        for second in range(256):
            decoder = wsproto.FrameDecoder(client=role == "client")
            # With zeros behind it, up to a whole header of valid length: 126 and 65536 bytes.
            length = {126: b"\0\x7e", 127: b"\0\0\0\0\0\1\0\0"}.get(second & 0x7F, b"")
            decoder.receive_bytes(bytes((first, second)) + length + bytes(4))
            try:
                decoder.process_buffer()
            except wsproto.ParseFailed as exc:
                refused = True
                assert exc.code is wsproto.CloseReason.PROTOCOL_ERROR
            else:
                refused = False
            assert refused == (refusal(first, second, role, situation) is not None)


ROLE_SIDES = [(role, role.upper()) for role in ROLES]


@each_build
@pytest.mark.parametrize(("role", "side"), ROLE_SIDES)
@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_a_connection_answers_a_refused_header_with_1002(
    build: Build, role: str, side: str, situation: Situation
) -> None:
    # One header of each kind: what a reader raises, a connection puts into its close frame.
    kinds: dict[str, bytes] = {}
    for first in range(256):
        for second in (0x00, 0x7E, 0x80, 0xFE):
            reason = refusal(first, second, role, situation)
            if reason is not None:
                kinds.setdefault(reason, bytes((first, second)))
    assert len(kinds) >= 6
    room = build.room("protocol")
    for reason, header in kinds.items():
        protocol = room.Protocol(getattr(room, side), max_size=None)
        if situation.deflate:
            deflate = build.room("extensions.permessage_deflate").PerMessageDeflate
            protocol.extensions = [deflate(False, False, 15, 15)]
        protocol.receive_data(opening(role, situation) + header)
        assert (protocol.close_sent.code, protocol.close_sent.reason) == (1002, reason)
        assert type(protocol.parser_exc).__name__ == "ProtocolError"


def test_the_builds_that_ran() -> None:
    assert "pure" in BUILDS


# Lengths.

NOT_MINIMAL = "payload length must be encoded in the minimal number of bytes"


def read(build: Build, data: bytes, masked: bool = False, limit: int | None = None) -> Any:
    reader = build.room("_core.reader").Reader(masked, limit, None, None, False)
    reader.feed(data, 0, len(data))
    return reader.next_frame()


@each_build
@pytest.mark.parametrize("masked", [False, True])
def test_every_length_in_two_bytes(build: Build, masked: bool) -> None:
    bit = 0x80 if masked else 0
    for length in range(65536):
        data = bytes((FIN | BINARY, bit | 126)) + length.to_bytes(2, "big")
        try:
            done = read(build, data, masked)
        except Exception as exc:
            assert length < 126
            assert str(exc) == NOT_MINIMAL
        else:
            assert length >= 126
            assert not done


@each_build
@pytest.mark.parametrize("exponent", range(64))
@pytest.mark.parametrize("difference", [-1, 0])
def test_lengths_in_eight_bytes(build: Build, exponent: int, difference: int) -> None:
    length = 2**exponent + difference
    data = bytes((FIN | TEXT, 127)) + length.to_bytes(8, "big")
    if length < 65536:
        with pytest.raises(Exception, match=f"^{NOT_MINIMAL}$"):
            read(build, data)
    elif length >= 2**63:
        # At the first byte that proves it.
        for size in range(3, 11):
            with pytest.raises(
                Exception, match="^most significant bit of payload length must be 0$"
            ):
                read(build, data[:size])
    else:
        assert read(build, data) is False
        with pytest.raises(Exception, match=f"^frame with {length} bytes exceeds limit of 1024 "):
            read(build, data, limit=1024)
