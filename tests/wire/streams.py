"""Frames as bytes, written and read by a few lines, and what a connection made of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10

KEY = b"\x37\xfa\x21\x3d"
"""The masking key of the examples in RFC 6455 section 5.7."""


def xor(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def head(first: int, length: int, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if length < 126:
        return struct.pack("!BB", first, bit | length)
    if length < 65536:
        return struct.pack("!BBH", first, bit | 126, length)
    return struct.pack("!BBQ", first, bit | 127, length)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
) -> bytes:
    """Write a frame; masked when there is a key."""
    first = (FIN if fin else 0) | rsv | opcode
    if key is None:
        return head(first, len(payload), False) + payload
    return head(first, len(payload), True) + key + xor(payload, key)


def close_frame(code: int, reason: str = "", key: bytes | None = None) -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode(), key=key)


class Read(NamedTuple):
    """A frame as the wire has it, unmasked."""

    first: int
    payload: bytes
    key: bytes | None = None


def read_frames(data: bytes) -> list[Read]:
    """Read frames that are known to be valid and whole."""
    return list(_read_frames(data))


def _read_frames(data: bytes) -> Iterator[Read]:
    while data:
        first, second = data[:2]
        size, length = 2, second & 0x7F
        if length == 126:
            size, length = 4, int.from_bytes(data[2:4], "big")
        elif length == 127:
            size, length = 10, int.from_bytes(data[2:10], "big")
        key = None
        if second & 0x80:
            key = data[size : size + 4]
            size += 4
        payload = data[size : size + length]
        assert len(payload) == length, "the output ends inside a frame"
        data = data[size + length :]
        yield Read(first, payload if key is None else xor(payload, key), key)


def deflated(payload: bytes, bits: int = 15) -> bytes:
    """Compress as RFC 7692 section 7.2.1 says, without context."""
    compressor = zlib.compressobj(wbits=-bits)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\x00\x00\xff\xff")
    return data[:-4]


def cut(data: bytes, points: Iterable[int]) -> list[bytes]:
    """Cut bytes at the given points."""
    edges = [0, *sorted(points), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def sent(output: Sequence[bytes]) -> tuple[list[tuple[int, bytes]], bool]:
    """Tell which frames an output holds, and whether it ends the stream."""
    frames = [(read.first, read.payload) for read in read_frames(b"".join(output))]
    return frames, b"" in output


def seen(protocol: Any) -> dict[str, Any]:
    """Tell what a connection gave and is, in terms that are the same in both builds."""
    return {
        "events": [
            (int(event.opcode), bytes(event.data), event.fin)
            for event in protocol.events_received()
        ],
        "output": sent(protocol.data_to_send()),
        "state": protocol.state.name,
        "error": described(protocol.parser_exc),
        "close_sent": repr(protocol.close_sent),
        "close_rcvd": repr(protocol.close_rcvd),
        "then": protocol.close_rcvd_then_sent,
        "expected": protocol.close_expected(),
    }


def described(exc: BaseException | None) -> tuple[str, str] | None:
    if isinstance(exc, UnicodeDecodeError):
        # It holds the piece of text that it was found in, so only the close frame's reason tells
        # the place in the message.
        return type(exc).__name__, exc.reason
    return None if exc is None else (type(exc).__name__, str(exc))
