"""What the sans-I/O classes have beyond websockets: hosts, same-origin, deadlines, compression."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ropeway._core.engine import Engine
from ropeway.client import ClientProtocol
from ropeway.exceptions import InvalidHeaderValue, InvalidState
from ropeway.extensions.permessage_deflate import PerMessageDeflate
from ropeway.http11 import Request
from ropeway.protocol import CLIENT, CONNECTING, OPEN, SERVER, Protocol
from ropeway.server import InvalidHost, ServerProtocol, _check_key
from ropeway.uri import parse_uri

from ..wire.streams import BINARY, FIN, RSV1, TEXT, frame, sent
from .test_handshakes import request, response


def answered(data: bytes, **kwargs: Any) -> tuple[int, ServerProtocol]:
    """Give the status with which a server answers."""
    conn = ServerProtocol(**kwargs)
    conn.receive_data(data)
    [event] = conn.events_received()
    answer = conn.accept(event)
    conn.send_response(answer)
    return answer.status_code, conn


# Who may connect.


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.com", 101),
        ("EXAMPLE.com", 101),
        ("example.com:8080", 101),
        ("example.com:", 101),
        ("other.example:81", 101),
        ("other.example", 421),
        ("other.example:82", 421),
        ("example.com.evil.example", 421),
        ("evil.example", 421),
        ("", 421),
        ("[::1]:80", 101),
        ("[::1]", 101),
        ("[::2]", 421),
        (None, 400),
        (["example.com", "evil.example"], 400),
    ],
)
def test_hosts(host: Any, status: int) -> None:
    hosts = ["Example.com", "other.example:81", "[::1]"]
    found, conn = answered(request(Host=host), hosts=hosts)
    assert found == status
    if status == 421:
        assert isinstance(conn.handshake_exc, InvalidHost)


def test_without_hosts_any_will_do() -> None:
    assert answered(request(Host="evil.example"))[0] == 101


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://example.com", "example.com", 101),
        ("http://example.com", "example.com", 101),
        ("http://example.com", "EXAMPLE.COM:80", 101),
        ("https://example.com:443", "example.com", 101),
        ("https://example.com", "example.com:443", 101),
        ("http://example.com:8080", "example.com:8080", 101),
        ("http://example.com:8080", "example.com", 403),
        ("http://example.com", "example.com:8080", 403),
        ("http://example.com", "example.com:443", 403),
        ("https://evil.example", "example.com", 403),
        ("https://example.com.evil.example", "example.com", 403),
        ("https://evil.example/example.com", "example.com", 403),
        ("null", "example.com", 403),
        ("file://", "example.com", 403),
        ("", "example.com", 403),
        (None, "example.com", 101),
        ("https://example.com", None, 400),
    ],
)
def test_same_origin(origin: str | None, host: str | None, status: int) -> None:
    data = request(Origin=origin, Host=host)
    assert answered(data, origins="same-origin")[0] == status


def test_origins_are_no_other_string() -> None:
    with pytest.raises(ValueError, match="^origins must be a list or 'same-origin': 'https://x'$"):
        ServerProtocol(origins="https://x")


# Answers, and when they come too late.


def test_an_answer_goes_out_once() -> None:
    for data, status in ((request(), 101), (request(Upgrade="h2c"), 426)):
        conn = ServerProtocol()
        conn.receive_data(data)
        answer = conn.accept(conn.events_received()[0])
        assert answer.status_code == status
        conn.send_response(answer)
        conn.data_to_send()
        with pytest.raises(InvalidState):
            conn.send_response(answer)
        assert conn.data_to_send() == []


def test_an_answer_after_the_time_is_up() -> None:
    conn = ServerProtocol()
    conn.open_deadline = 5.0
    conn.receive_data(request())
    answer = conn.accept(conn.events_received()[0])
    conn.on_deadline(6.0)
    assert b" 503 " in conn.data_to_send()[0]  # the client was in time
    with pytest.raises(InvalidState):
        conn.send_response(answer)
    assert (conn.state, conn.data_to_send()) == (CONNECTING, [])


def test_an_answer_after_the_client_has_left() -> None:
    conn = ServerProtocol()
    conn.receive_data(request())
    answer = conn.accept(conn.events_received()[0])
    conn.receive_eof()
    conn.data_to_send()
    with pytest.raises(InvalidState):
        conn.send_response(answer)
    assert conn.data_to_send() == []


def test_a_server_that_does_not_answer() -> None:
    conn = ClientProtocol(parse_uri("ws://example.com/"))
    conn.send_request(conn.connect())
    conn.data_to_send()
    conn.open_deadline = 5.0
    assert conn.next_deadline(0.0) == 5.0
    conn.receive_data(response()[:20])
    conn.on_deadline(5.0)
    assert isinstance(conn.handshake_exc, TimeoutError)
    assert conn.data_to_send() == [b""]
    assert conn.close_expected()
    conn.receive_data(response()[20:])
    assert conn.state is CONNECTING


# Messages.


def test_compression_of_one_message() -> None:
    conn = Protocol(SERVER)
    conn.extensions = [PerMessageDeflate(False, False, 15, 15, threshold=64)]
    for compress in (None, True, False):
        conn.send_text("short", compress=compress)
        conn.send_binary(bytes(64), compress=compress)
    firsts = [first for first, _ in sent(conn.data_to_send())[0]]
    plain, packed = [FIN | TEXT, FIN | BINARY], [FIN | RSV1 | TEXT, FIN | RSV1 | BINARY]
    assert firsts == [plain[0], packed[1], *packed, *plain]
    assert conn.stats().compression_ratio_sent is not None


def test_a_str_is_sent_as_utf_8() -> None:
    conn = Protocol(SERVER)
    conn.send_text("é", fin=False)
    assert conn.expect_continuation_frame
    conn.send_continuation("è", True)
    assert not conn.expect_continuation_frame
    conn.send_binary("ü")
    payloads = [payload for _, payload in sent(conn.data_to_send())[0]]
    assert payloads == ["é".encode(), "è".encode(), "ü".encode()]


def test_text_that_is_not_utf_8_is_not_sent() -> None:
    conn = Protocol(SERVER)
    with pytest.raises(UnicodeDecodeError):
        conn.send_text(b"\xff")
    assert (conn.data_to_send(), conn.state) == ([], OPEN)


def test_a_close_frame_inside_a_message_is_answered() -> None:
    conn = Protocol(CLIENT)
    conn.receive_data(frame(TEXT, b"begun", fin=False) + frame(8, b"\x03\xe8"))
    assert conn.close_sent is not None
    assert conn.close_sent.code == 1000
    assert conn.parser_exc is None


# The handshake's short cuts.


@given(st.text("Az09+/=-é\n ", min_size=20, max_size=26), st.sampled_from(["", "=", "=="]))
@example("A" * 22, "==")
@example("A" * 21 + "B", "==")
@example("A" * 22, "")
def test_a_key_is_base64_of_16_bytes(text: str, padding: str) -> None:
    key = text + padding
    try:
        valid = len(base64.b64decode(key.encode(), validate=True)) == 16
    except binascii.Error:
        valid = False
    try:
        _check_key(key)
    except InvalidHeaderValue as exc:
        assert not valid
        assert (exc.name, exc.value) == ("Sec-WebSocket-Key", key)
    else:
        assert valid


@pytest.mark.parametrize("value", ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", " x ", "é", ""])
def test_a_subclass_may_answer_otherwise(value: str) -> None:
    class Other(ServerProtocol):
        def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
            return value, value, value

    server = Other()
    server.receive_data(request())
    [event] = server.events_received()
    assert isinstance(event, Request)
    response = server.accept(event)
    names = ("Accept", "Extensions", "Protocol")
    assert [response.headers[f"Sec-WebSocket-{name}"] for name in names] == [value] * 3
    server.send_response(response)
    [sent] = server.data_to_send()
    for name in names:
        assert f"\r\nSec-WebSocket-{name}: {value}\r\n".encode("latin-1") in sent


def test_a_subclass_can_not_answer_with_two_lines() -> None:
    class Other(ServerProtocol):
        def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
            return "x\r\nY: z", None, None

    server = Other()
    server.receive_data(request())
    [event] = server.events_received()
    assert isinstance(event, Request)
    with pytest.raises(InvalidHeaderValue):
        server.accept(event)


# The rest.


def test_an_id_is_made_when_asked_for() -> None:
    one, other = Protocol(CLIENT), Protocol(CLIENT)
    assert isinstance(one.id, uuid.UUID)
    assert one.id == one.id != other.id


def test_the_engine_alone_has_no_handshake() -> None:
    engine = Engine(CLIENT, CONNECTING, None, None, None)
    with pytest.raises(NotImplementedError):
        engine.receive(b"HTTP", 0, 4, 0.0)
    with pytest.raises(NotImplementedError):
        engine.receive_end()
    engine = Engine(SERVER, CONNECTING, None, None, None)
    engine.open_deadline = 1.0
    with pytest.raises(NotImplementedError):
        engine.on_deadline(2.0)


def test_another_with_the_same_options() -> None:
    one = ServerProtocol(origins=["http://mountain"], subprotocols=["chat"], max_size=5)
    another = one._another()
    assert another is not one
    another.receive_data(request(Origin="http://mountain", Sec_WebSocket_Protocol="chat"))
    [event] = another.events_received()
    another.send_response(another.accept(event))
    assert (another.state, another.origin, another.subprotocol) == (OPEN, "http://mountain", "chat")
    another.receive_data(frame(TEXT, b"123456", key=b"abcd"))
    assert another.close_sent is not None and another.close_sent.code == 1009
    assert one.state is CONNECTING
