"""Opening handshakes on the sans-I/O classes, step by step as websockets 17.4 goes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ropeway.exceptions import InvalidHeaderValue

from ..wire.streams import KEY, TEXT, cut, frame
from .pairs import OURS, Subject, compare, value

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

REQUEST: dict[str, str | None] = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
RESPONSE: dict[str, str | None] = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": ACCEPT,
}


def lines(first: str, headers: dict[str, str | None], changes: dict[str, Any]) -> bytes:
    text = f"{first}\r\n"
    for name, given in {**headers, **changes}.items():
        for one in given if isinstance(given, list) else [given]:
            if one is not None:
                text += f"{name}: {one}\r\n"
    return f"{text}\r\n".encode("latin-1")


def request(first: str = "GET /chat HTTP/1.1", **changes: Any) -> bytes:
    changes = {name.replace("_", "-"): value for name, value in changes.items()}
    return lines(first, REQUEST, changes)


def response(first: str = "HTTP/1.1 101 Switching Protocols", **changes: Any) -> bytes:
    changes = {name.replace("_", "-"): value for name, value in changes.items()}
    return lines(first, RESPONSE, changes)


def serve(subject: Subject, data: bytes, **kwargs: Any) -> None:
    """Receive a request, answer it, and look at both."""
    conn = subject.server(**kwargs)
    conn.receive_data(data)
    events = conn.events_received()
    subject.note(events)
    subject.do("close_expected")
    for event in events:
        answer = subject.do("accept", event)
        subject.note(event)
        subject.do("send_response", answer)
        subject.note([conn.origin, conn.subprotocol, conn.extensions])


# Servers.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, upgrade"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c"},
        {"Upgrade": None},
        {"Upgrade": "websocket, h2c"},
        {"Connection": None},
        {"Connection": "close"},
        {"Connection": ["keep-alive", "Upgrade"]},
        {"Connection": ","},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": ""},
        {"Sec_WebSocket_Key": ["dGhlIHNhbXBsZSBub25jZQ=="] * 2},
        {"Sec_WebSocket_Key": "not base64!"},
        {"Sec_WebSocket_Key": "dGhl"},
        {"Sec_WebSocket_Key": "é"},
        {"Sec_WebSocket_Extensions": "permessage-deflate"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; unknown=1, permessage-deflate"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec_WebSocket_Extensions": "x-unknown"},
        {"Sec_WebSocket_Extensions": "="},
        {"Sec_WebSocket_Protocol": "chat"},
        {"Sec_WebSocket_Protocol": "superchat, chat"},
        {"Sec_WebSocket_Protocol": ["superchat", "chat"]},
        {"Sec_WebSocket_Protocol": "other"},
        {"Sec_WebSocket_Protocol": "="},
        {"Origin": "https://example.com"},
        {"Origin": "https://evil.example"},
        {"Origin": ["https://example.com"] * 2},
    ],
)
@pytest.mark.parametrize(
    "config", ["bare", "deflate", "subprotocols", "origins", "no origin", "patterns"]
)
def test_accepting(changes: dict[str, Any], config: str) -> None:
    def script(subject: Subject) -> None:
        kwargs: dict[str, Any] = {
            "bare": {},
            "deflate": {"extensions": [subject.package.deflate.ServerPerMessageDeflateFactory()]},
            "subprotocols": {"subprotocols": ["chat", "superchat"]},
            "origins": {"origins": ["https://example.com"]},
            "no origin": {"origins": [None, "https://example.com"]},
            "patterns": {"origins": [re.compile(r"https://(example|other)\.com")]},
        }[config]
        serve(subject, request(**changes), **kwargs)

    compare(script, unlogged="DEBUG ! ")


@pytest.mark.parametrize("version", [None, "8", "", "013", ["13", "8"]])
def test_another_version_is_told_ours(version: Any) -> None:
    # RFC 6455 4.4; websockets leaves the header out.
    subject = Subject(OURS)
    conn = subject.server()
    conn.receive_data(request(Sec_WebSocket_Version=version))
    answer = conn.accept(conn.events_received()[0])
    assert (answer.status_code, answer.headers["Sec-WebSocket-Version"]) == (400, "13")
    assert "Sec-WebSocket-Version header" in answer.body.decode()


@pytest.mark.parametrize(
    "first", ["POST /chat HTTP/1.1", "HEAD / HTTP/1.1", "GET /chat HTTP/1.0", "GET /a?b HTTP/1.1"]
)
def test_request_lines(first: str) -> None:
    compare(lambda subject: serve(subject, request(first)), unlogged="DEBUG ! ")


def test_an_error_in_a_subprotocol_selector(caplog: pytest.LogCaptureFixture) -> None:
    def select(*_: Any) -> Any:
        raise RuntimeError("broken")

    def script(subject: Subject) -> None:
        serve(subject, request(), select_subprotocol=select)

    compare(script, unlogged="DEBUG ! ")


@pytest.mark.parametrize("chosen", ["chat", None])
def test_a_subprotocol_selector(chosen: str | None) -> None:
    def script(subject: Subject) -> None:
        def select(conn: Any, offered: Any) -> Any:
            subject.note([conn is subject.conn, list(offered)])
            return chosen

        data = request(Sec_WebSocket_Protocol="a, chat")
        serve(subject, data, select_subprotocol=select)

    compare(script)


@pytest.mark.parametrize("status", [200, 400, 403, 426, 503])
@pytest.mark.parametrize("text", ["", "Sorry, café\n"])
def test_rejecting(status: int, text: str) -> None:
    def script(subject: Subject) -> None:
        conn = subject.server()
        conn.receive_data(request())
        subject.note(conn.events_received())
        answer = subject.do("reject", status, text)
        subject.do("send_response", answer)
        subject.do("receive_data", frame(TEXT, b"ignored", key=KEY))
        subject.do("receive_eof")

    compare(script)


def test_a_status_that_does_not_exist() -> None:
    def script(subject: Subject) -> None:
        subject.server()
        subject.do("reject", 1000, "")

    compare(script)


def test_a_request_byte_by_byte_and_frames_behind_it() -> None:
    def script(subject: Subject) -> None:
        conn = subject.server()
        data = request()
        for piece in cut(data, range(1, len(data))):
            conn.receive_data(piece)
        early = frame(TEXT, b"early", key=KEY) * 2
        conn.receive_data(early[:5])
        events = conn.events_received()
        subject.note(events)
        answer = subject.do("accept", events[0])
        subject.do("send_response", answer)
        subject.do("receive_data", early[5:])

    compare(script)


def test_early_frames_wait_for_the_response() -> None:
    # websockets hands them out with the request, and answers a ping before the handshake.
    subject = Subject(OURS)
    conn = subject.server()
    conn.receive_data(request() + frame(TEXT, b"early", key=KEY) + frame(9, b"!", key=KEY))
    [event] = conn.events_received()
    assert conn.data_to_send() == []
    conn.send_response(conn.accept(event))
    assert [value(event)[1:3] for event in conn.events_received()] == [(1, b"early"), (9, b"!")]
    answer, pong = conn.data_to_send()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert pong == frame(10, b"!")


def test_early_frames_of_a_refused_client_are_dropped() -> None:
    subject = Subject(OURS)
    conn = subject.server()
    conn.receive_data(request(Upgrade="h2c") + frame(TEXT, b"early", key=KEY))
    [event] = conn.events_received()
    conn.send_response(conn.accept(event))
    conn.receive_data(frame(TEXT, b"more", key=KEY))
    assert conn.events_received() == []


def test_a_response_that_was_changed() -> None:
    def script(subject: Subject) -> None:
        conn = subject.server()
        conn.receive_data(request())
        [event] = conn.events_received()
        answer = conn.accept(event)
        answer.headers["X-Custom"] = "1"
        subject.do("send_response", answer)

    compare(script)


@pytest.mark.parametrize("size", [0, 5, 40])
def test_a_client_that_leaves_before_its_request_is_whole(size: int) -> None:
    def script(subject: Subject) -> None:
        subject.server()
        subject.do("receive_data", request()[:size])
        subject.do("receive_eof")

    ours = Subject(OURS)
    script(ours)
    facts = ours.steps[-1][2]
    assert (facts["state"], facts["output"], facts["events"]) == ("CLOSED", ([], True), [])
    assert facts["handshake_exc"][1] == "did not receive a valid HTTP request"
    assert facts["handshake_exc"][2][0] == "EOFError"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"not HTTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n\n", 400),
        (b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", 400),
        (request(Content_Length="5") + b"12345", 400),
        (request(Transfer_Encoding="chunked"), 400),
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200, 431),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
    ],
)
@pytest.mark.parametrize("step", [1, 1000, 10**6])
def test_what_is_no_request_gets_an_answer(data: bytes, status: int, step: int) -> None:
    # websockets closes without a word; see the list of differences.
    answers = set()
    for size in (step, len(data)):
        subject = Subject(OURS)
        conn = subject.server()
        for start in range(0, len(data), size):
            conn.receive_data(data[start : start + size])
        output = conn.data_to_send()
        assert output[0].startswith(f"HTTP/1.1 {status} ".encode())
        assert b"\r\nConnection: close\r\n" in output[0]
        assert output[-1] == b""
        assert conn.handshake_exc is not None
        assert conn.close_expected()
        assert conn.events_received() == []
        answers.add(re.sub(rb"Date: [^\r]*\r\n", b"", b"".join(output)))
    assert len(answers) == 1


# Clients.


def ask(subject: Subject, *pieces: bytes, **kwargs: Any) -> None:
    """Send a request and receive pieces of an answer."""
    conn = subject.client(**kwargs)
    subject.do("send_request", subject.do("connect"))
    for piece in pieces:
        subject.do("receive_data", piece)
    subject.note([conn.origin, conn.subprotocol, conn.extensions])


@pytest.mark.parametrize(
    "uri",
    [
        "ws://example.com/",
        "wss://example.com/a?b",
        "ws://example.com:8080/",
        "ws://user:pass%20word@example.com/",
        "ws://[::1]:8765/",
        "wss://example.com:443/",
    ],
)
def test_requests(uri: str) -> None:
    compare(lambda subject: ask(subject, uri=uri))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"origin": "https://example.com"},
        {"subprotocols": ["a", "b"]},
        {"deflate": True},
    ],
)
def test_what_a_request_offers(kwargs: dict[str, Any]) -> None:
    def script(subject: Subject) -> None:
        ask(subject, **configured(subject, kwargs))

    compare(script)


def configured(subject: Subject, kwargs: dict[str, Any]) -> dict[str, Any]:
    kwargs = dict(kwargs)
    if kwargs.pop("deflate", False):
        kwargs["extensions"] = [subject.package.deflate.ClientPerMessageDeflateFactory()]
    return kwargs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": None},
        {"Connection": "close"},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "WebSocket"},
        {"Sec_WebSocket_Accept": None},
        {"Sec_WebSocket_Accept": [ACCEPT, ACCEPT]},
        {"Sec_WebSocket_Accept": "wrong"},
        {"Sec_WebSocket_Extensions": "permessage-deflate"},
        {"Sec_WebSocket_Extensions": "permessage-deflate, permessage-deflate"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; unknown"},
        {"Sec_WebSocket_Extensions": "x-other; a=1"},
        {"Sec_WebSocket_Extensions": ";"},
        {"Sec_WebSocket_Protocol": "chat"},
        {"Sec_WebSocket_Protocol": "other"},
        {"Sec_WebSocket_Protocol": "chat, other"},
        {"Sec_WebSocket_Protocol": ["chat", "other"]},
        {"Sec_WebSocket_Protocol": "="},
        {"Content_Length": "0"},
    ],
)
@pytest.mark.parametrize("config", [{}, {"deflate": True}, {"subprotocols": ["chat", "b"]}])
def test_responses(changes: dict[str, Any], config: dict[str, Any]) -> None:
    def script(subject: Subject) -> None:
        ask(subject, response(**changes), **configured(subject, config))
        subject.do("receive_eof")

    compare(script)


@pytest.mark.parametrize("status", [200, 204, 302, 304, 401, 403, 426, 500, 503])
def test_a_server_that_refuses(status: int) -> None:
    def script(subject: Subject) -> None:
        head = f"HTTP/1.1 {status} Sorry\r\nContent-Length: 5\r\nX: y\r\n\r\n".encode()
        ask(subject, head, b"abc", b"de")
        subject.do("receive_data", b"more")
        subject.do("receive_eof")

    compare(script)


def test_bodies_of_other_kinds() -> None:
    def chunked(subject: Subject) -> None:
        head = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
        ask(subject, head, b"5\r\nabcde\r\n", b"0\r\n\r\n")

    def to_the_end(subject: Subject) -> None:
        ask(subject, b"HTTP/1.1 400 Bad Request\r\n\r\nabc", b"de")
        subject.do("receive_eof")

    compare(chunked)
    compare(to_the_end, unlogged="DEBUG < EOF")


@pytest.mark.parametrize(
    "data",
    [
        b"not HTTP\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 abc Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nNo colon\r\n\r\n",
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    def script(subject: Subject) -> None:
        ask(subject, data)
        subject.do("receive_eof")

    # How the parsers word what is wrong is the business of tests/words/test_http11.py.
    ours = Subject(OURS)
    script(ours)
    facts = ours.steps[2][2]
    assert facts["handshake_exc"][:2] == (
        ["InvalidMessage", "InvalidHandshake", "WebSocketException"],
        "did not receive a valid HTTP response",
    )
    assert facts["handshake_exc"][2] is not None
    assert facts["expected"] and facts["output"] == ([], True)


@pytest.mark.parametrize("size", [0, 5, 40])
def test_a_server_that_leaves_before_its_response_is_whole(size: int) -> None:
    def script(subject: Subject) -> None:
        ask(subject, response()[:size])
        subject.do("receive_eof")

    compare_handshake_end(script)


def compare_handshake_end(script: Any) -> None:
    ours = Subject(OURS)
    script(ours)
    facts = ours.steps[-1][2]
    assert facts["state"] == "CLOSED"
    assert facts["handshake_exc"][1] == "did not receive a valid HTTP response"
    assert facts["handshake_exc"][2][0] == "EOFError"
    assert facts["handshake_exc"][2][1].startswith("connection closed while reading HTTP ")


def test_a_response_byte_by_byte_and_frames_behind_it() -> None:
    def script(subject: Subject) -> None:
        data = response() + frame(TEXT, b"spam")
        ask(subject, *cut(data, range(1, len(data))))
        subject.do("send_text", b"eggs")

    compare(script)


def test_frames_behind_a_response() -> None:
    def script(subject: Subject) -> None:
        ask(subject, response() + frame(TEXT, b"spam") + frame(9, b"!") + b"\x88")
        subject.do("receive_data", b"\x00")

    compare(script)


# What runs when nobody looks: wrong order, and no log.


def test_sending_before_the_handshake() -> None:
    def script(subject: Subject) -> None:
        subject.client()
        for method in ("send_text", "send_binary", "send_ping", "send_pong"):
            subject.do(method, b"x")
        subject.do("send_close")
        subject.do("send_continuation", b"x", True)

    compare(script)


def test_a_header_that_cannot_be_sent() -> None:
    conn = Subject(OURS).client()
    head = conn.connect()
    with pytest.raises(InvalidHeaderValue):
        head.headers["X"] = "a\r\nInjected: yes"
    head.path = "/ HTTP/1.1\r\nInjected: yes"
    with pytest.raises(ValueError):
        conn.send_request(head)
    assert conn.data_to_send() == []
