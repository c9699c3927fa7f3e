"""How long one connection may hold the loop."""

from __future__ import annotations

# One connection's share of a loop turn, in seconds: whatever it does, the others come next. Four
# times as much made the p99 of others beside a flood two to three times as long. With this, the
# flood keeps its rate, and a feed costs about 5 % more.
TURN = 0.0005
