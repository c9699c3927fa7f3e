"""HTTP/1.1 messages of the opening handshake: one parser, two ways to feed it (RFC 9112).

:class:`HeadScanner` finds the end of a head while bytes arrive and enforces the limits as it goes;
:func:`parse_request` and :func:`parse_response` parse a complete head in one pass;
:func:`response_body` says how a body is read. ``Request.parse`` and ``Response.parse`` are the same
for callers who read through generators.

The room knows the syntax of HTTP. It doesn't know what makes a request a WebSocket handshake.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import time
import warnings
from collections.abc import Callable, Generator

from .datastructures import TEXT_ALPHABET, TOKEN_ALPHABET, Headers, is_text, is_token
from .exceptions import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from .utils import env
from .version import version as ropeway_version

__all__ = [
    "SERVER",
    "USER_AGENT",
    "HeadScanner",
    "Request",
    "Response",
    "http_date",
    "parse_request",
    "parse_response",
    "response_body",
]

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

SERVER = env("SERVER", f"Python/{PYTHON_VERSION} ropeway/{ropeway_version}")
"""Default value of the Server header."""

USER_AGENT = env("USER_AGENT", f"Python/{PYTHON_VERSION} ropeway/{ropeway_version}")
"""Default value of the User-Agent header."""

MAX_LINE_LENGTH = env("MAX_LINE_LENGTH", 8192)
"""Bytes in a request line, a status line or a header line, CRLF included."""

MAX_NUM_HEADERS = env("MAX_NUM_HEADERS", 128)
"""Headers in a message."""

MAX_HEAD_SIZE = env("MAX_HEAD_SIZE", 65536)
"""Bytes in the head of a message, from the first line to the blank line."""

MAX_BODY_SIZE = env("MAX_BODY_SIZE", 1_048_576)
"""Bytes in the body of a response."""

ReadLine = Callable[[int, type[Exception]], Generator[None, None, bytes | bytearray]]
ReadExact = Callable[[int], Generator[None, None, bytes | bytearray]]
ReadToEof = Callable[[int, type[Exception]], Generator[None, None, bytes | bytearray]]

# The response that a server sends most.
REASON_101 = "Switching Protocols"
LINE_101 = b"HTTP/1.1 101 Switching Protocols\r\n"

# Not from strftime or calendar, whose names depend on the locale.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# RFC 9112, 3.2: a request target has visible ASCII characters only.
is_target: Callable[[str], re.Match[str] | None] = re.compile(r"[\x21-\x7e]+").fullmatch
_is_version = re.compile(r"HTTP/[0-9]\.[0-9]").fullmatch
# ASCII digits, and no more of them than can be meant: int() takes signs, underscores, other
# scripts, and quadratic time.
_is_status = re.compile(r"[0-9]+").fullmatch
_is_length = re.compile(r"[0-9]{1,18}").fullmatch
_is_chunk_size = re.compile(rb"[0-9A-Fa-f]{1,15}").fullmatch


class HeadScanner:
    """Looks for the end of a head in a buffer that grows, and enforces the limits on the way.

    The same exception is raised for the same bytes, however they are split. Time is linear in
    the number of bytes, and a peer can't make the buffer grow beyond :data:`MAX_HEAD_SIZE`.

    Args:
        first_line_error: what to raise when the first line is too long:
            :exc:`~ropeway.exceptions.RequestLineTooLong` or
            :exc:`~ropeway.exceptions.StatusLineTooLong`.
    """

    # The lines before _line_start are checked; there is no LF between it and _searched.
    __slots__ = ("_first_line_error", "_line_start", "_lines", "_searched")

    def __init__(self, first_line_error: type[Exception] = RequestLineTooLong) -> None:
        self._first_line_error = first_line_error
        self._line_start = 0
        self._searched = 0
        self._lines = 0

    def scan(self, buffer: bytes | bytearray) -> int:
        """Continue with the bytes that were added to the buffer since the last call.

        Args:
            buffer: everything received so far.

        Returns:
            The length of the head, blank line included; 0 when it isn't complete.

        Raises:
            RequestLineTooLong: when the first line is over the limit (or ``first_line_error``).
            HeaderLineTooLong: when a header line, or the whole head, is over the limit.
            TooManyHeaders: when there are more headers than the limit.
            ValueError: when a line ends with LF alone.
        """
        if self._searched == 0:
            # Most heads arrive in one piece, shorter than a line may be: no line in it can be too
            # long, and what else may be wrong the parser finds.
            end = buffer.find(b"\r\n\r\n") + 4
            if 4 <= end <= MAX_LINE_LENGTH:
                return end
        return self._scan_lines(buffer)

    def _scan_lines(self, buffer: bytes | bytearray) -> int:
        """Do the work of scan, line by line."""
        start = self._line_start
        while (newline := buffer.find(b"\n", self._searched)) >= 0:
            self._searched = newline + 1
            self._check_size(start, newline + 1)
            if newline == start or buffer[newline - 1] != 0x0D:
                raise ValueError("line without CRLF")
            if newline == start + 1 and self._lines > 0:
                return newline + 1
            # The first line isn't a header.
            if self._lines > MAX_NUM_HEADERS:
                raise TooManyHeaders(f"expected no more than {MAX_NUM_HEADERS} headers")
            self._lines += 1
            self._line_start = start = newline + 1
        self._searched = len(buffer)
        self._check_size(start, len(buffer))
        return 0

    def _check_size(self, start: int, end: int) -> None:
        """Check the limits for a line that goes from start to end, or further."""
        if end - start > MAX_LINE_LENGTH:
            error = HeaderLineTooLong if self._lines else self._first_line_error
            # Not how much was read, which depends on how the bytes were split.
            raise error(
                f"read {MAX_LINE_LENGTH + 1} bytes, expected no more than {MAX_LINE_LENGTH} bytes"
            )
        if end > MAX_HEAD_SIZE:
            raise HeaderLineTooLong(f"head is over {MAX_HEAD_SIZE} bytes")


@dataclasses.dataclass
class Request:
    """A WebSocket handshake request (RFC 9112, 3).

    Args:
        path: the request target: path and query.
        headers: the headers.
        method: the method.
        protocol: the HTTP version.
    """

    path: str
    headers: Headers
    method: str = "GET"
    protocol: str = "HTTP/1.1"
    # Set by the server when the handshake fails; the property below is what is left of its use.
    _exception: Exception | None = None

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated: see the warning's text for what to use."""
        warnings.warn(
            "Request.exception is deprecated; use ServerProtocol.handshake_exc instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._exception

    @classmethod
    def parse(cls, read_line: ReadLine) -> Generator[None, None, Request]:
        """Read a request.

        Args:
            read_line: generator-based coroutine that reads a line, given the number of bytes it
                may have and what to raise when it has more.

        Raises:
            EOFError: when the stream ends inside the request.
            SecurityError: when a limit is exceeded.
            NotImplementedError: when the request has a transfer coding.
            ValueError: when the request isn't valid, or has a body.
        """
        head = yield from _read_head(read_line, "request", RequestLineTooLong)
        return parse_request(head)

    def serialize(self) -> bytes:
        """Write the request.

        Raises:
            ValueError: when the method, the path or a header name contains a character that can't
                be sent.
            InvalidHeaderValue: when a header value contains a character that can't be sent.
        """
        if not is_token(self.method):
            raise ValueError(f"invalid HTTP method: {self.method!r}")
        if not is_target(self.path):
            raise ValueError(f"invalid HTTP request target: {self.path!r}")
        if not _is_version(self.protocol):
            raise ValueError(f"invalid HTTP version: {self.protocol!r}")
        line = f"{self.method} {self.path} {self.protocol}\r\n"
        return line.encode("ascii") + self.headers.serialize()


@dataclasses.dataclass
class Response:
    """A WebSocket handshake response (RFC 9112, 4).

    Args:
        status_code: the status code.
        reason_phrase: the reason phrase.
        headers: the headers.
        body: the body.
    """

    status_code: int
    reason_phrase: str
    headers: Headers
    body: bytes | bytearray = b""
    # Set by the client when the handshake fails; the property below is what is left of its use.
    _exception: Exception | None = None

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated: see the warning's text for what to use."""
        warnings.warn(
            "Response.exception is deprecated; use ClientProtocol.handshake_exc instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._exception

    @classmethod
    def parse(
        cls,
        read_line: ReadLine,
        read_exact: ReadExact,
        read_to_eof: ReadToEof,
        proxy: bool = False,
    ) -> Generator[None, None, Response]:
        """Read a response.

        Args:
            read_line: generator-based coroutine that reads a line, given the number of bytes it
                may have and what to raise when it has more.
            read_exact: generator-based coroutine that reads that many bytes.
            read_to_eof: generator-based coroutine that reads all there is, given the number of
                bytes it may be and what to raise when it is more.
            proxy: whether this is a proxy's answer to CONNECT: HTTP/1.0 is accepted, and what
                follows the head isn't a body.

        Raises:
            EOFError: when the stream ends inside the response.
            SecurityError: when a limit is exceeded, or the length of the body is invalid.
            NotImplementedError: when the body has a transfer coding other than chunked.
            MultipleValuesError: when Content-Length or Transfer-Encoding is repeated.
            ValueError: when the response isn't valid.
        """
        head = yield from _read_head(read_line, "status", StatusLineTooLong)
        response = parse_response(head, proxy=proxy)
        if not proxy:
            response.body = yield from response_body(response, read_line, read_exact, read_to_eof)
        return response

    def serialize(self) -> bytes:
        """Write the response.

        Raises:
            ValueError: when the reason phrase or a header name contains a character that can't be
                sent.
            InvalidHeaderValue: when a header value contains a character that can't be sent.
        """
        if self.status_code == 101 and self.reason_phrase == REASON_101 and not self.body:
            return LINE_101 + self.headers.serialize()
        if not is_text(self.reason_phrase):
            raise ValueError(f"invalid HTTP reason phrase: {self.reason_phrase!r}")
        line = f"HTTP/1.1 {self.status_code:d} {self.reason_phrase}\r\n"
        return b"".join((line.encode("iso-8859-1"), self.headers.serialize(), self.body))


def parse_request(head: bytes | bytearray) -> Request:
    """Parse the head of a request in one pass (RFC 9112, 3).

    Args:
        head: everything up to and including the blank line.

    Raises:
        RequestLineTooLong: when the request line is over the limit.
        HeaderLineTooLong: when a header line, or the whole head, is over the limit.
        TooManyHeaders: when there are more headers than the limit.
        NotImplementedError: when the request has a transfer coding.
        ValueError: when the request isn't valid, or has a body.
    """
    line, headers = _split_head(head, RequestLineTooLong)
    try:
        method, path, protocol = line.split(" ", 2)
    except ValueError:
        raise ValueError(f"invalid HTTP request line: {_show(line)}") from None
    if protocol not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError(f"unsupported protocol; expected HTTP/1.1 or HTTP/1.0: {_show(line)}")
    if not is_token(method):
        raise ValueError(f"invalid HTTP method: {_show(method)}")
    if not is_target(path):
        raise ValueError(f"invalid HTTP request target: {_show(path)}")
    # RFC 9112, 6.1 and 6.3: what follows the head of a request with a body isn't frames.
    if "Transfer-Encoding" in headers:
        raise NotImplementedError("transfer codings aren't supported")
    if any(length != "0" for length in headers.get_all("Content-Length")):
        raise ValueError("unsupported request body")
    return Request(path, headers, method, protocol)


def parse_response(head: bytes | bytearray, *, proxy: bool = False) -> Response:
    """Parse the head of a response in one pass (RFC 9112, 4).

    Args:
        head: everything up to and including the blank line.
        proxy: whether this is a proxy's answer to CONNECT, for which HTTP/1.0 is accepted.

    Returns:
        The response, with an empty body; see :func:`response_body`.

    Raises:
        StatusLineTooLong: when the status line is over the limit.
        HeaderLineTooLong: when a header line, or the whole head, is over the limit.
        TooManyHeaders: when there are more headers than the limit.
        ValueError: when the response isn't valid.
    """
    line, headers = _split_head(head, StatusLineTooLong)
    try:
        protocol, digits, reason = line.split(" ", 2)
    except ValueError:
        raise ValueError(f"invalid HTTP status line: {_show(line)}") from None
    if protocol != "HTTP/1.1" and not (proxy and protocol == "HTTP/1.0"):
        expected = "HTTP/1.1 or HTTP/1.0" if proxy else "HTTP/1.1"
        raise ValueError(f"unsupported protocol; expected {expected}: {_show(line)}")
    if not _is_status(digits):
        raise ValueError(f"invalid status code; expected integer; got {_show(digits)}")
    # RFC 9110, 15: three digits.
    if len(digits) != 3 or not "100" <= digits <= "599":
        raise ValueError(f"invalid status code; expected 100–599; got {_show(digits)}")
    return Response(int(digits), reason, headers)


def response_body(
    response: Response,
    read_line: ReadLine,
    read_exact: ReadExact,
    read_to_eof: ReadToEof,
) -> Generator[None, None, bytes]:
    """Read the body of a response to a GET request (RFC 9112, 6.3).

    Args:
        response: the response, as its head tells it.
        read_line: see :meth:`Response.parse`.
        read_exact: see :meth:`Response.parse`.
        read_to_eof: see :meth:`Response.parse`.

    Returns:
        The body; empty for a status that has none.

    Raises:
        EOFError: when the stream ends inside the body.
        SecurityError: when the body is over the limit, or its length is invalid.
        NotImplementedError: when it has a transfer coding other than chunked.
        MultipleValuesError: when Content-Length or Transfer-Encoding is repeated.
        ValueError: when a chunk isn't valid.
    """
    status = response.status_code
    # RFC 9110, 6.4.1.
    if 100 <= status < 200 or status in (204, 304):
        return b""
    coding = response.headers.get("Transfer-Encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise NotImplementedError(f"transfer coding {coding} isn't supported")
        return (yield from _read_chunks(read_line, read_exact))
    length = response.headers.get("Content-Length")
    if length is None:
        return bytes((yield from read_to_eof(MAX_BODY_SIZE, SecurityError)))
    if not _is_length(length):
        raise SecurityError(f"invalid content length: {length}")
    if int(length) > MAX_BODY_SIZE:
        raise SecurityError(f"body too large: {int(length)} bytes")
    return bytes((yield from read_exact(int(length))))


def http_date(timestamp: float) -> str:
    """Format a time for a Date header (RFC 9110, 5.6.7).

    Args:
        timestamp: seconds since the epoch; fractions are dropped.

    Returns:
        An IMF-fixdate, such as ``Sun, 06 Nov 1994 08:49:37 GMT``, whatever the locale.
    """
    return _http_date(int(timestamp // 1))


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    # Kept, since a busy server opens many connections in a second.
    moment = time.gmtime(second)
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02d}"
        f" {_MONTHS[moment.tm_mon - 1]} {moment.tm_year:04d}"
        f" {moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d} GMT"
    )


def _split_head(head: bytes | bytearray, first_line_error: type[Exception]) -> tuple[str, Headers]:
    """Return the first line and the headers, of which every character has been checked."""
    text = head.decode("iso-8859-1")
    lines = text.split("\r\n")
    # A sound head leaves one CRLF a line and nothing else; a lone CR or LF breaks the count. A
    # head that fits into a line can't have a line that is too long.
    if (
        head.translate(None, TEXT_ALPHABET) != b"\r\n" * (len(lines) - 1)
        or len(head) > MAX_LINE_LENGTH
        or len(lines) - 3 > MAX_NUM_HEADERS
        or text[-4:] != "\r\n\r\n"
    ):
        _check_head(head, lines, first_line_error)
    items = []
    names = []
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name:
            _check_headers(lines)
        names.append(name)
        items.append((name, value.strip("\t ")))
    if "".join(names).encode("iso-8859-1").translate(None, TOKEN_ALPHABET):
        _check_headers(lines)
    return lines[0], Headers._from_items(items)


def _check_head(
    head: bytes | bytearray, lines: list[str], first_line_error: type[Exception]
) -> None:
    """Raise what is wrong with a head that looks wrong; it may be just a long one."""
    if not 0 < HeadScanner(first_line_error)._scan_lines(head) == len(head):
        raise ValueError("head doesn't end with its first blank line")
    if not is_text(lines[0]):
        what = "request" if first_line_error is RequestLineTooLong else "status"
        raise ValueError(f"invalid HTTP {what} line: {_show(lines[0])}")
    _check_headers(lines)


def _check_headers(lines: list[str]) -> None:
    """Raise what is wrong with the first header line that isn't valid (RFC 9112, 5)."""
    for line in lines[1:-2]:
        # RFC 9112, 5.2: a line that starts with whitespace once continued the previous one; now
        # it has a name that isn't a token, or none.
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"invalid HTTP header line: {_show(line)}")
        if not is_token(name):
            raise ValueError(f"invalid HTTP header name: {_show(name)}")
        value = value.strip("\t ")
        if not is_text(value):
            raise ValueError(f"invalid HTTP header value: {_show(value)}")


def _show(text: str) -> str:
    """Undo the decoding of a head, for an error message that people can read."""
    return text.encode("iso-8859-1").decode(errors="backslashreplace")


def _read_head(
    read_line: ReadLine, what: str, first_line_error: type[Exception]
) -> Generator[None, None, bytes]:
    """Read lines until the scanner has seen the end of the head."""
    scanner = HeadScanner(first_line_error)
    head = bytearray()
    error = first_line_error
    while scanner.scan(head) == 0:
        try:
            head += yield from read_line(MAX_LINE_LENGTH, error)
        except EOFError as exc:
            part = "headers" if head else f"{what} line"
            raise EOFError(f"connection closed while reading HTTP {part}") from exc
        error = HeaderLineTooLong
    return bytes(head)


def _read_chunks(read_line: ReadLine, read_exact: ReadExact) -> Generator[None, None, bytes]:
    """Read a body in chunks, and the trailers, which are dropped (RFC 9112, 7.1)."""
    body = bytearray()
    while True:
        line = yield from read_line(MAX_LINE_LENGTH, SecurityError)
        if not line.endswith(b"\r\n"):
            raise ValueError("chunk without CRLF")
        digits = bytes(line[:-2]).partition(b";")[0]
        if not _is_chunk_size(digits):
            raise SecurityError(f"invalid chunk size: {digits.decode('iso-8859-1')}")
        size = int(digits, 16)
        if size == 0:
            break
        if len(body) + size > MAX_BODY_SIZE:
            raise SecurityError(f"chunk too large: {size} bytes after {len(body)} bytes")
        body += yield from read_exact(size)
        if (yield from read_exact(2)) != b"\r\n":
            raise ValueError("chunk without CRLF")
    yield from _read_trailers(read_line)
    return bytes(body)


def _read_trailers(read_line: ReadLine) -> Generator[None, None, None]:
    """Read the trailers under the same limits and rules as headers."""
    # As a head of which the last chunk is the first line.
    scanner = HeadScanner()
    head = bytearray(b"0\r\n")
    while scanner.scan(head) == 0:
        try:
            head += yield from read_line(MAX_LINE_LENGTH, HeaderLineTooLong)
        except EOFError as exc:
            raise EOFError("connection closed while reading HTTP headers") from exc
    _split_head(head, RequestLineTooLong)
