"""The libraries that ropeway must understand, each behind the same few verbs."""

from __future__ import annotations

from .base import (
    Accepting,
    Deflate,
    Message,
    Peer,
    PeerClosedError,
    PeerConnection,
    PeerDistrustsError,
    PeerOptions,
    PeerRefusedError,
    Where,
)

__all__ = [
    "Accepting",
    "Deflate",
    "Message",
    "Peer",
    "PeerClosedError",
    "PeerConnection",
    "PeerDistrustsError",
    "PeerOptions",
    "PeerRefusedError",
    "Where",
]
