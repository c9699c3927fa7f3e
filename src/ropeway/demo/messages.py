"""The words of the room, as JSON text messages: requests go to the server, events come back.

Both are parsed once, where they arrive; past this file there are only dataclasses. The field
``type`` of a message is the name of its class in lower case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

__all__ = [
    "Event",
    "Join",
    "Joined",
    "Left",
    "Malformed",
    "Person",
    "Pulse",
    "Rename",
    "Renamed",
    "Request",
    "Said",
    "Say",
    "Welcome",
    "encode",
    "parse_event",
    "parse_request",
]

MAX_TEXT = 2000
"""Characters in what is said at once."""


class Malformed(ValueError):
    """A message that is not one of ours; says what was wrong with it."""


# Requests


@dataclass(frozen=True, slots=True)
class Join:
    """The first message of a connection. ``via`` tells what it is: browser, terminal, task."""

    name: str
    via: str


@dataclass(frozen=True, slots=True)
class Say:
    """Something for everybody; ``id`` comes back in :class:`Said`, and so can be timed."""

    text: str
    id: int


@dataclass(frozen=True, slots=True)
class Rename:
    name: str


Request = Join | Say | Rename


# Events


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the room; ``rtt`` is the last round trip in ms, None before the first."""

    member: int
    name: str
    via: str
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What ``member`` said ``at`` seconds since 1970; ``id`` is the sender's own."""

    member: int
    name: str
    text: str
    id: int
    at: float


@dataclass(frozen=True, slots=True)
class Welcome:
    """The first event: who you are, who is here, what was said last."""

    you: int
    people: tuple[Person, ...]
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    person: Person


@dataclass(frozen=True, slots=True)
class Left:
    member: int


@dataclass(frozen=True, slots=True)
class Renamed:
    member: int
    name: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """Once a second: what the server measured. ``rtts`` in ms by member, ``rate`` in messages/s."""

    rtts: dict[str, float]
    rate: float


Event = Welcome | Joined | Left | Renamed | Said | Pulse


def encode(item: Request | Event) -> str:
    """Write a request or an event as a text message."""
    return json.dumps({"type": type(item).__name__.lower(), **asdict(item)})


def parse_request(message: str | bytes) -> Request:
    """Read what a client sent.

    Raises:
        Malformed: if it is none of the requests, or a field is missing, mistyped or too long.
    """
    return _parse(message, _REQUESTS)


def parse_event(message: str | bytes) -> Event:
    """Read what a server sent; a client cannot know that it really is a room.

    Raises:
        Malformed: if it is none of the events, or a field is missing or mistyped.
    """
    return _parse(message, _EVENTS)


Fields = Mapping[str, Any]
Item = TypeVar("Item")


def _parse(message: str | bytes, kinds: Mapping[str, Callable[[Fields], Item]]) -> Item:
    if not isinstance(message, str):
        raise Malformed("a binary message; the room speaks text")
    try:
        fields = json.loads(message)
    except ValueError:
        raise Malformed("not JSON") from None
    except RecursionError:
        raise Malformed("JSON nested too deeply") from None
    if not isinstance(fields, dict):
        raise Malformed("not a JSON object")
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise Malformed("unknown type")
    return kinds[kind](fields)


def _text(fields: Fields, name: str, limit: int = MAX_TEXT) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a string")
    if len(value) > limit:
        raise Malformed(f"{name} has {len(value)} characters, over {limit}")
    return value


def _whole(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise Malformed(f"{name} is not a whole number below 2**53")
    return value


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Malformed(f"{name} is not a number")
    return value


def _list(fields: Fields, name: str) -> list[Fields]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Malformed(f"{name} is not a list of objects")
    return value


def _person(fields: Fields) -> Person:
    rtt = None if fields.get("rtt") is None else _number(fields, "rtt")
    return Person(_whole(fields, "member"), _text(fields, "name"), _text(fields, "via"), rtt)


def _said(fields: Fields) -> Said:
    return Said(
        _whole(fields, "member"),
        _text(fields, "name"),
        _text(fields, "text"),
        _whole(fields, "id"),
        _number(fields, "at"),
    )


def _welcome(fields: Fields) -> Welcome:
    people = tuple(_person(item) for item in _list(fields, "people"))
    said = tuple(_said(item) for item in _list(fields, "said"))
    return Welcome(_whole(fields, "you"), people, said)


def _joined(fields: Fields) -> Joined:
    person = fields.get("person")
    if not isinstance(person, dict):
        raise Malformed("person is not an object")
    return Joined(_person(person))


def _pulse(fields: Fields) -> Pulse:
    rtts = fields.get("rtts")
    if not isinstance(rtts, dict):
        raise Malformed("rtts is not an object")
    return Pulse({member: _number(rtts, member) for member in rtts}, _number(fields, "rate"))


_REQUESTS: Mapping[str, Callable[[Fields], Request]] = {
    "join": lambda fields: Join(_text(fields, "name", 200), _text(fields, "via", 20)),
    "say": lambda fields: Say(_text(fields, "text"), _whole(fields, "id")),
    "rename": lambda fields: Rename(_text(fields, "name", 200)),
}

_EVENTS: Mapping[str, Callable[[Fields], Event]] = {
    "welcome": _welcome,
    "joined": _joined,
    "left": lambda fields: Left(_whole(fields, "member")),
    "renamed": lambda fields: Renamed(_whole(fields, "member"), _text(fields, "name")),
    "said": _said,
    "pulse": _pulse,
}
