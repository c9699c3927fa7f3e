"""The client's request: ours, with the caller's headers in it."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway._opening.requesting import merge_headers, prepare_request
from ropeway.client import ClientProtocol
from ropeway.datastructures import Headers
from ropeway.typing import Origin
from ropeway.uri import parse_uri

OURS = [("Host", "h"), ("Origin", "o"), ("Upgrade", "websocket")]


@pytest.mark.parametrize(
    ("callers", "merged"),
    [
        ([], OURS),
        ([("X", "y")], [*OURS, ("X", "y")]),
        ([("X", "y"), ("x", "z")], [*OURS, ("X", "y"), ("x", "z")]),
        ([("host", "mine")], [("Host", "mine"), *OURS[1:]]),
        (
            [("ORIGIN", "a"), ("X", "y"), ("Origin", "b")],
            [
                ("Host", "h"),
                ("Origin", "a"),
                ("Origin", "b"),
                ("Upgrade", "websocket"),
                ("X", "y"),
            ],
        ),
    ],
)
def test_merging(callers: list[tuple[str, str]], merged: list[tuple[str, str]]) -> None:
    assert list(merge_headers(Headers(OURS), Headers(callers)).raw_items()) == merged


def test_a_header_that_we_repeat_is_replaced_once() -> None:
    merged = merge_headers(Headers([("A", "1"), ("B", "2"), ("a", "3")]), Headers([("a", "x")]))
    assert list(merged.raw_items()) == [("A", "x"), ("B", "2")]


def prepared(**options: Any) -> Headers:
    protocol = ClientProtocol(parse_uri("ws://h/"), origin=Origin("https://o"))
    arguments = {"additional_headers": None, "user_agent_header": "agent", **options}
    headers = prepare_request(protocol, **arguments).headers
    assert headers["Sec-WebSocket-Key"] == protocol.key
    return headers


def test_the_user_agent() -> None:
    assert prepared()["User-Agent"] == "agent"
    assert "User-Agent" not in prepared(user_agent_header=None)
    assert prepared(additional_headers={"user-agent": "mine"}).get_all("User-Agent") == ["mine"]


def test_headers_of_the_caller() -> None:
    headers = prepared(additional_headers=[("Host", "front"), ("Cookie", "a"), ("Cookie", "b")])
    assert headers.get_all("Host") == ["front"]
    assert headers.get_all("Origin") == ["https://o"]
    assert headers.get_all("Cookie") == ["a", "b"]


def test_a_key_of_the_caller_is_what_the_response_must_answer() -> None:
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert prepared(additional_headers={"Sec-WebSocket-Key": key})["Sec-WebSocket-Key"] == key
