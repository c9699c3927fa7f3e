"""Redirects during the opening: where they lead, what they may not do, what they carry along."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import response
from ..support.names import Headers, Response, exceptions
from ..support.subject import State
from .openings import Exchange, accepting, failure, idle, raw_server, visit

MAX_REDIRECTS = 10


class Directions:
    """A script that redirects by a table of paths and accepts on every other path."""

    def __init__(self, status: int = 302, **targets: str) -> None:
        self.status = status
        self.targets = {f"/{path}": target for path, target in targets.items()}

    async def __call__(self, exchange: Exchange) -> None:
        target = self.targets.get(exchange.path)
        if target is None:
            await accepting(exchange)
        else:
            await exchange.say(response(f"{self.status} Elsewhere", f"Location: {target}"))


async def test_a_redirect_is_followed(front: Front) -> None:
    directions = Directions(old="/new")
    async with raw_server(front, directions) as server:
        for status in [300, 301, 302, 303, 307, 308]:
            directions.status = status
            async with front.opening(server.uri("/old")) as ws:
                assert ws.state is State.OPEN
                assert ws.request.path == "/new"
                assert ws.response.status_code == 101
                front.abort(ws)
    assert server.paths == ["/old", "/new"] * 6
    assert server.requests[1].start == "GET /new HTTP/1.1"


async def test_another_status_with_a_location_is_no_redirect(front: Front) -> None:
    directions = Directions(old="/new")
    async with raw_server(front, directions) as server:
        for status in [201, 304, 305, 306, 309, 399]:
            directions.status = status
            refusal = await failure(front, server.uri("/old"), exceptions.InvalidStatus)
            assert refusal.response.status_code == status
    assert server.paths == ["/old"] * 6


RELATIVE = [
    ("/b/c", "/b/c"),
    ("b", "/dir/b"),
    ("../b", "/b"),
    ("?x=1", "/dir/a?x=1"),
    ("//127.0.0.1:{port}/b", "/b"),
    ("ws://127.0.0.1:{port}", "/"),
    ("ws://127.0.0.1:{port}/b?x=1", "/b?x=1"),
]


async def test_a_location_is_resolved_against_the_uri(front: Front) -> None:
    directions = Directions()
    async with raw_server(front, directions) as server:
        for location, path in RELATIVE:
            directions.targets["/dir/a"] = location.format(port=server.port)
            await visit(front, server.uri("/dir/a"))
            assert server.paths[-2:] == ["/dir/a", path]


async def test_each_hop_is_resolved_against_the_last(front: Front) -> None:
    directions = Directions(a="/dir/b")
    directions.targets["/dir/b"] = "c"
    async with raw_server(front, directions) as server:
        await visit(front, server.uri("/a"))
    assert server.paths == ["/a", "/dir/b", "/dir/c"]


SECRETS = [
    ("AUTHORIZATION", "Bearer token"),
    ("cookie", "session=1"),
    ("Proxy-Authorization", "Basic abc"),
    ("X-Other", "kept"),
]


async def test_the_arguments_are_kept_within_one_origin(front: Front) -> None:
    async with raw_server(front, Directions(old="/new")) as server:
        await visit(
            front,
            server.uri("/old"),
            origin="https://a.example",
            subprotocols=["a"],
            additional_headers=SECRETS,
            user_agent_header="tests/1",
        )
    assert server.connections == 2
    for asked in server.requests:
        assert asked["Origin"] == "https://a.example"
        assert asked["Sec-WebSocket-Protocol"] == "a"
        assert asked["User-Agent"] == "tests/1"
        assert [asked[name] for name, _ in SECRETS] == [value for _, value in SECRETS]
    assert len({asked["Sec-WebSocket-Key"] for asked in server.requests}) == 2


@pytest.mark.parametrize("form", [list, dict])
async def test_credentials_are_not_carried_to_another_origin(front: Front, form: type) -> None:
    headers = form(SECRETS)
    async with raw_server(front, Directions()) as there:
        async with raw_server(front, Directions(old=there.uri("/new"))) as here:
            await visit(front, here.uri("/old"), additional_headers=headers)
    (asked,) = there.requests
    assert asked["X-Other"] == "kept"
    for name in ["Authorization", "Cookie", "Proxy-Authorization"]:
        assert name in here.requests[0]
        assert name not in asked
    assert asked["Host"] == f"127.0.0.1:{there.port}"
    assert headers == form(SECRETS)


async def test_credentials_do_not_come_back_with_the_way_back(front: Front) -> None:
    directions = Directions()
    async with raw_server(front, directions) as here:
        async with raw_server(front, Directions(there=here.uri("/end"))) as there:
            directions.targets["/start"] = there.uri("/there")
            await visit(front, here.uri("/start"), additional_headers=SECRETS)
    assert here.paths == ["/start", "/end"]
    assert "Authorization" not in here.requests[1]


async def test_credentials_of_the_uri_stay_within_its_origin(front: Front) -> None:
    directions = Directions()
    async with raw_server(front, Directions()) as there, raw_server(front, directions) as here:
        directions.targets.update({"/near": "/new", "/far": there.uri("/new")})
        for path in directions.targets:
            await visit(front, here.uri(path, "ann:secret@"))
    expected = "Basic " + base64.b64encode(b"ann:secret").decode()
    assert [asked["Authorization"] for asked in here.requests] == [expected] * 3
    assert "Authorization" not in there.requests[0]


async def test_credentials_in_the_location_are_used(front: Front) -> None:
    directions = Directions()
    async with raw_server(front, directions) as server:
        directions.targets["/old"] = server.uri("/new", "bob:pass@")
        await visit(front, server.uri("/old"))
    assert base64.b64decode(server.requests[1]["Authorization"].split()[1]) == b"bob:pass"


# What a redirect may not do


def redirecting(to: dict[str, str]) -> Any:
    """Make a hook that redirects by a table of paths."""

    def process_request(_: Any, asked: Any) -> Any:
        target = to.get(asked.path)
        headers = Headers({"Location": str(target), "Content-Length": "0"})
        return None if target is None else Response(302, "Elsewhere", headers, b"")

    return process_request


async def test_from_wss_to_ws_is_refused(front: Front, tls: Any) -> None:
    targets: dict[str, str] = {}
    hook = redirecting(targets)
    async with raw_server(front, Directions()) as plain:
        async with front.serving(idle, ssl=tls.server_context, process_request=hook) as port:
            targets["/old"] = plain.uri("/new")
            error = await failure(
                front,
                f"wss://localhost:{port}/old",
                exceptions.SecurityError,
                ssl=tls.client_context,
            )
    assert str(error) == f"cannot follow redirect to non-secure URI {plain.uri('/new')}"
    assert isinstance(error.__cause__, exceptions.InvalidStatus)
    assert plain.connections == 0


async def test_from_wss_to_wss_is_followed(front: Front, tls: Any) -> None:
    hook = redirecting({"/old": "/new"})
    async with front.serving(idle, ssl=tls.server_context, process_request=hook) as port:
        ws = await visit(front, f"wss://localhost:{port}/old", ssl=tls.client_context)
    assert ws.request.path == "/new"


async def test_from_ws_to_wss_is_followed(
    front: Front, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_file))
    async with front.serving(idle, ssl=tls.server_context) as port:
        async with raw_server(front, Directions(old=f"wss://localhost:{port}/new")) as plain:
            ws = await visit(front, plain.uri("/old"), additional_headers=SECRETS)
    assert ws.request.path == "/new"
    assert "Authorization" not in ws.request.headers


async def test_too_many_redirects(front: Front) -> None:
    async with raw_server(front, Directions(loop="/loop")) as server:
        error = await failure(front, server.uri("/loop"), exceptions.SecurityError)
    assert str(error) == f"more than {MAX_REDIRECTS} redirects"
    assert server.connections == MAX_REDIRECTS


async def test_just_few_enough_redirects(front: Front) -> None:
    hops = {f"h{hop}": f"/h{hop + 1}" for hop in range(MAX_REDIRECTS - 1)}
    async with raw_server(front, Directions(**hops)) as server:
        await visit(front, server.uri("/h0"))
    assert server.connections == MAX_REDIRECTS


async def test_a_location_that_is_no_websocket_uri(front: Front) -> None:
    directions = Directions()
    async with raw_server(front, directions) as server:
        for location in ["http://127.0.0.1/", "mailto:ann@a.example", "/x#y"]:
            directions.targets["/old"] = location
            await failure(front, server.uri("/old"), exceptions.InvalidURI)


async def test_a_given_socket_leads_to_one_place_only(front: Front) -> None:
    async with raw_server(front, Directions(old="/new")) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        error = await failure(front, server.uri("/old"), ValueError, sock=sock)
    carrier = "stream" if front.name == "trio" else "socket"
    assert str(error) == (
        f"cannot follow redirect to {server.uri('/new')} with a preexisting {carrier}"
    )


async def test_an_override_holds_for_one_origin_only(front: Front) -> None:
    directions = Directions(near="/new", far="ws://elsewhere.example/new")
    async with raw_server(front, directions) as server:
        to = ("127.0.0.1", server.port)
        await visit(front, "ws://a.example/near", to=to)
        error = await failure(front, "ws://a.example/far", ValueError, to=to)
    # An address, as threads have it, is both.
    override = "host and port" if front.name == "threads" else "host or port"
    assert str(error) == (
        "cannot follow cross-origin redirect to ws://elsewhere.example/new "
        f"with an explicit {override}"
    )
    assert server.paths == ["/near", "/new", "/far"]


async def test_a_unix_socket_holds_for_one_origin_only(
    front: Front, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    hook = redirecting({"/near": "/new", "/far": "ws://elsewhere.example/new"})
    async with front.serving(idle, path=path, process_request=hook):
        ws = await visit(front, "ws://localhost/near", path=path)
        error = await failure(front, "ws://localhost/far", ValueError, path=path)
    assert ws.request.path == "/new"
    assert str(error) == (
        "cannot follow cross-origin redirect to ws://elsewhere.example/new with a Unix socket"
    )
