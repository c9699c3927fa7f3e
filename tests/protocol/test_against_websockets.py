"""Open connections, step by step as websockets 17.4 goes."""

from __future__ import annotations

from typing import Any

import pytest

from ..wire.streams import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    TEXT,
    close_frame,
    cut,
    deflated,
    frame,
)
from .pairs import OURS, THEIRS, Subject, compare


@pytest.fixture(params=["CLIENT", "SERVER"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


def incoming(role: str, opcode: int, payload: bytes = b"", **kwargs: Any) -> bytes:
    return frame(opcode, payload, key=KEY if role == "SERVER" else None, **kwargs)


def closing(role: str, code: int = 1000, reason: str = "") -> bytes:
    return close_frame(code, reason, KEY if role == "SERVER" else None)


# Receiving.


def test_data(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("receive_data", incoming(role, TEXT, "é".encode()))
        subject.do("receive_data", incoming(role, BINARY, b"\xff" * 200))
        subject.do("receive_data", incoming(role, TEXT) + incoming(role, BINARY, b"x" * 70_000))
        fragments = incoming(role, TEXT, b"a", fin=False) + incoming(role, CONT, b"b", fin=False)
        subject.do("receive_data", fragments)
        subject.do("receive_data", incoming(role, PING, b"!"))
        subject.do("receive_data", incoming(role, CONT, b""))
        subject.do("receive_data", incoming(role, PONG, b"?"))
        subject.do("receive_data", b"")
        subject.do("receive_eof")

    compare(script)


def test_bytes_one_by_one(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        data = incoming(role, TEXT, b"spam") + incoming(role, PING, b"!") + closing(role, 1001, "é")
        for piece in cut(data, range(1, len(data))):
            subject.do("receive_data", piece)
        subject.do("receive_eof")

    compare(script)


def test_kinds_of_buffers(role: str) -> None:
    for kind in (bytes, bytearray, memoryview):

        def script(subject: Subject, kind: Any = kind) -> None:
            subject.role(role)
            data = incoming(role, BINARY, b"0123456789" * 10)
            subject.do("receive_data", kind(data[:5]))
            subject.do("receive_data", kind(data[5:40]))
            subject.do("receive_data", kind(data[40:]))

        compare(script)


CLOSE_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
BAD_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]


@pytest.mark.parametrize("code", CLOSE_CODES + BAD_CODES)
@pytest.mark.parametrize("eof", [True, False])
def test_a_close_frame(role: str, code: int, eof: bool) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("receive_data", closing(role, code, "why"))
        subject.do("receive_data", incoming(role, TEXT, b"too late"))
        if eof:
            subject.do("receive_eof")
            subject.do("receive_eof")

    compare(script)


@pytest.mark.parametrize(
    "payload", [b"", b"\x03", b"\x03\xe8", b"\x03\xe8\xff", b"\x03\xe8caf\xc3"]
)
def test_payloads_of_close_frames(role: str, payload: bytes) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("receive_data", incoming(role, CLOSE, payload))
        subject.do("receive_eof")

    compare(script)


def test_our_close_frame_first(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("send_close", 1001, "going")
        subject.do("receive_data", incoming(role, TEXT, b"still") + incoming(role, PING, b"!"))
        subject.do("send_ping", b"1")
        subject.do("send_pong", b"2")
        subject.do("send_text", b"no")
        subject.do("send_close", 1000)
        subject.do("receive_data", closing(role, 3000, "answer"))
        subject.do("receive_eof")

    compare(script)


def test_the_end_of_the_stream(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("receive_eof")
        subject.do("receive_data", b"x")
        subject.do("receive_eof")
        for method in ("send_text", "send_binary", "send_ping", "send_pong"):
            subject.do(method, b"x")
        subject.do("send_close")

    compare(script)


def test_the_end_of_the_stream_inside_a_frame(role: str) -> None:
    for size in (1, 3, 7):

        def script(subject: Subject, size: int = size) -> None:
            subject.role(role)
            subject.do("receive_data", incoming(role, BINARY, b"0123456789")[:size])
            subject.do("receive_eof")

        # websockets counts how many bytes of which part were missing.
        one, other = compare_ends(script)
        assert one["parser_exc"][0] == other["parser_exc"][0] == "EOFError"
        for facts in (one, other):
            del facts["parser_exc"], facts["closed"]
        assert one == other


def compare_ends(script: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    subjects = [Subject(OURS), Subject(THEIRS)]
    for subject in subjects:
        script(subject)
    one, other = (subject.steps[-1][2] for subject in subjects)
    return one, other


VIOLATIONS = {
    "opcode": b"\x83\x80\0\0\0\0",
    "rsv1": b"\xc1\x80\0\0\0\0",
    "rsv2": b"\xa1\x80\0\0\0\0",
    "fragmented control": b"\x09\x80\0\0\0\0",
    "long control": b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(126),
    "continuation": b"\x80\x80\0\0\0\0",
    "length 2": b"\x81\xfe\x00\x7d\0\0\0\0" + bytes(125),
    "length 8": b"\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
    "length sign": b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0",
    "masking": b"\x81\x00",
    "text": frame(TEXT, b"ab\xffc", key=bytes(4)),
    "cut text": frame(TEXT, b"ab\xe2\x82", key=bytes(4)),
    "limit": frame(BINARY, bytes(200), key=bytes(4)),
}


def unmasked(data: bytes) -> bytes:
    """Turn a frame with the key 0 into one without a key."""
    size = {126: 4, 127: 10}.get(data[1] & 0x7F, 2)
    return data[:1] + bytes((data[1] ^ 0x80,)) + data[2:size] + data[size + 4 :]


DIFFERENT = {
    "length 2": (1002, "payload length must be encoded in the minimal number of bytes"),
    "length 8": (1002, "payload length must be encoded in the minimal number of bytes"),
    "length sign": (1002, "most significant bit of payload length must be 0"),
    "text": (1007, "invalid start byte at position 2"),
    "cut text": (1007, "unexpected end of data at position 2"),
}
"""What websockets takes, leaves to its drivers, or refuses for its length only."""


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_violations(role: str, kind: str) -> None:
    data = VIOLATIONS[kind]
    if role == "CLIENT":
        data = unmasked(data)

    def script(subject: Subject) -> None:
        subject.role(role, max_size=150)
        subject.do("receive_data", data)
        subject.do("receive_data", incoming(role, TEXT, b"more"))
        subject.do("receive_eof")

    if kind not in DIFFERENT:
        compare(script, unlogged="DEBUG < ")
        return
    ours = Subject(OURS)
    script(ours)
    assert ours.steps[0][2]["sent"][1:] == DIFFERENT[kind]
    assert ours.steps[0][2]["events"] == []


def test_an_unfinished_message_before_another(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("receive_data", incoming(role, TEXT, b"a", fin=False))
        subject.do("receive_data", incoming(role, BINARY, b"b"))
        subject.do("receive_eof")

    compare(script, unlogged="DEBUG < ")


@pytest.mark.parametrize(
    "limits", [10, (10, None), (None, 10), (10, 4), (10, 20), None, (None, None)]
)
@pytest.mark.parametrize("sizes", [(10,), (11,), (4, 4, 2), (4, 4, 3), (5, 5), (4, 7), (0, 10, 0)])
def test_limits(role: str, limits: Any, sizes: tuple[int, ...]) -> None:
    def script(subject: Subject) -> None:
        subject.role(role, max_size=limits)
        for index, size in enumerate(sizes):
            fin = index == len(sizes) - 1
            opcode = CONT if index else BINARY
            subject.do("receive_data", incoming(role, opcode, bytes(size), fin=fin))
            # An empty one: websockets holds control frames to the limit as well.
            subject.do("receive_data", incoming(role, PING))
        subject.do("receive_data", incoming(role, BINARY, bytes(4)))

    compare(script)


# Sending.


def test_sending(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("send_text", "é".encode())
        subject.do("send_binary", bytes(300))
        subject.do("send_binary", bytearray(b"spam"))
        subject.do("send_binary", memoryview(b"eggs"))
        subject.do("send_ping", b"ping")
        subject.do("send_pong", b"")
        subject.do("send_close", 1000, "bye")

    compare(script)


def test_sending_fragments(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("send_continuation", b"a", True)
        subject.do("send_text", b"a", fin=False)
        subject.do("send_text", b"b")
        subject.do("send_binary", b"b")
        subject.do("send_ping", b"between")
        subject.do("send_continuation", b"c", fin=False)
        subject.do("send_continuation", b"d", fin=True)
        subject.do("send_continuation", b"e", fin=True)
        subject.do("send_binary", b"f", fin=False)
        subject.do("send_close", 1001)
        subject.do("send_continuation", b"g", fin=True)

    compare(script)


def test_control_frames_that_are_too_long(role: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("send_ping", bytes(125))
        subject.do("send_ping", bytes(126))
        subject.do("send_pong", bytes(126))
        subject.do("send_close", 1000, "x" * 124)
        subject.do("send_close", 1000, "x" * 123)

    # websockets logs frames that it then refuses to send.
    compare(script, unlogged="DEBUG > ")


@pytest.mark.parametrize("code", [None, *CLOSE_CODES, *BAD_CODES, 70000, -1])
@pytest.mark.parametrize("reason", ["", "é"])
def test_sending_close_frames(role: str, code: int | None, reason: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("send_close", code, reason)
        subject.do("receive_data", closing(role, 1000))
        subject.do("receive_eof")

    compare(script)


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("send_text", (b"x",)),
    ("send_binary", (b"x",)),
    ("send_continuation", (b"x", True)),
    ("send_ping", (b"x",)),
    ("send_pong", (b"x",)),
    ("send_close", (1000,)),
]


@pytest.mark.parametrize("state", ["CONNECTING", "OPEN", "CLOSING"])
@pytest.mark.parametrize(("method", "args"), CALLS)
def test_calls_in_every_state(role: str, state: str, method: str, args: Any) -> None:
    def script(subject: Subject) -> None:
        subject.role(role, state=getattr(subject.package.protocol, state))
        subject.do(method, *args)

    compare(script)


@pytest.mark.parametrize(("code", "reason"), [(1002, "r"), (1006, ""), (1011, ""), (4000, "x")])
def test_failing(role: str, code: int, reason: str) -> None:
    def script(subject: Subject) -> None:
        subject.role(role)
        subject.do("fail", code, reason)
        subject.do("receive_data", incoming(role, TEXT, b"more"))
        subject.do("receive_eof")

    compare(script)


# Compression.


@pytest.mark.parametrize("takeover", [False, True])
def test_compression(role: str, takeover: bool) -> None:
    def script(subject: Subject) -> None:
        conn = subject.role(role, max_size=1000)
        conn.extensions = [subject.package.deflate.PerMessageDeflate(takeover, takeover, 15, 15)]
        subject.do("send_text", b"spam" * 10)
        subject.do("send_binary", b"spam" * 10)
        subject.do("send_text", b"a", fin=False)
        subject.do("send_ping", b"x")
        subject.do("send_continuation", b"b", fin=True)
        subject.do("receive_data", incoming(role, TEXT, deflated(b"eggs" * 10), rsv=RSV1))
        subject.do("receive_data", incoming(role, TEXT, b"plain"))
        subject.do("receive_data", incoming(role, BINARY, deflated(bytes(1001)), rsv=RSV1))

    compare(script)


@pytest.mark.parametrize(
    "data",
    [
        (TEXT, b"\xff\xff\xff", RSV1),
        (TEXT, b"a", RSV2),
        (PING, b"a", RSV1),
    ],
)
def test_compression_gone_wrong(role: str, data: tuple[int, bytes, int]) -> None:
    opcode, payload, rsv = data

    def script(subject: Subject) -> None:
        conn = subject.role(role)
        conn.extensions = [subject.package.deflate.PerMessageDeflate(False, False, 15, 15)]
        subject.do("receive_data", incoming(role, opcode, payload, rsv=rsv))

    compare(script)


def test_rsv1_in_a_continuation(role: str) -> None:
    def script(subject: Subject) -> None:
        conn = subject.role(role)
        conn.extensions = [subject.package.deflate.PerMessageDeflate(False, False, 15, 15)]
        first = deflated(b"a") + b"\0\0\xff\xff"
        subject.do("receive_data", incoming(role, TEXT, first, fin=False, rsv=RSV1))
        subject.do("receive_data", incoming(role, CONT, b"\0", rsv=RSV1))

    compare(script)


# The objects themselves.


def test_a_new_connection(role: str) -> None:
    for state in ("CONNECTING", "OPEN", "CLOSING", "CLOSED"):

        def script(subject: Subject, state: str = state) -> None:
            room = subject.package.protocol
            conn = subject.role(role, state=getattr(room, state))
            subject.note([conn.side.name, conn.origin, conn.subprotocol, conn.extensions])
            subject.note([conn.max_message_size, conn.max_fragment_size, conn.debug])
            subject.do("close_expected")

        if state == "CLOSED":
            continue  # close_exc needs frames that this connection never saw
        compare(script)


def test_the_state_may_be_set() -> None:
    def script(subject: Subject) -> None:
        conn = subject.role("SERVER")
        conn.state = subject.package.protocol.CLOSING
        subject.do("send_text", b"x")

    compare(script)


def test_names() -> None:
    import websockets.protocol as theirs

    import ropeway.protocol as ours

    for name in ("CONNECTING", "OPEN", "CLOSING", "CLOSED", "SERVER", "CLIENT"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, name).name == getattr(theirs, name).name
    assert ours.SEND_EOF == theirs.SEND_EOF == b""
    assert list(ours.State.__members__) == list(theirs.State.__members__)
    assert FIN == 0x80


def test_an_open_connection_has_no_exception() -> None:
    import ropeway.protocol as ours

    with pytest.raises(AssertionError, match="^connection isn't closed yet$"):
        ours.Protocol(ours.CLIENT).close_exc  # noqa: B018
