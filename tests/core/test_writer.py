"""The writer: the rules on sending, and masking keys that nobody can foresee."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from typing import Any

import pytest

from ropeway._core import masking
from ropeway._core.writer import (
    LARGEST_WRITE_LIMIT,
    Writer,
    contiguous,
    header_size,
    write_marks,
)
from ropeway.exceptions import ProtocolError
from ropeway.extensions import Extension
from ropeway.extensions.permessage_deflate import PerMessageDeflate
from ropeway.frames import Frame
from ropeway.typing import ExtensionName

from ..wire.streams import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    RSV2,
    TEXT,
    deflated,
    frame,
    read_frames,
)


def make(masked: bool = False, extensions: list[Any] | None = None) -> Writer:
    writer = Writer(masked)
    writer.use_extensions(extensions or [])
    return writer


def taken(writer: Writer) -> list[tuple[int, bytes]]:
    data = b"".join(writer.take_output())
    return [(read.first, read.payload) for read in read_frames(data)]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
@pytest.mark.parametrize("masked", [False, True])
def test_data_frames(size: int, masked: bool) -> None:
    writer = make(masked)
    writer.write_data(TEXT, "x" * size, True, None)
    writer.write_data(BINARY, bytes(size), True, None)
    held = writer.size
    output = writer.take_output()
    assert held == writer.bytes_sent == sum(map(len, output))
    assert [
        (read.first, read.payload, read.key is not None) for read in read_frames(b"".join(output))
    ] == [
        (FIN | TEXT, b"x" * size, masked),
        (FIN | BINARY, bytes(size), masked),
    ]
    assert (writer.frames_sent, writer.messages_sent) == (2, 2)
    assert writer.payload_bytes_sent == 2 * size
    assert (writer.size, writer.take_output()) == (0, [])


@pytest.mark.parametrize("masked", [False, True])
def test_the_size_of_a_header_is_known_from_its_frame(masked: bool) -> None:
    key = b"abcd" if masked else None
    for size in (0, 1, 124, 125, 126, 127, 130, 65534, 65535, 65536, 65546, 70000):
        data = frame(BINARY, bytes(size), key=key)
        assert header_size(len(data), masked) == len(data) - size


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames(opcode: int) -> None:
    writer = make()
    writer.write_control(opcode, b"x" * 125)
    assert taken(writer) == [(FIN | opcode, b"x" * 125)]
    with pytest.raises(ProtocolError, match="^control frame too long$"):
        writer.write_control(opcode, b"x" * 126)
    with pytest.raises(ProtocolError, match="^control frame too long$"):
        writer.write_control(opcode, memoryview(array.array("i", [1] * 40)))
    assert taken(writer) == []
    assert (writer.frames_sent, writer.messages_sent, writer.payload_bytes_sent) == (1, 0, 0)


def test_the_order_of_fragments() -> None:
    writer = make()
    with pytest.raises(ProtocolError, match="^unexpected continuation frame$"):
        writer.write_data(CONT, b"", True, None)
    writer.write_data(TEXT, "a", False, None)
    for opcode in (TEXT, BINARY):
        with pytest.raises(ProtocolError, match="^expected a continuation frame$"):
            writer.write_data(opcode, b"", True, None)
    writer.write_control(PING, b"")
    assert writer.in_message
    writer.write_data(CONT, "b", False, None)
    assert writer.messages_sent == 0
    writer.write_data(CONT, "c", True, None)
    assert (writer.in_message, writer.messages_sent) == (False, 1)
    assert [first for first, _ in taken(writer)] == [TEXT, FIN | PING, CONT, FIN | CONT]


def test_text_that_is_not_utf_8_is_not_sent() -> None:
    writer = make()
    for bad in (b"\xff", b"ab\xe2\x82", bytearray(b"\xed\xa0\x80"), memoryview(b"\x80")):
        with pytest.raises(UnicodeDecodeError):
            writer.write_data(TEXT, bad, True, None)
    with pytest.raises(UnicodeEncodeError):
        writer.write_data(TEXT, "\ud800", True, None)
    assert (taken(writer), writer.in_message, writer.frames_sent) == ([], False, 0)
    writer.write_data(TEXT, "é".encode(), True, None)
    assert taken(writer) == [(FIN | TEXT, b"\xc3\xa9")]


def test_text_may_be_cut_inside_a_character() -> None:
    writer = make()
    for piece, fin in ((b"\xe2", False), (b"\x82", False), (b"\xac", True)):
        writer.write_data(CONT if writer.in_message else TEXT, piece, fin, None)
    assert b"".join(payload for _, payload in taken(writer)) == "€".encode()


@pytest.mark.parametrize("rest", [b"\x28", "(", "é", b"", ""])
def test_text_that_goes_wrong_in_its_second_fragment(rest: str | bytes) -> None:
    writer = make()
    writer.write_data(TEXT, b"\xc3", False, None)
    with pytest.raises(UnicodeDecodeError):
        writer.write_data(CONT, rest, True, None)
    assert taken(writer) == [(TEXT, b"\xc3")]
    # Nothing is lost: what is right can follow, and the next message starts afresh.
    writer.write_data(CONT, b"\xa9", True, None)
    writer.write_data(TEXT, b"abc", True, None)
    assert [payload for _, payload in taken(writer)] == [b"\xa9", b"abc"]


def test_bytes_and_str_in_one_text() -> None:
    writer = make()
    writer.write_data(TEXT, b"\xc3\xa9", False, None)
    writer.write_data(CONT, "é", False, None)
    writer.write_data(CONT, b"\xc3\xa9", True, None)
    writer.write_data(BINARY, b"\xff", False, None)
    writer.write_data(CONT, b"\xfe", True, None)
    assert len(taken(writer)) == 5


@pytest.mark.parametrize(
    "payload",
    [
        b"abcd",
        bytearray(b"abcd"),
        memoryview(b"abcd"),
        memoryview(b"-a-b-c-d")[1::2],
        memoryview(b"dcba")[::-1],
        memoryview(array.array("I", [int.from_bytes(b"abcd", sys.byteorder)])),
        array.array("I", [int.from_bytes(b"abcd", sys.byteorder)]),
    ],
    ids=["bytes", "bytearray", "view", "strided", "reversed", "integers", "array"],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_kinds_of_buffers(payload: Any, compressed: bool) -> None:
    writer = make(extensions=[PerMessageDeflate(True, True, 15, 15)] if compressed else None)
    writer.write_data(BINARY, payload, True, None)
    writer.write_data(TEXT, payload, True, None)
    data = deflated(b"abcd") if compressed else b"abcd"
    assert [payload for _, payload in taken(writer)] == [data, data]
    if not compressed:
        assert writer.payload_bytes_sent == 8


@pytest.mark.parametrize("payload", [5, None, [1], 1.5])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING])
@pytest.mark.parametrize("compressed", [False, True])
def test_anything_else_is_a_type_error(payload: Any, opcode: int, compressed: bool) -> None:
    writer = make(extensions=[PerMessageDeflate(True, True, 15, 15)] if compressed else None)
    with pytest.raises(TypeError):
        if opcode == PING:
            writer.write_control(opcode, payload)
        else:
            writer.write_data(opcode, payload, True, None)
    assert (taken(writer), writer.in_message, writer.frames_sent) == ([], False, 0)


def test_a_contiguous_view_is_not_copied() -> None:
    view = memoryview(b"abcd")[1:3]
    assert contiguous(view) is view


def test_raw_output() -> None:
    writer = make(True)
    writer.write_raw(b"HTTP/1.1 101\r\n")
    writer.write_raw(b"")
    assert (writer.size, writer.frames_sent) == (14, 0)
    assert writer.take_output() == [b"HTTP/1.1 101\r\n", b""]


# Compression.


def deflate(threshold: int = 0) -> PerMessageDeflate:
    return PerMessageDeflate(True, True, 15, 15, threshold=threshold)


def test_compression() -> None:
    writer = make(extensions=[deflate()])
    writer.write_data(TEXT, "é" * 50, True, None)
    assert taken(writer) == [(FIN | RSV1 | TEXT, deflated(b"\xc3\xa9" * 50))]
    assert (writer.inflated_bytes, writer.payload_bytes_sent) == (100, 100)
    assert writer.deflated_bytes == len(deflated(b"\xc3\xa9" * 50))


@pytest.mark.parametrize(
    ("size", "compress", "expected"),
    [(9, None, False), (10, None, True), (9, True, True), (10, False, False)],
)
def test_the_threshold_and_its_override(size: int, compress: bool | None, expected: bool) -> None:
    writer = make(extensions=[deflate(10)])
    writer.write_data(BINARY, bytes(size), True, compress)
    [(first, payload)] = taken(writer)
    assert first == FIN | BINARY | (RSV1 if expected else 0)
    assert payload == (deflated(bytes(size)) if expected else bytes(size))


@pytest.mark.parametrize("compress", [None, True, False])
def test_the_first_fragment_decides(compress: bool | None) -> None:
    writer = make(extensions=[deflate(10)])
    writer.write_data(BINARY, b"a", False, compress)
    writer.write_control(PING, b"!")
    writer.write_data(CONT, b"b", False, None)
    writer.write_data(CONT, b"c", True, None)
    rsv = 0 if compress is False else RSV1
    frames = taken(writer)
    assert [first for first, _ in frames] == [rsv | BINARY, FIN | PING, CONT, FIN | CONT]
    if compress is False:
        assert [payload for _, payload in frames] == [b"a", b"!", b"b", b"c"]


def test_a_lone_surrogate_is_not_compressed() -> None:
    writer = make(extensions=[deflate()])
    with pytest.raises(UnicodeEncodeError):
        writer.write_data(TEXT, "\ud800", True, None)
    assert (taken(writer), writer.in_message) == ([], False)


# Custom extensions.


class Suffix(Extension):
    def __init__(self, suffix: bytes, rsv2: bool = False) -> None:
        self.suffix = suffix
        self.rsv2 = rsv2

    def encode(self, frame: Frame) -> Frame:
        data = bytes(frame.data) + self.suffix
        return Frame(frame.opcode, data, frame.fin, frame.rsv1, self.rsv2 or frame.rsv2, frame.rsv3)


def test_extensions_encode_in_order() -> None:
    writer = make(extensions=[Suffix(b"1"), Suffix(b"2", True)])
    writer.write_data(TEXT, "0", False, None)
    writer.write_control(PONG, b"9")
    writer.write_data(CONT, b"a", True, None)
    assert taken(writer) == [
        (RSV2 | TEXT, b"012"),
        (FIN | RSV2 | PONG, b"912"),
        (FIN | RSV2 | CONT, b"a12"),
    ]
    assert writer.payload_bytes_sent == 2


def test_compression_among_extensions() -> None:
    writer = make(extensions=[Suffix(b"!"), deflate()])
    writer.write_data(TEXT, "a", True, None)
    assert taken(writer) == [(FIN | RSV1 | TEXT, deflated(b"a!"))]


def test_an_extension_that_fails() -> None:
    class Broken(Extension):
        def encode(self, frame: Frame) -> Frame:
            raise RuntimeError("broken")

    writer = make(extensions=[Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        writer.write_data(TEXT, "a", False, None)
    assert (taken(writer), writer.in_message) == ([], False)


# Masking keys.


def test_every_frame_has_its_own_key() -> None:
    writer = make(True)
    for _ in range(2 * masking.BLOCK + 100):
        writer.write_data(BINARY, b"spam", True, None)
    reads = read_frames(b"".join(writer.take_output()))
    keys = {read.key for read in reads}
    assert {read.payload for read in reads} == {b"spam"}
    # 32 bits at random: a collision among two thousand has a chance of one in two thousand, four
    # of them none at all.
    assert len(keys) > len(reads) - 4


def test_keys_are_the_systems_random_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def urandom(size: int) -> bytes:
        drawn.append(size)
        return bytes(index // 4 % 256 for index in range(size))

    monkeypatch.setattr(os, "urandom", urandom)
    masking._forget_keys()
    assert [masking.next_key() for _ in range(3)] == [0, 0x01010101, 0x02020202]
    for _ in range(masking.BLOCK - 3):
        masking.next_key()
    assert drawn == [4 * masking.BLOCK]
    masking.next_key()
    assert drawn == [4 * masking.BLOCK] * 2
    monkeypatch.undo()
    masking._forget_keys()


FORKING = """
import os
from ropeway._core.masking import next_key
next_key()
keys = []
for _ in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr([next_key() for _ in range(4)]).encode())
        os._exit(0)
    keys.append(os.read(read, 1000))
    os.wait()
