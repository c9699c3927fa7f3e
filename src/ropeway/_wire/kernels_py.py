"""The kernels in Python: the twin of kernels.pyx, for PyPy, for reading, and as its reference.

A masking key is an int whose lowest byte comes first on the wire; 0 leaves a payload as it is.
"""

from __future__ import annotations

import codecs
import re
import sys

from ..typing import BytesLike

# Header lines in their plainest form, and the blank line; RFC 9110, 5.5 and 5.6.2.
_plain_lines = re.compile(
    rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]++: (?![\t ])[\t\x20-\x7e\x80-\xff]++(?<![\t ])\r\n)++\r\n"
).fullmatch


def payload_bytes(data: BytesLike, start: int, end: int, key: int) -> bytes:
    """Copy ``data[start:end]``, unmasked with ``key`` (RFC 6455 section 5.3)."""
    return _masked(bytes(data[start:end]), key)


def payload_text(data: BytesLike, start: int, end: int, key: int) -> str:
    """Decode ``data[start:end]``, unmasked with ``key``; raises UnicodeDecodeError."""
    return payload_bytes(data, start, end, key).decode()


def utf8_rest(pending: bytes, piece: bytes) -> bytes:
    """Check a piece of text that follows ``pending`` and return its incomplete end.

    What is returned, at most 3 bytes, goes in as ``pending`` with the next piece. Raises
    UnicodeDecodeError as soon as no continuation could make the text valid.
    """
    text = pending + piece
    _, valid = codecs.utf_8_decode(text, "strict", False)
    rest = text[valid:]
    # Python's incremental decoder waits for a surrogate's third byte; its second is wrong already.
    if len(rest) == 2 and rest[0] == 0xED and rest[1] >= 0xA0:
        text.decode()
    return rest


def frame_header(first: int, length: int, masked: bool, key: int) -> bytes:
    """Serialise what comes before a payload of ``length`` bytes, in the shortest form (5.2)."""
    mask_bit = 0x80 if masked else 0
    if length < 126:
        header = bytes((first, mask_bit | length))
    elif length < 65536:
        header = bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    else:
        header = bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")
    return header + key.to_bytes(4, "little") if masked else header


def frame_bytes(first: int, payload: str | BytesLike, masked: bool, key: int) -> bytes:
    """Serialise a frame whose first byte is ``first``; see :func:`frame_header`."""
    # Not bytes(payload) alone, which takes an int for a size and a list for bytes.
    data = payload.encode() if isinstance(payload, str) else bytes(memoryview(payload))
    header = frame_header(first, len(data), masked, key)
    return header + (_masked(data, key) if masked else data)


def rotate_key(key: int, consumed: int) -> int:
    """Give the key for the rest of a payload of which ``consumed`` bytes are unmasked."""
    shift = 8 * (consumed & 3)
    return (key >> shift | key << (32 - shift)) & 0xFFFFFFFF


def header_index(head: bytes, start: int) -> dict[str, str] | None:
    """Map names in lower case to values, for a head whose first header line begins at ``start``.

    None where a line has another form than "name: value", with one space and no whitespace around
    the value, where a name is there twice, or where something isn't sound: for another parser.
    """
    if _plain_lines(head, start) is None:
        return None
    lines = head[start:].decode("iso-8859-1").split("\r\n")[:-2]
    index = {}
    for line in lines:
        name, _, value = line.partition(": ")
        index[name.lower()] = value
    return index if len(index) == len(lines) else None


class PayloadBuffer:
    """A large payload that arrives bit by bit, and is received where it stays.

    Invariants: ``filled`` bytes of it are here, unmasked; memory is allocated for ``capacity``
    bytes, which is never more than ``length`` and stays in proportion to ``filled``.
    """

    def __init__(self, length: int, is_text: bool, as_str: bool) -> None:
        self.length = length
        self.filled: int = 0
        self.capacity: int = 0
        self._offered = 0
        self._as_str = is_text and as_str
        self._memory = bytearray()

    def put(self, data: BytesLike, start: int, end: int, key: int) -> None:
        """Append a copy of ``data[start:end]``, unmasked with ``key``."""
        size = end - start
        if self.capacity - self.filled < size:
            self._reserve(4 * (self.filled + size))
        self._memory[self.filled : self.filled + size] = payload_bytes(data, start, end, key)
        self.filled += size

    def room(self) -> memoryview:
        """Give the memory to receive the next bytes in: at least one, unless all are here."""
        # A read shouldn't be cut short by what is left of the memory, but by what has arrived.
        if self.capacity < self.length and self.capacity - self.filled < self.capacity // 4 + 1:
            self._reserve(max(4 * self.filled, 65536))
        self._offered = self.capacity - self.filled
        return memoryview(self._memory)[self.filled :]

    def advance(self, size: int, key: int) -> None:
        """Count ``size`` bytes that were received in :meth:`room`; unmask them with ``key``.

        Raises:
            ValueError: when there was no room for as many.

        """
        if size > self._offered:
            raise ValueError("more bytes than there was room for")
        self._offered = 0
        start, self.filled = self.filled, self.filled + size
        if key:
            piece = payload_bytes(self._memory, start, self.filled, key)
            self._memory[start : self.filled] = piece

    def utf8_rest(self, pending: bytes, size: int) -> bytes:
        """Check the last ``size`` bytes of text, which follow ``pending``; see ``utf8_rest()``."""
        return utf8_rest(pending, bytes(self._memory[self.filled - size : self.filled]))

    def take(self) -> str | bytes:
        """Give the payload: as a str where that was asked for; raises UnicodeDecodeError."""
        payload = bytes(memoryview(self._memory)[: self.filled])
        return payload.decode() if self._as_str else payload

    def _reserve(self, capacity: int) -> None:
        # A bytearray of which there is a view can't grow, and who has one may not have let go yet.
        self.capacity = min(capacity, self.length)
        larger = bytearray(self.capacity)
        memoryview(larger)[: self.filled] = memoryview(self._memory)[: self.filled]
        self._memory = larger


def _masked(data: bytes, key: int) -> bytes:
    # One big-integer XOR is the fastest loop that CPython has.
    if not key:
        return data
    size = len(data)
    keys = (key.to_bytes(4, "little") * (size // 4 + 1))[:size]
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(keys, sys.byteorder)
    return number.to_bytes(size, sys.byteorder)
