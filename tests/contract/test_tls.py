"""The behaviours over TLS where the transport differs: no half-close, reads in records."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.endpoints import both_roles, fill, pair
from ..support.subject import ConnectionClosedError, ConnectionClosedOK, State


def secure(tls: Any, **options: Any) -> Any:
    return pair(client={"ssl": tls.client_context}, server={"ssl": tls.server_context}, **options)


@both_roles
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages(role: str, compression: str | None, tls: Any) -> None:
    async with secure(tls, compression=compression) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        for message in ("", "café", b"x" * 125, b"x" * 65536, bytes(1 << 20), ["a", "b"]):
            sending = asyncio.create_task(near.send(message))
            expected = "ab" if isinstance(message, list) else message
            assert await far.recv() == expected
            await sending
        assert await (await near.ping()) >= 0


@both_roles
async def test_many_messages_both_ways(role: str, tls: Any) -> None:
    async with secure(tls) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def echo() -> None:
            async for message in far:
                await far.send(message)

        async def produce() -> None:
            for index in range(500):
                await near.send(str(index))

        echoing, producing = asyncio.create_task(echo()), asyncio.create_task(produce())
        assert [await near.recv() for _ in range(500)] == [str(index) for index in range(500)]
        await producing
        await near.close()
        await echoing


@both_roles
async def test_close(role: str, tls: Any) -> None:
    async with secure(tls) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        await far.send("before")
        await near.close(1001, "bye")
        assert await near.recv() == "before"
        for ws in (near, far):
            with pytest.raises(ConnectionClosedOK, match=r"1001 \(going away\) bye"):
                await ws.recv()
            assert (ws.state, ws.close_code) == (State.CLOSED, 1001)


@both_roles
async def test_connection_lost(role: str, tls: Any) -> None:
    async with secure(tls) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        receiving = asyncio.create_task(near.recv())
        far.transport.abort()
        with pytest.raises(ConnectionClosedError, match="no close frame received or sent"):
            await receiving
        assert near.close_code == 1006


@both_roles
async def test_backpressure(role: str, tls: Any) -> None:
    async with secure(tls, max_queue=1) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        count, waiting = await fill(near)
        for _ in range(count + 1):
            assert len(await far.recv()) == 1 << 16
        await waiting


@both_roles
async def test_no_close_frame_after_abort_in_the_middle_of_a_message(role: str, tls: Any) -> None:
    async with secure(tls, max_queue=1) as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        _, waiting = await fill(near)
        near.transport.abort()
        await near.wait_closed()
        await asyncio.wait([waiting])
        waiting.exception()
        with pytest.raises(ConnectionClosedError):
            while True:
                await far.recv()
