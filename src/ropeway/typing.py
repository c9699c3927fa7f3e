"""The types that appear in public signatures.

Nothing here runs; :data:`LoggerLike` is made on first access, so that importing this module doesn't
import :mod:`logging`.
"""

from __future__ import annotations

import http
import os
import typing
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    import logging

__all__ = [
    "BytesLike",
    "ConnectionOption",
    "Data",
    "DataLike",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "PathLike",
    "StatusLike",
    "Subprotocol",
    "UpgradeProtocol",
]

Data = str | bytes
"""A received message: :class:`str` from a text message, :class:`bytes` from a binary one."""

BytesLike = bytes | bytearray | memoryview
"""What may be sent as a binary message."""

DataLike = str | bytes | bytearray | memoryview
"""What may be sent as a message, or as a fragment of one."""

if TYPE_CHECKING:
    LoggerLike = logging.Logger | logging.LoggerAdapter[Any]
    """What is accepted as ``logger``."""

StatusLike = http.HTTPStatus | int
"""An HTTP status code."""

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""The path of a Unix socket."""

Origin = NewType("Origin", str)
"""Value of an Origin header (RFC 6454)."""

Subprotocol = NewType("Subprotocol", str)
"""Name of a subprotocol (RFC 6455, 1.9)."""

ExtensionName = NewType("ExtensionName", str)
"""Name of an extension (RFC 6455, 9)."""

ExtensionParameter = tuple[str, str | None]
"""Name and value of an extension parameter; the value is None when there is none."""

ExtensionHeader = tuple[ExtensionName, typing.Sequence[ExtensionParameter]]
"""One item of a Sec-WebSocket-Extensions header: a name and its parameters."""

ConnectionOption = NewType("ConnectionOption", str)
"""One item of a Connection header (RFC 9110, 7.6.1)."""

UpgradeProtocol = NewType("UpgradeProtocol", str)
"""One item of an Upgrade header (RFC 9110, 7.8)."""


def __getattr__(name: str) -> Any:
    if name == "LoggerLike":
        import logging

        value = logging.Logger | logging.LoggerAdapter[Any]
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
