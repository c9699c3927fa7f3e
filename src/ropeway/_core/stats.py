"""What a connection has counted, as users see it."""

from __future__ import annotations

import dataclasses


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
    compression_ratio_received: float | None
    compression_ratio_sent: float | None
