"""Requests: what a client sends for its arguments, and which a server accepts or refuses."""

from __future__ import annotations

import base64
import email.utils
import time
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import KEY, request
from ..support.names import SERVER, USER_AGENT, Headers, deflate
from ..support.rawpeer import TEXT, accept_key, frame
from ..support.subject import only_ropeway
from .openings import (
    FAILED,
    Exchange,
    accepting,
    ask,
    knocking,
    never,
    opened,
    raw_server,
    refused,
    rest,
    visit,
)

# A client's


async def request_of(front: Front, **options: Any) -> Exchange:
    """Connect, and return the request that the server got."""
    async with raw_server(front, accepting) as server:
        await visit(front, server.uri(), **options)
    (asked,) = server.requests
    return asked


async def test_the_plain_request(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        await visit(front, server.uri())
    (asked,) = server.requests
    assert asked.start == "GET / HTTP/1.1"
    assert asked["Host"] == f"127.0.0.1:{server.port}"
    assert asked["Upgrade"] == "websocket"
    assert asked["Connection"] == "Upgrade"
    assert asked["Sec-WebSocket-Version"] == "13"
    assert asked["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits"
    assert asked["User-Agent"] == USER_AGENT
    assert len(base64.b64decode(asked["Sec-WebSocket-Key"], validate=True)) == 16
    assert len(asked.fields) == 7


async def test_each_request_has_a_key_of_its_own(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        for _ in range(3):
            await visit(front, server.uri())
    assert len({asked["Sec-WebSocket-Key"] for asked in server.requests}) == 3


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


async def test_an_argument_shows_in_the_request(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        for case, options, expected in HEADERS:
            await visit(front, server.uri(), **options)
            for name, values in expected:
                assert server.requests[-1].all(name) == values, case


@only_ropeway
@pytest.mark.parametrize("name", ["Host", "host"])
async def test_a_host_header_of_the_caller_replaces_ours(front: Front, name: str) -> None:
    asked = await request_of(front, additional_headers={name: "front.example"})
    assert asked.all("Host") == ["front.example"]


TARGETS = [
    ("ws://127.0.0.1:{port}", "/"),
    ("ws://127.0.0.1:{port}/", "/"),
    ("ws://127.0.0.1:{port}/a/b%20c;d", "/a/b%20c;d"),
    ("ws://127.0.0.1:{port}/a?b=c&d=%2F", "/a?b=c&d=%2F"),
    ("ws://127.0.0.1:{port}?b", "/?b"),
    ("WS://127.0.0.1:{port}/Case", "/Case"),
    ("ws://127.0.0.1:{port}/caf\xe9?\u4f60=\u597d", "/caf%C3%A9?%E4%BD%A0=%E5%A5%BD"),
]


async def test_the_request_target(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        for uri, target in TARGETS:
            await visit(front, uri.format(port=server.port))
            assert server.requests[-1].start == f"GET {target} HTTP/1.1"


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


async def test_the_host_header_names_the_uri_not_the_socket(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        for uri, host in HOSTS:
            to = ("127.0.0.1", server.port)
            await visit(front, uri.format(port=server.port), to=to)
            assert server.requests[-1]["Host"] == host.format(port=server.port)


CREDENTIALS = [
    ("ann:secret@", "ann:secret"),
    ("ann:@", "ann:"),
    ("a%40b:p%3A%2F@", "a@b:p:/"),
    ("%C3%A9:%E4%BD%A0@", "\xe9:\u4f60"),
]


async def test_credentials_in_the_uri_become_basic_authorization(front: Front) -> None:
    async with raw_server(front, accepting) as server:
        for user_info, credentials in CREDENTIALS:
            await visit(front, server.uri(user=user_info))
            scheme, _, value = server.requests[-1]["Authorization"].partition(" ")
            assert scheme == "Basic"
            assert base64.b64decode(value).decode() == credentials
            assert "@" not in server.requests[-1]["Host"]


async def test_an_extension_of_the_callers_own_comes_first(front: Front) -> None:
    class Factory(deflate.ClientPerMessageDeflateFactory):  # type: ignore[name-defined, misc]
        name = "x-other"

        def get_request_params(self) -> list[tuple[str, str | None]]:
            return [("level", "3"), ("fast", None)]

    asked = await request_of(front, extensions=[Factory()])
    assert asked["Sec-WebSocket-Extensions"] == (
        "x-other; level=3; fast, permessage-deflate; client_max_window_bits"
    )


# A server's


async def test_the_plain_response(front: Front) -> None:
    reply = await opened(front, request())
    assert reply.start == "HTTP/1.1 101 Switching Protocols"
    assert reply["Upgrade"] == "websocket"
    assert reply["Connection"] == "Upgrade"
    assert reply["Sec-WebSocket-Accept"] == accept_key(KEY)
    assert reply["Server"] == SERVER
    date = email.utils.parsedate_to_datetime(reply["Date"])
    assert reply["Date"].endswith(" GMT")
    assert abs(date.timestamp() - time.time()) < 5
    assert len(reply.fields) == 5


GOOD: list[tuple[str, bytes]] = [
    ("case-of-tokens", request(upgrade="WebSocket", connection="UPGRADE")),
    ("connection-options", request(connection="keep-alive, Upgrade")),
    ("connection-twice", request("Connection: keep-alive")),
    ("no-host", request(without=["host"])),
    ("no-body", request("Content-Length: 0")),
    ("no-body-twice", request("Content-Length: 0", "Content-Length: 0")),
    ("target-with-query", request(line="GET /a?b=c HTTP/1.1")),
    ("absolute-target", request(line="GET http://a.example/b HTTP/1.1")),
    ("other-headers", request("X-A: 1", "X-A: 2", "Cookie: a=b")),
    ("latin-1-value", request("X-A: caf\xe9")),
    ("no-space-after-colon", request().replace(b": ", b":")),
    (
        "space-around-values",
        request().replace(b"Host: ", b"Host: \t ").replace(b"13\r", b"13 \t\r"),
    ),
    ("128-headers", request(*["X-A: 1"] * 123)),
    ("longest-line", request("X-A: " + "x" * (8192 - 7))),
]


async def test_a_good_request_opens(front: Front) -> None:
    async def echo(ws: Any) -> None:
        await ws.send(await ws.recv())

    async with front.serving(echo) as port:
        for name, data in GOOD:
            async with knocking(front, port) as peer:
                await peer.send(data)
                head = await peer.recv_until(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 101 "), name
                await peer.send_frame(TEXT, name)
                assert await peer.recv_payload(TEXT) == name.encode(), name


async def test_a_message_right_behind_the_request(front: Front) -> None:
    async def echo(ws: Any) -> None:
        await ws.send(await ws.recv())

    async with front.serving(echo) as port, knocking(front, port) as peer:
        await peer.send(request(), frame(TEXT, b"early", mask=True))
        await peer.recv_until(b"\r\n\r\n")
        assert await peer.recv_payload(TEXT) == b"early"


UPGRADE_HINT = (
    "\n\nYou cannot access a WebSocket server directly with a browser. "
    "You need a WebSocket client.\n"
)

BAD: list[tuple[str, bytes, int, str]] = [
    ("post", request(line="POST / HTTP/1.1"), 405, "unsupported HTTP method: POST.\n"),
    ("head", request(line="HEAD / HTTP/1.1"), 405, "unsupported HTTP method: HEAD.\n"),
    (
        "method-in-lower-case",
        request(line="get / HTTP/1.1"),
        405,
        "unsupported HTTP method: get.\n",
    ),
    ("http-1.0", request(line="GET / HTTP/1.0"), 505, "unsupported HTTP version: HTTP/1.0.\n"),
    (
        "no-connection",
        request(without=["connection"]),
        426,
        "missing Connection header." + UPGRADE_HINT,
    ),
    (
        "keep-alive",
        request(connection="keep-alive"),
        426,
        "invalid Connection header: keep-alive." + UPGRADE_HINT,
    ),
    ("no-upgrade", request(without=["upgrade"]), 426, "missing Upgrade header." + UPGRADE_HINT),
    ("h2c", request(upgrade="h2c"), 426, "invalid Upgrade header: h2c." + UPGRADE_HINT),
    (
        "two-upgrades",
        request(upgrade="websocket, h2c"),
        426,
        "invalid Upgrade header: websocket, h2c." + UPGRADE_HINT,
    ),
    (
        "upgrade-twice",
        request("Upgrade: websocket"),
        426,
        "invalid Upgrade header: websocket, websocket." + UPGRADE_HINT,
    ),
    (
        "connection-syntax",
        request(connection="???"),
        400,
        "invalid Connection header: expected token at 0 in ???.\n",
    ),
    ("no-key", request(without=["sec_websocket_key"]), 400, "missing Sec-WebSocket-Key header.\n"),
    (
        "two-keys",
        request(f"Sec-WebSocket-Key: {KEY}"),
        400,
        "invalid Sec-WebSocket-Key header: multiple values.\n",
    ),
    (
        "short-key",
        request(sec_websocket_key="c2hvcnQ="),
        400,
        "invalid Sec-WebSocket-Key header: c2hvcnQ=.\n",
    ),
    (
        "no-version",
        request(without=["sec_websocket_version"]),
        400,
        "missing Sec-WebSocket-Version header.\n",
    ),
    (
        "two-versions",
        request("Sec-WebSocket-Version: 13"),
        400,
        "invalid Sec-WebSocket-Version header: multiple values.\n",
    ),
    (
        "version-8",
        request(sec_websocket_version="8"),
        400,
        "invalid Sec-WebSocket-Version header: 8.\n",
    ),
    (
        "two-origins",
        request("Origin: a", "Origin: b"),
        400,
        "invalid Origin header: multiple values.\n",
    ),
    (
        "extension-syntax",
        request("Sec-WebSocket-Extensions: a; ="),
        400,
        "invalid Sec-WebSocket-Extensions header: expected token at 3 in a; =.\n",
    ),
    (
        "subprotocol-syntax",
        request("Sec-WebSocket-Protocol: a b"),
        400,
        "invalid Sec-WebSocket-Protocol header: expected comma at 2 in a b.\n",
    ),
    (
        "long-target",
        request(line=f"GET /{'x' * 9000} HTTP/1.1"),
        414,
        "read 9016 bytes, expected no more than 8192 bytes.\n",
    ),
    (
        "long-header",
        request("X-A: " + "x" * 9000),
        431,
        "read 9007 bytes, expected no more than 8192 bytes.\n",
    ),
    ("129-headers", request(*["X-A: 1"] * 124), 431, "expected no more than 128 headers.\n"),
]


async def test_a_refusal_says_why_and_closes(front: Front) -> None:
    async with front.serving(never, compression="deflate") as port:
        for case, data, status, text in BAD:
            reply = await ask(front, port, data)
            assert reply.status == status, case
            if status in (414, 431):
                assert reply.body.decode().startswith(f"{FAILED}: ")
            else:
                assert reply.body.decode() == f"{FAILED}: {text}"
            assert reply["Connection"] == "close"
            assert reply["Content-Type"] == "text/plain; charset=utf-8"
            assert reply["Content-Length"] == str(len(reply.body))
            assert reply.all("Allow") == (["GET"] if status == 405 else [])
            assert reply.all("Upgrade") == (["websocket"] if status == 426 else [])
            assert "Date" in reply


async def test_the_cause_of_a_bad_key_is_told(front: Front) -> None:
    reply = await refused(front, request(sec_websocket_key="!" * 24))
    assert reply.status == 400
    assert reply.body.decode().startswith(f"{FAILED}: invalid Sec-WebSocket-Key header: !!!!")


@only_ropeway
async def test_the_version_that_is_spoken_is_told(front: Front) -> None:
    """RFC 6455, section 4.2.2: a server that does not know the version says which it knows."""
    reply = await refused(front, request(sec_websocket_version="8"))
    assert reply["Sec-WebSocket-Version"] == "13"


@only_ropeway
async def test_the_head_as_a_whole_has_a_limit(front: Front) -> None:
    reply = await refused(front, request(*["X-A: " + "x" * 8000] * 9))
    assert reply.status == 431


@only_ropeway
async def test_a_refusal_arrives_though_the_client_is_still_sending(front: Front) -> None:
    """RFC 9112, section 9.6: closing on unread bytes would reset, and could destroy the answer."""
    reply = await refused(front, request(line="POST / HTTP/1.1") + bytes(100_000))
    assert reply.status == 405
    assert reply.body.endswith(b"unsupported HTTP method: POST.\n")


# Broken: 400 on ropeway, a silent close on websockets

BROKEN: list[tuple[str, bytes]] = [
    ("not-http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("one-word", b"GET\r\n\r\n"),
    ("two-words", b"GET /\r\n\r\n"),
    ("http-2", request(line="GET / HTTP/2.0")),
    ("http-0.9", request(line="GET / HTTP/0.9")),
    ("lower-case-http", request(line="GET / http/1.1")),
    ("two-spaces", request(line="GET  / HTTP/1.1")),
    ("space-in-target", request(line="GET /a b HTTP/1.1")),
    ("latin-1-target", request(line="GET /caf\xe9 HTTP/1.1")),
    ("line-without-colon", request("Oops")),
    ("name-with-space", request("X-A : 1")),
    ("empty-name", request(": 1")),
    ("folded-line", request("X-A: 1", " 2")),
    ("nul-in-value", request("X-A: a\0b")),
    ("return-in-value", request("X-A: a\rb")),
    ("body", request("Content-Length: 5") + b"hello"),
    ("length-words", request("Content-Length: five")),
    ("length-list", request("Content-Length: 0, 0")),
    ("length-zeros", request("Content-Length: 00")),
    ("two-lengths", request("Content-Length: 0", "Content-Length: 5") + b"hello"),
    ("chunked", request("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"),
    ("transfer-identity", request("Transfer-Encoding: identity")),
]


async def test_a_broken_request_does_not_open_and_is_closed(front: Front) -> None:
    async with front.serving(never) as port:
        for name, data in BROKEN:
            async with knocking(front, port) as peer:
                await peer.send(data)
                assert not (await rest(peer)).startswith(b"HTTP/1.1 101"), name


@only_ropeway
async def test_a_broken_request_gets_a_400(front: Front) -> None:
    async with front.serving(never) as port:
        for case, data in BROKEN:
            reply = await ask(front, port, data)
            assert reply.status == 400, case
            assert reply["Connection"] == "close"
            assert reply.body.decode().startswith(f"{FAILED}: ")


async def test_a_client_that_leaves_in_the_middle(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    async with front.serving(never) as port:
        for data in [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", request()[:-2]]:
            async with knocking(front, port) as peer:
                await peer.send(data)
                peer.half_close()
                assert b" 101 " not in await rest(peer)
            async with knocking(front, port) as peer:
                await peer.send(data)
                peer.reset()
        assert (await ask(front, port, request(line="POST / HTTP/1.1"))).status == 405
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
