"""The opening handshake as four functions on headers (RFC 6455, 4)."""

from __future__ import annotations

import base64
import binascii

from .._core.handshake import check_upgrade, single_value
from ..datastructures import Headers
from ..exceptions import InvalidHeaderValue
from ..utils import accept_key, generate_key

__all__ = ["build_request", "build_response", "check_request", "check_response"]


def build_request(headers: Headers) -> str:
    """Add the headers of a handshake request (RFC 6455, 4.1).

    Args:
        headers: of the request; changed in place.

    Returns:
        The key, for :func:`check_response`.
    """
    key = generate_key()
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = key
    headers["Sec-WebSocket-Version"] = "13"
    return key


def check_request(headers: Headers) -> str:
    """Check the headers of a handshake request (RFC 6455, 4.2.1).

    Args:
        headers: of the request.

    Returns:
        The key, for :func:`build_response`.

    Raises:
        InvalidUpgrade: when Connection or Upgrade don't ask for a WebSocket.
        InvalidHeader: when the key or the version is missing, repeated or wrong.
    """
    check_upgrade(headers)
    key = single_value(headers, "Sec-WebSocket-Key")
    try:
        size = len(base64.b64decode(key.encode(), validate=True))
    except binascii.Error as exc:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key) from exc
    if size != 16:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key)
    version = single_value(headers, "Sec-WebSocket-Version")
    if version != "13":
        raise InvalidHeaderValue("Sec-WebSocket-Version", version)
    return key


def build_response(headers: Headers, key: str) -> None:
    """Add the headers of a response that accepts (RFC 6455, 4.2.2).

    Args:
        headers: of the response; changed in place.
        key: what :func:`check_request` gave.
    """
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Accept"] = accept_key(key)


def check_response(headers: Headers, key: str) -> None:
    """Check the headers of a response with status 101 (RFC 6455, 4.1).

    Args:
        headers: of the response.
        key: what :func:`build_request` gave.

    Raises:
        InvalidUpgrade: when Connection or Upgrade don't agree to a WebSocket.
        InvalidHeader: when Sec-WebSocket-Accept is missing, repeated or wrong.
    """
    check_upgrade(headers)
    accept = single_value(headers, "Sec-WebSocket-Accept")
    if accept != accept_key(key):
        raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
