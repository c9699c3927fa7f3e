"""Small tools that belong to no other room: keys, masking, names, settings."""

from __future__ import annotations

import binascii
import os
from typing import TYPE_CHECKING, Any, overload

from .typing import BytesLike

if TYPE_CHECKING:
    import socket
    from hashlib import sha1
else:
    try:
        # That of OpenSSL looks for its implementation each time, which takes longer than to hash.
        from _sha1 import sha1
    except ImportError:
        from hashlib import sha1

__all__ = [
    "accept_key",
    "apply_mask",
    "env",
    "generate_key",
    "get_socket_name",
    "logger_name",
    "set_logger_prefix",
]

# RFC 6455, 1.3: the constant that ties Sec-WebSocket-Accept to this protocol.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_guid = GUID.encode()

_logger_prefix = "ropeway"


def generate_key() -> str:
    """Make a value for the Sec-WebSocket-Key header (RFC 6455, 4.1).

    Returns:
        16 random bytes in base64.
    """
    return binascii.b2a_base64(os.urandom(16), newline=False).decode()


def accept_key(key: str) -> str:
    """Compute the Sec-WebSocket-Accept header that answers a key (RFC 6455, 4.2.2).

    Args:
        key: value of the Sec-WebSocket-Key header.

    Returns:
        The base64 of the SHA-1 of the key and the protocol's GUID.
    """
    digest = sha1(key.encode() + _guid, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode()


def apply_mask(data: BytesLike, mask: bytes | bytearray) -> bytes:
    """Mask or unmask a payload (RFC 6455, 5.3).

    Args:
        data: the payload.
        mask: the masking key, 4 bytes.

    Returns:
        Each byte of the payload XORed with the byte of the key that is its turn.

    Raises:
        ValueError: when the key doesn't have 4 bytes.
        TypeError: when an argument isn't bytes-like.
    """
    key = bytes(memoryview(mask))
    if len(key) != 4:
        raise ValueError("mask must contain 4 bytes")
    payload = bytes(memoryview(data))
    size = len(payload)
    # One XOR of two long integers: without C, it is far faster than a loop over the bytes.
    pad = (key * (size // 4 + 1))[:size]
    xored = int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")
    return xored.to_bytes(size, "little")


def get_socket_name(sock: socket.socket) -> str:
    """Describe the address to which a socket is bound.

    Args:
        sock: a TCP socket over IPv4 or IPv6, or a Unix socket.

    Returns:
        ``host:port``, ``[host]:port``, or a path.

    Raises:
        AssertionError: when the socket is of another family.
    """
    # Told apart by shape: the families' numbers would need the socket module.
    address = sock.getsockname()
    if isinstance(address, (str, bytes)):
        return os.fsdecode(address)
    match address:
        case (str() as host, int() as port):
            return f"{host}:{port}"
        case (str() as host, int() as port, int(), int()):
            return f"[{host}]:{port}"
    raise AssertionError("unsupported socket family")


@overload
def env(name: str, default: None) -> str | None: ...
@overload
def env(name: str, default: int) -> int: ...
@overload
def env(name: str, default: float) -> float: ...
@overload
def env(name: str, default: str) -> str: ...
def env(name: str, default: Any) -> Any:
    """Read a setting from the environment: ``ROPEWAY_<name>``, or else ``WEBSOCKETS_<name>``.

    Args:
        name: the name without its prefix.
        default: what to return when neither is set; its type is the type of the setting.

    Returns:
        The value in the type of ``default`` (a str when ``default`` is None), or ``default``.

    Raises:
        ValueError: when the value can't be converted; the text names the variable.
    """
    for variable in (f"ROPEWAY_{name}", f"WEBSOCKETS_{name}"):
        value = os.environ.get(variable)
        if value is None:
            continue
        if default is None:
            return value
        try:
            return type(default)(value)
        except ValueError:
            kind = type(default).__name__
            raise ValueError(f"environment variable {variable} is {value!r}, not {kind}") from None
    return default


def logger_name(side: object) -> str:
    """Name the logger of one side of the connection.

    Args:
        side: ``"client"`` or ``"server"``, or a :class:`~ropeway.protocol.Side`.

    Returns:
        ``ropeway.client`` or ``ropeway.server``; see :func:`set_logger_prefix`.
    """
    name = side if isinstance(side, str) else getattr(side, "name", str(side))
    return f"{_logger_prefix}.{name.lower()}"


def set_logger_prefix(prefix: str) -> None:
    """Change the first part of the loggers' names, for connections made from now on.

    Args:
        prefix: ``"ropeway"``, or ``"websockets"`` when ropeway stands in for that package.
    """
    global _logger_prefix
    _logger_prefix = prefix
