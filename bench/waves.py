"""Waves of connections that come, talk and go, and what of their memory a server returns."""

from __future__ import annotations

from .crowd import Talker
from .ticks import Stream

MIB = 1 << 20
WAVES = 4


def settled(server: Talker) -> int:
    """Give the resident memory, once nothing is left to do or to collect."""
    server.settle()
    server("collect")
    return server.rss()


def waves(server: Talker, swarm: Talker, talk: Stream, warm_up: int, size: int) -> dict[str, float]:
    """Let waves of so many connections come, talk, and go, after a smaller one."""
    peaks, ends = [], []
    swarm("open", warm_up)
    swarm("send", talk.path, talk.messages)
    swarm("close")
    start = settled(server)
    for _ in range(WAVES):
        swarm("open", size)
        swarm("send", talk.path, talk.messages)
        peaks.append(server.rss())
        swarm("close")
        server.settle()
        ends.append(server.rss())
    # What a wave took is counted from before the first, so what was never returned weighs on all.
    returned = (peaks[-1] - ends[-1]) / (peaks[-1] - start)
    by_wave = {f"rss_wave_{number}_mib": round(end / MIB, 1) for number, end in enumerate(ends, 1)}
    return {
        "rss_start_mib": round(start / MIB, 1),
        "rss_peak_mib": round(max(peaks) / MIB, 1),
        **by_wave,
        "growth_percent": round((ends[3] / ends[1] - 1) * 100, 2),
        "returned_percent": round(returned * 100, 1),
    }
