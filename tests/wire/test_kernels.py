"""The kernels of both builds against references that are too short to be wrong."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.datastructures import is_text, is_token

from .builds import BUILDS, Build, each_build, twins
from .streams import head

KEYS = (0, 1, 0x01000000, 0xFFFFFFFF, 0x3D21FA37, 0x80402010)
SOURCE = bytes((7 * index + index // 256) % 256 for index in range(300))
LATIN = "".join(chr(0x20 + index % 0x5F) for index in range(300)).encode()


def masked(data: bytes, key: int) -> bytes:
    keys = struct.pack("<I", key)
    return bytes(byte ^ keys[index % 4] for index, byte in enumerate(data))


def outcome(function: Any, *args: Any) -> tuple[str, Any]:
    try:
        return "result", function(*args)
    except Exception as exc:
        return type(exc).__name__, exc.args if isinstance(exc, UnicodeError) else None


@each_build
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_unmasking_bytes(build: Build, kind: type, key: int) -> None:
    payload_bytes = build.room("_wire").payload_bytes
    data = kind(SOURCE)
    for offset in range(9):
        whole = masked(SOURCE[offset:], key)
        for size in range(258):
            payload = payload_bytes(data, offset, offset + size, key)
            assert payload == whole[:size], (offset, size)
            assert type(payload) is bytes
    assert data == SOURCE


@each_build
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_unmasking_ascii(build: Build, kind: type, key: int) -> None:
    payload_text = build.room("_wire").payload_text
    for offset in range(9):
        data = kind(bytes(offset) + masked(LATIN, key))
        for size in range(258):
            text = payload_text(data, offset, offset + size, key)
            assert text == LATIN[:size].decode(), (offset, size)
            assert text.isascii()


@each_build
@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_unmasking_text_with_one_wide_character_anywhere(build: Build, character: str) -> None:
    payload_text = build.room("_wire").payload_text
    for size in range(40):
        for place in range(size + 1):
            text = "a" * place + character + "b" * (size - place)
            data = masked(text.encode(), 0x3D21FA37)
            assert payload_text(data, 0, len(data), 0x3D21FA37) == text


@each_build
def test_unmasking_text_that_is_not_utf_8(build: Build) -> None:
    payload_text = build.room("_wire").payload_text
    for size in range(20):
        for place in range(size):
            data = bytearray(b"a" * size)
            data[place] = 0xFF
            assert outcome(payload_text, masked(data, 9), 0, size, 9) == outcome(bytes(data).decode)


@each_build
def test_unmasked_text_is_never_shared(build: Build) -> None:
    payload_text = build.room("_wire").payload_text
    one, other = (payload_text(data, 0, 1, 0) for data in (b"a", b"b"))
    assert (one, other, chr(97), chr(98)) == ("a", "b", "a", "b")
    assert payload_text(b"", 0, 0, 7) == ""


@each_build
@pytest.mark.parametrize("key", KEYS)
def test_rotating_a_key(build: Build, key: int) -> None:
    kernels = build.room("_wire")
    whole = masked(SOURCE, key)
    for consumed in (*range(257), 2**32 + 1, 2**40 + 3):
        rest = kernels.rotate_key(key, consumed)
        assert 0 <= rest < 2**32
        start = consumed if consumed < 257 else consumed % 4
        assert kernels.payload_bytes(SOURCE, start, 300, rest) == whole[start:]


@each_build
@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536])
@pytest.mark.parametrize("key", [None, 0, 0x3D21FA37])
def test_serialising_frames(build: Build, size: int, key: int | None) -> None:
    frame_bytes = build.room("_wire").frame_bytes
    wide = ("é" * (size // 2)).encode() + b"!" * (size % 2)
    for data in (LATIN[:1] * size, wide):
        expected = head(0x81, size, key is not None)
        expected += data if key is None else struct.pack("<I", key) + masked(data, key)
        forms = (
            data,
            bytearray(data),
            memoryview(data),
            memoryview(b"x" + data)[1:],
            data.decode(),
        )
        for payload in forms:
            assert frame_bytes(0x81, payload, key is not None, key or 0) == expected, type(payload)


@each_build
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 2**31, 2**63 - 1])
def test_serialising_headers(build: Build, size: int) -> None:
    frame_header = build.room("_wire").frame_header
    assert frame_header(0x82, size, False, 0) == head(0x82, size, False)
    masked_head = head(0x82, size, True) + struct.pack("<I", 0x3D21FA37)
    assert frame_header(0x82, size, True, 0x3D21FA37) == masked_head


@each_build
def test_serialising_subclasses(build: Build) -> None:
    class Text(str):
        __slots__ = ()

    class Data(bytes):
        __slots__ = ()

    frame_bytes = build.room("_wire").frame_bytes
    assert frame_bytes(0x81, Text("aé"), False, 0) == b"\x81\x03a\xc3\xa9"
    assert frame_bytes(0x81, Text("ab"), False, 0) == b"\x81\x02ab"
    assert frame_bytes(0x82, Data(b"ab"), False, 0) == b"\x82\x02ab"


@each_build
@pytest.mark.parametrize("payload", [5, None, [1, 2], 1.5, object()])
def test_only_text_and_buffers_are_payloads(build: Build, payload: object) -> None:
    frame_bytes = build.room("_wire").frame_bytes
    with pytest.raises(TypeError):
        frame_bytes(0x82, payload, False, 0)


@each_build
def test_a_lone_surrogate_cannot_be_sent(build: Build) -> None:
    with pytest.raises(UnicodeEncodeError):
        build.room("_wire").frame_bytes(0x81, "a\ud800", True, 5)


@each_build
def test_a_buffer_is_let_go(build: Build) -> None:
    data = bytearray(b"spam")
    build.room("_wire").frame_bytes(0x82, data, True, 5)
    data.extend(b" eggs")  # a buffer that is still exported can't be resized


KEYS_AT_RANDOM = st.integers(0, 2**32 - 1)


@twins
@given(st.binary(max_size=80), st.integers(0, 80), st.integers(0, 80), KEYS_AT_RANDOM)
def test_twins_unmask_alike(data: bytes, one: int, other: int, key: int) -> None:
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    for name in ("payload_bytes", "payload_text"):
        compiled, pure = (
            outcome(getattr(build.room("_wire"), name), data, start, end, key)
            for build in BUILDS.values()
        )
        assert compiled == pure


@twins
@given(st.binary(max_size=3), st.binary(max_size=40) | st.text(max_size=12).map(str.encode))
def test_twins_check_text_alike(pending: bytes, piece: bytes) -> None:
    compiled, pure = (
        outcome(build.room("_wire").utf8_rest, pending, piece) for build in BUILDS.values()
    )
    assert compiled == pure


@twins
@given(st.integers(0, 255), st.text(max_size=70) | st.binary(max_size=200), KEYS_AT_RANDOM)
def test_twins_serialise_alike(first: int, payload: str | bytes, key: int) -> None:
    for is_masked in (False, True):
        compiled, pure = (
            outcome(build.room("_wire").frame_bytes, first, payload, is_masked, key)
            for build in BUILDS.values()
        )
        assert compiled == pure


# Bytes that one rule or another is about: the ends of the ranges, separators, whitespace, CR, LF.
HEAD_BYTES = st.sampled_from([bytes((byte,)) for byte in b"\0\t\n\r !:AZaz~_^(\x7f\x80\xe9\xff"])
LINES = st.lists(
    st.one_of(
        st.sampled_from([b"Host: a", b"X: y z", b"X-Y: \xe9", b"host: b", b"X:y", b"X: ", b": x"]),
        st.lists(HEAD_BYTES, max_size=6).map(b"".join),
    ),
    max_size=4,
)


def plain_headers(lines: bytes) -> dict[str, str] | None:
    """Index header lines by the letter of RFC 9112, section 5, in their plainest form alone."""
    if not lines.endswith(b"\r\n\r\n") or lines == b"\r\n\r\n":
        return None
    index: dict[str, str] = {}
    for line in lines[:-4].split(b"\r\n"):
        name, colon, value = line.partition(b": ")
        sound = colon and is_token(name.decode("latin-1")) and is_text(value.decode("latin-1"))
        lower = name.decode("latin-1").lower()
        if not sound or not value or value != value.strip(b"\t ") or lower in index:
            return None
        index[lower] = value.decode("latin-1")
    return index


@each_build
@pytest.mark.parametrize("byte", range(256))
def test_every_byte_in_a_header(build: Build, byte: int) -> None:
    header_index = build.room("_wire").header_index
    one = bytes((byte,))
    for line in (one, b"X" + one, b"X: " + one, b"X: a" + one, b"X: a" + one + b"b", one + b": x"):
        head = b"GET\r\n" + line + b"\r\nY: z\r\n\r\n"
        assert header_index(head, 5) == plain_headers(head[5:]), head


@each_build
@given(LINES, st.sampled_from([b"\r\n\r\n", b"\r\n", b"", b"\r\n\r\nX: y\r\n\r\n"]))
def test_headers_in_their_plainest_form(build: Build, lines: list[bytes], end: bytes) -> None:
    head = b"\r\n".join(lines) + end
    assert build.room("_wire").header_index(head, 0) == plain_headers(head)


@each_build
def test_a_header_cut_anywhere(build: Build) -> None:
    header_index = build.room("_wire").header_index
    head = b"Host: localhost\r\nX: y\r\n\r\n"
    assert header_index(head, 0) == {"host": "localhost", "x": "y"}
    for size in range(len(head)):
        assert header_index(head[:size], 0) is None
    for start in range(len(head) + 1):
        assert header_index(head, start) == plain_headers(head[start:])
