"""How a client asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6)."""

from __future__ import annotations

from ..exceptions import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    SecurityError,
    StatusLineTooLong,
)
from ..http11 import HeadScanner, Response, parse_response
from ..proxy import Proxy, prepare_connect_request
from ..uri import WebSocketURI
from .steps import Plan, Receive, Send


def tunnel_plan(proxy: Proxy, target: WebSocketURI, user_agent_header: str | None) -> Plan[None]:
    """Turn the stream to ``proxy`` into one to ``target``.

    Raises:
        InvalidProxyStatus: when the proxy refuses; the exception has its response.
        InvalidProxyMessage: when the proxy does not speak HTTP, or hangs up.
    """
    yield Send(prepare_connect_request(proxy, target, user_agent_header))
    try:
        response = yield from _response_plan()
    except (EOFError, ValueError, SecurityError) as exc:
        raise InvalidProxyMessage("did not receive a valid HTTP response from proxy") from exc
    if not 200 <= response.status_code < 300:
        raise InvalidProxyStatus(response)


def _response_plan() -> Plan[Response]:
    scanner = HeadScanner(StatusLineTooLong)
    received = bytearray()
    size = 0
    while not size:
        data: bytes = yield Receive()
        if not data:
            raise EOFError("connection closed while reading HTTP headers")
        received += data
        size = scanner.scan(received)
    response = parse_response(received[:size], proxy=True)
    if 200 <= response.status_code < 300 and len(received) > size:
        # A client speaks first, in TLS as in WebSocket: these bytes cannot be the server's.
        raise ValueError(f"{len(received) - size} bytes follow the response")
    return response
