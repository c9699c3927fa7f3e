"""The legacy client: how it connects, what its hooks see, when it comes back."""

from __future__ import annotations

import asyncio
import types
from typing import Any

import pytest

from ..opening.peers import accepting, answering, raw_server, silence
from ..support.http import response
from ..support.subject import ConnectionClosed, InvalidURI, SecurityError
from . import names
from .names import connect, deprecated, echo, idle, only_ropeway, pair, serve, serving, uri_of


async def test_it_can_be_awaited_or_entered() -> None:
    async with serving(echo) as server:
        ws = await connect(uri_of(server))
        assert isinstance(ws, names.client.WebSocketClientProtocol)
        await ws.send(b"binary")
        assert await ws.recv() == b"binary"
        await ws.close()
        async with connect(uri_of(server)) as ws:
            assert ws.open
        assert ws.closed
        assert (ws.close_code, ws.close_reason) == (1000, "")


@only_ropeway
async def test_a_coroutine_without_await() -> None:
    @types.coroutine
    def old_style() -> Any:
        with_server = yield from serve(echo, "127.0.0.1", 0)
        ws = yield from connect(uri_of(with_server))
        yield from ws.close().__await__()
        return with_server

    server = await old_style()
    server.close()
    await server.wait_closed()


async def test_it_is_awaitable_as_it_is() -> None:
    async with serving(echo) as server:
        ws = await asyncio.ensure_future(connect(uri_of(server)))
        await ws.close()


async def test_what_is_asked_for() -> None:
    async with raw_server(accepting) as server:
        async with connect(
            server.uri("/path?query"),
            origin="http://localhost",
            subprotocols=["chat"],
            extra_headers=[("X-A", "1"), ("X-A", "2")],
            user_agent_header="mine",
            close_timeout=0.05,
        ) as ws:
            assert ws.path == "/path?query"
            assert ws.request_headers["User-Agent"] == "mine"
            ws.fail_connection()
    (asked,) = server.requests
    assert asked.path == "/path?query"
    assert asked["Origin"] == "http://localhost"
    assert asked["Sec-WebSocket-Protocol"] == "chat"
    assert asked.all("X-A") == ["1", "2"]
    assert "permessage-deflate" in asked["Sec-WebSocket-Extensions"]


async def test_a_refusal() -> None:
    async with raw_server(answering(response("401 Unauthorized", "X-A: b", body=b"no"))) as server:
        with pytest.raises(names.exceptions.InvalidStatusCode) as raised:
            await connect(server.uri())
    assert raised.value.status_code == 401
    assert raised.value.headers["X-A"] == "b"
    assert str(raised.value) == "server rejected WebSocket connection: HTTP 401"


async def test_redirects() -> None:
    async def redirect(path: str, headers: Any) -> Any:
        return None if path == "/new" else (302, {"Location": "/new"}, b"")

    async with serving(echo, process_request=redirect) as server:
        async with connect(uri_of(server, "/old")) as ws:
            assert ws.path == "/new"


async def test_too_many_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def redirect(path: str, headers: Any) -> Any:
        asked.append(path)
        return 302, {"Location": f"{path}0"}, b""

    monkeypatch.setattr(names.client.Connect, "MAX_REDIRECTS_ALLOWED", 2)
    async with serving(echo, process_request=redirect) as server:
        with pytest.raises(SecurityError, match="too many redirects"):
            await connect(uri_of(server, "/"))
    assert asked == (["/", "/0"] if names.ORACLE else ["/", "/0", "/00"])


async def test_timeout() -> None:
    async with raw_server(silence) as server:
        with pytest.raises(TimeoutError):
            await connect(server.uri(), open_timeout=0.05)


async def test_iterating_connects_again_whatever_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("INITIAL", "MIN", "MAX"):
        monkeypatch.setattr(names.client.Connect, f"BACKOFF_{name}", 0.001)
    answers = [503, 403, None, None]

    async def process_request(path: str, headers: Any) -> Any:
        status = answers.pop(0)
        return status and (status, {}, b"")

    seen = []
    async with serving(echo, process_request=process_request) as server:
        async for ws in connect(uri_of(server)):
            seen.append(ws)
            if len(seen) == 2:
                break
        await ws.close()
    assert len(seen) == 2
    assert answers == []


