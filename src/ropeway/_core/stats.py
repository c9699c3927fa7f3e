"""What a connection has counted, as users see it."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot of a connection's counters.

    Attributes:
        frames_received: frames that were read, control frames included.
        frames_sent: frames that were made for sending, control frames included.
        messages_received: messages that arrived whole.
        messages_sent: messages that were made for sending whole.
        bytes_received: bytes on the wire: headers and compressed payloads, not TLS.
        bytes_sent: bytes on the wire, the opening handshake included.
        payload_bytes_received: application bytes, uncompressed.
        payload_bytes_sent: application bytes, uncompressed.
        pings_received: pings from the peer.
        pings_sent: pings to the peer, keepalive's included.
        pongs_received: pongs from the peer, unsolicited ones included.
        pongs_sent: pongs to the peer.
        messages_dropped: messages that came after our close frame and found the queue full.
        messages_not_sent: messages that were dropped because the peer was slow.
        compression_ratio_received: compressed bytes to uncompressed ones of what arrived
            compressed; None when nothing did.
        compression_ratio_sent: the same of what was sent compressed.

    """

    frames_received: int
    frames_sent: int
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    payload_bytes_received: int
    payload_bytes_sent: int
    pings_received: int
    pings_sent: int
    pongs_received: int
    pongs_sent: int
    messages_dropped: int
    messages_not_sent: int
    compression_ratio_received: float | None
    compression_ratio_sent: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class ServerStats:
    """A snapshot of what a server has, and of what its limits have led to since it was made.

    Attributes:
        connections: open connections.
        handshakes: opening handshakes that are going on, apart from TLS.
        refused_full: clients that got status 503 because of ``max_connections``.
        refused_crowded: clients that got status 503 because of ``max_handshakes``.
        refused_closing: clients that got status 503 because the server was closing.
        messages_not_sent: messages that were dropped because their peer was slow.
        closed_slow: connections that were closed because their peer was slow, code 1013.
        closed_idle: connections that were closed because of ``idle_timeout``, code 1001.
        closed_old: connections that were closed because of ``max_connection_age``, code 1012.
        closed_fast: connections that were closed because of a rate limit, code 1008.

    """

    connections: int
    handshakes: int
    refused_full: int
    refused_crowded: int
    refused_closing: int
    messages_not_sent: int
    closed_slow: int
    closed_idle: int
    closed_old: int
    closed_fast: int


def snapshot(engine: Any) -> Stats:
    """Copy the counters of a connection's engine."""
    reader, writer, guard = engine.reader, engine.writer, engine.guard
    return Stats(
        frames_received=reader.frames_received,
        frames_sent=writer.frames_sent,
        messages_received=reader.messages_received,
        messages_sent=writer.messages_sent,
        bytes_received=reader.bytes_received,
        bytes_sent=writer.bytes_sent,
        payload_bytes_received=reader.payload_bytes_received,
        payload_bytes_sent=writer.payload_bytes_sent,
        pings_received=engine.pings_received,
        pings_sent=engine.pings_sent,
        pongs_received=engine.pongs_received,
        pongs_sent=engine.pongs_sent,
        messages_dropped=engine.dropped_messages,
        messages_not_sent=0 if guard is None else guard.messages_not_sent,
        compression_ratio_received=_ratio(reader.deflated_bytes, reader.inflated_bytes),
        compression_ratio_sent=_ratio(writer.deflated_bytes, writer.inflated_bytes),
    )


def _ratio(deflated: int, inflated: int) -> float | None:
    return deflated / inflated if inflated else None
