"""A message for many connections: queued by reference, serialised for each kind of them once."""

from __future__ import annotations

import gc
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway._core.shared import MOST_FORMS, SharedMessage
from ropeway._core.writer import Writer
from ropeway.exceptions import ProtocolError
from ropeway.extensions.permessage_deflate import PerMessageDeflate

from ..wire.streams import BINARY, CONT, FIN, PING, RSV1, TEXT, read_frames


def make(*, masked: bool = False, **options: Any) -> Writer:
    """Make a writer; with options, one that compresses."""
    writer = Writer(masked)
    if options:
        settings = {
            "remote_no_context_takeover": False,
            "local_no_context_takeover": False,
            "remote_max_window_bits": 15,
            "local_max_window_bits": 12,
        }
        writer.use_extensions([PerMessageDeflate(**{**settings, **options})])
    return writer


def taken(writer: Writer) -> list[tuple[int, bytes]]:
    data = b"".join(writer.take_output())
    return [(read.first, read.payload) for read in read_frames(data)]


class Inflater:
    """What a peer makes of compressed messages."""

    def __init__(self) -> None:
        self.context = zlib.decompressobj(wbits=-15)

    def __call__(self, payload: bytes) -> bytes:
        return self.context.decompress(payload + b"\x00\x00\xff\xff")


def test_connections_in_step_have_their_queue_in_common() -> None:
    writers = [make() for _ in range(3)]
    first, second = SharedMessage(TEXT, "a"), SharedMessage(TEXT, "b")
    for writer in writers:
        writer.write_shared(first)
    for writer in writers[:2]:
        writer.write_shared(second)
    assert writers[0].shared is writers[1].shared is not writers[2].shared
    assert [len(writer.shared) for writer in writers] == [2, 2, 1]
    assert taken(writers[0]) == [(FIN | TEXT, b"a"), (FIN | TEXT, b"b")]
    assert taken(writers[2]) == [(FIN | TEXT, b"a")]
    assert taken(writers[0]) == []


@pytest.mark.parametrize("options", [{}, {"local_no_context_takeover": True}], ids=["", "deflate"])
def test_long_queue_is_counted_and_never_copied_whole(options: dict[str, Any]) -> None:
    writer = make(**options)
    count = 1000
    for index in range(count):
        writer.write_shared(SharedMessage(TEXT, f"{index:100}"))
        assert len(writer.shared) < 100
    assert writer.frames_sent == count - len(writer.shared)
    assert writer.size == writer.bytes_sent > 0
    read = taken(writer)
    if options:
        inflate = Inflater()
        read = [(first & ~RSV1, inflate(payload)) for first, payload in read]
    assert read == [(FIN | TEXT, f"{index:100}".encode()) for index in range(count)]
    assert writer.messages_sent == count


def test_what_is_written_later_comes_behind() -> None:
    writer = make()
    for text in ("a", "b"):
        writer.write_shared(SharedMessage(TEXT, text))
        writer.write_data(TEXT, "then", True, None)
        writer.write_shared(SharedMessage(TEXT, text))
        writer.write_control(PING, b"p")
        writer.write_shared(SharedMessage(TEXT, text))
        writer.write_raw(b"\x82\x00")
        shared = (FIN | TEXT, text.encode())
        assert taken(writer) == [
            shared,
            (FIN | TEXT, b"then"),
            shared,
            (FIN | PING, b"p"),
            shared,
            (FIN | BINARY, b""),
        ]


def test_a_single_message_is_taken_without_lists() -> None:
    writer = make()
    assert writer.take_shared() is None
    writer.write_shared(SharedMessage(TEXT, "a"))
    assert writer.take_shared() == b"\x81\x01a"
    assert writer.take_output() == []
    assert (writer.frames_sent, writer.messages_sent, writer.bytes_sent) == (1, 1, 3)


@pytest.mark.parametrize("before", [True, False])
def test_with_anything_else_to_send_it_is_not_single(before: bool) -> None:
    writer = make()
    if before:
        writer.write_control(PING, b"p")
    else:
        writer.write_shared(SharedMessage(TEXT, "first"))
    writer.write_shared(SharedMessage(TEXT, "a"))
    assert writer.take_shared() is None
    assert taken(writer)[1] == (FIN | TEXT, b"a")


