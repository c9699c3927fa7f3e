"""Connections are freed by reference counting alone, whoever keeps what ended them."""

from __future__ import annotations

import contextlib
import gc
import logging
import platform
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropeway._core.inbox import Inbox
from ropeway.client import ClientProtocol
from ropeway.exceptions import InvalidStatus, PayloadTooBig
from ropeway.extensions import Extension
from ropeway.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from ropeway.frames import Frame
from ropeway.protocol import CLIENT, SERVER, Protocol
from ropeway.server import ServerProtocol
from ropeway.uri import parse_uri

from ..wire.streams import BINARY, CLOSE, CONT, KEY, RSV1, TEXT, close_frame, deflated, frame
from .test_handshakes import request, response

pytestmark = pytest.mark.skipif(
    platform.python_implementation() != "CPython", reason="only CPython counts references"
)


SILENT = logging.getLogger("tests.silent")
SILENT.disabled = True


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def check(make: Callable[[], Any], kept: bool = True) -> None:
    """Let a connection live and end; keep nothing but its errors."""
    with without_collector():
        conn = make()
        errors = [conn.parser_exc, conn.handshake_exc]
        if conn.state.name == "CLOSED":
            errors.append(conn.close_exc)
        gone = weakref.ref(conn)
        del conn
        assert gone() is None
        assert any(errors) or not kept


class Broken(Extension):
    """Fails on text, and in one of three ways on binary."""

    def __init__(self, how: str = "") -> None:
        self.how = how

    def encode(self, frame: Frame) -> Frame:
        if self.how == "encode":
            raise RuntimeError("encode")
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        try:
            raise ValueError("first")
        except ValueError as exc:
            if self.how == "big":
                raise PayloadTooBig(5, 4) from exc
            if self.how == "decode":
                raise RuntimeError("decode") from None
        return frame


FAILURES: dict[str, tuple[bytes, Callable[[], list[Extension]]]] = {
    "opcode": (frame(3, key=KEY), list),
    "too big": (frame(BINARY, bytes(200), key=KEY), list),
    "too big inflated": (
        frame(BINARY, deflated(bytes(2000)), rsv=RSV1, key=KEY),
        lambda: [PerMessageDeflate(False, False, 15, 15)],
    ),
    "not deflated": (
        frame(BINARY, b"\xff\xff", rsv=RSV1, key=KEY),
        lambda: [PerMessageDeflate(False, False, 15, 15)],
    ),
    "text": (frame(TEXT, b"\xff", key=KEY), list),
    "text at its end": (frame(TEXT, b"\xc3", key=KEY), list),
    "text in fragments": (
        frame(TEXT, b"\xc3", fin=False, key=KEY) + frame(CONT, b"(", key=KEY),
        list,
    ),
    "close code": (close_frame(1005, "", KEY), list),
    "close reason": (frame(CLOSE, b"\x03\xe8\xff", key=KEY), list),
    "extension": (frame(BINARY, b"x", key=KEY), lambda: [Broken("decode")]),
    "extension too big": (frame(BINARY, b"x", key=KEY), lambda: [Broken("big")]),
    "extension encodes": (frame(9, b"x", key=KEY), lambda: [Broken("encode")]),
}


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("inbox", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_after_a_violation(kind: str, inbox: bool, end: bool) -> None:
    data, extensions = FAILURES[kind]

    def make() -> Protocol:
        conn = Protocol(SERVER, max_size=150, logger=SILENT)
        if inbox:
            conn.use_inbox(Inbox(4, None))
        conn.extensions = extensions()
        for index in range(len(data)):
            conn.receive_data(data[index : index + 1])
        assert conn.parser_exc is not None
        if end:
            conn.receive_eof()
        return conn

    check(make)


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("closed", [False, True])
def test_after_a_conversation(role: Any, closed: bool) -> None:
    key = KEY if role is SERVER else None

    def make() -> Protocol:
        conn = Protocol(role)
        conn.extensions = [PerMessageDeflate(False, False, 15, 15)]
        conn.receive_data(frame(TEXT, b"spam", key=key) + frame(9, key=key))
        conn.events_received()
        conn.send_text("eggs")
        if closed:
            conn.send_close(1000)
            conn.receive_data(close_frame(1000, "", key))
            conn.receive_eof()
        return conn

    check(make, kept=closed)


def test_after_an_early_end() -> None:
    def make() -> Protocol:
        conn = Protocol(CLIENT)
        conn.receive_data(b"\x82\x05ab")
        conn.receive_eof()
        return conn

    check(make)


REQUESTS = {
    "nonsense": b"nonsense\r\n\r\n",
    "long": b"GET /" + b"x" * 9000,
    "headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200,
    "cut": request()[:30],
    "upgrade": request(Upgrade="h2c"),
    "key": request(Sec_WebSocket_Key="!"),
    "version": request(Sec_WebSocket_Version="8"),
    "origin": request(Origin="https://evil.example"),
    "extensions": request(Sec_WebSocket_Extensions="="),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_after_a_request_that_was_refused(kind: str) -> None:
    def make() -> ServerProtocol:
        conn = ServerProtocol(
            origins=[None, "https://example.com"], subprotocols=None, extensions=[]
        )
        if kind == "extensions":
            conn.available_extensions = [ServerPerMessageDeflateFactory()]
        conn.receive_data(REQUESTS[kind])
        for event in conn.events_received():
            conn.send_response(conn.accept(event))
        conn.receive_eof()
        assert conn.handshake_exc is not None
        return conn

    check(make)


def test_after_an_error_in_a_hook() -> None:
    def select(*_: Any) -> Any:
        raise RuntimeError("broken")

    def make() -> ServerProtocol:
        conn = ServerProtocol(select_subprotocol=select, logger=SILENT)
        conn.receive_data(request())
        conn.send_response(conn.accept(conn.events_received()[0]))
        return conn

    check(make)


RESPONSES = {
    "nonsense": b"nonsense\r\n\r\n",
    "long": b"HTTP/1.1 " + b"x" * 9000,
    "cut": response()[:30],
    "status": b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
    "body": b"HTTP/1.1 403 No\r\nContent-Length: x\r\n\r\n",
    "chunks": b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "lengths": b"HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "to the end": b"HTTP/1.1 403 No\r\n\r\nno",
    "upgrade": response(Upgrade=None),
    "accept": response(Sec_WebSocket_Accept="x"),
    "extensions": response(Sec_WebSocket_Extensions="x"),
}


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize("step", [1, 10**6])
def test_after_a_response_that_was_refused(kind: str, step: int) -> None:
    data = RESPONSES[kind]

    def make() -> ClientProtocol:
        conn = ClientProtocol(parse_uri("ws://example.com/"))
        conn.key = "dGhlIHNhbXBsZSBub25jZQ=="
        conn.send_request(conn.connect())
        for start in range(0, len(data), step):
            conn.receive_data(data[start : start + step])
        conn.receive_eof()
        assert conn.handshake_exc is not None
        return conn

    check(make)


def test_a_refusal_is_freed_with_its_response() -> None:
    with without_collector():
        conn = ClientProtocol(parse_uri("ws://example.com/"))
        conn.receive_data(RESPONSES["status"])
        assert isinstance(conn.handshake_exc, InvalidStatus)
        gone = weakref.ref(conn.handshake_exc.response)
        del conn
        assert gone() is None


def test_a_connection_can_be_referred_to_weakly() -> None:
    conn = Protocol(CLIENT)
    assert weakref.proxy(conn).state is conn.state
