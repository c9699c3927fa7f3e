from __future__ import annotations

import datetime
import pickle
import re
import sys
import time
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway import http11
from ropeway.datastructures import Headers, MultipleValuesError
from ropeway.exceptions import (
    HeaderLineTooLong,
    InvalidHeaderValue,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from ropeway.http11 import (
    HeadScanner,
    Request,
    Response,
    http_date,
    parse_request,
    parse_response,
)
from ropeway.version import version

from .reading import Source, finish

GET = b"GET /chat HTTP/1.1\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def read_request(data: bytes) -> tuple[Request, bytes]:
    source = Source(data)
    return finish(Request.parse(source.read_line)), source.rest


def read_response(data: bytes, **options: bool) -> tuple[Response, bytes]:
    source = Source(data)
    reading = Response.parse(source.read_line, source.read_exact, source.read_to_eof, **options)
    return finish(reading), source.rest


def test_names_and_limits() -> None:
    name = f"Python/{sys.version_info[0]}.{sys.version_info[1]} ropeway/{version}"
    assert name == http11.SERVER == http11.USER_AGENT
    assert (http11.MAX_LINE_LENGTH, http11.MAX_NUM_HEADERS) == (8192, 128)
    assert (http11.MAX_HEAD_SIZE, http11.MAX_BODY_SIZE) == (65536, 1048576)


# Requests.


def test_parse_request() -> None:
    head = GET + b"Host: example.com\r\nA:b\r\na:\t c, d \t\r\nEmpty:\r\nE: \xe9\r\n\r\n"
    request = parse_request(head)
    assert (request.method, request.path, request.protocol) == ("GET", "/chat", "HTTP/1.1")
    assert list(request.headers.raw_items()) == [
        ("Host", "example.com"),
        ("A", "b"),
        ("a", "c, d"),
        ("Empty", ""),
        ("E", "é"),
    ]
    assert request.headers.get_all("a") == ["b", "c, d"]
    assert read_request(head + b"rest") == (request, b"rest")
    assert parse_request(bytearray(head)) == request


@pytest.mark.parametrize(
    ("line", "method", "path", "protocol"),
    [
        (b"GET / HTTP/1.0", "GET", "/", "HTTP/1.0"),
        (b"POST /a?b HTTP/1.1", "POST", "/a?b", "HTTP/1.1"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", "HTTP/1.1"),
        (b"GET http://h/p HTTP/1.1", "GET", "http://h/p", "HTTP/1.1"),
        (b"get ~ HTTP/1.1", "get", "~", "HTTP/1.1"),
    ],
)
def test_request_lines(line: bytes, method: str, path: str, protocol: str) -> None:
    request = parse_request(line + b"\r\n\r\n")
    assert request == Request(path, Headers(), method, protocol)


UNSUPPORTED = "unsupported protocol; expected HTTP/1.1 or HTTP/1.0"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "invalid HTTP request line: "),
        (b"GET", "invalid HTTP request line: GET"),
        (b"GET /", "invalid HTTP request line: GET /"),
        (b"GET\t/\tHTTP/1.1", "invalid HTTP request line: GET\t/\tHTTP/1.1"),
        (b"GET /\x00 HTTP/1.1", "invalid HTTP request line: GET /\x00 HTTP/1.1"),
        (b"GET /\x7f HTTP/1.1", "invalid HTTP request line: GET /\x7f HTTP/1.1"),
        (b"GET / HTTP/1.1\r", "invalid HTTP request line: GET / HTTP/1.1\r"),
        (b"GET / HTTP/2.0", f"{UNSUPPORTED}: GET / HTTP/2.0"),
        (b"GET / http/1.1", f"{UNSUPPORTED}: GET / http/1.1"),
        (b"GET  / HTTP/1.1", f"{UNSUPPORTED}: GET  / HTTP/1.1"),
        (b"GET / HTTP/1.1 ", f"{UNSUPPORTED}: GET / HTTP/1.1 "),
        (b"GET  HTTP/1.1", "invalid HTTP request target: "),
        (b"GET /\xc3\xa9 HTTP/1.1", "invalid HTTP request target: /é"),
        (b"GET /\xff HTTP/1.1", r"invalid HTTP request target: /\xff"),
        (b"GET /\t HTTP/1.1", "invalid HTTP request target: /\t"),
        (b" / HTTP/1.1", "invalid HTTP method: "),
        (b"G(T / HTTP/1.1", "invalid HTTP method: G(T"),
        (b"\xc3\xa9 / HTTP/1.1", "invalid HTTP method: é"),
    ],
)  # fmt: skip
def test_broken_request_lines(line: bytes, text: str) -> None:
    for read in (parse_request, read_request):
        with pytest.raises(ValueError) as caught:
            read(line + b"\r\nHost: h\r\n\r\n")
        assert str(caught.value) == text


