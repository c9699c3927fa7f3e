"""Negotiating permessage-deflate: compiled as pure, and what is agreed on works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.wire.builds import BUILDS, Build

from .taking import Taking, outcome

WORDS = (
    "permessage-deflate",
    "; server_no_context_takeover",
    "; client_no_context_takeover",
    "; server_max_window_bits=9",
    "; client_max_window_bits=15",
    "; client_max_window_bits",
    ", ",
)

BITS = (None, *range(8, 16))
EXPECTED = {
    "DuplicateParameter",
    "InvalidParameterName",
    "InvalidParameterValue",
    "NegotiationError",
    "InvalidHeaderFormat",
    "ValueError",  # of settings that can't be had
}
MESSAGES = (b"a message, a message", b"", bytes(range(256)) * 5, b"again: a message, a message")


def check(data: bytes) -> None:
    """Offer what a fuzzer wrote to a server, its answer to a client, or one to the other."""
    found = [_negotiate(build, Taking(data)) for build in BUILDS.values()]
    assert found[0] == found[-1], "builds differ"


def _negotiate(build: Build, taking: Taking) -> Any:
    how = taking.byte() % 3
    made = outcome(_factories, build, taking)
    if made[0] != "gives":
        assert made[0] == "ValueError", made
        return made
    client, server = made[1]
    text = taking.rest().decode("latin-1")
    if how == 0:
        return _known(outcome(_answer, build, server, text), "answer")
    if how == 1:
        return _known(outcome(_accept, build, client, text), "acceptance")
    return _both(build, client, server)


def _factories(build: Build, taking: Taking) -> tuple[Any, Any]:
    room = build.room("extensions.permessage_deflate")
    flags, client_bits = taking.byte(), (*BITS, True)
    client = room.ClientPerMessageDeflateFactory(
        bool(flags & 1), bool(flags & 2), taking.choice(BITS), taking.choice(client_bits)
    )
    server = room.ServerPerMessageDeflateFactory(
        bool(flags & 4),
        bool(flags & 8),
        taking.choice(BITS),
        taking.choice(BITS),
        require_client_max_window_bits=bool(flags & 16),
    )
    return client, server


def _known(found: tuple[str, Any], what: str) -> tuple[str, Any]:
    assert found[0] == "gives" or found[0] in EXPECTED, (what, found)
    return found


def _answer(build: Build, server: Any, text: str) -> Any:
    accepted: list[Any] = []
    answers = []
    for name, params in build.room("headers").parse_extension(text):
        if name == server.name:
            answer, extension = server.process_request_params(params, accepted)
            answers.append((name, answer))
            accepted.append(extension)
    built = build.room("headers").build_extension(answers)
    assert not answers or build.room("headers").parse_extension(built) == answers
    return built, repr(accepted)


def _accept(build: Build, client: Any, text: str) -> Any:
    accepted: list[Any] = []
    for name, params in build.room("headers").parse_extension(text):
        if name == client.name:
            accepted.append(client.process_response_params(params, accepted))
    return repr(accepted)


def _both(build: Build, client: Any, server: Any) -> Any:
    """Let our client and our server negotiate, and talk if they agree."""
    offer = client.get_request_params()
    kind, value = _known(outcome(server.process_request_params, offer, []), "answer")
    if kind != "gives":
        return kind, value
    params, theirs = value
    kind, ours = _known(outcome(client.process_response_params, params, []), "acceptance")
    if kind != "gives":
        return kind, ours
    assert theirs.local_max_window_bits <= ours.remote_max_window_bits
    assert ours.local_max_window_bits <= theirs.remote_max_window_bits
    for one, other in ((ours, theirs), (theirs, ours)):
        assert one.remote_no_context_takeover <= other.local_no_context_takeover
        for message in MESSAGES:
            other.start_inflating()
            assert other.inflate(one.deflate(message, True, True), -1, True) == message
    return params, repr(ours), repr(theirs)


def seeds() -> Iterator[bytes]:
    """Give offers, answers, and settings of both sides."""
    texts = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1; server_no_context_takeover",
        "x-other; a=b",
    ]
    for how in (0, 1):
        for flags in (0, 16, 31):
            for text in texts:
                yield bytes((how, flags, 0, 9, 5, 8)) + text.encode()
    for flags in range(32):
        yield bytes((2, flags, flags % 9, flags % 10, flags % 7, flags % 8))
        yield bytes((2, flags, 0, 9, 4, 5))
