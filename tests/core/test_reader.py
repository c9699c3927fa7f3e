"""The reader: every rule with its exception and its text, limits, and what memory it takes."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest

from ropeway._core.reader import MAX_EMPTY_FRAGMENTS, Reader, size_limits
from ropeway.exceptions import PayloadTooBig, ProtocolError, TooManyFragments
from ropeway.extensions import Extension
from ropeway.extensions.permessage_deflate import PerMessageDeflate
from ropeway.frames import Frame

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
    RSV3,
    TEXT,
    deflated,
    frame,
)

Result = tuple[int, bool, str | bytes]

NOT_MINIMAL = "payload length must be encoded in the minimal number of bytes"


def make(
    *,
    masked: bool = False,
    size: int | None = None,
    fragment: int | None = None,
    fragments: int | None = None,
    as_str: bool = False,
    deflate: bool = False,
    extensions: list[Any] | None = None,
) -> Reader:
    reader = Reader(masked, size, fragment, fragments, as_str)
    if deflate:
        extensions = [PerMessageDeflate(False, False, 15, 15)]
    reader.use_extensions(extensions or [])
    return reader


def feed(reader: Reader, data: bytes) -> list[Result]:
    """Give bytes and read all frames that are whole."""
    reader.feed(data, 0, len(data))
    results = []
    try:
        while reader.next_frame():
            results.append((reader.opcode, bool(reader.fin), reader.payload))
    finally:
        reader.keep_rest()
    return results


def drip(reader: Reader, data: bytes) -> list[Result]:
    return [result for byte in data for result in feed(reader, bytes((byte,)))]


# What is read.


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("read", [feed, drip])
@pytest.mark.parametrize("size", [0, 1, 4, 125, 126, 127, 300])
@pytest.mark.parametrize("as_str", [False, True])
def test_data_frames(masked: bool, read: Any, size: int, as_str: bool) -> None:
    reader = make(masked=masked, as_str=as_str)
    key = KEY if masked else None
    text = b"x" * size
    data = frame(TEXT, text, key=key) + frame(BINARY, text, key=key)
    assert read(reader, data) == [
        (TEXT, True, text.decode() if as_str else text),
        (BINARY, True, text),
    ]
    assert (reader.frames_received, reader.messages_received) == (2, 2)
    assert reader.bytes_received == len(data)
    assert reader.payload_bytes_received == 2 * size
    assert (reader.pos, reader.end) == (0, 0)


@pytest.mark.parametrize("masked", [False, True])
def test_the_long_form_of_length(masked: bool) -> None:
    reader = make(masked=masked)
    payload = bytes(range(256)) * 257
    data = frame(BINARY, payload, key=KEY if masked else None)
    assert feed(reader, data[:20]) == feed(reader, data[20:40000]) == []
    assert feed(reader, data[40000:]) == [(BINARY, True, payload)]


@pytest.mark.parametrize("read", [feed, drip])
def test_fragments_with_control_frames_between(read: Any) -> None:
    reader = make(as_str=True)
    word = "κόσμε".encode()
    data = (
        frame(TEXT, word[:3], fin=False)
        + frame(PING, b"1")
        + frame(CONT, b"", fin=False)
        + frame(PONG)
        + frame(CONT, word[3:])
        + frame(CLOSE, b"\x03\xe8")
    )
    # Only a text message in one frame is given as str.
    assert read(reader, data) == [
        (TEXT, False, word[:3]),
        (PING, True, b"1"),
        (CONT, False, b""),
        (PONG, True, b""),
        (CONT, True, word[3:]),
        (CLOSE, True, b"\x03\xe8"),
    ]
    assert (reader.frames_received, reader.messages_received) == (6, 1)


def test_reading_inside_a_larger_buffer() -> None:
    reader = make()
    data = bytearray(b"before" + frame(BINARY, b"spam") + frame(BINARY, b"eggs")[:4] + b"after")
    reader.feed(data, 6, len(data) - 5)
    assert reader.next_frame()
    assert reader.payload == b"spam"
    assert not reader.next_frame()
    reader.keep_rest()
    data[:] = bytes(len(data))  # the driver reads into its buffer again
    assert feed(reader, b"gs") == [(BINARY, True, b"eggs")]


def test_more_bytes_before_all_were_read() -> None:
    reader = make()
    data = frame(BINARY, b"1") + frame(BINARY, b"2")
    reader.feed(data, 0, 4)
    reader.keep_rest()
    reader.feed(data, 4, len(data))
    assert reader.next_frame() and reader.payload == b"1"
    reader.keep_rest()
    assert feed(reader, b"") == [(BINARY, True, b"2")]


def test_discarding() -> None:
    reader = make()
    assert feed(reader, frame(BINARY, b"spam")[:4]) == []
    reader.discard()
    assert feed(reader, frame(TEXT, b"eggs")) == [(TEXT, True, b"eggs")]


# Rules. Which headers are refused is in tests/wire/test_headers.py.


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x83", "invalid opcode"),
        (b"\x87", "invalid opcode"),
        (b"\x8b", "invalid opcode"),
        (b"\xc1", "reserved bits must be 0"),
        (b"\xa1", "reserved bits must be 0"),
        (b"\x91", "reserved bits must be 0"),
        (b"\xc9", "reserved bits must be 0"),
        (b"\x09", "fragmented control frame"),
        (b"\x80", "unexpected continuation frame"),
        (b"\x81\x80", "incorrect masking"),
        (b"\x89\x7e", "control frame too long"),
        (b"\x89\x7f", "control frame too long"),
        (b"\x82\x7e\x00\x7d", NOT_MINIMAL),
        (b"\x82\x7f\x80", "most significant bit of payload length must be 0"),
        (b"\x82\x7f\0\0\0\0\0\0\xff\xff", NOT_MINIMAL),
    ],
)
def test_a_rule_is_applied_at_the_first_byte_that_breaks_it(data: bytes, text: str) -> None:
    reader = make()
    assert feed(reader, data[:-1]) == []
    with pytest.raises(ProtocolError) as info:
        feed(reader, data[-1:])
    assert str(info.value) == text


def test_masking_is_demanded_on_the_server_side() -> None:
    with pytest.raises(ProtocolError, match="^incorrect masking$"):
        feed(make(masked=True), b"\x81\x00")


def test_a_message_inside_a_message() -> None:
    reader = make()
    feed(reader, frame(TEXT, b"a", fin=False))
    with pytest.raises(ProtocolError, match="^expected a continuation frame$"):
        feed(reader, b"\x02")


@pytest.mark.parametrize("rsv", [RSV1, RSV2, RSV3])
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_are_never_compressed(rsv: int, opcode: int) -> None:
    with pytest.raises(ProtocolError, match="^reserved bits must be 0$"):
        feed(make(deflate=True), bytes((FIN | rsv | opcode,)))


@pytest.mark.parametrize(
    ("rsv", "text"),
    [(RSV1, "RSV1 bit set in continuation frame"), (0, "reserved bits must be 0")],
)
def test_rsv1_in_a_continuation(rsv: int, text: str) -> None:
    reader = make(deflate=True)
    payload = deflated(b"a") if rsv else b"a"
    feed(reader, frame(BINARY, payload, fin=False, rsv=rsv))
    with pytest.raises(ProtocolError, match=f"^{text}$"):
        feed(reader, bytes((RSV1,)))


def test_corrupt_compressed_data() -> None:
    with pytest.raises(ProtocolError, match="^decompression failed$") as info:
        feed(make(deflate=True), frame(BINARY, b"\xff\xff\xff", rsv=RSV1))
    assert type(info.value.__cause__).__name__ == "error"  # zlib's, or that of what replaces it


# Limits.


def too_big(reader: Reader, data: bytes) -> str:
    with pytest.raises(PayloadTooBig) as info:
        feed(reader, data)
    return str(info.value)


@pytest.mark.parametrize("masked", [False, True])
def test_a_frame_over_the_limit_fails_at_its_header(masked: bool) -> None:
    key = KEY if masked else None
    assert feed(make(masked=masked, size=5), frame(BINARY, b"spam!", key=key))
    header = frame(BINARY, b"spam!!", key=key)[:2]
    text = too_big(make(masked=masked, size=5), header)
    assert text == "frame with 6 bytes exceeds limit of 5 bytes"


def test_a_message_over_the_limit() -> None:
    reader = make(size=5)
    assert feed(reader, frame(TEXT, b"spa", fin=False))
    assert feed(reader, frame(CONT, b"m!", fin=False))
    text = too_big(reader, frame(CONT, b"!")[:2])
    assert text == "frame with 1 bytes after reading 5 bytes exceeds limit of 5 bytes"


def test_the_limit_is_for_each_message() -> None:
    reader = make(size=5, as_str=True)
    assert len(feed(reader, frame(TEXT, b"12345") * 3 + frame(BINARY, b"12345") * 3)) == 6


def test_control_frames_are_not_limited() -> None:
    assert feed(make(size=1), frame(PING, b"x" * 125))


def test_a_limit_on_fragments() -> None:
    reader = make(fragment=3)
    assert len(feed(reader, frame(BINARY, b"123", fin=False) + frame(CONT, b"456", fin=False))) == 2
    text = too_big(reader, frame(CONT, b"7890"))
    assert text == "frame with 4 bytes after reading 6 bytes exceeds limit of 9 bytes"
    assert too_big(make(size=9, fragment=3), frame(BINARY, b"1234"))
    reader = make(size=4, fragment=3)
    feed(reader, frame(BINARY, b"123", fin=False))
    assert too_big(reader, frame(CONT, b"45")).endswith("exceeds limit of 4 bytes")


@pytest.mark.parametrize("limit", [2**63, 2**70])
def test_a_limit_that_is_larger_than_any_length(limit: int) -> None:
    reader = make(size=limit, fragment=limit, fragments=limit)
    assert feed(reader, frame(BINARY, b"spam")) == [(BINARY, True, b"spam")]


def test_too_many_fragments() -> None:
    reader = make(fragments=3)
    feed(reader, frame(TEXT, b"1", fin=False) + frame(CONT, b"2", fin=False) + frame(CONT, b"3"))
    feed(reader, frame(TEXT, b"1", fin=False) + frame(CONT, b"2", fin=False) * 2)
    with pytest.raises(TooManyFragments) as info:
        feed(reader, frame(CONT, b"4")[:2])
    assert info.value.max_fragments == 3


def test_too_many_empty_fragments() -> None:
    reader = make()
    empty = frame(CONT, b"", fin=False)
    feed(reader, frame(TEXT, b"", fin=False) + empty * (MAX_EMPTY_FRAGMENTS - 1))
    feed(reader, frame(CONT, b"x", fin=False) * 5000)  # those that hold something are free
    with pytest.raises(TooManyFragments):
        feed(reader, empty)


def test_empty_messages_are_no_fragments() -> None:
    assert len(feed(make(), frame(TEXT) * (MAX_EMPTY_FRAGMENTS + 5))) == MAX_EMPTY_FRAGMENTS + 5


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_inflating_stops_at_the_limit(pieces: int) -> None:
    bomb = frame(BINARY, deflated(bytes(50_000_000)), rsv=RSV1)
    reader = make(size=100_000, deflate=True)
    step = max(len(bomb) // pieces, 1)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig) as info:
            for start in range(0, len(bomb), step):
                feed(reader, bomb[start : start + step])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(info.value) == "frame exceeds limit of 100000 bytes"
    assert peak < 500_000 + 2 * step


def test_an_inflated_message_over_the_limit_in_its_second_fragment() -> None:
    reader = make(size=5, deflate=True)
    data = deflated(b"12345678")
    compressor = zlib.compressobj(wbits=-15)
    first = compressor.compress(b"1234") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert feed(reader, frame(BINARY, first, fin=False, rsv=RSV1)) == [(BINARY, False, b"1234")]
    second = compressor.compress(b"56") + compressor.flush(zlib.Z_SYNC_FLUSH)
    text = too_big(reader, frame(CONT, second[:-4]))
    assert text == "frame after reading 4 bytes exceeds limit of 5 bytes"
    assert too_big(make(size=5, deflate=True), frame(BINARY, data, rsv=RSV1))
    exact = frame(BINARY, deflated(b"12345"), rsv=RSV1)
    assert feed(make(size=5, deflate=True), exact) == [(BINARY, True, b"12345")]


def test_compressed_bytes_are_no_application_bytes() -> None:
    # Deflate makes short data longer; the limit is on what comes out.
    data = frame(BINARY, deflated(b"12345"), rsv=RSV1)
    reader = make(size=5, deflate=True)
    assert len(data) - 2 > 5
    assert feed(reader, data) == [(BINARY, True, b"12345")]
    assert (reader.inflated_bytes, reader.deflated_bytes) == (5, len(data) - 2)


def test_nothing_is_allocated_ahead() -> None:
    header = bytes((FIN | BINARY, 127)) + (2**40).to_bytes(8, "big")
    reader = make()
    tracemalloc.start()
    try:
        assert feed(reader, header + bytes(1000)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000


# Text.


@pytest.mark.parametrize("as_str", [False, True])
@pytest.mark.parametrize("read", [feed, drip])
def test_text_that_is_not_utf_8(as_str: bool, read: Any) -> None:
    reader = make(as_str=as_str)
    with pytest.raises(UnicodeDecodeError) as info:
        read(reader, frame(TEXT, b"ab\xffcd"))
    assert info.value.reason == "invalid start byte"
    assert max(reader.bad_text_at, info.value.start) == 2


@pytest.mark.parametrize("as_str", [False, True])
@pytest.mark.parametrize("last", [TEXT, CONT])
def test_text_that_ends_inside_a_character(as_str: bool, last: int) -> None:
    reader = make(as_str=as_str)
    if last == CONT:
        feed(reader, frame(TEXT, b"ab", fin=False))
    with pytest.raises(UnicodeDecodeError) as info:
        feed(reader, frame(last, b"ab\xe2\x82"))
    assert info.value.reason == "unexpected end of data"
    assert max(reader.bad_text_at, info.value.start) == (4 if last == CONT else 2)


def test_binary_is_not_text() -> None:
    data = frame(BINARY, b"\xff", fin=False) + frame(CONT, b"\xfe")
    assert len(feed(make(as_str=True), data)) == 2


def test_the_next_message_starts_afresh() -> None:
    reader = make(as_str=True)
    word = "é".encode()
    for _ in range(2):
        feed(reader, frame(TEXT, word[:1], fin=False) + frame(CONT, word[1:]))
    assert feed(reader, frame(TEXT, b"a")) == [(TEXT, True, "a")]


# Custom extensions: whole frames.


class Recorder(Extension):
    """Notes what it is given; changes nothing but the reserved bits."""

    def __init__(self) -> None:
        self.given: list[tuple[Frame, int | None]] = []

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.given.append((frame, max_size))
        return Frame(frame.opcode, frame.data, frame.fin)


@pytest.mark.parametrize("read", [feed, drip])
def test_an_extension_sees_whole_frames(read: Any) -> None:
    extension = Recorder()
    reader = make(masked=True, size=10, as_str=True, extensions=[extension])
    data = (
        frame(TEXT, b"abc", fin=False, rsv=RSV2, key=KEY)
        + frame(PING, b"!", rsv=RSV3, key=KEY)
        + frame(CONT, b"de", rsv=RSV1, key=KEY)
        + frame(TEXT, b"fg", key=KEY)
    )
    assert read(reader, data) == [
        (TEXT, False, b"abc"),
        (PING, True, b"!"),
        (CONT, True, b"de"),
        (TEXT, True, "fg"),
    ]
    assert [frame for frame, _ in extension.given] == [
        Frame(TEXT, b"abc", False, False, True, False),
        Frame(PING, b"!", True, False, False, True),
        Frame(CONT, b"de", True, True, False, False),
        Frame(TEXT, b"fg", True),
    ]
    assert [limit for _, limit in extension.given if limit is not None] == [10, 7, 7, 10]


def test_a_long_frame_for_an_extension_takes_linear_time() -> None:
    # Buffered whole, but never copied again for each byte that arrives.
    extension = Recorder()
    reader = make(extensions=[extension])
    payload = bytes(2_000_000)
    data = frame(BINARY, payload)
    results = []
    for start in range(0, len(data), 100):
        results += feed(reader, data[start : start + 100])
    assert results == [(BINARY, True, payload)]


def test_extensions_decode_in_reverse_order() -> None:
    class Adder(Recorder):
        def __init__(self, suffix: bytes) -> None:
            super().__init__()
            self.suffix = suffix

        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            return Frame(frame.opcode, bytes(frame.data) + self.suffix, frame.fin)

    reader = make(extensions=[Adder(b"1"), Adder(b"2"), PerMessageDeflate(False, False, 15, 15)])
    data = frame(BINARY, deflated(b"0"), rsv=RSV1)
    assert feed(reader, data) == [(BINARY, True, b"021")]


def test_a_reserved_bit_that_no_extension_clears() -> None:
    class Nothing(Extension):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            return frame

    for rsv in (RSV1, RSV2, RSV3):
        with pytest.raises(ProtocolError, match="^reserved bits must be 0$"):
            feed(make(extensions=[Nothing()]), frame(BINARY, b"", rsv=rsv))


def test_an_extension_may_change_what_a_frame_is() -> None:
    class Turner(Extension):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            opcode = BINARY if frame.opcode == TEXT else frame.opcode
            return Frame(opcode, frame.data, True)

    reader = make(as_str=True, extensions=[Turner()])
    assert feed(reader, frame(TEXT, b"\xff", fin=False)) == [(BINARY, True, b"\xff")]
    assert feed(reader, frame(TEXT, b"a")) == [(BINARY, True, b"a")]
    assert reader.messages_received == 2


def test_an_extension_that_makes_too_much() -> None:
    class Grower(Extension):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            return Frame(frame.opcode, bytes(frame.data) * 4, frame.fin)

    reader = make(size=10, extensions=[Grower()])
    assert feed(reader, frame(BINARY, b"a", fin=False))
    text = too_big(reader, frame(CONT, b"bc"))
    assert text == "frame with 8 bytes after reading 4 bytes exceeds limit of 10 bytes"


@pytest.mark.parametrize("size", [None, 7])
def test_an_extension_that_refuses_to_make_too_much(size: int | None) -> None:
    class Refuser(Extension):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            if frame.fin:
                raise PayloadTooBig(size, max_size)
            return frame

    reader = make(size=10, extensions=[Refuser()])
    assert feed(reader, frame(BINARY, b"123", fin=False))
    with pytest.raises(PayloadTooBig) as info:
        feed(reader, frame(CONT, b""))
    assert (info.value.size, info.value.max_size, info.value.current_size) == (size, 10, 3)


def test_text_from_an_extension_is_checked() -> None:
    with pytest.raises(UnicodeDecodeError):
        feed(make(extensions=[Recorder()]), frame(TEXT, b"\xff"))


@pytest.mark.parametrize(
    ("max_size", "limits"),
    [(None, (None, None)), (0, (0, None)), ((10, 2), (10, 2)), ((None, 2), (None, 2))],
)
def test_size_limits(max_size: Any, limits: Any) -> None:
    assert size_limits(max_size) == limits


@pytest.mark.parametrize("max_size", [-1, (-1, None), (None, -1)])
def test_a_size_limit_below_zero(max_size: Any) -> None:
    with pytest.raises(ValueError, match="max_size is -1 bytes, below 0"):
        size_limits(max_size)


class Bytes(bytes):
    pass


class ByteArray(bytearray):
    pass


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Bytes, ByteArray])
def test_every_kind_of_buffer(kind: Any) -> None:
    reader = Reader(False, None, None, None, True)
    data = kind(b"\x81\x03abc")
    reader.feed(data, 0, len(data))
    assert reader.next_frame()
    assert reader.payload == "abc"


def test_small_reads_weigh_no_more_than_their_bytes() -> None:
    size = 200_000
    reader = Reader(False, None, None, None, True)
    head = b"\x82\x7f" + size.to_bytes(8, "big")
    reader.feed(head, 0, len(head))
    assert not reader.next_frame()
    tracemalloc.start()
    for _ in range(size - 1):
        reader.feed(b"x", 0, 1)
        assert not reader.next_frame()
        reader.keep_rest()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * size
    reader.feed(b"x", 0, 1)
    assert reader.next_frame()
    assert reader.payload == b"x" * size