keys.append(repr([next_key() for _ in range(4)]).encode())
assert len(set(keys)) == 3, keys
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
def test_children_do_not_share_their_parents_keys() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True)


class Passing(Extension):
    name = ExtensionName("x-passing")

    def encode(self, frame: Frame) -> Frame:
        return frame


@pytest.mark.parametrize(("compress", "small"), [(True, True), (False, False), (None, True)])
def test_the_choice_to_compress_among_other_extensions(compress: Any, small: bool) -> None:
    writer = Writer(False)
    writer.use_extensions([Passing(), PerMessageDeflate(False, False, 15, 15)])
    writer.write_data(1, "x" * 5000, True, compress)
    assert (writer.size < 100) is small


def test_extensions_can_be_taken_back() -> None:
    writer = Writer(False)
    writer.use_extensions([PerMessageDeflate(False, False, 15, 15)])
    writer.use_extensions([])
    writer.write_data(1, "x" * 500, True, None)
    assert writer.take_output() == [b"\x81\x7e\x01\xf4" + b"x" * 500]


def test_the_threshold_counts_bytes() -> None:
    writer = Writer(False)
    writer.use_extensions([PerMessageDeflate(False, False, 15, 15, threshold=64)])
    writer.write_data(1, "é" * 32, True, None)
    assert writer.take_output()[0][0] & 0x40


