"""Rows 14, 15 and 22 to 24: connections that will not end, that vanish, or that end together."""

from __future__ import annotations

import signal
import time

from ...leaks.growth import growth
from ...support.rawpeer import BINARY, CLOSE, TEXT, close_payload, frame
from ..harness import KIB, Stage, attack
from ..raw import Member, Raw, code_of, request

GRACE = 1.0
"""Seconds above a limit."""
CLOSING = request("/close")
BYE = frame(CLOSE, close_payload(1000), mask=True)


@attack(
    14,
    "close frames never answered",
    "gone in close_timeout + 1 s, nothing left",
    limits={"close_timeout": 2},
    peers=(),
)
def unanswered(stage: Stage) -> None:
    """The server begins to close; a third says nothing, a third talks on, a third half-closes."""
    limit = stage.limit("close_timeout")
    crowd = stage.crowd()
    count = stage.size(50, 350)
    crowd.open(3 * count, CLOSING)
    begun = time.monotonic()
    talking, halves = crowd.members[:count], crowd.members[count : 2 * count]
    for member in halves:
        member.sock.shutdown(1)
    message = frame(BINARY, b"x" * KIB, mask=True)
    while crowd.alive and time.monotonic() < begun + limit + GRACE + 2:
        for member in talking:
            if member.ended is None:
                member.send(message)
        crowd.turn(0.05)
    stage.most("time to close", crowd.lived(), limit + GRACE, "s")
    stage.equal("code", code_of(crowd.members[-1].frames), 1000)


@attack(
    14,
    "data for ever after Close",
    "gone in close_timeout + 1 s, nothing left",
    limits={"close_timeout": 2},
)
def talking_on(stage: Stage) -> None:
    """The client begins to close, and goes on sending; half of them never hang up by themselves."""
    limit = stage.limit("close_timeout")
    crowd = stage.crowd()
    crowd.open(stage.size(100, 1000))
    begun = time.monotonic()
    for member in crowd.members:
        member.started = begun
        member.send(BYE)
    message = frame(BINARY, b"x" * KIB, mask=True)
    while crowd.alive and time.monotonic() < begun + limit + GRACE + 2:
        for member in list(crowd.alive.values()):
            member.send(message)
        crowd.turn(0.05)
    stage.most("time to close", crowd.lived(), limit + GRACE, "s")


@attack(14, "half-closed", "gone in close_timeout + 1 s, nothing left", limits={"close_timeout": 2})
def half_closed(stage: Stage) -> None:
    limit = stage.limit("close_timeout")
    crowd = stage.crowd()
    crowd.open(stage.size(100, 1000))
    begun = time.monotonic()
    for member in crowd.members:
        member.started = begun
        member.sock.shutdown(1)
    crowd.until_over(limit + GRACE + 2)
    stage.most("time to close", crowd.lived(), limit + GRACE, "s")


@attack(
    15,
    "peers that fell silent",
    "found in ping_interval + ping_timeout + 1 s, with at most 1 % of a core",
    limits={"ping_interval": 1, "ping_timeout": 1, "close_timeout": 0.5},
    victim=False,
    peers=(),
)
def silent(stage: Stage) -> None:
    """They read nothing and answer nothing: for the server, as if packets were dropped."""
    limit = stage.limit("ping_interval") + stage.limit("ping_timeout")
    count = stage.size(200, 2000)
    crowd = stage.crowd()
    crowd.open(count)
    stage.server.talker.settle()
    cpu = stage.server.cpu()
    stage.rest()
    # A close frame is what tells that one is found; a peer that is gone cannot answer it.
    times: dict[Member, float] = {}

    def all_found() -> bool:
        for member in crowd.members:
            if member not in times and code_of(member.frames) is not None:
                times[member] = time.monotonic() - member.started
        return len(times) == count

    found = crowd.until(all_found, limit + 3)
    stage.equal("all found", found, True)
    stage.most("time to be found", max(times.values(), default=0), limit + GRACE, "s")
    each = (stage.server.cpu() - cpu) / count
    # The share of a core that 2 000 of them take with ping_interval and ping_timeout at 20 s.
    share = 100 * each * 2000 / 40
    if stage.full:
        stage.most("CPU", share, 1, "%")
    else:
        stage.note(cpu_percent=round(share, 2))
    crowd.until_over(stage.limit("close_timeout") + GRACE + 1)
    stage.equal("code", code_of(crowd.members[-1].frames), 1011)


