"""Requests and responses read from an ``asyncio.StreamReader``; now ``ropeway.http11``."""

from __future__ import annotations

import asyncio

from ..datastructures import Headers
from ..exceptions import RequestLineTooLong, StatusLineTooLong
from ..http11 import HeadScanner, parse_request, parse_response

__all__ = ["read_request", "read_response"]


async def read_request(stream: asyncio.StreamReader) -> tuple[str, Headers]:
    """Read a handshake request, without a body.

    Args:
        stream: from which to read.

    Returns:
        The request target, such as ``/path?query``, and the headers.

    Raises:
        EOFError: when the stream ends inside the request.
        SecurityError: when a limit is exceeded.
        ValueError: when the request isn't valid, or isn't a GET of HTTP/1.1.
    """
    request = parse_request(await _read_head(stream, "request line", RequestLineTooLong))
    if request.method != "GET":
        raise ValueError(f"unsupported HTTP method: {request.method}")
    if request.protocol != "HTTP/1.1":
        raise ValueError(f"unsupported HTTP version: {request.protocol}")
    return request.path, request.headers


async def read_response(stream: asyncio.StreamReader) -> tuple[int, str, Headers]:
    """Read the head of a handshake response; a body stays in the stream.

    Args:
        stream: from which to read.

    Returns:
        The status code, the reason phrase and the headers.

    Raises:
        EOFError: when the stream ends inside the head.
        SecurityError: when a limit is exceeded.
        ValueError: when the response isn't valid.
    """
    response = parse_response(await _read_head(stream, "status line", StatusLineTooLong))
    return response.status_code, response.reason_phrase, response.headers


async def _read_head(
    stream: asyncio.StreamReader, first_line: str, first_line_error: type[Exception]
) -> bytes:
    scanner = HeadScanner(first_line_error)
    head = bytearray()
    while not scanner.scan(head):
        line = await stream.readline()
        if not line.endswith(b"\n"):
            where = "headers" if head else first_line
            raise EOFError(f"connection closed while reading HTTP {where}")
        head += line
    return bytes(head)
