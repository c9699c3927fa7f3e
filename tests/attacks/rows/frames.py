"""Rows 5 to 8: frames that announce, divide, ask or inflate too much."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator

from ...support.rawpeer import BINARY, CONT, PING, RSV1, frame
from ..harness import KIB, MIB, Stage, attack
from ..raw import DEFLATE, Raw, request

SINK = request("/sink")
JOINED = {"all: growth": "zlib's output is joined from blocks, which doubles it for a moment"}
COMPRESSED_SINK = request("/sink", DEFLATE)


@attack(5, "lengths over the limit", "1009 or 1002 after the header, nothing allocated")
def lengths(stage: Stage) -> None:
    limit = stage.limit("max_size")
    slowest = 0.0
    for name, length, codes in (
        ("2^63", 1 << 63, (1002, 1009)),
        ("2^63-1", (1 << 63) - 1, (1009,)),
        ("2^32", 1 << 32, (1009,)),
        ("limit+1", limit + 1, (1009,)),
    ):
        # A length above what struct knows as signed: the form is written by hand.
        head = b"\x82" + bytes([0x80 | 127]) + struct.pack("!Q", length) + b"\0\0\0\0"
        raw = stage.raw(SINK)
        raw.send(head)
        ending = raw.ending(5)
        stage.equal(f"code of {name}", ending.code, *codes)
        slowest = max(slowest, ending.seconds)
    stage.most("time to close", slowest, 1, "s")
    stage.most("growth", stage.growth() / KIB, 512, "KiB")


@attack(5, "length declared and never sent", "nothing is allocated ahead of what arrived")
def declared(stage: Stage) -> None:
    count, head = stage.size(100, 1000), frame(BINARY, b"", length=MIB, mask=True)
    crowd = stage.crowd()
    crowd.open(count, SINK)
    stage.server.collect()
    stage.rest()
    for member in crowd.members:
        member.send(head + b"x" * 100)
    # Whoever comes later is served later: once this one has its answer, all have been read.
    one = stage.raw()
    one.send(frame(BINARY, b"over", mask=True))
    one.listen(10, lambda said: b"over" in said)
    stage.most("growth of each of them", stage.growth() / count / KIB, 4, "KiB")
    stage.equal("all still open", len(crowd.alive), count)


@attack(6, "one-byte fragments", "at most 1 MiB more than the limit of a message")
def one_byte_fragments(stage: Stage) -> None:
    count = stage.size(200_000, 1_000_000)
    raw = stage.raw(SINK)
    piece = frame(CONT, b"x", fin=False, mask=True)
    raw.pour([frame(BINARY, b"x", fin=False, mask=True), *repeated(piece, count - 2)], 20)
    raw.send(frame(CONT, b"x", mask=True) + frame(PING, b"over", mask=True))
    stage.equal("message taken", raw.listen(60, lambda said: b"over" in said), True)
    allowed = stage.limit("max_size") + MIB
    stage.most("growth", stage.growth() / MIB, allowed / MIB, "MiB")


@attack(6, "empty fragments", "1009, at most 1 MiB more than the limit of a message")
def empty_fragments(stage: Stage) -> None:
    count = stage.size(200_000, 2_000_000)
    raw = stage.raw(SINK)
    piece = frame(CONT, b"", fin=False, mask=True)
    raw.pour([frame(BINARY, b"x", fin=False, mask=True), *repeated(piece, count)], 5)
    raw.send(frame(PING, b"over", mask=True))
    raw.listen(10, lambda said: b"over" in said)
    stage.equal("code", raw.ending(2).code, 1009)
    stage.most("growth", stage.growth() / MIB, 1 + stage.limit("max_size") / MIB, "MiB")


@attack(7, "pings and never reading", "at most 1 MiB more, one pong pending")
def pings(stage: Stage) -> None:
    total = stage.size(8, 64) * MIB
    raw = stage.raw(SINK, receive_buffer=4096)
    size = len(numbered_ping(0))
    count = total // size
    chunks = (
        b"".join(numbered_ping(number) for number in range(start, min(start + 500, count)))
        for start in range(0, count, 500)
    )
    sent = raw.pour(chunks, 5)
    stage.note(sent_mib=round(sent / MIB, 1))
    grown = stage.growth()
    if sent >= count * size:
        # The last ping is answered, whatever was left out before it.
        last = struct.pack("!Q", count - 1)
        found = raw.listen(20, lambda said: last in said[-200:])
        stage.equal("the last ping is answered", found, True)
        numbers = [struct.unpack("!Q", pong[:8])[0] for pong in raw.pongs()]
        stage.equal("in order", numbers == sorted(numbers), True)
        stage.note(answered=len(numbers), pings=count)
    stage.most("growth", grown / MIB, 1, "MiB")


def numbered_ping(number: int) -> bytes:
    return frame(PING, struct.pack("!Q", number).ljust(125, b"."), mask=True)


@attack(
    8,
    "bomb of 200 MB",
    "1009, at most 64 KiB more than the limit of a message",
    known=JOINED,
    peers=("websockets", "aiohttp"),
)
def bomb(stage: Stage) -> None:
    payload = deflated(stage.size(50, 200) * 1000 * 1000)
    stage.note(bomb_kb=len(payload) // 1000)
    inflate(stage, frame(BINARY, payload, rsv=RSV1, mask=True))


@attack(
    8,
    "bomb in fragments",
    "1009, at most 64 KiB more than the limit of a message",
    known=JOINED,
    peers=("websockets", "aiohttp"),
)
def fragmented_bomb(stage: Stage) -> None:
    count = stage.size(100, 1000)
    whole = deflated(count * 1000 * 1000)
    size = len(whole) // count
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    stage.note(fragments=len(pieces))
    inflate(
        stage,
        frame(BINARY, pieces[0], rsv=RSV1, fin=False, mask=True),
        *(frame(CONT, piece, fin=False, mask=True) for piece in pieces[1:-1]),
        frame(CONT, pieces[-1], mask=True),
    )


@attack(
    8,
    "malformed behind the limit",
    "1009, at most 64 KiB more than the limit of a message, no crash",
    known=JOINED,
    peers=("websockets", "aiohttp"),
)
def malformed_bomb(stage: Stage) -> None:
    payload = deflated(2 * MIB)[:-4] + b"\xff" * 1000
    inflate(stage, frame(BINARY, payload, rsv=RSV1, mask=True))


def inflate(stage: Stage, *data: bytes) -> None:
    """Send a message that inflates beyond the limit, and judge what comes of it."""
    raw = compressing(stage)
    raw.pour(data, 2)
    ending = raw.ending(10)
    stage.equal("code", ending.code, 1009)
    stage.note(seconds_to_close=round(ending.seconds, 3))
    stage.most("growth", stage.growth() / MIB, (stage.limit("max_size") + 64 * KIB) / MIB, "MiB")


@attack(
    8,
    "messages of 1 MB from 1 KB each",
    "all are taken; at most a full queue, one in the application's hands and one inflating",
    peers=("websockets", "aiohttp"),
)
def many_bombs(stage: Stage) -> None:
    count = stage.size(100, 1000)
    message = frame(BINARY, deflated(1000 * 1000), rsv=RSV1, mask=True)
    raw = compressing(stage)
    raw.pour(itertools.repeat(message, count), 30)
    raw.send(frame(PING, b"over", mask=True))
    stage.equal("all taken", raw.listen(60, lambda said: b"over" in said), True)
    limit = stage.limit("max_size") + 64 * KIB
    count = stage.limit("max_queue") + 2
    stage.most("growth", stage.growth() / MIB, count * limit / MIB, "MiB")


def compressing(stage: Stage) -> Raw:
    """Open a connection that has inflated a little: what that needs at all is not counted."""
    raw = stage.raw(COMPRESSED_SINK)
    stage.equal("compression agreed", b"permessage-deflate" in raw.head.lower(), True)
    raw.send(frame(BINARY, deflated(1000), rsv=RSV1, mask=True) + frame(PING, b"warm", mask=True))
    raw.listen(5, lambda said: b"warm" in said)
    raw.said.clear()
    stage.rest()
    return raw


def deflated(size: int) -> bytes:
    """Compress so many zeros, as a message of permessage-deflate."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = bytes(MIB)
    parts = [compressor.compress(block) for _ in range(size // MIB)]
    parts.append(compressor.compress(bytes(size % MIB)))
    parts.append(compressor.flush(zlib.Z_SYNC_FLUSH))
    return b"".join(parts)[:-4]


def repeated(piece: bytes, count: int) -> Iterator[bytes]:
    """Yield a frame so often, many at a time."""
    batch = 2000
    yield from itertools.repeat(piece * batch, count // batch)
    yield piece * (count % batch)