@pytest.mark.parametrize("options", [{}, {"threshold": 0}, {"masked": True}])
def test_not_within_a_fragmented_message(options: dict[str, Any]) -> None:
    writer = make(**options)
    writer.write_data(TEXT, "half", False, False)
    with pytest.raises(ProtocolError, match="expected a continuation frame"):
        writer.write_shared(SharedMessage(TEXT, "a"))
    writer.write_data(CONT, "", True, False)
    writer.write_shared(SharedMessage(TEXT, "a"))
    assert len(taken(writer)) == 3


def test_masked_messages_are_serialised_at_once() -> None:
    writers = [make(masked=True) for _ in range(2)]
    message = SharedMessage(TEXT, "a")
    for writer in writers:
        writer.write_shared(message)
        assert (writer.shared, writer.size) == ((), 7)
    frames = [writer.take_output() for writer in writers]
    assert frames[0] != frames[1]  # a key of its own for each


def windows(writers: list[Writer]) -> Iterator[bytes]:
    for writer in writers:
        noise = os.urandom(300)
        writer.write_data(BINARY, noise, True, None)
        yield noise


@pytest.mark.parametrize("takeover", [True, False])
def test_each_kind_of_connections_can_inflate_it(takeover: bool) -> None:
    writers = [
        make(local_no_context_takeover=not takeover, local_max_window_bits=bits)
        for bits in (9, 12, 15)
        for _ in range(MOST_FORMS)
    ]
    peers = [Inflater() for _ in writers]
    text = b"one message for all of them, " * 9
    for seed in range(3):
        message = SharedMessage(BINARY, text)
        if seed == 1:
            # Each has sent something that nobody else has.
            for noise, writer, inflate in zip(windows(writers), writers, peers, strict=True):
                ((_, payload),) = taken(writer)
                assert inflate(payload) == noise
        for writer in writers:
            writer.write_shared(message)
            if seed == 2:
                # What it was to be compressed with is given back before its turn comes.
                writer.deflate.rest()
                writer.deflate.rest()
        for writer, inflate in zip(writers, peers, strict=True):
            ((first, payload),) = taken(writer)
            assert (first, inflate(payload)) == (FIN | RSV1 | BINARY, text)


def test_below_the_threshold_it_is_plain() -> None:
    writer, other = make(threshold=4), make(threshold=3)
    message = SharedMessage(TEXT, "abc")
    for one in (writer, other):
        one.write_shared(message)
    assert taken(writer) == [(FIN | TEXT, b"abc")]
    assert taken(other)[0][0] == FIN | RSV1 | TEXT


def test_settings_that_the_library_refuses_are_found_before_it_is_queued() -> None:
    good, bad = make(compress_settings={"level": 1}), make(compress_settings={"level": 42})
    message = SharedMessage(TEXT, "abc")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"."):
            bad.write_shared(message)
        good.write_shared(message)
    assert (taken(bad), len(taken(good))) == ([], 2)


def test_nothing_keeps_a_message_that_was_sent() -> None:
    payload = os.urandom(100)
    count = sys.getrefcount(payload)
    gc.disable()
    try:
        writers = [make() for _ in range(3)]
        message = SharedMessage(BINARY, payload)
        for writer in writers:
            writer.write_shared(message)
        assert sys.getrefcount(payload) > count
        del message
        for writer in writers:
            writer.take_output()
        assert sys.getrefcount(payload) == count
    finally:
        gc.enable()


def test_text_in_bytes_is_checked_before_anything_is_sent() -> None:
    writer = make()
    writer.write_shared(SharedMessage(TEXT, "索道".encode()))
    assert taken(writer) == [(FIN | TEXT, "索道".encode())]
    for wrong in (b"\xff", "索".encode()[:2]):
        with pytest.raises(UnicodeDecodeError):
            SharedMessage(TEXT, wrong)


def test_more_forms_of_a_message_than_are_kept() -> None:
    message = SharedMessage(BINARY, b"one message for all of them, " * 9)
    writers = [make(local_no_context_takeover=False) for _ in range(2 * MOST_FORMS)]
    for _ in windows(writers):
        pass
    for writer in writers:
        writer.write_shared(message)
    for writer in writers:
        noise, (first, payload) = taken(writer)
        assert first == FIN | RSV1 | BINARY
        inflate = Inflater()
        inflate(noise[1])
        assert inflate(payload) == message.frame.payload
