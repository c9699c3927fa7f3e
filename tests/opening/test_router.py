"""route and unix_route: from a werkzeug map of URLs to handlers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ..support.http import Reply, request
from ..support.names import exceptions
from ..support.subject import module, unix_connect
from .peers import ask, raw_client
from .serving import DEFAULTS, port_of, visiting

routing = pytest.importorskip("werkzeug.routing")
Map, Rule = routing.Map, routing.Rule
router = module("asyncio.router")
route, unix_route, Router = router.route, router.unix_route, router.Router


async def tell_route(connection: Any, **arguments: Any) -> None:
    """Handler: send what the URL captured."""
    await connection.send(repr(sorted(arguments.items())))


async def tell_other(connection: Any) -> None:
    await connection.send("other")


def url_map() -> Any:
    return Map(
        [
            Rule("/", endpoint=tell_route),
            Rule("/other", endpoint=tell_other),
            Rule("/int/<int:number>", endpoint=tell_route),
            Rule("/uuid/<uuid:identity>", endpoint=tell_route),
            Rule("/path/<path:rest>", endpoint=tell_route),
            Rule("/defaults", endpoint=tell_route, defaults={"page": 1}),
            Rule("/old", redirect_to="/other"),
            Rule("/tree/", endpoint=tell_other),
        ]
    )


def routing_server(**options: Any) -> Any:
    return route(options.pop("url_map", None) or url_map(), "127.0.0.1", 0, **DEFAULTS, **options)


async def said(path: str, **options: Any) -> str:
    """Connect to a path, and return the handler's message."""
    async with routing_server(**options) as server, visiting(server, path) as connection:
        message: str = await connection.recv()
        return message


async def refusal(path: str, host: str = "a.example", **options: Any) -> Reply:
    async with routing_server(**options) as server:
        return await ask(port_of(server), request(line=f"GET {path} HTTP/1.1", host=host))


IDENTITY = uuid.UUID("12345678123456781234567812345678")

ROUTES = [
    ("/", "[]"),
    ("/other", "other"),
    ("/other?a=b&c", "other"),
    ("/int/42", "[('number', 42)]"),
    (f"/uuid/{IDENTITY}", f"[('identity', {IDENTITY!r})]"),
    ("/path/a/b/c", "[('rest', 'a/b/c')]"),
    ("/defaults", "[('page', 1)]"),
]


@pytest.mark.parametrize(("path", "message"), ROUTES)
async def test_the_handler_of_a_path(path: str, message: str) -> None:
    assert await said(path) == message


@pytest.mark.parametrize("path", ["/missing", "/int/x", "/other/", "/uuid/42"])
async def test_a_path_without_a_handler(path: str) -> None:
    reply = await refusal(path)
    assert reply.start == "HTTP/1.1 404 Not Found"
    assert reply.body == b"Not Found"


async def test_the_query_is_left_to_the_handler() -> None:
    seen: list[str] = []

    async def handler(connection: Any) -> None:
        seen.append(connection.request.path)

    urls = Map([Rule("/q", endpoint=handler)])
    async with routing_server(url_map=urls) as server:
        async with visiting(server, "/q?a=b&c=%2F") as connection:
            await connection.wait_closed()
    assert seen == ["/q?a=b&c=%2F"]


REDIRECTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "a.example", "ws://a.example/other"),
    ({}, "a.example:81", "ws://a.example:81/other"),
    ({"server_name": "b.example"}, "a.example", "ws://b.example/other"),
    ({"ssl": True}, "a.example", "wss://a.example/other"),
    ({"ssl": True, "server_name": "b.example:8443"}, "a.example", "wss://b.example:8443/other"),
]


@pytest.mark.parametrize(("options", "host", "location"), REDIRECTS)
async def test_a_redirect(options: dict[str, Any], host: str, location: str) -> None:
    reply = await refusal("/old", host, **options)
    assert reply.start == "HTTP/1.1 302 Found"
    assert reply["Location"] == location
    assert reply.body.decode() == f"Found at {location}"


