"""What a caller passes on may come from anywhere: no value of its begins a line of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import request
from ..support.names import exceptions
from ..support.subject import only_ropeway
from .openings import accepting, failure, idle, knocking, raw_server, rest, visit

PIECES = {"crlf": "\r\n", "lf": "\n", "cr": "\r", "nul": "\0"}

REFUSALS = (
    ValueError,
    exceptions.InvalidHeaderValue,
    exceptions.InvalidURI,
    exceptions.InvalidProxy,
)
Options = dict[str, Any]
CALLERS: dict[str, Callable[[str], Options]] = {
    "header-value": lambda bad: {"additional_headers": {"X-A": bad}},
    "header-name": lambda bad: {"additional_headers": {bad: "a"}},
    "pairs": lambda bad: {"additional_headers": [("X-A", "a"), ("X-A", bad)]},
    "host": lambda bad: {"additional_headers": {"Host": bad}},
    "user-agent": lambda bad: {"user_agent_header": bad},
    "origin": lambda bad: {"origin": bad},
    "subprotocol": lambda bad: {"subprotocols": [bad]},
    "path": lambda bad: {"uri": f"ws://127.0.0.1:{{port}}/{bad}"},
    "query": lambda bad: {"uri": f"ws://127.0.0.1:{{port}}/?{bad}"},
    "host-of-the-uri": lambda bad: {"uri": f"ws://{bad}:{{port}}/"},
    "scheme": lambda bad: {"uri": f"ws{bad}://127.0.0.1:{{port}}/"},
    "proxy": lambda bad: {"proxy": f"http://127.0.0.1:{{port}}/{bad}"},
    "host-of-the-proxy": lambda bad: {"proxy": f"http://{bad}:{{port}}"},
}


LEAKING = ("header-name", "path", "query")
"""What websockets 17.4 lets through."""


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(caller, id=name, marks=only_ropeway if name in LEAKING else ())
        for name, caller in CALLERS.items()
    ],
)
async def test_a_client_sends_nothing(front: Front, caller: Callable[[str], Options]) -> None:
    async with raw_server(front, accepting) as server:
        for piece in PIECES.values():
            options = {"uri": "ws://127.0.0.1:{port}/", **caller(f"a{piece}X-Evil: 1")}
            for name in ("uri", "proxy"):
                if name in options:
                    options[name] = options[name].replace("{port}", str(server.port))
            await failure(front, kind=REFUSALS, **options)
    assert not server.requests


async def test_credentials_of_the_uri_are_encoded(front: Front) -> None:
    """They may hold anything: in Basic, it is base64."""
    async with raw_server(front, accepting) as server:
        for piece in PIECES.values():
            quoted = "".join(f"%{ord(character):02x}" for character in f"{piece}X-Evil: 1")
            await visit(front, server.uri(user=f"ann:a{quoted}b@"))
    assert len(server.requests) == len(PIECES)
    assert not any("X-Evil" in asked for asked in server.requests)


SERVERS: dict[str, Callable[[str], Options]] = {
    "subprotocol": lambda bad: {
        "subprotocols": ["a"],
        "select_subprotocol": lambda connection, offered: bad,
    },
    "process-response": lambda bad: {
        "process_response": lambda connection, request, response: response.headers.__setitem__(
            "X-A", bad
        )
    },
    "process-request": lambda bad: {
        "process_request": lambda connection, request: answered(connection, bad)
    },
}


def answered(connection: Any, bad: str) -> Any:
    response = connection.respond(403, "no\n")
    response.headers["X-A"] = bad
    return response


@pytest.mark.parametrize("caller", SERVERS.values(), ids=SERVERS.keys())
async def test_a_server_sends_no_line_of_its_own(
    front: Front, caller: Callable[[str], Options]
) -> None:
    for piece in PIECES.values():
        async with front.serving(idle, **caller(f"a{piece}X-Evil: 1")) as port:
            async with knocking(front, port) as peer:
                await peer.send(request("Sec-WebSocket-Protocol: a"))
                answer = await rest(peer)
        # Where there is nothing else to say, the connection ends.
        assert answer == b"" or answer.split(b" ")[1] == b"500"
        assert b"X-Evil" not in answer


@only_ropeway
async def test_a_server_does_not_start(front: Front) -> None:
    for piece in PIECES.values():
        with pytest.raises(ValueError, match="server_header is 'a"):
            async with front.serving(idle, server_header=f"a{piece}X-Evil: 1"):
                pass
