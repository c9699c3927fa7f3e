"""How long one connection may hold the loop."""

from __future__ import annotations

# One connection's share of a loop turn, in seconds: whatever it does, the others come next.
TURN = 0.002
