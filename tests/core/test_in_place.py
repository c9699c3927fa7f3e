"""Large payloads received where they stay: the same frames, errors and counts as through feed()."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropeway._core.reader import LARGE_REST, Reader
from ropeway.exceptions import PayloadTooBig, ProtocolError
from ropeway.extensions import Extension
from ropeway.extensions.permessage_deflate import PerMessageDeflate

from ..wire.streams import BINARY, CONT, FIN, KEY, PING, RSV1, TEXT, cut, deflated, frame

SIZE = 2 * LARGE_REST + 1000
KINDS = [TEXT, BINARY]

several = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def make(*, masked: bool = False, size: int | None = None, as_str: bool = True) -> Reader:
    return Reader(masked, size, None, None, as_str)


class Driver:
    """Receives as a driver does, and notes what comes out."""

    def __init__(self, reader: Reader, in_place: bool = True) -> None:
        self.reader = reader
        self.in_place = in_place
        self.shared = bytearray(1 << 18)
        self.frames: list[tuple[int, bool, type, str | bytes]] = []
        self.error: Exception | None = None
        self.received_in_place = 0

    def receive(self, data: bytes) -> None:
        """Take what one packet brings."""
        while data and self.error is None:
            wanted = self.reader.want() if self.in_place else 0
            if wanted:
                view = self.reader.room()
                assert 1 <= len(view) <= wanted
                size = min(len(view), len(data))
                view[:size] = data[:size]
                self.reader.filled(size)
                self.received_in_place += size
            else:
                size = min(len(self.shared), len(data))
                self.shared[:size] = data[:size]
                self.reader.feed(self.shared, 0, size)
            data = data[size:]
            self.parse()

    def parse(self) -> None:
        reader = self.reader
        try:
            while reader.next_frame():
                payload = reader.payload
                self.frames.append((reader.opcode, bool(reader.fin), type(payload), payload))
        except Exception as exc:
            self.error = exc
        self.reader.keep_rest()
        self.shared[:] = bytes(len(self.shared))

    def facts(self) -> dict[str, Any]:
        reader = self.reader
        error: Any = None if self.error is None else (type(self.error), str(self.error))
        if isinstance(self.error, UnicodeDecodeError):
            error = (self.error.reason, max(self.error.start, reader.bad_text_at))
        return {
            "frames": self.frames,
            "error": error,
            "position": reader.position() if self.error is None else None,
            "received": reader.bytes_received if self.error is None else None,
            "frames received": reader.frames_received,
            "messages received": reader.messages_received,
            "payload bytes": reader.payload_bytes_received if self.error is None else None,
        }


def read(reader: Reader, packets: Sequence[bytes], in_place: bool = True) -> Driver:
    driver = Driver(reader, in_place)
    for packet in packets:
        driver.receive(packet)
    return driver


ASCII = "".join(chr(32 + index % 95) for index in range(1009))
MIXED = "one of κόσμε, 한글, 😀 and é; "
TEXTS = [
    (ASCII * 40)[:SIZE],
    (MIXED * 1500)[:SIZE],
    ASCII * 30 + "é" * 8000 + ASCII * 3,
    "é" * SIZE,
    "한" * SIZE,
    "😀" * SIZE,
]


@st.composite
def messages(draw: st.DrawFn, key: bytes | None) -> bytes:
    """Draw a message that is large, in one frame or several."""
    opcode = draw(st.sampled_from(KINDS))
    payload = draw(st.sampled_from(TEXTS)).encode()
    if opcode == BINARY:
        payload = bytes(range(256)) * (len(payload) // 256)
    if draw(st.integers(0, 3)) == 0:
        bad = draw(st.integers(0, len(payload) - 1))
        payload = payload[:bad] + b"\xed\xa0" + payload[bad:]
    points = draw(st.lists(st.integers(0, len(payload)), max_size=2))
    pieces = cut(payload, points)
    data = b""
    for index, piece in enumerate(pieces):
        if draw(st.booleans()):
            data += frame(PING, b"!", key=key)
        data += frame(CONT if index else opcode, piece, fin=index == len(pieces) - 1, key=key)
    return data


@several
@given(st.data(), st.booleans(), st.booleans())
def test_every_split_gives_the_same_as_without(
    data: st.DataObject, masked: bool, as_str: bool
) -> None:
    key = KEY if masked else None
    stream = b"".join(data.draw(st.lists(messages(key), min_size=1, max_size=3)))
    points = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    packets = cut(stream, points)
    found = read(make(masked=masked, as_str=as_str), packets)
    for others in (packets, [stream]):
        plain = read(make(masked=masked, as_str=as_str), others, in_place=False)
        assert found.facts() == plain.facts()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("opcode", KINDS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("step", [1001, 4099, 70_000])
def test_a_large_message_in_packets(masked: bool, opcode: int, text: str, step: int) -> None:
    data = text.encode()
    stream = frame(opcode, data, key=KEY if masked else None)
    packets = cut(stream, range(step, len(stream), step))
    driver = read(make(masked=masked), packets)
    expected = text if opcode == TEXT else data
    assert driver.error is None
    assert driver.frames == [(opcode, True, type(expected), expected)]
    assert driver.reader.bytes_received == driver.reader.position() == len(stream)
    # All but what the header came with, and the end, which other frames may follow.
    assert driver.received_in_place > len(data) - step - LARGE_REST


def test_the_header_alone() -> None:
    reader = make(masked=True)
    data = bytes(range(256)) * 500
    stream = frame(BINARY, data, key=KEY)
    assert read(reader, [stream[: len(stream) - len(data)]]).frames == []
    assert reader.want() == len(data)
    driver = read(reader, [stream[len(stream) - len(data) :]])
    assert driver.frames == [(BINARY, True, bytes, data)]


def test_the_last_byte_in_place_makes_a_frame_to_parse() -> None:
    reader = make()
    data = b"x" * SIZE
    driver = read(reader, [frame(BINARY, data)[:4]])
    assert not reader.has_unread()
    reader.room()[:] = data
    reader.filled(SIZE)
    assert reader.want() == 0
    assert reader.has_unread()
    driver.parse()
    assert driver.frames[0][3] == data
    assert not reader.has_unread()


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\x82",
        b"\x82\x7f\0\0",
        frame(BINARY, b"x" * (LARGE_REST - 1))[:4],
        frame(BINARY, b"x" * SIZE)[: -LARGE_REST + 1],
        frame(BINARY, b"x" * SIZE),
        frame(PING, b"x" * 125)[:2],
    ],
    ids=len,
)
def test_what_is_not_large_comes_as_usual(stream: bytes) -> None:
    assert read(make(), [stream]).reader.want() == 0


def test_unread_bytes_come_first() -> None:
    reader = make()
    data = frame(BINARY, b"1") + frame(BINARY, b"x" * SIZE)
    reader.feed(data, 0, 100)
    assert reader.next_frame()
    assert reader.want() == 0
    assert not reader.next_frame()
    assert reader.want() > 0


def test_compressed_frames_come_as_usual() -> None:
    reader = make()
    reader.use_extensions([PerMessageDeflate(False, False, 15, 15)])
    noise = random.Random(1).randbytes(SIZE)
    data = frame(BINARY, deflated(noise), rsv=RSV1)
    assert len(data) > LARGE_REST + 50
    driver = read(reader, [data[:20]])
    assert reader.want() == 0
    driver.receive(data[20:])
    driver.receive(frame(BINARY, b"x" * SIZE)[:20])
    assert driver.frames == [(BINARY, True, bytes, noise)]
    assert reader.want() == SIZE - 16


def test_frames_of_other_extensions_come_as_usual() -> None:
    reader = make()
    reader.use_extensions([Extension()])
    assert read(reader, [frame(BINARY, b"x" * SIZE)[:20]]).reader.want() == 0


# Limits and violations


def test_a_frame_over_the_limit_fails_at_its_header() -> None:
    driver = read(make(size=SIZE), [frame(BINARY, b"x" * (SIZE + 1))[:4]])
    assert isinstance(driver.error, PayloadTooBig)


def test_a_message_over_the_limit_in_its_second_fragment() -> None:
    driver = read(make(size=2 * SIZE), [frame(BINARY, b"x" * SIZE, fin=False)[:20]])
    driver.receive(frame(BINARY, b"x" * SIZE, fin=False)[20:])
    assert driver.error is None
    driver.receive(frame(CONT, b"x" * (SIZE + 1))[:4])
    text = f"frame with {SIZE + 1} bytes after reading {SIZE} bytes exceeds limit of {2 * SIZE}"
    assert str(driver.error) == f"{text} bytes"


def test_a_violation_behind_a_large_message() -> None:
    data = frame(BINARY, b"x" * SIZE)
    driver = read(make(), [data[:30], data[30:], b"\x83"])
    assert len(driver.frames) == 1
    assert isinstance(driver.error, ProtocolError)


@pytest.mark.parametrize("as_str", [False, True])
@pytest.mark.parametrize("place", [10, 5000, LARGE_REST, SIZE - 20])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("bad", "offset", "reason"),
    [
        (b"\xff", 0, "invalid start byte"),
        (b"\xed\xa0", 0, "invalid continuation byte"),
        ("é".encode() + b"\x80", 2, "invalid start byte"),
        (b"\xf0\x9f\x98!", 0, "invalid continuation byte"),
    ],
)
def test_bad_text_fails_at_its_first_bad_byte(
    as_str: bool, place: int, masked: bool, bad: bytes, offset: int, reason: str
) -> None:
    text = b"a" * place + bad + b"z" * (SIZE - place)
    stream = frame(TEXT, text, key=KEY if masked else None)
    header = len(stream) - len(text)
    ends = header + place + len(bad)
    for first in (header, header + 7):
        for last in (ends, ends + 3000):
            driver = read(make(masked=masked, as_str=as_str), cut(stream, [first, last])[:2])
            assert isinstance(driver.error, UnicodeDecodeError)
            assert driver.facts()["error"] == (reason, place + offset)
        early = read(make(masked=masked, as_str=as_str), cut(stream, [first, ends - 1])[:2])
        assert early.error is None


@pytest.mark.parametrize("as_str", [False, True])
def test_text_that_ends_inside_a_character(as_str: bool) -> None:
    text = b"a" * SIZE + "😀".encode()[:3]
    for point in (10, SIZE - 20_000):
        driver = read(make(as_str=as_str), cut(frame(TEXT, text), [point]))
        assert driver.facts()["error"] == ("unexpected end of data", SIZE)


def test_a_character_between_fragments() -> None:
    word = "😀".encode()
    for point in range(1, 4):
        first, rest = b"a" * SIZE + word[:point], word[point:] + b"z" * SIZE
        header = frame(TEXT, first, fin=False)[:4]
        behind = frame(CONT, rest)[:4]
        driver = read(make(), [header, first, behind, rest[:1], rest[1:2], rest[2:]])
        assert driver.error is None
        assert [frame[3] for frame in driver.frames] == [first, rest]
        driver = read(make(), [header, first, behind, b"a"])
        assert driver.facts()["error"] == ("invalid continuation byte", SIZE)


def test_discarding() -> None:
    reader = make()
    driver = read(reader, [frame(BINARY, b"x" * SIZE)[:20]])
    view = reader.room()
    reader.discard()
    view[:] = bytes(len(view))  # whoever holds it does no harm
    assert reader.want() == 0
    driver.receive(frame(TEXT, b"a"))
    assert driver.frames == [(TEXT, True, str, "a")]


# Memory


@pytest.mark.parametrize("opcode", KINDS)
@pytest.mark.parametrize("length", [2**30, 2**62])
def test_memory_follows_what_has_arrived(opcode: int, length: int) -> None:
    header = bytes((FIN | opcode, 127)) + length.to_bytes(8, "big")
    driver = Driver(make())
    block = b"x" * 50_000
    tracemalloc.start()
    try:
        driver.receive(header)
        for count in range(1, 21):
            driver.receive(block)
            _, peak = tracemalloc.get_traced_memory()
            # Four times as much, and as much again while it moves.
            assert peak < 5 * len(block) * count + 5 * 65536 + len(block)
    finally:
        tracemalloc.stop()
    assert driver.error is None
    assert driver.received_in_place == 20 * len(block)


def test_the_payload_has_its_own_size_only() -> None:
    for opcode, text in ((BINARY, b"x" * 1_000_000), (TEXT, ("é" * 500_000).encode())):
        stream = frame(opcode, text)
        driver = Driver(make())
        tracemalloc.start()
        try:
            for packet in cut(stream, range(9000, len(stream), 9000)):
                driver.receive(packet)
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size < 1_050_000
