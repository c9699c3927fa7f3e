"""What the two sides exchange, and what becomes of it before it is shown."""

from __future__ import annotations

import json

import pytest

from ropeway.demo import messages
from ropeway.demo.messages import (
    Join,
    Joined,
    Left,
    Malformed,
    Person,
    Pulse,
    Rename,
    Renamed,
    Said,
    Say,
    Welcome,
)
from ropeway.demo.text import clean_name, columns, fold, printable

ADA = Person(1, "Ada", "browser", 0.25)
HELLO = Said(1, "Ada", "hello \U0001f6a1", 3, 1_700_000_000.5)


@pytest.mark.parametrize("request_", [Join("Ada", "task"), Say("hi", 0), Rename("Bo")])
def test_requests_survive_the_wire(request_: messages.Request) -> None:
    assert messages.parse_request(messages.encode(request_)) == request_


@pytest.mark.parametrize(
    "event",
    [
        Welcome(1, (ADA, Person(2, "Bo", "task")), (HELLO,)),
        Joined(ADA),
        Left(1),
        Renamed(1, "Bo"),
        HELLO,
        Pulse({"1": 0.5, "2": 3}, 17.0),
    ],
)
def test_events_survive_the_wire(event: messages.Event) -> None:
    assert messages.parse_event(messages.encode(event)) == event


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "say", "text": "a request", "id": 1},
        {"type": "left"},
        {"type": "left", "member": 1.5},
        {"type": "joined", "person": None},
        {"type": "joined", "person": {"member": 1, "name": "A", "via": "x", "rtt": "fast"}},
        {"type": "welcome", "you": 1, "people": {}, "said": []},
        {"type": "welcome", "you": 1, "people": [1], "said": []},
        {"type": "pulse", "rtts": [], "rate": 1},
        {"type": "pulse", "rtts": {"1": "x"}, "rate": 1},
        {"type": "said", "member": 1, "name": "A", "text": "x", "id": 1, "at": None},
    ],
)
def test_what_is_no_event_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        messages.parse_event(json.dumps(fields))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcödé, 你好", "plain, ünïcödé, 你好"),
        ("\x1b[2J\x07\r\n\t", r"\x1b[2J\x07\r\n\t"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("abc\u202ecba\u2066", r"abc\u202ecba\u2066"),
        ("a\u2028b", r"a\u2028b"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a\\x1b", "a\\x1b"),
    ],
)
def test_nothing_that_is_shown_acts_on_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(printable(text)) == shown


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  Ada \n Lovelace ", "Ada Lovelace"),
        ("\x1b]0;title\x07", "]0;title"),
        ("x" * 100, "x" * 24),
        ("\u202e\u200b", "somebody"),
        ("", "somebody"),
    ],
)
def test_names_fit_a_list(name: str, kept: str) -> None:
    assert clean_name(name) == kept


@pytest.mark.parametrize(
    ("text", "limit", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 20, ["one two three"]),
        ("one two three", 7, ["one two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("a abcdefgh", 4, ["a", "abcd", "efgh"]),
        ("你好世界", 5, ["你好", "世界"]),
        ("e\u0301e\u0301", 2, ["e\u0301e\u0301"]),
    ],
)
def test_lines_are_folded_by_cells(text: str, limit: int, lines: list[str]) -> None:
    assert fold(text, limit) == lines
    assert all(columns(line) <= limit for line in lines)
