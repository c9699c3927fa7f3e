"""Extensions of a user's own, from the handshake to the last frame, also beside compression."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from ropeway.client import ClientProtocol
from ropeway.exceptions import NegotiationError, PayloadTooBig, ProtocolError
from ropeway.extensions import ClientExtensionFactory, Extension, ServerExtensionFactory
from ropeway.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from ropeway.frames import CTRL_OPCODES, Frame, Opcode
from ropeway.protocol import CLIENT, SERVER, State
from ropeway.protocol import Protocol as Connection
from ropeway.server import ServerProtocol
from ropeway.uri import parse_uri

from ..wire.streams import BINARY, FIN, KEY, PING, PONG, RSV1, RSV2, RSV3, TEXT, frame, sent


class Shift(Extension):
    """Adds a number to each byte of a payload and sets RSV2."""

    name = "x-shift"

    def __init__(self, by: int = 1) -> None:
        self.by = by

    def encode(self, frame: Frame) -> Frame:
        data = bytes((byte + self.by) % 256 for byte in bytes(frame.data))
        return dataclasses.replace(frame, data=data, rsv2=True)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if not frame.rsv2:
            raise ProtocolError("RSV2 is missing")
        data = bytes((byte - self.by) % 256 for byte in bytes(frame.data))
        return dataclasses.replace(frame, data=data, rsv2=False)


class ShiftClient(ClientExtensionFactory):
    name = "x-shift"

    def get_request_params(self) -> Sequence[Any]:
        return [("by", "3")]

    def process_response_params(self, params: Any, accepted_extensions: Any) -> Shift:
        if params != [("by", "3")]:
            raise NegotiationError("by must be 3")
        return Shift(3)


class ShiftServer(ServerExtensionFactory):
    name = "x-shift"

    def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
        by = int(dict(params)["by"])
        return [("by", str(by))], Shift(by)


def opened(client: Any, server: Any) -> tuple[ClientProtocol, ServerProtocol]:
    """Connect a client and a server protocol."""
    one = ClientProtocol(parse_uri("ws://localhost/"), extensions=client)
    other = ServerProtocol(extensions=server)
    one.send_request(one.connect())
    other.receive_data(b"".join(one.data_to_send()))
    [request] = other.events_received()
    other.send_response(other.accept(request))
    one.receive_data(b"".join(other.data_to_send()))
    assert one.state is other.state is State.OPEN
    one.events_received()
    return one, other


def pass_on(one: Any, other: Any) -> list[Frame]:
    """Give the other end what one end sends, byte by byte."""
    for byte in b"".join(one.data_to_send()):
        other.receive_data(bytes((byte,)))
    return other.events_received()


LISTS = {
    "alone": ([ShiftClient()], [ShiftServer()]),
    "before": (
        [ShiftClient(), ClientPerMessageDeflateFactory()],
        [ShiftServer(), ServerPerMessageDeflateFactory()],
    ),
    "behind": (
        [ClientPerMessageDeflateFactory(), ShiftClient()],
        [ServerPerMessageDeflateFactory(), ShiftServer()],
    ),
}


@pytest.mark.parametrize("order", LISTS)
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_conversation(order: str, role: str) -> None:
    client, server = opened(*LISTS[order])
    one, other = (client, server) if role == "client" else (server, client)
    assert [extension.name for extension in one.extensions] == [
        extension.name for extension in other.extensions
    ]
    one.send_text("κόσμε")
    one.send_binary(b"spam", fin=False)
    one.send_ping(b"!")
    one.send_continuation(b"eggs", fin=True)
    assert pass_on(one, other) == [
        Frame(Opcode.TEXT, "κόσμε".encode()),
        Frame(Opcode.BINARY, b"spam", False),
        Frame(Opcode.PING, b"!"),
        Frame(Opcode.CONT, b"eggs"),
    ]
    assert pass_on(other, one) == [Frame(Opcode.PONG, b"!")]
    one.send_close(1000, "bye")
    assert [event.opcode for event in pass_on(one, other)] == [Opcode.CLOSE]
    assert [event.opcode for event in pass_on(other, one)] == [Opcode.CLOSE]
    for end in (client, server):
        assert (end.close_rcvd.code, end.close_rcvd.reason) == (1000, "bye")


def test_the_first_of_the_list_encodes_first() -> None:
    protocol = Connection(SERVER)
    protocol.extensions = [Shift(1), PerMessageDeflate(False, False, 15, 15)]
    protocol.send_binary(b"aaaa")
    [(first, payload)], _ = sent(protocol.data_to_send())
    assert first == FIN | RSV1 | RSV2 | BINARY
    client = Connection(CLIENT)
    client.extensions = [PerMessageDeflate(False, False, 15, 15)]
    client.receive_data(frame(BINARY, payload, rsv=RSV1))
    assert client.events_received() == [Frame(Opcode.BINARY, b"bbbb")]


def test_a_negotiation_that_fails() -> None:
    class Stubborn(ShiftServer):
        def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
            return [("by", "4")], Shift(4)

    client = ClientProtocol(parse_uri("ws://localhost/"), extensions=[ShiftClient()])
    server = ServerProtocol(extensions=[Stubborn()])
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    [request] = server.events_received()
    server.send_response(server.accept(request))
    client.receive_data(b"".join(server.data_to_send()))
    assert isinstance(client.handshake_exc, NegotiationError)
    assert "x-shift" in str(client.handshake_exc)


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


def connection(role: str, *extensions: Extension, **kwargs: Any) -> tuple[Connection, bytes | None]:
    protocol = Connection(CLIENT if role == "client" else SERVER, **kwargs)
    protocol.extensions = list(extensions)
    return protocol, None if role == "client" else KEY


def failed(protocol: Connection) -> tuple[int, str]:
    assert protocol.close_sent is not None
    return protocol.close_sent.code, protocol.close_sent.reason


def test_a_frame_that_breaks_the_extensions_rules(role: str) -> None:
    protocol, key = connection(role, Shift())
    protocol.receive_data(frame(TEXT, b"a", key=key))
    assert failed(protocol) == (1002, "RSV2 is missing")
    [(first, _)], _ = sent(protocol.data_to_send())
    assert first & RSV2  # the close frame goes through the extension as well


def test_a_reserved_bit_that_is_nobodys(role: str) -> None:
    protocol, key = connection(role, Shift())
    protocol.receive_data(frame(TEXT, b"b", rsv=RSV2 | RSV3, key=key))
    assert failed(protocol) == (1002, "reserved bits must be 0")


def test_text_that_decodes_to_something_else(role: str) -> None:
    protocol, key = connection(role, Shift())
    protocol.receive_data(frame(TEXT, b"bc\x00", rsv=RSV2, key=key))
    assert failed(protocol) == (1007, "invalid start byte at position 2")


class Limited(Extension):
    """Refuses to give more than it may."""

    name = "x-limited"

    def encode(self, frame: Frame) -> Frame:
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        data = bytes(frame.data) * 2
        if frame.opcode not in CTRL_OPCODES and max_size is not None and len(data) > max_size:
            raise PayloadTooBig(len(data), max_size)
        return dataclasses.replace(frame, data=data)


def test_a_payload_that_decodes_to_too_much(role: str) -> None:
    protocol, key = connection(role, Limited(), max_size=5)
    protocol.receive_data(frame(BINARY, b"ab", fin=False, key=key))
    protocol.receive_data(frame(PING, b"12345", key=key))  # control frames have no limit
    protocol.receive_data(frame(0, b"c", key=key))
    text = "frame with 2 bytes after reading 4 bytes exceeds limit of 5 bytes"
    assert failed(protocol) == (1009, text)
    assert isinstance(protocol.parser_exc, PayloadTooBig)


class Broken(Extension):
    """Fails where it is told to."""

    name = "x-broken"

    def __init__(self, *, on_encode: Sequence[int] = (), on_decode: Sequence[int] = ()) -> None:
        self.on_encode = on_encode
        self.on_decode = on_decode

    def encode(self, frame: Frame) -> Frame:
        if frame.opcode in self.on_encode:
            raise RuntimeError("secret of the extension")
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode in self.on_decode:
            raise RuntimeError("secret of the extension")
        return frame


def test_an_error_in_decoding_is_1011(role: str, caplog: pytest.LogCaptureFixture) -> None:
    protocol, key = connection(role, Broken(on_decode=[TEXT]))
    protocol.receive_data(frame(BINARY, b"a", key=key) + frame(TEXT, b"b", key=key))
    assert failed(protocol) == (1011, "")
    assert [event.data for event in protocol.events_received()] == [b"a"]
    assert isinstance(protocol.parser_exc, RuntimeError)
    [record] = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "parser failed")
    assert record.exc_info is not None


def test_an_error_in_answering_a_ping_is_1011(role: str, caplog: pytest.LogCaptureFixture) -> None:
    protocol, key = connection(role, Broken(on_encode=[PONG]))
    protocol.receive_data(frame(PING, b"a", key=key))
    assert failed(protocol) == (1011, "")
    assert caplog.messages == ["parser failed"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("data", [frame(3), frame(8, b"\x03\xe8"), frame(TEXT, b"\xff")])
def test_an_error_in_encoding_the_close_frame_ends_the_stream(
    role: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    protocol, key = connection(role, Broken(on_encode=[8]))
    if key is not None:
        data = data[:1] + bytes((data[1] | 0x80,)) + bytes(4) + data[2:]
    protocol.receive_data(data)
    assert protocol.parser_exc is not None
    assert protocol.close_sent is None
    assert protocol.data_to_send() == [b""]
    assert protocol.close_expected()
    assert "secret of the extension" in caplog.text
    protocol.receive_eof()
    assert protocol.close_code in (1000, 1006)
    assert caplog.messages.count("sending a control frame failed") == 1


def test_an_error_in_encoding_comes_out_where_it_was_asked_for(role: str) -> None:
    protocol, _ = connection(role, Broken(on_encode=[TEXT]))
    with pytest.raises(RuntimeError, match="secret"):
        protocol.send_text("a")
    protocol.send_binary(b"a")
    assert [payload for _, payload in sent(protocol.data_to_send())[0]] == [b"a"]


@pytest.mark.parametrize("method", ["encode", "decode"])
def test_the_base_class_is_an_interface(method: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(Extension(), method)(Frame(Opcode.TEXT, b""))


def test_the_factories_are_interfaces() -> None:
    with pytest.raises(NotImplementedError):
        ClientExtensionFactory().get_request_params()
    with pytest.raises(NotImplementedError):
        ClientExtensionFactory().process_response_params([], [])
    with pytest.raises(NotImplementedError):
        ServerExtensionFactory().process_request_params([], [])
