"""What a connection makes of a stream of bytes, as facts that can be compared between builds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from .builds import Build
from .streams import cut, seen

LIMIT = 400


def connection(build: Build, role: str, deflate: bool, limit: int | None = LIMIT) -> Any:
    room = build.room("protocol")
    protocol = room.Protocol(getattr(room, role), max_size=limit)
    if deflate:
        kind = build.room("extensions.permessage_deflate").PerMessageDeflate
        protocol.extensions = [kind(False, False, 15, 15)]
    return protocol


def receive(build: Build, role: str, deflate: bool, pieces: Sequence[bytes]) -> dict[str, Any]:
    """Tell what a connection makes of pieces, in itself and after the end of the stream."""
    protocol = connection(build, role, deflate)
    for piece in pieces:
        protocol.receive_data(piece)
    facts = seen(protocol)
    # What follows a close frame or a violation is counted where it came in the same read.
    facts["stats"] = protocol.stats() if protocol.state.name == "OPEN" else None
    protocol.receive_eof()
    facts["end"] = seen(protocol)
    facts["exception"] = str(protocol.close_exc)
    facts["code"] = (protocol.close_code, protocol.close_reason)
    return facts


def splits(data: bytes) -> list[list[bytes]]:
    """Give every split in two (of long streams, some), single bytes, and some in between."""
    size = len(data)
    chosen = random.Random(size)
    singles = range(1, size)
    points = [[point] for point in (singles if size < 48 else chosen.sample(singles, 32))]
    points += [sorted(chosen.sample(range(size), min(size, 3))) for _ in range(5)]
    return [*(cut(data, at) for at in points), cut(data, range(1, size))]


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    # Counters are dataclasses of their own in each build.
    return {key: repr(value) if key == "stats" else value for key, value in facts.items()}


def is_cut_in_deflate(facts: dict[str, Any]) -> bool:
    # zlib gives nothing of a piece that holds an error, so what is wrong first, the text that
    # inflated before it or the compressed data, depends on where the piece began.
    return facts["error"] is not None and (
        "decompression failed" in facts["error"][1] or facts["error"][0] == "UnicodeDecodeError"
    )


def drain(protocol: Any, inbox: Any, messages: list[Any]) -> None:
    """Take what there is and let the engine go on, as a driver does."""
    while True:
        while inbox.is_ready():
            messages.append(inbox.take(None))
        if not protocol.can_resume():
            return
        protocol.resume(0.0)


def assemble(
    build: Build, role: str, deflate: bool, pieces: Sequence[bytes], high: int | None
) -> dict[str, Any]:
    """Tell which messages come out of an inbox."""
    protocol = connection(build, role, deflate)
    inbox = build.room("_core.inbox").Inbox(high, None)
    protocol.use_inbox(inbox)
    inbox.wanted = True
    messages: list[Any] = []
    for piece in pieces:
        protocol.receive(piece, 0, len(piece), 0.0)
        drain(protocol, inbox, messages)
        protocol.keep_rest()
    facts = seen(protocol)
    protocol.receive_eof()
    drain(protocol, inbox, messages)
    return {**facts, "messages": messages, "end": seen(protocol), "level": inbox.level}
