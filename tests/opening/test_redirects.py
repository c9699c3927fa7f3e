"""Redirects during the opening: where they lead, what they may not do, what they carry along."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from ..support.http import response
from ..support.names import exceptions
from ..support.subject import State, connect, unix_connect
from .peers import Exchange, RawServer, raw_server

MAX_REDIRECTS = 10


class Directions:
    """A server that redirects by a table of paths and accepts on every other path."""

    def __init__(self, status: int = 302, **targets: str) -> None:
        self.status = status
        self.targets = {f"/{path}": target for path, target in targets.items()}

    async def __call__(self, exchange: Exchange) -> None:
        target = self.targets.get(exchange.path)
        if target is None:
            exchange.writer.write(exchange.switching())
            await exchange.hold()
        else:
            exchange.writer.write(response(f"{self.status} Elsewhere", f"Location: {target}"))


async def follow(uri: str, **options: Any) -> Any:
    connecting = connect(uri, **options)
    connection = await connecting
    assert connection.state is State.OPEN
    connection.transport.abort()
    await connection.wait_closed()
    return connecting


def paths(server: RawServer) -> list[str]:
    return [request.path for request in server.requests]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status: int) -> None:
    async with raw_server(Directions(status, old="/new")) as server:
        await follow(server.uri("/old"))
    assert paths(server) == ["/old", "/new"]
    assert server.requests[1].start == "GET /new HTTP/1.1"


@pytest.mark.parametrize("status", [304, 305, 306, 309, 399])
async def test_another_status_with_a_location_is_no_redirect(status: int) -> None:
    async with raw_server(Directions(status, old="/new")) as server:
        with pytest.raises(exceptions.InvalidStatus):
            await connect(server.uri("/old"))
    assert paths(server) == ["/old"]


RELATIVE = [
    ("/b/c", "/b/c"),
    ("b", "/dir/b"),
    ("../b", "/b"),
    ("?x=1", "/dir/a?x=1"),
    ("//127.0.0.1:{port}/b", "/b"),
    ("ws://127.0.0.1:{port}", "/"),
    ("ws://127.0.0.1:{port}/b?x=1", "/b?x=1"),
]


@pytest.mark.parametrize(("location", "path"), RELATIVE)
async def test_a_location_is_resolved_against_the_uri(location: str, path: str) -> None:
    directions = Directions()
    async with raw_server(directions) as server:
        directions.targets["/dir/a"] = location.format(port=server.port)
        await follow(server.uri("/dir/a"))
    assert paths(server) == ["/dir/a", path]


async def test_each_hop_is_resolved_against_the_last() -> None:
    directions = Directions(a="/dir/b")
    directions.targets["/dir/b"] = "c"
    async with raw_server(directions) as server:
        await follow(server.uri("/a"))
    assert paths(server) == ["/a", "/dir/b", "/dir/c"]


async def test_the_next_hop_is_a_connection_of_its_own() -> None:
    async with raw_server(Directions(old="/new")) as server:
        await follow(server.uri("/old"))
    assert server.connections == 2
    keys = {request["Sec-WebSocket-Key"] for request in server.requests}
    assert len(keys) == 2


async def test_the_arguments_are_kept_within_one_origin() -> None:
    async with raw_server(Directions(old="/new")) as server:
        await follow(
            server.uri("/old"),
            origin="https://a.example",
            subprotocols=["a"],
            additional_headers=SECRETS,
            user_agent_header="tests/1",
        )
    for request in server.requests:
        assert request["Origin"] == "https://a.example"
        assert request["Sec-WebSocket-Protocol"] == "a"
        assert request["User-Agent"] == "tests/1"
        assert [request[name] for name, _ in SECRETS] == [value for _, value in SECRETS]


SECRETS = [
    ("AUTHORIZATION", "Bearer token"),
    ("cookie", "session=1"),
    ("Proxy-Authorization", "Basic abc"),
    ("X-Other", "kept"),
]


@pytest.mark.parametrize("form", [list, dict])
async def test_credentials_are_not_carried_to_another_origin(form: type) -> None:
    async with raw_server(Directions()) as there:
        async with raw_server(Directions(old=there.uri("/new"))) as here:
            await follow(here.uri("/old"), additional_headers=form(SECRETS))
    (request,) = there.requests
    assert request["X-Other"] == "kept"
    for name in ["Authorization", "Cookie", "Proxy-Authorization"]:
        assert name in here.requests[0]
        assert name not in request
    assert request["Host"] == f"127.0.0.1:{there.port}"


async def test_credentials_do_not_come_back_with_the_way_back() -> None:
    here_directions = Directions()
    async with raw_server(here_directions) as here:
        async with raw_server(Directions(there=here.uri("/end"))) as there:
            here_directions.targets["/start"] = there.uri("/there")
            await follow(here.uri("/start"), additional_headers=SECRETS)
    assert paths(here) == ["/start", "/end"]
    assert "Authorization" not in here.requests[1]


async def test_the_callers_own_headers_are_left_as_they_are() -> None:
    headers = dict(SECRETS)
    async with raw_server(Directions()) as there:
        async with raw_server(Directions(old=there.uri("/new"))) as here:
            await follow(here.uri("/old"), additional_headers=headers)
    assert headers == dict(SECRETS)


async def test_credentials_of_the_uri_stay_within_its_origin() -> None:
    directions = Directions()
    async with raw_server(Directions()) as there, raw_server(directions) as here:
        directions.targets.update({"/near": "/new", "/far": there.uri("/new")})
        for path in directions.targets:
            await follow(f"ws://ann:secret@127.0.0.1:{here.port}{path}")
    expected = "Basic " + base64.b64encode(b"ann:secret").decode()
    assert [request["Authorization"] for request in here.requests] == [expected] * 3
    assert "Authorization" not in there.requests[0]


async def test_credentials_in_the_location_are_used() -> None:
    directions = Directions()
    async with raw_server(directions) as server:
        directions.targets["/old"] = f"ws://bob:pass@127.0.0.1:{server.port}/new"
        await follow(server.uri("/old"))
    assert base64.b64decode(server.requests[1]["Authorization"].split()[1]) == b"bob:pass"


# What a redirect may not do


async def test_from_wss_to_ws_is_refused(tls: Any) -> None:
    async with raw_server(Directions()) as plain:
        async with raw_server(Directions(old=plain.uri("/new")), tls=tls.server_context) as secure:
            with pytest.raises(exceptions.SecurityError) as caught:
                await connect(secure.uri("/old", "wss"), ssl=tls.client_context)
    assert str(caught.value) == f"cannot follow redirect to non-secure URI {plain.uri('/new')}"
    assert isinstance(caught.value.__cause__, exceptions.InvalidStatus)
    assert plain.connections == 0


async def test_from_wss_to_wss_is_followed(tls: Any) -> None:
    async with raw_server(Directions(old="/new"), tls=tls.server_context) as server:
        await follow(server.uri("/old", "wss"), ssl=tls.client_context)
    assert paths(server) == ["/old", "/new"]


async def test_from_ws_to_wss_is_followed(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_file))
    async with raw_server(Directions(), tls=tls.server_context) as secure:
        async with raw_server(Directions(old=secure.uri("/new", "wss"))) as plain:
            await follow(plain.uri("/old"), additional_headers=SECRETS)
    (request,) = secure.requests
    assert "Authorization" not in request


async def test_too_many_redirects() -> None:
    async with raw_server(Directions(loop="/loop")) as server:
        with pytest.raises(exceptions.SecurityError) as caught:
            await connect(server.uri("/loop"))
    assert str(caught.value) == f"more than {MAX_REDIRECTS} redirects"
    assert server.connections == MAX_REDIRECTS


async def test_just_few_enough_redirects() -> None:
    hops = {f"h{hop}": f"/h{hop + 1}" for hop in range(MAX_REDIRECTS - 1)}
    async with raw_server(Directions(**hops)) as server:
        await follow(server.uri("/h0"))
    assert server.connections == MAX_REDIRECTS


@pytest.mark.parametrize("location", ["http://127.0.0.1/", "mailto:ann@a.example", "/x#y"])
async def test_a_location_that_is_no_websocket_uri(location: str) -> None:
    async with raw_server(Directions(old=location)) as server:
        with pytest.raises(exceptions.InvalidURI):
            await connect(server.uri("/old"))


async def test_a_given_socket_leads_to_one_place_only() -> None:
    async with raw_server(Directions(old="/new")) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(ValueError) as caught:
            await connect(server.uri("/old"), sock=sock)
    assert str(caught.value) == (
        f"cannot follow redirect to {server.uri('/new')} with a preexisting socket"
    )


@pytest.mark.parametrize("override", ["host", "port"])
async def test_an_override_holds_for_one_origin_only(override: str) -> None:
    directions = Directions(near="/new", far="ws://elsewhere.example/new")
    async with raw_server(directions) as server:
        options = {"host": "127.0.0.1"} if override == "host" else {"port": server.port}
        await follow(server.uri("/near"), **options)
        with pytest.raises(ValueError) as caught:
            await connect(server.uri("/far"), **options)
    assert str(caught.value) == (
        "cannot follow cross-origin redirect to ws://elsewhere.example/new "
        "with an explicit host or port"
    )
    assert paths(server) == ["/near", "/new", "/far"]


async def test_a_unix_socket_holds_for_one_origin_only(socket_path: str) -> None:
    directions = Directions(near="/new", far="ws://elsewhere.example/new")
    async with raw_server(directions, path=socket_path) as server:
        connection = await unix_connect(socket_path, "ws://localhost/near")
        connection.transport.abort()
        await connection.wait_closed()
        with pytest.raises(ValueError) as caught:
            await unix_connect(socket_path, "ws://localhost/far")
    assert str(caught.value) == (
        "cannot follow cross-origin redirect to ws://elsewhere.example/new with a Unix socket"
    )
    assert paths(server) == ["/near", "/new", "/far"]


async def test_the_time_limit_is_for_all_hops_together() -> None:
    async def dawdling(exchange: Exchange) -> None:
        if len(server.requests) < 3:
            exchange.writer.write(response("302 Found", "Location: /again"))
        else:
            await exchange.hold()

    async with raw_server(dawdling) as server:
        with pytest.raises(TimeoutError, match="timed out during opening handshake"):
            await connect(server.uri(), open_timeout=0.2)
    assert server.connections == 3
