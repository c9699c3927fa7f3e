"""The windows of permessage-deflate: compiled as pure, cut as whole, rested or not, and as zlib."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from tests.wire.builds import BUILDS, Build
from tests.wire.streams import cut, deflated

from .taking import Taking, outcome

LIMIT = 3000
NO_LIMIT = -1


def check(data: bytes) -> None:
    """Inflate what no compressor made, or deflate something and inflate that."""
    results = [_run(build, Taking(data)) for build in BUILDS.values()]
    assert results[0] == results[-1], "builds differ"


def _run(build: Build, taking: Taking) -> Any:
    if taking.byte() & 1:
        return _there_and_back(build, taking)
    return _inflate(build, taking)


def _settings(taking: Taking) -> tuple[int, int, int]:
    return taking.byte(), 9 + taking.byte() % 7, taking.byte()


def _ends(build: Build, settings: tuple[int, int, int]) -> tuple[Any, Any]:
    """Give two ends of a connection."""
    flags, bits, threshold = settings
    kind = build.room("extensions.permessage_deflate").PerMessageDeflate
    first, second = bool(flags & 1), bool(flags & 2)
    return (
        kind(first, second, 15, bits, threshold=threshold),
        kind(second, first, bits, 15, threshold=threshold),
    )


def _inflate(build: Build, taking: Taking) -> Any:
    settings = _settings(taking)
    room = taking.choice((NO_LIMIT, 0, 1, 100, LIMIT))
    points = taking.points(300)
    payload = taking.rest()
    whole = _inflated(_ends(build, settings)[1], [payload], room)
    parts = cut(payload, [point for point in points if point <= len(payload)])
    pieces = _inflated(_ends(build, settings)[1], parts, room)
    if whole[0] == "gives":
        assert whole == pieces, "pieces differ"
        assert room == NO_LIMIT or len(whole[1]) <= room
        reference = outcome(_reference, payload)
        assert reference[1] in (None, whole[1]) or reference[0] != "gives"
    else:
        assert pieces[0] != "gives", "pieces differ"
    return whole, pieces


def _inflated(end: Any, pieces: list[bytes], room: int) -> tuple[str, Any]:
    def run() -> bytes:
        end.start_inflating()
        inflated = b""
        for index, piece in enumerate(pieces):
            space = room if room == NO_LIMIT else room - len(inflated)
            inflated += end.inflate(piece, space, index == len(pieces) - 1)
        return inflated

    return outcome(run)


def _reference(payload: bytes) -> bytes | None:
    """Inflate with zlib alone; None where a final block ends it, which zlib stops at."""
    inflater = zlib.decompressobj(-15)
    inflated = inflater.decompress(payload + b"\0\0\xff\xff")
    return None if inflater.eof else inflated


def _there_and_back(build: Build, taking: Taking) -> Any:
    """Send messages with an end that forgets now and then, to one that rests now and then."""
    sender, receiver = _ends(build, _settings(taking))
    sent = []
    for _ in range(6):
        how, size = taking.byte(), taking.number() % 4000
        seed = taking.byte()
        message = bytes((seed + index * (how >> 4)) & 0xFF for index in range(size))
        if how & 1:
            sender.rest()
        if how & 2:
            receiver.rest()
        if how & 4:
            apart = sender.deflater.apart(message)
            sender.deflater.sent(apart)
            wire = [apart.deflated]
        elif how & 8:
            half = size // 2
            wire = [sender.deflate(message[:half], True, False)]
            wire.append(sender.deflate(message[half:], False, True))
        else:
            wire = [sender.deflate(message, True, True)]
        kind, value = _inflated(receiver, wire, NO_LIMIT)
        assert (kind, value) == ("gives", message), "another message came back"
        sent.append(len(wire))
    return sent


def seeds() -> Iterator[bytes]:
    """Give deflate data of all kinds of blocks, good and bad, and ways to send."""
    stored = zlib.compressobj(level=0, wbits=-15)
    fixed = zlib.compressobj(wbits=-15, strategy=zlib.Z_FIXED)
    payloads = [
        b"",
        b"\0",
        b"\x03\0" * 5,
        deflated(b"a few words, a few words"),
        deflated(bytes(2000)),
        stored.compress(b"stored") + stored.flush(),
        fixed.compress(b"fixed fixed fixed") + fixed.flush(zlib.Z_SYNC_FLUSH)[:-4],
        b"\xff" * 12,
        deflated(bytes(range(256)))[:90],
    ]
    for index, payload in enumerate(payloads):
        for room in range(5):
            yield bytes((0, index & 3, 6, 0, room, 2, 0, 3, 0, 9)) + payload
    for how in range(16):
        yield bytes((1, how & 3, how % 7, 0)) + bytes((how * 16 + how, 7, how * 9, how)) * 6