BROKEN_HEADERS = [
    (b"A", "invalid HTTP header line: A"),
    (b"A b", "invalid HTTP header line: A b"),
    (b": b", "invalid HTTP header name: "),
    (b"A : b", "invalid HTTP header name: A "),
    (b"A\t: b", "invalid HTTP header name: A\t"),
    (b"A\x00: b", "invalid HTTP header name: A\x00"),
    (b"A B: b", "invalid HTTP header name: A B"),
    (b"(A): b", "invalid HTTP header name: (A)"),
    (b"A\xff: b", r"invalid HTTP header name: A\xff"),
    (b"\xc3\xa9: b", "invalid HTTP header name: é"),
    (b"A: \x00", "invalid HTTP header value: \x00"),
    (b"A: b\x7f", "invalid HTTP header value: b\x7f"),
    (b"A: b\x0bc", "invalid HTTP header value: b\x0bc"),
    # a lone CR
    (b"A: b\rc", "invalid HTTP header value: b\rc"),
    (b"A: b\r", "invalid HTTP header value: b\r"),
    (b"\rA: b", "invalid HTTP header name: \rA"),
    # obsolete line folding
    (b"A: b\r\n c", "invalid HTTP header line:  c"),
    (b"A: b\r\n\tC: d", "invalid HTTP header name: \tC"),
    (b" A: b", "invalid HTTP header name:  A"),
    # a lone LF
    (b"A: b\nB: c", "line without CRLF"),
    (b"A: b\n", "line without CRLF"),
    (b"\nA: b", "line without CRLF"),
    (b"A: b\n\r", "line without CRLF"),
]


@pytest.mark.parametrize(("lines", "text"), BROKEN_HEADERS)
@pytest.mark.parametrize("before", [b"", b"Good: 1\r\n"])
@pytest.mark.parametrize("after", [b"", b"Good: 2\r\n", b"Bad\r\n"])
def test_broken_headers(lines: bytes, text: str, before: bytes, after: bytes) -> None:
    headers = before + lines + b"\r\n" + after + b"\r\n"
    for read, first in (
        (parse_request, GET),
        (read_request, GET),
        (parse_response, OK),
        (read_response, OK),
    ):
        with pytest.raises(ValueError) as caught:
            read(first + headers)  # type: ignore[operator]
        assert str(caught.value) == text


@pytest.mark.parametrize("length", [b"", b"1", b"00", b"+0", b"-0", b"x", b"0, 0", b"\xb2"])
def test_a_request_with_a_body(length: bytes) -> None:
    with pytest.raises(ValueError, match="unsupported request body"):
        parse_request(GET + b"Content-Length: 0\r\nContent-Length: " + length + b"\r\n\r\n")


def test_a_request_with_an_empty_body() -> None:
    request = parse_request(GET + b"Content-Length: 0\r\nContent-Length: 0 \r\n\r\n")
    assert request.headers.get_all("Content-Length") == ["0", "0"]


@pytest.mark.parametrize("coding", [b"chunked", b"identity", b""])
def test_a_request_with_a_transfer_coding(coding: bytes) -> None:
    with pytest.raises(NotImplementedError, match="transfer codings aren't supported"):
        parse_request(GET + b"Transfer-Encoding: " + coding + b"\r\nContent-Length: 5\r\n\r\n")


@pytest.mark.parametrize("head", [b"", GET, GET + b"\r\n\r\n", GET + b"A: b\r\n", b"\r\n"])
def test_what_is_not_a_head(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(invalid HTTP header|head doesn't)"):
        parse_request(head)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "request line"),
        (b"GET / HT", "request line"),
        (GET, "headers"),
        (GET + b"A: b", "headers"),
        (GET + b"A: b\r\n", "headers"),
        (GET + b"A: b\r\n\r", "headers"),
    ],
)
def test_a_stream_that_ends_inside_a_request(data: bytes, part: str) -> None:
    with pytest.raises(EOFError, match=f"connection closed while reading HTTP {part}") as caught:
        read_request(data)
    assert isinstance(caught.value.__cause__, EOFError)


# Limits.


