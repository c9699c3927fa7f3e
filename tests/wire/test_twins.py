"""The whole connection in both builds: the same for every input and for every split of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .builds import BUILDS, Build, each_build, twins
from .comparing import assemble, connection, is_cut_in_deflate, plain, receive, splits
from .streams import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_frame,
    cut,
    deflated,
    frame,
)

KINDS = [TEXT, BINARY]

quick = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
every_split = settings(quick, max_examples=40)


@st.composite
def controls(draw: st.DrawFn, key: bytes | None) -> bytes:
    """Draw a few pings and pongs."""
    opcodes = draw(st.lists(st.sampled_from([PING, PONG]), max_size=2))
    return b"".join(frame(opcode, draw(st.binary(max_size=8)), key=key) for opcode in opcodes)


@st.composite
def messages(draw: st.DrawFn, key: bytes | None, deflate: bool) -> bytes:
    """Draw a message in fragments, with control frames between them."""
    opcode = draw(st.sampled_from(KINDS))
    payload = (
        draw(st.text(max_size=20)).encode() if opcode == TEXT else draw(st.binary(max_size=40))
    )
    if draw(st.integers(0, 9)) == 0:
        payload *= 7  # long enough for a length in two bytes, and sometimes over the limit
    rsv = RSV1 if deflate and draw(st.booleans()) else 0
    if rsv:
        payload = deflated(payload)
    points = draw(st.lists(st.integers(0, len(payload)), max_size=3))
    pieces = cut(payload, points)
    data = b""
    for index, piece in enumerate(pieces):
        data += draw(controls(key))
        last = index == len(pieces) - 1
        data += frame(CONT if index else opcode, piece, fin=last, rsv=0 if index else rsv, key=key)
    return data


@st.composite
def ends(draw: st.DrawFn, key: bytes | None) -> bytes:
    """Draw how a stream ends: open, with a close frame, or with a bad one."""
    code = draw(st.sampled_from([None, 0, 999, 1000, 1001, 1005, 1011, 2999, 3000, 4999, 5000]))
    kind = draw(st.sampled_from(["open", "close", "empty", "short", "not text"]))
    if kind == "close" and code is not None:
        return close_frame(code, draw(st.text(max_size=5)), key)
    payload = {"empty": b"", "short": b"\x03", "not text": b"\x03\xe8\xff"}.get(kind)
    return b"" if payload is None else frame(CLOSE, payload, key=key)


@st.composite
def valid(draw: st.DrawFn, key: bytes | None, deflate: bool) -> bytes:
    """Draw a stream of messages."""
    parts = draw(st.lists(messages(key, deflate), max_size=3))
    return b"".join(parts) + draw(ends(key))


@st.composite
def mutated(draw: st.DrawFn, key: bytes | None, deflate: bool) -> bytes:
    """Draw a stream with a few bytes changed, left out, put in or swapped."""
    data = bytearray(draw(valid(key, deflate)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["flip", "drop", "insert", "swap"]))
        if change == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=4))
        elif change == "drop":
            del data[place : place + draw(st.integers(1, 3))]
        elif place < len(data):
            if change == "flip":
                data[place] ^= draw(st.integers(1, 255))
            else:
                data[place], data[-1] = data[-1], data[place]
    return bytes(data)


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, bool, bytes]:
    """Draw a role, whether permessage-deflate is on, and bytes."""
    role = draw(st.sampled_from(["SERVER", "CLIENT"]))
    key = KEY if role == "SERVER" else None
    deflate = draw(st.booleans())
    kind = draw(st.sampled_from([valid, valid, mutated, mutated, None]))
    data = draw(st.binary(max_size=60)) if kind is None else draw(kind(key, deflate))
    return role, deflate, data


@twins
@quick
@given(streams())
def test_twins_make_the_same_of_every_stream(stream: tuple[str, bool, bytes]) -> None:
    role, deflate, data = stream
    compiled, pure = (plain(receive(build, role, deflate, [data])) for build in BUILDS.values())
    assert compiled == pure


@each_build
@every_split
@given(stream=streams())
def test_every_split_gives_the_same(build: Build, stream: tuple[str, bool, bytes]) -> None:
    role, deflate, data = stream
    whole = plain(receive(build, role, deflate, [data]))
    for pieces in splits(data):
        found = plain(receive(build, role, deflate, pieces))
        if deflate and is_cut_in_deflate(whole):
            assert is_cut_in_deflate(found)
            assert found["events"] == whole["events"]
        else:
            assert found == whole, [len(piece) for piece in pieces]


@twins
@quick
@given(streams(), st.sampled_from([None, 0, 1, 4]))
def test_twins_assemble_the_same_messages(
    stream: tuple[str, bool, bytes], high: int | None
) -> None:
    role, deflate, data = stream
    compiled, pure = (assemble(build, role, deflate, [data], high) for build in BUILDS.values())
    assert compiled == pure


@each_build
@every_split
@given(stream=streams(), high=st.sampled_from([None, 0, 1, 4]))
def test_every_split_assembles_the_same(
    build: Build, stream: tuple[str, bool, bytes], high: int | None
) -> None:
    role, deflate, data = stream
    whole = assemble(build, role, deflate, [data], high)
    for pieces in splits(data):
        found = assemble(build, role, deflate, pieces, high)
        if deflate and is_cut_in_deflate(whole):
            assert is_cut_in_deflate(found)
        else:
            assert found == whole, [len(piece) for piece in pieces]


@each_build
@quick
@given(stream=streams())
def test_messages_are_the_frames_put_together(
    build: Build, stream: tuple[str, bool, bytes]
) -> None:
    role, deflate, data = stream
    frames = receive(build, role, deflate, [data])
    whole = assemble(build, role, deflate, [data], None)
    expected: list[Any] = []
    started: tuple[int, bytes] | None = None
    for opcode, payload, fin in frames["events"]:
        if opcode > BINARY:
            continue
        kind, before = started if started is not None else (opcode, b"")
        started = (kind, before + payload)
        if fin:
            expected.append(started[1].decode() if kind == TEXT else started[1])
            started = None
    assert whole["messages"] == expected
    assert whole["error"] == frames["error"]
    assert whole["output"] == frames["output"]


BAD_TEXTS = [
    b"\xff",
    b"plain\x80",
    "κόσμε".encode() + b"\xed\xa0\x80edited",
    b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!\xf4\x90\x80\x80",
    b"a" * 130 + b"\xc0\xaf",
    b"cut \xe2\x82",
    b"cut \xf0\x9f\x98",
    b"cut \xed\xa0",
]


@each_build
@pytest.mark.parametrize("role", ["SERVER", "CLIENT"])
@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.parametrize("inbox", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_bad_text_has_one_place_and_one_reason(
    build: Build, role: str, text: bytes, inbox: bool, compressed: bool
) -> None:
    with pytest.raises(UnicodeDecodeError) as info:
        text.decode()
    reason = f"{info.value.reason} at position {info.value.start}"
    key = KEY if role == "SERVER" else None
    payload, rsv = (deflated(text), RSV1) if compressed else (text, 0)
    for point in range(len(payload) + 1):
        start, rest = payload[:point], payload[point:]
        data = frame(TEXT, start, fin=False, rsv=rsv, key=key)
        data += frame(PING, b"!", key=key) + frame(CONT, rest, key=key)
        for pieces in (
            [data],
            cut(data, range(1, len(data))),
            [frame(TEXT, payload, rsv=rsv, key=key)],
        ):
            protocol = connection(build, role, compressed)
            if inbox:
                protocol.use_inbox(build.room("_core.inbox").Inbox(None, None))
            for piece in pieces:
                protocol.receive_data(piece)
                while protocol.can_resume():
                    protocol.resume(0.0)
            assert (protocol.close_sent.code, protocol.close_sent.reason) == (1007, reason)
            assert type(protocol.parser_exc) is UnicodeDecodeError


@each_build
def test_text_fails_before_its_frame_is_whole(build: Build) -> None:
    protocol = connection(build, "CLIENT", False)
    data = frame(TEXT, b"good \xf0\x9f\x98\x80 bad \xf0\x80 and a tail that never comes")
    for index in range(2 + 15):
        protocol.receive_data(data[index : index + 1])
        assert protocol.close_sent is None
    protocol.receive_data(data[17:18])
    assert protocol.close_sent.reason == "invalid continuation byte at position 14"
