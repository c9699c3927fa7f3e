"""What a client makes of a response: it opens, refuses, or was cut in some place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import response
from ..support.names import exceptions
from ..support.rawpeer import TEXT, frame
from ..support.subject import ORACLE, only_ropeway
from . import openings
from .openings import (
    Answer,
    Exchange,
    answering,
    holding,
    raw_server,
    switching,
    visit,
)

LINES = ["Upgrade: websocket", "Connection: Upgrade"]


def instead(*lines: str, status: str = "101 Switching Protocols") -> Answer:
    """Make a response with the right accept key and these lines instead of the usual two."""

    def answer(exchange: Exchange) -> bytes:
        accept = exchange.switching().decode().split("\r\n")[3]
        return "\r\n".join([f"HTTP/1.1 {status}", *lines, accept, "", ""]).encode()

    return answer


async def failure(front: Front, answer: Answer, **options: Any) -> Any:
    """Return the exception with which the opening fails."""
    async with raw_server(front, answering(answer)) as server:
        return await openings.failure(front, server.uri(), **options)


async def failures(front: Front, answers: Iterable[Answer]) -> list[Any]:
    """Return the exception with which the opening fails, for each answer."""
    scripts = [answering(answer) for answer in answers]

    async def script(exchange: Exchange) -> None:
        await scripts[int(exchange.path[1:])](exchange)

    async with raw_server(front, script) as server:
        return [
            await openings.failure(front, server.uri(f"/{index}")) for index in range(len(scripts))
        ]


# Accepted

GOOD: list[tuple[str, Answer]] = [
    ("plain", switching()),
    ("case-of-tokens", instead("Upgrade: WebSocket", "Connection: UPGRADE")),
    ("case-of-names", instead("UPGRADE: websocket", "connection: upgrade")),
    ("connection-options", instead("Upgrade: websocket", "Connection: keep-alive, Upgrade")),
    (
        "connection-twice",
        instead("Upgrade: websocket", "Connection: keep-alive", "Connection: Upgrade"),
    ),
    ("other-headers", switching("X-A: 1", "X-A: 2", "Set-Cookie: a=b")),
    ("no-space-after-colon", instead("Upgrade:websocket", "Connection:Upgrade")),
    ("space-around-value", instead("Upgrade: \t websocket \t", "Connection: Upgrade")),
    ("other-reason", instead(*LINES, status="101 Whatever You Like")),
    ("empty-reason", instead(*LINES, status="101 ")),
    ("latin-1-reason", lambda e: e.switching().replace(b"Switching", b"caf\xe9")),
]


async def test_a_good_response_opens(front: Front) -> None:
    scripts = {name: holding(answer) for name, answer in GOOD}

    async def script(exchange: Exchange) -> None:
        await scripts[exchange.path[1:]](exchange)

    async with raw_server(front, script) as server:
        for name in scripts:
            ws = await visit(front, server.uri(f"/{name}"))
            assert ws.response.status_code == 101, name


async def test_the_response_is_kept(front: Front) -> None:
    answer = switching("X-A: 1", "X-A: 2")
    async with raw_server(front, holding(answer)) as server:
        ws = await visit(front, server.uri())
    assert ws.response.headers.get_all("x-a") == ["1", "2"]
    assert ws.response.reason_phrase == "Switching Protocols"
    assert ws.response.body == b""


async def test_the_chosen_subprotocol_and_extension(front: Front) -> None:
    lines = ["Sec-WebSocket-Protocol: b", "Sec-WebSocket-Extensions: permessage-deflate"]
    async with raw_server(front, holding(switching(*lines))) as server:
        ws = await visit(front, server.uri(), subprotocols=["a", "b"])
    assert ws.subprotocol == "b"
    assert [extension.name for extension in ws.protocol.extensions] == ["permessage-deflate"]


async def test_a_message_in_the_last_packet_before_the_end_of_the_stream(front: Front) -> None:
    answer = answering(lambda exchange: exchange.switching() + frame(TEXT, b"last"))
    async with raw_server(front, answer) as server:
        async with front.opening(server.uri()) as ws:
            assert await ws.recv() == "last"
            with pytest.raises(exceptions.ConnectionClosedError):
                await ws.recv()


# Refused: the response can be read, but does not open

BAD: list[tuple[str, Answer, str, str]] = [
    ("no-connection", instead("Upgrade: websocket"), "InvalidUpgrade", "missing Connection header"),
    ("no-upgrade", instead("Connection: Upgrade"), "InvalidUpgrade", "missing Upgrade header"),
    (
        "other-connection",
        instead("Upgrade: websocket", "Connection: close"),
        "InvalidUpgrade",
        "invalid Connection header: close",
    ),
    (
        "other-upgrade",
        instead("Upgrade: h2c", "Connection: Upgrade"),
        "InvalidUpgrade",
        "invalid Upgrade header: h2c",
    ),
    (
        "two-upgrades",
        instead("Upgrade: websocket, h2c", "Connection: Upgrade"),
        "InvalidUpgrade",
        "invalid Upgrade header: websocket, h2c",
    ),
    (
        "connection-syntax",
        instead("Upgrade: websocket", "Connection: ???"),
        "InvalidHeaderFormat",
        "invalid Connection header: expected token at 0 in ???",
    ),
    (
        "wrong-accept",
        switching(accept="d3Jvbmc="),
        "InvalidHeaderValue",
        "invalid Sec-WebSocket-Accept header: d3Jvbmc=",
    ),
    (
        "no-accept",
        lambda _: b"HTTP/1.1 101 .\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "InvalidHeader",
        "missing Sec-WebSocket-Accept header",
    ),
    (
        "two-accepts",
        switching("Sec-WebSocket-Accept: again"),
        "InvalidHeader",
        "invalid Sec-WebSocket-Accept header: multiple values",
    ),
    (
        "unknown-extension",
        switching("Sec-WebSocket-Extensions: x-other; a=b"),
        "NegotiationError",
        "Unsupported extension: name = x-other, params = [('a', 'b')]",
    ),
    (
        "deflate-twice",
        switching("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"),
        "NegotiationError",
        "Unsupported extension: name = permessage-deflate, params = []",
    ),
    (
        "deflate-with-a-bad-parameter",
        switching("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7"),
        "NegotiationError",
        (
            "Unsupported extension: name = permessage-deflate, "
            "params = [('server_max_window_bits', '7')]"
        ),
    ),
    (
        "extension-syntax",
        switching("Sec-WebSocket-Extensions: permessage-deflate; ="),
        "InvalidHeaderFormat",
        "invalid Sec-WebSocket-Extensions header: expected token at 20 in permessage-deflate; =",
    ),
    (
        "subprotocol-not-asked-for",
        switching("Sec-WebSocket-Protocol: chat"),
        "NegotiationError",
        "no subprotocols supported",
    ),
]


@pytest.mark.parametrize(
    ("answer", "kind", "text"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_a_response_that_does_not_open(
    front: Front, answer: Answer, kind: str, text: str
) -> None:
    refusal = await failure(front, answer)
    assert type(refusal) is getattr(exceptions, kind)
    assert str(refusal) == text


NEGOTIATION: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"compression": None},
        "Sec-WebSocket-Extensions: permessage-deflate",
        "NegotiationError",
        "no extensions supported",
    ),
    (
        {"subprotocols": ["a", "b"]},
        "Sec-WebSocket-Protocol: c",
        "NegotiationError",
        "unsupported subprotocol: c",
    ),
    (
        {"subprotocols": ["a", "b"]},
        "Sec-WebSocket-Protocol: a, b",
        "InvalidHeader",
        "invalid Sec-WebSocket-Protocol header: multiple values: a, b",
    ),
    (
        {"subprotocols": ["a", "b"]},
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b",
        "InvalidHeader",
        "invalid Sec-WebSocket-Protocol header: multiple values: a, b",
    ),
]


@pytest.mark.parametrize(("options", "line", "kind", "text"), NEGOTIATION)
async def test_an_answer_that_was_not_offered(
    front: Front, options: dict[str, Any], line: str, kind: str, text: str
) -> None:
    refusal = await failure(front, switching(line), **options)
    assert type(refusal) is getattr(exceptions, kind)
    assert str(refusal) == text


# Another status

BODIES: list[tuple[str, bytes, bytes]] = [
    ("content-length", response("403 Forbidden", body=b"go away"), b"go away"),
    ("more-than-content-length", response("403 Forbidden", body=b"go away") + b"!!", b"go away"),
    ("empty", response("403 Forbidden"), b""),
    ("to-eof", response("403 Forbidden", body=b"until the end", length=False), b"until the end"),
    (
        "chunked",
        response("403 Forbidden", "Transfer-Encoding: chunked", length=False)
        + b"3\r\ngo \r\nA;x=y\r\naway, now!\r\n0\r\nTrailer: 1\r\n\r\n",
        b"go away, now!",
    ),
    ("empty-chunked", b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
    ("no-content", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ("not-modified", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b""),
    ("informational", b"HTTP/1.1 103 Early Hints\r\n\r\n", b""),
    ("largest", response("403 Forbidden", body=bytes(1 << 20)), bytes(1 << 20)),
]


async def test_another_status_is_refused_with_its_body(front: Front) -> None:
    refusals = await failures(front, [row[1] for row in BODIES])
    for (case, answer, body), refusal in zip(BODIES, refusals, strict=True):
        assert type(refusal) is exceptions.InvalidStatus, case
        status = int(answer[9:12])
        assert str(refusal) == f"server rejected WebSocket connection: HTTP {status}"
        assert refusal.response.status_code == status
        assert refusal.response.body == body


async def test_status_reason_and_headers_are_kept(front: Front) -> None:
    refusal = await failure(front, response("599 Because", "X-A: 1", body=b"text"))
    assert refusal.response.reason_phrase == "Because"
    assert refusal.response.headers["x-a"] == "1"


async def test_a_redirect_without_a_location_is_another_status(front: Front) -> None:
    refusal = await failure(front, response("302 Found"))
    assert type(refusal) is exceptions.InvalidStatus


# Broken

LONG = b"x" * 9000

BROKEN: list[tuple[str, bytes, type[BaseException] | str, str]] = [
    ("nothing", b"", EOFError, "connection closed while reading HTTP status line"),
    (
        "half-a-status-line",
        b"HTTP/1.1 101 Sw",
        EOFError,
        "connection closed while reading HTTP status line",
    ),
    (
        "half-the-headers",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n",
        EOFError,
        "connection closed while reading HTTP headers",
    ),
    ("half-the-body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", EOFError, ""),
    (
        "bare-line-feed",
        b"HTTP/1.1 200 OK\n\n",
        EOFError if ORACLE else ValueError,
        "",
    ),
    (
        "not-http",
        b"220 smtp.example ESMTP\r\n\r\n",
        ValueError,
        "unsupported protocol; expected HTTP/1.1: 220 smtp.example ESMTP",
    ),
    (
        "http-1.0",
        b"HTTP/1.0 200 OK\r\n\r\n",
        ValueError,
        "unsupported protocol; expected HTTP/1.1: HTTP/1.0 200 OK",
    ),
    ("one-word", b"HTTP/1.1\r\n\r\n", ValueError, "invalid HTTP status line: HTTP/1.1"),
    (
        "letters-for-a-status",
        b"HTTP/1.1 abc OK\r\n\r\n",
        ValueError,
        "invalid status code; expected integer; got abc",
    ),
    (
        "status-099",
        b"HTTP/1.1 099 OK\r\n\r\n",
        ValueError,
        "invalid status code; expected 100–599; got 099",
    ),
    (
        "status-600",
        b"HTTP/1.1 600 OK\r\n\r\n",
        ValueError,
        "invalid status code; expected 100–599; got 600",
    ),
    (
        "control-in-reason",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        ValueError,
        "",
    ),
    (
        "line-without-colon",
        b"HTTP/1.1 200 OK\r\nOops\r\n\r\n",
        ValueError,
        "invalid HTTP header line: Oops",
    ),
    (
        "name-with-space",
        b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
        ValueError,
        "invalid HTTP header name: A ",
    ),
    (
        "folded-line",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n",
        ValueError,
        "invalid HTTP header line:  2",
    ),
    (
        "control-in-value",
        b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
        ValueError,
        "",
    ),
    ("long-header", b"HTTP/1.1 200 OK\r\nA: " + LONG + b"\r\n\r\n", "HeaderLineTooLong", ""),
    (
        "many-headers",
        b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 129 + b"\r\n",
        "TooManyHeaders",
        "expected no more than 128 headers",
    ),
    (
        "gzip",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        NotImplementedError,
        "transfer coding gzip isn't supported",
    ),
    (
        "length-words",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        "SecurityError",
        "invalid content length: five",
    ),
    (
        "length-signed",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "SecurityError",
        "invalid content length: +5",
    ),
    (
        "two-lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        LookupError,
        "",
    ),
    (
        "body-too-large",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
        "SecurityError",
        "body too large: 1048577 bytes",
    ),
    (
        "body-to-eof-too-large",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes((1 << 20) + 1),
        "SecurityError",
        "",
    ),
    (
        "chunk-too-large",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n",
        "SecurityError",
        "chunk too large: 1048577 bytes after 0 bytes",
    ),
    (
        "chunk-size-words",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "SecurityError",
        "invalid chunk size: zz",
    ),
    (
        "chunk-without-crlf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ValueError,
        "chunk without CRLF",
    ),
]


async def test_a_broken_response(front: Front) -> None:
    refusals = await failures(front, [row[1] for row in BROKEN])
    for (case, _, kind, text), refusal in zip(BROKEN, refusals, strict=True):
        assert type(refusal) is exceptions.InvalidMessage, case
        assert str(refusal) == "did not receive a valid HTTP response"
        expected = getattr(exceptions, kind) if isinstance(kind, str) else kind
        assert isinstance(refusal.__cause__, expected), case
        if text:
            assert str(refusal.__cause__) == text


async def test_a_status_line_that_is_too_long(front: Front) -> None:
    refusal = await failure(front, b"HTTP/1.1 200 " + LONG + b"\r\n\r\n")
    assert type(refusal) is exceptions.StatusLineTooLong


@pytest.mark.parametrize("length", [8192, 8193])
async def test_the_limit_of_a_line_counts_its_end(front: Front, length: int) -> None:
    line = b"A: ".ljust(length - 2, b"x") + b"\r\n"
    refusal = await failure(front, b"HTTP/1.1 403 No\r\n" + line + b"Content-Length: 0\r\n\r\n")
    expected = exceptions.InvalidStatus if length <= 8192 else exceptions.InvalidMessage
    assert type(refusal) is expected


@only_ropeway
async def test_the_head_as_a_whole_has_a_limit(front: Front) -> None:
    lines = (b"A: ".ljust(8000, b"x") + b"\r\n") * 9
    refusal = await failure(front, b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
    assert type(refusal) is exceptions.InvalidMessage
    assert isinstance(refusal.__cause__, exceptions.SecurityError)


async def test_the_server_resets_during_the_handshake(front: Front) -> None:
    async def reset(exchange: Exchange) -> None:
        exchange.peer.reset()

    async with raw_server(front, reset) as server:
        kind = (exceptions.InvalidMessage, OSError)
        await openings.failure(front, server.uri(), kind)


@only_ropeway
async def test_an_endless_head_is_given_up_early(front: Front) -> None:
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.say(b"X-A: again and again\r\n" * 100)
            sent += 100

    async with raw_server(front, endless) as server:
        refusal = await openings.failure(front, server.uri())
    assert type(refusal) is exceptions.InvalidMessage
    assert isinstance(refusal.__cause__, exceptions.TooManyHeaders)
    # Beyond the 128 that are read there is what the kernel takes in on both sides.
    assert sent < 1_000_000
