"""The request that connect sends, argument by argument, as a server reads it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ..support.names import USER_AGENT, Headers, deflate, exceptions
from ..support.subject import connect, only_ropeway
from .peers import Exchange, RawServer, accepting, raw_server


async def request_of(options: dict[str, Any], uri: str = "ws://127.0.0.1:{port}/") -> Exchange:
    """Connect, and return the request that the server got."""
    async with raw_server(accepting) as server:
        await visit(server, uri.format(port=server.port), options)
    (request,) = server.requests
    return request


async def visit(server: RawServer, uri: str, options: dict[str, Any]) -> None:
    connection = await connect(uri, **options)
    connection.transport.abort()
    await connection.wait_closed()


async def test_the_plain_request() -> None:
    request = await request_of({})
    assert request.start == "GET / HTTP/1.1"
    assert request["Host"] == f"127.0.0.1:{request.writer.get_extra_info('sockname')[1]}"
    assert request["Upgrade"] == "websocket"
    assert request["Connection"] == "Upgrade"
    assert request["Sec-WebSocket-Version"] == "13"
    assert request["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits"
    assert request["User-Agent"] == USER_AGENT
    assert len(base64.b64decode(request["Sec-WebSocket-Key"], validate=True)) == 16
    assert len(request.fields) == 7


async def test_each_request_has_a_key_of_its_own() -> None:
    keys = {(await request_of({}))["Sec-WebSocket-Key"] for _ in range(5)}
    assert len(keys) == 5


HEADERS: list[tuple[str, dict[str, Any], list[tuple[str, list[str]]]]] = [
    ("origin", {"origin": "https://a.example"}, [("Origin", ["https://a.example"])]),
    ("no-origin", {}, [("Origin", [])]),
    ("subprotocols", {"subprotocols": ["b", "a"]}, [("Sec-WebSocket-Protocol", ["b, a"])]),
    ("no-subprotocols", {}, [("Sec-WebSocket-Protocol", [])]),
    ("no-compression", {"compression": None}, [("Sec-WebSocket-Extensions", [])]),
    (
        "own-deflate",
        {"extensions": [deflate.ClientPerMessageDeflateFactory(server_max_window_bits=10)]},
        [
            (
                "Sec-WebSocket-Extensions",
                ["permessage-deflate; server_max_window_bits=10; client_max_window_bits"],
            )
        ],
    ),
    (
        "own-deflate-without-compression",
        {
            "extensions": [
                deflate.ClientPerMessageDeflateFactory(
                    server_no_context_takeover=True,
                    client_no_context_takeover=True,
                    client_max_window_bits=11,
                )
            ],
            "compression": None,
        },
        [
            (
                "Sec-WebSocket-Extensions",
                [
                    (
                        "permessage-deflate; server_no_context_takeover; "
                        "client_no_context_takeover; client_max_window_bits=11"
                    )
                ],
            )
        ],
    ),
    (
        "headers-dict",
        {"additional_headers": {"X-A": "1", "X-B": "2"}},
        [("X-A", ["1"]), ("X-B", ["2"])],
    ),
    ("headers-list", {"additional_headers": [("X-A", "1"), ("X-A", "2")]}, [("X-A", ["1", "2"])]),
    ("headers-Headers", {"additional_headers": Headers(X_A="1")}, [("X_A", ["1"])]),
    ("no-headers", {"additional_headers": {}}, [("User-Agent", [USER_AGENT])]),
    ("user-agent", {"user_agent_header": "tests/1"}, [("User-Agent", ["tests/1"])]),
    ("no-user-agent", {"user_agent_header": None}, [("User-Agent", [])]),
    (
        "user-agent-among-the-headers",
        {"additional_headers": {"user-agent": "mine/1"}},
        [("User-Agent", ["mine/1"])],
    ),
    (
        "cookie-and-authorization",
        {"additional_headers": {"Cookie": "a=b; c=d", "Authorization": "Bearer x"}},
        [("Cookie", ["a=b; c=d"]), ("Authorization", ["Bearer x"])],
    ),
    ("latin-1", {"additional_headers": {"X-A": "caf\xe9"}}, [("X-A", ["caf\xe9"])]),
]


@pytest.mark.parametrize(
    ("options", "expected"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS]
)
async def test_an_argument_shows_in_the_request(
    options: dict[str, Any], expected: list[tuple[str, list[str]]]
) -> None:
    request = await request_of(options)
    for name, values in expected:
        assert request.all(name) == values


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"])
async def test_a_header_that_would_break_the_request_is_never_sent(value: str) -> None:
    async with raw_server(accepting) as server:
        with pytest.raises((ValueError, exceptions.WebSocketException)):
            await connect(server.uri(), additional_headers={"X-A": value})
    assert not server.requests


@only_ropeway
@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
async def test_a_host_header_of_the_caller_replaces_ours(name: str) -> None:
    request = await request_of({"additional_headers": {name: "front.example"}})
    assert request.all("Host") == ["front.example"]


TARGETS = [
    ("ws://127.0.0.1:{port}", "/"),
    ("ws://127.0.0.1:{port}/", "/"),
    ("ws://127.0.0.1:{port}/a/b%20c;d", "/a/b%20c;d"),
    ("ws://127.0.0.1:{port}/a?b=c&d=%2F", "/a?b=c&d=%2F"),
    ("ws://127.0.0.1:{port}?b", "/?b"),
    ("WS://127.0.0.1:{port}/Case", "/Case"),
    ("ws://127.0.0.1:{port}/caf\xe9?\u4f60=\u597d", "/caf%C3%A9?%E4%BD%A0=%E5%A5%BD"),
]


@pytest.mark.parametrize(("uri", "target"), TARGETS)
async def test_the_request_target(uri: str, target: str) -> None:
    request = await request_of({}, uri)
    assert request.start == f"GET {target} HTTP/1.1"


HOSTS = [
    ("ws://LOCALHOST:{port}/", "localhost:{port}"),
    ("ws://other.example:{port}/", "other.example:{port}"),
    ("ws://other.example/", "other.example"),
    ("ws://other.example:80/", "other.example"),
    ("ws://other.example:443/", "other.example:443"),
    ("ws://[2001:db8::1]:{port}/", "[2001:db8::1]:{port}"),
    ("ws://[2001:db8::1]/", "[2001:db8::1]"),
    ("ws://m\xfcnchen.example/", "xn--mnchen-3ya.example"),
]


@pytest.mark.parametrize(("uri", "host"), HOSTS)
async def test_the_host_header_names_the_uri_not_the_socket(uri: str, host: str) -> None:
    async with raw_server(accepting) as server:
        await visit(
            server, uri.format(port=server.port), {"host": "127.0.0.1", "port": server.port}
        )
    assert server.requests[0].all("Host") == [host.format(port=server.port)]


CREDENTIALS = [
    ("ann:secret@", "ann:secret"),
    ("ann:@", "ann:"),
    ("a%40b:p%3A%2F@", "a@b:p:/"),
    ("%C3%A9:%E4%BD%A0@", "\xe9:\u4f60"),
]


@pytest.mark.parametrize(("user_info", "credentials"), CREDENTIALS)
async def test_credentials_in_the_uri_become_basic_authorization(
    user_info: str, credentials: str
) -> None:
    request = await request_of({}, f"ws://{user_info}127.0.0.1:{{port}}/")
    scheme, _, value = request["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value).decode() == credentials
    assert "@" not in request["Host"]


async def test_an_extension_of_the_callers_own_comes_first() -> None:
    class Factory(deflate.ClientPerMessageDeflateFactory):  # type: ignore[name-defined, misc]
        name = "x-other"

        def get_request_params(self) -> list[tuple[str, str | None]]:
            return [("level", "3"), ("fast", None)]

    request = await request_of({"extensions": [Factory()]})
    assert request["Sec-WebSocket-Extensions"] == (
        "x-other; level=3; fast, permessage-deflate; client_max_window_bits"
    )
