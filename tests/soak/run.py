"""``make soak``: thousands of connections that come and go on a bad network.

``python -m tests.soak.run --seconds 1800`` prints a line a minute and a table, and ends with 1
where a message was lost, came twice or out of order, something is left, or memory grows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from . import network
from .slope import Sample, averages, slope, slope_range

MIB = 1024 * 1024
GREATEST_SLOPE = MIB / 3600
# In a shorter time, what is allocated once and what comes and goes hide what grows.
LEAST_SECONDS = 600
SPARE_DESCRIPTORS = 200


class Process:
    """A server, or clients."""

    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.processes", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        self.stdout = self.popen.stdout
        self.said = self.stdout.readline().strip()

    def resident(self) -> int:
        """Tell how many bytes of memory it has."""
        fields = Path(f"/proc/{self.popen.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.popen.pid}/fd"))

    def end(self) -> dict[str, int]:
        """Let it end, and give what it counted."""
        self.popen.send_signal(signal.SIGTERM)
        counted: dict[str, int] = json.loads(self.stdout.readline() or "{}")
        if self.popen.wait(60) or not counted:
            counted["WRONG: a process failed"] = 1
        return counted

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


class Soaked(NamedTuple):
    """What came of it."""

    samples: list[Sample]
    counts: dict[str, int]
    kills: int
    before: int
    behind: int


def soak(chosen: argparse.Namespace) -> Soaked:
    """Run a server and clients; kill some of the clients now and then."""
    server = Process("--loop", chosen.loop, "server")
    before = server.descriptors()
    each = str(chosen.connections // chosen.workers)

    def clients() -> Process:
        return Process("clients", server.said, each, str(chosen.life), str(chosen.pause))

    workers = [clients() for _ in range(chosen.workers)]
    began = reported = killed = time.monotonic()
    samples: list[Sample] = []
    kills = 0
    while (now := time.monotonic()) - began < chosen.seconds:
        time.sleep(min(2.0, chosen.seconds / 60))
        if server.popen.poll() is not None:
            break
        samples.append(Sample(now - began, server.resident(), server.descriptors()))
        if now - killed > max(3.0, chosen.seconds / 15) and now - began < chosen.seconds * 0.9:
            place = random.randrange(len(workers))
            workers[place].kill()
            workers[place] = clients()
            killed, kills = time.monotonic(), kills + 1
        if now - reported > 60:
            reported = now
            minutes = (now - began) / 60
            print(
                f"{minutes:5.1f} min: {samples[-1].size / MIB:6.1f} MiB,"
                f" {samples[-1].descriptors:5d} descriptors, {kills} kills",
                flush=True,
            )
    counts: dict[str, int] = {}
    for worker in workers:
        _add(counts, worker.end(), "")
    time.sleep(min(30.0, 6 + chosen.seconds / 60))  # for the connections of who was killed
    behind = server.descriptors()
    _add(counts, server.end(), "server: ")
    return Soaked(samples, counts, kills, before, behind)


def _add(counts: dict[str, int], more: dict[str, int], prefix: str) -> None:
    for name, count in more.items():
        counts[prefix + name] = counts.get(prefix + name, 0) + count


def report(soaked: Soaked, chosen: argparse.Namespace) -> int:
    """Print the table; gives 1 if something is wrong."""
    wrong = [f"{name}: {count}" for name, count in soaked.counts.items() if "WRONG" in name]
    left = {
        name: count
        for name in ("tasks left", "connections left", "garbage")
        if (count := soaked.counts.get(f"server: {name}", 0))
    }
    wrong += [f"{name}: {count}" for name, count in left.items()]
    if soaked.behind > soaked.before:
        wrong.append(f"{soaked.behind - soaked.before} descriptors left")
    for name, count in sorted(soaked.counts.items()):
        print(f"  {name}: {count:,}")
    print(f"  client processes killed: {soaked.kills}")
    print(f"  segments sent again by TCP: {network.retransmitted():,}")
    wrong += _memory(soaked, chosen.seconds * chosen.warm_up)
    for line in wrong:
        print("WRONG", line.removeprefix("WRONG: "))
    print("failed" if wrong else "nothing lost, doubled or out of order; nothing left")
    return int(bool(wrong))


def _memory(soaked: Soaked, warm_up: float) -> list[str]:
    settled = [sample for sample in soaked.samples if sample.when > warm_up]
    windows = averages(settled, max(1.0, (settled[-1].when - warm_up) / 40))
    if len(windows) < 10:
        print("  memory: too short a run to tell")
        return []
    least, most = slope_range(windows)
    print(
        f"  memory of the server: {settled[0].size / MIB:.1f} MiB after {warm_up:.0f} s,"
        f" {settled[-1].size / MIB:.1f} MiB in the end;"
        f" with as many connections {slope(windows) * 3600 / MIB:+.2f} MiB/h"
        f" (95 %: {least * 3600 / MIB:+.2f} to {most * 3600 / MIB:+.2f})"
    )
    if settled[-1].when - warm_up < LEAST_SECONDS:
        print("  memory: too short a run to judge")
        return []
    return ["memory grows by more than 1 MiB/h"] if least > GREATEST_SLOPE else []


def fitting(connections: int) -> int:
    """Give as many connections as the limits on descriptors allow a process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(wanted, 1024)), hard))
    return min(connections, hard - SPARE_DESCRIPTORS)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=4, help="processes of clients")
    parser.add_argument("--life", type=float, default=60, help="mean seconds of a connection")
    parser.add_argument("--pause", type=float, default=15, help="mean seconds between bursts")
    parser.add_argument(
        "--loss", type=float, default=1.0, help="packets of a hundred that are lost"
    )
    parser.add_argument("--loop", default="asyncio", help="of the server: asyncio or uvloop")
    parser.add_argument("--warm-up", type=float, default=0.3, help="part of the time")
    parser.add_argument(f"--{network.INSIDE}", action="store_true", dest="inside")
    return parser.parse_args()


def main() -> int:
    chosen = parsed()
    lossy: Any = "no packet is lost, as was asked for"
    if chosen.loss and not chosen.inside:
        lossy = f"no packet is lost: {network.enter(sys.argv[1:])}"
    elif chosen.loss:
        lossy = network.lose(chosen.loss)
    chosen.connections = fitting(chosen.connections)
    print(f"{chosen.connections} connections for {chosen.seconds:.0f} s; {lossy}", flush=True)
    return report(soak(chosen), chosen)


if __name__ == "__main__":
    sys.exit(main())
