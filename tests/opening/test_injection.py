"""What a caller passes on may come from anywhere: no value of its begins a line of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.http import request
from ..support.names import exceptions
from ..support.subject import connect, only_ropeway, serve
from .peers import accepting, raw_client, raw_server
from .serving import idle, port_of, serving

PIECES = {"crlf": "\r\n", "lf": "\n", "cr": "\r", "nul": "\0"}
every_piece = pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())

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


@every_piece
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS.keys())
async def test_a_client_sends_nothing(caller: Callable[[str], Options], piece: str) -> None:
    async with raw_server(accepting) as server:
        options = {"uri": "ws://127.0.0.1:{port}/", **caller(f"a{piece}X-Evil: 1")}
        for name in ("uri", "proxy"):
            if name in options:
                options[name] = options[name].replace("{port}", str(server.port))
        with pytest.raises(REFUSALS):
            await connect(options.pop("uri"), **options)
    assert not server.requests


@every_piece
async def test_credentials_of_the_uri_are_encoded(piece: str) -> None:
    """They may hold anything: in Basic, it is base64."""
    quoted = "".join(f"%{ord(character):02x}" for character in piece)
    async with raw_server(accepting) as server:
        connection = await connect(f"ws://ann:a{quoted}b@127.0.0.1:{server.port}/")
        connection.transport.abort()
        await connection.wait_closed()
    assert len(server.requests) == 1
    assert "X-Evil" not in server.requests[0]


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


@every_piece
@pytest.mark.parametrize("caller", SERVERS.values(), ids=SERVERS.keys())
async def test_a_server_sends_no_line_of_its_own(
    caller: Callable[[str], Options], piece: str
) -> None:
    async with serving(**caller(f"a{piece}X-Evil: 1")) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request("Sec-WebSocket-Protocol: a"))
            answer = await client.rest()
    # Where there is nothing else to say, the connection ends.
    assert answer == b"" or answer.split(b" ")[1] == b"500"
    assert b"X-Evil" not in answer


@only_ropeway
@every_piece
async def test_a_server_does_not_start(piece: str) -> None:
    with pytest.raises(ValueError, match="server_header is 'a"):
        await serve(idle, "127.0.0.1", 0, server_header=f"a{piece}X-Evil: 1")
