"""Asking an HTTP proxy for a tunnel, and what it may answer."""

from __future__ import annotations

import pytest

from ropeway._opening.steps import Receive, Send
from ropeway._opening.tunnel import tunnel_plan
from ropeway.exceptions import (
    HeaderLineTooLong,
    InvalidProxyMessage,
    InvalidProxyStatus,
    StatusLineTooLong,
    TooManyHeaders,
)
from ropeway.proxy import Proxy, prepare_connect_request
from ropeway.uri import parse_uri

from .script import Played, play

URI = parse_uri("ws://h/")


def asking(*received: bytes) -> Played:
    request = prepare_connect_request(Proxy("http", "proxy", 3128), URI, None)
    return play(tunnel_plan(request), *received)


def test_what_follows_the_response_comes_from_the_target() -> None:
    assert asking(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").result == b"hello"
    assert asking(b"HTTP/1.1 200 OK\r\n\r", b"\nhello").result == b"hello"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
    ],
)
def test_a_tunnel_is_there_when_the_proxy_says_so(response: bytes) -> None:
    played = asking(response)
    assert played.result == b""
    assert played.steps == [Send(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), Receive()]


def test_the_response_may_come_in_any_pieces() -> None:
    response = b"HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\n"
    for cut in range(1, len(response)):
        played = asking(response[:cut], response[cut:])
        assert played.error is None, cut
        assert played.kinds == ["Send", "Receive", "Receive"]
    assert asking(*[bytes([byte]) for byte in response]).error is None


def test_a_refusal_has_the_response_of_the_proxy() -> None:
    played = asking(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n\r\nSay who you are.")
    assert isinstance(played.error, InvalidProxyStatus)
    response = played.error.response
    assert (response.status_code, response.reason_phrase) == (407, "Who?")
    assert response.headers["Proxy-Authenticate"] == "Basic"


LONG = b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 9000
MANY = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 129 + b"\r\n"
HUGE = b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 9


@pytest.mark.parametrize(
    ("received", "cause"),
    [
        ([b""], EOFError),
        ([b"HTTP/1.1 200 OK\r\n", b""], EOFError),
        ([b"SSH-2.0-x\r\n\r\n"], ValueError),
        ([b"HTTP/1.1 2OO OK\r\n\r\n"], ValueError),
        ([b"HTTP/1.1 200 OK\n\n"], ValueError),
        ([b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n"], ValueError),
        ([b"x" * 9000], StatusLineTooLong),
        ([LONG], HeaderLineTooLong),
        ([MANY], TooManyHeaders),
        ([HUGE], HeaderLineTooLong),
    ],
)
def test_what_is_no_response(received: list[bytes], cause: type[Exception]) -> None:
    played = asking(*received)
    assert type(played.error) is InvalidProxyMessage
    assert str(played.error) == "did not receive a valid HTTP response from proxy"
    assert isinstance(played.error.__cause__, cause)
