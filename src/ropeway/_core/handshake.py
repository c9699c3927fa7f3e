"""What client and server check alike in a handshake's headers (RFC 6455 section 4)."""

from __future__ import annotations

from ..datastructures import Headers, MultipleValuesError
from ..exceptions import InvalidHeader, InvalidUpgrade
from ..headers import parse_connection, parse_upgrade

# How nearly everybody writes the two headers; all other ways are left to the parsers.
CONNECTION = frozenset({"Upgrade", "upgrade", "keep-alive, Upgrade"})
UPGRADE = frozenset({"websocket", "WebSocket"})


def check_upgrade(headers: Headers) -> None:
    """Check that a handshake's headers upgrade to WebSocket (RFC 6455 sections 4.1 and 4.2.1).

    Args:
        headers: of the request or the response.

    Raises:
        InvalidUpgrade: when Upgrade or Connection is missing or wrong.

    """
    if headers._only("connection") not in CONNECTION or headers._only("upgrade") not in UPGRADE:
        _check_all(headers)


def _check_all(headers: Headers) -> None:
    """Check the two headers however they are written."""
    options = [
        option for value in headers.get_all("Connection") for option in parse_connection(value)
    ]
    if not any(option.lower() == "upgrade" for option in options):
        raise InvalidUpgrade("Connection", ", ".join(options) or None)
    protocols = [
        protocol for value in headers.get_all("Upgrade") for protocol in parse_upgrade(value)
    ]
    # 4.1: "an ASCII case-insensitive match for the value "websocket"".
    if len(protocols) != 1 or protocols[0].lower() != "websocket":
        raise InvalidUpgrade("Upgrade", ", ".join(protocols) or None)


def single_value(headers: Headers, name: str) -> str:
    """Give the value of a header that must be there exactly once; InvalidHeader otherwise."""
    try:
        return headers[name]
    except KeyError:
        raise InvalidHeader(name) from None
    except MultipleValuesError:
        raise InvalidHeader(name, "multiple values") from None
