"""Closing a server while handshakes are under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.subject import only_ropeway
from .peers import raw_client
from .serving import port_of, serving


async def ignore(connection: Any) -> None:
    await connection.wait_closed()


@only_ropeway
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: "], ids=["nothing", "part"])
async def test_a_client_without_a_request_does_not_hold_the_server(sent: bytes) -> None:
    async with serving(ignore) as server, raw_client(port_of(server)) as client:
        client.writer.write(sent)
        while not server.all_connections:
            await asyncio.sleep(0)
        server.close()
        async with asyncio.timeout(5):  # the handshake may take 10 s, and the client never closes
            await server.wait_closed()
        assert (await client.head()).status == 503


@only_ropeway
async def test_a_client_that_was_refused_does_not_hold_the_server() -> None:
    async with serving(ignore) as server, raw_client(port_of(server)) as client:
        client.writer.write(b"HELO example.com\r\n\r\n")
        assert (await client.head()).status == 400
        server.close()
        async with asyncio.timeout(5):  # a closing handshake may take 10 s
            await server.wait_closed()
