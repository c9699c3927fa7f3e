"""The old name of ``ropeway.protocol``."""

from __future__ import annotations

import warnings

from .protocol import SEND_EOF, Side, State
from .protocol import Protocol as Connection

__all__ = ["SEND_EOF", "Connection", "Side", "State"]

warnings.warn(
    f"{__name__} is deprecated; use {__name__.rpartition('.')[0]}.protocol, "
    "where Connection is Protocol",
    DeprecationWarning,
    stacklevel=2,
)
