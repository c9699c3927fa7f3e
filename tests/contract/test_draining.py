"""A server that goes away without haste."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import Any

import pytest

from ..support.drivers import ORACLE
from ..support.endpoints import Handed, port_of, serving, until
from ..support.rawpeer import TEXT, RawPeer
from ..support.subject import Server

pytestmark = pytest.mark.skipif(ORACLE, reason="ropeway adds this")


async def idle(connection: Any) -> None:
    await connection.wait_closed()


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def hurry(server: Any) -> None:
    """Close a server that drains, and wait for the end."""
    if isinstance(server, Server):
        server.close()
        await server.wait_closed()
    else:
        await server.hurry()


async def refused(raw: RawPeer) -> None:
    """Receive a response that refuses, and says when to come back."""
    head = (await raw.recv_until(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 503 ")
    found = re.search(r"\r\nRetry-After: (\d+)\r\n", head)
    assert found is not None
    assert 5 <= int(found[1]) <= 30


async def nobody_listens(port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            (await RawPeer.knock(port)).close()
            await asyncio.sleep(0.01)


async def test_closes_are_spread_over_the_time() -> None:
    async with serving(idle) as server:
        raws = [await RawPeer.open(port_of(server)) for _ in range(5)]
        await until(lambda: server.stats.connections == 5)
        ends: list[float] = []

        async def leave(raw: RawPeer) -> None:
            assert await raw.answer_close() == (1012, "see you")
            ends.append(time.monotonic())
            raw.half_close()
            assert await raw.recv_eof() == b""
            raw.close()

        began = time.monotonic()
        leaving = [asyncio.create_task(leave(raw)) for raw in raws]
        await server.drain(0.5, reason="see you")
        await asyncio.gather(*leaving)
        # One is closed at once, the others a tenth of a second after each other.
        assert ends[-1] - began >= 0.4
        assert ends[2] - began >= 0.2
        assert server.stats.connections == 0


async def test_without_time_all_are_told_that_it_goes_away() -> None:
    async with serving(idle) as server:
        raws = [await RawPeer.open(port_of(server)) for _ in range(3)]
        draining = asyncio.create_task(server.drain(0))
        for raw in raws:
            assert await raw.finish_close() == (1001, "")
            raw.close()
        await draining


async def test_closing_ends_the_wait() -> None:
    async with serving(idle) as server:
        raws = [await RawPeer.open(port_of(server)) for _ in range(3)]
        await until(lambda: server.stats.connections == 3)
        codes = [asyncio.create_task(raw.finish_close()) for raw in raws]
        draining = asyncio.create_task(server.drain(1000))
        await asyncio.wait(codes, return_when=asyncio.FIRST_COMPLETED)
        await hurry(server)
        await draining
        assert sorted(await asyncio.gather(*codes)) == [(1001, ""), (1001, ""), (1012, "")]
        for raw in raws:
            raw.close()


async def test_handlers_go_on_until_their_connection_is_closed() -> None:
    async with serving(echo) as server:
        raws = [await RawPeer.open(port_of(server)) for _ in range(2)]
        await until(lambda: server.stats.connections == 2)
        first, second = (asyncio.create_task(raw.recv_frame()) for raw in raws)
        draining = asyncio.create_task(server.drain(1000))
        await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        open_one, reading = (raws[1], second) if first.done() else (raws[0], first)
        await open_one.send_frame(TEXT, "still here")
        assert (await reading).payload == b"still here"
        for raw in raws:
            raw.close()
        await draining


async def test_nobody_comes_in_while_it_drains() -> None:
    handed = Handed()
    async with serving(handed) as server:
        assert server.is_ready
        raw = await RawPeer.open(port_of(server))
        # Another one has not said yet what it wants.
        silent = await RawPeer.knock(port_of(server))
        await until(lambda: server.stats.handshakes == 1)
        port = port_of(server)
        closing = asyncio.create_task(raw.finish_close())
        draining = asyncio.create_task(server.drain(0.2))
        await refused(silent)
        silent.close()
        assert not server.is_ready
        await until(lambda: server.stats.refused_closing == 1)
        await nobody_listens(port)
        handed.over.set()
        assert (await closing)[0] == 1012
        raw.close()
        await draining


async def test_notice_is_given_before() -> None:
    async with serving(idle) as server:
        draining = asyncio.create_task(server.drain(0, notice=1000))
        await until(lambda: not server.is_ready)
        raw = await RawPeer.open(port_of(server))
        closing = asyncio.create_task(raw.finish_close())
        await hurry(server)
        assert await closing == (1001, "")
        raw.close()
        await draining


async def test_draining_ends_with_the_last_connection() -> None:
    async with serving(idle) as server:
        raws = [await RawPeer.open(port_of(server)) for _ in range(20)]
        await until(lambda: server.stats.connections == 20)
        for raw in raws:
            await raw.send_close()
            await raw.recv_close()
            raw.close()
        await server.drain(20)


async def test_what_is_asked_for_is_checked() -> None:
    async with serving(idle) as server:
        with pytest.raises(ValueError, match="seconds is -1, below 0"):
            await server.drain(-1)
        assert server.is_ready
