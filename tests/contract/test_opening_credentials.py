"""Credentials: who gets in by Basic, what the others are told, and challenges for Digest."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ..support.drivers import not_on
from ..support.fronts import Front
from ..support.gates import Gate
from ..support.http import request
from ..support.names import exceptions
from ..support.subject import only_ropeway
from .openings import Exchange, ask, failure, idle, never, raw_server, refused, uri_to

# Basic, as a server asks for it


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def guard(front: Front, *arguments: Any, **options: Any) -> Any:
    return front.module("server").basic_auth(*arguments, **options)


async def tell_name(ws: Any) -> None:
    await ws.send(ws.username)


async def checking(user: str, password: str) -> bool:
    return (user, password) == ("ann", "x")


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("pair", {"credentials": ("ann", "x")}),
    ("list", {"credentials": [("bob", "y"), ("ann", "x")]}),
    ("tuple-of-pairs", {"credentials": (("bob", "y"), ("ann", "x"))}),
    ("items", {"credentials": {"bob": "y", "ann": "x"}.items()}),
    ("set", {"credentials": {("bob", "y"), ("ann", "x")}}),
    ("def", {"check_credentials": lambda user, password: (user, password) == ("ann", "x")}),
]
NO_COROUTINES = "what a server for threads calls is a function"
variants = pytest.mark.parametrize(
    "how",
    [
        *(pytest.param(how, id=name) for name, how in VARIANTS),
        pytest.param(
            {"check_credentials": checking},
            id="async",
            marks=not_on("threads", reason=NO_COROUTINES),
        ),
    ],
)


@variants
async def test_who_gets_in_has_a_username(front: Front, how: dict[str, Any]) -> None:
    async with front.serving(tell_name, process_request=guard(front, "r", **how)) as port:
        async with front.opening(uri_to(port, user="ann:x@")) as ws:
            assert await ws.recv() == "ann"


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
async def test_who_does_not_get_in_is_told_why(front: Front, how: dict[str, Any]) -> None:
    async with front.serving(never, process_request=guard(front, "my realm", **how)) as port:
        for name, authorization, text in REFUSALS:
            headers = {} if authorization is None else {"authorization": authorization}
            reply = await ask(front, port, request(**headers))
            assert reply.status == 401, name
            assert reply["WWW-Authenticate"] == 'Basic realm="my realm", charset="UTF-8"'
            assert reply.body.decode() == text, name


async def test_the_realm_is_empty_by_default_and_quoted(front: Front) -> None:
    for realm, quoted in [("", '""'), ('a"b\\c', '"a\\"b\\\\c"')]:
        hook = guard(front, realm, credentials=("ann", "x"))
        reply = await refused(front, request(), process_request=hook)
        assert reply["WWW-Authenticate"] == f'Basic realm={quoted}, charset="UTF-8"'


ODD = [("a b", "c d"), ("ann", "p:q:r"), ("\xe9", "\u4f60\u597d"), ("bob", ""), ("", "x")]


async def test_odd_credentials_are_compared_as_bytes(front: Front) -> None:
    async with front.serving(tell_name, process_request=guard(front, credentials=ODD)) as port:
        for user, password in ODD:
            headers = {"Authorization": basic(user, password)}
            async with front.connecting(port, additional_headers=headers) as ws:
                assert await ws.recv() == user


async def test_the_scheme_is_read_in_any_case(front: Front) -> None:
    hook = guard(front, credentials=("ann", "x"))
    async with front.serving(tell_name, process_request=hook) as port:
        headers = {"Authorization": basic("ann", "x").replace("Basic", "bASIC")}
        async with front.connecting(port, additional_headers=headers) as ws:
            assert await ws.recv() == "ann"


async def test_the_client_sees_a_refusal(front: Front) -> None:
    hook = guard(front, credentials=("ann", "x"))
    async with front.serving(idle, process_request=hook) as port:
        refusal = await failure(front, uri_to(port), exceptions.InvalidStatus)
    assert refusal.response.status_code == 401
    assert refusal.response.body == b"Missing credentials\n"


async def test_a_check_that_fails_is_an_error_of_the_server(front: Front) -> None:
    def failing(user: str, password: str) -> bool:
        raise KeyError(user)

    hook = guard(front, check_credentials=failing)
    data = request(authorization=basic("ann", "x"))
    assert (await refused(front, data, process_request=hook)).status == 500


@pytest.mark.parametrize(
    "arguments",
    [{}, {"credentials": ("ann", "x"), "check_credentials": lambda user, password: True}],
    ids=["neither", "both"],
)
async def test_exactly_one_source_of_credentials(front: Front, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        guard(front, "realm", **arguments)
    assert str(caught.value) == "provide either credentials or check_credentials"


@pytest.mark.parametrize(
    "credentials",
    [42, ("ann",), ("ann", b"x"), [("ann", 42)], [("ann", "x"), "bob"], ("ann", "x", "y")],
)
async def test_credentials_of_the_wrong_type(front: Front, credentials: Any) -> None:
    with pytest.raises(TypeError) as caught:
        guard(front, credentials=credentials)
    assert str(caught.value) == f"invalid credentials argument: {credentials}"


# Digest (RFC 7616), as a client answers for it


def answering(gate: Gate) -> Any:
    """Make a script of a gate."""

    async def script(exchange: Exchange) -> None:
        refusal = gate.refusal(exchange)
        if refusal is not None:
            await exchange.say(refusal)
        else:
            await exchange.say(exchange.switching(), b"\x81\x02in")
            await exchange.hold()

    return script


async def enter(front: Front, uri: str, **options: Any) -> None:
    async with front.opening(uri, **options) as ws:
        assert await ws.recv() == "in"
        front.abort(ws)


ANN = "ann:secret@"


@only_ropeway
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
async def test_a_challenge_is_answered(front: Front, algorithm: str) -> None:
    gate = Gate(algorithm)
    async with raw_server(front, answering(gate)) as server:
        await enter(front, server.uri("/a?b=%20c", ANN))
    assert gate.said == ["Basic", "Digest"]


@only_ropeway
async def test_the_password_need_not_be_shown(front: Front) -> None:
    gate = Gate(extra=('Basic realm="the gate"',))
    async with raw_server(front, answering(gate)) as server:
        await enter(front, server.uri(user=ANN), preemptive_basic=False)
    assert gate.said == ["", "Digest"]


@only_ropeway
async def test_a_stale_nonce(front: Front) -> None:
    gate = Gate(stale=1)
    async with raw_server(front, answering(gate)) as server:
        await enter(front, server.uri(user=ANN))
    assert gate.said == ["Basic", "Digest", "Digest"]


@only_ropeway
@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ({"password": "other"}, ["Basic", "Digest"]),
        ({"stale": 5}, ["Basic", "Digest", "Digest"]),
    ],
    ids=["wrong-password", "ever-stale"],
)
async def test_the_number_of_tries_is_bounded(
    front: Front, flaw: dict[str, Any], said: list[str]
) -> None:
    gate = Gate(**flaw)
    async with raw_server(front, answering(gate)) as server:
        refusal = await failure(front, server.uri(user=ANN), exceptions.InvalidStatus)
    assert refusal.response.status_code == 401
    assert refusal.response.body == b"Who are you?"
    assert gate.said == said


@only_ropeway
async def test_a_header_of_the_callers_own_is_left_alone(front: Front) -> None:
    gate = Gate()
    async with raw_server(front, answering(gate)) as server:
        headers = {"Authorization": "Bearer x"}
        kind = exceptions.InvalidStatus
        await failure(front, server.uri(user=ANN), kind, additional_headers=headers)
    assert gate.said == ["Bearer"]


@only_ropeway
async def test_all_tries_have_one_time_limit(front: Front) -> None:
    gate = Gate()

    async def slow(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await answering(gate)(exchange)
        else:
            await exchange.hold()

    async with raw_server(front, slow) as server:
        await failure(front, server.uri(user=ANN), TimeoutError, open_timeout=0.1)
    assert server.connections == 2
