"""HTTP Basic authentication (RFC 7617): the headers' side of it.

``ropeway.asyncio.server.basic_auth`` builds on these functions. The two names that ``websockets``
keeps in this module belong to its legacy implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._moved import Moved, resolver
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

if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            name: Moved("legacy.auth", "ropeway.asyncio.server.basic_auth")
            for name in ("BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory")
        },
    )
