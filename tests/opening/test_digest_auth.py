"""Digest authentication (RFC 7616) with a proxy that asks for it, and a server behind."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from ..support.gates import Gate
from ..support.http import response
from ..support.names import exceptions
from ..support.proxies import Asked, ConnectProxy, Refused
from ..support.subject import connect, only_ropeway
from .peers import Exchange, Script, raw_server

pytestmark = only_ropeway


def behind(gate: Gate) -> Script:
    async def script(exchange: Exchange) -> None:
        refusal = gate.refusal(exchange)
        if refusal is not None:
            exchange.writer.write(refusal)
            await exchange.writer.drain()
        else:
            exchange.writer.write(exchange.switching() + b"\x81\x02in")
            await exchange.hold()

    return script


def with_user(uri: str, user: str = "ann:secret") -> str:
    return uri.replace("://", f"://{user}@")


async def enter(uri: str, **options: Any) -> None:
    async with connect(uri, close_timeout=0.05, **options) as connection:
        assert await connection.recv() == "in"
        connection.transport.abort()


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
    async with raw_server(behind(of_server)) as server:
        async with Guarded(of_proxy, ("127.0.0.1", server.port)) as proxy:
            address = with_user(proxy.uri())
            await enter(with_user("ws://gate.example/x"), proxy=address)
    # A tunnel for each of the two requests; the second is asked for with Basic again.
    assert of_proxy.said == ["Basic", "Digest", "Basic", "Digest"]
    assert of_server.said == ["Basic", "Digest"]


async def test_a_proxy_that_is_not_convinced() -> None:
    gate = Gate(password="other")
    async with Guarded(gate, ("127.0.0.1", 9)) as proxy:
        with pytest.raises(exceptions.InvalidProxyStatus) as raised:
            await connect("ws://gate.example/", proxy=with_user(proxy.uri()))
    assert raised.value.response.status_code == 407
    assert gate.said == ["Basic", "Digest"]
