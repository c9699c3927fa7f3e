"""Long text in every width, as a str and as UTF-8, against Python's own codec.

What is shorter than a stride of the kernels is in test_kernels and test_utf8.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .builds import Build, each_build
from .streams import KEY, head, xor

NUMBER = int.from_bytes(KEY, "little")

ALPHABETS = {
    "ASCII": ("\x00", "\x7f"),
    "two bytes, one in a str": ("\x80", "\xff"),
    "two bytes": ("Ā", "߿"),
    "three bytes": ("ࠀ", "퟿"),
    "three bytes, above surrogates": ("\ue000", "\uffff"),
    "four bytes": ("\U00010000", "\U0010ffff"),
}

WRONG = [
    b"\x80",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    "é".encode() + b"\x80",
    "€".encode() + b"\x80",
    "😀".encode() + b"\x80",
]


def text_of(generator: random.Random, names: list[str], size: int) -> str:
    """Make text in runs of one alphabet, as languages are."""
    text = ""
    while len(text) < size:
        first, last = ALPHABETS[generator.choice(names)]
        letters = [first, last, chr((ord(first) + ord(last)) // 2)]
        text += "".join(generator.choices(letters, k=generator.randint(1, 12)))
    return text[:size]


SETS = [
    [name] if also is None else [name, also]
    for name in ALPHABETS
    for also in (None, "ASCII", "two bytes, one in a str", "three bytes")
] + [list(ALPHABETS)]


@each_build
@pytest.mark.parametrize("names", SETS, ids=" + ".join)
def test_there_and_back(build: Build, names: list[str]) -> None:
    kernels = build.room("_wire")
    generator = random.Random(repr(names))
    for size in [*range(90, 140), *generator.sample(range(140, 1000), 30), 5000]:
        text = text_of(generator, names, size)
        data = text.encode()
        for key in (None, KEY):
            payload = data if key is None else xor(data, key)
            number = 0 if key is None else NUMBER
            found = kernels.payload_text(b"<" + payload + b">", 1, len(data) + 1, number)
            assert found == text
            assert hash(found) == hash(text)  # it is, at its narrowest, what Python would make
            frame = kernels.frame_bytes(0x81, text, key is not None, number)
            assert frame == head(0x81, len(data), key is not None) + (key or b"") + payload
        assert kernels.utf8_rest(b"", data) == b""


@each_build
@pytest.mark.parametrize("size", [100, 4000])
def test_what_is_narrow_is_stored_narrow(build: Build, size: int) -> None:
    payload_text = build.room("_wire").payload_text
    for letter in ("é", "€", "😀"):
        for place in (0, size // 2, size - 1):
            text = "a" * place + letter + "z" * (size - place - 1)
            data = text.encode()
            found = payload_text(data, 0, len(data), 0)
            assert found == text
            assert found.__sizeof__() == data.decode().__sizeof__()


@each_build
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("names", [["ASCII"], ["two bytes", "ASCII"], list(ALPHABETS)])
def test_an_error_at_every_place(build: Build, wrong: bytes, names: list[str]) -> None:
    kernels = build.room("_wire")
    generator = random.Random(repr((wrong, names)))
    text = text_of(generator, names, 150)
    for place in range(0, 150, 1 if names == ["ASCII"] else 3):
        data = text[:place].encode() + wrong + b"!" + text[place:].encode()
        with pytest.raises(UnicodeDecodeError) as expected:
            data.decode()
        for check in (
            lambda data=data: kernels.payload_text(data, 0, len(data), 0),
            lambda data=data: kernels.utf8_rest(b"", data),
        ):
            with pytest.raises(UnicodeDecodeError) as info:
                check()
            assert info.value.args == expected.value.args


@each_build
@pytest.mark.parametrize(
    "end", [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"]
)
def test_a_character_cut_at_the_end(build: Build, end: bytes) -> None:
    kernels = build.room("_wire")
    for size in range(60, 140):
        for letter in ("a", "é", "€", "😀"):
            data = (letter * size).encode() + end
            assert kernels.utf8_rest(b"", data) == end
            with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
                kernels.payload_text(data, 0, len(data), 0)


@each_build
@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
@pytest.mark.parametrize("surrogate", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_a_surrogate_anywhere_cannot_be_sent(build: Build, letter: str, surrogate: int) -> None:
    frame_bytes = build.room("_wire").frame_bytes
    for place in (*range(20), 63, 64, 65, 149):
        text = letter * place + chr(surrogate) + letter * (149 - place)
        with pytest.raises(UnicodeEncodeError) as info:
            frame_bytes(0x81, text, False, 0)
        assert (info.value.start, info.value.reason) == (place, "surrogates not allowed")


@each_build
@given(data=st.data())
def test_any_text_in_a_payload_buffer(build: Build, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=8))
    text = "".join(piece * data.draw(st.integers(1, 20)) for piece in pieces)
    payload = text.encode()
    points = [*sorted(data.draw(st.sets(st.integers(0, len(payload)), max_size=4))), len(payload)]
    buffer: Any = build.room("_wire").PayloadBuffer(len(payload), True, True)
    pending, unchecked = b"", 0
    for start, end in itertools.pairwise((0, *points)):
        buffer.put(payload, start, end, 0)
        unchecked += end - start
        if data.draw(st.booleans()):  # what is checked late is checked together
            pending = buffer.utf8_rest(pending, unchecked)
            unchecked = 0
    assert pending == b"" or unchecked
    assert buffer.take() == text
