"""Names that moved to ``ropeway.datastructures`` and ``ropeway.http11`` long ago."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ._moved import Moved, resolver
from .datastructures import Headers, MultipleValuesError
from .http11 import USER_AGENT

__all__ = ["USER_AGENT", "Headers", "MultipleValuesError"]

warnings.warn(
    f"{__name__} is deprecated; use {__name__}11 and {__name__.rpartition('.')[0]}.datastructures",
    DeprecationWarning,
    stacklevel=2,
)

__getattr__: Callable[[str], Any] = resolver(
    __name__,
    {
        "read_request": Moved("legacy.http", "ropeway.http11.Request"),
        "read_response": Moved("legacy.http", "ropeway.http11.Response"),
    },
)
