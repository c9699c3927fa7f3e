"""Rows 1 to 3: handshakes that are slow, half, or too large."""

from __future__ import annotations

import contextlib
import itertools
import ssl
import time
from collections.abc import Iterator

from ..harness import KIB, Stage, attack, honest, worst
from ..raw import Raw, request

GRACE = 1.0
"""Seconds above a limit."""


@attack(
    1,
    "slowloris",
    "closed within open_timeout + 1 s, 4 KiB each; honest handshakes in 100 ms (p99)",
    limits={"open_timeout": 2},
    known={
        "threads: growth of each": "a thread and its stack for each connection",
        "trio: growth of each": "three tasks and a stream of trio's for each connection",
    },
)
def slowloris(stage: Stage) -> None:
    count, limit = stage.size(200, 1500), stage.limit("open_timeout")
    head = request() * 100  # more of it than there is time for
    stage.rest()
    crowd = stage.crowd()
    with honest(stage.server.port, "visit") as visitor:
        crowd.join(count)
        at, end = 0, time.monotonic() + limit + GRACE + 2
        grown = 0
        while crowd.alive and time.monotonic() < end:
            for member in list(crowd.alive.values()):
                member.send(head[at : at + 1])
            at += 1
            until = time.monotonic() + 1
            crowd.until(lambda until=until: time.monotonic() >= until, 2)  # type: ignore[misc]
            grown = max(grown, stage.growth())
        visits = visitor.figures()
    stage.most("time to close", crowd.lived(), limit + GRACE, "s")
    stage.most("growth of each", grown / count / KIB, 4, "KiB")
    stage.equal("honest handshakes", visits["ended"], "")
    stage.most("honest handshake p99", worst(visits), 100, "ms")
    stage.note(answered_408=sum(b" 408 " in one.said for one in crowd.members))


@attack(
    2,
    "half a ClientHello",
    "closed within open_timeout + 1 s",
    tls=True,
    limits={"open_timeout": 2},
    known={
        "all: memory left": "what TLS took comes back to the allocator, not to the system",
        "all: victim p99": "all of them end in one turn of the loop, when their time is over",
    },
)
def half_hello(stage: Stage) -> None:
    limit = stage.limit("open_timeout")
    hello = client_hello()
    crowd = stage.crowd()
    crowd.join(stage.size(200, 1000), hello[: len(hello) // 2])
    crowd.until_over(limit + GRACE + 2)
    stage.most("time to close", crowd.lived(), limit + GRACE, "s")


def client_hello() -> bytes:
    """Give what a TLS client says first."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


REQUEST_LINE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BLOCK = b"x" * 65536


@attack(
    3,
    "heads without an end",
    "431, 414 or 400, in at most 50 ms of CPU time together",
    victim=False,
    peers=("websockets", "aiohttp", "picows"),
)
def endless_heads(stage: Stage) -> None:
    before = stage.server.cpu()
    size = 20_000_000 // len(BLOCK)
    huge = itertools.chain([REQUEST_LINE + b"X-A: "], itertools.repeat(BLOCK, size))
    stage.equal("20 MB header", answer(stage.raw(b""), huge), 431, 400)
    target = itertools.chain([b"GET /"], itertools.repeat(BLOCK, size))
    stage.equal("20 MB target", answer(stage.raw(b""), target), 414, 431, 400)
    names = itertools.chain([REQUEST_LINE], (b"X-%d: a\r\n" % n for n in range(10_000)))
    stage.equal("10 000 headers", answer(stage.raw(b""), [b"".join(names), b"\r\n"]), 431, 400)
    # A line of its limit, of which each byte is a packet: the server is let read between them.
    dripping = (bytes([byte]) for byte in REQUEST_LINE + b"X-A: " + b"x" * 9000)
    stage.equal("a byte a packet", answer(stage.raw(b""), dripping), 431, 400)
    stage.most("CPU time", (stage.server.cpu() - before) * 1000, 50, "ms")
    stage.note(growth_kib=stage.growth() // KIB)


def answer(raw: Raw, chunks: Iterator[bytes] | list[bytes]) -> int | None:
    """Send until the server hangs up, and give the status that it answered with."""
    raw.pour(chunks, 1)
    raw.ending(3)
    words = bytes(raw.said[:40]).split(b" ")
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
