"""The receive queue: assembly, water marks, and messages that are taken fragment by fragment."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway._core.inbox import SEPARATE_FRAGMENTS, Inbox, MessageStream

CONT, TEXT, BINARY = 0, 1, 2


def make(high: int | None = None, low: int | None = None) -> Inbox:
    return Inbox(high, low)


def put(inbox: Inbox, opcode: int, *payloads: bytes) -> None:
    """Put a message in fragments."""
    for index, payload in enumerate(payloads):
        fin = index == len(payloads) - 1
        inbox.put(CONT if index else opcode, fin, payload)


# Water marks.


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [
        (16, None, (16, 4)),
        (16, 16, (16, 16)),
        (3, None, (3, 0)),
        (0, None, (0, 0)),
        (None, 5, (20, 5)),
        (None, None, (-1, -1)),
    ],
)
def test_marks(high: int | None, low: int | None, expected: tuple[int, int]) -> None:
    inbox = make(high, low)
    assert (inbox.high, inbox.low) == expected


@pytest.mark.parametrize(
    ("high", "low", "text"),
    [
        (16, -1, "low must be positive or equal to zero: -1"),
        (4, 5, "high must be greater than or equal to low: 4 < 5"),
        (None, -1, "low must be positive or equal to zero: -1"),
    ],
)
def test_marks_that_make_no_sense(high: int | None, low: int, text: str) -> None:
    with pytest.raises(ValueError) as info:
        make(high, low)
    assert str(info.value) == text


def test_full_above_high_and_room_at_low() -> None:
    inbox = make(3, 1)
    states = []
    for _ in range(4):
        put(inbox, BINARY, b"x")
        states.append(inbox.is_full())
    assert states == [False, False, False, True]
    rooms = []
    while inbox.items:
        inbox.take(None)
        rooms.append((inbox.is_full(), inbox.has_room()))
    assert rooms == [(False, False), (False, False), (False, True), (False, True)]


def test_full_above_so_many_bytes_until_it_is_empty() -> None:
    inbox = make(16)
    inbox.most = 1000
    for _ in range(10):
        put(inbox, BINARY, bytes(100))
    assert not inbox.is_full()
    put(inbox, TEXT, b"x")
    assert inbox.is_full()
    while inbox.items:
        assert not inbox.has_room()
        inbox.take(None)
    assert inbox.has_room()
    assert not inbox.is_full()


def test_a_large_message_that_somebody_waits_for_may_grow() -> None:
    inbox = make(16)
    inbox.most = 10
    inbox.put(BINARY, False, bytes(100))
    assert inbox.is_full()
    assert not inbox.has_room()
    inbox.wanted = True
    assert not inbox.is_full()
    assert inbox.has_room()


def test_no_limit_is_never_full() -> None:
    inbox = make()
    for _ in range(1000):
        put(inbox, BINARY, b"x")
    assert not inbox.is_full()
    assert inbox.has_room()


def test_fragments_count_as_frames() -> None:
    inbox = make(2, 0)
    put(inbox, TEXT, b"a", b"b", b"c")
    assert (inbox.level, inbox.is_full()) == (3, True)
    assert inbox.take(None) == "abc"
    assert (inbox.level, inbox.is_full()) == (0, False)


def test_a_message_that_somebody_waits_for_may_grow() -> None:
    inbox = make(2, 0)
    inbox.wanted = True
    inbox.put(TEXT, False, b"a")
    for _ in range(10):
        inbox.put(CONT, False, b"b")
        assert not inbox.is_full()
        assert inbox.has_room()
    inbox.put(CONT, True, b"c")
    # It is whole: whoever waits will take it.
    assert inbox.is_full()
    assert not inbox.has_room()


def test_a_message_that_nobody_waits_for_may_not_grow() -> None:
    inbox = make(2, 0)
    for opcode in (TEXT, CONT, CONT):
        inbox.put(opcode, False, b"a")
    assert inbox.is_full()
    assert not inbox.is_ready()
    inbox.wanted = True
    assert inbox.has_room()


# Messages.


def test_messages_in_order() -> None:
    inbox = make()
    assert not inbox.is_ready()
    inbox.put(TEXT, True, "é")
    put(inbox, BINARY, b"1", b"2")
    put(inbox, TEXT, b"\xc3", b"", b"\xa9")
    inbox.put(BINARY, True, b"")
    messages = []
    while inbox.is_ready():
        messages.append(inbox.take(None))
    assert messages == ["é", b"12", "é", b""]
    assert inbox.level == 0


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        (None, ["é", b"b", "é", b"cd"]),
        (True, ["é", "b", "é", "cd"]),
        (False, [b"\xc3\xa9", b"b", b"\xc3\xa9", b"cd"]),
    ],
)
def test_decoding(decode: bool | None, expected: list[Any]) -> None:
    inbox = make()
    inbox.put(TEXT, True, "é")
    inbox.put(BINARY, True, b"b")
    put(inbox, TEXT, b"\xc3", b"\xa9")
    put(inbox, BINARY, b"c", b"d")
    assert [inbox.take(decode) for _ in range(4)] == expected


def test_decoding_what_is_not_text() -> None:
    inbox = make()
    inbox.put(BINARY, True, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        inbox.take(True)
    assert (inbox.level, inbox.is_ready()) == (0, False)


@pytest.mark.parametrize("count", [1, SEPARATE_FRAGMENTS - 1, SEPARATE_FRAGMENTS, 1000])
def test_many_fragments_take_few_objects(count: int) -> None:
    inbox = make()
    payloads = [bytes((index % 256,)) * 3 for index in range(count)]
    if count == 1:
        inbox.put(BINARY, False, payloads[0])
        inbox.put(CONT, True, b"")
    else:
        put(inbox, BINARY, *payloads)
    [item] = inbox.items
    assert len(item.chunks) <= SEPARATE_FRAGMENTS
    assert item.frames == max(count, 2)
    assert inbox.take(None) == b"".join(payloads)
    assert inbox.level == 0


# Fragment by fragment.


def drain(stream: MessageStream) -> list[Any]:
    pieces = []
    while not stream.finished and stream.is_ready():
        pieces.append(stream.take())
    return pieces


def test_a_stream_of_a_whole_message() -> None:
    inbox = make()
    inbox.put(TEXT, True, "whole")
    stream = MessageStream(inbox, None)
    assert not stream.started
    assert drain(stream) == ["whole"]
    assert stream.started and stream.finished
    assert inbox.level == 0


@pytest.mark.parametrize(
    ("opcode", "decode", "expected"),
    [
        (TEXT, None, ["", "é", "x", ""]),
        (TEXT, True, ["", "é", "x", ""]),
        (TEXT, False, [b"\xc3", b"\xa9", b"x", b""]),
        (BINARY, None, [b"\xc3", b"\xa9", b"x", b""]),
        (BINARY, False, [b"\xc3", b"\xa9", b"x", b""]),
        (BINARY, True, ["", "é", "x", ""]),
    ],
)
def test_a_stream_of_fragments(opcode: int, decode: bool | None, expected: list[Any]) -> None:
    inbox = make()
    put(inbox, opcode, b"\xc3", b"\xa9", b"x", b"")
    inbox.put(BINARY, True, b"next")
    stream = MessageStream(inbox, decode)
    assert drain(stream) == expected
    assert stream.finished
    assert inbox.level == 1
    assert inbox.take(None) == b"next"


def test_a_stream_goes_on_when_more_arrives() -> None:
    inbox = make()
    stream = MessageStream(inbox, None)
    assert not stream.is_ready()
    inbox.put(TEXT, False, b"a")
    assert drain(stream) == ["a"]
    assert (stream.finished, stream.is_ready(), inbox.level) == (False, False, 0)
    assert not inbox.is_ready()
    inbox.put(CONT, False, b"b")
    inbox.put(CONT, True, b"c")
    assert inbox.is_ready()  # its rest is a whole message
    assert drain(stream) == ["b", "c"]
    assert stream.finished
    assert (inbox.level, len(inbox.items)) == (0, 0)


def test_a_stream_of_bytes_that_are_not_text() -> None:
    inbox = make()
    put(inbox, BINARY, b"ok", b"\xff")
    stream = MessageStream(inbox, True)
    assert stream.take() == "ok"
    with pytest.raises(UnicodeDecodeError):
        stream.take()


@pytest.mark.parametrize("count", [2, SEPARATE_FRAGMENTS, SEPARATE_FRAGMENTS + 1, 500])
def test_a_stream_of_many_fragments(count: int) -> None:
    inbox = make()
    payloads = [b"%d," % index for index in range(count)]
    put(inbox, BINARY, *payloads)
    stream = MessageStream(inbox, None)
    pieces = drain(stream)
    assert b"".join(pieces) == b"".join(payloads)
    assert all(type(piece) is bytes for piece in pieces)
    assert pieces[: SEPARATE_FRAGMENTS - 1] == payloads[: SEPARATE_FRAGMENTS - 1]
    assert inbox.level == 0


def test_a_stream_that_falls_behind_and_catches_up() -> None:
    inbox = make()
    inbox.put(BINARY, False, b"0")
    for _ in range(200):
        inbox.put(CONT, False, b"1")
    stream = MessageStream(inbox, None)
    received = stream.take()
    # The merged fragments are no longer last: what follows is apart from them.
    inbox.put(CONT, False, b"2")
    inbox.put(CONT, True, b"3")
    received += b"".join(drain(stream))
    assert received == b"0" + b"1" * 200 + b"23"
    assert inbox.level == 0
