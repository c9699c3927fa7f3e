"""What could not be written yet."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..typing import BytesLike

__all__ = ["SEPARATE", "keep"]

# Smaller pieces that have to wait are joined: by itself, each would weigh more than its bytes, and
# a peer that doesn't read a stream of small messages would cost several times what is counted.
SEPARATE = 4096


def keep(backlog: deque[Any], piece: BytesLike) -> None:
    """Put a piece, whose memory doesn't change, behind what waits."""
    if len(piece) < SEPARATE and backlog and len(backlog[-1]) < SEPARATE:
        piece = b"".join((backlog.pop(), piece))
    backlog.append(memoryview(piece))