async def test_a_missing_slash_is_a_redirect_that_keeps_the_query() -> None:
    reply = await refusal("/tree?a=b")
    assert (reply.status, reply["Location"]) == (302, "ws://a.example/tree/?a=b")


async def test_a_client_follows_the_redirect() -> None:
    assert await said("/old") == "other"
    assert await said("/tree") == "other"


async def test_a_redirect_over_tls(tls: Any) -> None:
    async with routing_server(ssl=tls.server_context) as server:
        async with raw_client(
            port_of(server), tls=tls.client_context, server_hostname="localhost"
        ) as client:
            await client.send(request(line="GET /old HTTP/1.1", host="localhost"))
            assert (await client.reply())["Location"] == "wss://localhost/other"


async def test_a_request_without_a_host() -> None:
    async with routing_server() as server:
        reply = await ask(port_of(server), request(line="GET /old HTTP/1.1", without=["host"]))
    assert reply.status in (400, 500)


# A router of the caller's own


class Own(Router):  # type: ignore[misc, valid-type]
    def get_server_name(self, connection: Any, asked: Any) -> str:
        return str(asked.headers["X-Forwarded-Host"])

    def redirect(self, connection: Any, url: str) -> Any:
        response = super().redirect(connection, url)
        response.headers["X-Own"] = "redirect"
        return response

    def not_found(self, connection: Any) -> Any:
        return connection.respond(410, "gone\n")

    async def handler(self, connection: Any) -> None:
        await connection.send("own")
        await super().handler(connection)


async def test_a_router_of_the_callers_own() -> None:
    async with routing_server(create_router=Own) as server:
        data = request("X-Forwarded-Host: front.example", line="GET /old HTTP/1.1")
        reply = await ask(port_of(server), data)
        assert (reply["Location"], reply["X-Own"]) == ("ws://front.example/other", "redirect")
        data = request("X-Forwarded-Host: front.example", line="GET /missing HTTP/1.1")
        assert (await ask(port_of(server), data)).body == b"gone\n"
        headers = {"X-Forwarded-Host": "front.example"}
        async with visiting(server, "/other", additional_headers=headers) as connection:
            assert [await connection.recv(), await connection.recv()] == ["own", "other"]


async def test_create_router_may_be_a_function() -> None:
    made: list[Any] = []

    def factory(*args: Any) -> Any:
        made.append(args)
        return Router(*args)

    urls = url_map()
    async with routing_server(url_map=urls, create_router=factory, server_name="b.example"):
        pass
    assert made == [(urls, "b.example", "ws")]


# With other options of serve


@pytest.mark.parametrize("colour", ["def", "async"])
async def test_process_request_comes_before_the_routes(colour: str) -> None:
    def hook(connection: Any, asked: Any) -> Any:
        return connection.respond(200, "OK\n") if asked.path == "/healthz" else None

    async def asynchronous(connection: Any, asked: Any) -> Any:
        return hook(connection, asked)

    options = {"process_request": hook if colour == "def" else asynchronous}
    assert (await refusal("/healthz", **options)).body == b"OK\n"
    assert (await refusal("/missing", **options)).status == 404
    assert await said("/other", **options) == "other"


async def test_options_are_passed_on() -> None:
    async with routing_server(subprotocols=["a"], server_header="tests/1") as server:
        async with visiting(server, "/other", subprotocols=["a"]) as connection:
            assert connection.subprotocol == "a"
            assert connection.response.headers["Server"] == "tests/1"


async def test_a_refused_handshake_comes_before_the_handler() -> None:
    async with routing_server() as server:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await visiting(server, "/missing")
    assert caught.value.response.status_code == 404


async def test_unix_route(socket_path: str) -> None:
    async with unix_route(url_map(), socket_path):
        async with unix_connect(socket_path, "ws://localhost/int/1") as connection:
            assert await connection.recv() == "[('number', 1)]"
        with pytest.raises(exceptions.InvalidStatus):
            await unix_connect(socket_path, "ws://localhost/missing")