@pytest.mark.parametrize(
    ("uri", "options", "kind", "message"),
    [
        ("http://localhost/", {}, InvalidURI, "scheme isn't ws or wss"),
        ("ws://localhost/", {"compression": "zip"}, ValueError, "unsupported compression: zip"),
        ("ws://localhost/", {"ssl": True}, ValueError, "use a wss:// URI to enable TLS"),
        ("ws://localhost/", {"subprotocols": "chat"}, TypeError, "subprotocols must be a list"),
    ],
)
def test_what_contradicts_itself(uri: str, options: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        connect(uri, **options)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"klass": names.client.WebSocketClientProtocol}, "rename klass to create_protocol"),
        ({"timeout": 5}, "rename timeout to close_timeout"),
        pytest.param({"loop": object()}, "remove loop argument", marks=only_ropeway),
    ],
)
async def test_old_arguments(argument: dict[str, Any], message: str) -> None:
    async with serving(echo) as server:
        with deprecated(message):
            connecting = connect(uri_of(server), **argument)
        async with connecting as ws:
            await ws.send("a")
            assert await ws.recv() == "a"


class Hooked(names.client.WebSocketClientProtocol):
    """Takes down which hooks are called, in order, and with what."""

    called: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.called.append("connection_made")
        super().connection_made(transport)

    async def handshake(self, wsuri: Any, *args: Any, **kwargs: Any) -> None:
        self.called.append(("handshake", wsuri.resource_name, sorted(kwargs)))
        await super().handshake(wsuri, *args, **kwargs)

    def write_http_request(self, path: str, headers: Any) -> None:
        self.called.append(("write_http_request", path))
        headers["X-Hook"] = "was here"
        super().write_http_request(path, headers)

    async def read_http_response(self) -> tuple[int, Any]:
        status, headers = await super().read_http_response()
        self.called.append(("read_http_response", status))
        return status, headers

    def connection_open(self) -> None:
        self.called.append("connection_open")
        super().connection_open()

    def connection_lost(self, exc: Exception | None) -> None:
        self.called.append("connection_lost")
        super().connection_lost(exc)


async def test_every_hook_is_called() -> None:
    Hooked.called = []

    async def tell(ws: Any) -> None:
        await ws.send(ws.request_headers["X-Hook"])

    async with pair(tell, {"create_protocol": Hooked}, "/p") as ws:
        assert await ws.recv() == "was here"
        await ws.wait_closed()
    arguments = ["available_extensions", "available_subprotocols", "extra_headers", "origin"]
    assert Hooked.called == [
        "connection_made",
        ("handshake", "/p", arguments),
        ("write_http_request", "/p"),
        ("read_http_response", 101),
        "connection_open",
        "connection_lost",
    ]


async def test_negotiating_hooks() -> None:
    class Negotiating(names.client.WebSocketClientProtocol):
        @staticmethod
        def process_extensions(headers: Any, available_extensions: Any) -> Any:
            base = names.client.WebSocketClientProtocol.process_extensions
            assert len(base(headers, available_extensions)) == 1
            return base(headers, available_extensions)

        @staticmethod
        def process_subprotocol(headers: Any, available_subprotocols: Any) -> Any:
            base = names.client.WebSocketClientProtocol.process_subprotocol
            return base(headers, available_subprotocols).upper()

    options = {"create_protocol": Negotiating, "subprotocols": ["a"]}
    async with pair(echo, options, subprotocols=["a"]) as ws:
        assert ws.subprotocol == "A"
        await ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000


async def test_a_hook_may_redirect() -> None:
    class Redirecting(names.client.WebSocketClientProtocol):
        async def handshake(self, wsuri: Any, *args: Any, **kwargs: Any) -> None:
            if wsuri.path == "/old":
                raise names.exceptions.RedirectHandshake(target)
            await super().handshake(wsuri, *args, **kwargs)

    async with serving(echo) as server:
        target = uri_of(server, "/new")
        async with connect(uri_of(server, "/old"), create_protocol=Redirecting) as ws:
            assert ws.path == "/new"


async def test_a_hook_sees_the_old_exception() -> None:
    seen = []

    class Watching(names.client.WebSocketClientProtocol):
        async def handshake(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().handshake(*args, **kwargs)
            except names.exceptions.InvalidStatusCode as exc:
                seen.append(exc.status_code)
                raise

    async with raw_server(answering(response("403 Forbidden"))) as server:
        with pytest.raises(names.exceptions.InvalidStatusCode):
            await connect(server.uri(), create_protocol=Watching)
    assert seen == [403]


async def test_legacy_recv() -> None:
    async def leave(ws: Any) -> None:
        await ws.send("bye")

    async with serving(leave) as server:
        with deprecated("legacy_recv is deprecated"):
            ws = await connect(uri_of(server), legacy_recv=True)
        assert await ws.recv() == "bye"
        assert await ws.recv() is None


@only_ropeway
async def test_a_proxy_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ws_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with pair(idle) as ws:
        assert ws.open
    async with serving(idle) as server:
        with pytest.raises((OSError, ConnectionClosed)):
            await connect(uri_of(server), proxy="http://127.0.0.1:1")
