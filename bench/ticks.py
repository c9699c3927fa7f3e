"""Market data as exchanges send it: JSON that changes from message to message, as prices do."""

from __future__ import annotations

import functools
import json
import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from .tools import BUILD

BASES = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "AVAX", "LINK", "DOT", "LTC", "NEAR", "UNI"]
QUOTES = ["USDT", "USD", "EUR"]
# What the peers' servers ask of their clients by default; others take it as well.
WINDOW_BITS = 12
MASKING_KEY = b"\x37\xfa\x21\x3d"


@dataclass(frozen=True)
class Stream:
    """A file of frames for ``c/swarm.c``, and what is in them."""

    path: Path
    messages: int
    payload_bytes: int
    frame_bytes: int


def ticks(size: int, count: int) -> list[bytes]:
    """Make messages of about a size: one trade in 200 B, or an array of them."""
    generator = random.Random(size)
    prices = {
        f"{base}{quote}": generator.uniform(0.1, 60_000) for base in BASES for quote in QUOTES
    }
    clock, sequence = 1_760_000_000_000, 48_211_900
    messages = []
    for _ in range(count):
        trades: list[str] = []
        length = 0
        while not trades or length + 180 < size:
            symbol = generator.choice(list(prices))
            prices[symbol] *= 1 + generator.gauss(0, 2e-4)
            clock += generator.randrange(1, 40)
            sequence += generator.randrange(1, 9)
            trades.append(trade(symbol, prices[symbol], clock, sequence, generator))
            length += len(trades[-1]) + 1
        message = trades[0] if len(trades) == 1 else f"[{','.join(trades)}]"
        messages.append(message.encode())
    return messages


def trade(symbol: str, price: float, clock: int, sequence: int, generator: random.Random) -> str:
    fields = {
        "e": "trade",
        "E": clock,
        "s": symbol,
        "t": sequence,
        "p": f"{price:.4f}",
        "q": f"{generator.expovariate(2):.5f}",
        "b": f"{price * 0.9999:.4f}",
        "B": f"{generator.expovariate(1):.5f}",
        "a": f"{price * 1.0001:.4f}",
        "A": f"{generator.expovariate(1):.5f}",
        "v": str(generator.randrange(10**6)),
        "m": generator.random() < 0.5,
    }
    return json.dumps(fields, separators=(",", ":"))


@functools.cache
def stream(size: int, count: int, *, compressed: bool) -> Stream:
    """Write a file of masked frames; compressed ones have the context of those before them.

    The first one has none: the file may be sent again from the start, as a sender may forget its
    context whenever it likes (RFC 7692 7.1.1.1 binds the receiver only).
    """
    messages = ticks(size, count)
    frames = [masked(0x81, message) for message in messages]
    if compressed:
        compressor = zlib.compressobj(wbits=-WINDOW_BITS)
        frames = [
            masked(0xC1, (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4])
            for message in messages
        ]
    path = BUILD / f"ticks-{size}-{count}-{'deflate' if compressed else 'plain'}"
    BUILD.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<I", len(frame)) + frame for frame in frames))
    return Stream(path, count, sum(map(len, messages)), sum(map(len, frames)))


def masked(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        header = bytes([first, 0x80 | size])
    elif size < 65_536:
        header = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        header = struct.pack(">BBQ", first, 0x80 | 127, size)
    key = (MASKING_KEY * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return header + MASKING_KEY + number.to_bytes(size, "little")
