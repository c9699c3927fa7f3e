"""How a client asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6)."""

from __future__ import annotations

from ..exceptions import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    SecurityError,
    StatusLineTooLong,
)
from ..http11 import HeadScanner, Response, parse_response
from .steps import Plan, Receive, Send


def tunnel_plan(request: bytes) -> Plan[bytes]:
    """Turn the stream to a proxy into one to where ``request`` asks for.

    Returns:
        Bytes that came from the target together with the response of the proxy.

    Raises:
        InvalidProxyStatus: when the proxy refuses; the exception has its response.
        InvalidProxyMessage: when the proxy does not speak HTTP, or hangs up.
    """
    yield Send(request)
    try:
        response, rest = yield from _response_plan()
    except (EOFError, ValueError, SecurityError) as exc:
        raise InvalidProxyMessage("did not receive a valid HTTP response from proxy") from exc
    if not 200 <= response.status_code < 300:
        raise InvalidProxyStatus(response)
    return rest


def _response_plan() -> Plan[tuple[Response, bytes]]:
    """Receive the head of a response; what follows it is not a body, whatever it says."""
    scanner = HeadScanner(StatusLineTooLong)
    received = bytearray()
    size = 0
    while not size:
        data: bytes = yield Receive()
        if not data:
            where = "headers" if b"\n" in received else "status line"
            raise EOFError(f"connection closed while reading HTTP {where}")
        received += data
        size = scanner.scan(received)
    return parse_response(received[:size], proxy=True), bytes(received[size:])
