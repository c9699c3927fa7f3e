"""The memory of a large payload that is received where it stays."""

from __future__ import annotations

from typing import Any

import pytest

from .builds import Build, each_build


@each_build
def test_no_more_than_there_was_room_for(build: Build) -> None:
    payload: Any = build.room("_wire").PayloadBuffer(100, False, False)
    size = len(payload.room())
    with pytest.raises(ValueError, match="room"):
        payload.advance(size + 1, 0)
    payload.advance(size, 0)
    with pytest.raises(ValueError, match="room"):
        payload.advance(1, 0)


@each_build
@pytest.mark.parametrize("as_str", [False, True])
def test_a_view_that_is_kept_does_no_harm(build: Build, as_str: bool) -> None:
    views = []
    payload: Any = build.room("_wire").PayloadBuffer(2**20, True, as_str)
    expected = b""
    while payload.filled < 2**20:
        views.append(payload.room())
        size = min(len(views[-1]), 40_000)
        piece = bytes((97 + len(views),)) * size
        views[-1][:size] = piece
        payload.advance(size, 0)
        expected += piece
    taken = payload.take()
    assert taken == (expected.decode() if as_str else expected)
    del payload
    assert all(len(bytes(view)) == len(view) for view in views)


@each_build
@pytest.mark.parametrize("as_str", [False, True])
def test_taking_what_is_there(build: Build, as_str: bool) -> None:
    payload: Any = build.room("_wire").PayloadBuffer(2**20, True, as_str)
    payload.put(b"<spam>", 1, 5, 0)
    assert payload.filled == 4
    assert payload.capacity == 16
    assert payload.take() == ("spam" if as_str else b"spam")


@each_build
def test_what_was_received_in_its_room_is_unmasked(build: Build) -> None:
    payload: Any = build.room("_wire").PayloadBuffer(8, False, False)
    view = payload.room()
    view[:8] = bytes(value ^ key for value, key in zip(b"spameggs", b"abcdabcd", strict=True))
    payload.advance(8, int.from_bytes(b"abcd", "little"))
    assert payload.take() == b"spameggs"
