"""HTTP Basic authentication (RFC 7617): the headers' side of it.

``ropeway.asyncio.server.basic_auth`` builds on these functions. The two names that ``websockets``
keeps in this module belong to its legacy implementation.
"""

from __future__ import annotations

from typing import Any

from .headers import (
    build_authorization_basic,
    build_www_authenticate_basic,
    parse_authorization_basic,
)

__all__ = [
    "build_authorization_basic",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
]

_LEGACY_NAMES = {"BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory"}


def __getattr__(name: str) -> Any:
    if name in _LEGACY_NAMES:
        # ImportError, because an AttributeError raised here during ``from … import`` would be
        # replaced by one without this text.
        raise ImportError(f"{__name__}.{name} comes with ropeway.legacy", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