def header_lines(size: int) -> bytes:
    """Return as few header lines as make so many bytes."""
    lines = b""
    while size - len(lines) > http11.MAX_LINE_LENGTH:
        part = min(http11.MAX_LINE_LENGTH, size - len(lines) - 5)
        lines += b"A: ".ljust(part - 2, b"a") + b"\r\n"
    return lines + b"A: ".ljust(size - len(lines) - 2, b"a") + b"\r\n"


AT_LIMIT = [
    (b"GET /".ljust(8192 - 11, b"a") + b" HTTP/1.1\r\n\r\n", "request line"),
    (GET + header_lines(8192) + b"\r\n", "header line"),
    (GET + b"A: b\r\n" * 128 + b"\r\n", "headers"),
    (GET + header_lines(65536 - len(GET) - 2) + b"\r\n", "head"),
]


@pytest.mark.parametrize("head", [head for head, _ in AT_LIMIT], ids=[what for _, what in AT_LIMIT])
def test_heads_at_a_limit(head: bytes) -> None:
    request = parse_request(head)
    assert read_request(head + b"rest") == (request, b"rest")
    for size in (1, 1000, 8191, 8192, 8193, 65535, 100000):
        assert scan(head + b"rest", size) == (len(head), None)


TOO_LONG = "read 8193 bytes, expected no more than 8192 bytes"
OVER_LIMIT = [
    (b"GET /".ljust(8193 - 11, b"a") + b" HTTP/1.1\r\n\r\n", RequestLineTooLong, TOO_LONG),
    (b"G" * 9000, RequestLineTooLong, TOO_LONG),
    (GET + b"A: ".ljust(8191, b"a") + b"\r\n\r\n", HeaderLineTooLong, TOO_LONG),
    (GET + b"a" * 9000, HeaderLineTooLong, TOO_LONG),
    (GET + b"A: b\r\n" * 129 + b"\r\n", TooManyHeaders, "expected no more than 128 headers"),
    (GET + b"bad\r\n" * 129, TooManyHeaders, "expected no more than 128 headers"),
    (
        GET + header_lines(65537 - len(GET) - 2) + b"\r\n",
        HeaderLineTooLong,
        "head is over 65536 bytes",
    ),
    (GET + header_lines(70000), HeaderLineTooLong, "head is over 65536 bytes"),
    (GET + b"\n" + b"A: b\r\n" * 129, ValueError, "line without CRLF"),
    (GET + b"A: b\r\n" * 129 + b"\n", TooManyHeaders, "expected no more than 128 headers"),
]


@pytest.mark.parametrize(("data", "error", "text"), OVER_LIMIT, ids=range(len(OVER_LIMIT)))
def test_heads_over_a_limit(data: bytes, error: type[Exception], text: str) -> None:
    sizes = (len(data), 997, 8191, 8192, 8193, 65537)
    assert {outcome(data, size) for size in sizes} == {repr(error(text))}
    with pytest.raises(error):
        read_request(data)
    if data.endswith(b"\r\n\r\n"):
        with pytest.raises(error, match=text):
            parse_request(data)


def test_the_status_line_has_an_error_of_its_own() -> None:
    head = b"HTTP/1.1 200 " + b"a" * 9000 + b"\r\n\r\n"
    with pytest.raises(StatusLineTooLong, match=TOO_LONG):
        parse_response(head)
    with pytest.raises(StatusLineTooLong):
        read_response(head)
    with pytest.raises(StatusLineTooLong, match=TOO_LONG):
        HeadScanner(StatusLineTooLong).scan(head)


def scan(data: bytes, *sizes: int) -> tuple[int, Exception | None]:
    """Feed a scanner in pieces of these sizes, the last one again and again."""
    scanner = HeadScanner()
    buffer = bytearray()
    sizes_left = list(sizes)
    while len(buffer) < len(data):
        size = sizes_left.pop(0) if len(sizes_left) > 1 else sizes_left[0]
        buffer += data[len(buffer) : len(buffer) + size]
        try:
            if end := scanner.scan(buffer):
                return end, None
        except Exception as exc:
            return 0, exc
    return 0, None


def outcome(data: bytes, *sizes: int) -> str:
    """Return what a server makes of these bytes: a request and what follows, or an error."""
    end, error = scan(data, *sizes)
    if error is not None:
        return repr(error)
    if end == 0:
        return "incomplete"
    try:
        return f"{parse_request(data[:end])} {data[end:]!r}"
    except Exception as exc:
        return repr(exc)


