"""The inputs that fuzzing begins with: a text file a target, a line in hexadecimal an input.

``fuzz/corpus/`` holds them under version control. Fuzzers want a directory with a file for each,
which ``unpacked`` makes of it, and ``keep`` takes back what a fuzzer found worth keeping.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
BUILD = ROOT / "build" / "fuzz"

KERNELS = "kernels"


def load(name: str) -> list[bytes]:
    """Give a target's corpus."""
    path = CORPUS / f"{name}.txt"
    if not path.exists():
        return []
    return [bytes.fromhex(line) for line in path.read_text(encoding="ascii").splitlines()]


def save(name: str, inputs: Iterable[bytes]) -> int:
    """Write a target's corpus, the shortest inputs first, and give their number."""
    ordered = sorted(set(inputs), key=lambda data: (len(data), data))
    CORPUS.mkdir(exist_ok=True)
    text = "".join(f"{data.hex()}\n" for data in ordered)
    (CORPUS / f"{name}.txt").write_text(text, encoding="ascii")
    return len(ordered)


def unpacked(name: str) -> Path:
    """Put a target's corpus into a directory of files, beside what is there already."""
    directory = BUILD / "corpus" / name
    directory.mkdir(parents=True, exist_ok=True)
    for data in load(name):
        (directory / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return directory


def kernel_seeds() -> Iterator[bytes]:
    """Give inputs for the kernels, of which the first byte says which: see kernels/checks.h."""
    masking, text, characters, line, header = range(5)
    for size in (0, 1, 7, 8, 9, 31, 64, 255, 256, 300):
        yield bytes((masking, 0x37, 0xFA, 0x21, 0x3D, size % 8, 0, size // 2)) + bytes(size)
        yield bytes((masking, 0, 0, 0, 0, 1, 0, 3)) + b"\x7f\x80" * (size // 2)
    for character in ("a", "é", "€", "κ", "\U0001f6a0", "aé", "a€", "é\U0001f6a0", "aé€\U0001f6a0"):
        for count in (1, 12, 40, 100):
            good = (character * count).encode()
            yield bytes((text,)) + good
            yield bytes((text,)) + good[:-1]
            yield bytes((text,)) + b"a" * 70 + good + b"z" * 40
    for bad in (
        b"\xe2\x82A",
        b"\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
    ):
        for count in (0, 33, 100):
            yield bytes((text,)) + b"a" * count + bad + b"b" * count
    for width in range(3):
        for value in (0x41, 0xE9, 0x7FF, 0xD800, 0x20AC, 0x1F6A0):
            one = value.to_bytes(4, "big")[4 - (1 << width) :]
            for count in (1, 9, 30, 70):
                yield bytes((characters, width)) + one * count
    for field in (
        "Host: localhost",
        "A: b",
        "A:b",
        "A:  b",
        "A: b ",
        ": b",
        "A: ",
        "A: \x01",
        "A\t: b",
    ):
        yield bytes((line,)) + f"{field}\r\nnext".encode()
        yield bytes((line,)) + field.encode()
    for length in (0, 125, 126, 65535, 65536, 2**40):
        yield bytes((header, 0x82, length & 1, 1, 2, 3, 4)) + (2 * length).to_bytes(8, "big")
