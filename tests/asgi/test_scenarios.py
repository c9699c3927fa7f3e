"""The same applications and clients on ours and on uvicorn's own: what each sees of the other."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from .scenarios import SCENARIOS, Outcome
from .serving import OURS

THEIRS = ("websockets-sansio", "websockets", "wsproto")

CONNECT = ("connect",)
GONE = ("disconnect", 1006, "")


def text(value: str) -> tuple[Any, ...]:
    return ("receive", ("text", value))


def binary(value: bytes) -> tuple[Any, ...]:
    return ("receive", ("bytes", value))


def outcome(application: list[Any], *client: Any) -> Outcome:
    return Outcome(application, list(client))


FAILED = b"Internal Server Error"
TOO_BIG = "frame with 101 bytes exceeds limit of 100 bytes"
SILENT = "keepalive ping timeout: …"

SEEN = {
    "messages": outcome(
        [
            CONNECT,
            text("索道"),
            binary(b"\x00\xff"),
            text(""),
            binary(b""),
            text("up"),
            ("disconnect", 3000, "enough"),
        ],
        ("text", "索道".encode()),
        ("bytes", b"\x00\xff"),
        ("text", b""),
        ("bytes", b""),
        ("pong", b"there?"),
        ("text", b"up"),
        ("close", 3000, "enough"),
        "end",
    ),
    "close_without_a_code": outcome([CONNECT, ("disconnect", 1005, "")], ("close", 0, ""), "end"),
    "dropped": outcome([CONNECT, GONE]),
    "violation": outcome(
        [CONNECT, text("before"), ("disconnect", 1002, "invalid opcode")],
        ("text", b"before"),
        ("close", 1002, "invalid opcode"),
    ),
    "too_big": outcome([CONNECT, ("disconnect", 1009, TOO_BIG)], ("close", 1009, TOO_BIG)),
    "silence": outcome([CONNECT, ("disconnect", 1011, SILENT)], ("close", 1011, SILENT), "end"),
    "shutdown": outcome(
        [CONNECT, text("last"), ("disconnect", 1012, "")], ("close", 1012, ""), "end"
    ),
    "gone_before_accepted": outcome([CONNECT, GONE, "OSError"]),
    "shutdown_before_accepted": outcome([CONNECT, GONE, "OSError"], 500, FAILED),
    "refused": outcome([CONNECT, GONE, "RuntimeError"], 403, b""),
    "denied": outcome(
        [CONNECT, "RuntimeError", GONE, "RuntimeError"], 404, ["none", "left"], b"no such cabin"
    ),
    "denied_by_halves": outcome([CONNECT], 500, FAILED),
    "denied_with_nonsense": outcome([CONNECT, "RuntimeError"], 403),
    "returns_before_accepting": outcome([CONNECT], 500, FAILED),
    "raises_before_accepting": outcome([CONNECT], 500, FAILED),
    "returns_after_accepting": outcome([CONNECT], 101, ("close", 1000, ""), "end"),
    "raises_after_accepting": outcome([CONNECT], 101, ("close", 1011, ""), "end"),
    "closed_by_the_application": outcome(
        [CONNECT, ("disconnect", 3001, "索道"), "RuntimeError", "RuntimeError"],
        ("close", 3001, "索道"),
        "end",
    ),
    "closed_as_usual": outcome([CONNECT], ("close", 1000, ""), "end"),
    "sends_after_the_end": outcome(
        [CONNECT, ("disconnect", 1000, ""), "OSError", "OSError"], ("close", 1000, ""), "end"
    ),
    "nonsense": outcome([CONNECT, *["RuntimeError"] * 4], ("close", 1000, ""), "end"),
    "keys_that_are_none": outcome(
        [CONNECT, "Exception"],
        ("text", b"up"),
        ("bytes", b"down"),
        ("bytes", b""),
        ("close", 1000, ""),
        "end",
    ),
    "receives_after_the_end": outcome(
        [CONNECT, *[("disconnect", 1001, "later")] * 3], ("close", 1001, "later"), "end"
    ),
}
"""What ours make of it."""

NO_CODE = ("disconnect", 1005, "")
ENDED_WITHOUT_A_CLOSE_FRAME = outcome([CONNECT], 101, "end")

OTHERWISE: dict[str, dict[str, Outcome]] = {
    # A connection that broke has 1006; 1005 is for a close frame without a code.
    "dropped": {
        "websockets-sansio": outcome([CONNECT, NO_CODE]),
        "wsproto": outcome([CONNECT, NO_CODE]),
    },
    # What we have failed it with is told to the application, and why.
    "violation": {
        "websockets": outcome(
            [CONNECT, text("before"), GONE], ("text", b"before"), ("close", 1002, "")
        ),
        "wsproto": outcome(
            [CONNECT, text("before"), ("disconnect", 1002, "Invalid opcode 0x3")],
            ("text", b"before"),
        ),
    },
    "too_big": {
        "websockets": outcome([CONNECT, GONE], ("close", 1009, "")),
        "wsproto": outcome(
            [CONNECT, ("disconnect", 1009, "Message exceeds the maximum size (100 bytes)")],
            ("close", 1009, "Message exceeds the maximum size (100 bytes)"),
        ),
    },
    "silence": {
        "websockets-sansio": outcome(
            [CONNECT, NO_CODE], ("close", 1011, "keepalive ping timeout"), "end"
        ),
        "websockets": outcome([CONNECT, GONE], ("close", 1011, "keepalive ping timeout"), "end"),
        "wsproto": outcome([CONNECT, NO_CODE], ("close", 1011, "keepalive ping timeout"), "end"),
    },
    # ASGI: send() raises an OSError when the client has gone.
    "gone_before_accepted": {"websockets": outcome([CONNECT, GONE, "sent"])},
    "shutdown_before_accepted": {
        "websockets": outcome([CONNECT, GONE, "RuntimeError"], 500, FAILED)
    },
    "sends_after_the_end": {
        "websockets-sansio": outcome(
            [CONNECT, ("disconnect", 1000, ""), "OSError", "sent"], ("close", 1000, ""), "end"
        ),
        "websockets": outcome(
            [CONNECT, ("disconnect", 1000, ""), "RuntimeError", "RuntimeError"],
            ("close", 1000, ""),
            "end",
        ),
    },
    # What comes behind a complete response is refused with the exception for that.
    "denied": {
        "websockets-sansio": outcome(
            [CONNECT, "RuntimeError", GONE, "Exception"], 404, ["none", "left"], b"no such cabin"
        ),
        "websockets": outcome(
            [CONNECT, "RuntimeError", GONE, "sent"], 404, ["none", "left"], b"no such cabin"
        ),
        "wsproto": outcome(
            [CONNECT, "RuntimeError", GONE, "Exception"],
            404,
            ["none", "left"],
            b"8\r\nno such \r\n5\r\ncabin\r\n0\r\n\r\n",
        ),
    },
    # Half a response is none.
    "denied_by_halves": {
        "websockets-sansio": outcome([CONNECT], "end"),
        "websockets": outcome([CONNECT], 404, b""),
        "wsproto": outcome([CONNECT], 404, b""),
    },
    "denied_with_nonsense": {"websockets": outcome([CONNECT, "Exception"], 403)},
    # Its answer is followed by another, which accepts.
    "returns_before_accepting": {"websockets": outcome([CONNECT], 500, "and 101")},
    # Clients that are told nothing take it for a broken connection: 1006.
    "returns_after_accepting": dict.fromkeys(THEIRS, ENDED_WITHOUT_A_CLOSE_FRAME),
    "raises_after_accepting": dict.fromkeys(THEIRS, ENDED_WITHOUT_A_CLOSE_FRAME),
    "closed_by_the_application": {
        "websockets": outcome(
            [CONNECT, NO_CODE, "RuntimeError", "RuntimeError"], ("close", 3001, "索道"), "end"
        ),
    },
    # An event without a message is refused.
    "keys_that_are_none": {
        "websockets-sansio": outcome([CONNECT, "sent"], *SEEN["keys_that_are_none"].client),
    },
    # The end stays what it was, and is told as often as it is asked for.
    "receives_after_the_end": {
        "websockets-sansio": outcome(
            [CONNECT, ("disconnect", 1001, "later"), NO_CODE, "nothing"],
            ("close", 1001, "later"),
            "end",
        ),
        "websockets": outcome(
            [CONNECT, ("disconnect", 1001, "later"), NO_CODE, NO_CODE],
            ("close", 1001, "later"),
            "end",
        ),
        "wsproto": outcome(
            [CONNECT, ("disconnect", 1001, "later"), NO_CODE, "nothing"],
            ("close", 1001, "later"),
            "end",
        ),
    },
}
"""Where uvicorn's own make something else of it, and above each: what ours goes by."""


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "uvicorn.error")


def test_the_tables_are_complete() -> None:
    assert SEEN.keys() == SCENARIOS.keys()
    assert OTHERWISE.keys() <= SEEN.keys()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_ours(name: str) -> None:
    assert await SCENARIOS[name](OURS) == SEEN[name]


# The older one is deprecated, and so is the API that it stands on.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::uvicorn.config.UvicornDeprecationWarning")
@pytest.mark.parametrize("loop_factory", ["asyncio"], indirect=True)
@pytest.mark.parametrize("implementation", THEIRS)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_theirs(name: str, implementation: str) -> None:
    expected = OTHERWISE.get(name, {}).get(implementation, SEEN[name])
    assert await SCENARIOS[name](implementation) == expected