PIECES = [GET[:-2], GET, b"A: b", b"A: \xff\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b" ", b"x"]
HEADS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3)).map(b"".join)


@given(st.booleans(), HEADS, st.lists(st.integers(1, 40), min_size=1))
def test_the_outcome_does_not_depend_on_the_split(
    start: bool, data: bytes, sizes: list[int]
) -> None:
    data = GET * start + data
    assert outcome(data, *sizes) == outcome(data, len(data) or 1)


@given(st.booleans(), HEADS)
def test_both_ways_to_read_a_request_agree(start: bool, data: bytes) -> None:
    data = GET * start + data
    try:
        result = "{} {!r}".format(*read_request(data))
    except EOFError:
        result = "incomplete"
    except Exception as exc:
        result = repr(exc)
    assert outcome(data, 1) == result


def test_scanning_byte_by_byte_takes_linear_time() -> None:
    data = GET + header_lines(65000) + b"\r\n"
    before = time.process_time()
    assert scan(data, 1) == (len(data), None)
    assert time.process_time() - before < 1


# Responses.


def test_parse_response() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nA:b \r\n\r\n"
    response = parse_response(head)
    assert response == Response(
        101, "Switching Protocols", Headers(Upgrade="websocket", A="b"), b""
    )
    assert read_response(head + b"rest") == (response, b"rest")


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 ", 200, ""),
        (b"HTTP/1.1 100 Continue", 100, "Continue"),
        (b"HTTP/1.1 599 a\tb", 599, "a\tb"),
        (b"HTTP/1.1 404 \xe9", 404, "é"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: str) -> None:
    assert parse_response(line + b"\r\n\r\n") == Response(status, reason, Headers())


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "invalid HTTP status line: "),
        (b"HTTP/1.1 200", "invalid HTTP status line: HTTP/1.1 200"),
        (b"HTTP/1.1 200 a\x00", "invalid HTTP status line: HTTP/1.1 200 a\x00"),
        (b"HTTP/1.0 200 OK", "unsupported protocol; expected HTTP/1.1: HTTP/1.0 200 OK"),
        (b"HTTP/2 200 OK", "unsupported protocol; expected HTTP/1.1: HTTP/2 200 OK"),
        (b"HTTP/1.1  200 OK", "invalid status code; expected integer; got "),
        (b"HTTP/1.1 OK 200", "invalid status code; expected integer; got OK"),
        (b"HTTP/1.1 +20 OK", "invalid status code; expected integer; got +20"),
        (b"HTTP/1.1 2_0 OK", "invalid status code; expected integer; got 2_0"),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK", r"invalid status code; expected integer; got \xb2\xb2\xb2"),
        (b"HTTP/1.1 99 OK", "invalid status code; expected 100–599; got 99"),
        (b"HTTP/1.1 099 OK", "invalid status code; expected 100–599; got 099"),
        (b"HTTP/1.1 600 OK", "invalid status code; expected 100–599; got 600"),
        (b"HTTP/1.1 0200 OK", "invalid status code; expected 100–599; got 0200"),
        (b"HTTP/1.1 2000 OK", "invalid status code; expected 100–599; got 2000"),
    ],
)
def test_broken_status_lines(line: bytes, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_response(line + b"\r\nA: b\r\n\r\n")
    assert str(caught.value) == text


def test_proxies_may_speak_http_1_0() -> None:
    head = b"HTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n"
    response = parse_response(head, proxy=True)
    assert (response.status_code, response.body) == (200, b"")
    # What follows is the tunnel.
    assert read_response(head + b"rest", proxy=True) == (response, b"rest")
    with pytest.raises(ValueError, match=r"expected HTTP/1\.1 or HTTP/1\.0: HTTP/1\.2 200 OK"):
        parse_response(b"HTTP/1.2 200 OK\r\n\r\n", proxy=True)


CHUNKED = OK + b"Transfer-Encoding: Chunked\r\n\r\n"

BODIES = [
    (b"HTTP/1.1 101 x\r\n\r\nabc", b"", b"abc"),
    (b"HTTP/1.1 100 x\r\nContent-Length: 2\r\n\r\nabc", b"", b"abc"),
    (b"HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\nabc", b"", b"abc"),
    (b"HTTP/1.1 304 x\r\nContent-Length: 2\r\n\r\nabc", b"", b"abc"),
    (OK + b"\r\nabc", b"abc", b""),
    (OK + b"\r\n" + b"a" * 1048576, b"a" * 1048576, b""),
    (OK + b"Content-Length: 2\r\n\r\nabc", b"ab", b"c"),
    (OK + b"Content-Length: 002\r\n\r\nabc", b"ab", b"c"),
    (OK + b"Content-Length: 0\r\n\r\nabc", b"", b"abc"),
    (OK + b"Content-Length: 1048576\r\n\r\n" + b"a" * 1048577, b"a" * 1048576, b"a"),
    (CHUNKED + b"0\r\n\r\nabc", b"", b"abc"),
    (CHUNKED + b"1\r\na\r\n00B;x=y\r\nhello world\r\n0\r\n\r\nabc", b"ahello world", b"abc"),
    (CHUNKED + b"1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\nabc", b"a", b"abc"),
    (CHUNKED + b"0\r\n" + b"A: b\r\n" * 128 + b"\r\nabc", b"", b"abc"),
    (CHUNKED + b"100000\r\n" + b"a" * 1048576 + b"\r\n0\r\n\r\n", b"a" * 1048576, b""),
]


@pytest.mark.parametrize(("data", "body", "rest"), BODIES, ids=range(len(BODIES)))
def test_bodies(data: bytes, body: bytes, rest: bytes) -> None:
    response, left = read_response(data)
    assert (response.body, left) == (body, rest)
    assert type(response.body) is bytes


BROKEN_BODIES: list[tuple[bytes, type[Exception], str]] = [
    (OK + b"Content-Length: 3\r\n\r\nab", EOFError, "before 3 bytes"),
    (OK + b"Content-Length: \r\n\r\n", SecurityError, "invalid content length: "),
    (OK + b"Content-Length: +1\r\n\r\na", SecurityError, "invalid content length: +1"),
    (OK + b"Content-Length: -1\r\n\r\na", SecurityError, "invalid content length: -1"),
    (OK + b"Content-Length: 1_0\r\n\r\na", SecurityError, "invalid content length: 1_0"),
    (OK + b"Content-Length: \xb2\r\n\r\na", SecurityError, "invalid content length: ²"),
    (OK + b"Content-Length: 1, 1\r\n\r\na", SecurityError, "invalid content length: 1, 1"),
    (
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\na",
        SecurityError,
        "invalid content length: " + "9" * 5000,
    ),
    (OK + b"Content-Length: 1048577\r\n\r\n", SecurityError, "body too large: 1048577 bytes"),
    (OK + b"Content-Length: 1\r\n" * 2 + b"\r\na", MultipleValuesError, "'Content-Length'"),
    (OK + b"\r\n" + b"a" * 1048577, SecurityError, "body over 1048576"),
    *(
        (
            OK + f"Transfer-Encoding: {coding}\r\n\r\n".encode(),
            NotImplementedError,
            f"transfer coding {coding} isn't supported",
        )
        for coding in ("gzip", "gzip, chunked", "identity", "")
    ),
    (CHUNKED[:-2] + CHUNKED[len(OK) :], MultipleValuesError, "'Transfer-Encoding'"),
    (CHUNKED, EOFError, "inside a line"),
    (CHUNKED + b"1\r\n", EOFError, "before 1 bytes"),
    (CHUNKED + b"1\r\na", EOFError, "before 2 bytes"),
    (CHUNKED + b"0\r\n", EOFError, "connection closed while reading HTTP headers"),
    (CHUNKED + b"\r\n", SecurityError, "invalid chunk size: "),
    (CHUNKED + b"z\r\n", SecurityError, "invalid chunk size: z"),
    (CHUNKED + b"+1\r\na\r\n", SecurityError, "invalid chunk size: +1"),
    (CHUNKED + b"0x1\r\na\r\n", SecurityError, "invalid chunk size: 0x1"),
    (CHUNKED + b"1 \r\na\r\n", SecurityError, "invalid chunk size: 1 "),
    (CHUNKED + b"1" * 16 + b"\r\n", SecurityError, "invalid chunk size: " + "1" * 16),
    (CHUNKED + b"1\na\r\n", ValueError, "chunk without CRLF"),
    (CHUNKED + b"1\r\nab\r\n", ValueError, "chunk without CRLF"),
    (CHUNKED + b"1;" + b"x" * 9000, SecurityError, "line over 8192"),
    (CHUNKED + b"100001\r\n", SecurityError, "chunk too large: 1048577 bytes after 0 bytes"),
    (
        CHUNKED + b"1\r\na\r\n100000\r\n",
        SecurityError,
        "chunk too large: 1048576 bytes after 1 bytes",
    ),
    (CHUNKED + b"0\r\n" + b"A: b\r\n" * 129, TooManyHeaders, "expected no more than 128 headers"),
    (CHUNKED + b"0\r\nA: " + b"b" * 9000, HeaderLineTooLong, "line over 8192"),
    (CHUNKED + b"0\r\nA\r\n\r\n", ValueError, "invalid HTTP header line: A"),
]


@pytest.mark.parametrize(("data", "error", "text"), BROKEN_BODIES, ids=range(len(BROKEN_BODIES)))
def test_broken_bodies(data: bytes, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        read_response(data)
    assert type(caught.value) is error
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("data", "part"), [(b"", "status line"), (b"HTTP/1", "status line"), (OK, "headers")]
)
def test_a_stream_that_ends_inside_a_response(data: bytes, part: str) -> None:
    with pytest.raises(EOFError, match=f"connection closed while reading HTTP {part}"):
        read_response(data)


# Values.

REQUEST = Request("/p?q", Headers(Host="h"))
RESPONSE = Response(404, "Not Found", Headers(Server="x"), b"no")


def test_serialize() -> None:
    assert REQUEST.serialize() == b"GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n"
    assert Request("*", Headers(), "OPTIONS", "HTTP/1.0").serialize() == (
        b"OPTIONS * HTTP/1.0\r\n\r\n"
    )
    assert RESPONSE.serialize() == b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nno"
    assert Response(HTTPStatus.OK, "é", Headers(), bytearray(b"a")).serialize() == (
        b"HTTP/1.1 200 \xe9\r\n\r\na"
    )


BAD = ["", "a b", "a\r\nb", "a\n", "\r", "\0", "é", "€", "\ud800", "\x7f"]


@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_requests_that_cannot_be_sent(bad: str) -> None:
    for request, what in (
        (Request(bad, Headers()), "HTTP request target"),
        (Request("/", Headers(), bad), "HTTP method"),
        (Request("/", Headers(), "GET", bad), "HTTP version"),
        (Request("/", Headers([(bad, "b")])), "HTTP header name"),
    ):
        with pytest.raises(ValueError, match=f"invalid {what}: {re.escape(repr(bad))}"):
            request.serialize()


@pytest.mark.parametrize("bad", ["a\r\nb", "a\n", "\r", "\0", "€", "\ud800", "\x7f"], ids=ascii)
def test_values_that_cannot_be_sent(bad: str) -> None:
    with pytest.raises(ValueError, match="invalid HTTP reason phrase"):
        Response(200, bad, Headers()).serialize()
    headers = Headers()
    headers.set_insecure("A", bad)
    for message in (Request("/", headers), Response(200, "OK", headers)):
        with pytest.raises(InvalidHeaderValue):
            message.serialize()


def test_a_status_is_a_number() -> None:
    status: Any = "200 OK\r\nA: b"
    with pytest.raises(ValueError, match="format code"):
        Response(status, "", Headers()).serialize()


def test_messages_are_values() -> None:
    assert repr(REQUEST) == (
        "Request(path='/p?q', headers=Headers([('Host', 'h')]), method='GET', "
        "protocol='HTTP/1.1', _exception=None)"
    )
    assert repr(RESPONSE) == (
        "Response(status_code=404, reason_phrase='Not Found', "
        "headers=Headers([('Server', 'x')]), body=b'no', _exception=None)"
    )
    for message in (REQUEST, RESPONSE):
        assert pickle.loads(pickle.dumps(message)) == message
    assert parse_request(REQUEST.serialize()) == REQUEST
    assert read_response(RESPONSE.serialize())[0] == RESPONSE


@pytest.mark.parametrize(
    ("message", "instead"),
    [
        (Request("/", Headers(), _exception=KeyError()), "ServerProtocol.handshake_exc"),
        (Response(400, "", Headers(), _exception=KeyError()), "ClientProtocol.handshake_exc"),
    ],
)
def test_exception_is_deprecated(message: Request | Response, instead: str) -> None:
    text = rf"{type(message).__name__}\.exception is deprecated; use {instead} instead"
    with pytest.warns(DeprecationWarning, match=text) as caught:
        assert message.exception is message._exception
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("timestamp", "date"),
    [
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),  # RFC 9110, 5.6.7
        (784111777.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"),
    ],
)
def test_http_date(timestamp: float, date: str) -> None:
    assert http_date(timestamp) == date


@given(st.integers(0, 2**33))
def test_http_date_is_what_datetime_says(timestamp: int) -> None:
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    assert http_date(timestamp) == moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
