from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway import frames
from ropeway.exceptions import PayloadTooBig, ProtocolError
from ropeway.extensions import Extension
from ropeway.frames import Close, CloseCode, Frame, Opcode
from ropeway.typing import ExtensionName

from .reading import Source, finish

CONT, TEXT, BINARY, CLOSE, PING, PONG = Opcode

OPCODES = st.sampled_from(Opcode)
PAYLOADS = st.binary(max_size=300)


def parse(data: bytes, *, mask: bool = False, **options: Any) -> tuple[Frame, bytes]:
    source = Source(data)
    return finish(Frame.parse(source.read_exact, mask=mask, **options)), source.rest


def test_opcodes() -> None:
    assert [(opcode.name, opcode.value) for opcode in Opcode] == [
        ("CONT", 0), ("TEXT", 1), ("BINARY", 2), ("CLOSE", 8), ("PING", 9), ("PONG", 10),
    ]  # fmt: skip
    assert [getattr(frames, opcode.name) for opcode in Opcode] == list(Opcode)
    assert set(frames.DATA_OPCODES) | set(frames.CTRL_OPCODES) == set(Opcode)
    assert all(opcode & 8 for opcode in frames.CTRL_OPCODES)
    assert not any(opcode & 8 for opcode in frames.DATA_OPCODES)


def test_close_codes() -> None:
    assert set(frames.CLOSE_CODE_EXPLANATIONS) == set(CloseCode)
    assert {code.value for code in set(CloseCode) - frames.EXTERNAL_CLOSE_CODES} == {
        1005, 1006, 1015,
    }  # fmt: skip
    assert sorted(frames.OK_CLOSE_CODES) == [1000, 1001, 1005]


# The examples of RFC 6455, 5.7, and what they leave out.
WIRE = [
    (Frame(TEXT, b"Hello"), None, "81 05 48 65 6c 6c 6f"),
    (Frame(TEXT, b"Hello"), "37fa213d", "81 85 37 fa 21 3d 7f 9f 4d 51 58"),
    (Frame(TEXT, b"Hel", fin=False), None, "01 03 48 65 6c"),
    (Frame(CONT, b"lo"), None, "80 02 6c 6f"),
    (Frame(PING, b"Hello"), None, "89 05 48 65 6c 6c 6f"),
    (Frame(PONG, b"Hello"), "37fa213d", "8a 85 37 fa 21 3d 7f 9f 4d 51 58"),
    (Frame(BINARY, bytes(125)), None, "82 7d" + "00" * 125),
    (Frame(BINARY, bytes(126)), None, "82 7e 00 7e" + "00" * 126),
    (Frame(BINARY, bytes(256)), None, "82 7e 01 00" + "00" * 256),
    (Frame(BINARY, bytes(65535)), None, "82 7e ff ff" + "00" * 65535),
    (Frame(BINARY, bytes(65536)), None, "82 7f 00 00 00 00 00 01 00 00" + "00" * 65536),
    (Frame(CLOSE, b""), None, "88 00"),
    (Frame(PING, bytes(125)), None, "89 7d" + "00" * 125),
]


