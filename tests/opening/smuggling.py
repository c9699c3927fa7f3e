"""Requests whose end can be told in two ways, and what an attacker hides behind them."""

from __future__ import annotations

from ..support.http import request
from ..support.rawpeer import PING, TEXT, frame

HIDDEN = request(line="GET /hidden HTTP/1.1")
CHUNKED = "Transfer-Encoding: chunked"

FORMS: dict[str, bytes] = {
    "length": request("Content-Length: 30"),
    "chunked": request(CHUNKED),
    "chunked-and-length": request(CHUNKED, "Content-Length: 0"),
    "length-and-chunked": request("Content-Length: 4", CHUNKED),
    "two-lengths": request("Content-Length: 0", "Content-Length: 30"),
    "list-of-lengths": request("Content-Length: 0, 30"),
    "signed-length": request("Content-Length: +0"),
    "negative-length": request("Content-Length: -1"),
    "length-in-hexadecimal": request("Content-Length: 0x0"),
    "empty-length": request("Content-Length:"),
    "length-with-a-space-inside": request("Content-Length: 0 0"),
    "length-in-arabic-digits": request("Content-Length: \xb2"),
    "huge-length": request(f"Content-Length: {'9' * 400}"),
    "space-before-the-colon": request("Content-Length : 30"),
    "tab-before-the-colon": request("Transfer-Encoding\t: chunked"),
    "space-before-the-name": request(" Content-Length: 30"),
    "folded": request("X-A: a", " b"),
    "folded-encoding": request("Transfer-Encoding:", " chunked"),
    "unknown-encoding": request("Transfer-Encoding: xchunked"),
    "identity": request("Transfer-Encoding: identity"),
    "two-encodings": request(CHUNKED, "Transfer-Encoding: identity"),
    "encoding-with-a-control": request("Transfer-Encoding: \x0bchunked"),
    "bare-lf": request("X-A: a\nContent-Length: 30"),
    "bare-cr": request("X-A: a\rContent-Length: 30"),
    "nul": request("X-A: a\0b"),
    "no-name": request(": a"),
    "no-colon": request("Content-Length 30"),
    "two-spaces-in-the-line": request(line="GET  / HTTP/1.1"),
    "four-words-in-the-line": request(line="GET / /hidden HTTP/1.1"),
    "tab-in-the-line": request(line="GET\t/ HTTP/1.1"),
    "lower-case-version": request(line="GET / http/1.1"),
    "empty-line-first": b"\n" + request("Content-Length: 30"),
    "two-hosts": request("Host: other.example"),
    "h2c": request(upgrade="h2c"),
    "h2c-beside": request("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", upgrade="h2c"),
    "no-upgrade": request(without=["upgrade"]),
    "no-connection": request(without=["connection"]),
    "old-version": request(sec_websocket_version="7"),
}
BEHIND = {
    "another-request": HIDDEN,
    "chunk-and-request": b"0\r\n\r\n" + HIDDEN,
    "frames": frame(TEXT, b"hidden", mask=True) + frame(PING, b"", mask=True),
}
