"""Requests written by hand: which are accepted, how the others are refused, at every split."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from typing import Any

import pytest

from ..support.http import KEY, request
from ..support.names import SERVER, exceptions
from ..support.rawpeer import CLOSE, PING, TEXT, accept_key, close_payload, frame
from ..support.subject import ORACLE, only_ropeway
from .peers import ask, in_pieces, raw_client
from .serving import echo, port_of, serving

FAILED = "Failed to open a WebSocket connection"


async def test_the_plain_response() -> None:
    async with serving() as server, raw_client(port_of(server)) as client:
        await client.send(request())
        reply = await client.head()
    assert reply.start == "HTTP/1.1 101 Switching Protocols"
    assert reply["Upgrade"] == "websocket"
    assert reply["Connection"] == "Upgrade"
    assert reply["Sec-WebSocket-Accept"] == accept_key(KEY)
    assert reply["Server"] == SERVER
    date = email.utils.parsedate_to_datetime(reply["Date"])
    assert reply["Date"].endswith(" GMT")
    assert abs(date.timestamp() - time.time()) < 5
    assert len(reply.fields) == 5


GOOD: list[tuple[str, bytes]] = [
    ("case-of-tokens", request(upgrade="WebSocket", connection="UPGRADE")),
    ("connection-options", request(connection="keep-alive, Upgrade")),
    ("connection-twice", request("Connection: keep-alive")),
    ("no-body", request("Content-Length: 0")),
    ("no-body-twice", request("Content-Length: 0", "Content-Length: 0")),
    ("target-with-query", request(line="GET /a?b=c HTTP/1.1")),
    ("absolute-target", request(line="GET http://a.example/b HTTP/1.1")),
    ("other-headers", request("X-A: 1", "X-A: 2", "Cookie: a=b")),
    ("latin-1-value", request("X-A: caf\xe9")),
    ("no-space-after-colon", request().replace(b": ", b":")),
    (
        "space-around-values",
        request().replace(b"Host: ", b"Host: \t ").replace(b"13\r", b"13 \t\r"),
    ),
    ("128-headers", request(*["X-A: 1"] * 123)),
    ("longest-line", request("X-A: " + "x" * (8192 - 7))),
]


@pytest.mark.parametrize("data", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
async def test_a_good_request_opens(data: bytes) -> None:
    async with serving(echo, compression=None) as server, raw_client(port_of(server)) as client:
        await client.send(data)
        assert (await client.head()).status == 101
        await client.send(frame(TEXT, b"hello", mask=True))
        assert await client.exactly(7) == frame(TEXT, b"hello")


async def test_a_request_without_a_host_is_left_to_the_application() -> None:
    async with serving() as server, raw_client(port_of(server)) as client:
        await client.send(request(without=["host"]))
        assert (await client.head()).status == 101


# Refused

UPGRADE_HINT = (
    "\n\nYou cannot access a WebSocket server directly with a browser. "
    "You need a WebSocket client.\n"
)

BAD: list[tuple[str, bytes, int, str]] = [
    ("post", request(line="POST / HTTP/1.1"), 405, "unsupported HTTP method: POST.\n"),
    ("head", request(line="HEAD / HTTP/1.1"), 405, "unsupported HTTP method: HEAD.\n"),
    (
        "method-in-lower-case",
        request(line="get / HTTP/1.1"),
        405,
        "unsupported HTTP method: get.\n",
    ),
    ("http-1.0", request(line="GET / HTTP/1.0"), 505, "unsupported HTTP version: HTTP/1.0.\n"),
    (
        "no-connection",
        request(without=["connection"]),
        426,
        "missing Connection header." + UPGRADE_HINT,
    ),
    (
        "keep-alive",
        request(connection="keep-alive"),
        426,
        "invalid Connection header: keep-alive." + UPGRADE_HINT,
    ),
    ("no-upgrade", request(without=["upgrade"]), 426, "missing Upgrade header." + UPGRADE_HINT),
    ("h2c", request(upgrade="h2c"), 426, "invalid Upgrade header: h2c." + UPGRADE_HINT),
    (
        "two-upgrades",
        request(upgrade="websocket, h2c"),
        426,
        "invalid Upgrade header: websocket, h2c." + UPGRADE_HINT,
    ),
    (
        "connection-syntax",
        request(connection="???"),
        400,
        "invalid Connection header: expected token at 0 in ???.\n",
    ),
    ("no-key", request(without=["sec_websocket_key"]), 400, "missing Sec-WebSocket-Key header.\n"),
    (
        "two-keys",
        request(f"Sec-WebSocket-Key: {KEY}"),
        400,
        "invalid Sec-WebSocket-Key header: multiple values.\n",
    ),
    (
        "short-key",
        request(sec_websocket_key="c2hvcnQ="),
        400,
        "invalid Sec-WebSocket-Key header: c2hvcnQ=.\n",
    ),
    (
        "no-version",
        request(without=["sec_websocket_version"]),
        400,
        "missing Sec-WebSocket-Version header.\n",
    ),
    (
        "two-versions",
        request("Sec-WebSocket-Version: 13"),
        400,
        "invalid Sec-WebSocket-Version header: multiple values.\n",
    ),
    (
        "version-8",
        request(sec_websocket_version="8"),
        400,
        "invalid Sec-WebSocket-Version header: 8.\n",
    ),
    (
        "two-origins",
        request("Origin: a", "Origin: b"),
        400,
        "invalid Origin header: multiple values.\n",
    ),
    (
        "extension-syntax",
        request("Sec-WebSocket-Extensions: a; ="),
        400,
        "invalid Sec-WebSocket-Extensions header: expected token at 3 in a; =.\n",
    ),
    (
        "subprotocol-syntax",
        request("Sec-WebSocket-Protocol: a b"),
        400,
        "invalid Sec-WebSocket-Protocol header: expected comma at 2 in a b.\n",
    ),
    (
        "long-target",
        request(line=f"GET /{'x' * 9000} HTTP/1.1"),
        414,
        "read 9016 bytes, expected no more than 8192 bytes.\n",
    ),
    (
        "long-header",
        request("X-A: " + "x" * 9000),
        431,
        "read 9007 bytes, expected no more than 8192 bytes.\n",
    ),
    ("129-headers", request(*["X-A: 1"] * 124), 431, "expected no more than 128 headers.\n"),
]


@pytest.mark.parametrize(
    ("data", "status", "text"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_a_refusal_says_why_and_closes(data: bytes, status: int, text: str) -> None:
    async with serving() as server:
        reply = await ask(port_of(server), data)
    assert reply.status == status
    if status in (414, 431):
        assert reply.body.decode().startswith(f"{FAILED}: ")
    else:
        assert reply.body.decode() == f"{FAILED}: {text}"
    assert reply["Connection"] == "close"
    assert reply["Content-Type"] == "text/plain; charset=utf-8"
    assert reply["Content-Length"] == str(len(reply.body))
    assert reply.all("Allow") == (["GET"] if status == 405 else [])
    assert reply.all("Upgrade") == (["websocket"] if status == 426 else [])
    assert "Date" in reply


async def test_the_cause_of_a_bad_key_is_told() -> None:
    async with serving() as server:
        reply = await ask(port_of(server), request(sec_websocket_key="!" * 24))
    assert reply.status == 400
    assert reply.body.decode().startswith(f"{FAILED}: invalid Sec-WebSocket-Key header: !!!!")


@only_ropeway
async def test_the_version_that_is_spoken_is_told() -> None:
    """RFC 6455, section 4.2.2: a server that does not know the version says which it knows."""
    async with serving() as server:
        reply = await ask(port_of(server), request(sec_websocket_version="8"))
    assert reply["Sec-WebSocket-Version"] == "13"


@only_ropeway
async def test_the_head_as_a_whole_has_a_limit() -> None:
    async with serving() as server:
        reply = await ask(port_of(server), request(*["X-A: " + "x" * 8000] * 9))
    assert reply.status == 431


# Broken: 400 on ropeway, a silent close on websockets

BROKEN: list[tuple[str, bytes]] = [
    ("not-http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("one-word", b"GET\r\n\r\n"),
    ("two-words", b"GET /\r\n\r\n"),
    ("http-2", request(line="GET / HTTP/2.0")),
    ("http-0.9", request(line="GET / HTTP/0.9")),
    ("lower-case-http", request(line="GET / http/1.1")),
    ("two-spaces", request(line="GET  / HTTP/1.1")),
    ("space-in-target", request(line="GET /a b HTTP/1.1")),
    ("latin-1-target", request(line="GET /caf\xe9 HTTP/1.1")),
    ("line-without-colon", request("Oops")),
    ("name-with-space", request("X-A : 1")),
    ("empty-name", request(": 1")),
    ("folded-line", request("X-A: 1", " 2")),
    ("nul-in-value", request("X-A: a\0b")),
    ("return-in-value", request("X-A: a\rb")),
    ("body", request("Content-Length: 5") + b"hello"),
    ("length-words", request("Content-Length: five")),
    ("length-list", request("Content-Length: 0, 0")),
    ("length-zeros", request("Content-Length: 00")),
    ("two-lengths", request("Content-Length: 0", "Content-Length: 5") + b"hello"),
    ("chunked", request("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"),
    ("transfer-identity", request("Transfer-Encoding: identity")),
]


@pytest.mark.parametrize("data", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
async def test_a_broken_request_does_not_open_and_is_closed(data: bytes) -> None:
    async with serving() as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data)
            received = await client.rest()
    assert not received.startswith(b"HTTP/1.1 101")


@only_ropeway
@pytest.mark.parametrize("data", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
async def test_a_broken_request_gets_a_400(data: bytes) -> None:
    async with serving() as server:
        reply = await ask(port_of(server), data)
    assert reply.status == 400
    assert reply["Connection"] == "close"
    assert reply.body.decode().startswith(f"{FAILED}: ")


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", request()[:-2]])
async def test_a_client_that_leaves_in_the_middle(data: bytes) -> None:
    async with serving() as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data)
            client.writer.write_eof()
            await client.rest()
        assert not server.connections


async def test_a_client_that_resets_in_the_middle(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        async with raw_client(port_of(server)) as client:
            await client.send(b"GET / HTTP/1.1\r\n")
            client.writer.transport.abort()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# Time


async def test_a_slow_request_is_given_up() -> None:
    async with serving(open_timeout=0.1) as server, raw_client(port_of(server)) as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        received = await client.rest()
    assert b"101" not in received


@only_ropeway
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a\r\n", b""], ids=["some", "none"])
async def test_a_slow_request_gets_a_408(data: bytes) -> None:
    async with serving(open_timeout=0.1) as server, raw_client(port_of(server)) as client:
        await client.send(data)
        reply = await client.reply()
    assert reply.status == 408
    assert reply["Connection"] == "close"


async def test_a_request_that_dribbles_in_is_given_up_all_the_same() -> None:
    """Single bytes do not extend the limit."""
    async with serving(open_timeout=0.2) as server, raw_client(port_of(server)) as client:
        started = time.monotonic()

        async def dribble() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"x")
                    await asyncio.sleep(0.01)

        dribbling = asyncio.create_task(dribble())
        await client.rest()
        assert time.monotonic() - started < 5
        dribbling.cancel()
        await asyncio.wait([dribbling])


async def test_without_a_limit_a_slow_request_is_waited_for() -> None:
    async with serving(open_timeout=None) as server, raw_client(port_of(server)) as client:
        await client.send(request()[:20])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.reader.read(1)
        await client.send(request()[20:])
        assert (await client.head()).status == 101


# Frames right behind the request


def frames(*parts: tuple[int, bytes, bool]) -> bytes:
    key = b"\x01\x02\x03\x04"
    return b"".join(
        frame(opcode, payload, mask=True, key=key, fin=fin) for opcode, payload, fin in parts
    )


MESSAGES = frames((TEXT, b"first", True), (TEXT, b"sec", False), (0, b"ond", True))
PING_FRAME = frames((PING, b"?", True))
CLOSE_FRAME = frames((CLOSE, close_payload(1001, "bye"), True))
PONG_FRAME = frame(0xA, b"?")
CLOSE_ANSWER = frame(CLOSE, close_payload(1001, "bye"))
FRAMES = [
    pytest.param(MESSAGES, b"", b"", id="messages"),
    pytest.param(PING_FRAME + MESSAGES, PONG_FRAME, b"", id="ping", marks=only_ropeway),
    pytest.param(
        MESSAGES + PING_FRAME + CLOSE_FRAME,
        PONG_FRAME,
        CLOSE_ANSWER,
        id="close",
        marks=only_ropeway,
    ),
]


@pytest.mark.parametrize(("behind", "pong", "close"), FRAMES)
@pytest.mark.parametrize("way", ["every-split", "byte-by-byte"])
async def test_frames_behind_the_request(
    way: str, behind: bytes, pong: bytes, close: bytes
) -> None:
    """They are delivered once and in order; what they are answered comes behind the response."""
    messages: list[Any] = []

    async def note(connection: Any) -> None:
        messages.extend([await connection.recv(), await connection.recv()])
        # A close frame right behind the messages may come before this.
        with contextlib.suppress(exceptions.ConnectionClosedOK):
            await connection.send("that is all")
        await connection.wait_closed()

    answer = frame(TEXT, b"that is all")
    data = request() + behind
    cuts = [[data[:cut], data[cut:]] for cut in range(len(data))]
    if way == "byte-by-byte":
        cuts = [[data[at : at + 1] for at in range(len(data))]]
    async with serving(note, compression=None) as server:
        for pieces in cuts:
            async with raw_client(port_of(server)) as client:
                await in_pieces(client.writer, *pieces)
                assert (await client.head()).status == 101, pieces
                if close:
                    received = await client.rest()
                    assert received.endswith(close), pieces
                    received = received.removesuffix(close)
                    assert received in (pong, pong + answer, answer + pong), pieces
                else:
                    received = await client.exactly(len(pong + answer))
                    assert received in (pong + answer, answer + pong), pieces
    assert messages == ["first", "second"] * len(cuts)


async def test_frames_behind_the_request_wait_for_process_request() -> None:
    release = asyncio.Event()
    entered = asyncio.Event()

    async def later(connection: Any, _: Any) -> None:
        entered.set()
        await release.wait()

    async with serving(echo, compression=None, process_request=later) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request() + frame(TEXT, b"early", mask=True))
            await entered.wait()
            await client.send(frame(TEXT, b"later", mask=True))
            release.set()
            assert (await client.head()).status == 101
            assert await client.exactly(14) == frame(TEXT, b"early") + frame(TEXT, b"later")


# Garbage behind a request that is refused

REFUSED = [
    ("405", request(line="POST / HTTP/1.1")),
    ("400", request(without=["sec_websocket_key"])),
    ("broken", request("Oops")),
    ("body", request("Content-Length: 30")),
]
BEHIND = [
    ("frames", MESSAGES + PING_FRAME + CLOSE_FRAME),
    ("another-request", request()),
    ("bytes", bytes(range(256)) * 8),
]


@pytest.mark.parametrize("behind", [row[1] for row in BEHIND], ids=[row[0] for row in BEHIND])
@pytest.mark.parametrize("data", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_nothing_behind_a_refused_request_is_read(
    data: bytes, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    async with serving(never) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data + behind)
            received = await client.rest()
        async with raw_client(port_of(server)) as client:
            await in_pieces(client.writer, data, behind)
            received_in_two = await client.rest()
    for answer in [received, received_in_two]:
        assert answer.count(b"HTTP/1.1") <= 1
        assert b" 101 " not in answer
        assert b"\x88" not in answer
    if not ORACLE:  # which reports an internal error of its own
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


@only_ropeway
async def test_a_refusal_arrives_though_the_client_is_still_sending() -> None:
    """RFC 9112, section 9.6: closing on unread bytes would reset, and could destroy the answer."""
    async with serving() as server:
        reply = await ask(port_of(server), request(line="POST / HTTP/1.1") + bytes(100_000))
    assert reply.status == 405
    assert reply.body.endswith(b"unsupported HTTP method: POST.\n")


@pytest.mark.parametrize("data", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_bytes_behind_a_refused_request_do_not_hide_that_the_client_has_left(
    data: bytes,
) -> None:
    async with serving(close_timeout=8) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data + MESSAGES)
            await client.rest()
        server.close()
        async with asyncio.timeout(4):
            await server.wait_closed()