@pytest.mark.parametrize(("frame", "key", "wire"), WIRE, ids=lambda value: str(value)[:40])
def test_wire(frame: Frame, key: str | None, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes.fromhex(wire)
    assert parse(data + b"rest", mask=key is not None) == (frame, b"rest")
    if key is not None:
        monkeypatch.setattr("os.urandom", lambda size: bytes.fromhex(key)[:size])
    assert frame.serialize(mask=key is not None) == data


@given(OPCODES, st.binary(max_size=125), st.booleans())
def test_round_trip(opcode: Opcode, data: bytes, mask: bool) -> None:
    frame = Frame(opcode, data)
    assert parse(frame.serialize(mask=mask), mask=mask) == (frame, b"")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("mask", [True, False])
def test_serialize_what_is_like_bytes(kind: Any, mask: bool) -> None:
    data = Frame(BINARY, kind(b"abc")).serialize(mask=mask)
    assert type(data) is bytes
    assert parse(data, mask=mask)[0] == Frame(BINARY, b"abc")


def test_masking_keys_differ() -> None:
    assert len({Frame(TEXT, b"").serialize(mask=True) for _ in range(20)}) == 20


@pytest.mark.parametrize("size", range(12))
def test_a_stream_that_ends_inside_a_frame(size: int) -> None:
    data = Frame(BINARY, bytes(200)).serialize(mask=True)
    with pytest.raises(EOFError):
        parse(data[:size], mask=True)


BROKEN = [
    ("83 00", "invalid opcode"),
    ("8b 00", "invalid opcode"),
    ("8f 80", "invalid opcode"),
    ("81 80 00 00 00 00", "incorrect masking"),
    ("c1 00", "reserved bits must be 0"),
    ("a1 00", "reserved bits must be 0"),
    ("91 00", "reserved bits must be 0"),
    ("08 00", "fragmented control frame"),
    ("09 00", "fragmented control frame"),
    ("89 7e", "control frame too long"),
    ("88 7f", "control frame too long"),
    ("82 7e 00 7d", "payload length must be encoded in the minimal number of bytes"),
    ("82 7e 00 00", "payload length must be encoded in the minimal number of bytes"),
    (
        "82 7f 00 00 00 00 00 00 ff ff",
        "payload length must be encoded in the minimal number of bytes",
    ),
    (
        "82 7f 80 00 00 00 00 00 00 00",
        "most significant bit of payload length must be 0",
    ),
    (
        "82 7f ff ff ff ff ff ff ff ff",
        "most significant bit of payload length must be 0",
    ),
]


@pytest.mark.parametrize(("wire", "text"), BROKEN)
def test_broken_frames(wire: str, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(bytes.fromhex(wire))
    assert str(caught.value) == text


def test_a_frame_without_its_mask() -> None:
    with pytest.raises(ProtocolError, match="incorrect masking"):
        parse(b"\x81\x00", mask=True)


@pytest.mark.parametrize(
    ("size", "form"), [(4, "04"), (126, "7e007e"), (2**63 - 1, "7f7" + "f" * 15)]
)
def test_a_payload_over_the_limit_is_refused_before_it_is_read(size: int, form: str) -> None:
    with pytest.raises(PayloadTooBig) as caught:
        parse(bytes.fromhex("82" + form), max_size=3)
    assert (caught.value.size, caught.value.max_size) == (size, 3)


def test_a_payload_at_the_limit() -> None:
    assert parse(b"\x82\x03abc", max_size=3)[0] == Frame(BINARY, b"abc")
    assert parse(b"\x82\x00", max_size=0)[0] == Frame(BINARY, b"")


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(TEXT, b"", rsv1=True), "reserved bits must be 0"),
        (Frame(TEXT, b"", rsv2=True), "reserved bits must be 0"),
        (Frame(TEXT, b"", rsv3=True), "reserved bits must be 0"),
        (Frame(PING, b"", fin=False), "fragmented control frame"),
        (Frame(PONG, bytes(126)), "control frame too long"),
    ],
)
def test_frames_that_must_not_be_sent(frame: Frame, text: str) -> None:
    for use in (frame.check, lambda: frame.serialize(mask=False)):
        with pytest.raises(ProtocolError) as caught:
            use()
        assert str(caught.value) == text


class Tag(Extension):
    """Adds its letter on the way out and takes it away on the way in."""

    name = ExtensionName("x-tag")

    def __init__(self, letter: bytes) -> None:
        self.letter = letter
        self.max_sizes: list[int | None] = []

    def encode(self, frame: Frame) -> Frame:
        return Frame(frame.opcode, bytes(frame.data) + self.letter, frame.fin, True, True, True)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.max_sizes.append(max_size)
        assert bytes(frame.data).endswith(self.letter)
        return Frame(frame.opcode, bytes(frame.data)[:-1], frame.fin)


@pytest.mark.parametrize("mask", [True, False])
def test_extensions_apply_in_order_and_back(mask: bool) -> None:
    extensions = [Tag(b"x"), Tag(b"y")]
    frame = Frame(TEXT, b"abc", fin=False)
    data = frame.serialize(mask=mask, extensions=extensions)
    assert data[0] == 0x71
    if not mask:
        assert data[2:] == b"abcxy"
    assert parse(data, mask=mask, extensions=extensions, max_size=9)[0] == frame
    assert [extension.max_sizes for extension in extensions] == [[9], [9]]


