"""The kernels in Python: the twin of kernels.pyx, for PyPy, for reading, and as its reference.

A masking key is an int whose lowest byte comes first on the wire; 0 leaves a payload as it is.
"""

from __future__ import annotations

import codecs
import sys

from ..typing import BytesLike


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


def frame_bytes(first: int, payload: str | BytesLike, masked: bool, key: int) -> bytes:
    """Serialise a frame whose first byte is ``first``, with the shortest length form (5.2)."""
    # Not bytes(payload) alone, which takes an int for a size and a list for bytes.
    data = payload.encode() if isinstance(payload, str) else bytes(memoryview(payload))
    mask_bit = 0x80 if masked else 0
    length = len(data)
    if length < 126:
        header = bytes((first, mask_bit | length))
    elif length < 65536:
        header = bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    else:
        header = bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return header + data
    return header + key.to_bytes(4, "little") + _masked(data, key)


def rotate_key(key: int, consumed: int) -> int:
    """Give the key for the rest of a payload of which ``consumed`` bytes are unmasked."""
    shift = 8 * (consumed & 3)
    return (key >> shift | key << (32 - shift)) & 0xFFFFFFFF


def _masked(data: bytes, key: int) -> bytes:
    # One big-integer XOR is the fastest loop that CPython has.
    if not key:
        return data
    size = len(data)
    keys = (key.to_bytes(4, "little") * (size // 4 + 1))[:size]
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(keys, sys.byteorder)
    return number.to_bytes(size, sys.byteorder)
