"""How many examples a test that draws them looks at."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """Give the number for this run: ``count``, or as many times that as ROPEWAY_EXAMPLES says."""
    return count * int(os.environ.get("ROPEWAY_EXAMPLES", "1"))