def test_extensions_may_use_reserved_bits_of_control_frames() -> None:
    frame = Frame(PING, b"abc")
    data = frame.serialize(mask=False, extensions=[Tag(b"x")])
    assert parse(data, extensions=[Tag(b"x")])[0] == frame
    with pytest.raises(ProtocolError, match="reserved bits must be 0"):
        parse(data)


STRINGS = [
    (Frame(TEXT, b"Spam"), "TEXT 'Spam' [4 bytes]"),
    (Frame(TEXT, b"S"), "TEXT 'S' [1 byte]"),
    (Frame(TEXT, b""), "TEXT '' [0 bytes]"),
    (Frame(TEXT, b"Spam", fin=False), "TEXT 'Spam' [4 bytes, continued]"),
    (Frame(TEXT, "café\n".encode()), "TEXT 'café\\n' [6 bytes]"),
    (Frame(TEXT, "café".encode()[:-1], fin=False), "TEXT 'caf\ufffd' [4 bytes, continued]"),
    (Frame(TEXT, "€".encode()[:-1], fin=False), "TEXT '\ufffd' [2 bytes, continued]"),
    (Frame(TEXT, "😀".encode()[:-1], fin=False), "TEXT '\ufffd' [3 bytes, continued]"),
    (Frame(TEXT, "café".encode()[:-1]), "TEXT 63 61 66 c3 [binary, 4 bytes]"),
    (Frame(TEXT, b"\xff"), "TEXT ff [binary, 1 byte]"),
    (Frame(TEXT, b"\0"), "TEXT 00 [binary, 1 byte]"),
    (Frame(CONT, b"Spam"), "CONT 'Spam' [text, 4 bytes]"),
    (Frame(CONT, "café".encode()[-1:]), "CONT '\ufffd' [text, 1 byte]"),
    (Frame(CONT, "😀".encode()[1:]), "CONT '\ufffd\ufffd\ufffd' [text, 3 bytes]"),
    (Frame(CONT, b"\x80\x80\x80\x80"), "CONT 80 80 80 80 [binary, 4 bytes]"),
    (Frame(CONT, b"\x00\xff", fin=False), "CONT 00 ff [binary, 2 bytes, continued]"),
    (Frame(BINARY, b"\x00\x01\xff"), "BINARY 00 01 ff [3 bytes]"),
    (Frame(BINARY, b"Spam"), "BINARY 'Spam' [text, 4 bytes]"),
    (Frame(BINARY, bytearray(b"Spam")), "BINARY 'Spam' [text, 4 bytes]"),
    (Frame(BINARY, memoryview(b"\x00")), "BINARY 00 [1 byte]"),
    (Frame(CLOSE, b""), "CLOSE '' [0 bytes]"),
    (Frame(CLOSE, b"\x03\xe8"), "CLOSE 1000 (OK) [2 bytes]"),
    (Frame(CLOSE, b"\x03\xe9bye"), "CLOSE 1001 (going away) bye [5 bytes]"),
    (Frame(CLOSE, b"\x03"), "CLOSE 03 [binary, 1 byte]"),
    (Frame(CLOSE, b"\x03\xee"), "CLOSE 03 ee [binary, 2 bytes]"),
    (Frame(CLOSE, b"\x03\xe8\xff"), "CLOSE 03 e8 ff [binary, 3 bytes]"),
    (Frame(PING, b"ping"), "PING 'ping' [text, 4 bytes]"),
    (Frame(PING, b"\xff\x00"), "PING ff 00 [binary, 2 bytes]"),
    (Frame(PONG, "é".encode()), "PONG c3 a9 [binary, 2 bytes]"),
    (Frame(TEXT, b"", rsv1=True, rsv2=True, rsv3=True), "TEXT '' [0 bytes]"),
    (Frame(TEXT, b"a" * 73), f"TEXT '{'a' * 73}' [73 bytes]"),
    (Frame(TEXT, b"a" * 74), f"TEXT '{'a' * 47}...{'a' * 23}' [74 bytes]"),
    (Frame(BINARY, bytes(25)), f"BINARY {'00 ' * 25}[25 bytes]"),
    (Frame(BINARY, b"\x01" * 99), f"BINARY {'01 ' * 16}... {'01 ' * 8}[99 bytes]"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "string"), STRINGS)
def test_str(frame: Frame, string: str) -> None:
    assert str(frame) == string