@attack(
    22,
    "connect and abort",
    "at most 10 bytes a cycle stay, no task, no descriptor, no garbage, no complaint",
    arguments=("--quiet",),
    victim=False,
    peers=(),
)
def aborts(stage: Stage) -> None:
    cycles = stage.size(1500, 200_000)
    ends = (reset, fin, in_handshake, in_frame, cancelled, failing)
    samples = []
    begun = time.monotonic()
    for done in range(1, cycles + 1):
        ends[done % len(ends)](stage.server.port)
        if done % (cycles // 25) == 0:
            settled(stage)
            samples.append({"done": done, "resident": stage.server.rss()})
    stage.note(cycles_per_second=round(cycles / (time.monotonic() - begun)))
    slope = growth(samples, "resident")
    # A page more or less over a short run is no leak.
    stage.most("growth of each cycle", slope, stage.size(200, 10), "B")
    stage.equal("gc.garbage", int(stage.server.talker("garbage")), 0)


def settled(stage: Stage) -> None:
    """Wait until the server has noticed that all are gone."""
    end = time.monotonic() + 2
    while stage.server.tasks() > stage.tasks and time.monotonic() < end:
        time.sleep(0.005)


def reset(port: int) -> None:
    Raw(port).reset()


def fin(port: int) -> None:
    raw = Raw(port)
    raw.sock.close()


def in_handshake(port: int) -> None:
    raw = Raw(port, b"")
    raw.send(b"GET / HTTP/1.1\r\nHost: a")
    raw.reset()


def in_frame(port: int) -> None:
    raw = Raw(port)
    raw.send(frame(TEXT, b"half of it", mask=True, length=1000))
    raw.reset()


def cancelled(port: int) -> None:
    raw = Raw(port, request("/cancel"))
    raw.send(BYE)
    raw.ending(5)
    raw.sock.close()


def failing(port: int) -> None:
    raw = Raw(port, request("/raise"))
    raw.send(BYE)
    raw.ending(5)
    raw.sock.close()


@attack(
    23,
    "more connections than descriptors",
    "the server survives, sheds, and recovers within 1 s",
    arguments=("--descriptors", "256"),
    known={"trio: complaints in the log": "trio itself logs each accept that fails, with where"},
)
def too_many(stage: Stage) -> None:
    count = stage.size(1000, 19_000)
    cpu = stage.server.cpu()
    crowd = stage.crowd()
    crowd.join_at_once(count)
    crowd.until(lambda: False, 2)
    stage.note(cpu_share=round((stage.server.cpu() - cpu) / 2, 2), connected=len(crowd.alive))
    stage.equal("survives", stage.server.lives(), True)
    crowd.leave(reset=True)
    left = time.monotonic()
    served = False
    while not served and time.monotonic() < left + 5:
        try:
            # A packet that meets a full backlog is sent again after a second: not the server's.
            raw = Raw(stage.server.port, patience=0.2)
        except OSError:
            time.sleep(0.01)
            continue
        raw.send(frame(BINARY, b"hello", mask=True))
        served = raw.listen(1, lambda said: b"hello" in said)
        raw.reset()
    stage.most("time to recover", time.monotonic() - left, 1, "s")
    stage.equal("serves again", served, True)


@attack(
    24,
    "SIGTERM with many connections",
    "all get 1001 within 5 s, exit code 0",
    # A victim would be told to go, as everybody is.
    victim=False,
    peers=(),
)
def terminated(stage: Stage) -> None:
    count = stage.size(500, 5000)
    crowd = stage.crowd()
    crowd.open(count)
    process = stage.server.talker.process
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    answered: set[int] = set()

    def all_told() -> bool:
        for fd, member in list(crowd.alive.items()):
            if fd not in answered and code_of(member.frames) is not None:
                answered.add(fd)
                member.send(frame(CLOSE, close_payload(1001), mask=True))
        return not crowd.alive

    crowd.until(all_told, 8)
    took = time.monotonic() - begun
    told = sum(code_of(member.frames) == 1001 for member in crowd.members)
    stage.most("not told 1001", count - told, 0, "connections")
    stage.most("time", took, 5, "s")
    end = begun + 15
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    stage.equal("exit code", process.poll(), 0)
