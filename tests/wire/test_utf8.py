"""UTF-8 (RFC 3629) against Python's own decoder, whole and at every cut."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .builds import BUILDS, Build, each_build

Outcome = bytes | tuple[object, ...]

ALL_BYTES = [bytes((value,)) for value in range(256)]
ASCII = (b"\x00", b"\x7f")
"""Stand for all of ASCII before and between other sequences: the edges of its range."""


def expected(text: bytes) -> Outcome:
    """Give the incomplete end of a text, or the error at its first bad byte."""
    try:
        rest = text[codecs.utf_8_decode(text, "strict", False)[1] :]
        # Python's incremental decoder waits for the third byte of a surrogate, for the sake of its
        # error handlers; its second byte is wrong already (RFC 3629 section 4).
        if rest[:1] == b"\xed" and rest[1:2] >= b"\xa0":
            text.decode()
    except UnicodeDecodeError as exc:
        return exc.args
    return rest


def check(utf8_rest: Any, pending: bytes, piece: bytes) -> Outcome:
    try:
        return bytes(utf8_rest(pending, piece))
    except UnicodeDecodeError as exc:
        return exc.args


def open_ends() -> Iterator[bytes]:
    """Yield every beginning of a character of at most 3 bytes that more bytes may complete."""
    ends = [byte for byte in ALL_BYTES if expected(byte) == byte]
    assert len(ends) == 0xF4 - 0xC2 + 1
    yield from ends
    for end in ends:
        yield from (end + byte for byte in ALL_BYTES if expected(end + byte) == end + byte)


def test_every_byte_after_every_open_end() -> None:
    checkers = [build.room("_wire").utf8_rest for build in BUILDS.values()]
    for end, byte in itertools.product([b"", *open_ends()], ALL_BYTES):
        outcome = expected(end + byte)
        for utf8_rest in checkers:
            assert check(utf8_rest, end, byte) == outcome, (end, byte)


def test_every_sequence_of_up_to_three_bytes() -> None:
    # A sequence that is wrong after two bytes is wrong in the same way whatever follows, so a
    # third byte follows those only that are right so far; ASCII is one class.
    checkers = [build.room("_wire").utf8_rest for build in BUILDS.values()]
    refused = 0
    starts = [*ASCII, *ALL_BYTES[0x80:]]
    for start, byte in itertools.product(starts, ALL_BYTES):
        two = start + byte
        outcome = expected(two)
        for utf8_rest in checkers:
            assert check(utf8_rest, b"", two) == outcome, two
        if isinstance(outcome, tuple):
            refused += 1
            continue
        for last in ALL_BYTES:
            three = two + last
            outcome = expected(three)
            for utf8_rest in checkers:
                assert check(utf8_rest, b"", three) == outcome, three
    assert refused > 10_000


SECONDS = {
    0xF0: (0x8F, 0x90, 0x91, 0xBF, 0xC0),
    0xF1: (0x7F, 0x80, 0xA0, 0xBF, 0xC0),
    0xF3: (0x7F, 0x80, 0xBF, 0xC0),
    0xF4: (0x7F, 0x80, 0x8F, 0x90, 0xBF),
    0xF5: (0x80, 0x8F),
    0xF8: (0x88,),
    0xFF: (0xFE,),
}
EDGES = (0x00, 0x7F, 0x80, 0x81, 0xBF, 0xC0, 0xFF)
FOUR_BYTES = [
    bytes((lead, second, third, fourth))
    for lead, seconds in SECONDS.items()
    for second in seconds
    for third in EDGES
    for fourth in EDGES
]


@each_build
def test_sequences_of_four_bytes_at_every_cut(build: Build) -> None:
    utf8_rest = build.room("_wire").utf8_rest
    for text in (sequence + b"!" for sequence in FOUR_BYTES):
        outcome = expected(text)
        assert check(utf8_rest, b"", text) == outcome
        for count in range(1, 5):
            for points in itertools.combinations(range(1, 5), count):
                found = in_pieces(utf8_rest, text, points)
                if isinstance(outcome, tuple):
                    assert found == (outcome[2], outcome[4]), (text, points)
                else:
                    assert found == b""


def in_pieces(utf8_rest: Any, text: bytes, points: tuple[int, ...]) -> Outcome:
    """Give what is left in the end, or where in the whole text the error is, and its reason."""
    pending, checked = b"", 0
    for start, end in itertools.pairwise((0, *points, len(text))):
        try:
            rest = utf8_rest(pending, text[start:end])
        except UnicodeDecodeError as exc:
            return checked - len(pending) + exc.start, exc.reason
        pending, checked = rest, end
    return pending


@each_build
def test_an_error_at_every_place_of_a_long_text(build: Build) -> None:
    # The scan takes eight bytes of ASCII at a stride.
    utf8_rest = build.room("_wire").utf8_rest
    for bad in (b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28"):
        for place in range(35):
            for size in range(place, 36):
                text = b"a" * place + bad + b"z" * (size - place)
                assert check(utf8_rest, b"", text) == expected(text)


@each_build
def test_a_cut_at_every_place_of_a_long_text(build: Build) -> None:
    utf8_rest = build.room("_wire").utf8_rest
    text = ("ascii is long enough, " + "κόσμε 한글 😀 " * 3 + "and again").encode()
    for point in range(len(text) + 1):
        rest = utf8_rest(b"", text[:point])
        assert rest == expected(text[:point])
        assert utf8_rest(rest, text[point:]) == b""


@each_build
@given(data=st.data())
def test_texts_in_any_pieces(build: Build, data: st.DataObject) -> None:
    text = data.draw(st.text(max_size=30).map(str.encode) | st.binary(max_size=30))
    points = tuple(sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6))))
    outcome = expected(text)
    found = in_pieces(build.room("_wire").utf8_rest, text, points)
    if isinstance(outcome, tuple):
        assert found == (outcome[2], outcome[4])
    else:
        assert found == outcome
