"""route and unix_route: from a werkzeug map of URLs to handlers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ..support.drivers import not_on
from ..support.fronts import Front
from ..support.http import Reply, request
from ..support.names import exceptions
from .openings import ask, failure, uri_to

routing = pytest.importorskip("werkzeug.routing")
Map, Rule = routing.Map, routing.Rule


async def tell_route(ws: Any, **arguments: Any) -> None:
    """Handler: send what the URL captured."""
    await ws.send(repr(sorted(arguments.items())))


async def tell_path(ws: Any) -> None:
    await ws.send(ws.request.path)


def url_map(front: Front) -> Any:
    route, path = front.handler(tell_route), front.handler(tell_path)
    return Map(
        [
            Rule("/", endpoint=route),
            Rule("/other", endpoint=path),
            Rule("/int/<int:number>", endpoint=route),
            Rule("/uuid/<uuid:identity>", endpoint=route),
            Rule("/path/<path:rest>", endpoint=route),
            Rule("/defaults", endpoint=route, defaults={"page": 1}),
            Rule("/old", redirect_to="/other"),
            Rule("/tree/", endpoint=path),
        ]
    )


async def said(front: Front, port: Any, path: str, **options: Any) -> Any:
    """Connect to a path, and return the handler's message."""
    async with front.opening(uri_to(port, path), **options) as ws:
        return await ws.recv()


async def asked(front: Front, port: Any, path: str, *lines: str, **fields: str) -> Reply:
    line = f"GET {path} HTTP/1.1"
    return await ask(front, port, request(*lines, line=line, **{"host": "a.example", **fields}))


IDENTITY = uuid.UUID("12345678123456781234567812345678")

ROUTES = [
    ("/", "[]"),
    ("/other", "/other"),
    ("/other?a=b&c=%2F", "/other?a=b&c=%2F"),
    ("/int/42", "[('number', 42)]"),
    (f"/uuid/{IDENTITY}", f"[('identity', {IDENTITY!r})]"),
    ("/path/a/b/c", "[('rest', 'a/b/c')]"),
    ("/defaults", "[('page', 1)]"),
]


async def test_the_handler_of_a_path(front: Front) -> None:
    async with front.routing(url_map(front)) as port:
        for path, message in ROUTES:
            assert await said(front, port, path) == message


async def test_a_path_without_a_handler(front: Front) -> None:
    async with front.routing(url_map(front)) as port:
        for path in ["/missing", "/int/x", "/other/", "/uuid/42"]:
            reply = await asked(front, port, path)
            assert reply.start == "HTTP/1.1 404 Not Found"
            assert reply.body == b"Not Found"


REDIRECTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "a.example", "ws://a.example/other"),
    ({}, "a.example:81", "ws://a.example:81/other"),
    ({"server_name": "b.example"}, "a.example", "ws://b.example/other"),
    ({"ssl": True}, "a.example", "wss://a.example/other"),
    ({"ssl": True, "server_name": "b.example:8443"}, "a.example", "wss://b.example:8443/other"),
]


@pytest.mark.parametrize(("options", "host", "location"), REDIRECTS)
async def test_a_redirect(front: Front, options: dict[str, Any], host: str, location: str) -> None:
    async with front.routing(url_map(front), **options) as port:
        reply = await asked(front, port, "/old", host=host)
    assert reply.start == "HTTP/1.1 302 Found"
    assert reply["Location"] == location
    assert reply.body.decode() == f"Found at {location}"


async def test_a_missing_slash_is_a_redirect_that_keeps_the_query(front: Front) -> None:
    async with front.routing(url_map(front)) as port:
        reply = await asked(front, port, "/tree?a=b")
        assert (reply.status, reply["Location"]) == (302, "ws://a.example/tree/?a=b")
        assert await said(front, port, "/tree?a=b") == "/tree/?a=b"


async def test_a_redirect_over_tls(front: Front, tls: Any) -> None:
    async with front.routing(url_map(front), ssl=tls.server_context) as port:
        uri = f"wss://localhost:{port}/old"
        async with front.opening(uri, ssl=tls.client_context) as ws:
            assert await ws.recv() == "/other"


async def test_a_request_without_a_host(front: Front) -> None:
    async with front.routing(url_map(front)) as port:
        reply = await ask(front, port, request(line="GET /old HTTP/1.1", without=["host"]))
    assert reply.status in (400, 500)


async def test_a_router_of_the_callers_own(front: Front) -> None:
    class Own(front.module("router").Router):  # type: ignore[misc]
        def get_server_name(self, connection: Any, asked: Any) -> str:
            return str(asked.headers["X-Forwarded-Host"])

        def redirect(self, connection: Any, url: str) -> Any:
            response = super().redirect(connection, url)
            response.headers["X-Own"] = "redirect"
            return response

        def not_found(self, connection: Any) -> Any:
            return connection.respond(410, "gone\n")

        def handler(self, connection: Any) -> Any:
            connection.request.path += "!"
            return super().handler(connection)

    line = "X-Forwarded-Host: front.example"
    async with front.routing(url_map(front), create_router=Own) as port:
        reply = await asked(front, port, "/old", line)
        assert (reply["Location"], reply["X-Own"]) == ("ws://front.example/other", "redirect")
        assert (await asked(front, port, "/missing", line)).body == b"gone\n"
        headers = {"X-Forwarded-Host": "front.example"}
        assert await said(front, port, "/other", additional_headers=headers) == "/other!"


async def test_create_router_may_be_a_function(front: Front) -> None:
    made: list[Any] = []

    def factory(*args: Any) -> Any:
        made.append(args)
        return front.module("router").Router(*args)

    urls = url_map(front)
    async with front.routing(urls, create_router=factory, server_name="b.example"):
        pass
    assert made == [(urls, "b.example", "ws")]


@pytest.mark.parametrize(
    "colour",
    ["def", pytest.param("async", marks=not_on("threads", reason="it calls functions"))],
)
async def test_process_request_comes_before_the_routes(front: Front, colour: str) -> None:
    def hook(connection: Any, asked: Any) -> Any:
        return connection.respond(200, "OK\n") if asked.path == "/healthz" else None

    async def asynchronous(connection: Any, asked: Any) -> Any:
        return hook(connection, asked)

    process_request = hook if colour == "def" else asynchronous
    async with front.routing(url_map(front), process_request=process_request) as port:
        assert (await asked(front, port, "/healthz")).body == b"OK\n"
        assert (await asked(front, port, "/missing")).status == 404
        assert await said(front, port, "/other") == "/other"


async def test_options_are_passed_on(front: Front) -> None:
    options = {"subprotocols": ["a"], "server_header": "tests/1"}
    async with front.routing(url_map(front), **options) as port:
        async with front.opening(uri_to(port, "/other"), subprotocols=["a"]) as ws:
            assert ws.subprotocol == "a"
            assert ws.response.headers["Server"] == "tests/1"


async def test_unix_route(front: Front, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    async with front.routing(url_map(front), path=path):
        async with front.opening("ws://localhost/int/1", path=path) as ws:
            assert await ws.recv() == "[('number', 1)]"
        kind = exceptions.InvalidStatus
        refusal = await failure(front, "ws://localhost/missing", kind, path=path)
    assert refusal.response.status_code == 404
