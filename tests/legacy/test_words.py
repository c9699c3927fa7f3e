"""Frames, heads and handshake headers of the legacy API, beside those of websockets."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from ..support.subject import PayloadTooBig, ProtocolError, SecurityError, module
from . import names
from .names import only_ropeway

Frame = names.framing.Frame
Opcode = module("frames").Opcode
Headers = module("datastructures").Headers
InvalidHeader = module("exceptions").InvalidHeader
InvalidUpgrade = module("exceptions").InvalidUpgrade


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


# Frames


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
async def test_frames_are_read_as_they_were_written(mask: bool, size: int) -> None:
    frame = Frame(True, Opcode.BINARY, bytes(range(256)) * (size // 256) + bytes(size % 256))
    written = bytearray()
    frame.write(written.extend, mask=mask)
    again = await Frame.read(stream(bytes(written)).readexactly, mask=mask)
    assert again == frame
    assert str(again) == str(again.new_frame)
    assert isinstance(again, tuple)


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (b"\x81\x02hi", {"mask": True}, ProtocolError),
        (b"\x83\x00", {"mask": False}, ProtocolError),
        (b"\x81\x02hi", {"mask": False, "max_size": 1}, PayloadTooBig),
        (b"\x81", {"mask": False}, EOFError),
        (b"\x81\x02h", {"mask": False}, EOFError),
    ],
)
async def test_frames_that_are_refused(data: bytes, options: Any, error: Any) -> None:
    with pytest.raises(error):
        await Frame.read(stream(data).readexactly, **options)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(False, Opcode.PING, b""),
        Frame(True, Opcode.PING, bytes(126)),
        Frame(True, Opcode.TEXT, b"", True),
    ],
)
def test_frames_that_cannot_be_sent(frame: Any) -> None:
    with pytest.raises(ProtocolError):
        frame.check()
    with pytest.raises(ProtocolError):
        frame.write(bytearray().extend, mask=False)


def test_payloads() -> None:
    framing = names.framing
    assert framing.prepare_data("é") == (Opcode.TEXT, b"\xc3\xa9")
    for data in (b"x", bytearray(b"x"), memoryview(b"x")):
        assert framing.prepare_data(data) == (Opcode.BINARY, data)
        assert framing.prepare_ctrl(data) == b"x"
    assert framing.prepare_ctrl("é") == framing.encode_data("é") == b"\xc3\xa9"
    for prepare in (framing.prepare_data, framing.prepare_ctrl):
        with pytest.raises(TypeError, match="data must be str or bytes-like"):
            prepare(1)


def test_close_frames() -> None:
    framing = names.framing
    assert framing.serialize_close(1000, "bye") == b"\x03\xe8bye"
    assert framing.parse_close(b"\x03\xe8bye") == (1000, "bye")
    assert framing.parse_close(b"") == (1005, "")
    for data in (b"\x03", b"\x00\x01"):
        with pytest.raises(ProtocolError):
            framing.parse_close(data)
    with pytest.raises(UnicodeDecodeError):
        framing.parse_close(b"\x03\xe8\xff")
    with pytest.raises(ProtocolError):
        framing.serialize_close(1005, "")


# Heads


async def test_a_request() -> None:
    reader = stream(b"GET /a?b HTTP/1.1\r\nHost: x\r\nA: 1\r\n\r\nrest")
    path, headers = await names.http.read_request(reader)
    assert path == "/a?b"
    assert list(headers.raw_items()) == [("Host", "x"), ("A", "1")]
    assert await reader.read() == b"rest"


async def test_a_response() -> None:
    reader = stream(b"HTTP/1.1 101 Switching Protocols\r\nA: 1\r\n\r\n\x81\x00")
    status, reason, headers = await names.http.read_response(reader)
    assert (status, reason, headers["A"]) == (101, "Switching Protocols", "1")
    assert await reader.read() == b"\x81\x00"


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", EOFError, "connection closed while reading HTTP request line"),
        (b"GET / HTTP/1.1\r\n", EOFError, "connection closed while reading HTTP headers"),
        (b"POST / HTTP/1.1\r\n\r\n", ValueError, "unsupported HTTP method: POST"),
        (b"GET / HTTP/1.0\r\n\r\n", ValueError, "unsupported HTTP version: HTTP/1.0"),
        (b"GET / HTTP/1.1\r\nA b\r\n\r\n", ValueError, "invalid HTTP header line: A b"),
        (b"x" * 9000 + b"\r\n\r\n", SecurityError, None),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", SecurityError, None),
    ],
)
async def test_requests_that_are_refused(data: bytes, error: Any, message: str | None) -> None:
    with pytest.raises(error, match=message):
        await names.http.read_request(stream(data))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EOFError),
        (b"HTTP/1.1 200 OK\r\nA: b", EOFError),
        (b"HTTP/1.0 200 OK\r\n\r\n", ValueError),
    ],
)
async def test_responses_that_are_refused(data: bytes, error: Any) -> None:
    with pytest.raises(error):
        await names.http.read_response(stream(data))


# The handshake


def test_both_halves_of_a_handshake() -> None:
    request, response = Headers(), Headers()
    key = names.handshake.build_request(request)
    assert names.handshake.check_request(request) == key == request["Sec-WebSocket-Key"]
    names.handshake.build_response(response, key)
    names.handshake.check_response(response, key)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("Upgrade", "h2c", InvalidUpgrade),
        ("Connection", "close", InvalidUpgrade),
        ("Sec-WebSocket-Key", None, InvalidHeader),
        ("Sec-WebSocket-Key", "!!", InvalidHeader),
        ("Sec-WebSocket-Key", "AAAA", InvalidHeader),
        ("Sec-WebSocket-Version", "12", InvalidHeader),
        ("Sec-WebSocket-Version", None, InvalidHeader),
    ],
)
def test_requests_that_are_wrong(name: str, value: str | None, error: Any) -> None:
    headers = Headers()
    names.handshake.build_request(headers)
    del headers[name]
    if value is not None:
        headers[name] = value
    with pytest.raises(error):
        names.handshake.check_request(headers)


def test_responses_that_are_wrong() -> None:
    headers = Headers()
    names.handshake.build_response(headers, "key")
    with pytest.raises(InvalidHeader):
        names.handshake.check_response(headers, "another key")
    del headers["Sec-WebSocket-Accept"]
    with pytest.raises(InvalidHeader):
        names.handshake.check_response(headers, "key")


# Exceptions


def test_exceptions_say_what_happened() -> None:
    exceptions = names.exceptions
    headers = Headers(A="b")
    refused = exceptions.InvalidStatusCode(403, headers)
    assert (refused.status_code, refused.headers) == (403, headers)
    assert str(refused) == "server rejected WebSocket connection: HTTP 403"
    aborted = exceptions.AbortHandshake(200, {"A": "b"}, b"body")
    assert (aborted.status, aborted.headers["A"], aborted.body) == (200, "b", b"body")
    assert str(aborted) == "HTTP 200, 1 headers, 4 bytes"
    assert str(exceptions.RedirectHandshake("ws://localhost/")) == "redirect to ws://localhost/"
    base = module("exceptions").InvalidHandshake
    for kind in ("InvalidStatusCode", "AbortHandshake", "RedirectHandshake"):
        assert issubclass(getattr(exceptions, kind), base)


@only_ropeway
def test_exceptions_can_be_pickled() -> None:
    refused = names.exceptions.InvalidStatusCode(403, Headers(A="b"))
    assert str(pickle.loads(pickle.dumps(refused))) == str(refused)
