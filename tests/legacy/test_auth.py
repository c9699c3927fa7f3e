"""Basic authentication of the legacy server."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest

from ..opening.peers import ask
from ..support.http import request
from . import names
from .names import connect, idle, port_of, serving, uri_of

factory = names.auth.basic_auth_protocol_factory


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


async def check(username: str, password: str) -> bool:
    return hmac.compare_digest(password.encode(), b"sesame") and username == "ali"


class Checking(names.auth.BasicAuthWebSocketServerProtocol):
    realm = "cave"

    async def check_credentials(self, username: str, password: str) -> bool:
        return await check(username, password)


PROTOCOLS = {
    "credentials": factory(realm="cave", credentials=("ali", "sesame")),
    "list": factory(realm="cave", credentials=[("baba", "x"), ("ali", "sesame")]),
    "function": factory(realm="cave", check_credentials=check),
    "subclass": Checking,
}


@pytest.mark.parametrize("create_protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize(
    ("authorization", "body"),
    [
        (None, b"Missing credentials\n"),
        ("Digest x", b"Unsupported credentials\n"),
        ("Basic !", b"Unsupported credentials\n"),
        (basic("ali", "wrong"), b"Invalid credentials\n"),
        (basic("nobody", "sesame"), b"Invalid credentials\n"),
    ],
)
async def test_who_is_turned_away(
    create_protocol: Any, authorization: str | None, body: bytes
) -> None:
    async with serving(idle, create_protocol=create_protocol) as server:
        header = {} if authorization is None else {"authorization": authorization}
        reply = await ask(port_of(server), request(**header))
    assert reply.status == 401
    assert reply.body == body
    assert reply["WWW-Authenticate"] == 'Basic realm="cave", charset="UTF-8"'


@pytest.mark.parametrize("create_protocol", PROTOCOLS.values(), ids=PROTOCOLS)
async def test_who_comes_in(create_protocol: Any) -> None:
    async with serving(idle, create_protocol=create_protocol) as server:
        uri = uri_of(server).replace("//", "//ali:sesame@")
        async with connect(uri):
            (known,) = server.websockets
            assert known.username == "ali"


async def test_process_request_comes_after_it() -> None:
    async def process_request(path: str, headers: Any) -> Any:
        return 200, {}, b"in\n"

    async with serving(
        idle, create_protocol=PROTOCOLS["credentials"], process_request=process_request
    ) as server:
        port = port_of(server)
        assert (await ask(port, request())).status == 401
        reply = await ask(port, request(authorization=basic("ali", "sesame")))
    assert (reply.status, reply.body) == (200, b"in\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "provide either credentials or check_credentials"),
        (
            {"credentials": ("a", "b"), "check_credentials": check},
            "provide either credentials or check_credentials",
        ),
        ({"credentials": 1}, "invalid credentials argument: 1"),
        ({"credentials": ["a", "b", "c"]}, "invalid credentials argument"),
    ],
)
def test_what_contradicts_itself(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        factory(realm="cave", **arguments)


def test_a_class_of_ones_own() -> None:
    made = factory(credentials=("a", "b"), create_protocol=Checking)
    assert made.func is Checking