@given(OPCODES, PAYLOADS, st.booleans())
def test_str_is_one_short_line(opcode: Opcode, data: bytes, fin: bool) -> None:
    string = str(Frame(opcode, data, fin=fin))
    assert len(string) < Frame.MAX_LOG_SIZE + 40
    if opcode is not CLOSE:  # its reason is shown as it is
        assert len(string.splitlines()) == 1


@pytest.mark.parametrize("size", [0, 1, 5, 10, 1000])
def test_str_with_another_limit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Frame, "MAX_LOG_SIZE", size)
    for data in (b"a" * 500, bytes(500)):
        assert len(str(Frame(BINARY, data))) < max(size, 16) * 2 + 40


def test_frames_are_values() -> None:
    frame = Frame(TEXT, b"a", fin=False)
    assert repr(frame) == (
        "Frame(opcode=<Opcode.TEXT: 1>, data=b'a', fin=False, rsv1=False, rsv2=False, rsv3=False)"
    )
    for again in (copy.copy(frame), pickle.loads(pickle.dumps(frame))):
        assert again == frame
    assert frame != Frame(TEXT, b"a")


CLOSES = [
    (Close(1000, ""), "1000 (OK)", b"\x03\xe8"),
    (Close(CloseCode.GOING_AWAY, "bye"), "1001 (going away) bye", b"\x03\xe9bye"),
    (Close(1011, "é"), "1011 (internal error) é", b"\x03\xf3\xc3\xa9"),
    (Close(1014, ""), "1014 (bad gateway)", b"\x03\xf6"),
    (Close(3000, ""), "3000 (registered)", b"\x0b\xb8"),
    (Close(3999, ""), "3999 (registered)", b"\x0f\x9f"),
    (Close(4000, "a b"), "4000 (private use) a b", b"\x0f\xa0a b"),
    (Close(4999, ""), "4999 (private use)", b"\x13\x87"),
]

BAD_CLOSES = [
    (Close(0, ""), "0 (unknown)"),
    (Close(999, ""), "999 (unknown)"),
    (Close(1004, ""), "1004 (unknown)"),
    (Close(1005, ""), "1005 (no status received [internal])"),
    (Close(1006, "x"), "1006 (abnormal closure [internal]) x"),
    (Close(1015, ""), "1015 (TLS handshake failure [internal])"),
    (Close(1016, ""), "1016 (unknown)"),
    (Close(2999, ""), "2999 (unknown)"),
    (Close(5000, ""), "5000 (unknown)"),
    (Close(65535, ""), "65535 (unknown)"),
]


@pytest.mark.parametrize(("close", "string", "data"), CLOSES)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_close(close: Close, string: str, data: bytes, kind: Any) -> None:
    assert str(close) == string
    assert close.serialize() == data
    assert Close.parse(kind(data)) == close


@pytest.mark.parametrize(("close", "string"), BAD_CLOSES)
def test_close_codes_that_must_not_be_sent(close: Close, string: str) -> None:
    assert str(close) == string
    for use in (
        close.check,
        close.serialize,
        lambda: Close.parse(close.code.to_bytes(2, "big") + close.reason.encode()),
    ):
        with pytest.raises(ProtocolError, match="invalid status code"):
            use()


def test_close_without_a_code() -> None:
    close = Close.parse(b"")
    assert close == Close(CloseCode.NO_STATUS_RCVD, "")
    assert repr(close) == "Close(code=<CloseCode.NO_STATUS_RCVD: 1005>, reason='')"


def test_close_with_half_a_code() -> None:
    with pytest.raises(ProtocolError, match="close frame too short"):
        Close.parse(b"\x03")


def test_close_with_a_reason_that_is_not_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        Close.parse(b"\x03\xe8\xff")
    with pytest.raises(UnicodeEncodeError):
        Close(1000, "\ud800").serialize()


def test_close_is_a_value() -> None:
    close = Close(1000, "a")
    assert repr(close) == "Close(code=1000, reason='a')"
    assert pickle.loads(pickle.dumps(close)) == close
    assert Close(CloseCode.NORMAL_CLOSURE, "a") == close


@pytest.mark.parametrize(
    ("code", "reason"), [(1000.0, ""), ("1000", ""), (None, ""), (1000, b"bye"), (1000, None)]
)
def test_a_close_of_other_types(code: Any, reason: Any) -> None:
    with pytest.raises(TypeError, match="close code and reason must be int and str: Close"):
        Close(code, reason).serialize()
