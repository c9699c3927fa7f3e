"""What the messages of several test files are made of."""

from __future__ import annotations

MIB = 1024 * 1024
LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, MIB]
"""Both sides of each border between forms of a length (RFC 6455 section 5.2), and a large one."""


def patterned(length: int) -> bytes:
    """Bytes of every value that do not repeat within a page, a masking key or a read.

    A piece that is lost, doubled or in the wrong place shows.
    """
    period = bytes(range(256)) + b"\x00\xff\x55"
    counted = (number.to_bytes(3) + period for number in range(length // 262 + 1))
    return b"".join(counted)[:length]
