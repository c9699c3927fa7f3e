"""What every driver's server tells about itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.rules import Tally
from .._core.states import CONNECTING, OPEN
from .._core.stats import ServerStats

__all__ = ["server_stats"]


def server_stats(connections: Iterable[Any], tally: Tally) -> ServerStats:
    """Take a snapshot of a server's connections and of what its limits have led to."""
    protocols = [connection.protocol for connection in tuple(connections)]
    return ServerStats(
        connections=sum(protocol.state is OPEN for protocol in protocols),
        handshakes=sum(
            protocol.state is CONNECTING and not protocol.discarding for protocol in protocols
        ),
        refused_full=tally.refused_full,
        refused_crowded=tally.refused_crowded,
        refused_closing=tally.refused_closing,
        messages_not_sent=tally.messages_not_sent,
        closed_slow=tally.closed_slow,
        closed_idle=tally.closed_idle,
        closed_old=tally.closed_old,
        closed_fast=tally.closed_fast,
    )
