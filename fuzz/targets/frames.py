"""A stream of frames: compiled as pure, cut as whole, and as wsproto reads it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, ParseFailed
from wsproto.frame_protocol import Opcode as TheirOpcode

from tests.wire.builds import BUILDS
from tests.wire.comparing import assemble, connection, drain, is_cut_in_deflate, plain, receive
from tests.wire.streams import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    TEXT,
    close_frame,
    cut,
    deflated,
    frame,
)

from .taking import Taking

ROLES = ("SERVER", "CLIENT")
HIGHS = (None, 0, 1, 4)

# What wsproto finds wrong, and is registered: 1012 to 1014.
BEYOND_US = "CLOSE with unknown reserved code"

# What wsproto does not find wrong, and RFC 6455 does.
BEYOND_WSPROTO = (
    "invalid status code",  # it takes 1012 to 2999, and 5000 and above
    "decompression failed",  # where our end of the message makes it so
    "final blocks",
)


def check(data: bytes) -> None:
    """Read a stream in every way; the first four bytes or more say how."""
    taking = Taking(data)
    role, deflate, high = taking.choice(ROLES), bool(taking.byte() & 1), taking.choice(HIGHS)
    points = taking.points(len(data))
    stream = taking.rest()
    pieces = cut(stream, [point for point in points if point < len(stream)])
    _compare_events(role, deflate, stream, pieces)
    _compare_messages(role, deflate, stream, pieces, high)
    _compare_with_wsproto(role, deflate, stream)


def _compare_events(role: str, deflate: bool, stream: bytes, pieces: list[bytes]) -> None:
    whole = [plain(receive(build, role, deflate, [stream])) for build in BUILDS.values()]
    parts = [plain(receive(build, role, deflate, pieces)) for build in BUILDS.values()]
    assert whole[0] == whole[-1], "builds differ"
    assert parts[0] == parts[-1], "builds differ on pieces"
    if deflate and is_cut_in_deflate(whole[0]):
        assert is_cut_in_deflate(parts[0])
    else:
        assert whole[0] == parts[0], "pieces differ"


def _compare_messages(
    role: str, deflate: bool, stream: bytes, pieces: list[bytes], high: int | None
) -> None:
    whole = [assemble(build, role, deflate, [stream], high) for build in BUILDS.values()]
    parts = [assemble(build, role, deflate, pieces, high) for build in BUILDS.values()]
    assert whole[0] == whole[-1], "builds differ"
    assert parts[0] == parts[-1], "builds differ on pieces"
    if deflate and is_cut_in_deflate(whole[0]):
        assert is_cut_in_deflate(parts[0])
    else:
        assert whole[0] == parts[0], "pieces differ"


# wsproto


def _compare_with_wsproto(role: str, deflate: bool, stream: bytes) -> None:
    messages, controls, error = _ours(role, deflate, stream)
    their_messages, their_controls, their_error, is_complete = _theirs(role, deflate, stream)
    if error is None:
        assert their_error in (None, BEYOND_US), f"wsproto: {their_error}"
        assert messages == their_messages
        assert controls == their_controls
        return
    if their_error is None:
        # It may need the rest of a frame to see what is wrong with its beginning.
        assert not is_complete or any(text in error for text in BEYOND_WSPROTO), error
    assert messages == their_messages[: len(messages)]
    assert controls == their_controls[: len(controls)]


def _ours(role: str, deflate: bool, stream: bytes) -> tuple[list[Any], list[Any], str | None]:
    build = next(iter(BUILDS.values()))
    protocol = connection(build, role, deflate, None)
    protocol.receive_data(stream)
    controls = [
        (int(event.opcode), bytes(event.data))
        for event in protocol.events_received()
        if event.opcode in (PING, PONG)
    ]
    protocol = connection(build, role, deflate, None)
    inbox = build.room("_core.inbox").Inbox(None, None)
    protocol.use_inbox(inbox)
    messages: list[Any] = []
    protocol.receive(stream, 0, len(stream), 0.0)
    drain(protocol, inbox, messages)
    exc = protocol.parser_exc
    return messages, controls, None if exc is None else f"{type(exc).__name__}: {exc}"


def _theirs(
    role: str, deflate: bool, stream: bytes
) -> tuple[list[Any], list[Any], str | None, bool]:
    extensions = []
    if deflate:
        extension = PerMessageDeflate()
        extension._enabled = True
        extensions.append(extension)
    protocol = FrameProtocol(client=role == "CLIENT", extensions=extensions)
    protocol.receive_bytes(stream)
    messages: list[Any] = []
    controls: list[Any] = []
    pieces: list[Any] = []
    error = None
    try:
        for read in protocol.received_frames():
            if read.opcode in (TheirOpcode.PING, TheirOpcode.PONG):
                controls.append((int(read.opcode), bytes(read.payload)))
            elif read.opcode is TheirOpcode.CLOSE:
                break
            else:
                pieces.append(read.payload)
                if read.message_finished:
                    messages.append(_joined(pieces))
                    pieces = []
    except ParseFailed as exc:
        error = str(exc)
    except Exception as exc:
        error = f"{type(exc).__name__}: {exc}"
    decoder = protocol._frame_decoder
    return messages, controls, error, decoder.header is None and not len(decoder.buffer)


def _joined(pieces: list[Any]) -> str | bytes:
    return "".join(pieces) if isinstance(pieces[0], str) else bytes(b"".join(pieces))


# Traffic like that of the Autobahn test suite, whose groups these are.

UTF8 = (
    "κόσμε".encode(),
    "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    b"\xf4\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xef\xbf\xbe",
    b"\x80",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce",
)
CODES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1014, 1016, 2999, 3000, 4999, 5000)


def seeds() -> Iterator[bytes]:
    """Give inputs in which each rule is kept and each is broken."""
    for role, key in (("SERVER", KEY), ("CLIENT", None)):
        for deflate in (False, True):
            begin = bytes((ROLES.index(role), deflate, 3, 1, 0, 9))
            for stream in _streams(key, deflate):
                yield begin + stream


def _streams(key: bytes | None, deflate: bool) -> Iterator[bytes]:
    for size in (0, 1, 125, 126, 127, 300):
        yield frame(TEXT, b"*" * size, key=key)
        yield frame(BINARY, b"\xfe" * size, key=key)
    for size in (0, 8, 125, 126):
        yield frame(PING, b"p" * size, key=key) + frame(PONG, b"q" * size, key=key)
    yield frame(TEXT, b"x", rsv=RSV2, key=key)
    for opcode in (3, 7, 11, 15):
        yield frame(opcode, b"", key=key)
    yield from _fragments(key)
    for text in UTF8:
        yield frame(TEXT, text, key=key)
        yield frame(TEXT, text[:3], fin=False, key=key) + frame(CONT, text[3:], key=key)
    for code in CODES:
        yield frame(TEXT, b"before", key=key) + close_frame(code, "why", key)
    for payload in (b"", b"\x03", b"\x03\xe8\xff"):
        yield frame(CLOSE, payload, key=key) + frame(PING, b"", key=key)
    for first, length in ((0x82, 127), (0x81, 126)):
        bit = 0x80 if key else 0
        yield struct.pack("!BBQ", first, bit | length, 1 << 63)
        yield struct.pack("!BBH", first, bit | length, 3)
    yield frame(TEXT, b"unmasked or masked", key=None if key else KEY)
    if deflate:
        yield from _compressed(key)


def _fragments(key: bytes | None) -> Iterator[bytes]:
    yield (
        frame(TEXT, b"frag", fin=False, key=key)
        + frame(PING, b"!", key=key)
        + frame(CONT, b"ment", key=key)
        + frame(CONT, b"none began", key=key)
    )
    yield frame(BINARY, b"one", fin=False, key=key) + frame(TEXT, b"two", key=key)
    yield frame(PING, b"", fin=False, key=key)
    yield frame(BINARY, fin=False, key=key) + frame(CONT, fin=False, key=key) * 9


def _compressed(key: bytes | None) -> Iterator[bytes]:
    data = deflated(b"compressed " * 20)
    yield frame(TEXT, data, rsv=RSV1, key=key) * 2
    yield frame(TEXT, data[:9], fin=False, rsv=RSV1, key=key) + frame(CONT, data[9:], key=key)
    yield frame(TEXT, data[:9], fin=False, rsv=RSV1, key=key) + frame(
        CONT, data[9:], rsv=RSV1, key=key
    )
    yield frame(BINARY, b"", rsv=RSV1, key=key)
    yield frame(BINARY, b"\x03\x00" * 9, rsv=RSV1, key=key)
    yield frame(BINARY, b"\xff" * 9, rsv=RSV1, key=key)
    yield frame(TEXT, deflated(b"\xff\xfe text"), rsv=RSV1, key=key)
    yield frame(BINARY, deflated(bytes(4000)), rsv=RSV1, key=key)
    yield frame(PING, b"", rsv=RSV1, key=key)
