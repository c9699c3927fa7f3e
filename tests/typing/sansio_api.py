"""Programs on the sans-I/O classes, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

from typing import assert_type

from ropeway import ClientProtocol, Close, CloseCode, Frame, Headers, Opcode, Request, Response
from ropeway.exceptions import ConnectionClosed, InvalidHandshake
from ropeway.extensions import Extension
from ropeway.headers import Challenge, parse_challenges, parse_extension
from ropeway.protocol import Event, Protocol, Side, State
from ropeway.server import ServerProtocol
from ropeway.typing import ExtensionHeader, Origin, Subprotocol
from ropeway.uri import WebSocketURI, parse_uri


def client() -> None:
    uri = parse_uri("ws://localhost/")
    assert_type(uri, WebSocketURI)
    assert_type(uri.user_info, tuple[str, str] | None)
    protocol = ClientProtocol(uri, origin=Origin("http://localhost"), max_size=(None, 2**20))
    request = protocol.connect()
    assert_type(request, Request)
    protocol.send_request(request)
    assert_type(protocol.data_to_send(), list[bytes])
    assert_type(protocol.events_received(), list[Event])
    assert_type(protocol.handshake_exc, Exception | None)
    assert_type(protocol.extensions, list[Extension])


def server(request: Request) -> None:
    protocol = ServerProtocol(origins=[None], subprotocols=[Subprotocol("chat")])
    response = protocol.accept(request)
    assert_type(response, Response)
    assert_type(response.headers, Headers)
    assert_type(response.headers.get("Server"), str | None)
    assert_type(response.headers.get("Server", ""), str)
    protocol.send_response(response)
    protocol.receive_data(b"")


def both(protocol: Protocol) -> None:
    assert_type(protocol.side, Side)
    assert_type(protocol.state, State)
    assert_type(protocol.close_exc, ConnectionClosed)
    assert_type(protocol.close_rcvd, Close | None)
    protocol.send_close(CloseCode.GOING_AWAY, "bye")
    protocol.send_close(3000)


def words() -> None:
    assert_type(Frame(Opcode.TEXT, b"text").serialize(mask=False), bytes)
    assert_type(Close(1000, "").code, CloseCode | int)
    assert_type(parse_extension("a; b=c"), list[ExtensionHeader])
    assert_type(parse_challenges("Basic realm=a"), list[Challenge])
    assert issubclass(InvalidHandshake, Exception)
