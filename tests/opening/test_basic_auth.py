"""basic_auth: who gets in, what the others are told, and what it refuses to be built from."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from ..support.http import request
from ..support.names import exceptions
from ..support.subject import basic_auth, connect
from .peers import ask
from .serving import port_of, serving, visiting


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def tell_name(connection: Any) -> None:
    await connection.send(connection.username)


async def checking(user: str, password: str) -> bool:
    await asyncio.sleep(0)
    return (user, password) == ("ann", "x")


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("pair", {"credentials": ("ann", "x")}),
    ("list", {"credentials": [("bob", "y"), ("ann", "x")]}),
    ("tuple-of-pairs", {"credentials": (("bob", "y"), ("ann", "x"))}),
    ("items", {"credentials": {"bob": "y", "ann": "x"}.items()}),
    ("set", {"credentials": {("bob", "y"), ("ann", "x")}}),
    ("def", {"check_credentials": lambda user, password: (user, password) == ("ann", "x")}),
    ("async", {"check_credentials": checking}),
]
variants = pytest.mark.parametrize(
    "how", [row[1] for row in VARIANTS], ids=[row[0] for row in VARIANTS]
)


@variants
async def test_who_gets_in_has_a_username(how: dict[str, Any]) -> None:
    async with serving(tell_name, process_request=basic_auth("r", **how)) as server:
        async with connect(f"ws://ann:x@127.0.0.1:{port_of(server)}/") as connection:
            assert await connection.recv() == "ann"


REFUSALS: list[tuple[str, str | None, str]] = [
    ("none", None, "Missing credentials\n"),
    ("wrong-password", basic("ann", "wrong"), "Invalid credentials\n"),
    ("empty-password", basic("ann", ""), "Invalid credentials\n"),
    ("longer-password", basic("ann", "xx"), "Invalid credentials\n"),
    ("unknown-user", basic("eve", "x"), "Invalid credentials\n"),
    ("other-case", basic("Ann", "x"), "Invalid credentials\n"),
    ("non-ascii", basic("ann", "é"), "Invalid credentials\n"),
    ("bearer", "Bearer token", "Unsupported credentials\n"),
    ("no-base64", "Basic ???", "Unsupported credentials\n"),
    ("no-colon", "Basic YW5u", "Unsupported credentials\n"),
    ("nothing-behind-basic", "Basic", "Unsupported credentials\n"),
    ("empty", "", "Unsupported credentials\n"),
]


@variants
@pytest.mark.parametrize(
    ("authorization", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
async def test_who_does_not_get_in_is_told_why(
    how: dict[str, Any], authorization: str | None, text: str
) -> None:
    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    hook = basic_auth("my realm", **how)
    headers = {} if authorization is None else {"authorization": authorization}
    async with serving(never, process_request=hook) as server:
        reply = await ask(port_of(server), request(**headers))
    assert reply.status == 401
    assert reply["WWW-Authenticate"] == 'Basic realm="my realm", charset="UTF-8"'
    assert reply.body.decode() == text


async def test_the_realm_is_empty_by_default_and_quoted() -> None:
    for realm, quoted in [("", '""'), ('a"b\\c', '"a\\"b\\\\c"')]:
        hook = basic_auth(realm, credentials=("ann", "x"))
        async with serving(process_request=hook) as server:
            reply = await ask(port_of(server), request())
        assert reply["WWW-Authenticate"] == f'Basic realm={quoted}, charset="UTF-8"'


ODD = [("a b", "c d"), ("ann", "p:q:r"), ("\xe9", "\u4f60\u597d"), ("ann", ""), ("", "x")]


@pytest.mark.parametrize(("user", "password"), ODD)
async def test_odd_credentials_are_compared_as_bytes(user: str, password: str) -> None:
    hook = basic_auth(credentials=(user, password))
    async with serving(tell_name, process_request=hook) as server:
        headers = {"Authorization": basic(user, password)}
        async with visiting(server, additional_headers=headers) as connection:
            assert await connection.recv() == user


async def test_the_scheme_is_read_in_any_case() -> None:
    hook = basic_auth(credentials=("ann", "x"))
    async with serving(tell_name, process_request=hook) as server:
        headers = {"Authorization": basic("ann", "x").replace("Basic", "bASIC")}
        async with visiting(server, additional_headers=headers) as connection:
            assert await connection.recv() == "ann"


async def test_the_client_sees_a_refusal() -> None:
    async with serving(process_request=basic_auth(credentials=("ann", "x"))) as server:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await visiting(server)
    assert caught.value.response.status_code == 401
    assert caught.value.response.body == b"Missing credentials\n"


async def test_a_check_that_fails_is_an_error_of_the_server() -> None:
    def failing(user: str, password: str) -> bool:
        raise KeyError(user)

    hook = basic_auth(check_credentials=failing)
    async with serving(process_request=hook) as server:
        reply = await ask(port_of(server), request(authorization=basic("ann", "x")))
    assert reply.status == 500


@pytest.mark.parametrize(
    "arguments",
    [{}, {"credentials": ("ann", "x"), "check_credentials": lambda user, password: True}],
    ids=["neither", "both"],
)
def test_exactly_one_source_of_credentials(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        basic_auth("realm", **arguments)
    assert str(caught.value) == "provide either credentials or check_credentials"


@pytest.mark.parametrize(
    "credentials",
    [42, ("ann",), ("ann", b"x"), [("ann", 42)], [("ann", "x"), "bob"], ("ann", "x", "y")],
)
def test_credentials_of_the_wrong_type(credentials: Any) -> None:
    with pytest.raises(TypeError) as caught:
        basic_auth(credentials=credentials)
    assert str(caught.value) == f"invalid credentials argument: {credentials}"
