"""The client's request, with what its caller wants to have in it."""

from __future__ import annotations

from ..client import ClientProtocol
from ..datastructures import Headers, HeadersLike
from ..http11 import Request


def prepare_request(
    protocol: ClientProtocol,
    additional_headers: HeadersLike | None,
    user_agent_header: str | None,
) -> Request:
    """Make the request that opens a connection (RFC 6455, section 4.1).

    Args:
        protocol: makes the request; it is told when the caller has a key of their own.
        additional_headers: headers to add; one that the request has by itself is replaced.
        user_agent_header: value of ``User-Agent``, None for none.

    Returns:
        The request, ready to be sent.
    """
    request = protocol.connect()
    if user_agent_header is not None:
        request.headers["User-Agent"] = user_agent_header
    if additional_headers is not None:
        request.headers = merge_headers(request.headers, Headers(additional_headers))
        # Programs that repeat a browser's request bring its key: the server's answer is to that.
        protocol.key = request.headers["Sec-WebSocket-Key"]
    return request


def merge_headers(ours: Headers, callers: Headers) -> Headers:
    """Return ``ours`` with those of the caller in their place, and the caller's others after."""
    merged = Headers()
    for name, value in ours.raw_items():
        if name not in callers:
            merged[name] = value
        elif name not in merged:
            for replacement in callers.get_all(name):
                merged[name] = replacement
    for name, value in callers.raw_items():
        if name not in ours:
            merged[name] = value
    return merged
