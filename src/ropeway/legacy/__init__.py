"""The asyncio API that websockets had before version 13, on ropeway's engine.

For programs that subclass a protocol or that were never changed. Nothing else in ropeway uses it,
and a new program has no reason to: :mod:`ropeway.asyncio` does all of it, with fewer words.
"""

from __future__ import annotations

import warnings

warnings.warn(
    f"{__name__} is deprecated; use {__name__.rpartition('.')[0]}.asyncio",
    DeprecationWarning,
    stacklevel=2,
)
