"""Row 12: subscribers of a broadcast that do not read."""

from __future__ import annotations

import time

from ..harness import KIB, MIB, Stage, attack
from ..raw import Crowd, code_of, request

ROOM = request("/room")
SLOW_LIMIT = MIB
"""Bytes that wait for a peer at most, by default."""


def frozen(policy: str) -> None:
    @attack(
        12,
        f"frozen subscribers, {policy}",
        "the others' p99 at most 1.2 times; memory at most the limit for each; counted",
        # None of them answers pings, which is another row.
        always={"slow_consumer": policy, "ping_interval": None},
        victim=False,
        peers=(),
    )
    def run(stage: Stage) -> None:
        count = stage.size(60, 5000)
        few = max(2, count // 100)
        crowd = stage.crowd()
        crowd.open(few, ROOM, receive_buffer=65536)
        stuck = list(crowd.members)
        crowd.open(count - few, ROOM)
        # A handshake is answered before the handler runs, which joins the room.
        crowd.until(lambda: int(stage.server.talker("members")) == count, 20)
        usual = p99(cast(stage, crowd, count, 50))
        for member in stuck:
            crowd.freeze(member)
        stage.rest()
        found = p99(cast(stage, crowd, count - few, 400))
        allowed = 1.2 * usual if stage.full else max(1.2 * usual, 10)
        stage.note(usual_p99_ms=round(usual, 2))
        stage.most("others' p99", found, allowed, "ms")
        stage.most("growth", stage.growth() / MIB, few * SLOW_LIMIT / MIB, "MiB")
        if policy == "drop":
            not_sent = int(stage.server.talker("not_sent"))
            stage.least("messages not sent, counted", not_sent, few, "")
            stage.equal("still in the room", int(stage.server.talker("members")), count)
        else:
            for member in stuck:
                crowd.thaw(member)
            crowd.until(lambda: all(one.ended for one in stuck), 15)
            codes = {code_of(one.frames) for one in stuck}
            stage.note(codes=sorted(code or 0 for code in codes))
            crowd.until(lambda: int(stage.server.talker("members")) == count - few, 5)
            stage.equal("left in the room", int(stage.server.talker("members")), count - few)


for policy in ("drop", "close"):
    frozen(policy)


def cast(stage: Stage, crowd: Crowd, receivers: int, times: int) -> list[float]:
    """Broadcast so often; give the milliseconds that it took until all had it, each time."""
    size = 16 * KIB  # with 400 of them, more than the kernel takes for a frozen one
    took = []
    for _ in range(times):
        wanted = crowd.received + receivers * (size + 4)
        start = time.perf_counter()
        stage.server.talker("cast", size)
        if not crowd.until(lambda wanted=wanted: crowd.received >= wanted, 20):  # type: ignore[misc]
            raise RuntimeError(f"of {receivers} messages, some never came")
        took.append((time.perf_counter() - start) * 1000)
    return took


def p99(times: list[float]) -> float:
    return sorted(times)[int((len(times) - 1) * 0.99)]
