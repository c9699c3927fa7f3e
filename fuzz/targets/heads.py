"""The heads of requests and responses: compiled as pure, cut as whole, and as h11 reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import h11

from tests.wire.builds import BUILDS, Build
from tests.wire.streams import cut, frame

from .taking import Taking, outcome

WORDS = (
    "GET / HTTP/1.1\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "Host: localhost\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Sec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    "Sec-WebSocket-Protocol: chat\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\n",
    "Origin: http://localhost\r\n",
    "\r\n\r\n",
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
DATE = re.compile(rb"Date: [^\r]*\r\n")

# h11 asks for what a parser alone need not: one Host, and a length that it knows how to use.
STRICTER = ("Host:", "Content-Length", "Transfer-Encoding", "protocol")


def check(data: bytes) -> None:
    """Let a server read a request, or a client a response."""
    taking = Taking(data)
    is_request = taking.byte() & 1
    points = taking.points(len(data))
    wire = taking.rest()
    pieces = cut(wire, [point for point in points if point < len(wire)])
    open_connection = _serve if is_request else _connect
    whole = [open_connection(build, [wire]) for build in BUILDS.values()]
    parts = [open_connection(build, pieces) for build in BUILDS.values()]
    assert whole[0] == whole[-1], "builds differ"
    assert parts[0] == parts[-1], "builds differ on pieces"
    assert whole[0] == parts[0], "pieces differ"
    _check_parsers(wire, bool(is_request))


def _facts(protocol: Any) -> dict[str, Any]:
    exc, cause = protocol.handshake_exc, None
    if exc is not None and exc.__cause__ is not None:
        cause = type(exc.__cause__).__name__, str(exc.__cause__)
    return {
        "state": protocol.state.name,
        "exc": None if exc is None else (type(exc).__name__, str(exc), cause),
        "eof": protocol.eof_sent,
        "extensions": repr(protocol.extensions),
        "subprotocol": protocol.subprotocol,
        "stopped": protocol.stopped,
        "events": [_event(event) for event in protocol.events_received()],
    }


def _event(event: Any) -> tuple[Any, ...]:
    if hasattr(event, "opcode"):
        return int(event.opcode), bytes(event.data)
    headers = list(event.headers.raw_items())
    if hasattr(event, "path"):
        return event.method, event.path, event.protocol, headers
    return event.status_code, event.reason_phrase, headers, bytes(event.body)


def _serve(build: Build, pieces: list[bytes]) -> Any:
    deflate = build.room("extensions.permessage_deflate")
    protocol = build.room("server").ServerProtocol(
        extensions=deflate.enable_server_permessage_deflate(None),
        select_subprotocol=lambda _, offered: offered[0] if offered else None,
    )
    answer = None
    for piece in pieces:
        protocol.receive_data(piece)
        if protocol.events and answer is None:
            answer = protocol.accept(protocol.events[0])
            wire = DATE.sub(b"", answer.serialize())
            protocol.events.clear()
    request = None if answer is None else (wire, answer.status_code)
    if answer is not None:
        protocol.send_response(answer)
    output = DATE.sub(b"", b"".join(protocol.data_to_send()))
    return request, output, _facts(protocol)


def _connect(build: Build, pieces: list[bytes]) -> Any:
    deflate = build.room("extensions.permessage_deflate")
    uri = build.room("uri").parse_uri("ws://localhost/")
    protocol = build.room("client").ClientProtocol(
        uri,
        extensions=deflate.enable_client_permessage_deflate(None),
        subprotocols=["chat"],
    )
    protocol.key = KEY
    for piece in pieces:
        protocol.receive_data(piece)
    facts = _facts(protocol)
    protocol.receive_eof()
    return facts, _facts(protocol)


# The parsers by themselves


def _parsed(parse: Any, head: bytes) -> tuple[str, Any]:
    kind, value = outcome(parse, head)
    return kind, _event(value) if kind == "gives" else value


def _check_parsers(wire: bytes, is_request: bool) -> None:
    end = wire.find(b"\r\n\r\n") + 4
    head = wire[:end] if end >= 4 else wire
    found = []
    for build in BUILDS.values():
        http11 = build.room("http11")
        if is_request:
            found.append(_parsed(http11.parse_request, head))
            found.append(_parsed(build.room("_core.head").read_request, head))
        else:
            found.append(_parsed(http11.parse_response, head))
    assert all(one == found[0] for one in found), "parsers differ"
    if found[0][0] == "gives":
        _check_serialised(head, found[0][1], is_request)
        _compare_with_h11(head, found[0][1], is_request)


def _check_serialised(head: bytes, event: tuple[Any, ...], is_request: bool) -> None:
    """What was read is what is written, and is read again."""
    room = next(iter(BUILDS.values())).room("http11")
    parse = room.parse_request if is_request else room.parse_response
    message = parse(head)
    assert _event(parse(message.serialize())) == event


def _compare_with_h11(head: bytes, event: tuple[Any, ...], is_request: bool) -> None:
    """What we accept, h11 accepts, and it says the same."""
    connection = h11.Connection(h11.SERVER if is_request else h11.CLIENT)
    if not is_request:
        headers = [("Host", "a"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
        connection.send(h11.Request(method="GET", target="/", headers=headers))
        connection.send(h11.EndOfMessage())
    connection.receive_data(head)
    try:
        read = connection.next_event()
    except h11.RemoteProtocolError as exc:
        if any(reason in str(exc) for reason in STRICTER):
            return
        raise AssertionError("h11 refuses it") from exc
    if is_request:
        assert isinstance(read, h11.Request)
        assert (read.method.decode(), read.target.decode()) == event[:2]
        ours = event[3]
    elif isinstance(read, h11.InformationalResponse | h11.Response):
        assert (read.status_code, read.reason.decode("latin-1")) == event[:2]
        ours = event[2]
    else:
        raise AssertionError(f"h11: {read}")
    ours = [(name.lower(), value) for name, value in ours]
    theirs = [(name.decode(), value.decode("latin-1")) for name, value in read.headers]
    assert [one for one in ours if one[0] not in LENGTHS] == [
        one for one in theirs if one[0] not in LENGTHS
    ]


LENGTHS = ("content-length", "transfer-encoding")  # of several, h11 gives one


REQUEST = (
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
    f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
)
RESPONSE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)


def seeds() -> Iterator[bytes]:
    """Give handshakes as they should be, and with what may be wrong with them."""
    lines = [
        "",
        "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: \t y \t\r\n",
        "X:\r\n",
        " folded: line\r\n",
        "no colon\r\n",
        "X: \x01\r\n",
        "X: é\r\n",
        "Host: another\r\n",
        "X: bare\nLF: x\r\n",
    ]
    for line in lines:
        request = f"{REQUEST}{line}\r\n".encode("latin-1")
        yield b"\1\2\0\7\0\x30" + request
        yield b"\0\2\0\7\0\x30" + f"{RESPONSE}{line}\r\n".encode("latin-1")
    yield b"\1\0" + REQUEST.replace("GET", "POST").encode() + b"\r\n"
    yield b"\1\0" + REQUEST.replace("HTTP/1.1", "HTTP/1.0").encode() + b"\r\n"
    yield b"\1\0" + REQUEST.replace("/chat", "/ch at").encode() + b"\r\n"
    yield b"\1\0" + REQUEST.replace("Key: dG", "Key: *G").encode() + b"\r\n"
    yield b"\1\0" + REQUEST.encode() + b"\r\n" + frame(1, b"early", key=b"1234")
    yield b"\0\0" + RESPONSE.encode() + b"\r\n" + frame(1, b"early")
    yield b"\0\0" + RESPONSE.replace("101", "99").encode() + b"\r\n"
    yield b"\0\0HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"
    chunks = b"3;a=b\r\nno\n\r\n0\r\nT: x\r\n\r\n"
    yield b"\0\0HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    yield b"\0\0HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\nuntil the end"
