"""Rows 10, 11 and 13: those who take more than their share, of memory or of time."""

from __future__ import annotations

import itertools

from bench.crowd import flood, swarming
from bench.ticks import stream
from bench.waves import waves

from ...support.rawpeer import BINARY, frame
from ..harness import KIB, MIB, Stage, attack


@attack(
    10,
    "waves of compressed connections",
    "the fourth ends at most 2 % above the second; at least 80 % is returned",
    quick=False,
    victim=False,
    # Free memory that an allocator keeps is what this row measures, with lines of its own.
    without=frozenset({"memory"}),
    peers=("websockets", "aiohttp"),
)
def compressed_waves(stage: Stage) -> None:
    talk = stream(200, 5, compressed=True)
    with swarming(stage.server.port, compression=True) as swarm:
        found = waves(stage.server.talker, swarm, talk, 300, stage.size(500, 3000))
    stage.note(**found)
    stage.most("growth from wave 2 to 4", found["growth_percent"], 2, "%")
    stage.least("returned", found["returned_percent"], 80, "%")


@attack(
    11,
    "echoes asked for and not read",
    "at most twice the write limit, besides the receive queue and one read",
)
def slow_reader(stage: Stage) -> None:
    readers, size = 10, KIB
    total = stage.size(40, 200) * MIB
    message = frame(BINARY, b"x" * size, mask=True)
    raws = [stage.raw(receive_buffer=4096) for _ in range(readers)]
    stage.rest()
    batch = 64
    sent = 0
    for raw in raws:
        chunks = itertools.repeat(message * batch, total // readers // (batch * len(message)))
        sent += raw.pour(chunks, 0.3)
    # docs/limits.md: what a peer can have held of what it sends is a queue and a read.
    queue = stage.limit("max_queue") * size + 256 * KIB
    stage.note(taken_mib=round(sent / MIB, 1))
    each = stage.growth() / readers / KIB
    stage.most("growth of each", each, (2 * stage.limit("write_limit") + queue) / KIB, "KiB")


def greedy(kind: str) -> None:
    @attack(
        13,
        f"flood of {kind}",
        "the others' p99 within 10 ms, the sender at 80 % of its rate alone",
        # Its rate is a matter of who else is there: no test for a machine that others use too.
        quick=False,
    )
    def run(stage: Stage) -> None:
        seconds = stage.size(10, 30) / 10
        server = stage.server
        with stage.alone():
            solo = flood(server.port, server.pid, kind, 0, seconds)["flood_frames_per_second"]
        both = flood(server.port, server.pid, kind, 2, seconds)
        rate = both["flood_frames_per_second"]
        stage.note(frames_per_second=round(rate), alone=round(solo))
        stage.note(others_p50_ms=both["p50_ms"], others_max_ms=both["max_ms"])
        stage.most("others' p99", both["p99_ms"], max(10, 3 * (stage.usual() or 0.0)), "ms")
        stage.least("rate kept", 100 * rate / solo if solo else 0, 80, "%")


for kind in ("messages", "fragments", "pings"):
    greedy(kind)
