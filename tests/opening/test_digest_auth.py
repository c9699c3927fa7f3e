"""Digest authentication (RFC 7616) over sockets: a server and a proxy that check what they get."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ..support.http import response
from ..support.proxies import Asked, ConnectProxy, Refused
from ..support.subject import connect, module, only_ropeway
from .peers import Exchange, raw_server

pytestmark = only_ropeway

InvalidProxyStatus = module("exceptions").InvalidProxyStatus
InvalidStatus = module("exceptions").InvalidStatus

HASHES: dict[str, Callable[..., Any]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass
class Gate:
    """Lets in who knows the password of "ann"; each nonce is good for one request.

    Args:
        algorithm: of the challenges.
        password: that of "ann".
        stale: how many right answers are refused because of their nonce.
        extra: challenges before the one for Digest.
    """

    algorithm: str = "SHA-256"
    password: str = "secret"
    stale: int = 0
    extra: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)

    def check(self, method: str, target: str, authorization: list[str]) -> list[str]:
        """Give the challenges to refuse with; none for who may come in."""
        (said,) = authorization or [""]
        self.said.append(said.partition(" ")[0])
        right = said.startswith("Digest ") and self._is_right(method, target, said)
        if right and self.stale == 0:
            return []
        self.stale -= right
        nonce = f"nonce {len(self.said)}"
        self.nonces.add(nonce)
        challenge = f'realm="the \\"gate\\"", nonce="{nonce}", qop="auth,auth-int", opaque="o"'
        stale = ", stale=TRUE" if right else ""
        return [*self.extra, f"Digest {challenge}, algorithm={self.algorithm}{stale}"]

    def _is_right(self, method: str, target: str, said: str) -> bool:
        fields = dict(re.findall(r'(\w+)="?((?:\\.|[^"\\,])*)"?', said.partition(" ")[2]))
        new = HASHES[self.algorithm.removesuffix("-sess")]

        def hashed(*parts: str) -> str:
            return new(":".join(parts).encode()).hexdigest()

        secret = hashed("ann", 'the "gate"', self.password)
        if self.algorithm.endswith("-sess"):
            secret = hashed(secret, fields["nonce"], fields["cnonce"])
        expected = hashed(
            *(secret, fields["nonce"], fields["nc"], fields["cnonce"], "auth"),
            hashed(method, target),
        )
        assert fields["uri"] == target
        assert (fields["username"], fields["opaque"], fields["qop"]) == ("ann", "o", "auth")
        assert fields["algorithm"] == self.algorithm
        self.nonces.remove(fields["nonce"])
        return expected == fields["response"]

    async def __call__(self, exchange: Exchange) -> None:
        challenges = self.check("GET", exchange.path, exchange.all("Authorization"))
        if challenges:
            lines = [f"WWW-Authenticate: {challenge}" for challenge in challenges]
            exchange.writer.write(response("401 Unauthorized", *lines, body=b"Who are you?"))
            await exchange.writer.drain()
        else:
            exchange.writer.write(exchange.switching() + b"\x81\x02in")
            await exchange.hold()


def with_user(uri: str, user: str = "ann:secret") -> str:
    return uri.replace("://", f"://{user}@")


async def enter(uri: str, **options: Any) -> None:
    async with connect(uri, close_timeout=0.05, **options) as connection:
        assert await connection.recv() == "in"
        connection.transport.abort()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
async def test_a_challenge_is_answered(algorithm: str) -> None:
    gate = Gate(algorithm)
    async with raw_server(gate) as server:
        await enter(with_user(server.uri("/a?b=%20c")))
    assert gate.said == ["Basic", "Digest"]


async def test_the_password_need_not_be_shown() -> None:
    gate = Gate(extra=('Basic realm="the gate"',))
    async with raw_server(gate) as server:
        await enter(with_user(server.uri()), preemptive_basic=False)
    assert gate.said == ["", "Digest"]


async def test_a_stale_nonce() -> None:
    gate = Gate(stale=1)
    async with raw_server(gate) as server:
        await enter(with_user(server.uri()))
    assert gate.said == ["Basic", "Digest", "Digest"]


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (Gate(password="other"), ["Basic", "Digest"]),
        (Gate(stale=5), ["Basic", "Digest", "Digest"]),
    ],
    ids=["wrong password", "ever stale"],
)
async def test_the_number_of_tries_is_bounded(gate: Gate, said: list[str]) -> None:
    gate.said.clear()
    async with raw_server(gate) as server:
        with pytest.raises(InvalidStatus) as raised:
            await connect(with_user(server.uri()))
    assert raised.value.response.status_code == 401
    assert raised.value.response.body == b"Who are you?"
    assert gate.said == said


async def test_a_header_of_the_callers_own_is_left_alone() -> None:
    gate = Gate()
    async with raw_server(gate) as server:
        with pytest.raises(InvalidStatus):
            await connect(with_user(server.uri()), additional_headers={"Authorization": "Bearer x"})
    assert gate.said == ["Bearer"]


async def test_all_tries_have_one_time_limit() -> None:
    asked = 0

    async def slow(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await gate(exchange)
        await exchange.hold()

    gate = Gate()
    async with raw_server(slow) as server:
        with pytest.raises(TimeoutError):
            await connect(with_user(server.uri()), open_timeout=0.1)
    assert asked == 2


async def test_on_threads() -> None:
    gate = Gate()
    sync = module("sync.client")

    def visit(uri: str) -> str:
        with sync.connect(uri, close_timeout=0.05, proxy=None) as connection:
            return connection.recv()

    async with raw_server(gate) as server:
        visiting = asyncio.to_thread(visit, with_user(server.uri()))
        assert await visiting == "in"
    assert gate.said == ["Basic", "Digest"]
    assert threading.current_thread() is threading.main_thread()


class Guarded(ConnectProxy):
    """A proxy with a gate."""

    def __init__(self, gate: Gate, route: tuple[str, int]) -> None:
        super().__init__(route=route)
        self.gate = gate

    async def negotiate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said = re.findall(r"^Proxy-Authorization: (.*)\r$", head, re.MULTILINE)
        target = head.split(" ")[1]
        challenges = self.gate.check("CONNECT", target, said)
        if challenges:
            lines = [f"Proxy-Authenticate: {challenge}" for challenge in challenges]
            writer.write(response("407 Proxy Authentication Required", *lines, body=b"Who?"))
            await writer.drain()
            raise Refused


async def test_a_proxy_asks_too() -> None:
    of_proxy, of_server = Gate("MD5"), Gate()
    async with raw_server(of_server) as server:
        async with Guarded(of_proxy, ("127.0.0.1", server.port)) as proxy:
            address = with_user(proxy.uri())
            await enter(with_user("ws://gate.example/x"), proxy=address)
    # A tunnel for each of the two requests; the second is asked for with Basic again.
    assert of_proxy.said == ["Basic", "Digest", "Basic", "Digest"]
    assert of_server.said == ["Basic", "Digest"]


async def test_a_proxy_that_is_not_convinced() -> None:
    gate = Gate(password="other")
    async with Guarded(gate, ("127.0.0.1", 9)) as proxy:
        with pytest.raises(InvalidProxyStatus) as raised:
            await connect("ws://gate.example/", proxy=with_user(proxy.uri()))
    assert raised.value.response.status_code == 407
    assert gate.said == ["Basic", "Digest"]