# The marks of the buffer behind it.


@pytest.mark.parametrize(
    ("limit", "marks"),
    [
        (None, (32768, None)),
        (1000, (1000, None)),
        ((1000, 100), (1000, 100)),
        ((None, 100), (400, 100)),
        ((1000, None), (1000, None)),
        ((None, None), (32768, None)),
        (0, (0, None)),
    ],
)
def test_write_marks(limit: Any, marks: tuple[int, int | None]) -> None:
    assert write_marks(limit) == marks


@pytest.mark.parametrize(
    ("limit", "kind", "reason"),
    [
        ((1, 2, 3), ValueError, "write_limit is (1, 2, 3), not a pair of marks"),
        (1.5, TypeError, "write_limit is 1.5, not in whole bytes"),
        ((1000, "1"), TypeError, "write_limit is (1000, '1'), not in whole bytes"),
        (-1, ValueError, "write_limit is -1, below 0"),
        ((10, 11), ValueError, "write_limit is (10, 11), its low mark above the high one"),
    ],
)
def test_write_marks_that_make_no_sense(limit: Any, kind: type[Exception], reason: str) -> None:
    with pytest.raises(kind) as caught:
        write_marks(limit)
    assert str(caught.value) == reason


def test_marks_above_what_a_buffer_can_hold_are_lowered() -> None:
    assert write_marks((1 << 80, 1 << 70)) == (LARGEST_WRITE_LIMIT, LARGEST_WRITE_LIMIT)
