"""Connections that are over are freed by reference counting alone; debug mode has no complaint."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import (
    Handed,
    against_raw,
    both_roles,
    connecting,
    port_of,
    serving,
    settle,
    until,
)
from ..support.rawpeer import TEXT, RawPeer
from ..support.subject import NAME, ORACLE, ConnectionClosed

pytestmark = [
    asyncio_only("it is asyncio's debug mode, tasks and transports that could keep them"),
    pytest.mark.skipif(
        sys.implementation.name != "cpython", reason="reference counting is CPython's"
    ),
]


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def close_normally(ws: Any, peer: Any) -> None:
    await ws.send("x")
    await peer.recv()
    await ws.close()


async def close_from_the_peer(ws: Any, peer: Any) -> None:
    await (await ws.ping())
    await peer.close()
    await ws.wait_closed()


async def close_while_receiving(ws: Any, peer: Any) -> None:
    receiving = asyncio.create_task(ws.recv())
    await peer.close()
    await asyncio.wait([receiving])
    assert isinstance(receiving.exception(), ConnectionClosed)


async def close_by_iteration(ws: Any, peer: Any) -> None:
    await peer.send("x")
    closing = asyncio.create_task(peer.close())
    async for _ in ws:
        pass
    await closing


async def lose(ws: Any, peer: Any) -> None:
    peer.transport.abort()
    try:
        await ws.recv()
    except ConnectionClosed:
        pass


async def lose_while_iterating(ws: Any, peer: Any) -> None:
    async def iterate() -> None:
        async for _ in ws:
            pass

    iterating = asyncio.create_task(iterate())
    await settle()
    peer.transport.abort()
    await asyncio.wait([iterating])
    assert isinstance(iterating.exception(), ConnectionClosed)


async def lose_while_sending(ws: Any, peer: Any) -> None:
    peer.transport.pause_reading()
    sending = asyncio.create_task(ws.send(os.urandom(1 << 24)))
    await settle()
    peer.transport.abort()
    await asyncio.wait([sending])
    assert isinstance(sending.exception(), ConnectionClosed)


async def use_when_closed(ws: Any, peer: Any) -> None:
    await ws.close()
    for operation in (ws.recv, lambda: ws.send("x"), ws.ping, lambda: anext(aiter(ws), None)):
        with contextlib.suppress(ConnectionClosed):
            await operation()


async def time_out(ws: Any, peer: Any) -> None:
    try:
        async with asyncio.timeout(0.01):
            await ws.recv()
    except TimeoutError:
        pass
    await ws.close()


async def leave_a_ping_and_a_message(ws: Any, peer: Any) -> None:
    await ws.ping()
    await peer.send("never received")
    await ws.close()


@both_roles
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    "scenario",
    [
        close_normally,
        close_from_the_peer,
        close_while_receiving,
        close_by_iteration,
        lose,
        lose_while_iterating,
        lose_while_sending,
        use_when_closed,
        time_out,
        leave_a_ping_and_a_message,
    ],
)
async def test_both_ends_are_freed(
    role: str, compression: str | None, scenario: Callable[[Any, Any], Any]
) -> None:
    handed = Handed()
    async with serving(handed, compression=compression, ping_interval=20) as server:
        client = await connecting(port_of(server), compression=compression, ping_interval=20)
        peer = await handed.connections.get()
        references = [weakref.ref(ws) for ws in (client, peer)]
        if not ORACLE:
            references += [weakref.ref(ws.protocol) for ws in (client, peer)]
        if role == "client":
            await scenario(client, peer)
        else:
            await scenario(peer, client)
        await asyncio.gather(client.wait_closed(), peer.wait_closed())
        handed.over.set()
        del client, peer
        await until(lambda: not any(reference() for reference in references))


@both_roles
async def test_connection_that_failed_is_freed(role: str) -> None:
    async def scenario() -> weakref.ref[Any]:
        async with against_raw(role) as (ws, raw):
            await raw.send(raw.frame(TEXT, "x"), raw.frame(0x3))
            await raw.recv_close()
            raw.half_close()
            await ws.wait_closed()
            assert await ws.recv() == "x"
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            return weakref.ref(ws)

    reference = await scenario()
    await until(lambda: reference() is None)


async def test_server_connections_are_freed_one_by_one() -> None:
    references: list[weakref.ref[Any]] = []

    async def handler(ws: Any) -> None:
        references.append(weakref.ref(ws))
        async for message in ws:
            await ws.send(message)

    async with serving(handler) as server:
        for _ in range(5):
            raw = await RawPeer.open(port_of(server))
            await raw.send_frame(TEXT, "x")
            assert await raw.recv_payload(TEXT) == b"x"
            await raw.close_handshake()
            raw.close()
        await until(lambda: not any(reference() for reference in references))
        assert len(references) == 5


@both_roles
async def test_debug_mode_prints_no_warning(role: str, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 10
    caplog.set_level(logging.WARNING, logger="asyncio")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with against_raw(role, ping_interval=0.02, ping_timeout=5) as (ws, raw):
            await raw.send(raw.frame(TEXT, "one"), raw.frame(TEXT, "two"))
            assert await ws.recv() == "one"
            for index in range(10):
                receiving = asyncio.create_task(ws.recv())
                await asyncio.sleep(0)
                if index:
                    await raw.send_frame(TEXT, "more")
                await receiving
                await ws.send("x")
                await ws.ping()
            unused = asyncio.create_task(ws.recv())
            await asyncio.sleep(0)
            unused.cancel()
            await asyncio.wait([unused])
            raw.close()
            await ws.wait_closed()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


PROGRAM = """
import asyncio, sys
from {name}.asyncio.client import connect
from {name}.asyncio.server import serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{{port}}/", proxy=None) as ws:
            for message in ("text", b"binary", ["frag", "ments"]):
                await ws.send(message)
                await ws.recv()
            await (await ws.ping())
        left = await connect(f"ws://127.0.0.1:{{port}}/", proxy=None)
        await left.send("x")
        assert await left.recv() == "x"
        await left.close()

asyncio.run(main())
"""


def test_program_in_development_mode_prints_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.format(name=NAME)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
