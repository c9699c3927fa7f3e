"""Requests whose end is told in two ways, so that whoever stands in front may see another one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ..support.rawpeer import CLOSE, PING, TEXT, frame
from ..support.subject import only_ropeway
from .peers import in_pieces, raw_client, request
from .serving import port_of, serving

HIDDEN = request(line="GET /hidden HTTP/1.1")
STATUS_LINE = re.compile(rb"^HTTP/1\.1 \d", re.MULTILINE)
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


@only_ropeway
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
async def test_refused_and_nothing_behind_it_is_read(data: bytes, behind: bytes) -> None:
    seen: list[Any] = []

    def look(connection: Any, request: Any) -> None:
        seen.append(request.path)

    async def never(connection: Any) -> None:
        raise AssertionError("the handler was called")

    async with serving(never, process_request=look) as server:
        for pieces in [(data + behind,), (data, behind)]:
            async with raw_client(port_of(server)) as client:
                await in_pieces(client.writer, *pieces)
                answer = await client.rest()
            assert answer.split(b" ")[1] in (b"400", b"426"), answer
            assert len(STATUS_LINE.findall(answer)) == 1
            assert frame(TEXT, b"hidden") not in answer
            assert bytes([0x80 | CLOSE]) not in answer
    assert "/hidden" not in seen


@only_ropeway
async def test_a_second_request_on_an_open_connection_is_no_request() -> None:
    async def idle(connection: Any) -> None:
        await connection.wait_closed()

    async with serving(idle, compression=None) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request() + HIDDEN)
            answer = await client.rest()
    assert len(STATUS_LINE.findall(answer)) == 1
    # "G" is an opcode of control frames that is reserved, and masks nothing.
    assert frame(CLOSE, b"")[:1] in answer
